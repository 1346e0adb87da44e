/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/sql.h"

#define DAY_MS INT64_C(86400000)

struct store_options store_options_default(void)
{
    return (struct store_options){
        .durability = DURABILITY_FULL,
        .clock = clock_real(),
        .head_samples_max = 32000000,
        .queue_samples_max = 2000000,
        .series_max = 1000000,
        .late_after_ms = 3600000,
        .chunk_samples = 1024,
        .compact_samples = 2000000,
        .wal_bytes_max = (size_t)1 << 30,
        .retention = {.samples_ms = 400 * DAY_MS,
                      .hours_ms = 5 * 365 * DAY_MS,
                      .forecasts_ms = 400 * DAY_MS,
                      .models_ms = 90 * DAY_MS,
                      .jobs_ms = 30 * DAY_MS},
    };
}

void store_tell_change(struct store *store, enum store_work work, enum err_code *told,
                       const struct err *outcome)
{
    const struct store_options *const options = &store->options;
    if (outcome->code != *told && options->tell)
        options->tell(options->tell_ctx, work,
                      outcome->code == ERR_NONE ? NULL : outcome);
    *told = outcome->code;
}

const char *store_folder(const char *uri, struct err *err)
{
    static const char SCHEME[] = "sqlite:";
    const size_t len = sizeof SCHEME - 1;
    if (strncmp(uri, SCHEME, len) == 0 && uri[len] != '\0')
        return uri + len;
    err_set(err, ERR_INVALID, "database: must be sqlite:FOLDER, got %s", uri);
    return NULL;
}

