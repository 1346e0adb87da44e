/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scheduler against a real store, with a clock that the test moves.
 */
#include "tests/check.h"

#include <stdbool.h>
#include <unistd.h>

#include "api/api.h"
#include "base/log.h"
#include "daemon/scheduler.h"
#include "tests/storage/folder.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

struct bench {
    struct folder folder;
    struct store *store;
};

static int64_t at(const char *utc)
{
    struct err err = {0};
    int64_t ms = 0;
    assert_ok(time_parse(utc, strlen(utc), NULL, &ms, &err), &err);
    return ms;
}

static int setup(void **state)
{
    struct bench *const b = mem_new(1, sizeof *b);
    folder_init(&b->folder);
    b->folder.now_ms = at("2026-03-27T12:34:56Z");
    b->folder.options.durability = DURABILITY_NORMAL; /* thousands of looks */
    b->store = folder_open(&b->folder);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *const b = *state;
    store_close(b->store);
    folder_fini(&b->folder);
    free(b);
    return 0;
}

static void restart(struct bench *b)
{
    store_close(b->store);
    b->store = folder_open(&b->folder);
}

/* schedules: members of the definition. */
static void define(struct bench *b, const char *name, const char *schedules)
{
    struct err err = {0};
    struct forecaster f;
    struct forecaster_text text;
    int64_t revision;
    bool created;
    char *const json = mem_printf(
        "{\"select\": \"load\", \"step\": \"1h\", \"lookback\": 24, \"horizon\": 12, %s}",
        schedules);
    assert_ok(forecaster_parse(name, json, strlen(json), &f, &text, &err), &err);
    assert_ok(store_forecaster_put(b->store, name, text.body, text.policy, &revision,
                                   &created, &err),
              &err);
    forecaster_text_fini(&text);
    forecaster_fini(&f);
    free(json);
}

/* Something serves; the scheduler does not look into it. */
static void give_model(struct bench *b, const char *name)
{
    struct err err = {0};
    int64_t id;
    const struct store_publication publication = {
        .forecaster = name, .revision = 1, .bytes = "model", .len = 5};
    assert_ok(store_model_publish(b->store, &publication, &id, &err), &err);
}

/* Looks, ends what was queued, and returns how many of a kind that were.  *reason, unless
 * NULL, is why the last was. */
static size_t look(struct bench *b, const char *kind, char reason[64])
{
    struct err err = {0};
    struct store_job job;
    struct scheduler_seen seen;
    size_t count = 0;
    bool found;
    assert_ok(scheduler_look(b->store, b->folder.options.clock, &seen, &err), &err);
    assert_true(seen.next_ms > b->folder.now_ms);
    for (;;) {
        assert_ok(store_job_claim(b->store, "me", NULL, 1000, &job, &found, &err), &err);
        if (!found)
            return count;
        count += strcmp(job.kind, kind) == 0;
        if (reason)
            memcpy(reason, job.reason, sizeof job.reason);
        assert_ok(store_job_finish(b->store, job.id, "me", "done", NULL, NULL, &err),
                  &err);
        store_job_fini(&job);
    }
}

static void hours_add(struct bench *b, int hours)
{
    struct err err = {0};
    struct store_counts counts;
    struct store_batch *const batch = store_batch_new();
    const uint32_t series = store_batch_series(batch, "load");
    store_batch_history(batch);
    for (int i = 0; i < hours; i++)
        store_batch_add(batch, series,
                        b->folder.now_ms / HOUR * HOUR - (hours - i) * HOUR, i);
    assert_ok(store_append_wait(b->store, batch, &counts, &err), &err);
}

static void each_instant_once(void **state)
{
    struct bench *const b = *state;
    define(b, "web", "\"forecast\": {\"every\": \"1h\"}");
    give_model(b, "web");
    for (int minute = 0; minute < 48 * 60; minute += 7) {
        const int64_t hour = b->folder.now_ms / HOUR;
        b->folder.now_ms += 7 * MINUTE;
        assert_int_equal(look(b, "forecast", NULL), b->folder.now_ms / HOUR - hour);
        if (minute % 49 == 0)
            restart(b);
        assert_int_equal(look(b, "forecast", NULL), 0);
    }
}

/* At the very millisecond, and not before. */
static void exactly_on_time(void **state)
{
    struct bench *const b = *state;
    char reason[64] = "";
    define(b, "web", "\"forecast\": {\"cron\": \"30 14 * * *\"}");
    give_model(b, "web");
    b->folder.now_ms = at("2026-03-27T14:29:59.999Z");
    assert_int_equal(look(b, "forecast", NULL), 0);
    b->folder.now_ms++;
    assert_int_equal(look(b, "forecast", reason), 1);
    assert_string_equal(reason, "schedule");
    assert_int_equal(look(b, "forecast", NULL), 0);
}

