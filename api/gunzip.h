/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gunzip.h -- a gzip stream, taken apart as it arrives.
 *
 * The output is bounded while it is made, so a small body that unpacks into a huge one
 * is refused in time.
 */
#ifndef GUNZIP_H
#define GUNZIP_H

#include <stddef.h>

#include "base/err.h"

struct gunzip;

typedef int gunzip_sink(void *ctx, const char *bytes, size_t len, struct err *err);

/* At most out_max bytes come out.  NULL when out of memory. */
struct gunzip *gunzip_new(size_t out_max, gunzip_sink *sink, void *ctx)
    __attribute__((warn_unused_result));
void gunzip_free(struct gunzip *gunzip);

/* ERR_INVALID: not gzip; ERR_TOO_LARGE: past out_max; or what the sink reports. */
int gunzip_push(struct gunzip *gunzip, const char *bytes, size_t len, struct err *err);

/* ERR_INVALID when the stream is cut off. */
int gunzip_finish(const struct gunzip *gunzip, struct err *err);

#endif
