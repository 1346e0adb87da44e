/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When thresholds are crossed, through HTTP, on ramps whose future is known here. */
#include "tests/api/published.h"

#include "base/rng.h"

enum { HOUR_MS = 3600000, HORIZON = 48, SEEN = 150 };

#define WEB "/v1/forecasters/web"
#define DEFINITION(thresholds)                                                           \
    "{\"select\":\"disk\",\"step\":\"1h\",\"lookback\":24,\"horizon\":48,\"season\":24," \
    "\"thresholds\":" thresholds "}"

/* 40 at the clock's hour and 0.5 an hour more: past 50 after 20 hours, with noise that
 * remembers; b falls as fast, c stays. */
static double value_of(char host, int64_t hour)
{
    const double slope = host == 'a' ? 0.5 : host == 'b' ? -0.5 : 0;
    const double noise =
        rng_normal((struct rng_stream){.seed = 4, .purpose = (uint32_t)host},
                   (uint64_t)(hour + SEEN));
    return 40 + slope * (double)hour + 0.5 * noise;
}

static void load_hours(const struct fixture *f, int64_t from, int64_t to)
{
    struct err err = {0};
    struct store_batch *const batch = store_batch_new();
    struct store_counts counts;
    store_batch_history(batch);
    for (char host = 'a'; host <= 'c'; host++) {
        char name[32];
        snprintf(name, sizeof name, "disk{host=\"%c\"}", host);
        const uint32_t series = store_batch_series(batch, name);
        for (int64_t hour = from; hour < to; hour++)
            store_batch_add(batch, series, FIXTURE_NOW + hour * HOUR_MS,
                            value_of(host, hour));
    }
    assert_ok(store_append_wait(f->store, batch, &counts, &err), &err);
}

static void define(const struct fixture *f, const char *json)
{
    struct answer a = put(f, WEB, json);
    assert_true(a.status == 200 || a.status == 201);
    answer_fini(&a);
}

static const json_t *of_host(const struct answer *a, char host, const char *direction)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(a->json, "crossings"), i, one)
    {
        const char *const name = json_string_value(json_object_get(one, "series"));
        if (name[11] == host && json_object_get(one, direction))
            return one;
    }
    fail_msg("nothing of %c, %s", host, direction);
    return NULL;
}

/* Hours from the clock of the fixture's beginning; NAN: not within the horizon. */
static double hours_at(const json_t *one, const char *quantile)
{
    struct err err = {0};
    int64_t ms;
    const json_t *const at = json_object_get(json_object_get(one, "at"), quantile);
    if (!json_is_string(at))
        return NAN;
    const char *const text = json_string_value(at);
    assert_ok(time_parse(text, strlen(text), NULL, &ms, &err), &err);
    return (double)(ms - FIXTURE_NOW) / HOUR_MS;
}

static double probability(const json_t *one)
{
    return json_number_value(json_object_get(one, "probability"));
}

static void begin(struct fixture *f, const char *json)
{
    define(f, json);
    load_hours(f, -SEEN, 0);
    publish(f, FIXTURE_NOW);
}

static void test_ramp(void **state)
{
    struct fixture *const f = *state;
    begin(f, DEFINITION("{\"above\":50,\"below\":10}"));
    struct answer a = get(f, WEB "/crossings");
    assert_status(a, 200);
    assert_int_equal(json_array_size(json_object_get(a.json, "crossings")), 6);
    const json_t *const up = of_host(&a, 'a', "above");
    assert_string_equal(json_string_value(json_object_get(up, "paths_of")), "history");
    assert_true(probability(up) > 0.9);
    assert_true(hours_at(up, "0.1") <= hours_at(up, "0.5"));
    assert_true(hours_at(up, "0.5") >= 14 && hours_at(up, "0.5") <= 24);
    /* It is the soonest. */
    assert_ptr_equal(up, json_array_get(json_object_get(a.json, "crossings"), 0));
    /* b reaches 10 after 60 hours, c never anything. */
    assert_true(probability(of_host(&a, 'b', "below")) < 0.5);
    assert_true(isnan(hours_at(of_host(&a, 'b', "below"), "0.5")));
    assert_non_null(strstr(
        json_string_value(json_object_get(of_host(&a, 'c', "above"), "says")),
        "not above 50 within the horizon, until 2026-03-31T12:00:00Z, with probability"));
    answer_fini(&a);
    a = get(f, WEB "/crossings?series=disk%7Bhost%3D%22c%22%7D&limit=1");
    assert_int_equal(json_array_size(json_object_get(a.json, "crossings")), 1);
    answer_fini(&a);
    a = get(f, "/v1/crossings?limit=2");
    assert_status(a, 200);
    assert_int_equal(json_array_size(json_object_get(a.json, "crossings")), 2);
    assert_int_equal(number(&a, "of"), 6);
    assert_string_equal(
        json_string_value(json_object_get(
            json_array_get(json_object_get(a.json, "crossings"), 0), "forecaster")),
        "web");
    answer_fini(&a);
}