/* 02:30 in Berlin, every minute of a week around both changes of the clocks. */
static void over_daylight_saving(void **state)
{
    struct bench *const b = *state;
    static const struct {
        const char *from;
        const char *want[5];
    } weeks[] = {
        {"2026-03-27T12:00:00Z",
         {"2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z",
          "2026-03-31T00:30:00Z", NULL}},
        {"2026-10-23T12:00:00Z",
         {"2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z",
          "2026-10-27T01:30:00Z", NULL}},
    };
    for (size_t w = 0; w < 2; w++) {
        b->folder.now_ms = at(weeks[w].from);
        const char *name = w ? "autumn" : "spring";
        define(b, name,
               "\"forecast\": {\"cron\": \"30 2 * * *\", \"zone\": \"Europe/Berlin\"}");
        give_model(b, name);
        size_t fired = 0;
        for (int minute = 0; minute < 4 * 1440; minute += 5) {
            b->folder.now_ms += 5 * MINUTE;
            if (look(b, "forecast", NULL) == 0)
                continue;
            char now[TIME_TEXT_SIZE];
            assert_non_null(weeks[w].want[fired]);
            assert_string_equal(time_format(b->folder.now_ms, now), weeks[w].want[fired]);
            fired++;
        }
        assert_int_equal(fired, 4);
        struct err err = {0};
        assert_ok(store_forecaster_delete(b->store, name, &err), &err);
    }
}

static void what_was_missed(void **state)
{
    struct bench *const b = *state;
    char reason[64] = "";
    define(b, "once", "\"backtest\": {\"cron\": \"0 3 * * *\"}");
    define(b, "skip", "\"backtest\": {\"cron\": \"0 3 * * *\", \"catch_up\": \"skip\"}");
    give_model(b, "once");
    give_model(b, "skip");
    assert_int_equal(look(b, "backtest", NULL), 0);
    restart(b);
    b->folder.now_ms += 5 * DAY; /* the machine was off */
    assert_int_equal(look(b, "backtest", reason), 1);
    assert_string_equal(reason, "catch-up");
    assert_int_equal(look(b, "backtest", NULL), 0);
    b->folder.now_ms = at("2026-04-02T03:00:00Z");
    assert_int_equal(look(b, "backtest", reason), 2);
    assert_string_equal(reason, "schedule");
}

/* Some seconds late is not missed. */
static void a_busy_second_is_no_absence(void **state)
{
    struct bench *const b = *state;
    define(b, "web", "\"backtest\": {\"cron\": \"0 3 * * *\", \"catch_up\": \"skip\"}");
    look(b, "backtest", NULL);
    b->folder.now_ms = at("2026-03-28T03:00:00Z") + SCHEDULER_GRACE_MS;
    assert_int_equal(look(b, "backtest", NULL), 1);
    b->folder.now_ms = at("2026-03-29T03:00:00Z") + SCHEDULER_GRACE_MS + 1;
    assert_int_equal(look(b, "backtest", NULL), 0);
}

/* A new schedule is not late for what it would have done. */
static void a_change_counts_from_now(void **state)
{
    struct bench *const b = *state;
    define(b, "web", "\"backtest\": {\"cron\": \"0 3 * * *\"}");
    look(b, "backtest", NULL);
    b->folder.now_ms = at("2026-03-28T03:00:00Z");
    assert_int_equal(look(b, "backtest", NULL), 1);
    b->folder.now_ms += HOUR;
    define(b, "web", "\"backtest\": {\"cron\": \"30 3 * * *\"}");
    assert_int_equal(look(b, "backtest", NULL), 0);
    b->folder.now_ms = at("2026-03-29T03:30:00Z");
    assert_int_equal(look(b, "backtest", NULL), 1);
    define(b, "web", "\"train\": null");
    b->folder.now_ms += 3 * DAY;
    assert_int_equal(look(b, "backtest", NULL), 0);
}

/* A clock that was a year ahead for a moment must not silence a schedule for a year; one
 * that was put right by a second must not make it fire twice. */
static void a_clock_that_is_set(void **state)
{
    struct bench *const b = *state;
    define(b, "web", "\"forecast\": {\"every\": \"1h\"}");
    give_model(b, "web");
    const int64_t right = at("2026-03-27T13:00:00Z");
    b->folder.now_ms = right + 365 * DAY;
    assert_int_equal(look(b, "forecast", NULL), 1);
    b->folder.now_ms = right + MINUTE;
    assert_int_equal(look(b, "forecast", NULL), 0);
    restart(b);
    b->folder.now_ms = right + HOUR;
    assert_int_equal(look(b, "forecast", NULL), 1);
    b->folder.now_ms -= 1000;
    assert_int_equal(look(b, "forecast", NULL), 0);
    b->folder.now_ms += 1500;
    assert_int_equal(look(b, "forecast", NULL), 0);
    b->folder.now_ms = right + 2 * HOUR;
    assert_int_equal(look(b, "forecast", NULL), 1);
}

