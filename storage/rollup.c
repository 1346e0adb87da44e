/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/rollup.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"
#include "base/time.h"

enum { HEADER_BYTES = 16, CRC_BYTES = 4, ZSTD_LEVEL = 3 };
enum { NUMBERS = 3, VALUES = 8, SUMMARY_BYTES = NUMBERS * 4 + VALUES * 8 };

/* More than a window can have: an hour has this many chunks at most. */
enum { SUMMARIES_MAX = 1 << 20 };

static const int64_t window_ms = (int64_t)ROLLUP_HOURS * ROLLUP_HOUR_MS;

struct header {
    char magic[4];
    uint32_t series, window, count;
};
static_assert(sizeof(struct header) == HEADER_BYTES, "no padding");

static const char MAGIC[4] = {'f', 'w', 'r', '1'};

struct rollup_coder {
    ZSTD_CCtx *pack; /* made when first needed */
    ZSTD_DCtx *unpack;
    struct chunk_bytes raw, packed;
};

void summaries_put(struct summaries *list, const struct summary *summary)
{
    if (list->count == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 64;
        list->at = mem_resize(list->at, list->cap, sizeof *list->at);
    }
    list->at[list->count++] = *summary;
}

/* ---- which hours ------------------------------------------------------------------- */

static int64_t first_window(void)
{
    return grid_floor_ms(TIME_MIN_MS, window_ms);
}

uint32_t rollup_window(int64_t time_ms)
{
    const int64_t clamped = time_ms < TIME_MIN_MS   ? TIME_MIN_MS
                            : time_ms > TIME_MAX_MS ? TIME_MAX_MS
                                                    : time_ms;
    return (uint32_t)((clamped - first_window()) / window_ms);
}

int64_t rollup_begin_ms(uint32_t window)
{
    return first_window() + window * window_ms;
}

bool rollup_make(struct summaries *out, const struct sample *samples, size_t count)
{
    const size_t before = out->count;
    int64_t end_ms = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        if (samples[i].time_ms >= end_ms) {
            end_ms = grid_floor_ms(samples[i].time_ms, ROLLUP_HOUR_MS) + ROLLUP_HOUR_MS;
            if (count < ROLLUP_DENSE * (out->count - before + 1)) {
                out->count = before;
                return false;
            }
            summaries_put(out, &(struct summary){0});
        }
        summary_add(&out->at[out->count - 1], samples[i]);
    }
    return true;
}

/* ---- coding ------------------------------------------------------------------------ */

struct rollup_coder *rollup_coder_new(void)
{
    return mem_new(1, sizeof(struct rollup_coder));
}

void rollup_coder_free(struct rollup_coder *coder)
{
    if (!coder)
        return;
    ZSTD_freeCCtx(coder->pack);
    ZSTD_freeDCtx(coder->unpack);
    chunk_bytes_fini(&coder->raw);
    chunk_bytes_fini(&coder->packed);
    free(coder);
}

static const size_t VALUE[VALUES] = {
    offsetof(struct summary, first), offsetof(struct summary, last),
    offsetof(struct summary, least), offsetof(struct summary, most),
    offsetof(struct summary, sum),   offsetof(struct summary, sum_low),
    offsetof(struct summary, rise),  offsetof(struct summary, rise_low),
};

static void put_columns(unsigned char *raw, const struct summary *summary, size_t count,
                        int64_t begin_ms)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t number[NUMBERS] = {(uint32_t)(summary[i].first_ms - begin_ms),
                                          (uint32_t)(summary[i].last_ms - begin_ms),
                                          summary[i].count};
        for (size_t k = 0; k < NUMBERS; k++)
            memcpy(raw + 4 * (k * count + i), &number[k], 4);
    }
    unsigned char *const values = raw + 4 * NUMBERS * count;
    for (size_t k = 0; k < VALUES; k++)
        for (size_t i = 0; i < count; i++)
            memcpy(values + 8 * (k * count + i), (const char *)&summary[i] + VALUE[k], 8);
}

static void get_columns(const unsigned char *raw, struct summary *summary, size_t count,
                        int64_t begin_ms)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t number[NUMBERS];
        for (size_t k = 0; k < NUMBERS; k++)
            memcpy(&number[k], raw + 4 * (k * count + i), 4);
        summary[i].first_ms = begin_ms + number[0];
        summary[i].last_ms = begin_ms + number[1];
        summary[i].count = number[2];
    }
    const unsigned char *const values = raw + 4 * NUMBERS * count;
    for (size_t k = 0; k < VALUES; k++)
        for (size_t i = 0; i < count; i++)
            memcpy((char *)&summary[i] + VALUE[k], values + 8 * (k * count + i), 8);
}

