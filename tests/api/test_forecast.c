/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a definition to a served and issued forecast, through HTTP; the model is made
 * here from too little history to train on, so that candidates without training serve. */
#include "tests/api/published.h"

#include <pthread.h>

enum { HOUR_MS = 3600000, LOOKBACK = 24, HORIZON = 12 };

#define DEFINITION                                                                       \
    "{\"select\":\"load\",\"step\":\"1h\",\"lookback\":24,\"horizon\":12,\"season\":24," \
    "\"min\":0,\"max\":100}"
#define WEB "/v1/forecasters/web"

/* Hourly samples of two series over the hours before the clock. */
static void load_hours(const struct fixture *f, size_t hours)
{
    struct err err = {0};
    struct store_batch *const batch = store_batch_new();
    const uint32_t a = store_batch_series(batch, "load{host=\"a\"}");
    const uint32_t b = store_batch_series(batch, "load{host=\"b\"}");
    for (size_t i = 0; i < hours; i++) {
        const int64_t time_ms = FIXTURE_NOW - (int64_t)(hours - i) * HOUR_MS;
        const double hour = (double)(time_ms / HOUR_MS % 24);
        store_batch_add(batch, a, time_ms, 50 + 30 * sin(hour * M_PI / 12));
        store_batch_add(batch, b, time_ms, 10 + hour);
    }
    struct store_counts counts;
    assert_ok(store_append_wait(f->store, batch, &counts, &err), &err);
}

static void define(const struct fixture *f)
{
    struct answer a = put(f, WEB, DEFINITION);
    assert_status(a, 201);
    assert_string_equal(member(&a, "name"), "web");
    assert_int_equal(number(&a, "revision"), 1);
    assert_int_equal(number(&a, "horizon"), HORIZON);
    answer_fini(&a);
}

static const json_t *at(const struct answer *a, const char *list, size_t index)
{
    return json_array_get(json_object_get(a->json, list), index);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *const text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* ---- definitions ------------------------------------------------------------------- */

static void test_definitions(void **state)
{
    struct fixture *const f = *state;
    define(f);
    struct answer a = put(f, WEB,
                          "{\"step\":\"60m\",\"season\":\"1d\",\"max\":100.0,\"min\":0,"
                          "\"lookback\":\"1d\",\"horizon\":\"12h\",\"select\":\"load\"}");
    assert_status(a, 200);
    assert_int_equal(number(&a, "revision"), 1); /* the same wish in other words */
    answer_fini(&a);
    a = put(f, WEB, "{\"select\":\"load\",\"step\":\"1h\"}");
    assert_status(a, 200);
    assert_int_equal(number(&a, "revision"), 2);
    answer_fini(&a);
    a = put(f, "/v1/forecasters/-x", "{\"select\":\"load\",\"step\":\"1h\"}");
    assert_problem(a, 400, "name", "must be 1..63 letters");
    answer_fini(&a);
    a = put(f, WEB, "{\"select\":\"load\",\"step\":\"1h\",\"horizon\":0}");
    assert_problem(a, 400, "horizon", "must be an integer in 1..2048, got 0");
    answer_fini(&a);
    fixture_restart(f);
    a = get(f, "/v1/forecasters");
    assert_int_equal(json_array_size(json_object_get(a.json, "forecasters")), 1);
    assert_int_equal(
        json_integer_value(json_object_get(at(&a, "forecasters", 0), "revision")), 2);
    answer_fini(&a);
    a = ask(f, "DELETE", WEB, "", NULL, 0);
    assert_status(a, 204);
    answer_fini(&a);
    a = ask(f, "DELETE", WEB, "", NULL, 0);
    assert_status(a, 404);
    answer_fini(&a);
    a = get(f, WEB);
    assert_status(a, 404);
    answer_fini(&a);
}

/* ---- training ---------------------------------------------------------------------- */

static void test_too_little_history(void **state)
{
    struct fixture *const f = *state;
    define(f);
    assert_int_equal(f->wakes, 1); /* for the definition: it may have schedules */
    struct answer a = post(f, WEB "/train", "");
    assert_problem(a, 409, "history", "got 0");
    assert_problem(a, 409, "history", "; select: no series matches");
    answer_fini(&a);
    load_hours(f, 10);
    a = post(f, WEB "/train", "");
    assert_problem(a, 409, "history", "got 10");
    assert_int_equal(number(&a, "there"), 10);
    const json_int_t needed = number(&a, "needed");
    assert_true(needed > 10);
    char ready[TIME_TEXT_SIZE];
    assert_string_equal(member(&a, "ready"),
                        time_format(FIXTURE_NOW + (needed - 10) * HOUR_MS, ready));
    answer_fini(&a);
    a = get(f, "/v1/jobs");
    assert_int_equal(json_array_size(json_object_get(a.json, "jobs")), 0);
    assert_int_equal(f->wakes, 1);
    answer_fini(&a);
}

static void test_too_many_series(void **state)
{
    struct fixture *const f = *state;
    define(f);
    json_t *const samples = json_array();
    for (int i = 0; i <= MODEL_SERIES_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "load{n=\"%d\"}", i);
        json_array_append_new(samples,
                              json_pack("{s:s, s:I, s:f}", "series", name, "time",
                                        (json_int_t)FIXTURE_NOW, "value", 1.0));
    }
    json_t *const body = json_pack("{s:o}", "samples", samples);
    char *const text = json_dumps(body, JSON_COMPACT);
    struct answer a = post(f, "/v1/samples", text);
    assert_status(a, 200);
    answer_fini(&a);
    free(text);
    json_decref(body);
    a = post(f, WEB "/train", "");
    assert_problem(a, 400, "select", "must match at most 4096 series, more match load");
    answer_fini(&a);
}

