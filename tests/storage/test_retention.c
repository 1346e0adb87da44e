/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is past its time goes, what is not stays, and the rest goes on fitting together. */
#include "tests/check.h"

#include <sys/stat.h>

#include "base/rng.h"
#include "storage/sql.h"
#include "storage/store.h"
#include "tests/storage/folder.h"

enum { CHUNK = 120, AN_HOUR = 60 };

static const int64_t MINUTE_MS = 60000, HOUR_MS = 3600000, DAY_MS = 86400000;
static const int64_t START_MS = 19000 * INT64_C(86400000);

struct fixture {
    struct folder folder;
    struct store *store;
};

static int setup(void **state)
{
    struct fixture *const fixture = mem_new(1, sizeof *fixture);
    folder_init(&fixture->folder);
    struct store_options *const options = &fixture->folder.options;
    options->chunk_samples = CHUNK;
    options->compact_samples = 0;
    options->retention = (struct store_retention){0};
    fixture->folder.now_ms = START_MS;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *const fixture = *state;
    store_close(fixture->store);
    folder_fini(&fixture->folder);
    free(fixture);
    return 0;
}

static void reopen(struct fixture *fixture)
{
    store_close(fixture->store);
    fixture->store = folder_open(&fixture->folder);
}

static double value_at(int64_t time_ms)
{
    return (double)(time_ms / MINUTE_MS % 1009) / 8;
}

/* A sample each step in [from, to). */
static void put(struct store *store, const char *name, int64_t from_ms, int64_t to_ms,
                int64_t step_ms)
{
    struct err err = {0};
    struct store_counts counts;
    struct store_batch *const batch = store_batch_new();
    for (int64_t t = from_ms; t < to_ms; t += step_ms)
        store_batch_add(batch, store_batch_series(batch, name), t, value_at(t));
    assert_ok(store_append_wait(store, batch, &counts, &err), &err);
}

static void retain(struct store *store)
{
    struct err err = {0};
    assert_ok(store_retain(store, &err), &err);
}

