/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/chunk.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"
#include "base/time.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "columns are copied as they lie");

enum { HEADER_BYTES = 32, CRC_BYTES = 4, ZSTD_LEVEL = 3 };

/* Times take at most two varints of ten bytes each, values the widest layout. */
enum { RAW_MAX = CHUNK_SAMPLES_MAX * (20 + 16) + 64 };

struct header {
    char magic[4];
    uint32_t series, count, times_len, raw_len, zero;
    int64_t first_ms;
};
static_assert(sizeof(struct header) == HEADER_BYTES, "no padding");

static const char MAGIC[4] = {'f', 'w', 'c', '1'};

struct chunk_coder {
    ZSTD_CCtx *pack; /* made when first needed: many coders only decode */
    ZSTD_DCtx *unpack;
    struct chunk_bytes raw, packed, best;
    double *value;
    size_t value_cap;
};

unsigned char *chunk_bytes_room(struct chunk_bytes *bytes, size_t more)
{
    if (bytes->len + more > bytes->cap) {
        bytes->cap = 2 * (bytes->len + more);
        bytes->at = mem_resize(bytes->at, bytes->cap, 1);
    }
    return bytes->at + bytes->len;
}

void chunk_bytes_fini(struct chunk_bytes *bytes)
{
    free(bytes->at);
    *bytes = (struct chunk_bytes){0};
}

struct chunk_coder *chunk_coder_new(void)
{
    return mem_new(1, sizeof(struct chunk_coder));
}

void chunk_coder_free(struct chunk_coder *coder)
{
    if (!coder)
        return;
    ZSTD_freeCCtx(coder->pack);
    ZSTD_freeDCtx(coder->unpack);
    chunk_bytes_fini(&coder->raw);
    chunk_bytes_fini(&coder->packed);
    chunk_bytes_fini(&coder->best);
    free(coder->value);
    free(coder);
}

static uint32_t crc_of(const unsigned char *bytes, size_t len)
{
    return (uint32_t)crc32_z(0, bytes, len);
}

/* ---- encoding ------------------------------------------------------------------- */

/* Compresses raw behind a header's room in packed. */
static void pack(struct chunk_coder *coder)
{
    struct chunk_bytes *const packed = &coder->packed;
    if (!coder->pack && !(coder->pack = ZSTD_createCCtx()))
        abort(); /* as mem_new() would */
    const size_t bound = ZSTD_compressBound(coder->raw.len);
    packed->len = HEADER_BYTES;
    chunk_bytes_room(packed, bound + CRC_BYTES);
    const size_t len = ZSTD_compressCCtx(coder->pack, packed->at + HEADER_BYTES, bound,
                                         coder->raw.at, coder->raw.len, ZSTD_LEVEL);
    assert(!ZSTD_isError(len));
    packed->len += len;
}

static void seal(struct chunk_bytes *bytes, const struct header *header)
{
    memcpy(bytes->at, header, sizeof *header);
    const uint32_t crc = crc_of(bytes->at, bytes->len);
    memcpy(chunk_bytes_room(bytes, CRC_BYTES), &crc, CRC_BYTES);
    bytes->len += CRC_BYTES;
}

const void *chunk_encode(struct chunk_coder *coder, uint32_t series,
                         const struct sample *samples, size_t count, size_t *len)
{
    assert(count > 0 && count <= CHUNK_SAMPLES_MAX);
    if (count > coder->value_cap) {
        coder->value_cap = count;
        coder->value = mem_resize(coder->value, count, sizeof *coder->value);
    }
    for (size_t i = 0; i < count; i++)
        coder->value[i] = samples[i].value;
    struct header header = {
        .magic = {MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3]},
        .series = series,
        .count = (uint32_t)count,
        .first_ms = samples[0].time_ms,
    };
    coder->raw.len = coder->best.len = 0;
    chunk_times_put(&coder->raw, samples, count);
    header.times_len = (uint32_t)coder->raw.len;
    for (enum chunk_layout layout = 0; layout < CHUNK_LAYOUTS; layout++) {
        coder->raw.len = header.times_len;
        if (chunk_values_put(&coder->raw, layout, coder->value, count))
            continue;
        pack(coder);
        if (coder->best.len > 0 && coder->best.len <= coder->packed.len)
            continue;
        header.raw_len = (uint32_t)coder->raw.len;
        const struct chunk_bytes other = coder->best;
        coder->best = coder->packed;
        coder->packed = other;
    }
    seal(&coder->best, &header);
    *len = coder->best.len;
    return coder->best.at;
}

/* ---- decoding ------------------------------------------------------------------- */

static int check(const unsigned char *bytes, size_t len, struct header *header,
                 struct err *err)
{
    if (len < HEADER_BYTES + CRC_BYTES)
        return err_set(err, ERR_CORRUPT, "chunk: cut short at %zu bytes", len);
    memcpy(header, bytes, sizeof *header);
    if (memcmp(header->magic, MAGIC, sizeof MAGIC) != 0)
        return err_set(err, ERR_CORRUPT, "chunk: does not begin with its magic");
    uint32_t crc;
    memcpy(&crc, bytes + len - CRC_BYTES, sizeof crc);
    if (crc != crc_of(bytes, len - CRC_BYTES))
        return err_set(err, ERR_CORRUPT, "chunk: checksum does not match");
    if (header->count == 0 || header->count > CHUNK_SAMPLES_MAX ||
        header->raw_len > RAW_MAX || header->times_len >= header->raw_len ||
        header->zero != 0 || header->first_ms < TIME_MIN_MS ||
        header->first_ms > TIME_MAX_MS)
        return err_set(err, ERR_CORRUPT, "chunk: bad header");
    return 0;
}

int chunk_count(const void *bytes, size_t len, size_t *count, struct err *err)
{
    struct header header;
    if (check(bytes, len, &header, err))
        return -1;
    *count = header.count;
    return 0;
}

int chunk_decode(struct chunk_coder *coder, uint32_t series, const void *bytes,
                 size_t len, struct sample *out, size_t count, struct err *err)
{
    struct header header;
    if (check(bytes, len, &header, err))
        return -1;
    if (header.series != series)
        return err_set(err, ERR_CORRUPT, "chunk: is of series %u, not %u", header.series,
                       series);
    assert(header.count == count);
    if (!coder->unpack && !(coder->unpack = ZSTD_createDCtx()))
        abort();
    coder->raw.len = 0;
    unsigned char *const raw = chunk_bytes_room(&coder->raw, header.raw_len);
    const size_t got = ZSTD_decompressDCtx(coder->unpack, raw, header.raw_len,
                                           (const unsigned char *)bytes + HEADER_BYTES,
                                           len - HEADER_BYTES - CRC_BYTES);
    if (ZSTD_isError(got) || got != header.raw_len)
        return err_set(err, ERR_CORRUPT, "chunk: does not decompress");
    out[0].time_ms = header.first_ms;
    if (chunk_times_get(raw, header.times_len, out, count, err) ||
        chunk_values_get(raw + header.times_len, header.raw_len - header.times_len, out,
                         count, err))
        return -1;
    for (size_t i = 0; i < count; i++)
        if (isnan(out[i].value))
            return err_set(err, ERR_CORRUPT, "chunk: value %zu makes no sense", i);
    return 0;
}
