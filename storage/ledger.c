/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/ledger.h"

#include <stdlib.h>
#include <zstd.h>

#include "base/mem.h"

enum { ZSTD_LEVEL = 3, DAY_MS = 86400000 };

int64_t ledger_day(int64_t time_ms)
{
    return time_ms / DAY_MS - (time_ms % DAY_MS < 0);
}

void ledger_link(struct sha *link, const unsigned char before[static STORE_HASH_SIZE],
                 const struct store_issue *issue,
                 const unsigned char calibration[static STORE_HASH_SIZE])
{
    sha_begin(link);
    sha_bytes(link, before, STORE_HASH_SIZE);
    sha_text(link, issue->forecaster);
    sha_int(link, issue->revision);
    sha_int(link, issue->model_id);
    sha_int(link, issue->calibration);
    sha_int(link, issue->issued_ms);
    sha_int(link, issue->first_ms);
    sha_int(link, issue->step_ms);
    sha_int(link, (int64_t)issue->steps);
    sha_bytes(link, issue->quantiles, issue->quantile_count * sizeof(double));
    if (issue->calibration)
        sha_bytes(link, calibration, STORE_HASH_SIZE);
}

void ledger_link_series(struct sha *link, const char *series,
                        const unsigned char input_hash[static STORE_HASH_SIZE],
                        const void *packed, size_t len)
{
    sha_text(link, series);
    sha_bytes(link, input_hash, STORE_HASH_SIZE);
    sha_bytes(link, packed, len);
}

void ledger_calibration(const unsigned char before[static STORE_HASH_SIZE],
                        const char *forecaster,
                        const struct store_calibration *calibration,
                        unsigned char out[static STORE_HASH_SIZE])
{
    struct sha sha;
    sha_begin(&sha);
    sha_bytes(&sha, before, STORE_HASH_SIZE);
    sha_text(&sha, forecaster);
    sha_int(&sha, calibration->number);
    sha_int(&sha, calibration->revision);
    sha_int(&sha, calibration->model_id);
    sha_int(&sha, calibration->made_ms);
    sha_text(&sha, calibration->body);
    sha_end(&sha, out);
}

int ledger_pack(const float *values, size_t count, void **packed, size_t *len,
                struct err *err)
{
    ZSTD_CCtx *const zstd = ZSTD_createCCtx();
    const size_t bound = ZSTD_compressBound(count * sizeof *values);
    *packed = mem_try(bound, 1);
    size_t written = 0;
    bool fine = zstd && *packed;
    if (fine) {
        ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
        ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
        written = ZSTD_compress2(zstd, *packed, bound, values, count * sizeof *values);
        fine = !ZSTD_isError(written);
    }
    ZSTD_freeCCtx(zstd);
    if (fine) {
        *len = written;
        return 0;
    }
    free(*packed);
    *packed = NULL;
    return err_set(err, ERR_NO_MEMORY, "forecast: no memory to pack %zu values", count);
}

int ledger_unpack(const void *packed, size_t len, float *values, size_t count,
                  struct err *err)
{
    const size_t want = count * sizeof *values;
    const size_t got = ZSTD_decompress(values, want, packed, len);
    if (ZSTD_isError(got))
        return err_set(err, ERR_CORRUPT, "forecast: %s", ZSTD_getErrorName(got));
    if (got != want)
        return err_set(err, ERR_CORRUPT, "forecast: %zu bytes where %zu were stored", got,
                       want);
    return 0;
}
