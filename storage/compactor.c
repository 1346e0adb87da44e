/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/compactor.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "storage/sql.h"
#include "storage/store.h"

enum { CARRY_IDS = 1 << 20, RETRY_AFTER_S = 1, PAUSE_MS = 5 };

/* Freeing a row of the log means walking over its pages, so a transaction frees few. */
enum { TRIM_BYTES = 8 << 20 };

/* ---- one pass -------------------------------------------------------------------- */

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

/* Pages kept for the log to grow into again, and given back in one transaction. */
enum { FREE_PAGES_KEPT = (128 << 20) / STORE_PAGE_BYTES, PAGES_AT_ONCE = 2048 };

static int shrink_in(struct store *store, void *arg, struct err *err)
{
    bool *const done = arg;
    int64_t pages, after;
    if (sql_value(store->db, err, &pages, "PRAGMA freelist_count", ""))
        return -1;
    if ((*done = pages <= FREE_PAGES_KEPT))
        return 0;
    char sql[64];
    const int64_t beyond = pages - FREE_PAGES_KEPT;
    snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)",
             beyond < PAGES_AT_ONCE ? (int)beyond : PAGES_AT_ONCE);
    if (sql_exec(store->db, sql, err) ||
        sql_value(store->db, err, &after, "PRAGMA freelist_count", ""))
        return -1;
    *done = after >= pages; /* a database that was made without this */
    return 0;
}

static bool closing(struct compactor *compactor)
{
    pthread_mutex_lock(&compactor->mutex);
    const bool yes = compactor->closing;
    pthread_mutex_unlock(&compactor->mutex);
    return yes;
}

static bool asked(struct compactor *compactor)
{
    pthread_mutex_lock(&compactor->mutex);
    const bool yes = compactor->asked > compactor->answered;
    pthread_mutex_unlock(&compactor->mutex);
    return yes;
}

static bool writer_waits(struct writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    const bool yes = writer->samples > 0;
    pthread_mutex_unlock(&writer->mutex);
    return yes;
}

/* Lets ingest go first while there is room for it. */
static void give_way(struct store *store)
{
    while (writer_waits(&store->writer) && !closing(&store->compactor) &&
           !asked(&store->compactor) &&
           atomic_load(&store->head.samples) < store->options.head_samples_max / 2)
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
}

/*
 * A series is compacted from a full chunk on.  With so many series that what stays then
 * would fill half of the head, it is from fewer on, and nothing stays.
 */
static size_t threshold(const struct store *store, uint32_t series)
{
    const size_t usual = store->options.chunk_samples;
    const size_t each = store->options.head_samples_max / 2 / (series ? series : 1);
    return usual / 2 <= each ? usual : each > 0 ? each : 1;
}

static int run_slices(struct store *store, struct slice *slice, int64_t boundary,
                      struct err *err)
{
    const uint32_t count = index_count(&store->index);
    const size_t least = threshold(store, count);
    int64_t carry_id = boundary;
    for (uint32_t id = 1; id <= count; id++) {
        if (slice_add(slice, id, least, err))
            return -1;
        if (!slice_full(slice) && id < count)
            continue;
        give_way(store);
        if (closing(&store->compactor))
            return err_set(err, ERR_BUSY, "storage: closing");
        if (slice_write(slice, carry_id++, err))
            return -1;
    }
    return 0;
}

static int trim_log(struct store *store, int64_t boundary, struct err *err)
{
    struct trim trim = {.boundary = boundary};
    while (!trim.done) {
        give_way(store);
        if (closing(&store->compactor))
            return err_set(err, ERR_BUSY, "storage: closing");
        if (writer_call_alone(store, trim_in, NULL, &trim, err))
            return -1;
    }
    return 0;
}

/* What the log took before it was trimmed goes back to the file system. */
static int shrink_file(struct store *store, struct err *err)
{
    bool done = false;
    while (!done) {
        give_way(store);
        if (closing(&store->compactor))
            return err_set(err, ERR_BUSY, "storage: closing");
        if (writer_call_alone(store, shrink_in, NULL, &done, err))
            return -1;
    }
    return 0;
}

static int run_pass(struct store *store, struct err *err)
{
    struct slice *const slice = slice_new(store, err);
    int64_t boundary = 0;
    int status = slice ? 0 : -1;
    if (status == 0)
        status = writer_call_alone(store, begin_in, NULL, &boundary, err);
    if (status == 0)
        status = run_slices(store, slice, boundary, err);
    if (status == 0)
        status = trim_log(store, boundary, err);
    if (status == 0)
        status = shrink_file(store, err);
    slice_free(slice);
    return status;
}