static void test_train_job(void **state)
{
    struct fixture *const f = *state;
    define(f);
    load_hours(f, 80);
    struct answer a = get(f, WEB "/forecast");
    assert_problem(a, 409, "", "POST /v1/forecasters/web/train");
    answer_fini(&a);
    a = post(f, WEB "/train", "");
    assert_status(a, 202);
    assert_non_null(strstr(a.head, "Location: /v1/jobs/1\r\n"));
    assert_string_equal(member(&a, "state"), "queued");
    assert_int_equal(f->wakes, 2);
    answer_fini(&a);
    a = post(f, WEB "/train", ""); /* the same job */
    assert_status(a, 202);
    assert_int_equal(number(&a, "id"), 1);
    answer_fini(&a);
    a = get(f, WEB "/forecast");
    assert_problem(a, 409, "", "job 1 is at it");
    answer_fini(&a);
    a = ask(f, "DELETE", "/v1/jobs/1", "", NULL, 0);
    assert_status(a, 200);
    assert_string_equal(member(&a, "state"), "cancelled");
    answer_fini(&a);
    a = ask(f, "DELETE", "/v1/jobs/1", "", NULL, 0);
    assert_status(a, 409);
    answer_fini(&a);
    a = get(f, "/v1/jobs?limit=5");
    assert_int_equal(json_array_size(json_object_get(a.json, "jobs")), 1);
    answer_fini(&a);
}

/* ---- forecasts ------------------------------------------------------------------- */

