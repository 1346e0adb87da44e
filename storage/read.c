/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/read.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/sql.h"

int series_id(struct store *store, const char *name, uint32_t *id, struct err *err)
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
    head_series(&store->head, &id, 1, out);
    return 0;
}

void store_series_many(struct store *store, char *const *names, size_t count,
                       struct store_series *out)
{
    uint32_t *const ids = mem_new(count, sizeof *ids);
    index_find_many(&store->index, names, count, ids);
    head_series(&store->head, ids, count, out);
    free(ids);
}

/* ---- head and chunks ------------------------------------------------------------ */

int reader_begin(struct reader *reader, struct store *store, const struct read_wish *wish,
                 struct err *err)
{
    *reader = (struct reader){.store = store, .wish = *wish};
    struct read_wish *const own = &reader->wish;
    const bool now = own->as_of_ms == AS_OF_NOW;
    if (!now && own->to_ms > own->as_of_ms)
        own->to_ms = own->as_of_ms + 1;
    /* What is undone makes room below the limit. */
    return head_copy(&store->head, own->ids, own->count, own->from_ms, own->to_ms,
                     now ? own->limit : 0, &reader->head, err);
}

static void range_fini(struct range *range)
{
    free(range->chunks.at);
    free(range->both.at);
    free(range->undo);
}

void reader_end(struct reader *reader)
{
    chunk_scan_fini(&reader->scan);
    chunk_scan_fini(&reader->loose);
    rollup_scan_fini(&reader->rollups);
    sqlite3_finalize(reader->revisions);
    if (reader->db && !sqlite3_get_autocommit(reader->db))
        sql_exec(reader->db, "ROLLBACK", NULL);
    store_reader_give(reader->store, reader->db);
    head_copy_fini(&reader->head);
    range_fini(&reader->range);
    range_fini(&reader->inside);
    free(reader->hours.at);
}

int reader_connect(struct reader *reader, struct err *err)
{
    if (reader->db)
        return 0;
    reader->db = store_reader_take(reader->store, err);
    return reader->db && sql_exec(reader->db, "BEGIN", err) == 0 &&
                   chunk_scan_init(&reader->scan, reader->db, err) == 0
               ? 0
               : -1;
}

static int samples_room(struct samples *list, size_t more, struct err *err)
{
    if (list->count + more <= list->cap)
        return 0;
    const size_t cap = 2 * list->cap + more;
    struct sample *const grown = realloc(list->at, cap * sizeof *grown);
    if (!grown)
        return err_set(err, ERR_NO_MEMORY, "samples: no memory for %zu", cap);
    list->at = grown;
    list->cap = cap;
    return 0;
}

/* What the chunks of a series hold in [from_ms, to_ms), at most limit (0: all). */
static int read_chunks(struct chunk_scan *scan, uint32_t id, int64_t from_ms,
                       int64_t to_ms, size_t limit, struct samples *out, struct err *err)
{
    int status = 0;
    out->count = 0;
    chunk_scan_seek(scan, id, from_ms, to_ms);
    while ((limit == 0 || out->count < limit) &&
           (status = chunk_scan_next(scan, err)) == 1) {
        const struct chunk_row *const row = &scan->row;
        if (row->last_ms < from_ms)
            continue;
        if (chunk_scan_decode(scan, err) || samples_room(out, row->samples, err))
            return -1;
        size_t begin = 0, end = row->samples;
        while (begin < end && scan->sample[begin].time_ms < from_ms)
            begin++;
        while (end > begin && scan->sample[end - 1].time_ms >= to_ms)
            end--;
        memcpy(out->at + out->count, scan->sample + begin,
               (end - begin) * sizeof *out->at);
        out->count += end - begin;
    }
    return status < 0 ? -1 : 0;
}

/* Both sorted; at one instant the head's counts, which came later. */
static int merge(const struct samples *chunks, const struct samples *head,
                 struct samples *out, struct err *err)
{
    if (samples_room(out, chunks->count + head->count, err))
        return -1;
    struct sample *to = out->at;
    const struct sample *c = chunks->at, *h = head->at;
    const struct sample *const c_end = c + chunks->count, *const h_end = h + head->count;
    while (c < c_end && h < h_end) {
        const bool from_head = h->time_ms <= c->time_ms;
        c += from_head && h->time_ms == c->time_ms;
        *to++ = from_head ? *h++ : *c++;
    }
    while (c < c_end)
        *to++ = *c++;
    while (h < h_end)
        *to++ = *h++;
    out->count = (size_t)(to - out->at);
    return 0;
}

/* ---- as of ---------------------------------------------------------------------- */