static size_t count_in(struct store *store, const char *name, int64_t from_ms,
                       int64_t to_ms)
{
    struct err err = {0};
    struct sample *samples;
    size_t count;
    if (store_read(store, name, from_ms, to_ms, AS_OF_NOW, 0, &samples, &count, &err)) {
        assert_int_equal(err.code, ERR_NOT_FOUND);
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        assert_true(samples[i].value == value_at(samples[i].time_ms));
    free(samples);
    return count;
}

static int64_t ask(const struct fixture *fixture, const char *sql)
{
    struct err err = {0};
    int64_t value = 0;
    sqlite3 *const db = store_connect(fixture->folder.uri, &err);
    assert_non_null(db);
    assert_ok(sql_value(db, &err, &value, sql, ""), &err);
    sqlite3_close(db);
    return value;
}

static size_t series_count(struct store *store)
{
    struct err err = {0};
    struct store_names names;
    assert_ok(store_select(store, NULL, 0, &names, &err), &err);
    const size_t count = names.count;
    store_names_fini(&names);
    return count;
}

/* It is that late: the clock says so, and there is a sample. */
static void let_it_be(struct fixture *fixture, int64_t now_ms)
{
    fixture->folder.now_ms = now_ms;
    put(fixture->store, "now", now_ms, now_ms + 1, 1);
}

/* ---- samples, hours, series --------------------------------------------------------- */

/* Sums by the hour of [from, to), all there and right. */
static void assert_hours(struct store *store, const char *name, int64_t from_ms,
                         int64_t to_ms)
{
    struct err err = {0};
    struct grid grid;
    char *names[] = {mem_text(name)};
    const struct store_grid_wish wish = {.names = names,
                                         .count = 1,
                                         .start_ms = from_ms,
                                         .step_ms = HOUR_MS,
                                         .rows = (size_t)((to_ms - from_ms) / HOUR_MS),
                                         .how = AGGREGATE_SUM,
                                         .as_of_ms = AS_OF_NOW};
    assert_ok(store_grid(store, &wish, &grid, &err), &err);
    for (size_t row = 0; row < grid.rows; row++) {
        double sum = 0;
        for (int64_t i = 0; i < AN_HOUR; i++)
            sum += value_at(grid_time_ms(&grid, row) + i * MINUTE_MS);
        assert_close(grid.values[row], sum, 0);
    }
    grid_fini(&grid);
    free(names[0]);
}

static void samples_go_and_their_hours_stay(void **state)
{
    struct fixture *const fixture = *state;
    fixture->folder.options.retention.samples_ms = 2 * DAY_MS;
    fixture->folder.options.retention.hours_ms = 60 * DAY_MS;
    fixture->store = folder_open(&fixture->folder);
    /* The last few of "dense" stay in the head, and so does all of "short". */
    put(fixture->store, "dense", START_MS, START_MS + DAY_MS - 30 * MINUTE_MS, MINUTE_MS);
    put(fixture->store, "short", START_MS, START_MS + 50 * MINUTE_MS, MINUTE_MS);
    put(fixture->store, "hourly", START_MS, START_MS + DAY_MS, HOUR_MS);
    /* A clock that jumps ahead takes nothing with it. */
    fixture->folder.now_ms = START_MS + 1000 * DAY_MS;
    retain(fixture->store);
    let_it_be(fixture, START_MS + 2 * DAY_MS);
    retain(fixture->store);
    assert_int_equal(count_in(fixture->store, "dense", INT64_MIN, INT64_MAX),
                     24 * 60 - 30);
    let_it_be(fixture, START_MS + 4 * DAY_MS);
    for (int round = 0; round < 3; round++) {
        retain(fixture->store);
        assert_int_equal(count_in(fixture->store, "dense", INT64_MIN, INT64_MAX), 0);
        assert_int_equal(count_in(fixture->store, "short", INT64_MIN, INT64_MAX), 0);
        /* What is not summed up is its own summary. */
        assert_int_equal(count_in(fixture->store, "hourly", INT64_MIN, INT64_MAX), 24);
        assert_hours(fixture->store, "dense", START_MS, START_MS + 23 * HOUR_MS);
        assert_int_equal(series_count(fixture->store), 4);
        folder_assert_sound(&fixture->folder);
        reopen(fixture);
    }
    /* A window is past its time when all of it is. */
    let_it_be(fixture, START_MS + 90 * DAY_MS);
    retain(fixture->store);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM rollups"), 0);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM chunks WHERE series < 4"), 0);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM series"), 1);
    assert_int_equal(series_count(fixture->store), 1);
    assert_int_equal(count_in(fixture->store, "now", START_MS + 90 * DAY_MS, INT64_MAX),
                     1);
    /* One that comes back is a new one, before and after a restart. */
    for (int round = 0; round < 2; round++) {
        put(fixture->store, round ? "short" : "dense", START_MS + 90 * DAY_MS,
            START_MS + 90 * DAY_MS + HOUR_MS, MINUTE_MS);
        assert_int_equal(
            count_in(fixture->store, round ? "short" : "dense", INT64_MIN, INT64_MAX),
            60);
        assert_int_equal(series_count(fixture->store), 2 + round);
        assert_int_equal(ask(fixture, "SELECT max(id) FROM series"), 5 + round);
        reopen(fixture);
    }
    folder_assert_sound(&fixture->folder);
}

/* A batch whose series was known when it was queued, and removed before its commit. */
static void a_batch_may_name_a_series_that_went(void **state)
{
    struct fixture *const fixture = *state;
    fixture->folder.options.retention.samples_ms = DAY_MS;
    fixture->folder.options.retention.hours_ms = DAY_MS;
    fixture->store = folder_open(&fixture->folder);
    put(fixture->store, "a", START_MS, START_MS + 1, 1);
    put(fixture->store, "b", START_MS + 10 * DAY_MS, START_MS + 10 * DAY_MS + 1, 1);
    struct store_batch *const batch = store_batch_new();
    store_batch_add(batch, store_batch_series(batch, "a"), START_MS + 10 * DAY_MS,
                    value_at(START_MS + 10 * DAY_MS));
    assert_int_equal(index_resolve(&fixture->store->index, batch), 0);
    fixture->folder.now_ms = START_MS + 10 * DAY_MS;
    retain(fixture->store);
    assert_int_equal(series_count(fixture->store), 1);
    struct err err = {0};
    assert_ok(index_add(&fixture->store->index, batch, 10, &err), &err);
    assert_int_equal(batch->id[0], 3);
    index_drop(&fixture->store->index);
    store_batch_free(batch);
}

