/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chunks -- what stored samples cost: bytes on disk of real data beside plain SQLite
 * rows and plain zstd, memory and start-up of a large store, and the time of reads from
 * it while samples come in.
 *
 *     chunks [SAMPLES [FOLDER]]      (50000000 over 10,000 series, .)
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <zstd.h>

#include "storage/storage.h"
#include "tests/bench/disk.h"

enum { SERIES = 10000, BLOCK = 500, READ = 10000 };

static const int64_t START_MS = 1700000000000;

static int64_t start_ms(void *ctx)
{
    (void)ctx;
    return START_MS;
}

static struct store *open_store(const char *folder)
{
    struct store_options options = store_options_default();
    options.clock = (struct clock){start_ms, NULL};
    char *const uri = mem_printf("sqlite:%s", folder);
    struct err err = {0};
    struct store *const store = store_open(uri, &options, &err);
    if (!store)
        die("open", &err);
    free(uri);
    return store;
}

static void append(struct store *store, struct store_batch *batch)
{
    struct err err = {0};
    struct store_counts counts;
    store_batch_history(batch);
    if (store_append_wait(store, batch, &counts, &err))
        die("append", &err);
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

/* ---- bytes ------------------------------------------------------------------------ */

enum { COLUMNS_MAX = 8, ROWS_MAX = 20000 };

struct table {
    size_t rows, columns;
    struct sample sample[COLUMNS_MAX][ROWS_MAX];
};

static bool read_table(const char *path, struct table *table)
{
    FILE *const file = fopen(path, "r");
    char line[1024];
    table->rows = 0;
    if (!file)
        return false;
    bool fine = fgets(line, sizeof line, file) != NULL;
    for (; fine && table->rows < ROWS_MAX && fgets(line, sizeof line, file);
         table->rows++) {
        table->columns = 0;
        for (const char *at = strchr(line, ','); at; at = strchr(at + 1, ','))
            table->sample[table->columns++][table->rows] = (struct sample){
                START_MS + (int64_t)table->rows * 300000, strtod(at + 1, NULL)};
    }
    fclose(file);
    return fine;
}

static double file_bytes(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (double)status.st_size : 0.0;
}

/* Rows keyed (series, time), as one would do it without any of this. */
static double plain_rows(const char *folder, const struct table *table)
{
    char *const path = mem_printf("%s.rows", folder);
    sqlite3 *db;
    sqlite3_stmt *stmt;
    sqlite3_open(path, &db);
    sqlite3_exec(db,
                 "CREATE TABLE samples(series INTEGER, time_ms INTEGER, value REAL, "
                 "PRIMARY KEY(series, time_ms)) WITHOUT ROWID; BEGIN",
                 NULL, NULL, NULL);
    if (sqlite3_prepare_v2(db, "INSERT INTO samples VALUES(?, ?, ?)", -1, &stmt, NULL))
        die("plain rows", NULL);
    for (size_t c = 0; c < table->columns; c++)
        for (size_t i = 0; i < table->rows; i++) {
            sqlite3_bind_int64(stmt, 1, (int64_t)c);
            sqlite3_bind_int64(stmt, 2, table->sample[c][i].time_ms);
            sqlite3_bind_double(stmt, 3, table->sample[c][i].value);
            sqlite3_step(stmt);
            sqlite3_reset(stmt);
        }
    sqlite3_finalize(stmt);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(db);
    const double bytes = file_bytes(path);
    unlink(path);
    free(path);
    return bytes;
}

static double plain_zstd(const struct table *table)
{
    const size_t len = table->rows * sizeof(struct sample), cap = ZSTD_compressBound(len);
    void *const out = mem_new(cap, 1);
    double bytes = 0;
    for (size_t c = 0; c < table->columns; c++)
        bytes += (double)ZSTD_compress(out, cap, table->sample[c], len, 3);
    free(out);
    return bytes;
}

static void measure_bytes(const char *folder, const char *name, struct table *table)
{
    char *const path = mem_printf("../shared/data/%s.csv", name);
    const bool found = read_table(path, table);
    free(path);
    if (!found) {
        printf("%-28s skipped: needs ../shared/data/%s.csv\n", name, name);
        return;
    }
    struct store *const store = open_store(folder);
    for (size_t c = 0; c < table->columns; c++) {
        struct store_batch *const batch = store_batch_new();
        char series[32];
        snprintf(series, sizeof series, "c%zu", c);
        const uint32_t number = store_batch_series(batch, series);
        for (size_t i = 0; i < table->rows; i++)
            store_batch_add(batch, number, table->sample[c][i].time_ms,
                            table->sample[c][i].value);
        append(store, batch);
    }
    compact(store);
    const double samples = figure(store, "frwkvd_storage_chunk_samples_written_total");
    const double bytes = figure(store, "frwkvd_storage_chunk_bytes_written_total");
    store_close(store);
    disk_clean(folder);
    const double all = (double)(table->rows * table->columns);
    printf("%-28s %5.2f B a sample; SQLite rows %5.2f, zstd of columns %5.2f\n", name,
           bytes / samples, plain_rows(folder, table) / all, plain_zstd(table) / all);
}

/* ---- a large store ---------------------------------------------------------------- */

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

/* A daily wave with noise, two decimals, as most gauges have. */
static double value_at(size_t series, size_t step)
{
    uint64_t mixed = (series * 1000003 + step) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xbf58476d1ce4e5b9);
    const size_t at = (step + 31 * series) % 5760; /* of 15 s */
    const double wave = (double)(at < 2880 ? at : 5760 - at) / 2880.0;
    return (double)(int)(1000.0 * wave + (double)(mixed >> 57)) / 100.0;
}

