/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/failpoint.h"
#include "base/mem.h"
#include "storage/sql.h"

/* Samples in one transaction: its blob is 16 bytes times this. */
enum { GROUP_SAMPLES_MAX = 1 << 18 };
enum { PROBE_AFTER_S = 1 };

/* ---- the queue ---------------------------------------------------------------- */

/* Under the mutex. */
static void enqueue(struct writer *writer, struct request *request)
{
    request->next = NULL;
    *writer->last = request;
    writer->last = &request->next;
    writer->charge += request->charge;
    if (request->batch)
        writer->samples += store_batch_size(request->batch);
    pthread_cond_signal(&writer->wake);
}

/* A batch counts for its memory, names included, as samples: many tiny batches fill the
 * queue too. */
static size_t charge_of(const struct store_batch *batch)
{
    return batch->samples.count +
           (sizeof *batch + sizeof(struct request) + nameset_bytes(&batch->names)) /
               BATCH_SAMPLE_BYTES;
}

/* Under the mutex. */
static void note_wal(const struct store *store, struct err *err)
{
    const size_t bytes = atomic_load(&store->writer.wal_bytes);
    if (bytes >= store->options.wal_bytes_max)
        err_set(
            err, ERR_BUSY,
            "storage: a long read (a backup, perhaps) keeps %zu MB of write-ahead log "
            "from being moved into the database",
            bytes >> 20);
}

/* Under the mutex.  An empty queue takes any batch that the head has room for. */
static int admit(const struct store *store, const struct request *request,
                 struct err *err)
{
    const struct writer *const writer = &store->writer;
    const struct store_options *const options = &store->options;
    const size_t count = store_batch_size(request->batch);
    if (writer->closing)
        return err_set(err, ERR_BUSY, "storage: closing");
    if (count > store_batch_max(store))
        return err_set(err, ERR_TOO_LARGE, "batch: at most %zu samples at once, got %zu",
                       store_batch_max(store), count);
    if (writer->charge > 0 &&
        writer->charge + request->charge > options->queue_samples_max)
        return err_set(err, ERR_BUSY, "storage: %zu samples wait for the disk already",
                       writer->samples);
    struct err full = {0};
    note_wal(store, &full);
    if (err_copy(err, &full))
        return -1;
    const size_t head = atomic_load(&store->head.samples);
    if (head + writer->samples + count > options->head_samples_max)
        return err_set(err, ERR_BUSY, "storage: memory for samples is full (%zu of %zu)",
                       head, options->head_samples_max);
    return 0;
}

/* A quarter of the head: past three of them compaction makes room (compactor_notice()). */
size_t store_batch_max(const struct store *store)
{
    const struct store_options *const options = &store->options;
    const size_t most = options->head_samples_max / 4;
    return options->queue_samples_max < most ? options->queue_samples_max : most;
}

static int submit_batch(struct store *store, struct request *request, struct err *err)
{
    struct writer *const writer = &store->writer;
    if (request->batch->invalid)
        return err_set(
            err, ERR_INVALID,
            "batch: a sample is NaN or its time is not in the years 1 to 9999");
    request->charge = charge_of(request->batch);
    const uint32_t unknown = index_resolve(&store->index, request->batch);
    if (unknown > store->options.series_max)
        return err_set(err, ERR_TOO_LARGE, "series: at most %zu (series_max), got %u",
                       store->options.series_max, unknown);
    pthread_mutex_lock(&writer->mutex);
    const int status = admit(store, request, err);
    if (status == 0)
        enqueue(writer, request);
    pthread_mutex_unlock(&writer->mutex);
    if (status)
        atomic_fetch_add(&writer->busy, 1);
    return status;
}

static void wait_for(struct writer *writer, const struct request *request)
{
    pthread_mutex_lock(&writer->mutex);
    while (!request->finished)
        pthread_cond_wait(&writer->answered, &writer->mutex);
    pthread_mutex_unlock(&writer->mutex);
}

