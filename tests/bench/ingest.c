/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ingest -- samples a second through store_append() while the store compacts, beside
 * rows in plain SQLite and the disk's own fdatasync.
 *
 * 10,000 series, batches of 2,000 samples, full sync, two sending threads that keep a
 * few batches under way each; in order of arrival (all series at one instant, then the
 * next) and series by series.  FOLDER (default .) is where the state folder is made.
 *
 *     ingest [SAMPLES [FOLDER]]
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/storage.h"
#include "tests/bench/disk.h"

enum { SERIES = 10000, PER_BATCH = 2000, SENDERS = 2, UNDER_WAY = 32 };

/* Full often enough that the compactor runs, not waits, most of the time. */
enum { HEAD_SAMPLES = 24000000 };

static const int64_t START_MS = 1700000000000;

/* The store's present: nothing sent is late. */
static int64_t start_ms(void *ctx)
{
    (void)ctx;
    return START_MS;
}

/* ---- the sender ----------------------------------------------------------------- */

struct sender {
    struct store *store;
    const char *const *names;
    bool by_series;
    size_t first_series, batches, series_samples;
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    size_t under_way, refused;
};

static void on_done(void *ctx, const struct store_counts *counts, const struct err *err)
{
    struct sender *const sender = ctx;
    if (err || counts->stored != PER_BATCH)
        die("commit", err);
    pthread_mutex_lock(&sender->mutex);
    sender->under_way--;
    pthread_cond_signal(&sender->answered);
    pthread_mutex_unlock(&sender->mutex);
}

/* A daily wave with noise, two decimals, as most gauges have. */
static double value_at(size_t series, size_t step)
{
    uint64_t mixed = (series * 1000003 + step) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xbf58476d1ce4e5b9);
    const size_t at = (step + 31 * series) % 5760; /* of 15 s */
    const double wave = (double)(at < 2880 ? at : 5760 - at) / 2880.0;
    return (double)(int)(1000.0 * wave + (double)(mixed >> 57)) / 100.0;
}

/* Each sender has series of its own, as the shards of a Prometheus have. */
static struct store_batch *make_batch(const struct sender *sender, size_t number)
{
    const size_t own = SERIES / SENDERS;
    struct store_batch *const batch = store_batch_new();
    for (size_t i = number * PER_BATCH; i < (number + 1) * PER_BATCH; i++) {
        const size_t series = sender->by_series ? i / sender->series_samples : i % own;
        const size_t step = sender->by_series ? i % sender->series_samples : i / own;
        const char *const name = sender->names[sender->first_series + series];
        store_batch_add(batch, store_batch_series(batch, name),
                        START_MS + (int64_t)step * 15000, value_at(series, step));
    }
    return batch;
}

/* A full head is waited for, as a sender that got a 503 would. */
static void send(struct sender *sender, struct store_batch *batch, size_t number)
{
    struct err err = {0};
    while (store_append(sender->store, batch, on_done, sender, &err)) {
        if (err.code != ERR_BUSY)
            die("append", &err);
        err = (struct err){0};
        sender->refused++;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        batch = make_batch(sender, number);
    }
}

static void *send_all(void *arg)
{
    struct sender *const sender = arg;
    for (size_t i = 0; i < sender->batches; i++) {
        struct store_batch *const batch = make_batch(sender, i);
        pthread_mutex_lock(&sender->mutex);
        while (sender->under_way == UNDER_WAY)
            pthread_cond_wait(&sender->answered, &sender->mutex);
        sender->under_way++;
        pthread_mutex_unlock(&sender->mutex);
        send(sender, batch, i);
    }
    pthread_mutex_lock(&sender->mutex);
    while (sender->under_way > 0)
        pthread_cond_wait(&sender->answered, &sender->mutex);
    pthread_mutex_unlock(&sender->mutex);
    return NULL;
}

/* ---- one run -------------------------------------------------------------------- */

struct figures {
    double commits, seconds, compactions, chunk_samples, chunk_bytes, head;
};

static void pick(void *ctx, const char *name, double value)
{
    static const struct {
        const char *name;
        size_t offset;
    } WANTED[] = {
        {"frwkvd_storage_commits_total", offsetof(struct figures, commits)},
        {"frwkvd_storage_commit_seconds_total", offsetof(struct figures, seconds)},
        {"frwkvd_storage_compactions_total", offsetof(struct figures, compactions)},
        {"frwkvd_storage_chunk_samples_written_total",
         offsetof(struct figures, chunk_samples)},
        {"frwkvd_storage_chunk_bytes_written_total",
         offsetof(struct figures, chunk_bytes)},
        {"frwkvd_storage_head_samples", offsetof(struct figures, head)},
    };
    for (size_t i = 0; i < sizeof WANTED / sizeof *WANTED; i++)
        if (strcmp(name, WANTED[i].name) == 0)
            *(double *)(void *)((char *)ctx + WANTED[i].offset) = value;
}