static void name_of(size_t series, char name[static 80])
{
    snprintf(name, 80, "node_cpu_seconds{cpu=\"%zu\",host=\"web-%03zu\",mode=\"user\"}",
             series % 16, series / 16);
}

static void fill(struct store *store, size_t steps)
{
    for (size_t from = 0; from < steps; from += BLOCK)
        for (size_t s = 0; s < SERIES; s += 100) {
            struct store_batch *const batch = store_batch_new();
            for (size_t k = s; k < s + 100; k++) {
                char name[80];
                name_of(k, name);
                const uint32_t number = store_batch_series(batch, name);
                for (size_t i = from; i < from + BLOCK && i < steps; i++)
                    store_batch_add(batch, number, START_MS + (int64_t)i * 15000,
                                    value_at(k, i));
            }
            append(store, batch);
        }
}

/* Ingest at 100,000 samples a second: one instant of all series, ten times a second. */
struct trickle {
    struct store *store;
    atomic_bool stop;
    size_t step;
};

static void *trickle_on(void *arg)
{
    struct trickle *const trickle = arg;
    for (double next_s = now_s(); !atomic_load(&trickle->stop); next_s += 0.1) {
        struct store_batch *const batch = store_batch_new();
        for (size_t k = 0; k < SERIES; k++) {
            char name[80];
            name_of(k, name);
            store_batch_add(batch, store_batch_series(batch, name),
                            START_MS + (int64_t)trickle->step * 15000,
                            value_at(k, trickle->step));
        }
        trickle->step++;
        append(trickle->store, batch);
        const double wait_s = next_s + 0.1 - now_s();
        if (wait_s > 0)
            nanosleep(&(struct timespec){.tv_nsec = (long)(1e9 * wait_s)}, NULL);
    }
    return NULL;
}

static void read_one(struct store *store, size_t steps)
{
    struct err err = {0};
    struct sample *samples;
    size_t count;
    (void)steps;
    if (store_read(store, "long", INT64_MIN, INT64_MAX, AS_OF_NOW, READ, &samples, &count,
                   &err) ||
        count != READ)
        die("read", &err);
    free(samples);
}

/* The newest 2,000 of each of 500 series, which is what a grid is made of. */
static void read_grid(struct store *store, size_t steps)
{
    enum { GRID_STEPS = 2000, GRID_SERIES = 500 };
    const size_t from = steps > GRID_STEPS ? steps - GRID_STEPS : 0;
    for (size_t k = 0; k < GRID_SERIES; k++) {
        struct err err = {0};
        struct sample *samples;
        size_t count;
        char name[80];
        name_of(k, name);
        if (store_read(store, name, START_MS + (int64_t)from * 15000,
                       START_MS + (int64_t)steps * 15000, AS_OF_NOW, 0, &samples, &count,
                       &err) ||
            count != steps - from)
            die("grid", &err);
        free(samples);
    }
}