int store_append(struct store *store, struct store_batch *batch, store_done *done,
                 void *ctx, struct err *err)
{
    assert(done);
    struct request *const request = mem_new(1, sizeof *request);
    *request = (struct request){.batch = batch, .done = done, .ctx = ctx};
    if (submit_batch(store, request, err) == 0)
        return 0;
    store_batch_free(batch);
    free(request);
    return -1;
}

int store_append_wait(struct store *store, struct store_batch *batch,
                      struct store_counts *counts, struct err *err)
{
    struct request request = {.batch = batch};
    if (submit_batch(store, &request, err)) {
        store_batch_free(batch);
        return -1;
    }
    wait_for(&store->writer, &request);
    *counts = request.counts;
    return err_copy(err, &request.err);
}

static int call(struct store *store, struct request *request, struct err *err)
{
    struct writer *const writer = &store->writer;
    pthread_mutex_lock(&writer->mutex);
    const bool closing = writer->closing;
    if (!closing)
        enqueue(writer, request);
    pthread_mutex_unlock(&writer->mutex);
    if (closing)
        return err_set(err, ERR_BUSY, "storage: closing");
    wait_for(writer, request);
    return err_copy(err, &request->err);
}

int writer_call(struct store *store, writer_run *run, void *arg, struct err *err)
{
    return call(store, &(struct request){.run = run, .arg = arg}, err);
}

int writer_call_alone(struct store *store, writer_run *run, writer_committed *committed,
                      void *arg, struct err *err)
{
    struct request request = {
        .run = run, .committed = committed, .arg = arg, .alone = true};
    return call(store, &request, err);
}

/* ---- the thread --------------------------------------------------------------- */

/* The smallest real commit: writes the version that is there already. */
static int probe(struct store *store, void *arg, struct err *err)
{
    (void)arg;
    int64_t version;
    if (sql_value(store->db, err, &version, "PRAGMA user_version", ""))
        return -1;
    char *const sql = mem_printf("PRAGMA user_version = %d", (int)version);
    const int status = sql_exec(store->db, sql, err);
    free(sql);
    return status;
}

int writer_probe(struct store *store, struct err *err)
{
    return writer_call_alone(store, probe, NULL, NULL, err);
}

/* Waits for requests; with trouble, at most a second.  Under the mutex. */
static void wait_for_work(struct writer *writer)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PROBE_AFTER_S;
    while (!writer->first && !writer->closing) {
        if (writer->trouble.code == ERR_NONE)
            pthread_cond_wait(&writer->wake, &writer->mutex);
        else if (pthread_cond_clockwait(&writer->wake, &writer->mutex, CLOCK_MONOTONIC,
                                        &until) == ETIMEDOUT)
            break;
    }
}

/* The next group, detached from the queue.  NULL: closing and nothing left. */
static struct request *take_group(struct writer *writer)
{
    struct request *group = NULL;
    pthread_mutex_lock(&writer->mutex);
    wait_for_work(writer);
    size_t samples = 0;
    struct request **end = &writer->first;
    while (*end && samples < GROUP_SAMPLES_MAX) {
        const bool alone = (*end)->alone;
        if (alone && end != &writer->first)
            break;
        if ((*end)->batch)
            samples += store_batch_size((*end)->batch);
        end = &(*end)->next;
        if (alone)
            break;
    }
    if (writer->first) {
        group = writer->first;
        writer->first = *end;
        *end = NULL;
        if (!writer->first)
            writer->last = &writer->first;
    } else if (!writer->closing) {
        writer->probe = (struct request){.run = probe};
        group = &writer->probe;
    }
    pthread_mutex_unlock(&writer->mutex);
    return group;
}

/* A verb that the disk refused is trouble too, though its neighbours went well. */
static void note_verbs(const struct request *group, struct err *trouble)
{
    for (const struct request *r = group; r; r = r->next)
        if (r->run && (r->err.code == ERR_IO || r->err.code == ERR_BUSY))
            err_copy(trouble, &r->err);
}

