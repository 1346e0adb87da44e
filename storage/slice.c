/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/slice.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/sql.h"

/* A slice holds the writer up while it is written, so it is small.  Late samples may each
 * fall into a chunk of their own. */
enum { SLICE_SAMPLES = 1 << 16, SLICE_SERIES = 1024, SLICE_CHUNKS = 4096 };

void *list_add(struct list *list, size_t size)
{
    if (list->count == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 64;
        list->at = mem_resize(list->at, list->cap, size);
    }
    return (char *)list->at + size * list->count++;
}

struct slice *slice_new(struct store *store, struct err *err)
{
    struct slice *const slice = mem_new(1, sizeof *slice);
    slice->store = store;
    slice->chunk_samples = store->options.chunk_samples;
    slice->reader = store_reader_take(store, err);
    if (slice->reader && chunk_scan_init(&slice->scan, slice->reader, err) == 0 &&
        rollup_scan_init(&slice->rollups, slice->reader, err) == 0)
        return slice;
    slice_free(slice);
    return NULL;
}

void slice_free(struct slice *slice)
{
    if (!slice)
        return;
    slice_unsettle(slice);
    chunk_scan_fini(&slice->scan);
    rollup_scan_fini(&slice->rollups);
    store_reader_give(slice->store, slice->reader);
    chunk_bytes_fini(&slice->bytes);
    chunk_bytes_fini(&slice->rolled);
    free(slice->fresh.at);
    free(slice->old.at);
    free(slice->both.at);
    free(slice->windows.at);
    free(slice->chunks.at);
    free(slice->replaced.at);
    free(slice->unread.at);
    free(slice->ids.at);
    free(slice->rows.at);
    free(slice->settled.at);
    free(slice->merged);
    batch_samples_fini(&slice->carry);
    batch_blob_fini(&slice->blob);
    free(slice);
}

bool slice_full(const struct slice *slice)
{
    return slice->samples >= SLICE_SAMPLES || slice->ids.count >= SLICE_SERIES ||
           slice->chunks.count >= SLICE_CHUNKS;
}

/* ---- what becomes chunks --------------------------------------------------------- */

static void add_chunk(struct slice *slice, uint32_t id, const struct sample *samples,
                      size_t count)
{
    size_t len;
    const void *const encoded = chunk_encode(slice->scan.coder, id, samples, count, &len);
    struct new_chunk *const chunk = list_add(&slice->chunks, sizeof *chunk);
    *chunk = (struct new_chunk){
        .row = {.series = id,
                .samples = (uint32_t)count,
                .first_ms = samples[0].time_ms,
                .last_ms = samples[count - 1].time_ms,
                .last = samples[count - 1].value,
                .rolled = rollup_make(&slice->fresh, samples, count)},
        .offset = slice->bytes.len,
        .len = len,
    };
    memcpy(chunk_bytes_room(&slice->bytes, len), encoded, len);
    slice->bytes.len += len;
}

/* Chunks of nearly the same size, none more than half as large again as is usual. */
static void add_chunks(struct slice *slice, uint32_t id, const struct sample *samples,
                       size_t count)
{
    const size_t usual = slice->chunk_samples;
    const size_t parts = count < usual ? 1 : (count + usual / 2) / usual;
    for (size_t p = 0; p < parts; p++) {
        const size_t from = count * p / parts, to = count * (p + 1) / parts;
        if (to > from)
            add_chunk(slice, id, samples + from, to - from);
    }
}

/* The union of a chunk and newer samples, which win. */
static size_t merge(struct slice *slice, const struct sample *chunk, size_t chunk_count,
                    const struct sample *newer, size_t newer_count)
{
    if (chunk_count + newer_count > slice->merged_cap) {
        slice->merged_cap = chunk_count + newer_count;
        slice->merged =
            mem_resize(slice->merged, slice->merged_cap, sizeof *slice->merged);
    }
    size_t c = 0, n = 0, count = 0;
    while (c < chunk_count || n < newer_count) {
        const bool take_newer =
            c == chunk_count || (n < newer_count && newer[n].time_ms <= chunk[c].time_ms);
        if (take_newer && c < chunk_count && newer[n].time_ms == chunk[c].time_ms)
            c++;
        slice->merged[count++] = take_newer ? newer[n++] : chunk[c++];
    }
    return count;
}

/* Samples of the head that belong to one chunk: from its first instant to the next
 * chunk's, or, where there is none, from the beginning on. */
struct group {
    const struct chunk_row *chunk; /* NULL: none */
    const struct sample *samples;
    size_t count;
    bool tail;    /* no chunk comes after it */
    bool squeeze; /* leave nothing in the head */
};

/* How many of the newest stay in the head, so that the last chunk is a full one. */
static size_t staying(const struct slice *slice, const struct group *group, size_t total,
                      size_t newer)
{
    if (!group->tail || group->squeeze)
        return 0;
    const size_t beyond = total % slice->chunk_samples;
    return beyond < newer ? beyond : newer;
}

/* A chunk is opened again for what falls into it, for a beginning that is not full yet,
 * and for a few samples that would make a tiny one. */
static bool opens_chunk(const struct slice *slice, const struct group *group)
{
    const struct chunk_row *const chunk = group->chunk;
    return chunk && (group->samples[0].time_ms <= chunk->last_ms ||
                     chunk->samples < slice->chunk_samples ||
                     (!group->tail && group->count < slice->chunk_samples / 2));
}

static void carry(struct slice *slice, uint32_t id, const struct sample *samples,
                  size_t count)
{
    struct batch_samples *const all = &slice->carry;
    batch_samples_reserve(all, all->count + count);
    for (size_t i = 0; i < count; i++, all->count++) {
        all->id[all->count] = id;
        all->time_ms[all->count] = samples[i].time_ms;
        all->value[all->count] = samples[i].value;
    }
}

