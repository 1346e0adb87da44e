/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rollup.h -- what the samples of each hour of a series amount to, as bytes.
 *
 * A chunk whose samples are dense (ROLLUP_DENSE an hour or more) is *rolled*: of each
 * UTC hour that it has samples of there is a summary (base/grid.h) beside it.  An hour
 * that two chunks share has one of each.  Summaries are kept in windows of ROLLUP_HOURS
 * hours, one blob each, so that a year of hours is some thirty reads.  Little-endian:
 *
 *      0  u32  magic "fwr1"
 *      4  u32  series id
 *      8  u32  window, counted from the year 1
 *     12  u32  n, summaries
 *     16  a zstd frame of their columns: first and last instant as u32 ms after the
 *         window's beginning, count as u32; first, last, least, most, sum, sum_low, rise,
 *         rise_low as f64
 *         u32  CRC-32 (zlib) of everything before
 */
#ifndef STORAGE_ROLLUP_H
#define STORAGE_ROLLUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/grid.h"
#include "storage/chunk.h"

enum { ROLLUP_HOUR_MS = 3600000, ROLLUP_HOURS = 256, ROLLUP_DENSE = 30 };

/* A growing list, in order of time and apart. */
struct summaries {
    struct summary *at;
    size_t count, cap;
};
void summaries_put(struct summaries *list, const struct summary *summary);

/* Which window an instant lies in, and where a window begins. */
uint32_t rollup_window(int64_t time_ms);
int64_t rollup_begin_ms(uint32_t window);

/* Appends the summaries of a chunk's samples; false, and nothing, where these are not
 * dense. */
bool rollup_make(struct summaries *out, const struct sample *samples, size_t count);

/* Contexts and scratch memory; one thread at a time. */
struct rollup_coder;
struct rollup_coder *rollup_coder_new(void) __attribute__((warn_unused_result));
void rollup_coder_free(struct rollup_coder *coder);

/* Encodes 1 or more summaries of one window.  The result is the coder's until its next
 * call. */
const void *rollup_encode(struct rollup_coder *coder, uint32_t series, uint32_t window,
                          const struct summary *summaries, size_t count, size_t *len);
/* Appends what was encoded.  ERR_CORRUPT for anything but the bytes of rollup_encode()
 * for this series and window. */
int rollup_decode(struct rollup_coder *coder, uint32_t series, uint32_t window,
                  const void *bytes, size_t len, struct summaries *out, struct err *err);

#endif