/* The value of a query's only series; NAN: there is none. */
static double query(const struct fixture *f, const char *expression, int64_t at_ms)
{
    char *const path = mem_printf("/api/v1/query?query=%s&time=%" PRId64 ".%03d",
                                  expression, at_ms / 1000, (int)(at_ms % 1000));
    struct answer a = get(f, path);
    assert_status(a, 200);
    const json_t *const result =
        json_object_get(json_object_get(a.json, "data"), "result");
    assert_true(json_array_size(result) <= 1);
    const char *const text = json_string_value(
        json_array_get(json_object_get(json_array_get(result, 0), "value"), 1));
    const double value = text ? strtod(text, NULL) : (double)NAN;
    answer_fini(&a);
    free(path);
    return value;
}

#define UP "{host%3D%22a%22,threshold%3D%22above%22,forecaster%3D%22web%22"

/* Readers of metrics see the same, of each series, while it is known. */
static void test_series(void **state)
{
    struct fixture *const f = *state;
    begin(f, DEFINITION("{\"above\":50,\"below\":10}"));
    struct answer a = get(f, WEB "/crossings");
    const json_t *const up = of_host(&a, 'a', "above");
    static const char *const quantiles[] = {"0.1", "0.5", "0.9"};
    for (size_t q = 0; q < 3; q++) {
        char *const expression = mem_printf(
            "disk:crossing_timestamp_seconds%s,p%%3D%%22%s%%22}", UP, quantiles[q]);
        const double at = query(f, expression, FIXTURE_NOW);
        const double want = hours_at(up, quantiles[q]) * 3600 + (double)FIXTURE_NOW / 1e3;
        assert_close(at, isnan(want) ? (double)INFINITY : want, 0);
        free(expression);
    }
    const char *const chance = "disk:crossing_probability" UP "}";
    assert_close(query(f, chance, FIXTURE_NOW), probability(up), 1e-12);
    /* Not before the newest step ended, and not of the time to come. */
    assert_true(isnan(query(f, chance, FIXTURE_NOW - 1)));
    f->now_ms += HOUR_MS / 2;
    assert_close(query(f, chance, f->now_ms), probability(up), 1e-12);
    assert_close(query(f, chance, FIXTURE_NOW + 1000), probability(up), 1e-12);
    assert_true(isnan(query(f, chance, f->now_ms + 10 * 60000)));
    answer_fini(&a);
    /* c never crosses: infinitely far. */
    assert_true(isinf(query(f,
                            "disk:crossing_timestamp_seconds{host%3D%22c%22,threshold%3D"
                            "%22above%22,p%3D%220.5%22}",
                            FIXTURE_NOW)));
    a = get(f, "/api/v1/label/__name__/values");
    assert_status(a, 200);
    assert_non_null(strstr(a.body, "\"disk:crossing_probability\""));
    assert_non_null(strstr(a.body, "\"disk:crossing_timestamp_seconds\""));
    answer_fini(&a);
    a = get(f, "/api/v1/series?match[]=disk:crossing_timestamp_seconds");
    assert_status(a, 200);
    assert_int_equal(json_array_size(json_object_get(a.json, "data")), 3 * 2 * 3);
    answer_fini(&a);
    a = get(f, "/api/v1/series?match[]=disk:crossing_probability{forecaster!=%22web%22}");
    assert_status(a, 200);
    assert_int_equal(json_array_size(json_object_get(a.json, "data")), 0);
    answer_fini(&a);
    /* A range has a point at least every four minutes, as long as it is known. */
    char *const path =
        mem_printf("/api/v1/query?query=disk:crossing_probability%s}[1h]&time=%" PRId64,
                   UP, f->now_ms / 1000);
    a = get(f, path);
    assert_status(a, 200);
    assert_int_equal(
        json_array_size(json_object_get(
            json_array_get(json_object_get(json_object_get(a.json, "data"), "result"), 0),
            "values")),
        8);
    answer_fini(&a);
    free(path);
}

