/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chunks -- bytes on disk: of real data beside plain SQLite rows and plain zstd, and of
 * a forecast.
 */
#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "storage/storage.h"
#include "tests/bench/disk.h"

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

static void measure_bytes(const char *folder, const char *name, double at_most,
                          struct table *table)
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
    const double ours = bytes / samples, zstd = plain_zstd(table) / all;
    char *const title = mem_printf("bytes a sample: %s", name);
    result_add(&(struct result){.name = title,
                                .value = ours,
                                .unit = "B",
                                .at_most = at_most,
                                .ratio = ours / zstd,
                                .beside = "zstd of columns"});
    result_add(&(struct result){.name = title,
                                .value = plain_rows(folder, table) / all,
                                .unit = "B",
                                .beside = "in SQLite rows"});
    free(title);
}

/* ---- forecasts ---------------------------------------------------------------------- */

/* 96 steps of 3 quantiles around a daily wave, as a model gives them. */
static void make_values(float *values, size_t series, size_t issue)
{
    for (size_t i = 0; i < 96; i++)
        for (size_t q = 0; q < 3; q++) {
            uint64_t mixed = (series * 7919 + issue * 104729 + i * 3 + q + 1) *
                             UINT64_C(0x9e3779b97f4a7c15);
            mixed = (mixed ^ mixed >> 32) * UINT64_C(0xbf58476d1ce4e5b9);
            const float noise = (float)(mixed >> 40) / (float)(1 << 24);
            const float wave = (float)((i + issue) % 24 < 12 ? i % 12 : 12 - i % 12);
            values[3 * i + q] = 10.0F + wave + 0.1F * noise + 2.0F * (float)q;
        }
}

static void issue_once(struct store *store, size_t number, size_t series)
{
    static const double QUANTILE[] = {0.1, 0.5, 0.9};
    struct store_forecast *const forecast = mem_new(series, sizeof *forecast);
    float *const values = mem_new(series * 96 * 3, sizeof *values);
    char(*const name)[80] = mem_new(series, sizeof *name);
    for (size_t s = 0; s < series; s++) {
        snprintf(name[s], sizeof name[s],
                 "node_cpu_seconds{cpu=\"%zu\",host=\"web-%03zu\",mode=\"user\"}", s % 16,
                 s / 16);
        make_values(values + s * 96 * 3, s, number);
        forecast[s] =
            (struct store_forecast){.series = name[s], .values = values + s * 96 * 3};
    }
    const struct store_issue issue = {
        .forecaster = "bench",
        .revision = 1,
        .issued_ms = START_MS + (int64_t)number * 3600000,
        .first_ms = START_MS + (int64_t)number * 3600000,
        .step_ms = 3600000,
        .steps = 96,
        .quantile_count = 3,
        .quantiles = QUANTILE,
        .count = series,
        .forecasts = forecast,
    };
    struct err err = {0};
    int64_t id;
    if (store_issue_append(store, &issue, 0, NULL, &id, &err))
        die("issue", &err);
    free(forecast);
    free(values);
    free(name);
}

static void measure_forecasts(const char *folder)
{
    enum { ISSUES = 10, OF_SERIES = 500 };
    char *const path = mem_printf("%s/frwkvd.db", folder);
    struct store *store = open_store(folder);
    store_close(store);
    const double before = file_bytes(path);
    store = open_store(folder);
    for (size_t i = 0; i < ISSUES; i++)
        issue_once(store, i, OF_SERIES);
    store_close(store);
    result_add(&(struct result){.name = "forecast of 96 steps, 3 quantiles",
                                .value = (file_bytes(path) - before) / ISSUES / OF_SERIES,
                                .unit = "B a series",
                                .at_most = 1500,
                                .ratio = (file_bytes(path) - before) / ISSUES /
                                         OF_SERIES / (96 * 3 * sizeof(float)),
                                .beside = "its bytes as float32"});
    disk_clean(folder);
    free(path);
}

int main(void)
{
    static const struct {
        const char *name;
        double at_most;
    } DATA[] = {{"ETTh1", 1.5},
                {"exchange_rate", 2.5},
                {"ec2_cpu_utilization_5f5533", 2.5},
                {"elb_request_count_8c0756", 2.5}};
    char *const folder = mem_text("./chunks-XXXXXX");
    if (!mkdtemp(folder))
        die(folder, NULL);
    struct table *const table = mem_new(1, sizeof *table);
    for (size_t i = 0; i < sizeof DATA / sizeof *DATA; i++)
        measure_bytes(folder, DATA[i].name, DATA[i].at_most, table);
    free(table);
    measure_forecasts(folder);
    free(folder);
    return 0;
}
