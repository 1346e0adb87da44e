/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/batch.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "storage/storage.h"

void batch_samples_reserve(struct batch_samples *samples, size_t cap)
{
    if (cap <= samples->cap)
        return;
    const size_t twice = samples->cap ? 2 * samples->cap : 64;
    samples->cap = cap > twice ? cap : twice;
    samples->id = mem_resize(samples->id, samples->cap, sizeof *samples->id);
    samples->time_ms =
        mem_resize(samples->time_ms, samples->cap, sizeof *samples->time_ms);
    samples->value = mem_resize(samples->value, samples->cap, sizeof *samples->value);
}

void batch_samples_fini(struct batch_samples *samples)
{
    free(samples->id);
    free(samples->time_ms);
    free(samples->value);
    *samples = (struct batch_samples){0};
}

struct store_batch *store_batch_new(void)
{
    return mem_new(1, sizeof(struct store_batch));
}

void store_batch_free(struct store_batch *batch)
{
    if (!batch)
        return;
    nameset_fini(&batch->names);
    free(batch->id);
    batch_samples_fini(&batch->samples);
    free(batch);
}

uint32_t store_batch_series(struct store_batch *batch, const char *name)
{
    const size_t len = strlen(name);
    const uint64_t hash = nameset_hash(name, len);
    const uint32_t known = nameset_find(&batch->names, hash, name);
    return known != NAMESET_NONE ? known : nameset_add(&batch->names, hash, name, len);
}

void store_batch_add(struct store_batch *batch, uint32_t series, int64_t time_ms,
                     double value)
{
    assert(series < batch->names.count);
    /* Refused as a whole at appending: the log could not be read back. */
    if (isnan(value) || time_ms < TIME_MIN_MS || time_ms > TIME_MAX_MS) {
        batch->invalid = true;
        return;
    }
    struct batch_samples *const samples = &batch->samples;
    batch_samples_reserve(samples, samples->count + 1);
    samples->id[samples->count] = series;
    samples->time_ms[samples->count] = time_ms;
    samples->value[samples->count] = value;
    samples->count++;
}

size_t store_batch_size(const struct store_batch *batch)
{
    return batch->samples.count;
}

void store_batch_history(struct store_batch *batch)
{
    batch->history = true;
}