/* The log still holds samples of a series that is no more. */
static void the_log_may_name_it_too(void **state)
{
    struct fixture *const fixture = *state;
    fixture->store = folder_open(&fixture->folder);
    put(fixture->store, "a", START_MS, START_MS + HOUR_MS, MINUTE_MS);
    put(fixture->store, "b", START_MS, START_MS + 2 * HOUR_MS, MINUTE_MS);
    store_close(fixture->store);
    char *const path = folder_file(&fixture->folder, "frwkvd.db");
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "DELETE FROM series WHERE name = 'a'", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    free(path);
    fixture->store = folder_open(&fixture->folder);
    assert_int_equal(count_in(fixture->store, "a", INT64_MIN, INT64_MAX), 0);
    assert_int_equal(count_in(fixture->store, "b", INT64_MIN, INT64_MAX), 120);
}

/* ---- the ledger, models, jobs ------------------------------------------------------- */

static int64_t issue_with(struct fixture *fixture, int64_t issued_ms, int64_t calibration)
{
    static const double QUANTILE[] = {0.5};
    const float values[] = {1.0F, 2.0F};
    const struct store_forecast forecast = {.series = "a", .values = values};
    const struct store_issue what = {
        .forecaster = "f",
        .revision = 1,
        .calibration = calibration,
        .issued_ms = issued_ms,
        .first_ms = issued_ms,
        .step_ms = 1000,
        .steps = 2,
        .quantile_count = 1,
        .quantiles = QUANTILE,
        .count = 1,
        .forecasts = &forecast,
    };
    struct err err = {0};
    int64_t id;
    assert_ok(store_issue_append(fixture->store, &what, 0, NULL, &id, &err), &err);
    return id;
}

static int64_t issue(struct fixture *fixture, int64_t issued_ms)
{
    return issue_with(fixture, issued_ms, 0);
}

static void calibrations_stay_while_an_issue_names_them(void **state)
{
    struct fixture *const fixture = *state;
    fixture->folder.options.retention.forecasts_ms = 3 * DAY_MS;
    fixture->store = folder_open(&fixture->folder);
    for (int day = 0; day < 9; day++) {
        struct err err = {0};
        int64_t number;
        char body[] = "{}";
        const struct store_calibration made = {
            .revision = 1, .made_ms = START_MS + day * DAY_MS, .body = body};
        assert_ok(store_calibration_append(fixture->store, "f", &made, &number, &err),
                  &err);
        issue_with(fixture, START_MS + day * DAY_MS, number / 2);
    }
    fixture->folder.now_ms = START_MS + 8 * DAY_MS + HOUR_MS;
    retain(fixture->store);
    assert_int_equal(ask(fixture, "SELECT min(calibration) FROM issues"), 3);
    assert_int_equal(ask(fixture, "SELECT min(number) FROM calibrations"), 3);
    assert_int_equal(ask(fixture, "SELECT max(number) FROM calibrations"), 9);
    folder_assert_sound(&fixture->folder);
    /* The newest stays for what comes, and numbers go on. */
    fixture->folder.now_ms = START_MS + 30 * DAY_MS;
    retain(fixture->store);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM calibrations"), 1);
    assert_int_equal(ask(fixture, "SELECT number FROM calibrations"), 9);
    folder_assert_sound(&fixture->folder);
}

static void days_of_the_ledger_go_whole(void **state)
{
    struct fixture *const fixture = *state;
    fixture->folder.options.retention.forecasts_ms = 3 * DAY_MS;
    fixture->store = folder_open(&fixture->folder);
    for (int day = 0; day < 10; day++)
        for (int k = 0; k < 3; k++)
            issue(fixture, START_MS + day * DAY_MS + k * HOUR_MS);
    fixture->folder.now_ms = START_MS + 8 * DAY_MS + HOUR_MS;
    retain(fixture->store);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM issues"), 15);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM forecasts"), 15);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM days"), 10);
    folder_assert_sound(&fixture->folder);
    issue(fixture, START_MS + 9 * DAY_MS + 5 * HOUR_MS);
    folder_assert_sound(&fixture->folder);
    struct err err = {0};
    struct store_issued *issued;
    size_t count;
    assert_ok(store_issue_newest(fixture->store, "f", START_MS + 5 * DAY_MS, &issued,
                                 &count, &err),
              &err);
    store_issued_fini(issued, count);
    assert_err(store_issue_newest(fixture->store, "f", START_MS + 5 * DAY_MS - 1, &issued,
                                  &count, &err),
               &err, ERR_NOT_FOUND, "the first issue is of");
    /* All gone, the chain goes on from the last closing. */
    fixture->folder.now_ms = START_MS + 30 * DAY_MS;
    retain(fixture->store);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM issues"), 0);
    issue(fixture, START_MS + 30 * DAY_MS);
    assert_int_equal(ask(fixture,
                         "SELECT opening = (SELECT closing FROM days WHERE day = "
                         "19009) FROM days WHERE day = 19030"),
                     1);
    folder_assert_sound(&fixture->folder);
}