static void test_forecast(void **state)
{
    struct fixture *const f = *state;
    define(f);
    load_hours(f, 80);
    publish(f, FIXTURE_NOW);
    struct answer a = get(f, WEB "/forecast");
    assert_status(a, 200);
    assert_string_equal(member(&a, "forecaster"), "web");
    assert_string_equal(member(&a, "issued"), "2026-03-29T12:00:00Z");
    assert_string_equal(member(&a, "watermark"), "2026-03-29T11:00:00Z");
    assert_string_equal(member(&a, "step"), "1h");
    assert_true(json_is_null(json_object_get(a.json, "issue")));
    const json_t *const model = json_object_get(a.json, "model");
    assert_int_equal(json_integer_value(json_object_get(model, "id")), 1);
    assert_int_equal(strlen(text_of(model, "hash")), 64);
    const json_t *const times = json_object_get(a.json, "times");
    assert_int_equal(json_array_size(times), HORIZON);
    assert_string_equal(json_string_value(json_array_get(times, 0)),
                        "2026-03-29T12:00:00Z");
    assert_int_equal(json_array_size(json_object_get(a.json, "forecasts")), 2);
    const json_t *const one = at(&a, "forecasts", 0);
    assert_string_equal(text_of(one, "series"), "load{host=\"a\"}");
    assert_true(json_is_true(json_object_get(one, "served")));
    assert_close(json_number_value(json_object_get(one, "missing")), 0, 0);
    const json_t *const values = json_object_get(one, "values");
    const json_t *const low = json_object_get(values, "0.1");
    const json_t *const high = json_object_get(values, "0.9");
    assert_int_equal(json_array_size(low), HORIZON);
    for (size_t i = 0; i < HORIZON; i++) {
        const double least = json_number_value(json_array_get(low, i));
        const double most = json_number_value(json_array_get(high, i));
        assert_true(least >= 0 && least <= most && most <= 100);
    }
    size_t steps = 0;
    const json_t *const candidates = json_object_get(one, "candidates");
    for (size_t i = 0; i < json_array_size(candidates); i++) {
        const json_t *const part = json_array_get(candidates, i);
        assert_int_equal(json_integer_value(json_object_get(part, "from_step")),
                         steps + 1);
        steps = (size_t)json_integer_value(json_object_get(part, "to_step"));
        assert_true(strlen(text_of(part, "candidate")) > 0);
    }
    assert_int_equal(steps, HORIZON);
    answer_fini(&a);
}

static void test_forms(void **state)
{
    struct fixture *const f = *state;
    define(f);
    load_hours(f, 80);
    publish(f, FIXTURE_NOW);
    struct answer a = get(f, WEB "/forecast?horizon=2&quantiles=0.25,0.5&format=rows");
    assert_status(a, 200);
    assert_int_equal(json_array_size(a.json), 4);
    const json_t *const row = json_array_get(a.json, 3);
    assert_string_equal(text_of(row, "time"), "2026-03-29T13:00:00Z");
    assert_string_equal(text_of(row, "series"), "load{host=\"b\"}");
    assert_true(json_is_number(json_object_get(row, "q0.25")));
    answer_fini(&a);
    a = get(f, WEB "/forecast?horizon=1&format=csv&series=load%7Bhost%3D%22b%22%7D");
    assert_status(a, 200);
    assert_int_equal(strncmp(a.body, "time,series,candidate,q0.1,q0.5,q0.9\n", 37), 0);
    assert_non_null(strstr(a.body, "2026-03-29T12:00:00Z,\"load{host=\"\"b\"\"}\","));
    assert_null(strstr(a.body, "\"\"a\"\""));
    answer_fini(&a);
}

