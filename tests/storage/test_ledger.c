/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include <inttypes.h>
#include <sqlite3.h>

#include "storage/ledger.h"
#include "tests/storage/folder.h"

enum { STEPS = 96, QUANTILES = 3, DAY_MS = 86400000 };

struct fixture {
    struct folder folder;
    struct store *store;
};

static int64_t calibrate(struct store *store, const char *forecaster, int64_t model_id,
                         int64_t made_ms)
{
    struct err err = {0};
    int64_t number = 0;
    char body[40];
    snprintf(body, sizeof body, "{\"at\":%" PRId64 "}", made_ms);
    const struct store_calibration calibration = {
        .revision = 3, .model_id = model_id, .made_ms = made_ms, .body = body};
    assert_ok(store_calibration_append(store, forecaster, &calibration, &number, &err),
              &err);
    return number;
}

/* Issues name calibration 5. */
static int setup(void **state)
{
    struct fixture *const fixture = mem_new(1, sizeof *fixture);
    folder_init(&fixture->folder);
    fixture->folder.options.durability = DURABILITY_NORMAL; /* many small ones */
    fixture->store = folder_open(&fixture->folder);
    for (int64_t number = 1; number <= 5; number++)
        for (int k = 0; k < 2; k++)
            assert_int_equal(calibrate(fixture->store, k ? "g" : "f", 4, 1000 * number),
                             number);
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

static sqlite3 *open_database(const struct fixture *fixture)
{
    char *const path = folder_file(&fixture->folder, "frwkvd.db");
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    free(path);
    return db;
}

static int tamper(struct fixture *fixture, const char *sql)
{
    sqlite3 *const db = open_database(fixture);
    char *text = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &text) != SQLITE_OK)
        fail_msg("%s: %s", sql, text);
    const int changes = sqlite3_changes(db);
    sqlite3_close(db);
    return changes;
}

static float value_at(int64_t issued_ms, size_t series, size_t i)
{
    return (float)((double)(issued_ms % 1009) + 100.0 * (double)series + 0.1 * (double)i);
}

/* Two series' worth of forecast. */
static int issue_with(struct store *store, const char *forecaster, int64_t issued_ms,
                      int64_t job_id, int64_t *id, struct err *err)
{
    static const double quantiles[QUANTILES] = {0.1, 0.5, 0.9};
    float values[2][STEPS * QUANTILES];
    struct store_forecast forecasts[2] = {
        {.series = "cpu{host=\"a\"}", .values = values[0]},
        {.series = "cpu{host=\"b\"}", .values = values[1]}};
    for (size_t s = 0; s < 2; s++) {
        memset(forecasts[s].input_hash, (int)s + 1, STORE_HASH_SIZE);
        for (size_t i = 0; i < STEPS * QUANTILES; i++)
            values[s][i] = value_at(issued_ms, s, i);
    }
    const struct store_issue issue = {
        .forecaster = forecaster,
        .revision = 3,
        .model_id = 4,
        .calibration = 5,
        .issued_ms = issued_ms,
        .first_ms = issued_ms + 3600000,
        .step_ms = 3600000,
        .steps = STEPS,
        .quantile_count = QUANTILES,
        .quantiles = quantiles,
        .count = 2,
        .forecasts = forecasts,
    };
    return store_issue_append(store, &issue, job_id, "{\"issued\":2}", id, err);
}

static int64_t issue(struct store *store, const char *forecaster, int64_t issued_ms)
{
    struct err err = {0};
    int64_t id = 0;
    assert_ok(issue_with(store, forecaster, issued_ms, 0, &id, &err), &err);
    return id;
}

static void assert_newest(struct store *store, const char *forecaster, int64_t at_ms,
                          int64_t want_issued_ms)
{
    struct err err = {0};
    struct store_issued *issued;
    size_t count;
    assert_ok(store_issue_newest(store, forecaster, at_ms, &issued, &count, &err), &err);
    assert_int_equal(count, 2);
    for (size_t s = 0; s < count; s++) {
        assert_int_equal(issued[s].issued_ms, want_issued_ms);
        assert_int_equal(issued[s].first_ms, want_issued_ms + 3600000);
        assert_int_equal(issued[s].step_ms, 3600000);
        assert_int_equal(issued[s].revision, 3);
        assert_int_equal(issued[s].model_id, 4);
        assert_int_equal(issued[s].calibration, 5);
        assert_int_equal(issued[s].steps, STEPS);
        assert_int_equal(issued[s].quantile_count, QUANTILES);
        assert_true(issued[s].quantiles[2] == 0.9);
        assert_string_equal(issued[s].series, s ? "cpu{host=\"b\"}" : "cpu{host=\"a\"}");
        assert_int_equal(issued[s].input_hash[31], s + 1);
        for (size_t i = 0; i < STEPS * QUANTILES; i++)
            assert_true(issued[s].values[i] == value_at(want_issued_ms, s, i));
    }
    store_issued_fini(issued, count);
}

