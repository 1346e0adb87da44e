/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/store.h"

#include <string.h>
#include <time.h>

#include "storage/sql.h"

/* The write-ahead log is moved into the database from the first size on.  It begins anew
 * only when no reader looks at it: from the second on that is waited for, a moment every
 * second, while new readers look at the database. */
enum { CHECKPOINT_BYTES = 4 << 20, RESTART_BYTES = 64 << 20 };
enum { RESTART_WAIT_MS = 100, RESTART_EVERY_MS = 1000, BUSY_WAIT_MS = 5000 };

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- before the transaction: everything into one list of samples --------------- */

static void gather_batch(struct store *store, struct request *request, int64_t now_ms)
{
    struct store_batch *const batch = request->batch;
    struct batch_samples *const all = &store->writer.commit.samples;
    if (index_add(&store->index, batch, store->options.series_max, &request->err))
        return;
    const size_t first = all->count, n = batch->samples.count;
    batch_samples_reserve(all, first + n);
    for (size_t i = 0; i < n; i++)
        all->id[first + i] = batch->id[batch->samples.id[i]];
    if (n > 0) {
        memcpy(all->time_ms + first, batch->samples.time_ms, n * sizeof *all->time_ms);
        memcpy(all->value + first, batch->samples.value, n * sizeof *all->value);
    }
    all->count = first + n;
    const struct head_source source = {
        .late_before_ms = now_ms - store->options.late_after_ms,
        .history = batch->history,
        .counts = &request->counts,
    };
    head_stage(&store->head, all, first, all->count, &source);
}

/* Makes the chunk around an instant the writer's present one; *found tells whether
 * there is any.  One that cannot be read is none: what comes to lie over it must not be
 * lost. */
static int open_chunk(struct chunk_scan *scan, uint32_t id, int64_t time_ms, bool *found,
                      struct err *err)
{
    struct err failure = {0};
    chunk_scan_seek(scan, id, time_ms, time_ms + 1);
    int status = chunk_scan_next(scan, &failure);
    if (status == 1 && scan->row.last_ms >= time_ms)
        status = chunk_scan_decode(scan, &failure) ? -1 : 1;
    else if (status == 1)
        status = 0;
    chunk_scan_rest(scan);
    *found = status == 1;
    if (status != 1)
        scan->row = (struct chunk_row){0};
    if (status == 0 || failure.code == ERR_NONE || sql_unreadable(&failure))
        return 0;
    return err_copy(err, &failure);
}

/* Late samples come sorted, so most find the chunk of the one before. */
static int find_below(void *ctx, uint32_t id, int64_t time_ms, bool *had, double *value,
                      struct err *err)
{
    struct chunk_scan *const scan = ctx;
    const struct chunk_row *const row = &scan->row;
    bool found = row->series == id && time_ms >= row->first_ms && time_ms <= row->last_ms;
    if (!found && open_chunk(scan, id, time_ms, &found, err))
        return -1;
    *had = false;
    for (size_t from = 0, to = found ? row->samples : 0; from < to && !*had;) {
        const size_t middle = from + (to - from) / 2;
        const struct sample *const sample = &scan->sample[middle];
        *had = sample->time_ms == time_ms;
        *value = sample->value;
        if (sample->time_ms < time_ms)
            from = middle + 1;
        else
            to = middle;
    }
    return 0;
}

/* *work: whether there is anything to write. */
static int gather(struct store *store, struct request *group, int64_t now_ms, bool *work,
                  struct err *err)
{
    struct writer *const writer = &store->writer;
    bool verbs = false;
    writer->commit.samples.count = 0;
    for (struct request *r = group; r; r = r->next) {
        if (r->batch)
            gather_batch(store, r, now_ms);
        verbs |= r->run != NULL;
    }
    *work = verbs || writer->commit.samples.count > 0;
    writer->scan.row = (struct chunk_row){0}; /* may have been replaced since */
    return head_settle(&store->head, find_below, &writer->scan, err);
}

/* ---- the transaction ------------------------------------------------------------ */

static int write_revisions(struct store *store, int64_t now_ms, struct err *err)
{
    const struct head *const head = &store->head;
    if (head->revision_count == 0)
        return 0;
    sqlite3_stmt *const stmt =
        sql_query(store->db, err,
                  "INSERT INTO revisions(series, time_ms, arrived_ms, old_bits) "
                  "VALUES(?, ?, ?, ?)",
                  "");
    int status = stmt ? 0 : -1;
    for (size_t i = 0; status == 0 && i < head->revision_count; i++) {
        const struct head_revision *const revision = &head->revision[i];
        int64_t bits;
        memcpy(&bits, &revision->old, sizeof bits);
        sqlite3_bind_int64(stmt, 1, revision->id);
        sqlite3_bind_int64(stmt, 2, revision->time_ms);
        sqlite3_bind_int64(stmt, 3, now_ms);
        if (revision->had_old)
            sqlite3_bind_int64(stmt, 4, bits);
        else
            sqlite3_bind_null(stmt, 4);
        status = sql_step(stmt, err);
        sqlite3_reset(stmt);
    }
    sqlite3_finalize(stmt);
    return status;
}

static int write_samples(struct store *store, int64_t now_ms, struct err *err)
{
    struct commit *const commit = &store->writer.commit;
    if (commit->samples.count == 0)
        return 0;
    batch_encode(&commit->samples, now_ms, &commit->blob);
    if (index_write(&store->index, store->db, err) ||
        sql_run(store->db, err, "INSERT INTO log(id, batch) VALUES(?, ?)", "ib",
                store->writer.next_log_id++, (const void *)commit->blob.bytes,
                commit->blob.len) < 0)
        return -1;
    return write_revisions(store, now_ms, err) || states_upset(store, err) ? -1 : 0;
}

