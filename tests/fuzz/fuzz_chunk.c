/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A chunk out of the database: refused, or decoded to what encodes to a chunk of the
 * same samples.  Tried as it is, with its checksum put right, and, so that the engine
 * need not find its way through zstd, as the uncompressed times and values.
 */
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "storage/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_chunk(struct chunk_coder *coder, const uint8_t *bytes, size_t len)
{
    size_t count, again;
    if (chunk_count(bytes, len, &count, NULL))
        return;
    uint32_t series;
    memcpy(&series, bytes + 4, sizeof series);
    struct sample *const samples = malloc(2 * count * sizeof *samples);
    if (samples && chunk_decode(coder, series, bytes, len, samples, count, NULL) == 0) {
        struct sample *const back = samples + count;
        const void *const encoded = chunk_encode(coder, series, samples, count, &again);
        void *const copy = malloc(again);
        if (!copy)
            abort();
        memcpy(copy, encoded, again);
        if (chunk_decode(coder, series, copy, again, back, count, NULL) ||
            memcmp(back, samples, count * sizeof *back) != 0)
            abort();
        free(copy);
    }
    free(samples);
}

/* The first byte says how many samples. */
static void try_parts(const uint8_t *data, size_t size)
{
    struct sample samples[256] = {{0}};
    const size_t count = size > 0 ? data[0] + (size_t)1 : 0;
    if (count == 0)
        return;
    if (chunk_times_get(data + 1, size - 1, samples, count, NULL) == 0)
        for (size_t i = 1; i < count; i++)
            if (samples[i].time_ms <= samples[i - 1].time_ms)
                abort();
    (void)chunk_values_get(data + 1, size - 1, samples, count, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chunk_coder *const coder = chunk_coder_new();
    try_parts(data, size);
    try_chunk(coder, data, size);
    uint8_t *const copy = size >= 4 ? malloc(size) : NULL;
    if (copy) {
        memcpy(copy, data, size);
        const uint32_t crc = (uint32_t)crc32_z(0, copy, size - 4);
        memcpy(copy + size - 4, &crc, sizeof crc);
        try_chunk(coder, copy, size);
    }
    free(copy);
    chunk_coder_free(coder);
    return 0;
}
