/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chunk.h -- some samples of one series, closed: sorted, compressed, checksummed.
 *
 * Little-endian:
 *
 *      0  u32  magic "fwc1"
 *      4  u32  series id
 *      8  u32  n, samples
 *     12  u32  bytes of the times (chunk_times.c), before zstd
 *     16  u32  bytes of times and values (chunk_values.c) together, before zstd
 *     20  u32  zero
 *     24  i64  first_ms
 *     32  a zstd frame of both
 *         u32  CRC-32 (zlib) of everything before
 *
 * Every value comes back bit for bit: of three ways to lay them out (bytes transposed,
 * a dictionary, decimal integers with what they miss in the last place) the one that
 * zstd makes smallest is kept.
 */
#ifndef STORAGE_CHUNK_H
#define STORAGE_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/grid.h"

enum { CHUNK_SAMPLES_MAX = 1 << 16 };

/* Bytes that grow; reused from chunk to chunk. */
struct chunk_bytes {
    size_t len, cap;
    unsigned char *at;
};
/* Room for more bytes behind the end, which does not move. */
unsigned char *chunk_bytes_room(struct chunk_bytes *bytes, size_t more);
void chunk_bytes_fini(struct chunk_bytes *bytes);

/* Contexts and scratch memory for encoding and decoding; one thread at a time. */
struct chunk_coder;
struct chunk_coder *chunk_coder_new(void) __attribute__((warn_unused_result));
void chunk_coder_free(struct chunk_coder *coder);

/* Encodes 1..CHUNK_SAMPLES_MAX samples, strictly ascending in time, without NaN.  The
 * result is the coder's until its next call. */
const void *chunk_encode(struct chunk_coder *coder, uint32_t series,
                         const struct sample *samples, size_t count, size_t *len);

/*
 * How many samples the chunk of this series says it has; chunk_decode() gives exactly
 * these into out.  ERR_CORRUPT for anything but the bytes of chunk_encode(): length,
 * checksum, another series, times not ascending or out of range, a NaN.
 */
int chunk_count(const void *bytes, size_t len, size_t *count, struct err *err);
int chunk_decode(struct chunk_coder *coder, uint32_t series, const void *bytes,
                 size_t len, struct sample *out, size_t count, struct err *err);

/* 0, -1, 1, -2... become 0, 1, 2, 3... and back: small numbers of either sign are small. */
static inline uint64_t chunk_fold(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}
static inline int64_t chunk_unfold(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* ---- chunk_times.c ---- */

/* Appends the times but the first: the step, then where and by how much one is not a
 * step after the one before. */
void chunk_times_put(struct chunk_bytes *out, const struct sample *samples, size_t count);
/* Fills in out[1..count-1].time_ms after out[0].  ERR_CORRUPT. */
int chunk_times_get(const unsigned char *bytes, size_t len, struct sample *out,
                    size_t count, struct err *err);

/* ---- chunk_values.c ---- */

/* The ways to lay out values; a way may not apply. */
enum chunk_layout {
    CHUNK_BYTES,      /* the eight bytes of the doubles, transposed */
    CHUNK_DICTIONARY, /* the values there are, and which one it is */
    CHUNK_DECIMAL,    /* integers to be divided by a power of ten, and what they miss */
    CHUNK_STEPS,      /* the same, as differences */
    CHUNK_LAYOUTS,
};

/* Appends the values laid out so; -1, and nothing, where that way does not apply. */
int chunk_values_put(struct chunk_bytes *out, enum chunk_layout layout,
                     const double *value, size_t count);
/* Decodes what chunk_values_put() appended, all of len bytes.  ERR_CORRUPT. */
int chunk_values_get(const unsigned char *bytes, size_t len, struct sample *out,
                     size_t count, struct err *err);

#endif