static void test_bad_wishes(void **state)
{
    struct fixture *const f = *state;
    define(f);
    load_hours(f, 80);
    publish(f, FIXTURE_NOW);
    static const struct {
        const char *query, *field, *text;
        int status;
    } cases[] = {
        {"horizon=0", "horizon", "got 0", 400},
        {"horizon=13", "horizon", "must be 1..12, got 13", 400},
        {"horizon=2d", "horizon", "must be a whole number, 1..2048, got 2d", 400},
        {"horizon=all", "horizon", "got all", 400},
        {"quantiles=0.5,0.1", "quantiles", "ascending", 400},
        {"quantiles=1", "quantiles", "got 1", 400},
        {"quantiles=", "quantiles", "must not be empty", 400},
        {"quantiles=nan", "quantiles", "got nan", 400},
        {"quantiles=0.1,,0.2", "quantiles", "got 0.1,,0.2", 400},
        {"series=mem", "series", "one of the forecaster's, got mem", 404},
        {"series=%7B", "series", "", 400},
        {"format=html", "format", "one of json, rows, csv", 400},
        {"as_of=then", "as_of", "got then", 400},
        {"steps=3", "steps", "is not a parameter", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *const path = mem_printf(WEB "/forecast?%s", cases[i].query);
        struct answer a = get(f, path);
        assert_problem(a, cases[i].status, cases[i].field, cases[i].text);
        answer_fini(&a);
        free(path);
    }
    struct answer a = get(f, "/v1/forecasters/nobody/forecast");
    assert_problem(a, 404, "", "nobody");
    answer_fini(&a);
    a = post(f, "/v1/forecasters/nobody/issue", "");
    assert_problem(a, 404, "", "nobody");
    answer_fini(&a);
}

/* A joint model reads all its series to forecast one of them. */
static void test_joint(void **state)
{
    struct fixture *const f = *state;
    struct answer a = put(f, WEB,
                          "{\"select\":\"load\",\"step\":\"1h\",\"lookback\":24,"
                          "\"horizon\":12,\"group\":\"joint\"}");
    assert_status(a, 201);
    answer_fini(&a);
    load_hours(f, 80);
    publish(f, FIXTURE_NOW);
    a = get(f, WEB "/forecast");
    struct answer one = get(f, WEB "/forecast?series=load%7Bhost%3D%22b%22%7D");
    assert_status(one, 200);
    assert_int_equal(json_array_size(json_object_get(a.json, "forecasts")), 2);
    assert_int_equal(json_array_size(json_object_get(one.json, "forecasts")), 1);
    assert_true(json_equal(at(&a, "forecasts", 1), at(&one, "forecasts", 0)));
    answer_fini(&one);
    answer_fini(&a);
    a = get(f, WEB "/forecast?series=load%7Bhost%3D%22c%22%7D");
    assert_problem(a, 404, "series", "one of the forecaster's");
    answer_fini(&a);
}

/* What was issued stays as it was, whatever arrives later. */
static void test_ledger(void **state)
{
    struct fixture *const f = *state;
    define(f);
    load_hours(f, 80);
    publish(f, FIXTURE_NOW);
    struct answer a = get(f, WEB "/forecast?as_of=2026-03-29T12:00:00Z");
    assert_problem(a, 404, "", "nothing of web has been issued yet");
    answer_fini(&a);
    struct answer issued = post(f, WEB "/issue", "");
    assert_status(issued, 200);
    assert_int_equal(number(&issued, "issue"), 1);

    f->now_ms += HOUR_MS;
    a = post(f, "/v1/samples",
             "{\"samples\":[{\"series\":\"load{host=\\\"a\\\"}\",\"time\":"
             "\"2026-03-29T12:00:00Z\",\"value\":99}]}");
    assert_status(a, 200);
    answer_fini(&a);
    fixture_restart(f);
    a = get(f, WEB "/forecast?as_of=2026-03-29T12:30:00Z");
    assert_status(a, 200);
    assert_int_equal(number(&a, "issue"), 1);
    assert_true(json_equal(json_object_get(at(&a, "forecasts", 0), "values"),
                           json_object_get(at(&issued, "forecasts", 0), "values")));
    assert_true(json_equal(json_object_get(at(&a, "forecasts", 0), "candidates"),
                           json_object_get(at(&issued, "forecasts", 0), "candidates")));
    answer_fini(&a);
    answer_fini(&issued);
    a = get(f, WEB "/forecast?as_of=2026-03-29T12:30:00Z&horizon=3&quantiles=0.5");
    assert_status(a, 200);
    const json_t *const values = json_object_get(at(&a, "forecasts", 0), "values");
    assert_int_equal(json_object_size(values), 1);
    assert_int_equal(json_array_size(json_object_get(values, "0.5")), 3);
    answer_fini(&a);
    a = get(f, WEB "/forecast?as_of=2026-03-29T12:30:00Z&quantiles=0.4");
    assert_problem(a, 400, "quantiles", "among those that were issued, got 0.4");
    answer_fini(&a);
    a = get(f, WEB "/forecast?as_of=2026-03-29T11:59:59Z");
    assert_problem(a, 404, "",
                   "at or before 2026-03-29T11:59:59Z; the first issue is of "
                   "2026-03-29T12:00:00Z");
    answer_fini(&a);
    a = get(f, WEB "/forecast"); /* now there is one more step */
    assert_string_equal(json_string_value(at(&a, "times", 0)), "2026-03-29T13:00:00Z");
    answer_fini(&a);
}

/* A model of another revision of the definition is never served. */
static void test_changed_definition(void **state)
{
    struct fixture *const f = *state;
    define(f);
    load_hours(f, 80);
    publish(f, FIXTURE_NOW);
    struct answer a = get(f, WEB "/models");
    assert_status(a, 200);
    const json_t *const report = json_object_get(at(&a, "models", 0), "report");
    assert_true(strlen(text_of(report, "note")) > 0);
    assert_true(json_array_size(json_object_get(report, "champion")) ==
                2 * MODEL_BUCKETS);
    answer_fini(&a);
    a = put(f, WEB,
            "{\"select\":\"load\",\"step\":\"1h\",\"lookback\":24,\"horizon\":6}");
    assert_status(a, 200);
    answer_fini(&a);
    a = get(f, WEB "/forecast");
    assert_problem(a, 409, "", "has no model yet");
    answer_fini(&a);
    a = get(f, WEB "/models");
    assert_status(a, 200);
    assert_true(json_is_false(json_object_get(at(&a, "models", 0), "serves")));
    answer_fini(&a);
    a = post(f, WEB "/models/1/restore", "");
    assert_problem(a, 409, "", "is of revision 1, and web has revision 2");
    answer_fini(&a);
}

static void assert_serving(struct fixture *f, json_int_t id)
{
    struct answer a = get(f, WEB "/models");
    assert_status(a, 200);
    for (size_t i = 0; i < 2; i++) {
        const json_t *const one = at(&a, "models", i);
        const bool serves = json_integer_value(json_object_get(one, "id")) == id;
        assert_int_equal(json_is_true(json_object_get(one, "serves")), serves);
        assert_int_equal(json_is_object(json_object_get(one, "report")), serves);
    }
    answer_fini(&a);
    a = get(f, WEB "/forecast");
    assert_status(a, 200);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(a.json, "model"), "id")), id);
    answer_fini(&a);
}

