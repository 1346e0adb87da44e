/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the routes say of the past, against a plain loop over exported samples and
 * forecasts. */
#include "tests/api/published.h"

#include "base/rng.h"

enum { HOUR_MS = 3600000, LOOKBACK = 24, HORIZON = 12, SEASON = 24, HOURS = 60 };

#define DEFINITION                                                                       \
    "{\"select\":\"load\",\"step\":\"1h\",\"lookback\":24,\"horizon\":12,\"season\":24}"
#define WEB "/v1/forecasters/web"

static const char *const names[] = {"load{host=\"a\"}", "load{host=\"b\"}"};

static double value_of(int series, int64_t time_ms)
{
    const struct rng_stream noise = {.seed = 3, .purpose = (uint32_t)series};
    const double phase = (double)(time_ms / HOUR_MS % 24) * M_PI / 12;
    return 50 + (series ? 5 : 20) * sin(phase + series) +
           3 * rng_normal(noise, (uint64_t)(time_ms / HOUR_MS));
}

/* Hour by hour from the clock's, the last one missing now and then. */
static void load_hours(const struct fixture *f, int64_t from_ms, size_t hours)
{
    struct err err = {0};
    struct store_batch *const batch = store_batch_new();
    struct store_counts counts;
    for (int s = 0; s < 2; s++) {
        const uint32_t series = store_batch_series(batch, names[s]);
        for (size_t i = 0; i < hours; i++) {
            const int64_t time_ms = from_ms + (int64_t)i * HOUR_MS;
            if (time_ms / HOUR_MS % 17 != s)
                store_batch_add(batch, series, time_ms, value_of(s, time_ms));
        }
    }
    assert_ok(store_append_wait(f->store, batch, &counts, &err), &err);
}

static void sample_put(const struct fixture *f, int64_t time_ms, double value)
{
    char *const body =
        mem_printf("{\"samples\":[{\"series\":\"load{host=\\\"b\\\"}\",\"time\":%" PRId64
                   ",\"value\":%.17g}]}",
                   time_ms, value);
    struct answer a = post(f, "/v1/samples", body);
    assert_status(a, 200);
    answer_fini(&a);
    free(body);
}

/* A model, and an issue every three hours for HOURS of them. */
static void live(struct fixture *f)
{
    struct answer a = put(f, WEB, DEFINITION);
    assert_true(a.status == 201 || a.status == 200);
    answer_fini(&a);
    load_hours(f, FIXTURE_NOW - 80 * HOUR_MS, 80);
    publish(f, FIXTURE_NOW);
    for (int64_t hour = 0; hour < HOURS; hour++) {
        if (hour % 3 == 0) {
            a = post(f, WEB "/issue", "");
            assert_status(a, 200);
            answer_fini(&a);
        }
        f->now_ms += HOUR_MS;
        load_hours(f, f->now_ms - HOUR_MS, 1);
    }
}

/* ---- the plain loop -------------------------------------------------------------------- */

/* Hours from LOOKBACK + SEASON before the first issue on. */
enum { PAST = 80, ROWS = PAST + HOURS };

static void export_samples(const struct fixture *f, int series, int64_t as_of_ms,
                           double actual[static ROWS])
{
    char *const path =
        mem_printf("/v1/samples?series=load%%7Bhost%%3D%%22%c%%22%%7D&as_of=%" PRId64,
                   'a' + series, as_of_ms);
    struct answer a = get(f, path);
    assert_status(a, 200);
    for (size_t i = 0; i < ROWS; i++)
        actual[i] = NAN;
    size_t i;
    json_t *sample;
    json_array_foreach(json_object_get(a.json, "samples"), i, sample)
    {
        struct err err = {0};
        int64_t time_ms;
        const char *const text = json_string_value(json_object_get(sample, "time"));
        assert_ok(time_parse(text, strlen(text), NULL, &time_ms, &err), &err);
        const int64_t row = (time_ms - FIXTURE_NOW) / HOUR_MS + PAST;
        assert_true(row >= 0 && row < ROWS);
        if (time_ms + HOUR_MS <= as_of_ms) /* the step is complete */
            actual[row] = json_number_value(json_object_get(sample, "value"));
    }
    answer_fini(&a);
    free(path);
}

struct plain {
    double values, absolute, error, scaled, inside, below, pinball, size;
};