static void run(const char *folder, const char *const *names, size_t samples,
                bool by_series, double plain)
{
    char *const uri = mem_printf("sqlite:%s", folder);
    struct store_options options = store_options_default();
    options.head_samples_max = HEAD_SAMPLES;
    options.clock = (struct clock){start_ms, NULL};
    struct err err = {0};
    struct store *store = store_open(uri, &options, &err);
    if (!store)
        die("open", &err);
    struct sender sender[SENDERS];
    pthread_t thread[SENDERS];
    const size_t batches = samples / PER_BATCH / SENDERS;
    const double began_s = now_s();
    for (size_t i = 0; i < SENDERS; i++) {
        sender[i] = (struct sender){
            .store = store,
            .names = names,
            .by_series = by_series,
            .first_series = i * (SERIES / SENDERS),
            .batches = batches,
            .series_samples = samples / SERIES,
            .mutex = PTHREAD_MUTEX_INITIALIZER,
            .answered = PTHREAD_COND_INITIALIZER,
        };
        pthread_create(&thread[i], NULL, send_all, &sender[i]);
    }
    for (size_t i = 0; i < SENDERS; i++)
        pthread_join(thread[i], NULL);
    const double took_s = now_s() - began_s;
    struct figures figures;
    store_figures(store, pick, &figures);
    size_t refused = 0;
    for (size_t i = 0; i < SENDERS; i++)
        refused += sender[i].refused;
    store_close(store);
    const double reopen_s = now_s();
    if (!(store = store_open(uri, &options, &err)))
        die("reopen", &err);
    const double rate = (double)(batches * SENDERS * PER_BATCH) / took_s / 1e6;
    result_add(&(struct result){
        .name = by_series ? "ingest, series by series" : "ingest, in order of arrival",
        .value = rate,
        .unit = "M samples/s",
        .at_least = 2,
        .ratio = rate / plain,
        .beside = "rows keyed (time, series) in SQLite",
    });
    printf("  (%.0f commits of %.2f ms, %.1f M samples in chunks of %.2f B each, %.0f "
           "passes, %.1f M in memory, %zu batches refused)\n",
           figures.commits, 1e3 * figures.seconds / figures.commits,
           figures.chunk_samples / 1e6, figures.chunk_bytes / figures.chunk_samples,
           figures.compactions, figures.head / 1e6, refused);
    result_add(&(struct result){.name = "start-up with that in memory, as it is",
                                .value = now_s() - reopen_s,
                                .unit = "s"});
    store_close(store);
    disk_clean(folder);
    free(uri);
}

/* Rows keyed (time, series), one transaction a batch, full sync: million a second. */
static double plain_rows(const char *folder, bool by_series)
{
    const size_t count = by_series ? 50 * PER_BATCH : 500 * PER_BATCH;
    const size_t each = by_series ? 2000 : 1; /* a series stays for so many */
    char *const path = mem_printf("%s.rows", folder);
    sqlite3 *db;
    sqlite3_stmt *stmt;
    sqlite3_open(path, &db);
    sqlite3_exec(db,
                 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE "
                 "samples(time_ms INTEGER, series INTEGER, value REAL, PRIMARY "
                 "KEY(time_ms, series)) WITHOUT ROWID",
                 NULL, NULL, NULL);
    if (sqlite3_prepare_v2(db, "INSERT INTO samples VALUES(?, ?, ?)", -1, &stmt, NULL))
        die("plain rows", NULL);
    const double began_s = now_s();
    for (size_t i = 0; i < count; i++) {
        const size_t series = by_series ? i / each : i % SERIES;
        const size_t step = by_series ? i % each : i / SERIES;
        if (i % PER_BATCH == 0)
            sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
        sqlite3_bind_int64(stmt, 1, START_MS + (int64_t)step * 15000);
        sqlite3_bind_int64(stmt, 2, (int64_t)series);
        sqlite3_bind_double(stmt, 3, value_at(series, step));
        if (sqlite3_step(stmt) != SQLITE_DONE)
            die("plain rows", NULL);
        sqlite3_reset(stmt);
        if (i % PER_BATCH == PER_BATCH - 1)
            sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    }
    const double took_s = now_s() - began_s;
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    unlink(path);
    free(path);
    const double rate = (double)count / took_s / 1e6;
    result_add(&(struct result){.name = by_series ? "plain rows, series by series"
                                                  : "plain rows, in order of arrival",
                                .value = rate,
                                .unit = "M samples/s"});
    return rate;
}

int main(int argc, char **argv)
{
    const size_t samples = argc > 1 ? strtoul(argv[1], NULL, 10) : 40000000;
    if (samples < SERIES * 2 || samples % (SERIES * PER_BATCH / 1000 * SENDERS) != 0) {
        fprintf(stderr, "ingest: SAMPLES must be a multiple of 40000\n");
        return 2;
    }
    char *const folder = mem_printf("%s/ingest-XXXXXX", argc > 2 ? argv[2] : ".");
    if (!mkdtemp(folder))
        die(folder, NULL);
    char **const names = mem_new(SERIES, sizeof *names);
    for (size_t i = 0; i < SERIES; i++)
        names[i] =
            mem_printf("node_cpu_seconds{cpu=\"%zu\",host=\"web-%03zu\",mode=\"user\"}",
                       i % 16, i / 16);
    disk_measure(folder);
    for (int by_series = 0; by_series < 2; by_series++)
        run(folder, (const char *const *)(void *)names, samples, by_series,
            plain_rows(folder, by_series));
    for (size_t i = 0; i < SERIES; i++)
        free(names[i]);
    free(names);
    disk_clean(folder);
    free(folder);
    return 0;
}