static int64_t publish(struct fixture *fixture, bool kept_only)
{
    struct err err = {0};
    int64_t id;
    const struct store_publication what = {.forecaster = "f",
                                           .revision = 1,
                                           .bytes = "bytes",
                                           .len = 5,
                                           .kept_only = kept_only};
    assert_ok(store_model_publish(fixture->store, &what, &id, &err), &err);
    return id;
}

static void old_models_and_jobs_go(void **state)
{
    struct fixture *const fixture = *state;
    fixture->folder.options.retention.models_ms = 90 * DAY_MS;
    fixture->folder.options.retention.jobs_ms = 30 * DAY_MS;
    fixture->store = folder_open(&fixture->folder);
    struct err err = {0};
    int64_t revision, id;
    bool created;
    assert_ok(
        store_forecaster_put(fixture->store, "f", "{}", "{}", &revision, &created, &err),
        &err);
    for (int i = 0; i < 5; i++) /* models 1..5, the third a challenger that lost */
        publish(fixture, i == 2);
    for (int i = 0; i < 3; i++) {
        const struct store_job_wish wish = {.kind = "train", .forecaster = "f"};
        assert_ok(store_job_add(fixture->store, &wish, &id, &created, &err), &err);
        if (i < 2)
            assert_ok(store_job_cancel(fixture->store, id, &err), &err);
        fixture->folder.now_ms += 20 * DAY_MS;
    }
    fixture->folder.now_ms = START_MS + 40 * DAY_MS;
    retain(fixture->store);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM models"), 5);
    assert_int_equal(ask(fixture, "SELECT group_concat(id) = '2,3' FROM jobs"), 1);
    fixture->folder.now_ms = START_MS + 100 * DAY_MS;
    retain(fixture->store);
    assert_int_equal(ask(fixture, "SELECT group_concat(id) = '4,5' FROM models"), 1);
    assert_int_equal(ask(fixture, "SELECT group_concat(id) = '3' FROM jobs"), 1);
    struct store_model model;
    assert_ok(store_model_serving(fixture->store, "f", &model, &err), &err);
    assert_int_equal(model.id, 5);
    store_model_fini(&model);
    assert_ok(store_model_restore(fixture->store, "f", 4, &err), &err);
}

/* How long until retention is due, after how many failures in a row. */
static int64_t next_round_ms(struct store *store, unsigned *failed)
{
    struct compactor *const compactor = &store->compactor;
    pthread_mutex_lock(&compactor->mutex);
    const int64_t at_ms = compactor->task[TASK_RETAIN].not_before_ms;
    *failed = compactor->task[TASK_RETAIN].failed;
    pthread_mutex_unlock(&compactor->mutex);
    return at_ms - time_monotonic_ms();
}