static double season_error(const double actual[static ROWS], int64_t origin)
{
    double sum = 0, count = 0;
    for (int64_t row = origin - LOOKBACK; row < origin; row++)
        if (!isnan(actual[row]) && !isnan(actual[row - SEASON])) {
            sum += fabs(actual[row] - actual[row - SEASON]);
            count++;
        }
    return sum / count;
}

static int bucket_of(int64_t j)
{
    return 8 * j < HORIZON ? 0 : 4 * j < HORIZON ? 1 : 2 * j < HORIZON ? 2 : 3;
}

static void add_forecast(const struct fixture *f, int64_t issued_ms, int series,
                         const double actual[static ROWS], struct plain out[static 5])
{
    static const double p[] = {0.1, 0.5, 0.9};
    static const char *const keys[] = {"0.1", "0.5", "0.9"};
    char *const path = mem_printf(WEB "/forecast?as_of=%" PRId64, issued_ms);
    struct answer a = get(f, path);
    assert_status(a, 200);
    const json_t *const values = json_object_get(
        json_array_get(json_object_get(a.json, "forecasts"), (size_t)series), "values");
    const int64_t origin = (issued_ms - FIXTURE_NOW) / HOUR_MS + PAST;
    const double scale = season_error(actual, origin);
    for (int64_t j = 0; j < HORIZON && origin + j < ROWS; j++) {
        const double y = actual[origin + j];
        double q[3], loss = 0;
        if (isnan(y))
            continue;
        for (int k = 0; k < 3; k++) {
            /* Exported with the digits of a float. */
            q[k] = (double)(float)json_number_value(
                json_array_get(json_object_get(values, keys[k]), (size_t)j));
            loss += (y >= q[k] ? p[k] * (y - q[k]) : (1 - p[k]) * (q[k] - y)) / 3;
        }
        for (int b = 0; b < 5; b++) {
            if (b < 4 && b != bucket_of(j))
                continue;
            out[b].values++;
            out[b].absolute += fabs(q[1] - y);
            out[b].error += q[1] - y;
            out[b].scaled += fabs(q[1] - y) / scale;
            out[b].inside += y >= q[0] && y <= q[2];
            out[b].below += y < q[0];
            out[b].pinball += loss;
            out[b].size += fabs(y);
        }
    }
    answer_fini(&a);
    free(path);
}

static double figure(const json_t *row, const char *key)
{
    const json_t *const value = json_object_get(row, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static const json_t *row_of(const struct answer *a, const char *series, int bucket)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(a->json, "rows"), i, row)
    {
        const char *const name = json_string_value(json_object_get(row, "series"));
        const json_t *const b = json_object_get(row, "bucket");
        if ((series ? name && !strcmp(name, series) : !name) &&
            (bucket == 4 ? json_is_string(b)
                         : json_is_integer(b) && json_integer_value(b) == bucket))
            return row;
    }
    fail_msg("no row of %s, bucket %d", series ? series : "all", bucket);
    return NULL;
}

static void assert_row(const json_t *row, const struct plain *want)
{
    assert_true(want->values > 0);
    assert_close(figure(row, "values"), want->values, 0);
    assert_close(figure(row, "mae"), want->absolute / want->values, 1e-12);
    assert_close(figure(row, "bias"), want->error / want->values, 1e-12);
    assert_close(figure(row, "mase"), want->scaled / want->values, 1e-12);
    assert_close(figure(row, "wql"), 2 * want->pinball / want->size, 1e-12);
    assert_close(figure(row, "coverage"), want->inside / want->values, 1e-12);
    assert_close(figure(row, "below"), want->below / want->values, 1e-12);
    assert_close(figure(row, "nominal"), 0.8, 1e-12);
}

