/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/batch.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/time.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "columns are copied as they lie");

enum { HEADER_BYTES = 32, CRC_BYTES = 4 };

struct header {
    char magic[4];
    uint32_t count;
    int64_t arrived_ms, base_ms;
    uint32_t offset_bytes, zero;
};
static_assert(sizeof(struct header) == HEADER_BYTES, "no padding");

static const char MAGIC[4] = {'f', 'w', 'b', '1'};

static uint64_t encoded_len(uint64_t count, uint32_t offset_bytes)
{
    return HEADER_BYTES + count * (4 + offset_bytes + 8) + CRC_BYTES;
}

static uint32_t crc_of(const unsigned char *bytes, size_t len)
{
    return (uint32_t)crc32_z(0, bytes, len);
}

/* Four bytes span 49 days, which is every batch but a long import. */
static void put_times(unsigned char *to, const int64_t *time_ms, size_t count,
                      int64_t base_ms, uint32_t offset_bytes)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t offset = (uint64_t)time_ms[i] - (uint64_t)base_ms;
        memcpy(to + i * offset_bytes, &offset, offset_bytes);
    }
}

void batch_encode(const struct batch_samples *samples, int64_t arrived_ms,
                  struct batch_blob *out)
{
    const size_t count = samples->count;
    assert(count > 0 && count <= UINT32_MAX);
    int64_t least = samples->time_ms[0], most = least;
    for (size_t i = 1; i < count; i++) {
        const int64_t time_ms = samples->time_ms[i];
        least = time_ms < least ? time_ms : least;
        most = time_ms > most ? time_ms : most;
    }
    const struct header header = {
        .magic = {MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3]},
        .count = (uint32_t)count,
        .arrived_ms = arrived_ms,
        .base_ms = least,
        .offset_bytes = (uint64_t)most - (uint64_t)least <= UINT32_MAX ? 4 : 8,
    };
    out->len = encoded_len(count, header.offset_bytes);
    if (out->len > out->cap) {
        out->cap = out->len;
        out->bytes = mem_resize(out->bytes, out->cap, 1);
    }
    unsigned char *at = out->bytes;
    memcpy(at, &header, sizeof header);
    at += sizeof header;
    memcpy(at, samples->id, count * 4);
    at += count * 4;
    put_times(at, samples->time_ms, count, least, header.offset_bytes);
    at += count * header.offset_bytes;
    memcpy(at, samples->value, count * 8);
    at += count * 8;
    const uint32_t crc = crc_of(out->bytes, out->len - CRC_BYTES);
    memcpy(at, &crc, CRC_BYTES);
}

void batch_blob_fini(struct batch_blob *blob)
{
    free(blob->bytes);
    *blob = (struct batch_blob){0};
}

static int check_form(const unsigned char *bytes, size_t len, struct header *header,
                      struct err *err)
{
    if (len < HEADER_BYTES + CRC_BYTES)
        return err_set(err, ERR_CORRUPT, "batch: cut short at %zu bytes", len);
    memcpy(header, bytes, sizeof *header);
    if (memcmp(header->magic, MAGIC, sizeof MAGIC) != 0)
        return err_set(err, ERR_CORRUPT, "batch: does not begin with its magic");
    if ((header->offset_bytes != 4 && header->offset_bytes != 8) || header->zero != 0)
        return err_set(err, ERR_CORRUPT, "batch: bad header");
    if (encoded_len(header->count, header->offset_bytes) != len)
        return err_set(err, ERR_CORRUPT, "batch: %u samples do not take %zu bytes",
                       header->count, len);
    return 0;
}

static int check(const unsigned char *bytes, size_t len, struct header *header,
                 struct err *err)
{
    if (check_form(bytes, len, header, err))
        return -1;
    uint32_t crc;
    memcpy(&crc, bytes + len - CRC_BYTES, sizeof crc);
    if (crc != crc_of(bytes, len - CRC_BYTES))
        return err_set(err, ERR_CORRUPT, "batch: checksum does not match");
    return 0;
}

/* The checksum says what was written; this says that it makes sense, so that nothing
 * behind it needs to ask. */
static bool plausible(const struct batch_samples *samples, size_t i)
{
    return samples->id[i] > 0 && samples->time_ms[i] >= TIME_MIN_MS &&
           samples->time_ms[i] <= TIME_MAX_MS && !isnan(samples->value[i]);
}

int batch_decode(const void *bytes, size_t len, struct batch_samples *out,
                 int64_t *arrived_ms, struct err *err)
{
    struct header header;
    out->count = 0;
    if (check(bytes, len, &header, err))
        return -1;
    const size_t count = header.count;
    batch_samples_reserve(out, count);
    const unsigned char *const ids = (const unsigned char *)bytes + HEADER_BYTES;
    const unsigned char *const times = ids + count * 4;
    if (count > 0) {
        memcpy(out->id, ids, count * 4);
        memcpy(out->value, times + count * header.offset_bytes, count * 8);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t offset = 0;
        memcpy(&offset, times + i * header.offset_bytes, header.offset_bytes);
        out->time_ms[i] = (int64_t)((uint64_t)header.base_ms + offset);
        if (!plausible(out, i))
            return err_set(err, ERR_CORRUPT, "batch: sample %zu makes no sense", i);
    }
    out->count = count;
    *arrived_ms = header.arrived_ms;
    return 0;
}

void batch_count_ids(const void *bytes, size_t len, uint32_t last, uint32_t *count)
{
    struct header header;
    if (check_form(bytes, len, &header, NULL))
        return;
    const unsigned char *const ids = (const unsigned char *)bytes + HEADER_BYTES;
    for (size_t i = 0; i < header.count; i++) {
        uint32_t id;
        memcpy(&id, ids + i * sizeof id, sizeof id);
        if (id <= last)
            count[id]++;
    }
}
