/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How issued forecasts have done, in a zone whose clocks change meanwhile.  What a year
 * makes of it is in test_year.c. */
#include "tests/check.h"

#include "base/log.h"
#include "daemon/live.h"
#include "tests/daemon/trained.h"

#define DAY INT64_C(86400000)
#define SPRING INT64_C(1774742400000) /* 2026-03-29, the day of 23 hours */

enum { DAYS = 120, AFTER = 7, HORIZON = 7 };

static const char definition[] =
    "{\"select\": \"load\", \"step\": \"1d\", \"zone\": \"Europe/Berlin\","
    " \"lookback\": 14, \"horizon\": 7, \"settings\": {\"width\": 8, \"ff\": 8,"
    " \"heads\": 1, \"lift\": 1, \"rank\": 2, \"epochs\": 1, \"steps_per_epoch\": 5,"
    " \"batch\": 4}}";

/* The value of a day, counted from the one in spring. */
static double value_of(int day)
{
    return 100 + 3 * day + day % 7;
}

/* One sample a day, at noon. */
static void samples_add(struct store *store)
{
    struct err err = {0};
    struct store_counts counts;
    struct store_batch *const batch = store_batch_new();
    store_batch_history(batch);
    const uint32_t series = store_batch_series(batch, "load");
    for (int day = AFTER - DAYS; day < AFTER; day++)
        store_batch_add(batch, series, SPRING + day * DAY + DAY / 2, value_of(day));
    assert_ok(store_append_wait(store, batch, &counts, &err), &err);
}

/* What comes, to the last bit, from a local midnight on. */
static void issue(struct store *store, int64_t model_id, int first_day, int64_t first_ms)
{
    static const double quantiles[] = {0.1, 0.5, 0.9};
    struct err err = {0};
    float values[HORIZON * 3];
    int64_t id;
    for (int i = 0; i < HORIZON * 3; i++)
        values[i] = (float)value_of(first_day + i / 3);
    const struct store_forecast forecast = {.series = "load", .values = values};
    const struct store_issue issue = {
        .forecaster = "load",
        .revision = 1,
        .model_id = model_id,
        .issued_ms = first_ms,
        .first_ms = first_ms,
        .step_ms = DAY,
        .steps = HORIZON,
        .quantile_count = 3,
        .quantiles = quantiles,
        .count = 1,
        .forecasts = &forecast,
    };
    assert_ok(store_issue_append(store, &issue, 0, NULL, &id, &err), &err);
}

static void days_are_those_of_the_zone(void **state)
{
    (void)state;
    struct folder folder;
    struct err err = {0};
    folder_init(&folder);
    folder.now_ms = SPRING - 30 * DAY; /* what the training issues is too old to count */
    struct store *const store = folder_open(&folder);
    struct serving *const serving = serving_new(store, folder.options.clock);
    samples_add(store);
    trained(&folder, store, serving, definition);

    struct store_model serves;
    struct store_forecaster stored;
    struct forecaster f;
    assert_ok(store_model_serving(store, "load", &serves, &err), &err);
    assert_ok(store_forecaster_get(store, "load", &stored, &err), &err);
    assert_ok(forecaster_load(&stored, &f, &err), &err);
    struct model *const model = model_load(serves.bytes, serves.len, &err);
    assert_non_null(model);

    struct live live;
    const int64_t hour = DAY / 24, now_ms = SPRING + AFTER * DAY - 2 * hour;
    issue(store, serves.id, -20, SPRING - 20 * DAY - hour);
    issue(store, serves.id, -3, SPRING - 3 * DAY - hour);
    issue(store, serves.id, 2, SPRING + 2 * DAY - 2 * hour);
    assert_ok(live_read(store, &f, model, serves.id, now_ms, &live, &err), &err);
    assert_int_equal(live.issues, 3);
    assert_int_equal(live.values, 2 * HORIZON + AFTER - 2);
    assert_true(live.skill == 1);
    assert_true(live.coverage == 1);

    model_free(model);
    forecaster_fini(&f);
    store_forecaster_fini(&stored);
    store_model_fini(&serves);
    serving_free(serving);
    store_close(store);
    folder_fini(&folder);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR);
    model_start();
    const struct CMUnitTest tests[] = {cmocka_unit_test(days_are_those_of_the_zone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