/* Every row as of an instant. */
static void check_rows(const struct fixture *f, int64_t as_of_ms)
{
    char *const path = mem_printf(WEB "/accuracy?as_of=%" PRId64, as_of_ms);
    struct answer a = get(f, path);
    struct plain all[5] = {0};
    double mase[5] = {0};
    assert_status(a, 200);
    for (int s = 0; s < 2; s++) {
        double actual[ROWS];
        struct plain own[5] = {0};
        export_samples(f, s, as_of_ms, actual);
        for (int64_t t = FIXTURE_NOW; t <= as_of_ms && t < FIXTURE_NOW + HOURS * HOUR_MS;
             t += 3 * HOUR_MS)
            add_forecast(f, t, s, actual, own);
        for (int b = 0; b < 5; b++) {
            assert_row(row_of(&a, names[s], b), &own[b]);
            all[b].values += own[b].values;
            all[b].inside += own[b].inside;
            all[b].pinball += own[b].pinball;
            all[b].size += own[b].size;
            mase[b] += own[b].scaled / own[b].values / 2;
        }
    }
    for (int b = 0; b < 5; b++) {
        const json_t *const row = row_of(&a, NULL, b);
        assert_close(figure(row, "values"), all[b].values, 0);
        assert_close(figure(row, "coverage"), all[b].inside / all[b].values, 1e-12);
        assert_close(figure(row, "wql"), 2 * all[b].pinball / all[b].size, 1e-12);
        assert_close(figure(row, "mase"), mase[b], 1e-12);
        assert_true(json_is_null(json_object_get(row, "mae")));
    }
    answer_fini(&a);
    free(path);
}

/* ---- tests ------------------------------------------------------------------------------- */

static void test_rows(void **state)
{
    struct fixture *const f = *state;
    const int64_t end_ms = FIXTURE_NOW + HOURS * HOUR_MS,
                  earlier_ms = end_ms - 30 * HOUR_MS;
    live(f);
    check_rows(f, end_ms);
    check_rows(f, earlier_ms);
    /* What arrives later changes the present, and nothing before it arrived. */
    struct answer before = get(f, WEB "/accuracy?as_of=2026-03-31T06:00:00Z");
    assert_status(before, 200);
    sample_put(f, earlier_ms - 10 * HOUR_MS, 400);
    struct answer after = get(f, WEB "/accuracy?as_of=2026-03-31T06:00:00Z");
    assert_true(json_equal(before.json, after.json));
    answer_fini(&after);
    after = get(f, WEB "/accuracy");
    assert_true(figure(row_of(&after, names[1], 4), "mae") >
                2 * figure(row_of(&before, names[1], 4), "mae"));
    answer_fini(&after);
    answer_fini(&before);
    check_rows(f, end_ms);
    check_rows(f, earlier_ms);
}

/* The value of a metric's sample. */
static double metric(const struct answer *a, const char *sample)
{
    char *const line = mem_printf("\n%s ", sample);
    const char *const at = strstr(a->body, line);
    if (!at)
        fail_msg("/metrics lacks %s", sample);
    const double value = strtod(at + strlen(line), NULL);
    free(line);
    return value;
}

/* /metrics says the same of all series together, and follows. */
static void test_metrics(void **state)
{
    struct fixture *const f = *state;
    static const char *const buckets[] = {"0", "1", "2", "3", "all"};
    static const struct {
        const char *metric, *key;
    } pairs[] = {{"frwkvd_live_values", "values"},
                 {"frwkvd_live_mase", "mase"},
                 {"frwkvd_live_quantile_loss_ratio", "wql"},
                 {"frwkvd_live_coverage_ratio", "coverage"},
                 {"frwkvd_live_coverage_promised_ratio", "nominal"}};
    live(f);
    struct answer rows = get(f, WEB "/accuracy"), text = get(f, "/metrics");
    assert_status(text, 200);
    for (int b = 0; b < 5; b++)
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
            char *const sample = mem_printf("%s{forecaster=\"web\",bucket=\"%s\"}",
                                            pairs[i].metric, buckets[b]);
            assert_close(metric(&text, sample),
                         figure(row_of(&rows, NULL, b), pairs[i].key), 1e-8);
            free(sample);
        }
    struct answer odd = get(f, WEB "/anomalies");
    const double before = metric(&text, "frwkvd_anomalies{forecaster=\"web\"}");
    assert_close(before, (double)number(&odd, "of"), 0);
    assert_close(metric(&text, "frwkvd_anomalies_judged{forecaster=\"web\"}"),
                 (double)number(&odd, "judged"), 0);
    answer_fini(&odd);
    answer_fini(&rows);
    answer_fini(&text);
    /* What comes late shows with the next step; until then the same is said again. */
    sample_put(f, FIXTURE_NOW + (HOURS - 1) * HOUR_MS, 400);
    text = get(f, "/metrics");
    assert_close(metric(&text, "frwkvd_anomalies{forecaster=\"web\"}"), before, 0);
    answer_fini(&text);
    f->now_ms += HOUR_MS;
    text = get(f, "/metrics");
    assert_true(metric(&text, "frwkvd_anomalies{forecaster=\"web\"}") != before);
    answer_fini(&text);
}