static void jitter(void **state)
{
    struct bench *const b = *state;
    define(b, "web", "\"backtest\": {\"cron\": \"0 * * * *\", \"jitter\": \"20m\"}");
    look(b, "backtest", NULL);
    int64_t sum = 0, first = -1;
    bool differ = false;
    for (int64_t hour = at("2026-03-27T13:00:00Z"), n = 0; n < 100; n++, hour += HOUR) {
        size_t fired = 0;
        for (int64_t minute = 0; minute < 60; minute++) {
            b->folder.now_ms = hour + minute * MINUTE;
            if (look(b, "backtest", NULL) == 0)
                continue;
            fired++;
            assert_true(minute <= 20);
            sum += minute;
            differ = differ || (first >= 0 && minute != first);
            first = minute;
            if (n % 10 == 0)
                restart(b);
        }
        assert_int_equal(fired, 1);
    }
    assert_true(differ);
    assert_in_range(sum, 100 * 7, 100 * 14); /* about ten minutes on average */
}

/* As soon as there is history enough, without waiting for the schedule; and nothing is
 * asked of a forecaster without a model. */
static void the_first_model(void **state)
{
    struct bench *const b = *state;
    char reason[64] = "";
    define(b, "web",
           "\"train\": {\"every\": \"30d\"}, \"forecast\": {\"every\": \"1h\"}");
    b->folder.now_ms += HOUR;
    assert_int_equal(look(b, "train", NULL), 0);
    hours_add(b, 400);
    assert_int_equal(look(b, "train", reason), 1);
    assert_string_equal(reason, "there is no model yet");
    /* It came to nothing: again, less and less often. */
    size_t tries = 0;
    for (int minute = 0; minute < 7 * 1440; minute += 5) {
        b->folder.now_ms += 5 * MINUTE;
        assert_int_equal(look(b, "forecast", NULL), 0);
    }
    struct err err = {0};
    struct store_job *jobs = NULL;
    assert_ok(store_jobs(b->store, NULL, 1000, &jobs, &tries, &err), &err);
    for (size_t i = 0; i < tries; i++)
        store_job_fini(&jobs[i]);
    free(jobs);
    assert_in_range(tries, 5, 20);
    give_model(b, "web");
    b->folder.now_ms += HOUR;
    assert_int_equal(look(b, "forecast", NULL), 1);
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static void keep_failures(void *ctx, const char *name, double value)
{
    if (!strcmp(name, "frwkvd_scheduler_failures_total"))
        *(double *)ctx = value;
}

/* What a scheduler counts of failures, once it has counted some. */
static double failures_counted(struct bench *b)
{
    struct err err = {0};
    double failures = 0;
    struct scheduler *const s =
        scheduler_start(b->store, b->folder.options.clock, nothing, NULL, &err);
    assert_non_null(s);
    for (int i = 0; i < 1000 && failures == 0; i++) {
        usleep(10000);
        scheduler_figures(s, keep_failures, &failures);
    }
    scheduler_stop(s);
    scheduler_free(s);
    return failures;
}

/* One stored definition that this version cannot read must not stop the rest, and is
 * counted. */
static void one_bad_definition_stops_nobody(void **state)
{
    struct bench *const b = *state;
    struct err err = {0};
    int64_t revision;
    bool created;
    assert_ok(store_forecaster_put(b->store, "a-bad-one", "{\"select\": 7}",
                                   "{\"train\": 8}", &revision, &created, &err),
              &err);
    define(b, "web", "\"backtest\": {\"every\": \"1h\"}");
    look(b, "backtest", NULL);
    b->folder.now_ms += HOUR;
    assert_int_equal(look(b, "backtest", NULL), 1);
    b->folder.now_ms += HOUR;
    struct scheduler_seen seen;
    assert_ok(scheduler_look(b->store, b->folder.options.clock, &seen, &err), &err);
    assert_int_equal(seen.queued, 1);
    assert_int_equal(seen.failed, 1);
    assert_true(failures_counted(b) == 1);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_instant_once, setup, teardown),
        cmocka_unit_test_setup_teardown(exactly_on_time, setup, teardown),
        cmocka_unit_test_setup_teardown(over_daylight_saving, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_missed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_busy_second_is_no_absence, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_counts_from_now, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_is_set, setup, teardown),
        cmocka_unit_test_setup_teardown(jitter, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_model, setup, teardown),
        cmocka_unit_test_setup_teardown(one_bad_definition_stops_nobody, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