/* What was issued takes the place of history once enough of it has come to pass; past the
 * threshold is past; a metric tells the soonest. */
static void test_issued(void **state)
{
    struct fixture *const f = *state;
    begin(f, DEFINITION("{\"above\":50}"));
    for (int64_t hour = 0; hour < 72; hour++) {
        struct answer a = post(f, WEB "/issue", "");
        assert_status(a, 200);
        answer_fini(&a);
        f->now_ms += HOUR_MS;
        load_hours(f, hour, hour + 1);
    }
    struct answer a = get(f, WEB "/crossings");
    assert_status(a, 200);
    const json_t *const up = of_host(&a, 'a', "above");
    assert_string_equal(json_string_value(json_object_get(up, "paths_of")), "issues");
    /* 24 or 25 of the 72: those whose 48 hours have come. */
    assert_true(json_integer_value(json_object_get(up, "paths")) >= 24);
    assert_true(json_is_true(json_object_get(up, "crossed")));
    assert_close(hours_at(up, "0.5"), 71, 0);
    assert_true(probability(of_host(&a, 'c', "above")) < 0.5);
    answer_fini(&a);
    a = get(f, "/metrics");
    assert_non_null(
        strstr(a.body,
               "frwkvd_crossing_timestamp_seconds{forecaster=\"web\",p=\"0.5\"} 177504"));
    assert_non_null(
        strstr(a.body, "frwkvd_crossing_probability{forecaster=\"web\"} 1\n"));
    answer_fini(&a);
    /* Other thresholds at once, and no new version for them. */
    define(f, DEFINITION("{\"above\":200}"));
    a = get(f, WEB "/crossings");
    assert_status(a, 200);
    assert_true(isnan(hours_at(of_host(&a, 'a', "above"), "0.1")));
    answer_fini(&a);
    a = get(f, "/metrics");
    assert_non_null(
        strstr(a.body,
               "frwkvd_crossing_timestamp_seconds{forecaster=\"web\",p=\"0.1\"} +Inf\n"));
    answer_fini(&a);
    define(f, DEFINITION("null"));
    a = get(f, WEB "/crossings");
    assert_int_equal(json_array_size(json_object_get(a.json, "crossings")), 0);
    answer_fini(&a);
    a = get(f, WEB);
    assert_int_equal(number(&a, "revision"), 1);
    answer_fini(&a);
}

static void test_refused(void **state)
{
    struct fixture *const f = *state;
    static const struct {
        const char *json, *field, *text;
    } cases[] = {
        {"3", "thresholds", "must be null or an object"},
        {"{\"over\":3}", "thresholds.over", ""},
        {"{\"above\":\"3\"}", "thresholds.above", "got \"3\""},
        {"{\"above\":1,\"below\":1}", "thresholds.below",
         "must be below above (1), got 1"},
        {"{\"above\":101}", "thresholds.above",
         "must lie in 0..100, the bounds, got 101"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *const json = mem_printf("{\"select\":\"disk\",\"step\":\"1h\",\"min\":0,"
                                      "\"max\":100,\"thresholds\":%s}",
                                      cases[i].json);
        struct answer a = put(f, WEB, json);
        assert_problem(a, 400, cases[i].field, cases[i].text);
        answer_fini(&a);
        free(json);
    }
    struct answer a = get(f, WEB "/crossings");
    assert_problem(a, 404, "", "web");
    answer_fini(&a);
    define(f, DEFINITION("{\"above\":50}"));
    a = get(f, WEB "/crossings");
    assert_problem(a, 409, "", "has no model yet");
    answer_fini(&a);
    a = get(f, "/v1/crossings"); /* says so, and answers for the others */
    assert_status(a, 200);
    assert_int_equal(json_array_size(json_object_get(a.json, "problems")), 1);
    answer_fini(&a);
    a = get(f, "/metrics");
    assert_status(a, 200);
    answer_fini(&a);
    a = get(f, "/v1/crossings?limit=0");
    assert_problem(a, 400, "limit", "must be 1..10000, got 0");
    answer_fini(&a);
    a = get(f, "/v1/crossings?series=disk");
    assert_problem(a, 400, "series", "is not a parameter");
    answer_fini(&a);
    a = get(f, WEB "/crossings?series=%7B");
    assert_problem(a, 400, "series", "");
    answer_fini(&a);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    model_start();
    const struct CMUnitTest tests[] = {CASE(test_ramp), CASE(test_series),
                                       CASE(test_issued), CASE(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
