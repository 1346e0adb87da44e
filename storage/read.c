/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/sql.h"

static int series_id(struct store *store, const char *name, uint32_t *id, struct err *err)
{
    *id = index_find(&store->index, name);
    return *id ? 0 : err_set(err, ERR_NOT_FOUND, "series: %s not found", name);
}

int store_series(struct store *store, const char *name, struct store_series *out,
                 struct err *err)
{
    uint32_t id;
    if (series_id(store, name, &id, err))
        return -1;
    head_series(&store->head, id, out);
    return 0;
}

/* ---- head and chunks ------------------------------------------------------------ */

/* A growing list. */
struct samples {
    struct sample *at;
    size_t count, cap;
};

static int samples_add(struct samples *list, const struct sample *from, size_t count,
                       struct err *err)
{
    if (list->count + count > list->cap) {
        const size_t cap = 2 * list->cap + count;
        struct sample *const grown = realloc(list->at, cap * sizeof *grown);
        if (!grown)
            return err_set(err, ERR_NO_MEMORY, "samples: no memory for %zu", cap);
        list->at = grown;
        list->cap = cap;
    }
    if (count > 0)
        memcpy(list->at + list->count, from, count * sizeof *from);
    list->count += count;
    return 0;
}

/* What the chunks of a series hold in [from_ms, to_ms), at most limit (0: all). */
static int read_chunks(struct chunk_scan *scan, uint32_t id, int64_t from_ms,
                       int64_t to_ms, size_t limit, struct samples *out, struct err *err)
{
    int status = 0;
    chunk_scan_seek(scan, id, from_ms, to_ms);
    while ((limit == 0 || out->count < limit) &&
           (status = chunk_scan_next(scan, err)) == 1) {
        const struct chunk_row *const row = &scan->row;
        if (row->last_ms < from_ms)
            continue;
        if (chunk_scan_decode(scan, err))
            return -1;
        size_t begin = 0, end = row->samples;
        while (begin < end && scan->sample[begin].time_ms < from_ms)
            begin++;
        while (end > begin && scan->sample[end - 1].time_ms >= to_ms)
            end--;
        if (samples_add(out, scan->sample + begin, end - begin, err))
            return -1;
    }
    return status < 0 ? -1 : 0;
}

/* Both sorted; at one instant the head's counts, which came later. */
static int merge(const struct samples *chunks, const struct sample *head, size_t count,
                 struct samples *out, struct err *err)
{
    size_t c = 0, h = 0;
    while (c < chunks->count || h < count) {
        const bool from_head =
            c == chunks->count || (h < count && head[h].time_ms <= chunks->at[c].time_ms);
        if (from_head && c < chunks->count && head[h].time_ms == chunks->at[c].time_ms)
            c++;
        if (samples_add(out, from_head ? &head[h++] : &chunks->at[c++], 1, err))
            return -1;
    }
    return 0;
}

/*
 * The head is copied before the chunks are read: what the compactor moves meanwhile is
 * then seen twice, never not at all.
 */
static int read_samples(struct store *store, uint32_t id, int64_t from_ms, int64_t to_ms,
                        size_t limit, struct sample **samples, size_t *count,
                        struct err *err)
{
    struct head_chunks held;
    if (head_read(&store->head, id, from_ms, to_ms, limit, samples, count, &held, err))
        return -1;
    if (held.samples == 0 || from_ms > held.last_ms || to_ms <= held.first_ms ||
        from_ms >= to_ms)
        return 0;
    struct samples chunks = {0}, both = {0};
    struct chunk_scan scan = {0};
    sqlite3 *const db = store_reader_take(store, err);
    int status = db ? chunk_scan_init(&scan, db, err) : -1;
    if (status == 0)
        status = read_chunks(&scan, id, from_ms, to_ms, limit, &chunks, err);
    if (status == 0)
        status = merge(&chunks, *samples, *count, &both, err);
    chunk_scan_fini(&scan);
    store_reader_give(store, db);
    free(chunks.at);
    free(*samples);
    *samples = status == 0 ? both.at : NULL;
    *count = limit > 0 && both.count > limit ? limit : both.count;
    if (status)
        free(both.at);
    return status;
}

/* ---- as of ---------------------------------------------------------------------- */

/* What one instant held before the first revision that came too late. */
struct undo {
    int64_t time_ms;
    bool had_old;
    double old;
};

static int read_undos(struct store *store, uint32_t id, int64_t from_ms, int64_t to_ms,
                      int64_t as_of_ms, struct undo **out, size_t *count, struct err *err)
{
    sqlite3 *const db = store_reader_take(store, err);
    if (!db)
        return -1;
    sqlite3_stmt *const stmt =
        sql_query(db, err,
                  "SELECT time_ms, old_bits FROM revisions WHERE series = ? AND "
                  "time_ms >= ? AND time_ms < ? AND arrived_ms > ? ORDER BY time_ms, id",
                  "iiii", (int64_t)id, from_ms, to_ms, as_of_ms);
    size_t cap = 0;
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        const int64_t time_ms = sqlite3_column_int64(stmt, 0);
        if (*count > 0 && (*out)[*count - 1].time_ms == time_ms)
            continue; /* the first one tells */
        if (*count == cap) {
            cap = cap ? 2 * cap : 16;
            *out = mem_resize(*out, cap, sizeof **out);
        }
        const int64_t bits = sqlite3_column_int64(stmt, 1);
        struct undo *const undo = &(*out)[(*count)++];
        undo->time_ms = time_ms;
        undo->had_old = sqlite3_column_type(stmt, 1) != SQLITE_NULL;
        memcpy(&undo->old, &bits, sizeof bits);
    }
    sqlite3_finalize(stmt);
    store_reader_give(store, db);
    return status;
}

/*
 * Both lists are sorted by time and every undone instant is among the samples, but for
 * one: a revision that was committed after the samples were read.  It is skipped, since
 * undoing it would change nothing.
 */
static size_t undo_all(struct sample *samples, size_t count, const struct undo *undo,
                       size_t undo_count)
{
    size_t kept = 0, u = 0;
    for (size_t i = 0; i < count; i++) {
        struct sample sample = samples[i];
        while (u < undo_count && undo[u].time_ms < sample.time_ms)
            u++;
        if (u < undo_count && undo[u].time_ms == sample.time_ms) {
            if (!undo[u].had_old)
                continue;
            sample.value = undo[u].old;
        }
        samples[kept++] = sample;
    }
    return kept;
}

int store_read(struct store *store, const char *name, int64_t from_ms, int64_t to_ms,
               int64_t as_of_ms, size_t limit, struct sample **samples, size_t *count,
               struct err *err)
{
    uint32_t id;
    if (series_id(store, name, &id, err))
        return -1;
    if (as_of_ms == AS_OF_NOW)
        return read_samples(store, id, from_ms, to_ms, limit, samples, count, err);
    const int64_t end_ms = to_ms > as_of_ms ? as_of_ms + 1 : to_ms;
    struct undo *undo = NULL;
    size_t undo_count = 0;
    if (read_samples(store, id, from_ms, end_ms, 0, samples, count, err))
        return -1;
    const int status =
        read_undos(store, id, from_ms, end_ms, as_of_ms, &undo, &undo_count, err);
    if (status == 0) {
        *count = undo_all(*samples, *count, undo, undo_count);
        *count = limit > 0 && *count > limit ? limit : *count;
    } else {
        free(*samples);
        *samples = NULL;
    }
    free(undo);
    return status;
}