static int read_undos(struct reader *reader, uint32_t id, int64_t from_ms, int64_t to_ms,
                      struct range *range, struct err *err)
{
    if (reader_connect(reader, err))
        return -1;
    if (!reader->revisions &&
        !(reader->revisions = sql_query(
              reader->db, err,
              "SELECT time_ms, old_bits FROM revisions WHERE series = ? AND "
              "time_ms >= ? AND time_ms < ? AND arrived_ms > ? ORDER BY time_ms, id",
              "")))
        return -1;
    sqlite3_stmt *const stmt = reader->revisions;
    sqlite3_bind_int64(stmt, 1, id);
    sqlite3_bind_int64(stmt, 2, from_ms);
    sqlite3_bind_int64(stmt, 3, to_ms);
    sqlite3_bind_int64(stmt, 4, reader->wish.as_of_ms);
    int status;
    while ((status = sql_step(stmt, err)) == 1) {
        const int64_t time_ms = sqlite3_column_int64(stmt, 0);
        if (range->undo_count > 0 &&
            range->undo[range->undo_count - 1].time_ms == time_ms)
            continue; /* the first one tells */
        if (range->undo_count == range->undo_cap) {
            range->undo_cap = range->undo_cap ? 2 * range->undo_cap : 16;
            range->undo = mem_resize(range->undo, range->undo_cap, sizeof *range->undo);
        }
        const int64_t bits = sqlite3_column_int64(stmt, 1);
        struct undo *const undo = &range->undo[range->undo_count++];
        undo->time_ms = time_ms;
        undo->had_old = sqlite3_column_type(stmt, 1) != SQLITE_NULL;
        memcpy(&undo->old, &bits, sizeof bits);
    }
    sqlite3_reset(stmt);
    return status;
}

/*
 * Both lists are sorted by time.  An undone instant may be among none of the samples: one
 * of a rolled chunk where only loose ones were read, or of a revision that was committed
 * after the head was copied, which undoing would not change.
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

/* The part of the head's copy of series i in [from_ms, to_ms). */
static struct samples head_part(const struct reader *reader, size_t i, int64_t from_ms,
                                int64_t to_ms)
{
    const size_t first = i > 0 ? reader->head.end[i - 1] : 0;
    const size_t count = reader->head.end[i] - first;
    struct sample *const sample = reader->head.sample + first;
    const size_t begin = samples_before(sample, count, from_ms);
    const size_t end = samples_before(sample, count, to_ms);
    return (struct samples){sample + begin, end > begin ? end - begin : 0, 0};
}

int reader_range(struct reader *reader, size_t i, struct chunk_scan *scan,
                 int64_t from_ms, int64_t to_ms, struct range *range, struct samples *out,
                 struct err *err)
{
    const struct read_wish *const wish = &reader->wish;
    const struct head_chunks *const held = &reader->head.chunks[i];
    const bool now = wish->as_of_ms == AS_OF_NOW;
    const struct samples head = head_part(reader, i, from_ms, to_ms);
    range->chunks.count = range->both.count = range->undo_count = 0;
    *out = head;
    if (from_ms >= to_ms)
        return 0;
    if (held->samples > 0 && from_ms <= held->last_ms && to_ms > held->first_ms &&
        (reader_connect(reader, err) ||
         read_chunks(scan, wish->ids[i], from_ms, to_ms, now ? wish->limit : 0,
                     &range->chunks, err)))
        return -1;
    if (!now && read_undos(reader, wish->ids[i], from_ms, to_ms, range, err))
        return -1;
    if (head.count == 0) {
        *out = range->chunks;
    } else if (range->chunks.count > 0 || range->undo_count > 0) {
        if (merge(&range->chunks, &head, &range->both, err))
            return -1;
        *out = range->both;
    }
    out->count = undo_all(out->at, out->count, range->undo, range->undo_count);
    return 0;
}

int reader_read(struct reader *reader, size_t i, const struct sample **out, size_t *count,
                struct err *err)
{
    const struct read_wish *const wish = &reader->wish;
    struct samples samples;
    if (reader_range(reader, i, &reader->scan, wish->from_ms, wish->to_ms, &reader->range,
                     &samples, err))
        return -1;
    *out = samples.at;
    *count = wish->limit > 0 && samples.count > wish->limit ? wish->limit : samples.count;
    return 0;
}

int store_read(struct store *store, const char *name, int64_t from_ms, int64_t to_ms,
               int64_t as_of_ms, size_t limit, struct sample **samples, size_t *count,
               struct err *err)
{
    uint32_t id;
    const struct read_wish wish = {&id, 1, from_ms, to_ms, as_of_ms, limit};
    struct reader reader;
    const struct sample *read;
    *samples = NULL;
    *count = 0;
    if (series_id(store, name, &id, err))
        return -1;
    int status = reader_begin(&reader, store, &wish, err);
    if (status == 0)
        status = reader_read(&reader, 0, &read, count, err);
    if (status == 0) {
        *samples = mem_try(*count, sizeof **samples);
        if (!*samples)
            status = err_set(err, ERR_NO_MEMORY, "samples: no memory for %zu", *count);
        else if (*count > 0)
            memcpy(*samples, read, *count * sizeof *read);
    }
    reader_end(&reader);
    return status;
}
