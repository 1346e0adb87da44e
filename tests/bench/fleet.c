/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fleet -- a large store: memory and start-up, and the time of reads while samples come
 * in at 100,000 a second, beside rows in plain SQLite and the disk's own fdatasync.
 *
 *     fleet [SAMPLES [HOURS [FOLDER]]]
 *
 * SAMPLES (50000000) over 10,000 series; 500 series of HOURS (2000) hours of 15 s.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "storage/storage.h"
#include "tests/bench/disk.h"

enum { SERIES = 10000, BLOCK = 500, READ = 10000 };
enum { GRID_SERIES = 500, GRID_STEPS = 2000, TIMES = 40 };

static const int64_t START_MS = 472222 * INT64_C(3600000), STEP_MS = 15000;

static int64_t now_ms(void *ctx)
{
    (void)ctx;
    return START_MS;
}

static struct store *open_store(const char *folder)
{
    struct store_options options = store_options_default();
    options.clock = (struct clock){now_ms, NULL};
    char *const uri = mem_printf("sqlite:%s", folder);
    struct err err = {0};
    struct store *const store = store_open(uri, &options, &err);
    if (!store)
        die("open", &err);
    free(uri);
    return store;
}

/* A full head is waited for, as a sender that got a 503 would. */
static void append(struct store *store,
                   struct store_batch *(*make)(size_t from, size_t to, size_t step),
                   size_t from, size_t to, size_t step)
{
    struct err err = {0};
    struct store_counts counts;
    while (store_append_wait(store, make(from, to, step), &counts, &err)) {
        if (err.code != ERR_BUSY)
            die("append", &err);
        err = (struct err){0};
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void compact(struct store *store)
{
    struct err err = {0};
    if (store_compact(store, &err))
        die("compact", &err);
}

struct wanted {
    const char *name;
    double value;
};

static void pick(void *ctx, const char *name, double value)
{
    struct wanted *const wanted = ctx;
    if (strcmp(name, wanted->name) == 0)
        wanted->value = value;
}

static double figure(struct store *store, const char *name)
{
    struct wanted wanted = {.name = name};
    store_figures(store, pick, &wanted);
    return wanted.value;
}

static double resident_mb(void)
{
    FILE *const file = fopen("/proc/self/statm", "r");
    long pages = 0, resident = 0;
    if (file && fscanf(file, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static void add(const char *name, double value, const char *unit, double at_most)
{
    result_add(
        &(struct result){.name = name, .value = value, .unit = unit, .at_most = at_most});
}

/* ---- what is in it ------------------------------------------------------------------ */

/* A daily wave with noise, two decimals, as most gauges have. */
static double value_at(size_t series, size_t step)
{
    uint64_t mixed = (series * 1000003 + step) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xbf58476d1ce4e5b9);
    const size_t at = (step + 31 * series) % 5760; /* of 15 s */
    const double wave = (double)(at < 2880 ? at : 5760 - at) / 2880.0;
    return (double)(int)(1000.0 * wave + (double)(mixed >> 57)) / 100.0;
}

static char **names_of(size_t count)
{
    char **const names = mem_new(count, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] =
            mem_printf("node_cpu_seconds{cpu=\"%zu\",host=\"web-%03zu\",mode=\"user\"}",
                       i % 16, i / 16);
    return names;
}

static char **names; /* of all series; the last is a long one */

/* BLOCK steps of series [from, to). */
static struct store_batch *block(size_t from, size_t to, size_t step)
{
    struct store_batch *const batch = store_batch_new();
    store_batch_history(batch);
    for (size_t k = from; k < to; k++) {
        const uint32_t number = store_batch_series(batch, names[k]);
        for (size_t i = step; i < step + BLOCK; i++)
            store_batch_add(batch, number, START_MS + (int64_t)i * STEP_MS,
                            value_at(k, i));
    }
    return batch;
}

/* SERIES samples: one instant of all series, or several of fewer. */
static struct store_batch *instants(size_t from, size_t to, size_t step)
{
    struct store_batch *const batch = store_batch_new();
    store_batch_history(batch);
    for (size_t i = step; i < step + SERIES / (to - from); i++)
        for (size_t k = from; k < to; k++)
            store_batch_add(batch, store_batch_series(batch, names[k]),
                            START_MS + (int64_t)i * STEP_MS, value_at(k, i));
    return batch;
}

/* In a process of its own, so that the memory seen afterwards is the open store's. */
static void fill_apart(const char *folder, size_t series, size_t steps, size_t longer)
{
    const pid_t child = fork();
    if (child == 0) {
        struct store *const store = open_store(folder);
        const double began_s = now_s();
        for (size_t step = 0; step < steps; step += BLOCK)
            for (size_t s = 0; s < series; s += 100)
                append(store, block, s, s + 100, step);
        for (size_t step = 0; step < longer; step += BLOCK)
            append(store, block, SERIES, SERIES + 1, step);
        compact(store);
        printf("  (%zu series of %zu samples in %.1f s)\n", series, steps,
               now_s() - began_s);
        fflush(stdout);
        store_close(store);
        _exit(0);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        die("fill", NULL);
}

/* ---- reads --------------------------------------------------------------------------- */

struct read {
    struct store *store;
    sqlite3 *plain;
    size_t steps; /* of the newest, before ingest went on */
    int64_t step_ms;
};

static void read_one(void *ctx)
{
    const struct read *const read = ctx;
    struct err err = {0};
    struct sample *samples;
    size_t count;
    if (store_read(read->store, names[SERIES], INT64_MIN, INT64_MAX, AS_OF_NOW, READ,
                   &samples, &count, &err) ||
        count != READ)
        die("read", &err);
    free(samples);
}

/* The newest 2,000 steps of 500 series. */
static void read_grid(void *ctx)
{
    const struct read *const read = ctx;
    const int64_t end_ms = START_MS + (int64_t)read->steps * STEP_MS;
    const struct store_grid_wish wish = {
        .names = names,
        .count = GRID_SERIES,
        .start_ms = end_ms - GRID_STEPS * read->step_ms,
        .step_ms = read->step_ms,
        .rows = GRID_STEPS,
        .how = AGGREGATE_MEAN,
        .as_of_ms = AS_OF_NOW,
    };
    struct err err = {0};
    struct grid grid;
    if (store_grid(read->store, &wish, &grid, &err))
        die("grid", &err);
    for (size_t i = 0; i < grid.rows * grid.cols; i++)
        if (grid.values[i] != grid.values[i])
            die("a hole in the grid", NULL);
    grid_fini(&grid);
}

static void read_last(void *ctx)
{
    const struct read *const read = ctx;
    struct store_series *const series = mem_new(SERIES, sizeof *series);
    store_series_many(read->store, names, SERIES, series);
    if (series[SERIES - 1].samples == 0)
        die("last", NULL);
    free(series);
}

static size_t plain_rows(sqlite3_stmt *stmt, int64_t series)
{
    size_t rows = 0;
    double sum = 0;
    sqlite3_bind_int64(stmt, 1, series);
    for (; sqlite3_step(stmt) == SQLITE_ROW; rows++)
        sum += sqlite3_column_double(stmt, 1);
    sqlite3_reset(stmt);
    return sum == sum ? rows : 0;
}

static sqlite3_stmt *prepared(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        die(sql, NULL);
    return stmt;
}

static void plain_read(void *ctx, const char *sql, int64_t from, int64_t to)
{
    sqlite3_stmt *const stmt = prepared(((const struct read *)ctx)->plain, sql);
    size_t rows = 0;
    for (int64_t series = from; series < to; series++)
        rows += plain_rows(stmt, series);
    sqlite3_finalize(stmt);
    if (rows == 0)
        die(sql, NULL);
}

static void plain_one(void *ctx)
{
    plain_read(ctx, "SELECT time_ms, value FROM samples WHERE series = ? LIMIT 10000",
               SERIES, SERIES + 1);
}
static void plain_grid(void *ctx)
{
    plain_read(ctx, "SELECT time_ms, value FROM samples WHERE series = ?", 0,
               GRID_SERIES);
}
static void plain_last(void *ctx)
{
    plain_read(ctx,
               "SELECT time_ms, value FROM samples WHERE series = ? "
               "ORDER BY time_ms DESC LIMIT 1",
               0, SERIES);
}

/* Rows keyed (series, time): 2,000 of each of 500 series, one of each other, and a long
 * one. */
static sqlite3 *make_plain(const char *path)
{
    sqlite3 *db;
    sqlite3_open(path, &db);
    sqlite3_exec(
        db,
        "PRAGMA journal_mode = WAL; CREATE TABLE samples(series INTEGER, time_ms "
        "INTEGER, value REAL, PRIMARY KEY(series, time_ms)) WITHOUT ROWID; BEGIN",
        NULL, NULL, NULL);
    sqlite3_stmt *const stmt = prepared(db, "INSERT INTO samples VALUES(?, ?, ?)");
    for (size_t k = 0; k <= SERIES; k++) {
        const size_t count = k == SERIES ? READ : k < GRID_SERIES ? GRID_STEPS : 1;
        for (size_t i = 0; i < count; i++) {
            sqlite3_bind_int64(stmt, 1, (int64_t)k);
            sqlite3_bind_int64(stmt, 2, START_MS + (int64_t)i * STEP_MS);
            sqlite3_bind_double(stmt, 3, value_at(k, i));
            sqlite3_step(stmt);
            sqlite3_reset(stmt);
        }
    }
    sqlite3_finalize(stmt);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    return db;
}

/* Ingest at 100,000 samples a second: SERIES of them ten times a second. */
struct trickle {
    struct store *store;
    atomic_bool stop;
    size_t series, step;
};

static void *trickle_on(void *arg)
{
    struct trickle *const trickle = arg;
    for (double next_s = now_s(); !atomic_load(&trickle->stop); next_s += 0.1) {
        append(trickle->store, instants, 0, trickle->series, trickle->step);
        trickle->step += SERIES / trickle->series;
        const double wait_s = next_s + 0.1 - now_s();
        if (wait_s > 0)
            nanosleep(&(struct timespec){.tv_nsec = (long)(1e9 * wait_s)}, NULL);
    }
    return NULL;
}

static void measure(const char *name, double at_most, struct read *read,
                    void (*ours)(void *ctx), void (*plain)(void *ctx))
{
    struct result_turn turn[] = {{.run = ours, .ctx = read}, {.run = plain, .ctx = read}};
    result_turns(turn, plain ? 2 : 1, TIMES);
    result_add(&(struct result){
        .name = name,
        .value = 1e3 * turn[0].median_s,
        .unit = "ms",
        .at_most = at_most,
        .ratio = plain ? turn[0].median_s / turn[1].median_s : 0,
        .beside = plain ? "plain SQLite rows" : NULL,
    });
}

/* ---- the stores ------------------------------------------------------------------------ */

static void measure_large(const char *folder, size_t samples)
{
    const size_t steps = samples / SERIES;
    fill_apart(folder, SERIES, steps, READ + READ / 10);
    const double began_s = now_s();
    struct store *const store = open_store(folder);
    add("start-up, 10,000 series", now_s() - began_s, "s", 2);
    add("RSS of it", resident_mb(), "MB", 300);
    add("samples in its head", figure(store, "frwkvd_storage_head_samples") / 1e6, "M",
        0);
    char *const path = mem_printf("%s.plain", folder);
    struct read read = {
        .store = store, .plain = make_plain(path), .steps = steps, .step_ms = STEP_MS};
    struct trickle trickle = {.store = store, .series = SERIES, .step = steps};
    pthread_t thread;
    if (pthread_create(&thread, NULL, trickle_on, &trickle))
        die("thread", NULL);
    measure("one series, 10,000 samples", 1, &read, read_one, plain_one);
    measure("500 series x 2,000 raw steps", 150, &read, read_grid, plain_grid);
    measure("last value of 10,000 series", 20, &read, read_last, plain_last);
    atomic_store(&trickle.stop, true);
    pthread_join(thread, NULL);
    sqlite3_close(read.plain);
    unlink(path);
    free(path);
    store_close(store);
    disk_clean(folder);
}

/* Ingest goes to the same store, to all of its series. */
static void measure_hours(const char *folder, size_t hours)
{
    const size_t steps = (hours * 240 + BLOCK - 1) / BLOCK * BLOCK;
    mkdir(folder, 0700);
    fill_apart(folder, GRID_SERIES, steps, 0);
    struct store *const store = open_store(folder);
    struct read read = {
        .store = store, .steps = steps / 240 * 240, .step_ms = INT64_C(3600000)};
    struct trickle trickle = {.store = store, .series = GRID_SERIES, .step = steps};
    pthread_t thread;
    if (pthread_create(&thread, NULL, trickle_on, &trickle))
        die("thread", NULL);
    measure("500 series x 2,000 hours of 15 s samples", 300, &read, read_grid, NULL);
    atomic_store(&trickle.stop, true);
    pthread_join(thread, NULL);
    store_close(store);
    disk_clean(folder);
}

int main(int argc, char **argv)
{
    const size_t samples = argc > 1 ? strtoul(argv[1], NULL, 10) : 50000000;
    const size_t hours = argc > 2 ? strtoul(argv[2], NULL, 10) : GRID_STEPS;
    char *const folder = mem_printf("%s/fleet-XXXXXX", argc > 3 ? argv[3] : ".");
    if (samples < (size_t)SERIES * GRID_STEPS || hours < GRID_STEPS || !mkdtemp(folder)) {
        fprintf(stderr, "usage: fleet [SAMPLES [HOURS [FOLDER]]], at least %d and %d\n",
                SERIES * GRID_STEPS, GRID_STEPS);
        return 2;
    }
    disk_measure(folder);
    const double began_s = now_s();
    struct store *const empty = open_store(folder);
    add("start-up, empty", 1e3 * (now_s() - began_s), "ms", 100);
    add("RSS of it", resident_mb(), "MB", 30);
    store_close(empty);
    names = names_of(SERIES + 1);
    measure_large(folder, samples);
    measure_hours(folder, hours);
    for (size_t i = 0; i <= SERIES; i++)
        free(names[i]);
    free(names);
    free(folder);
    return 0;
}