static void read_last(struct store *store, size_t steps)
{
    (void)steps;
    for (size_t k = 0; k < SERIES; k++) {
        struct err err = {0};
        struct store_series series;
        char name[80];
        name_of(k, name);
        if (store_series(store, name, &series, &err))
            die("last", &err);
    }
}

static void measure_reads(struct store *store, size_t steps)
{
    enum { TIMES = 40 };
    static const struct {
        const char *name;
        void (*run)(struct store *store, size_t steps);
    } READS[] = {{"read of 10,000 samples", read_one},
                 {"500 series x 2,000 steps", read_grid},
                 {"last value of 10,000 series", read_last}};
    struct trickle trickle = {.store = store, .step = steps};
    pthread_t thread;
    if (pthread_create(&thread, NULL, trickle_on, &trickle))
        die("thread", NULL);
    for (size_t r = 0; r < sizeof READS / sizeof *READS; r++) {
        double took_s[TIMES];
        for (size_t i = 0; i < TIMES; i++) {
            const double began_s = now_s();
            READS[r].run(store, steps);
            took_s[i] = now_s() - began_s;
        }
        qsort(took_s, TIMES, sizeof *took_s, ascending);
        printf("%-28s %5.2f ms median, %.2f ms at worst of 40, ingest at 100,000/s\n",
               READS[r].name, 1e3 * took_s[TIMES / 2], 1e3 * took_s[TIMES - 1]);
    }
    atomic_store(&trickle.stop, true);
    pthread_join(thread, NULL);
}

/* In a process of its own, so that the memory seen afterwards is the open store's. */
static void fill_apart(const char *folder, size_t samples)
{
    const pid_t child = fork();
    if (child == 0) {
        struct store *const store = open_store(folder);
        const double began_s = now_s();
        fill(store, samples / SERIES);
        struct store_batch *const batch = store_batch_new();
        const uint32_t number = store_batch_series(batch, "long");
        for (size_t i = 0; i < READ + READ / 10; i++)
            store_batch_add(batch, number, START_MS + (int64_t)i * 15000, value_at(1, i));
        append(store, batch);
        const double filled_s = now_s();
        compact(store);
        printf("%-28s %5.1f M samples in %.1f s, the last pass %.1f s of it\n", "filled",
               (double)samples / 1e6, now_s() - began_s, now_s() - filled_s);
        store_close(store);
        exit(0);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        die("fill", NULL);
}

static void measure_large(const char *folder, size_t samples)
{
    double began_s = now_s();
    store_close(open_store(folder));
    printf("%-28s %5.0f ms, %.0f MB resident\n", "empty, opened and closed",
           1e3 * (now_s() - began_s), resident_mb());
    fflush(stdout);
    fill_apart(folder, samples);
    char *const path = mem_printf("%s/frwkvd.db", folder);
    began_s = now_s();
    struct store *const store = open_store(folder);
    printf("%-28s %5.2f s, %.0f MB resident, %.1f M samples in the head, database %.0f "
           "MB\n",
           "opened", now_s() - began_s, resident_mb(),
           figure(store, "frwkvd_storage_head_samples") / 1e6, file_bytes(path) / 1e6);
    measure_reads(store, samples / SERIES);
    store_close(store);
    disk_clean(folder);
    free(path);
}

int main(int argc, char **argv)
{
    static const char *const DATA[] = {"ETTh1", "exchange_rate",
                                       "ec2_cpu_utilization_5f5533",
                                       "elb_request_count_8c0756"};
    const size_t samples = argc > 1 ? strtoul(argv[1], NULL, 10) : 50000000;
    char *const folder = mem_printf("%s/chunks-XXXXXX", argc > 2 ? argv[2] : ".");
    if (samples < SERIES || !mkdtemp(folder)) {
        fprintf(stderr, "usage: chunks [SAMPLES [FOLDER]], at least %d\n", SERIES);
        return 2;
    }
    disk_measure(folder);
    struct table *const table = mem_new(1, sizeof *table);
    for (size_t i = 0; i < sizeof DATA / sizeof *DATA; i++)
        measure_bytes(folder, DATA[i], table);
    free(table);
    measure_large(folder, samples);
    free(folder);
    return 0;
}
