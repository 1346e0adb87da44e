/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/compactor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "storage/retention.h"
#include "storage/store.h"

enum { RETRY_AFTER_MS = 1000, PAUSE_MS = 5, LOOK_AFTER_MS = 100 };

/* Retention looks at everything, and nothing is kept to the minute. */
enum { RETAIN_EVERY_MS = 3600000, RETAIN_FIRST_MS = 60000 };

/* ---- between transactions --------------------------------------------------------- */

static bool closing(struct compactor *compactor)
{
    pthread_mutex_lock(&compactor->mutex);
    const bool yes = compactor->closing;
    pthread_mutex_unlock(&compactor->mutex);
    return yes;
}

/* Somebody waits for it. */
static bool asked(struct compactor *compactor)
{
    bool yes = false;
    pthread_mutex_lock(&compactor->mutex);
    for (int t = 0; t < TASKS; t++)
        yes |= compactor->task[t].asked > compactor->task[t].answered;
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

static int nothing_in(struct store *store, void *arg, struct err *err)
{
    (void)store;
    (void)arg;
    (void)err;
    return 0;
}

/* More than these are on a disk that is dying: the figure tells how many. */
enum { PASSED_BY_TOLD = 16 };

void compactor_pass_by(struct store *store, uint32_t series, const struct err *why)
{
    struct compactor *const compactor = &store->compactor;
    if (series >= compactor->passed_by_cap) {
        const uint32_t cap = 2 * series + 1;
        compactor->passed_by =
            mem_resize(compactor->passed_by, cap, sizeof *compactor->passed_by);
        memset(compactor->passed_by + compactor->passed_by_cap, 0,
               cap - compactor->passed_by_cap);
        compactor->passed_by_cap = cap;
    }
    if (compactor->passed_by[series])
        return;
    compactor->passed_by[series] = true;
    enum err_code told = ERR_NONE;
    if (atomic_fetch_add(&compactor->unreadable, 1) < PASSED_BY_TOLD)
        store_tell_change(store, STORE_READS, &told, why);
}

/* While there is room for it in the head.  With much in the write-ahead log that cannot
 * be moved, nothing is added to it; only after a commit does the writer see that it can
 * again, and nobody else may have one. */
static int give_way(struct store *store, struct err *err)
{
    while (atomic_load(&store->writer.wal_bytes) > store->options.wal_bytes_max / 2 &&
           !closing(&store->compactor)) {
        nanosleep(&(struct timespec){.tv_nsec = LOOK_AFTER_MS * 1000000}, NULL);
        if (writer_call(store, nothing_in, NULL, err))
            return -1;
    }
    while (writer_waits(&store->writer) && !closing(&store->compactor) &&
           !asked(&store->compactor) &&
           atomic_load(&store->head.samples) < store->options.head_samples_max / 2)
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
    return closing(&store->compactor) ? err_set(err, ERR_BUSY, "storage: closing") : 0;
}

int compactor_call(struct store *store, writer_run *run, writer_committed *committed,
                   void *arg, struct err *err)
{
    if (give_way(store, err))
        return -1;
    return writer_call_alone(store, run, committed, arg, err);
}

/* What the log took before it was trimmed goes back to the file system. */
static int compact(struct store *store, struct err *err)
{
    return compactor_pass(store, INT64_MIN, err) ||
                   compactor_shrink(store, COMPACTOR_FREE_BYTES, err)
               ? -1
               : 0;
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
    /* What stays is written again, so there must be as much that is new; no more than
     * there is room for when half of the head has stayed (threshold()), and a batch. */
    size_t fresh = options->compact_samples > left ? options->compact_samples : left;
    if (fresh > options->head_samples_max / 4)
        fresh = options->head_samples_max / 4;
    if (head < left + fresh)
        return;
    pthread_mutex_lock(&compactor->mutex);
    compactor->task[TASK_COMPACT].due = true;
    pthread_cond_signal(&compactor->wake);
    pthread_mutex_unlock(&compactor->mutex);
}

/* Under the mutex: the next task to be done, or TASKS when the store is closing. */
static int wait_for_work(struct compactor *compactor)
{
    while (!compactor->closing) {
        const int64_t now_ms = time_monotonic_ms();
        int64_t next_ms = INT64_MAX;
        for (int t = 0; t < TASKS; t++) {
            const struct task *const task = &compactor->task[t];
            if (task->asked > task->answered ||
                (task->due && now_ms >= task->not_before_ms))
                return t;
            if (task->due && task->not_before_ms < next_ms)
                next_ms = task->not_before_ms;
        }
        const struct timespec until = {.tv_sec = next_ms / 1000,
                                       .tv_nsec = next_ms % 1000 * 1000000};
        if (next_ms == INT64_MAX)
            pthread_cond_wait(&compactor->wake, &compactor->mutex);
        else
            pthread_cond_clockwait(&compactor->wake, &compactor->mutex, CLOCK_MONOTONIC,
                                   &until);
    }
    return TASKS;
}

/* Twice as long after each failure in a row.  Compaction makes room for what comes, so
 * it is tried within seconds; nobody waits for retention. */
static int64_t wait_after(const struct task *task, int which)
{
    if (task->failed == 0)
        return which == TASK_RETAIN ? RETAIN_EVERY_MS : 0;
    const unsigned most = which == TASK_RETAIN ? 9 : 3, times = task->failed - 1;
    return (int64_t)RETRY_AFTER_MS << (times < most ? times : most);
}

/* Under the mutex. */
static void settle(struct compactor *compactor, int which, const struct err *outcome,
                   uint64_t answered)
{
    struct task *const task = &compactor->task[which];
    const bool failed = outcome->code != ERR_NONE;
    task->outcome = *outcome;
    task->answered = answered;
    task->due |= failed || which == TASK_RETAIN;
    task->failed = failed ? task->failed + 1 : 0;
    task->not_before_ms = time_monotonic_ms() + wait_after(task, which);
    pthread_cond_broadcast(&compactor->finished);
}

static void *compactor_main(void *arg)
{
    struct store *const store = arg;
    struct compactor *const compactor = &store->compactor;
    compactor_notice(store);
    pthread_mutex_lock(&compactor->mutex);
    for (int which; (which = wait_for_work(compactor)) < TASKS;) {
        struct task *const task = &compactor->task[which];
        const uint64_t answers = task->asked;
        struct err outcome = {0};
        task->due = false;
        pthread_mutex_unlock(&compactor->mutex);
        if (which == TASK_COMPACT)
            compact(store, &outcome);
        else
            retention_run(store, &outcome);
        /* A head that filled up meanwhile takes nothing more that would say so. */
        compactor_notice(store);
        if (!closing(compactor))
            store_tell_change(store,
                              which == TASK_COMPACT ? STORE_COMPACTION : STORE_RETENTION,
                              &task->told, &outcome);
        pthread_mutex_lock(&compactor->mutex);
        settle(compactor, which, &outcome, answers);
    }
    pthread_mutex_unlock(&compactor->mutex);
    return NULL;
}

void compactor_init(struct compactor *compactor)
{
    pthread_mutex_init(&compactor->mutex, NULL);
    compactor->task[TASK_RETAIN] = (struct task){
        .due = true, .not_before_ms = time_monotonic_ms() + RETAIN_FIRST_MS};
    pthread_cond_init(&compactor->wake, NULL);
    pthread_cond_init(&compactor->finished, NULL);
}

void compactor_fini(struct compactor *compactor)
{
    pthread_cond_destroy(&compactor->wake);
    pthread_cond_destroy(&compactor->finished);
    pthread_mutex_destroy(&compactor->mutex);
    free(compactor->passed_by);
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

static int ask(struct store *store, int which, struct err *err)
{
    struct compactor *const compactor = &store->compactor;
    struct task *const task = &compactor->task[which];
    pthread_mutex_lock(&compactor->mutex);
    const uint64_t mine = ++task->asked;
    pthread_cond_signal(&compactor->wake);
    while (task->answered < mine)
        pthread_cond_wait(&compactor->finished, &compactor->mutex);
    const struct err outcome = task->outcome;
    pthread_mutex_unlock(&compactor->mutex);
    return err_copy(err, &outcome);
}

int store_compact(struct store *store, struct err *err)
{
    return ask(store, TASK_COMPACT, err);
}

int store_retain(struct store *store, struct err *err)
{
    return ask(store, TASK_RETAIN, err);
}
