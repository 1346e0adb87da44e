/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * batch.h -- samples on their way in, and the blob they become in the log.
 *
 * One group commit is one blob.  Little-endian:
 *
 *      0  u32  magic "fwb1"
 *      4  u32  n, samples
 *      8  i64  arrived_ms, when the group was committed
 *     16  i64  base_ms, the earliest sample
 *     24  u32  bytes of a time offset: 4 or 8
 *     28  u32  zero
 *     32  u32  x n  series ids, from 1
 *         u32 or u64 x n  times after base_ms
 *         f64  x n  values
 *         u32  CRC-32 (zlib) of everything before
 *
 * Samples stand in the order of their arrival: the later of two with one series and
 * time wins.
 */
#ifndef STORAGE_BATCH_H
#define STORAGE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "storage/nameset.h"

/* Columns of samples; grows by doubling. */
struct batch_samples {
    size_t count, cap;
    uint32_t *id;
    int64_t *time_ms;
    double *value;
};

void batch_samples_reserve(struct batch_samples *samples, size_t cap);
void batch_samples_fini(struct batch_samples *samples);

enum { BATCH_SAMPLE_BYTES = 4 + 8 + 8 };

struct store_batch {
    struct nameset names;         /* the batch's own numbers of its series */
    uint32_t *id;                 /* [names.count] ids in the store, 0: not known yet */
    struct batch_samples samples; /* id: the batch's own numbers */
    bool history;
    bool invalid; /* was given a sample that cannot be stored */
};

struct batch_blob {
    size_t len, cap;
    unsigned char *bytes;
};

/* Encodes into out, whose memory is reused. */
void batch_encode(const struct batch_samples *samples, int64_t arrived_ms,
                  struct batch_blob *out);
void batch_blob_fini(struct batch_blob *blob);

/* Decodes into out, whose memory is reused.  ERR_CORRUPT for anything but the bytes of
 * batch_encode(): length, checksum, an id of 0, a time out of range, a NaN. */
int batch_decode(const void *bytes, size_t len, struct batch_samples *out,
                 int64_t *arrived_ms, struct err *err);
/* Adds how many samples it has of each series up to last: count[id].  Nothing is added of
 * bytes without the form of a batch; the checksum is not looked at. */
void batch_count_ids(const void *bytes, size_t len, uint32_t last, uint32_t *count);

#endif