static void the_newest_until_an_instant(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    const int64_t t = fixture->folder.now_ms;
    struct err err = {0};
    struct store_issued *issued;
    size_t count;
    assert_err(store_issue_newest(store, "f", t, &issued, &count, &err), &err,
               ERR_NOT_FOUND, "forecast: nothing of f has been issued yet");
    const int64_t first = issue(store, "f", t);
    assert_int_equal(issue(store, "f", t + 10), first + 1);
    issue(store, "g", t + 20);
    issue(store, "f", t + DAY_MS);
    assert_newest(store, "f", t, t);
    assert_newest(store, "f", t + 9, t);
    assert_newest(store, "f", t + 30, t + 10);
    assert_newest(store, "g", INT64_MAX, t + 20);
    assert_newest(store, "f", INT64_MAX, t + DAY_MS);
    char at[TIME_TEXT_SIZE], since[TIME_TEXT_SIZE], want[200];
    snprintf(
        want, sizeof want,
        "forecast: nothing of f was issued at or before %s; the first issue is of %s",
        time_format(t - 1, at), time_format(t, since));
    err = (struct err){0};
    assert_err(store_issue_newest(store, "f", t - 1, &issued, &count, &err), &err,
               ERR_NOT_FOUND, want);
}

/* The issues whose turn falls into [from, to], as distances from t. */
static void assert_issues(struct store *store, int64_t t, int64_t from, int64_t to,
                          size_t limit, const int64_t *want, size_t want_count)
{
    struct err err = {0};
    struct store_issue_line *line;
    size_t count;
    assert_ok(store_issues(store, "f", t + from, t + to, limit, &line, &count, &err),
              &err);
    assert_int_equal(count, want_count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(line[i].issued_ms, t + want[i]);
        assert_int_equal(line[i].first_ms, t + want[i] + 3600000);
        assert_int_equal(line[i].steps, STEPS);
        struct store_issued *issued;
        size_t series;
        assert_ok(store_issue_get(store, "f", line[i].issue_id, "cpu{host=\"b\"}",
                                  &issued, &series, &err),
                  &err);
        assert_int_equal(series, 1);
        assert_string_equal(issued->series, "cpu{host=\"b\"}");
        assert_true(issued->values[5] == value_at(t + want[i], 1, 5));
        store_issued_fini(issued, series);
    }
    free(line);
}

static void issues_in_a_range(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    const int64_t t = fixture->folder.now_ms;
    assert_issues(store, t, 0, 100, 0, NULL, 0);
    const int64_t first = issue(store, "f", t);
    issue(store, "g", t + 5);
    issue(store, "f", t + 10);
    issue(store, "f", t + DAY_MS);
    assert_issues(store, t, -5, -1, 0, NULL, 0);
    assert_issues(store, t, -5, 0, 0, (const int64_t[]){0}, 1);
    assert_issues(store, t, 3, 7, 0, (const int64_t[]){0}, 1);
    assert_issues(store, t, 3, 10, 0, (const int64_t[]){0, 10}, 2);
    assert_issues(store, t, 20, 2 * DAY_MS, 0, (const int64_t[]){10, DAY_MS}, 2);
    assert_issues(store, t, -5, 2 * DAY_MS, 2, (const int64_t[]){10, DAY_MS}, 2);
    struct err err = {0};
    struct store_issued *issued;
    size_t count;
    assert_err(store_issue_get(store, "g", first, NULL, &issued, &count, &err), &err,
               ERR_NOT_FOUND, "forecast: g has no issue 1");
    err = (struct err){0};
    assert_err(store_issue_get(store, "f", first, "cpu", &issued, &count, &err), &err,
               ERR_NOT_FOUND, "forecast: says nothing of cpu");
}