static void test_restore(void **state)
{
    struct fixture *const f = *state;
    define(f);
    load_hours(f, 80);
    struct answer a = get(f, WEB "/models");
    assert_problem(a, 409, "", "has no model yet");
    answer_fini(&a);
    a = get(f, "/v1/forecasters/none/models");
    assert_status(a, 404);
    answer_fini(&a);
    publish(f, FIXTURE_NOW);
    publish(f, FIXTURE_NOW);
    assert_serving(f, 2);
    a = post(f, WEB "/models/1/restore", "");
    assert_status(a, 200);
    answer_fini(&a);
    assert_serving(f, 1);
    static const char *const bad[] = {"3", "0", "x", "1x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char path[80];
        snprintf(path, sizeof path, WEB "/models/%s/restore", bad[i]);
        a = post(f, path, "");
        assert_problem(a, 404, "", "has none of number");
        answer_fini(&a);
    }
    a = post(f, WEB "/models//restore", "");
    assert_status(a, 404);
    answer_fini(&a);
    assert_serving(f, 1);
}

static void test_backtest_job(void **state)
{
    struct fixture *const f = *state;
    define(f);
    struct answer a = post(f, WEB "/backtest", "");
    assert_problem(a, 409, "history", "got 0");
    assert_problem(a, 409, "history", "; select: no series matches");
    answer_fini(&a);
    load_hours(f, 80);
    a = post(f, WEB "/backtest", "{\"split\": \"0.5,0.4\"}");
    assert_problem(a, 400, "split", "three shares that add up to 1");
    answer_fini(&a);
    a = post(f, WEB "/backtest", "{\"cut\": 1}");
    assert_problem(a, 400, "cut", "is not a field");
    answer_fini(&a);
    a = post(f, WEB "/backtest", "{\"split\": \"last:20\"}");
    assert_status(a, 202);
    assert_string_equal(member(&a, "kind"), "backtest");
    assert_string_equal(member(&a, "reason"), "asked");
    assert_string_equal(text_of(json_object_get(a.json, "params"), "split"), "last:20");
    answer_fini(&a);
    a = post(f, WEB "/train", ""); /* another kind: another job */
    assert_status(a, 202);
    assert_int_equal(number(&a, "id"), 2);
    answer_fini(&a);
}

