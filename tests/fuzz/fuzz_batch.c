/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A batch blob out of the log: refused, or decoded to what encodes to the same bytes.
 * The checksum is put right first, or nothing behind it would ever be tried.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "storage/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_blob(const uint8_t *bytes, size_t len)
{
    struct batch_samples samples = {0};
    struct batch_blob blob = {0};
    int64_t arrived_ms;
    if (batch_decode(bytes, len, &samples, &arrived_ms, NULL) == 0 && samples.count > 0) {
        batch_encode(&samples, arrived_ms, &blob);
        /* Wide offsets and another base may say the same: never more than that. */
        assert(blob.len <= len);
        struct batch_samples back = {0};
        int64_t again_ms;
        const int status = batch_decode(blob.bytes, blob.len, &back, &again_ms, NULL);
        assert(status == 0 && again_ms == arrived_ms && back.count == samples.count);
        assert(memcmp(back.id, samples.id, back.count * sizeof *back.id) == 0);
        assert(memcmp(back.time_ms, samples.time_ms, back.count * sizeof *back.time_ms) ==
               0);
        assert(memcmp(back.value, samples.value, back.count * sizeof *back.value) == 0);
        (void)status;
        batch_samples_fini(&back);
    }
    batch_blob_fini(&blob);
    batch_samples_fini(&samples);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_blob(data, size);
    if (size < 4)
        return 0;
    uint8_t *const copy = malloc(size);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    const uint32_t crc = (uint32_t)crc32_z(0, copy, size - 4);
    memcpy(copy + size - 4, &crc, sizeof crc);
    try_blob(copy, size);
    free(copy);
    return 0;
}