/* Revisions go with the samples that they are about. */
static void what_cannot_go_keeps_nothing_else(void **state)
{
    struct fixture *const fixture = *state;
    fixture->folder.options.retention.forecasts_ms = DAY_MS;
    fixture->folder.options.retention.samples_ms = DAY_MS;
    fixture->folder.options.retention.hours_ms = DAY_MS;
    fixture->folder.options.retention.models_ms = DAY_MS;
    fixture->store = folder_open(&fixture->folder);
    struct err err = {0};
    int64_t revision;
    bool created;
    assert_ok(
        store_forecaster_put(fixture->store, "f", "{}", "{}", &revision, &created, &err),
        &err);
    issue(fixture, START_MS);
    for (int i = 0; i < 4; i++)
        publish(fixture, false);
    put(fixture->store, "a", START_MS, START_MS + DAY_MS, MINUTE_MS);
    let_it_be(fixture, START_MS + 30 * DAY_MS);
    assert_ok(sql_exec(fixture->store->db,
                       "CREATE TRIGGER stuck BEFORE DELETE ON issues BEGIN "
                       "SELECT RAISE(ABORT, 'stuck'); END",
                       &err),
              &err);
    assert_err(store_retain(fixture->store, &err), &err, ERR_IO, "stuck");
    assert_int_equal(ask(fixture, "SELECT count(*) FROM issues"), 1);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM models"), 2);
    assert_int_equal(series_count(fixture->store), 1);
    /* It is not tried again each second, but 1, 2, 4 ... 512 seconds later. */
    unsigned failed = 0;
    while (failed < 12) {
        err = (struct err){0};
        assert_err(store_retain(fixture->store, &err), &err, ERR_IO, "stuck");
        const int64_t wait_ms = next_round_ms(fixture->store, &failed);
        const int64_t want_ms = INT64_C(1000) << (failed < 10 ? failed - 1 : 9);
        assert_true(wait_ms <= want_ms);
        if (want_ms > 4000)
            assert_true(wait_ms > want_ms - 4000);
    }
    err = (struct err){0};
    assert_ok(sql_exec(fixture->store->db, "DROP TRIGGER stuck", &err), &err);
    retain(fixture->store);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM issues"), 0);
    assert_true(next_round_ms(fixture->store, &failed) > 3590000);
    assert_int_equal(failed, 0);
}

static void revisions_go_with_their_samples(void **state)
{
    struct fixture *const fixture = *state;
    fixture->folder.options.retention.samples_ms = 10 * DAY_MS;
    fixture->folder.options.retention.hours_ms = 10 * DAY_MS;
    fixture->folder.options.late_after_ms = 0;
    fixture->store = folder_open(&fixture->folder);
    fixture->folder.now_ms = START_MS + 9 * DAY_MS;
    put(fixture->store, "a", START_MS, START_MS + 9 * DAY_MS, 30 * MINUTE_MS);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM revisions"), 9 * 48);
    let_it_be(fixture, START_MS + 15 * DAY_MS);
    retain(fixture->store);
    const size_t left = count_in(fixture->store, "a", INT64_MIN, INT64_MAX);
    assert_in_range(left, 4 * 48, 4 * 48 + CHUNK * 3 / 2);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM revisions WHERE series = 1"),
                     left);
    let_it_be(fixture, START_MS + 40 * DAY_MS);
    retain(fixture->store);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM revisions WHERE series = 1"), 0);
}

/* ---- the budget ----------------------------------------------------------------------- */

static uint64_t file_bytes(const struct fixture *fixture)
{
    struct stat status;
    char *const path = folder_file(&fixture->folder, "frwkvd.db");
    assert_int_equal(stat(path, &status), 0);
    free(path);
    return (uint64_t)status.st_size;
}

static void a_budget_is_kept_by_the_oldest(void **state)
{
    enum { BUDGET = 600000, SERIES = 4 };
    struct fixture *const fixture = *state;
    fixture->folder.options.retention.bytes = BUDGET;
    fixture->folder.options.chunk_samples = 1024;
    fixture->store = folder_open(&fixture->folder);
    const struct rng_stream stream = {.seed = 3};
    uint64_t index = 0;
    struct err err = {0};
    struct store_counts counts;
    const int64_t step_ms = MINUTE_MS;
    for (int64_t day = 0; day < 20; day++) {
        struct store_batch *const batch = store_batch_new();
        for (int64_t t = 0; t < DAY_MS; t += step_ms)
            for (int s = 0; s < SERIES; s++) {
                char name[16];
                snprintf(name, sizeof name, "s%d", s);
                store_batch_add(batch, store_batch_series(batch, name),
                                START_MS + day * DAY_MS + t, rng_normal(stream, index++));
            }
        assert_ok(store_append_wait(fixture->store, batch, &counts, &err), &err);
        if (day % 3 == 2)
            retain(fixture->store);
    }
    retain(fixture->store);
    const int64_t bytes = STORE_PAGE_BYTES * ask(fixture, "PRAGMA page_count");
    assert_in_range(bytes, BUDGET / 2, BUDGET);
    reopen(fixture); /* moves the write-ahead log into the file */
    assert_in_range(file_bytes(fixture), BUDGET / 2, BUDGET + 2 * STORE_PAGE_BYTES);
    int64_t first_ms[SERIES];
    for (int s = 0; s < SERIES; s++) {
        char name[16];
        struct store_series series;
        snprintf(name, sizeof name, "s%d", s);
        assert_ok(store_series(fixture->store, name, &series, &err), &err);
        assert_int_equal(series.last_ms, START_MS + 20 * DAY_MS - step_ms);
        assert_int_equal(series.samples,
                         (series.last_ms - series.first_ms) / step_ms + 1);
        first_ms[s] = series.first_ms;
        /* The same age in all, to within a chunk. */
        assert_true(llabs(first_ms[s] - first_ms[0]) < 1600 * step_ms);
        assert_true(first_ms[s] > START_MS + 5 * DAY_MS);
    }
    folder_assert_sound(&fixture->folder);
}

