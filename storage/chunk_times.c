/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/chunk.h"

#include <stdbool.h>

#include "base/time.h"

/*
 *     varint  step_ms, the usual distance
 *     varint  exceptions
 *     varint  x exceptions: regular distances before it
 *     varint  x exceptions: its distance less the step, folded to be positive
 *
 * Columns of the exceptions stand apart, so that in a jittering series the first of
 * them is all zeros.
 */
enum { VARINT_MAX = 10 };

static void put_varint(struct chunk_bytes *out, uint64_t value)
{
    unsigned char *at = chunk_bytes_room(out, VARINT_MAX);
    for (; value >= 0x80; value >>= 7)
        *at++ = (unsigned char)(value | 0x80);
    *at++ = (unsigned char)value;
    out->len = (size_t)(at - out->at);
}

static int64_t distance(const struct sample *samples, size_t i)
{
    return samples[i].time_ms - samples[i - 1].time_ms;
}

/* What more than half of the distances are, where they are (Boyer and Moore's vote);
 * else one of them, and everything is an exception anyway. */
static int64_t usual_step(const struct sample *samples, size_t count)
{
    int64_t step_ms = 0;
    size_t votes = 0;
    for (size_t i = 1; i < count; i++) {
        if (votes == 0)
            step_ms = distance(samples, i);
        if (distance(samples, i) == step_ms)
            votes++;
        else
            votes--;
    }
    return step_ms;
}

void chunk_times_put(struct chunk_bytes *out, const struct sample *samples, size_t count)
{
    const int64_t step_ms = usual_step(samples, count);
    size_t exceptions = 0;
    for (size_t i = 1; i < count; i++)
        exceptions += distance(samples, i) != step_ms;
    put_varint(out, (uint64_t)step_ms);
    put_varint(out, exceptions);
    for (size_t i = 1, since = 1; i < count; i++) {
        if (distance(samples, i) == step_ms)
            continue;
        put_varint(out, i - since);
        since = i + 1;
    }
    for (size_t i = 1; i < count; i++)
        if (distance(samples, i) != step_ms)
            put_varint(out, chunk_fold(distance(samples, i) - step_ms));
}

struct reader {
    const unsigned char *at, *end;
    bool bad;
};

static uint64_t get_varint(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
        const unsigned char byte = *reader->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    reader->bad = true;
    return 0;
}

/* Where the exceptions' second column begins: past as many varints. */
static struct reader skip_varints(struct reader reader, uint64_t count)
{
    while (count > 0 && reader.at < reader.end)
        count -= *reader.at++ < 0x80;
    reader.bad = count > 0;
    return reader;
}

int chunk_times_get(const unsigned char *bytes, size_t len, struct sample *out,
                    size_t count, struct err *err)
{
    struct reader gaps = {bytes, bytes + len, false};
    const uint64_t step_ms = get_varint(&gaps);
    uint64_t exceptions = get_varint(&gaps);
    struct reader changes = skip_varints(gaps, exceptions);
    uint64_t regular = exceptions > 0 ? get_varint(&gaps) : count;
    int64_t time_ms = out[0].time_ms;
    for (size_t i = 1; i < count; i++) {
        uint64_t by = step_ms;
        if (regular-- == 0) {
            by += (uint64_t)chunk_unfold(get_varint(&changes));
            regular = --exceptions > 0 ? get_varint(&gaps) : count;
        }
        const int64_t next_ms = (int64_t)((uint64_t)time_ms + by);
        if (next_ms <= time_ms || next_ms > TIME_MAX_MS || gaps.bad || changes.bad)
            return err_set(err, ERR_CORRUPT, "chunk: time %zu makes no sense", i);
        out[i].time_ms = time_ms = next_ms;
    }
    if (exceptions > 0 || changes.bad || changes.at != changes.end)
        return err_set(err, ERR_CORRUPT, "chunk: times go on after the last");
    return 0;
}