/* One verb in its savepoint.  -1 only when the transaction itself is lost: some
 * failures (a full disk, an I/O error) make SQLite roll all of it back. */
static int run_verb(struct store *store, struct request *request, struct err *err)
{
    if (sql_exec(store->db, "SAVEPOINT verb", err))
        return -1;
    const int status = request->run(store, request->arg, &request->err);
    if (sqlite3_get_autocommit(store->db))
        return err_copy(err, &request->err)
                   ? -1
                   : err_set(err, ERR_IO, "database: has undone the transaction");
    if (status && sql_exec(store->db, "ROLLBACK TO verb", err))
        return -1;
    return sql_exec(store->db, "RELEASE verb", err);
}

static int transaction(struct store *store, struct request *group, int64_t now_ms,
                       struct err *err)
{
    int status = sql_exec(store->db, "BEGIN IMMEDIATE", err);
    if (status == 0)
        status = write_samples(store, now_ms, err);
    for (struct request *r = group; status == 0 && r; r = r->next)
        if (r->run)
            status = run_verb(store, r, err);
    if (status == 0)
        status = sql_exec(store->db, "COMMIT", err);
    if (status && !sqlite3_get_autocommit(store->db))
        sql_exec(store->db, "ROLLBACK", NULL);
    return status;
}

/* ---- after it ------------------------------------------------------------------- */

const double writer_bounds_s[WRITER_BOUNDS] = {.001, .0025, .005, .01, .025, .05,
                                               .1,   .25,   .5,   1,   2.5};

/* One that failed took its time, too: a disk that hangs before it gives up must show. */
static void count_duration(struct writer *writer, int64_t took_us)
{
    const double seconds = (double)took_us * 1e-6;
    size_t b = 0;
    while (b < WRITER_BOUNDS && seconds > writer_bounds_s[b])
        b++;
    atomic_fetch_add(&writer->took[b], 1);
    atomic_fetch_add(&writer->commit_us, (uint64_t)took_us);
}

static void succeed(struct store *store, const struct request *group)
{
    struct writer *const writer = &store->writer;
    atomic_fetch_add(&writer->commits, 1);
    atomic_fetch_add(&writer->revisions, store->head.revision_count);
    for (const struct request *r = group; r; r = r->next) {
        atomic_fetch_add(&writer->stored, r->counts.stored);
        atomic_fetch_add(&writer->replaced, r->counts.replaced);
        atomic_fetch_add(&writer->duplicate, r->counts.duplicate);
    }
    index_commit(&store->index);
    head_commit(&store->head);
    for (const struct request *r = group; r; r = r->next)
        if (r->committed && r->err.code == ERR_NONE)
            r->committed(store, r->arg);
}

static void fail(struct store *store, struct request *group, const struct err *err)
{
    atomic_fetch_add(&store->writer.failures, 1);
    head_drop(&store->head);
    index_drop(&store->index);
    for (struct request *r = group; r; r = r->next) {
        r->counts = (struct store_counts){0};
        err_copy(&r->err, err);
    }
}

int commit_group(struct store *store, struct request *group, struct err *err)
{
    const int64_t now_ms = clock_now_ms(&store->options.clock);
    const int64_t began_us = now_us();
    bool work;
    int status = gather(store, group, now_ms, &work, err);
    if (status == 0 && !work)
        return 0;
    if (status == 0)
        status = transaction(store, group, now_ms, err);
    count_duration(&store->writer, now_us() - began_us);
    if (status)
        fail(store, group, err);
    else
        succeed(store, group);
    return status;
}

static void checkpoint(struct store *store, int mode)
{
    struct writer *const writer = &store->writer;
    int pages = 0, moved = 0;
    struct err failure = {0};
    const int status = sqlite3_wal_checkpoint_v2(store->db, NULL, mode, &pages, &moved);
    if (status == SQLITE_OK && moved == pages)
        writer->wal_pages = 0;
    if (status != SQLITE_OK && status != SQLITE_BUSY) /* a reader is no failure */
        sql_fail(store->db, &failure);
    atomic_fetch_add(failure.code == ERR_NONE ? &writer->checkpoints
                                              : &writer->checkpoint_failures,
                     1);
    store_tell_change(store, STORE_CHECKPOINTS, &writer->told_checkpoints, &failure);
}

/* PASSIVE waits for nobody: what a reader still needs stays until the next time. */
void commit_checkpoint(struct store *store)
{
    struct writer *const writer = &store->writer;
    const size_t bytes = writer->wal_pages * STORE_PAGE_BYTES;
    atomic_store(&writer->wal_bytes, bytes);
    if (bytes >= CHECKPOINT_BYTES)
        checkpoint(store, SQLITE_CHECKPOINT_PASSIVE);
    const int64_t now_ms = time_monotonic_ms();
    if (bytes >= RESTART_BYTES && now_ms >= writer->restart_after_ms) {
        sqlite3_busy_timeout(store->db, RESTART_WAIT_MS);
        checkpoint(store, SQLITE_CHECKPOINT_RESTART);
        sqlite3_busy_timeout(store->db, BUSY_WAIT_MS);
        writer->restart_after_ms = time_monotonic_ms() + RESTART_EVERY_MS;
    }
    atomic_store(&writer->wal_bytes, writer->wal_pages * STORE_PAGE_BYTES);
}