/* Twenty days of two issues, a series of which a chunk takes all that time, and others
 * that have none yet: old forecasts go, and by themselves. */
static void a_budget_is_kept_by_forecasts_alone(void **state)
{
    enum { BUDGET = 1000000, DAYS = 20, SERIES = 50, STEPS = 250 };
    struct fixture *const fixture = *state;
    fixture->store = folder_open(&fixture->folder);
    static const double QUANTILE[] = {0.5};
    static float values[SERIES][STEPS];
    static char name[SERIES][8];
    struct store_forecast forecast[SERIES];
    const struct rng_stream stream = {.seed = 4};
    struct err err = {0};
    for (uint64_t day = 0, index = 0; day < DAYS; day++)
        for (int64_t k = 0; k < 2; k++) {
            for (size_t s = 0; s < SERIES; s++) {
                snprintf(name[s], sizeof name[s], "s%zu", s);
                for (size_t i = 0; i < STEPS; i++)
                    values[s][i] = (float)rng_normal(stream, index++);
                forecast[s] =
                    (struct store_forecast){.series = name[s], .values = values[s]};
            }
            const int64_t now_ms = START_MS + (int64_t)day * DAY_MS + k * HOUR_MS;
            const struct store_issue what = {.forecaster = "f",
                                             .revision = 1,
                                             .issued_ms = now_ms,
                                             .first_ms = now_ms,
                                             .step_ms = 1000,
                                             .steps = STEPS,
                                             .quantile_count = 1,
                                             .quantiles = QUANTILE,
                                             .count = SERIES,
                                             .forecasts = forecast};
            int64_t id;
            assert_ok(store_issue_append(fixture->store, &what, 0, NULL, &id, &err),
                      &err);
        }
    const int64_t end_ms = START_MS + DAYS * DAY_MS;
    fixture->folder.now_ms = end_ms;
    put(fixture->store, "s0", START_MS + HOUR_MS, end_ms, DAYS * DAY_MS / CHUNK);
    put(fixture->store, "s1", START_MS, end_ms, DAY_MS);
    fixture->folder.options.retention.bytes = BUDGET;
    reopen(fixture);
    assert_true(file_bytes(fixture) > 2 * BUDGET);
    retain(fixture->store);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM chunks"), 1);
    assert_in_range(STORE_PAGE_BYTES * ask(fixture, "PRAGMA page_count"), BUDGET / 2,
                    BUDGET);
    assert_int_equal(ask(fixture, "SELECT max(day) - min(day) + 1 FROM issues") * 2,
                     ask(fixture, "SELECT count(*) FROM issues"));
    assert_int_equal(ask(fixture, "SELECT max(day) FROM issues"), 19000 + DAYS - 1);
    folder_assert_sound(&fixture->folder);
    fixture->folder.options.retention.bytes = 1;
    reopen(fixture);
    retain(fixture->store);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM chunks"), 0);
    folder_assert_sound(&fixture->folder);
}

/* A budget that cannot be kept ends the round all the same. */
static void a_budget_of_nothing_leaves_what_cannot_go(void **state)
{
    struct fixture *const fixture = *state;
    fixture->folder.options.retention.bytes = 1;
    fixture->store = folder_open(&fixture->folder);
    put(fixture->store, "a", START_MS, START_MS + DAY_MS, MINUTE_MS);
    retain(fixture->store);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM chunks"), 0);
    put(fixture->store, "a", START_MS + DAY_MS, START_MS + DAY_MS + HOUR_MS, MINUTE_MS);
    assert_int_equal(count_in(fixture->store, "a", START_MS + DAY_MS, INT64_MAX), 60);
}