/* A deleted forecaster's forecasts were issued all the same. */
static void the_ledger_outlives_its_forecaster(void **state)
{
    struct fixture *const fixture = *state;
    struct err err = {0};
    int64_t revision;
    bool created;
    assert_ok(
        store_forecaster_put(fixture->store, "f", "{}", "{}", &revision, &created, &err),
        &err);
    issue(fixture->store, "f", fixture->folder.now_ms);
    assert_ok(store_forecaster_delete(fixture->store, "f", &err), &err);
    assert_newest(fixture->store, "f", INT64_MAX, fixture->folder.now_ms);
}

static void issuing_finishes_the_job_or_nothing(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    struct err err = {0};
    struct store_issued *issued;
    struct store_job job;
    size_t count;
    int64_t id, job_id;
    bool created, found;
    assert_err(issue_with(store, "f", 1000, 17, &id, &err), &err, ERR_NOT_FOUND,
               "job: 17 not found");
    assert_err(store_issue_newest(store, "f", INT64_MAX, &issued, &count, &err), &err,
               ERR_NOT_FOUND, "f");
    err = (struct err){0};
    assert_ok(store_job_add(
                  store, &(struct store_job_wish){.kind = "forecast", .forecaster = "f"},
                  &job_id, &created, &err),
              &err);
    assert_ok(store_job_claim(store, "a", NULL, 1000, &job, &found, &err), &err);
    store_job_fini(&job);
    assert_ok(issue_with(store, "f", 1000, job_id, &id, &err), &err);
    assert_ok(store_job_get(store, job_id, &job, &err), &err);
    assert_string_equal(job.state, "done");
    assert_string_equal(job.result, "{\"issued\":2}");
    store_job_fini(&job);
    assert_newest(store, "f", INT64_MAX, 1000);
}

static void every_changed_column_is_seen(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    static const char *const CHANGE[] = {
        "UPDATE calibrations SET chain = zeroblob(32) WHERE forecaster = 'f' AND "
        "number = 5",
        "UPDATE calibrations SET number = 6 WHERE forecaster = 'f' AND number = 5",
        "UPDATE issues SET revision = 9 WHERE id = 2",
        "UPDATE issues SET model_id = 9 WHERE id = 2",
        "UPDATE issues SET calibration = 9 WHERE id = 2",
        "UPDATE issues SET issued_ms = issued_ms + 1 WHERE id = 2",
        "UPDATE issues SET first_ms = 0 WHERE id = 2",
        "UPDATE issues SET step_ms = 1 WHERE id = 2",
        "UPDATE issues SET steps = 97 WHERE id = 2",
        "UPDATE issues SET steps = 288, quantiles = substr(quantiles, 1, 8) WHERE id = 2",
        "UPDATE issues SET steps = 1 << 40 WHERE id = 2",
        "UPDATE issues SET quantiles = zeroblob(24) WHERE id = 2",
        "UPDATE issues SET quantiles = zeroblob(7) WHERE id = 2",
        "UPDATE issues SET chain = zeroblob(32) WHERE id = 2",
        "UPDATE issues SET chain = x'' WHERE id = 2",
        "UPDATE issues SET day = day + 1 WHERE id = 2",
        "UPDATE issues SET chain = zeroblob(32) WHERE id = 1", /* what it builds on */
        "DELETE FROM issues WHERE id = 1",
        "UPDATE forecasts SET series = 'x' WHERE issue = 2 AND place = 1",
        "UPDATE forecasts SET input_hash = zeroblob(32) WHERE issue = 2 AND place = 1",
        "UPDATE forecasts SET input_hash = x'' WHERE issue = 2 AND place = 1",
        "UPDATE forecasts SET quantiles = x'' WHERE issue = 2 AND place = 1",
        "DELETE FROM forecasts WHERE issue = 2 AND place = 1",
        "INSERT INTO forecasts SELECT issue, 2, series, input_hash, quantiles "
        "FROM forecasts WHERE issue = 2 AND place = 1",
    };
    for (size_t i = 0; i < sizeof CHANGE / sizeof *CHANGE; i++) {
        struct err err = {0};
        struct store_issued *issued;
        size_t count;
        tamper(fixture, "DELETE FROM issues; DELETE FROM days; DELETE FROM forecasts;"
                        "DELETE FROM calibrations; DELETE FROM sqlite_sequence");
        for (int64_t number = 1; number <= 5; number++)
            calibrate(store, "f", 4, 1000 * number);
        issue(store, "f", fixture->folder.now_ms);
        issue(store, "f", fixture->folder.now_ms + 5);
        assert_newest(store, "f", INT64_MAX, fixture->folder.now_ms + 5);
        if (tamper(fixture, CHANGE[i]) != 1)
            fail_msg("%s: changed nothing", CHANGE[i]);
        if (store_issue_newest(store, "f", INT64_MAX, &issued, &count, &err) != -1 ||
            err.code != ERR_CORRUPT)
            fail_msg("%s: not seen: %s", CHANGE[i], err.msg);
        assert_null(issued);
    }
}

