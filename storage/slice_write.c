/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/slice.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/sql.h"

void slice_unsettle(struct slice *slice)
{
    struct settled *const settled = slice->settled.at;
    for (size_t i = 0; i < slice->settled.count; i++)
        free(settled[i].samples);
    slice->settled.count = 0;
}

static int write_chunks(struct slice *slice, struct err *err)
{
    sqlite3 *const db = slice->store->db;
    const struct chunk_row *const replaced = slice->replaced.at;
    for (size_t i = 0; i < slice->replaced.count; i++)
        if (chunks_delete(db, &replaced[i], err))
            return -1;
    struct new_chunk *const chunk = slice->chunks.at;
    for (size_t i = 0; i < slice->chunks.count; i++)
        if (chunks_insert(db, &chunk[i].row, slice->bytes.at + chunk[i].offset,
                          chunk[i].len, err))
            return -1;
    const struct new_window *const window = slice->windows.at;
    for (size_t i = 0; i < slice->windows.count; i++)
        if (rollups_put(db, window[i].series, window[i].window,
                        slice->rolled.at + window[i].offset, window[i].len, err))
            return -1;
    return 0;
}

static int write_carried(struct slice *slice, struct err *err)
{
    if (slice->carry.count == 0)
        return 0;
    batch_encode(&slice->carry, clock_now_ms(&slice->store->options.clock), &slice->blob);
    return sql_run(slice->store->db, err, "INSERT INTO log(id, batch) VALUES(?, ?)", "ib",
                   slice->carry_id, (const void *)slice->blob.bytes, slice->blob.len) < 0
               ? -1
               : 0;
}

/* The summary of a series' chunks as this transaction has made them. */
static int summarize(sqlite3 *db, uint32_t id, struct head_chunks *chunks,
                     struct err *err)
{
    int64_t bits = 0;
    sqlite3_stmt *const stmt =
        sql_query(db, err,
                  "SELECT sum(samples), min(first_ms), max(last_ms), (SELECT last_bits "
                  "FROM chunks WHERE series = ?1 ORDER BY first_ms DESC LIMIT 1) "
                  "FROM chunks WHERE series = ?1",
                  "i", (int64_t)id);
    const int status = stmt ? sql_step(stmt, err) : -1;
    if (status == 1) {
        *chunks = (struct head_chunks){
            .samples = (uint64_t)sqlite3_column_int64(stmt, 0),
            .first_ms = sqlite3_column_int64(stmt, 1),
            .last_ms = sqlite3_column_int64(stmt, 2),
        };
        bits = sqlite3_column_int64(stmt, 3);
        memcpy(&chunks->last, &bits, sizeof bits);
    }
    sqlite3_finalize(stmt);
    return status == 1 ? 0 : -1;
}

/* Since the slice was made more may have come: what stays in the head is found anew. */
static int settle_series(struct slice *slice, uint32_t id, struct err *err)
{
    struct store *const store = slice->store;
    struct settled settled = {.id = id};
    struct head_chunks before;
    if (head_read(&store->head, id, &settled.samples, &settled.count, &before, err))
        return -1;
    const size_t all = settled.count;
    if (chunks_reconcile(&store->writer.scan, id, settled.samples, &settled.count,
                         &settled.covered, slice->unread.at, slice->unread.count, err) ||
        summarize(store->db, id, &settled.chunks, err)) {
        free(settled.samples);
        return -1;
    }
    if (settled.count < all)
        settled.samples = mem_resize(settled.samples, settled.count ? settled.count : 1,
                                     sizeof *settled.samples);
    *(struct settled *)list_add(&slice->settled, sizeof settled) = settled;
    return 0;
}

static int write_in(struct store *store, void *arg, struct err *err)
{
    (void)store;
    struct slice *const slice = arg;
    const uint32_t *const id = slice->ids.at;
    if (write_chunks(slice, err) || write_carried(slice, err))
        return -1;
    for (size_t i = 0; i < slice->ids.count; i++)
        if (settle_series(slice, id[i], err))
            return -1;
    return 0;
}

static void publish(struct store *store, void *arg)
{
    struct slice *const slice = arg;
    struct settled *const settled = slice->settled.at;
    for (size_t i = 0; i < slice->settled.count; i++) {
        head_replace(&store->head, settled[i].id, settled[i].samples, settled[i].count,
                     settled[i].covered, &settled[i].chunks);
        settled[i].samples = NULL;
    }
}

int slice_write(struct slice *slice, int64_t carry_id, struct err *err)
{
    slice->carry_id = carry_id;
    const int status = compactor_call(slice->store, write_in, publish, slice, err);
    struct compactor *const compactor = &slice->store->compactor;
    if (status == 0) {
        const struct new_chunk *const chunk = slice->chunks.at;
        for (size_t i = 0; i < slice->chunks.count; i++)
            atomic_fetch_add(&compactor->samples, chunk[i].row.samples);
        atomic_fetch_add(&compactor->chunks, slice->chunks.count);
        atomic_fetch_add(&compactor->bytes, slice->bytes.len);
        atomic_fetch_add(&compactor->rolled_bytes, slice->rolled.len);
        slice->carried += slice->carry.count;
    }
    slice_unsettle(slice);
    slice->chunks.count = slice->replaced.count = slice->ids.count = 0;
    slice->carry.count = slice->bytes.len = slice->samples = 0;
    slice->windows.count = slice->rolled.len = slice->unread.count = 0;
    return status;
}

size_t slice_carried(const struct slice *slice)
{
    return slice->carried;
}