/* ---- random histories ------------------------------------------------------------------ */

/*
 * The clock goes on, samples come in time, some late or twice, and retention comes now
 * and then: nothing within its time is ever missing, and what is there is right.
 */
static void random_histories_keep_what_is_within_its_time(void **state)
{
    enum { SERIES = 3, ROUNDS = 120 };
    static const char *const NAME[SERIES] = {"a", "b", "c"};
    static const int64_t STEP_MS[SERIES] = {60000, 60000, 1800000};
    struct fixture *const fixture = *state;
    const int64_t kept_ms = 2 * DAY_MS, hours_ms = 20 * DAY_MS;
    fixture->folder.options.retention.samples_ms = kept_ms;
    fixture->folder.options.retention.hours_ms = hours_ms;
    fixture->folder.options.late_after_ms = HOUR_MS;
    fixture->store = folder_open(&fixture->folder);
    const struct rng_stream stream = {.seed = 77};
    uint64_t index = 0;
    int64_t sent_ms[SERIES] = {START_MS, START_MS, START_MS};
    for (int round = 0; round < ROUNDS; round++) {
        fixture->folder.now_ms += rng_at(stream, index++).word[0] % (12 * 3600000);
        const int64_t now_ms = fixture->folder.now_ms;
        for (int s = 0; s < SERIES; s++) {
            put(fixture->store, NAME[s], sent_ms[s], now_ms, STEP_MS[s]);
            sent_ms[s] +=
                (now_ms - sent_ms[s] + STEP_MS[s] - 1) / STEP_MS[s] * STEP_MS[s];
            const int64_t again_ms =
                sent_ms[s] - STEP_MS[s] * (1 + rng_at(stream, index++).word[0] % 40);
            if (again_ms >= START_MS)
                put(fixture->store, NAME[s], again_ms, again_ms + 1, 1);
        }
        const uint32_t dice = rng_at(stream, index++).word[0] % 8;
        struct err err = {0};
        if (dice < 3)
            retain(fixture->store);
        else if (dice < 5)
            assert_ok(store_compact(fixture->store, &err), &err);
        else if (dice == 5)
            reopen(fixture);
        for (int s = 0; s < SERIES; s++) {
            const int64_t kept = s < 2 ? kept_ms : hours_ms;
            int64_t from_ms = now_ms - kept > START_MS ? now_ms - kept : START_MS;
            from_ms += (STEP_MS[s] - from_ms % STEP_MS[s]) % STEP_MS[s];
            assert_int_equal(count_in(fixture->store, NAME[s], from_ms, INT64_MAX),
                             (sent_ms[s] - from_ms) / STEP_MS[s]);
            count_in(fixture->store, NAME[s], INT64_MIN, INT64_MAX);
        }
        int64_t from_ms = now_ms - hours_ms > START_MS ? now_ms - hours_ms : START_MS;
        from_ms += (HOUR_MS - from_ms % HOUR_MS) % HOUR_MS;
        if (now_ms - now_ms % HOUR_MS > from_ms)
            for (int s = 0; s < 2; s++)
                assert_hours(fixture->store, NAME[s], from_ms, now_ms - now_ms % HOUR_MS);
    }
    folder_assert_sound(&fixture->folder);
    assert_true(ask(fixture, "SELECT min(first_ms) FROM chunks WHERE series = 1") >
                fixture->folder.now_ms - 6 * DAY_MS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(samples_go_and_their_hours_stay),
        TEST(a_batch_may_name_a_series_that_went),
        TEST(the_log_may_name_it_too),
        TEST(days_of_the_ledger_go_whole),
        TEST(calibrations_stay_while_an_issue_names_them),
        TEST(old_models_and_jobs_go),
        TEST(what_cannot_go_keeps_nothing_else),
        TEST(revisions_go_with_their_samples),
        TEST(a_budget_is_kept_by_the_oldest),
        TEST(a_budget_is_kept_by_forecasts_alone),
        TEST(a_budget_of_nothing_leaves_what_cannot_go),
        TEST(random_histories_keep_what_is_within_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