/* ---- the thread ------------------------------------------------------------------ */

void compactor_notice(struct store *store)
{
    const struct store_options *const options = &store->options;
    struct compactor *const compactor = &store->compactor;
    if (options->compact_samples == 0)
        return;
    const size_t head = atomic_load(&store->head.samples);
    const size_t left = atomic_load(&compactor->left);
    /* What stays is written again, so there must be as much that is new. */
    size_t fresh = options->compact_samples > left ? options->compact_samples : left;
    if (fresh > options->head_samples_max / 4)
        fresh = options->head_samples_max / 4;
    if (head < left + fresh)
        return;
    pthread_mutex_lock(&compactor->mutex);
    compactor->due = true;
    pthread_cond_signal(&compactor->wake);
    pthread_mutex_unlock(&compactor->mutex);
}

/* Under the mutex. */
static void wait_for_work(struct compactor *compactor)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_AFTER_S;
    int status = compactor->outcome.code == ERR_NONE ? ETIMEDOUT : 0;
    while (!compactor->closing && compactor->asked == compactor->answered &&
           status != ETIMEDOUT) /* not at once again after a failure */
        status = pthread_cond_timedwait(&compactor->wake, &compactor->mutex, &until);
    while (!compactor->closing && compactor->asked == compactor->answered &&
           !compactor->due)
        pthread_cond_wait(&compactor->wake, &compactor->mutex);
}

static void *compactor_main(void *arg)
{
    struct store *const store = arg;
    struct compactor *const compactor = &store->compactor;
    for (;;) {
        pthread_mutex_lock(&compactor->mutex);
        wait_for_work(compactor);
        const bool end = compactor->closing;
        const uint64_t answers = compactor->asked;
        compactor->due = false;
        pthread_mutex_unlock(&compactor->mutex);
        if (end)
            return NULL;
        struct err err = {0};
        const int status = run_pass(store, &err);
        atomic_fetch_add(status ? &compactor->failures : &compactor->passes, 1);
        if (status == 0)
            atomic_store(&compactor->left, atomic_load(&store->head.samples));
        pthread_mutex_lock(&compactor->mutex);
        compactor->outcome = err;
        compactor->answered = answers;
        compactor->due |= status != 0;
        pthread_cond_broadcast(&compactor->finished);
        pthread_mutex_unlock(&compactor->mutex);
    }
}

void compactor_init(struct compactor *compactor)
{
    pthread_mutex_init(&compactor->mutex, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&compactor->wake, &attr);
    pthread_cond_init(&compactor->finished, &attr);
    pthread_condattr_destroy(&attr);
}

void compactor_fini(struct compactor *compactor)
{
    pthread_cond_destroy(&compactor->wake);
    pthread_cond_destroy(&compactor->finished);
    pthread_mutex_destroy(&compactor->mutex);
}

int compactor_start(struct store *store, struct err *err)
{
    struct compactor *const compactor = &store->compactor;
    errno = pthread_create(&compactor->thread, NULL, compactor_main, store);
    compactor->started = errno == 0;
    return compactor->started
               ? 0
               : err_errno(err, "storage: cannot start the compactor thread");
}

void compactor_stop(struct store *store)
{
    struct compactor *const compactor = &store->compactor;
    if (!compactor->started)
        return;
    pthread_mutex_lock(&compactor->mutex);
    compactor->closing = true;
    pthread_cond_signal(&compactor->wake);
    pthread_mutex_unlock(&compactor->mutex);
    pthread_join(compactor->thread, NULL);
    compactor->started = false;
}

int store_compact(struct store *store, struct err *err)
{
    struct compactor *const compactor = &store->compactor;
    pthread_mutex_lock(&compactor->mutex);
    const uint64_t mine = ++compactor->asked;
    pthread_cond_signal(&compactor->wake);
    while (compactor->answered < mine)
        pthread_cond_wait(&compactor->finished, &compactor->mutex);
    const struct err outcome = compactor->outcome;
    pthread_mutex_unlock(&compactor->mutex);
    return outcome.code == ERR_NONE ? 0 : err_set(err, outcome.code, "%s", outcome.msg);
}