/* The file is made here and not by SQLite, for its mode; -wal and -shm inherit it. */
static int open_database(struct store *store, struct err *err)
{
    const int fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EACCES || errno == EROFS))
        return err_set(
            err, ERR_IO,
            "%s: cannot be written by user %u (%s); give it to that user, "
            "mount its file system for writing, or choose another state folder",
            store->path, (unsigned)geteuid(), strerrordesc_np(errno));
    if (fd < 0)
        return err_errno(err, "database %s", store->path);
    close(fd);
    if (sqlite3_open_v2(store->path, &store->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        sql_fail(store->db, err);
    else if (schema_open(store->db, store->options.durability, err) == 0)
        return 0;
    err_prefix(err, "%s", store->path);
    return -1;
}

/*
 * What is read of the log before the head takes it.  Series by series is how memory likes
 * it: a group in order of arrival touches every series, far apart, for a sample or two.
 */
struct replay {
    struct batch_samples row, block, sorted;
    size_t *end; /* (ids) where the next sample of each goes in sorted */
};
enum { REPLAY_SAMPLES = 1 << 20 };

static int replay_row(struct store *store, struct replay *replay, const void *bytes,
                      size_t len, struct err *err)
{
    int64_t arrived_ms;
    const struct batch_samples *const row = &replay->row;
    struct batch_samples *const block = &replay->block;
    if (batch_decode(bytes, len, &replay->row, &arrived_ms, err))
        return -1;
    batch_samples_reserve(block, block->count + row->count);
    for (size_t i = 0; i < row->count; i++) {
        const uint32_t id = row->id[i];
        if (id > store->index.committed)
            return err_set(err, ERR_CORRUPT, "batch: series %u is not in the index", id);
        block->id[block->count] = id;
        block->time_ms[block->count] = row->time_ms[i];
        block->value[block->count] = row->value[i];
        /* Of a series that has been removed since: the log was not trimmed yet. */
        block->count += !nameset_gone(&store->index.names, id - 1);
    }
    return 0;
}

/* Those of one series stay in their order: the last write wins. */
static void replay_sort(struct replay *replay, uint32_t ids)
{
    const struct batch_samples *const block = &replay->block;
    struct batch_samples *const sorted = &replay->sorted;
    memset(replay->end, 0, (ids + 1) * sizeof *replay->end);
    for (size_t i = 0; i < block->count; i++)
        replay->end[block->id[i]]++;
    for (size_t id = 1; id <= ids; id++)
        replay->end[id] += replay->end[id - 1];
    batch_samples_reserve(sorted, block->count);
    sorted->count = block->count;
    for (size_t i = block->count; i-- > 0;) {
        const size_t to = --replay->end[block->id[i]];
        sorted->id[to] = block->id[i];
        sorted->time_ms[to] = block->time_ms[i];
        sorted->value[to] = block->value[i];
    }
}

static int replay_block(struct store *store, struct replay *replay, struct err *err)
{
    const struct batch_samples *const sorted = &replay->sorted;
    replay_sort(replay, store->index.committed);
    replay->block.count = 0;
    /* Its revisions were written when it arrived. */
    struct store_counts counts = {0};
    const struct head_source source = {.history = true, .counts = &counts};
    head_stage(&store->head, sorted, 0, sorted->count, &source);
    /* As if there were no chunks: these are looked at once, at the end (reconcile). */
    if (head_settle(&store->head, NULL, NULL, err))
        return -1;
    head_commit(&store->head);
    return 0;
}

/* Room for all that the log has of each series, so that no array is moved for the next
 * block.  What is damaged is found when it is read for good. */
static int replay_reserve(struct store *store, struct err *err)
{
    const uint32_t ids = store->index.committed;
    uint32_t *const count = mem_new((size_t)ids + 1, sizeof *count);
    sqlite3_stmt *const stmt = sql_query(store->db, err, "SELECT batch FROM log", "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1)
        batch_count_ids(sqlite3_column_blob(stmt, 0),
                        (size_t)sqlite3_column_bytes(stmt, 0), ids, count);
    sqlite3_finalize(stmt);
    for (uint32_t id = 1; id <= ids && status == 0; id++)
        if (count[id] > 0)
            head_reserve(&store->head, id, count[id]);
    free(count);
    return status;
}

/* Builds the head from the log. */
static int replay(struct store *store, struct err *err)
{
    if (replay_reserve(store, err))
        return -1;
    struct replay replay = {
        .end = mem_new((size_t)store->index.committed + 1, sizeof *replay.end)};
    sqlite3_stmt *const stmt =
        sql_query(store->db, err, "SELECT id, batch FROM log ORDER BY id", "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        const void *const bytes = sqlite3_column_blob(stmt, 1);
        if (replay_row(store, &replay, bytes, (size_t)sqlite3_column_bytes(stmt, 1),
                       err)) {
            err_prefix(err,
                       "%s: row %lld of the log is damaged, restore the state folder "
                       "from a backup",
                       store->path, (long long)sqlite3_column_int64(stmt, 0));
            status = -1;
        } else if (replay.block.count >= REPLAY_SAMPLES &&
                   replay_block(store, &replay, err)) {
            status = -1;
        }
        store->writer.next_log_id = sqlite3_column_int64(stmt, 0) + 1;
    }
    sqlite3_finalize(stmt);
    if (status == 0)
        status = replay_block(store, &replay, err);
    batch_samples_fini(&replay.row);
    batch_samples_fini(&replay.block);
    batch_samples_fini(&replay.sorted);
    free(replay.end);
    return status;
}

/* A pass of the compactor that died leaves samples in the log and in chunks. */
static int reconcile(struct store *store, struct err *err)
{
    int status = 0;
    for (uint32_t id = 1; id <= store->index.committed && status == 0; id++) {
        struct sample *samples;
        size_t count;
        uint32_t covered;
        struct head_chunks chunks;
        if (head_read(&store->head, id, &samples, &count, &chunks, err))
            return -1;
        if (chunks.samples > 0 && nameset_gone(&store->index.names, id - 1))
            status = err_set(err, ERR_CORRUPT,
                             "%s: there are chunks of series %u, which is none; restore "
                             "the state folder from a backup",
                             store->path, id);
        else if (chunks.samples > 0 && count > 0 &&
                 samples[0].time_ms <= chunks.last_ms) {
            status = chunks_reconcile(&store->writer.scan, id, samples, &count, &covered,
                                      NULL, 0, err);
            if (status == 0) {
                head_replace(&store->head, id, samples, count, covered, &chunks);
                continue;
            }
        }
        free(samples);
    }
    return status;
}

/* What is in the database, as it is in memory. */
static int load(struct store *store, struct err *err)
{
    store->writer.next_log_id = 1;
    if (index_load(&store->index, store->db, err) ||
        chunk_scan_init(&store->writer.scan, store->db, err) || replay(store, err) ||
        chunks_load(store->db, &store->head, store->index.committed, err))
        return -1;
    return reconcile(store, err) || states_load(store, err) ? -1 : 0;
}

struct store *store_open(const char *uri, const struct store_options *options,
                         struct err *err)
{
    const char *const folder = store_folder(uri, err);
    if (!folder)
        return NULL;
    struct store *const store = mem_new(1, sizeof *store);
    store->options = *options;
    store->folder = mem_text(folder);
    store->path = mem_printf("%s/frwkvd.db", folder);
    index_init(&store->index);
    head_init(&store->head);
    compactor_init(&store->compactor);
    pthread_mutex_init(&store->readers.mutex, NULL);
    store->lock_fd = lock_folder(folder, err);
    if (store->lock_fd >= 0 && open_database(store, err) == 0 && load(store, err) == 0 &&
        writer_start(store, err) == 0 && compactor_start(store, err) == 0)
        return store;
    store_close(store);
    return NULL;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    compactor_stop(store);
    writer_stop(store);
    chunk_scan_fini(&store->writer.scan);
    store_readers_fini(store);
    if (store->db)
        sql_exec(store->db, "PRAGMA optimize", NULL);
    /* The last connection to close moves the whole log into the database. */
    sqlite3_close(store->db);
    compactor_fini(&store->compactor);
    index_fini(&store->index);
    head_fini(&store->head);
    /* Last: until here nobody else may open. */
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    free(store->folder);
    free(store->path);
    free(store);
}