static void test_forms(void **state)
{
    struct fixture *const f = *state;
    struct answer a = get(f, WEB "/accuracy");
    assert_problem(a, 404, "", "web");
    answer_fini(&a);
    a = put(f, WEB, DEFINITION);
    answer_fini(&a);
    a = get(f, WEB "/accuracy");
    assert_status(a, 200);
    assert_int_equal(number(&a, "issues"), 0);
    assert_int_equal(json_array_size(json_object_get(a.json, "rows")), 0);
    answer_fini(&a);
    live(f);
    a = get(f, WEB "/accuracy?series=load%7Bhost%3D%22b%22%7D&days=1");
    assert_status(a, 200);
    assert_string_equal(member(&a, "from"), "2026-04-01T00:00:00Z");
    assert_int_equal(json_array_size(json_object_get(a.json, "rows")), 0);
    answer_fini(&a);
    a = get(f, WEB "/accuracy?series=load%7Bhost%3D%22b%22%7D&days=2");
    assert_int_equal(number(&a, "issues"), 8);
    assert_int_equal(json_array_size(json_object_get(a.json, "rows")), 10);
    answer_fini(&a);
    a = get(f, WEB "/accuracy?format=csv");
    assert_status(a, 200);
    assert_int_equal(
        strncmp(a.body, "series,bucket,values,mae,bias,mase,wql,coverage,nominal,", 56),
        0);
    assert_non_null(strstr(a.body, "\n\"load{host=\"\"b\"\"}\",all,"));
    answer_fini(&a);
    /* What a forecaster that is gone has issued is still judged, its model is not known. */
    a = ask(f, "DELETE", WEB, "", NULL, 0);
    assert_status(a, 204);
    answer_fini(&a);
    a = get(f, WEB "/accuracy");
    assert_status(a, 200);
    assert_true(figure(row_of(&a, names[0], 4), "mae") > 0);
    assert_true(json_is_null(json_object_get(row_of(&a, names[0], 4), "mase")));
    answer_fini(&a);
}

/* Whether an hour lay outside its band, by the forecast that was the newest when it ended. */
static bool outside(const struct fixture *f, int series, int64_t time_ms, double value,
                    double *score)
{
    char *const path =
        mem_printf(WEB "/forecast?observed=true&as_of=%" PRId64, time_ms + HOUR_MS - 1);
    struct answer a = get(f, path);
    assert_status(a, 200);
    const json_t *const one =
        json_array_get(json_object_get(a.json, "forecasts"), (size_t)series);
    const int64_t issued_ms = (time_ms - FIXTURE_NOW) / HOUR_MS / 3 * 3 * HOUR_MS;
    const size_t step = (size_t)((time_ms - FIXTURE_NOW - issued_ms) / HOUR_MS);
    const json_t *const values = json_object_get(one, "values");
    const double low = json_number_value(
                     json_array_get(json_object_get(values, "0.1"), step)),
                 mid = json_number_value(
                     json_array_get(json_object_get(values, "0.5"), step)),
                 high = json_number_value(
                     json_array_get(json_object_get(values, "0.9"), step));
    /* And what happened stands beside it. */
    const json_t *const seen = json_array_get(json_object_get(one, "observed"), step);
    assert_int_equal(json_is_null(seen), isnan(value));
    if (!isnan(value))
        assert_close(json_number_value(seen), value, 1e-6);
    answer_fini(&a);
    free(path);
    *score = value > mid ? (value - mid) / (high - mid) : (mid - value) / (mid - low);
    return value < low || value > high;
}

static const json_t *anomaly_at(const struct answer *a, const char *series,
                                int64_t time_ms)
{
    char text[TIME_TEXT_SIZE];
    size_t i;
    json_t *one;
    time_format(time_ms, text);
    json_array_foreach(
        json_object_get(a->json, "anomalies"), i,
        one) if (!strcmp(json_string_value(json_object_get(one, "series")), series) &&
                 !strcmp(json_string_value(json_object_get(one, "time")),
                         text)) return one;
    return NULL;
}