const void *rollup_encode(struct rollup_coder *coder, uint32_t series, uint32_t window,
                          const struct summary *summaries, size_t count, size_t *len)
{
    assert(count > 0 && count <= SUMMARIES_MAX);
    struct chunk_bytes *const raw = &coder->raw, *const packed = &coder->packed;
    raw->len = packed->len = 0;
    const size_t raw_len = SUMMARY_BYTES * count, bound = ZSTD_compressBound(raw_len);
    put_columns(chunk_bytes_room(raw, raw_len), summaries, count,
                rollup_begin_ms(window));
    if (!coder->pack && !(coder->pack = ZSTD_createCCtx()))
        abort(); /* as mem_new() would */
    unsigned char *const at = chunk_bytes_room(packed, HEADER_BYTES + bound + CRC_BYTES);
    const struct header header = {
        {MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3]}, series, window, (uint32_t)count};
    memcpy(at, &header, sizeof header);
    const size_t got = ZSTD_compressCCtx(coder->pack, at + HEADER_BYTES, bound, raw->at,
                                         raw_len, ZSTD_LEVEL);
    assert(!ZSTD_isError(got));
    const uint32_t crc = (uint32_t)crc32_z(0, at, HEADER_BYTES + got);
    memcpy(at + HEADER_BYTES + got, &crc, CRC_BYTES);
    *len = HEADER_BYTES + got + CRC_BYTES;
    return at;
}

/* In order of time, apart, each inside one hour of its window, with something in it. */
static bool sensible(const struct summary *summary, size_t count, uint32_t window)
{
    const int64_t begin_ms = rollup_begin_ms(window);
    int64_t after_ms = begin_ms - 1;
    for (size_t i = 0; i < count; i++) {
        const struct summary *const s = &summary[i];
        if (s->count == 0 || s->first_ms <= after_ms || s->last_ms < s->first_ms ||
            s->last_ms >= begin_ms + window_ms ||
            (s->first_ms - begin_ms) / ROLLUP_HOUR_MS !=
                (s->last_ms - begin_ms) / ROLLUP_HOUR_MS ||
            isnan(s->first) || isnan(s->last) || isnan(s->least) || isnan(s->most))
            return false;
        after_ms = s->last_ms;
    }
    return true;
}

int rollup_decode(struct rollup_coder *coder, uint32_t series, uint32_t window,
                  const void *bytes, size_t len, struct summaries *out, struct err *err)
{
    struct header header;
    uint32_t crc;
    if (len < HEADER_BYTES + CRC_BYTES)
        return err_set(err, ERR_CORRUPT, "roll-up: cut short at %zu bytes", len);
    const unsigned char *const at = bytes;
    memcpy(&header, at, sizeof header);
    memcpy(&crc, at + len - CRC_BYTES, sizeof crc);
    if (memcmp(header.magic, MAGIC, sizeof MAGIC) != 0)
        return err_set(err, ERR_CORRUPT, "roll-up: does not begin with its magic");
    if (crc != (uint32_t)crc32_z(0, at, len - CRC_BYTES))
        return err_set(err, ERR_CORRUPT, "roll-up: checksum does not match");
    if (header.series != series || header.window != window || header.count == 0 ||
        header.count > SUMMARIES_MAX)
        return err_set(err, ERR_CORRUPT, "roll-up: bad header");
    if (!coder->unpack && !(coder->unpack = ZSTD_createDCtx()))
        abort();
    const size_t raw_len = (size_t)SUMMARY_BYTES * header.count;
    coder->raw.len = 0;
    unsigned char *const raw = chunk_bytes_room(&coder->raw, raw_len);
    if (ZSTD_decompressDCtx(coder->unpack, raw, raw_len, at + HEADER_BYTES,
                            len - HEADER_BYTES - CRC_BYTES) != raw_len)
        return err_set(err, ERR_CORRUPT, "roll-up: does not decompress");
    if (out->count + header.count > out->cap) {
        out->cap = 2 * (out->count + header.count);
        out->at = mem_resize(out->at, out->cap, sizeof *out->at);
    }
    struct summary *const to = out->at + out->count;
    get_columns(raw, to, header.count, rollup_begin_ms(window));
    if (!sensible(to, header.count, window))
        return err_set(err, ERR_CORRUPT, "roll-up: makes no sense");
    out->count += header.count;
    return 0;
}