/* Gives back what the group held of the queue's bounds. */
static void settle_queue(struct writer *writer, const struct request *group,
                         const struct err *trouble)
{
    pthread_mutex_lock(&writer->mutex);
    for (const struct request *r = group; r; r = r->next) {
        writer->charge -= r->charge;
        if (r->batch)
            writer->samples -= store_batch_size(r->batch);
    }
    /* A verb that found nothing to do has written nothing, and shows nothing; a failed
     * round of the compactor's thread is told as what it is. */
    if (trouble->code == ERR_NONE ? writer->wrote : !group->alone)
        writer->trouble = *trouble;
    pthread_mutex_unlock(&writer->mutex);
}

static void answer(struct writer *writer, struct request *group)
{
    struct request *waiting = NULL;
    for (struct request *r = group, *next; r; r = next) {
        next = r->next;
        store_batch_free(r->batch);
        if (r->done) {
            r->done(r->ctx, &r->counts, r->err.code == ERR_NONE ? NULL : &r->err);
            free(r);
        } else {
            r->next = waiting;
            waiting = r;
        }
    }
    if (!waiting)
        return;
    pthread_mutex_lock(&writer->mutex);
    for (struct request *r = waiting, *next; r; r = next) {
        next = r->next;
        r->finished = true; /* from here on it belongs to who waits */
    }
    pthread_cond_broadcast(&writer->answered);
    pthread_mutex_unlock(&writer->mutex);
}

static void *writer_main(void *arg)
{
    struct store *const store = arg;
    struct writer *const writer = &store->writer;
    struct request *group;
    while ((group = take_group(writer))) {
        struct err trouble = {0};
        atomic_store(&writer->busy_since_ms, time_monotonic_ms());
        failpoint("writer");
        writer->wrote = false;
        commit_group(store, group, &trouble);
        note_verbs(group, &trouble);
        settle_queue(writer, group, &trouble);
        answer(writer, group);
        commit_checkpoint(store);
        pthread_mutex_lock(&writer->mutex);
        note_wal(store, &writer->trouble);
        const struct err present = writer->trouble;
        pthread_mutex_unlock(&writer->mutex);
        store_tell_change(store, STORE_COMMITS, &writer->told_commits, &present);
        compactor_notice(store);
        atomic_store(&writer->busy_since_ms, 0);
    }
    return NULL;
}

static int count_wal_pages(void *ctx, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    struct writer *const writer = ctx;
    writer->wal_pages = (size_t)pages;
    writer->wrote = true;
    return SQLITE_OK;
}

int writer_start(struct store *store, struct err *err)
{
    struct writer *const writer = &store->writer;
    writer->last = &writer->first;
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_cond_init(&writer->wake, NULL);
    pthread_cond_init(&writer->answered, NULL);
    sqlite3_wal_hook(store->db, count_wal_pages, writer);
    errno = pthread_create(&writer->thread, NULL, writer_main, store);
    writer->started = errno == 0;
    return writer->started ? 0
                           : err_errno(err, "storage: cannot start the writer thread");
}

void writer_stop(struct store *store)
{
    struct writer *const writer = &store->writer;
    if (!writer->started)
        return;
    pthread_mutex_lock(&writer->mutex);
    writer->closing = true;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->mutex);
    pthread_join(writer->thread, NULL);
    pthread_cond_destroy(&writer->wake);
    pthread_cond_destroy(&writer->answered);
    pthread_mutex_destroy(&writer->mutex);
    batch_samples_fini(&writer->commit.samples);
    batch_blob_fini(&writer->commit.blob);
    writer->started = false;
}

int64_t store_busy_ms(const struct store *store)
{
    const int64_t since_ms = atomic_load(&store->writer.busy_since_ms);
    return since_ms ? time_monotonic_ms() - since_ms : 0;
}

int store_ready(struct store *store, struct err *err)
{
    struct writer *const writer = &store->writer;
    pthread_mutex_lock(&writer->mutex);
    struct err trouble = writer->trouble;
    note_wal(store, &trouble);
    const size_t head = atomic_load(&store->head.samples) + writer->samples;
    pthread_mutex_unlock(&writer->mutex);
    if (head >= store->options.head_samples_max)
        return err_set(err, ERR_BUSY, "storage: memory for samples is full (%zu of %zu)",
                       head, store->options.head_samples_max);
    return err_copy(err, &trouble);
}