static void test_anomalies(void **state)
{
    struct fixture *const f = *state;
    const int64_t end_ms = FIXTURE_NOW + HOURS * HOUR_MS, odd_ms = end_ms - 5 * HOUR_MS;
    live(f);
    sample_put(f, odd_ms, 400);
    struct answer a = get(f, WEB "/anomalies?limit=1000");
    assert_status(a, 200);
    size_t count = 0, judged = 0;
    for (int s = 0; s < 2; s++) {
        double actual[ROWS], score;
        export_samples(f, s, end_ms, actual);
        for (int64_t t = end_ms - 24 * HOUR_MS; t < end_ms; t += HOUR_MS) {
            const double value = actual[(t - FIXTURE_NOW) / HOUR_MS + PAST];
            const bool odd = outside(f, s, t, value, &score);
            const json_t *const one = anomaly_at(&a, names[s], t);
            assert_int_equal(odd, one != NULL);
            judged += !isnan(value);
            count += odd;
            if (odd)
                assert_close(json_number_value(json_object_get(one, "score")), score,
                             1e-5);
        }
    }
    assert_true(count > 1 && count < judged / 2);
    assert_int_equal(number(&a, "of"), count);
    assert_int_equal(number(&a, "judged"), judged);
    const json_t *const odd = anomaly_at(&a, names[1], odd_ms);
    assert_true(json_number_value(json_object_get(odd, "score")) > 20);
    assert_string_equal(json_string_value(json_object_get(odd, "direction")), "above");
    assert_string_equal(json_string_value(json_object_get(odd, "issued")),
                        "2026-03-31T18:00:00Z");
    answer_fini(&a);
    /* Of one series, fewer hours, fewer rows; and before it happened. */
    a = get(f, WEB "/anomalies?series=load%7Bhost%3D%22b%22%7D&hours=6&limit=1");
    assert_int_equal(json_array_size(json_object_get(a.json, "anomalies")), 1);
    assert_true(number(&a, "judged") <= 6);
    answer_fini(&a);
    a = get(f, WEB "/anomalies?as_of=2026-03-31T19:00:00Z");
    assert_status(a, 200);
    assert_null(anomaly_at(&a, names[1], odd_ms));
    answer_fini(&a);
}

static void test_observed(void **state)
{
    struct fixture *const f = *state;
    live(f);
    struct answer a =
        get(f, WEB "/forecast?as_of=2026-03-29T12:00:00Z&observed=true&format=csv");
    assert_status(a, 200);
    assert_non_null(strstr(a.body, "time,series,candidate,q0.1,q0.5,q0.9,observed\n"));
    char *const line = mem_printf(",%.17g\n", value_of(0, FIXTURE_NOW));
    assert_non_null(strstr(a.body, line));
    free(line);
    answer_fini(&a);
    a = get(f, WEB "/forecast?as_of=2026-03-31T23:00:00Z&observed=true&format=rows");
    assert_status(a, 200);
    /* The last targets have not come. */
    assert_true(json_is_number(json_object_get(json_array_get(a.json, 0), "observed")));
    assert_true(
        json_is_null(json_object_get(json_array_get(a.json, HORIZON - 1), "observed")));
    answer_fini(&a);
    a = get(f, WEB "/forecast?observed=true");
    assert_problem(a, 400, "observed", "must come with as_of");
    answer_fini(&a);
}

static void test_bad_wishes(void **state)
{
    struct fixture *const f = *state;
    static const struct {
        const char *query, *field, *text;
    } cases[] = {
        {"days=0", "days", "must be 1..3660, got 0"},
        {"days=3661", "days", "got 3661"},
        {"as_of=soon", "as_of", "got soon"},
        {"series=%7B", "series", ""},
        {"format=xml", "format", "one of json, csv, got xml"},
        {"bucket=1", "bucket", "is not a parameter"},
    };
    struct answer a = get(f, WEB "/anomalies");
    assert_problem(a, 404, "", "web");
    answer_fini(&a);
    a = put(f, WEB, DEFINITION);
    answer_fini(&a);
    a = get(f, WEB "/anomalies?hours=0");
    assert_problem(a, 400, "hours", "must be 1..8784, got 0");
    answer_fini(&a);
    a = get(f, WEB "/anomalies?limit=x");
    assert_problem(a, 400, "limit", "got x");
    answer_fini(&a);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *const path = mem_printf(WEB "/accuracy?%s", cases[i].query);
        a = get(f, path);
        assert_problem(a, 400, cases[i].field, cases[i].text);
        answer_fini(&a);
        free(path);
    }
}

int main(void)
{
    model_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_metrics, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_forms, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_anomalies, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_observed, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_bad_wishes, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
