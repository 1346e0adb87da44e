/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/compactor.h"

#include <stdio.h>

#include "storage/sql.h"
#include "storage/store.h"

enum { CARRY_IDS = 1 << 20 };

/* Freeing a row of the log means walking over its pages, so a transaction frees few. */
enum { TRIM_BYTES = 8 << 20 };

static int begin_in(struct store *store, void *arg, struct err *err)
{
    (void)err;
    *(int64_t *)arg = store->writer.next_log_id;
    store->writer.next_log_id += CARRY_IDS;
    return 0;
}

struct trim {
    int64_t boundary;
    bool done;
};

static int trim_in(struct store *store, void *arg, struct err *err)
{
    struct trim *const trim = arg;
    int64_t last = 0, bytes = 0;
    sqlite3_stmt *const stmt = sql_query(
        store->db, err, "SELECT id, length(batch) FROM log WHERE id < ? ORDER BY id", "i",
        trim->boundary);
    int status = stmt ? 1 : -1;
    while (status == 1 && bytes < TRIM_BYTES && (status = sql_step(stmt, err)) == 1) {
        last = sqlite3_column_int64(stmt, 0);
        bytes += sqlite3_column_int64(stmt, 1);
    }
    sqlite3_finalize(stmt);
    trim->done = status == 0;
    if (status < 0)
        return -1;
    return sql_run(store->db, err, "DELETE FROM log WHERE id <= ?", "i", last) < 0 ? -1
                                                                                   : 0;
}

/* Pages given back in one transaction. */
enum { PAGES_AT_ONCE = 2048 };

struct shrink {
    int64_t keep_pages;
    bool done;
};

static int shrink_in(struct store *store, void *arg, struct err *err)
{
    struct shrink *const shrink = arg;
    int64_t pages, after;
    if (sql_value(store->db, err, &pages, "PRAGMA freelist_count", ""))
        return -1;
    if ((shrink->done = pages <= shrink->keep_pages))
        return 0;
    char sql[64];
    const int64_t beyond = pages - shrink->keep_pages;
    snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)",
             beyond < PAGES_AT_ONCE ? (int)beyond : PAGES_AT_ONCE);
    if (sql_exec(store->db, sql, err) ||
        sql_value(store->db, err, &after, "PRAGMA freelist_count", ""))
        return -1;
    shrink->done = after >= pages; /* a database that was made without this */
    return 0;
}

/*
 * A series is compacted from a full chunk on.  With so many series that what stays then
 * could fill half of the head, it is from fewer on, and nothing stays.
 */
static size_t threshold(const struct store *store, uint32_t series)
{
    const size_t usual = store->options.chunk_samples;
    const size_t each = store->options.head_samples_max / 2 / (series ? series : 1);
    return usual <= each ? usual : each > 0 ? each : 1;
}

struct pass {
    struct store *store;
    struct slice *slice;
    size_t least;
    int64_t squeeze_before_ms, carry_id;
};

static int write_slice(struct pass *pass, uint32_t first, uint32_t last, struct err *err);

static int write_part(struct pass *pass, uint32_t first, uint32_t last, struct err *err)
{
    for (uint32_t id = first; id <= last; id++)
        if (slice_add(pass->slice, id, pass->least, pass->squeeze_before_ms, err))
            return -1;
    return write_slice(pass, first, last, err);
}

/*
 * Writes what was made of these series.  What the disk refuses is tried in halves, down
 * to the series that meets a page which cannot be read: all of it is carried.
 */
static int write_slice(struct pass *pass, uint32_t first, uint32_t last, struct err *err)
{
    struct store *const store = pass->store;
    struct err why = {0};
    if (slice_write(pass->slice, pass->carry_id++, &why) == 0)
        return 0;
    if (why.code != ERR_IO || writer_probe(store, NULL))
        return err_copy(err, &why);
    if (first == last) {
        err_prefix(&why, "chunks of series %u", first);
        compactor_pass_by(store, first, &why);
        return slice_add(pass->slice, first, SIZE_MAX, INT64_MIN, err) ||
                       slice_write(pass->slice, pass->carry_id++, err)
                   ? -1
                   : 0;
    }
    const uint32_t middle = first + (last - first) / 2;
    return write_part(pass, first, middle, err) || write_part(pass, middle + 1, last, err)
               ? -1
               : 0;
}

static int run_slices(struct store *store, struct slice *slice, int64_t boundary,
                      int64_t squeeze_before_ms, struct err *err)
{
    const uint32_t last = index_last(&store->index);
    struct pass pass = {store, slice, threshold(store, index_count(&store->index)),
                        squeeze_before_ms, boundary};
    for (uint32_t id = 1, first = 1; id <= last; id++) {
        if (slice_add(slice, id, pass.least, squeeze_before_ms, err))
            return -1;
        if (!slice_full(slice) && id < last)
            continue;
        if (write_slice(&pass, first, id, err))
            return -1;
        first = id + 1;
    }
    return 0;
}

static int trim_log(struct store *store, int64_t boundary, struct err *err)
{
    struct trim trim = {.boundary = boundary};
    while (!trim.done)
        if (compactor_call(store, trim_in, NULL, &trim, err))
            return -1;
    return 0;
}

int compactor_shrink(struct store *store, uint64_t keep_bytes, struct err *err)
{
    struct shrink shrink = {.keep_pages = (int64_t)(keep_bytes / STORE_PAGE_BYTES)};
    while (!shrink.done)
        if (compactor_call(store, shrink_in, NULL, &shrink, err))
            return -1;
    return 0;
}

int compactor_pass(struct store *store, int64_t squeeze_before_ms, struct err *err)
{
    struct slice *const slice = slice_new(store, err);
    int64_t boundary = 0;
    int status = slice ? 0 : -1;
    if (status == 0)
        status = writer_call_alone(store, begin_in, NULL, &boundary, err);
    if (status == 0)
        status = run_slices(store, slice, boundary, squeeze_before_ms, err);
    if (status == 0)
        status = trim_log(store, boundary, err);
    if (status == 0)
        atomic_store(&store->compactor.left, slice_carried(slice));
    slice_free(slice);
    atomic_fetch_add(status ? &store->compactor.failures : &store->compactor.passes, 1);
    return status;
}