/* A chunk that cannot be read stays as it is, and what falls into it in the head; what
 * lies around it must not stay for ever. */
static ssize_t add_around(struct slice *slice, uint32_t id, const struct group *group)
{
    const struct sample *const samples = group->samples;
    const size_t from = samples_before(samples, group->count, group->chunk->first_ms);
    const size_t to = samples_before(samples, group->count, group->chunk->last_ms + 1);
    const size_t after = group->count - to;
    const size_t stay = staying(slice, group, after, after);
    add_chunks(slice, id, samples, from);
    carry(slice, id, samples + from, to - from);
    add_chunks(slice, id, samples + to, after - stay);
    return (ssize_t)stay;
}

/* How many of the group's newest samples stay, or -1. */
static ssize_t add_group(struct slice *slice, uint32_t id, const struct group *group,
                         struct err *err)
{
    if (group->count == 0)
        return 0;
    if (!opens_chunk(slice, group)) {
        const size_t stay = staying(slice, group, group->count, group->count);
        add_chunks(slice, id, group->samples, group->count - stay);
        return (ssize_t)stay;
    }
    struct err failure = {0};
    slice->scan.row = *group->chunk;
    if (chunk_scan_decode(&slice->scan, &failure)) {
        if (!sql_unreadable(&failure))
            return err_copy(err, &failure);
        compactor_pass_by(slice->store, id, &failure);
        *(int64_t *)list_add(&slice->unread, sizeof(int64_t)) = group->chunk->data;
        return add_around(slice, id, group);
    }
    const size_t total = merge(slice, slice->scan.sample, group->chunk->samples,
                               group->samples, group->count);
    size_t newer = 0;
    while (newer < group->count &&
           group->samples[group->count - 1 - newer].time_ms > group->chunk->last_ms)
        newer++;
    const size_t stay = staying(slice, group, total, newer);
    if (stay == group->count)
        return (ssize_t)stay; /* not enough for a chunk yet */
    *(struct chunk_row *)list_add(&slice->replaced, sizeof(struct chunk_row)) =
        *group->chunk;
    add_chunks(slice, id, slice->merged, total - stay);
    return (ssize_t)stay;
}

static int load_rows(struct slice *slice, uint32_t id, int64_t from_ms, int64_t to_ms,
                     struct err *err)
{
    int status;
    slice->rows.count = 0;
    chunk_scan_seek(&slice->scan, id, from_ms, to_ms);
    while ((status = chunk_scan_next(&slice->scan, err)) == 1)
        *(struct chunk_row *)list_add(&slice->rows, sizeof(struct chunk_row)) =
            slice->scan.row;
    return status;
}

static ssize_t add_groups(struct slice *slice, uint32_t id, const struct sample *samples,
                          size_t count, bool squeeze, struct err *err)
{
    const struct chunk_row *const row = slice->rows.at;
    const size_t rows = slice->rows.count;
    size_t at = 0;
    ssize_t stay = 0;
    for (size_t r = 0; r <= rows && stay >= 0; r++) {
        /* Round r ends where chunk r begins; its samples are those of chunk r - 1. */
        size_t end = at;
        while (end < count && (r == rows || samples[end].time_ms < row[r].first_ms))
            end++;
        /* A few before the first chunk go into it. */
        if (r == 0 && rows > 0 && end < slice->chunk_samples / 2)
            continue;
        const struct group group = {
            .chunk = r > 0 ? &row[r - 1] : NULL,
            .samples = samples + at,
            .count = end - at,
            .tail = r == rows,
            .squeeze = squeeze,
        };
        stay = add_group(slice, id, &group, err);
        at = end;
    }
    return stay;
}

/* Where a chunk's row cannot be read nobody knows what goes into it: all stays in the
 * head. */
static int add_samples(struct slice *slice, uint32_t id, const struct sample *samples,
                       size_t count, bool squeeze, struct err *err)
{
    const size_t chunks = slice->chunks.count, replaced = slice->replaced.count;
    const size_t bytes = slice->bytes.len;
    const size_t carried = slice->carry.count;
    struct err failure = {0};
    ssize_t stay = -1;
    slice->fresh.count = 0;
    if (load_rows(slice, id, samples[0].time_ms, INT64_MAX, &failure) == 0)
        stay = add_groups(slice, id, samples, count, squeeze, &failure);
    if (stay >= 0 && slice_roll(slice, id, chunks, replaced, err))
        return -1;
    if (stay < 0) {
        if (!sql_unreadable(&failure))
            return err_copy(err, &failure);
        compactor_pass_by(slice->store, id, &failure);
        slice->chunks.count = chunks;
        slice->replaced.count = replaced;
        slice->bytes.len = bytes;
        slice->carry.count = carried;
        stay = (ssize_t)count;
    }
    if (slice->chunks.count > chunks)
        *(uint32_t *)list_add(&slice->ids, sizeof(uint32_t)) = id;
    carry(slice, id, samples + count - (size_t)stay, (size_t)stay);
    return 0;
}

int slice_add(struct slice *slice, uint32_t id, size_t threshold,
              int64_t squeeze_before_ms, struct err *err)
{
    struct sample *samples;
    size_t count;
    struct head_chunks chunks;
    if (head_read(&slice->store->head, id, &samples, &count, &chunks, err))
        return -1;
    int status = 0;
    const bool old = count > 0 && samples[0].time_ms < squeeze_before_ms;
    const bool squeeze = old || threshold < slice->chunk_samples;
    if (old || count >= threshold)
        status = add_samples(slice, id, samples, count, squeeze, err);
    else
        carry(slice, id, samples, count);
    slice->samples += count;
    free(samples);
    return status;
}