struct reader {
    struct fixture *fixture;
    atomic_bool stop;
    atomic_int answers;
};

static void *read_on(void *ctx)
{
    struct reader *const reader = ctx;
    while (!reader->stop) {
        struct answer a = get(reader->fixture, WEB "/forecast?format=csv");
        if (a.status == 200)
            reader->answers++;
        answer_fini(&a);
    }
    return NULL;
}

/* Models are swapped whole under readers, who hold the one they began with. */
static void test_swap_under_readers(void **state)
{
    struct fixture *const f = *state;
    define(f);
    load_hours(f, 80);
    publish(f, FIXTURE_NOW);
    struct reader reader = {.fixture = f};
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, read_on, &reader);
    for (int i = 0; i < 10 || (reader.answers < 20 && i < 1000); i++)
        publish(f, FIXTURE_NOW);
    reader.stop = true;
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_true(reader.answers >= 20);
    struct answer a = get(f, WEB "/forecast");
    assert_status(a, 200);
    const json_t *const model = json_object_get(a.json, "model");
    assert_true(json_integer_value(json_object_get(model, "id")) >= 11);
    answer_fini(&a);
}

/* ---- metrics --------------------------------------------------------------------- */

static double metric(const char *text, const char *name)
{
    const size_t len = strlen(name);
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!strncmp(line, name, len) && line[len] == ' ')
            return strtod(line + len, NULL);
    }
    print_error("no metric %s\n", name);
    return NAN;
}

