/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * write_request.h -- bodies of remote_write as a sender makes them.
 *
 *     struct page body = {0};
 *     const size_t series = wire_begin(&body, 1);
 *     series_label(&body, "__name__", "cpu");
 *     series_sample(&body, 1000, 0.5);
 *     wire_end(&body, series);
 */
#ifndef WRITE_REQUEST_H
#define WRITE_REQUEST_H

#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>

#include "api/wire.h"
#include "base/mem.h"

static inline void series_label(struct page *page, const char *name, const char *value)
{
    const size_t begun = wire_begin(page, 1);
    wire_put_bytes(page, 1, name, strlen(name));
    wire_put_bytes(page, 2, value, strlen(value));
    wire_end(page, begun);
}

static inline void series_sample(struct page *page, int64_t time_ms, double value)
{
    const size_t begun = wire_begin(page, 2);
    wire_put_double(page, 1, value);
    wire_put_varint(page, 2, (uint64_t)time_ms);
    wire_end(page, begun);
}

/* A series of this name with one sample. */
static inline void series_of_one(struct page *page, const char *name, int64_t time_ms,
                                 double value)
{
    const size_t begun = wire_begin(page, 1);
    series_label(page, "__name__", name);
    series_sample(page, time_ms, value);
    wire_end(page, begun);
}

/* A snappy block, to be freed. */
static inline char *snappy_pack(const char *bytes, size_t len, size_t *packed)
{
    *packed = snappy_max_compressed_length(len);
    char *const out = mem_new(*packed + 1, 1);
    snappy_compress(bytes, len, out, packed);
    return out;
}

#endif