/* The first link of a day stands on the closing of the day before. */
static void days_are_linked(void **state)
{
    struct fixture *const fixture = *state;
    const int64_t t = fixture->folder.now_ms;
    for (int day = 0; day < 3; day++) {
        issue(fixture->store, "f", t + day * DAY_MS);
        issue(fixture->store, "f", t + day * DAY_MS + 1);
    }
    sqlite3 *const db = open_database(fixture);
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(
                         db,
                         "SELECT count(*) FROM days a JOIN days b ON b.day = a.day + 1 "
                         "WHERE b.opening = a.closing AND a.closing = (SELECT chain FROM "
                         "issues WHERE day = a.day ORDER BY id DESC LIMIT 1)",
                         -1, &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(stmt, 0), 2);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    /* Retention drops a whole day; what stands after it still proves itself. */
    tamper(fixture, "DELETE FROM issues WHERE day = (SELECT min(day) FROM days)");
    assert_newest(fixture->store, "f", t + DAY_MS, t + DAY_MS);
    assert_int_equal(ledger_day(0), 0);
    assert_int_equal(ledger_day(-1), -1);
    assert_int_equal(ledger_day(DAY_MS - 1), 0);
    assert_int_equal(ledger_day(-DAY_MS), -1);
}

static void a_forecast_is_small(void **state)
{
    struct fixture *const fixture = *state;
    issue(fixture->store, "f", fixture->folder.now_ms);
    sqlite3 *const db = open_database(fixture);
    sqlite3_stmt *stmt;
    sqlite3_prepare_v2(db, "SELECT max(length(quantiles)) FROM forecasts", -1, &stmt,
                       NULL);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_in_range(sqlite3_column_int(stmt, 0), 1, 1300);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

static void bad_issues_are_refused(void **state)
{
    struct fixture *const fixture = *state;
    struct err err = {0};
    int64_t id;
    struct store_issue bad = {.forecaster = "f"};
    assert_err(store_issue_append(fixture->store, &bad, 0, NULL, &id, &err), &err,
               ERR_INVALID, "steps: must be 1..");
    bad.steps = 1;
    assert_err(store_issue_append(fixture->store, &bad, 0, NULL, &id, &err), &err,
               ERR_INVALID, "quantiles: must be 1..");
    bad.quantile_count = 1;
    assert_err(store_issue_append(fixture->store, &bad, 0, NULL, &id, &err), &err,
               ERR_INVALID, "forecasts: ");
    err = (struct err){0};
    assert_err(issue_with(fixture->store, "h", 1000, 0, &id, &err), &err, ERR_CONFLICT,
               "calibration: h has none of number 5");
}

/* ---- calibrations ------------------------------------------------------------------- */

static void calibrations_are_numbered(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    struct err err = {0};
    struct store_calibration one, *list;
    size_t count;
    assert_int_equal(calibrate(store, "f", 8, 6000), 6);
    assert_int_equal(calibrate(store, "h", 8, 6000), 1);
    assert_ok(store_calibration_newest(store, "f", 4, INT64_MAX, &one, &err), &err);
    assert_int_equal(one.number, 5);
    assert_string_equal(one.body, "{\"at\":5000}");
    store_calibration_fini(&one);
    assert_ok(store_calibration_newest(store, "f", 4, 3999, &one, &err), &err);
    assert_int_equal(one.number, 3);
    store_calibration_fini(&one);
    assert_err(store_calibration_newest(store, "f", 4, 999, &one, &err), &err,
               ERR_NOT_FOUND, "calibration: f has none of model 4");
    err = (struct err){0};
    assert_ok(store_calibration_get(store, "f", 6, &one, &err), &err);
    assert_int_equal(one.model_id, 8);
    assert_int_equal(one.revision, 3);
    assert_int_equal(one.made_ms, 6000);
    store_calibration_fini(&one);
    assert_err(store_calibration_get(store, "h", 2, &one, &err), &err, ERR_NOT_FOUND,
               "calibration: h has none of number 2");
    err = (struct err){0};
    assert_ok(store_calibrations(store, "f", 5500, 2, &list, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_int_equal(list[0].number, 5);
    assert_int_equal(list[1].number, 4);
    assert_null(list[0].body);
    free(list);
    assert_ok(store_calibrations(store, "nobody", 5500, 2, &list, &count, &err), &err);
    assert_int_equal(count, 0);
}

static void keep_last(void *ctx, const char *what)
{
    snprintf(ctx, 300, "%s", what);
}

/* Each is seen by who reads it, and by verify, which names it. */
static void a_changed_calibration_is_named(void **state)
{
    struct fixture *const fixture = *state;
    static const struct {
        const char *sql, *says;
        bool read; /* who reads it sees it, too */
    } CHANGE[] = {
        {"UPDATE calibrations SET body = '{\"at\":4001}' WHERE number = 4",
         "calibration: number 4 of f does not match its chain", true},
        {"UPDATE calibrations SET revision = 9 WHERE number = 4", "number 4 of f", true},
        {"UPDATE calibrations SET model_id = 9 WHERE number = 4", "number 4 of f", true},
        {"UPDATE calibrations SET made_ms = 9 WHERE number = 4", "number 4 of f", true},
        {"UPDATE calibrations SET opening = x'' WHERE number = 4", "number", true},
        {"UPDATE calibrations SET chain = zeroblob(32) WHERE number = 4", "number", true},
        {"DELETE FROM calibrations WHERE number = 3",
         "calibration: number 4 of f does not follow the one before", false},
    };
    for (size_t i = 0; i < sizeof CHANGE / sizeof *CHANGE; i++) {
        struct store_calibration one;
        struct store_verified verified;
        struct err err = {0};
        char said[300] = "";
        tamper(fixture, "DELETE FROM calibrations");
        for (int64_t number = 1; number <= 5; number++)
            calibrate(fixture->store, "f", 4, 1000 * number);
        assert_ok(store_verify(fixture->folder.uri, keep_last, said, &verified, &err),
                  &err);
        assert_int_equal(verified.findings, 0);
        assert_int_equal(verified.calibrations, 5);
        assert_int_equal(tamper(fixture, CHANGE[i].sql), 1);
        assert_ok(store_verify(fixture->folder.uri, keep_last, said, &verified, &err),
                  &err);
        if (!verified.findings || !strstr(said, CHANGE[i].says))
            fail_msg("%s: %s", CHANGE[i].sql, said);
        const int rc = store_calibration_get(fixture->store, "f", 4, &one, &err);
        assert_int_equal(rc, CHANGE[i].read ? -1 : 0);
        assert_int_equal(err.code, CHANGE[i].read ? ERR_CORRUPT : 0);
        store_calibration_fini(&one);
    }
}

/* One that was written anew with all that follows it does not fit the issues. */
static void a_forged_calibration_does_not_fit(void **state)
{
    struct fixture *const fixture = *state;
    struct err err = {0};
    struct store_issued *issued;
    size_t count;
    issue(fixture->store, "f", fixture->folder.now_ms);
    assert_newest(fixture->store, "f", INT64_MAX, fixture->folder.now_ms);
    tamper(fixture, "DELETE FROM calibrations WHERE forecaster = 'f'");
    for (int64_t number = 1; number <= 5; number++)
        calibrate(fixture->store, "f", 4, 2000 * number);
    assert_err(store_issue_newest(fixture->store, "f", INT64_MAX, &issued, &count, &err),
               &err, ERR_CORRUPT, "does not match its chain");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest_until_an_instant, setup, teardown),
        cmocka_unit_test_setup_teardown(issues_in_a_range, setup, teardown),
        cmocka_unit_test_setup_teardown(the_ledger_outlives_its_forecaster, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(issuing_finishes_the_job_or_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(every_changed_column_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(days_are_linked, setup, teardown),
        cmocka_unit_test_setup_teardown(a_forecast_is_small, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_issues_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(calibrations_are_numbered, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_calibration_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_forged_calibration_does_not_fit, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