static void test_metrics(void **state)
{
    struct fixture *const f = *state;
    static const char *const bodies[] = {
        "{\"samples\":[{\"series\":\"x\",\"time\":1000,\"value\":1},"
        "{\"series\":\"x\",\"time\":2000,\"value\":1}]}",
        "{\"samples\":[{\"series\":\"x\",\"time\":1000,\"value\":1},"
        "{\"series\":\"x\",\"time\":2000,\"value\":5}]}",
        "{\"samples\":[{\"series\":\"x\",\"time\":1000,\"value\":1},"
        "{\"series\":\"x\",\"time\":2000,\"value\":\"5\"}]}",
        "{\"samples\":[{\"series\":\"x\",\"time\":99999999999999,\"value\":1}]}",
    };
    for (size_t i = 0; i < 4; i++) {
        struct answer a = post(f, "/v1/samples", bodies[i]);
        assert_status(a, i < 2 ? 200 : 400);
        answer_fini(&a);
    }
    struct answer a = post(f, "/v1/import", "time,y\n1970-01-01,1\n1970-01-02,bad\n");
    assert_status(a, 400);
    /* A client has its answer before the server has put the request away. */
    do {
        answer_fini(&a);
        a = get(f, "/metrics");
        assert_status(a, 200);
    } while (metric(a.body, "frwkvd_http_body_bytes") > 0);
    assert_non_null(strstr(a.head, "text/plain; version=0.0.4"));
    static const struct {
        const char *name;
        double value;
    } wanted[] = {
        {"frwkvd_samples_received_total{dialect=\"json\"}", 7},
        {"frwkvd_samples_accepted_total{dialect=\"json\",result=\"stored\"}", 2},
        {"frwkvd_samples_accepted_total{dialect=\"json\",result=\"replaced\"}", 1},
        {"frwkvd_samples_accepted_total{dialect=\"json\",result=\"duplicate\"}", 1},
        {"frwkvd_samples_rejected_total{dialect=\"json\",reason=\"invalid\"}", 2},
        {"frwkvd_samples_rejected_total{dialect=\"json\",reason=\"future\"}", 1},
        {"frwkvd_samples_rejected_total{dialect=\"csv\",reason=\"invalid\"}", 1},
        {"frwkvd_samples_received_total{dialect=\"csv\"}", 1},
        {"frwkvd_http_requests_total{route=\"/v1/"
         "samples\",method=\"POST\",status=\"200\"}",
         2},
        {"frwkvd_http_requests_total{route=\"/v1/"
         "samples\",method=\"POST\",status=\"400\"}",
         2},
        {"frwkvd_jobs{kind=\"train\",state=\"running\"}", 0},
        {"frwkvd_forecasters", 0},
        {"frwkvd_build_info{version=\"test\"}", 1},
        {"frwkvd_start_time_seconds", FIXTURE_NOW / 1000},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        assert_close(metric(a.body, wanted[i].name), wanted[i].value, 0);
    answer_fini(&a);
}

/* ---- days of a zone ----------------------------------------------------------------- */

/* An hourly one for forty days before the clock, which stands around noon of the day on
 * which Berlin's changes: forecasts and the ledger have its midnights, and the day its 23
 * or 25 hours. */
static void days_over_a_change(struct fixture *f, int64_t now_ms, double hours,
                               const char *const midnights[3])
{
    struct err err = {0};
    struct store_batch *const batch = store_batch_new();
    const uint32_t one = store_batch_series(batch, "one");
    for (int64_t ms = now_ms - (int64_t)40 * 24 * HOUR_MS; ms < now_ms + 48 * HOUR_MS;
         ms += HOUR_MS)
        store_batch_add(batch, one, ms, 1);
    struct store_counts counts;
    f->now_ms = now_ms;
    assert_ok(store_append_wait(f->store, batch, &counts, &err), &err);
    struct answer a =
        put(f, WEB,
            "{\"select\":\"one\",\"step\":\"1d\",\"aggregate\":\"sum\",\"lookback\":7,"
            "\"horizon\":3,\"history\":\"15d\",\"zone\":\"Europe/Berlin\"}");
    assert_true(a.status == 200 || a.status == 201);
    answer_fini(&a);
    publish(f, now_ms);
    a = post(f, WEB "/issue", "");
    assert_status(a, 200);
    answer_fini(&a);
    for (size_t p = 0; p < 2; p++) {
        char now[TIME_TEXT_SIZE];
        char *const path = mem_printf(WEB "/forecast%s%s", p ? "?as_of=" : "",
                                      p ? time_format(now_ms, now) : "");
        a = get(f, path);
        assert_status(a, 200);
        for (size_t i = 0; i < 3; i++)
            assert_string_equal(json_string_value(at(&a, "times", i)), midnights[i]);
        answer_fini(&a);
        free(path);
    }
    /* two days on: the day before, that of the change, the day after */
    struct store_forecaster stored = {0};
    struct forecaster definition;
    struct grid grid = {0};
    assert_ok(store_forecaster_get(f->store, "web", &stored, &err), &err);
    assert_ok(forecaster_load(&stored, &definition, &err), &err);
    assert_ok(
        forecaster_grid(&definition, f->store, now_ms + 47 * HOUR_MS, 3, &grid, &err),
        &err);
    assert_close(grid.values[0], 24, 0);
    assert_close(grid.values[1], hours, 0);
    assert_close(grid.values[2], 24, 0);
    grid_fini(&grid);
    forecaster_fini(&definition);
    store_forecaster_fini(&stored);
}

static void test_days_of_a_zone(void **state)
{
    struct fixture *const f = *state;
    static const char *const spring[] = {"2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z",
                                         "2026-03-30T22:00:00Z"};
    static const char *const autumn[] = {"2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z",
                                         "2026-10-26T23:00:00Z"};
    days_over_a_change(f, FIXTURE_NOW, 23, spring);
    days_over_a_change(f, FIXTURE_NOW + (int64_t)210 * 24 * HOUR_MS, 25, autumn);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_definitions),
        CASE(test_too_little_history),
        CASE(test_too_many_series),
        CASE(test_train_job),
        CASE(test_forecast),
        CASE(test_forms),
        CASE(test_bad_wishes),
        CASE(test_joint),
        CASE(test_ledger),
        CASE(test_days_of_a_zone),
        CASE(test_changed_definition),
        CASE(test_swap_under_readers),
        CASE(test_metrics),
        cmocka_unit_test_setup_teardown(test_restore, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_backtest_job, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
