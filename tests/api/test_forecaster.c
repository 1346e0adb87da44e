/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A forecaster's definition: JSON to struct and back, and what is refused. */
#include "tests/check.h"

#include <jansson.h>

#include "api/api.h"
#include "base/mem.h"

#define MINIMAL "\"select\":\"cpu\",\"step\":\"1h\""

static int parse(const char *json, struct forecaster *out, struct forecaster_text *text,
                 struct err *err)
{
    return forecaster_parse("web", json, strlen(json), out, text, err);
}

static void test_defaults(void **state)
{
    (void)state;
    struct forecaster f;
    struct err err = {0};
    struct forecaster_text text = {0};
    assert_ok(parse("{" MINIMAL "}", &f, &text, &err), &err);
    assert_string_equal(f.name, "web");
    assert_string_equal(f.select, "cpu");
    assert_int_equal(f.step_ms, 3600000);
    assert_int_equal(f.aggregate, AGGREGATE_MEAN);
    assert_int_equal(f.history_ms, 0);
    assert_int_equal(f.spec.lookback, 336);
    assert_int_equal(f.spec.horizon, 48);
    assert_int_equal(f.spec.group, GROUP_EACH);
    assert_int_equal(f.quantile_count, 3);
    assert_close(f.quantiles[2], 0.9, 0);
    assert_true(isinf(f.spec.min) && f.spec.min < 0);
    assert_true(isinf(f.spec.max) && f.spec.max > 0);
    assert_string_equal(f.spec.settings.preset, "default");
    assert_int_equal(f.calendar, 3); /* hour and weekday */
    assert_null(f.holidays);
    assert_int_equal(f.covariate_count, 0);
    assert_int_equal(f.spec.gap, GAP_ERROR);
    for (size_t i = 0; i < SCHEDULES; i++)
        assert_false(f.schedules[i].set);
    assert_string_equal(
        text.policy,
        "{\"train\":null,\"forecast\":null,\"backtest\":null,\"thresholds\":null}");
    forecaster_fini(&f);
    forecaster_text_fini(&text);
}

/* What the canonical text says reads back as itself. */
static void test_canonical(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{" MINIMAL "}",
        "{" MINIMAL ",\"preset\":\"paper\",\"settings\":{\"epochs\":3,\"dropout\":0.25}}",
        "{" MINIMAL ",\"lookback\":\"2d\",\"horizon\":\"12h\",\"season\":\"1d\"}",
        "{" MINIMAL ",\"min\":0,\"max\":1e6,\"integer\":true,\"history\":\"26w\"}",
        "{" MINIMAL ",\"quantiles\":[0.05,0.5,0.95],\"group\":\"joint\",\"min\":null}",
        "{\"select\":\"{__name__=~\\\"a.*\\\"}\",\"step\":\"5m\",\"aggregate\":\"rate\"}",
        "{" MINIMAL ",\"zone\":\"Europe/Berlin\",\"calendar\":[\"weekday\"],"
        "\"holidays\":\"DE\",\"covariates\":[\"load\",\"day.off\"],"
        "\"covariates_missing\":\"hold\"}",
        "{" MINIMAL ",\"calendar\":[],\"holidays\":null}",
        "{" MINIMAL ",\"train\":{\"every\":\"1d\",\"jitter\":\"10m\"},"
        "\"forecast\":{\"cron\":\"5 */6 * * mon-fri\",\"zone\":\"Europe/Berlin\","
        "\"catch_up\":\"skip\"}}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct forecaster f;
        struct err err = {0};
        struct forecaster_text first, second;
        assert_ok(parse(bodies[i], &f, &first, &err), &err);
        forecaster_fini(&f);
        char *const whole = mem_printf("{%.*s,%s", (int)strlen(first.body) - 2,
                                       first.body + 1, first.policy + 1);
        assert_ok(parse(whole, &f, &second, &err), &err);
        assert_string_equal(first.body, second.body);
        assert_string_equal(first.policy, second.policy);
        forecaster_fini(&f);
        const struct store_forecaster stored = {
            .name = (char[]){"web"}, .body = first.body, .policy = first.policy};
        assert_ok(forecaster_load(&stored, &f, &err), &err);
        forecaster_fini(&f);
        free(whole);
        forecaster_text_fini(&first);
        forecaster_text_fini(&second);
    }
}

static void test_schedules(void **state)
{
    (void)state;
    struct forecaster f, other;
    struct err err = {0};
    static const char text[] =
        "{" MINIMAL ",\"train\":{\"every\":\"1d\"},\"forecast\":{\"every\":\"1h\","
        "\"jitter\":\"5m\",\"catch_up\":\"skip\"},\"backtest\":{\"cron\":\"30 2 * * "
        "*\",\"zone\":\"Europe/Berlin\"}}";
    assert_ok(parse(text, &f, NULL, &err), &err);
    const struct schedule *const train = &f.schedules[SCHEDULE_TRAIN];
    const struct schedule *const forecast = &f.schedules[SCHEDULE_FORECAST];
    const struct schedule *const backtest = &f.schedules[SCHEDULE_BACKTEST];
    assert_true(train->set && train->catch_up && train->jitter_ms == 0);
    assert_int_equal(train->when.every_ms, 86400000);
    assert_true(forecast->set && !forecast->catch_up);
    assert_int_equal(forecast->jitter_ms, 300000);
    /* 2026-03-29, the day whose 02:30 is skipped */
    assert_int_equal(timetable_next(&backtest->when, INT64_C(1774700000000)),
                     INT64_C(1774746000000));
    /* Forecasts fall on the hour; trainings of several are spread over the day. */
    assert_int_equal(timetable_next(&forecast->when, 0), 3600000);
    assert_ok(forecaster_parse("db", text, strlen(text), &other, NULL, &err), &err);
    assert_int_not_equal(timetable_next(&train->when, 0),
                         timetable_next(&other.schedules[SCHEDULE_TRAIN].when, 0));
    forecaster_fini(&f);
    forecaster_fini(&other);
}

/* Trainings of many take their turns over the period: no eighth of it has more than
 * twice its share. */
static void test_spread(void **state)
{
    (void)state;
    enum { MANY = 400, PARTS = 8 };
    static const char text[] = "{" MINIMAL ",\"train\":{\"every\":\"1d\"}}";
    size_t in[PARTS] = {0};
    for (int i = 0; i < MANY; i++) {
        struct forecaster f;
        struct err err = {0};
        char name[24];
        snprintf(name, sizeof name, "host-%d", i);
        assert_ok(forecaster_parse(name, text, strlen(text), &f, NULL, &err), &err);
        const int64_t at_ms = timetable_next(&f.schedules[SCHEDULE_TRAIN].when, -1);
        assert_true(at_ms >= 0 && at_ms < 86400000);
        in[at_ms * PARTS / 86400000]++;
        forecaster_fini(&f);
    }
    for (size_t p = 0; p < PARTS; p++)
        assert_in_range(in[p], MANY / PARTS / 2, MANY / PARTS * 2);
}

static void test_fields(void **state)
{
    (void)state;
    struct forecaster f;
    struct err err = {0};
    assert_ok(parse("{" MINIMAL
                    ",\"lookback\":\"2d\",\"horizon\":12,\"season\":24,\"min\":-1,"
                    "\"max\":2.5,\"aggregate\":\"sum\",\"history\":\"26w\",\"settings\":"
                    "{\"epochs\":3,\"loss\":\"l2\"}}",
                    &f, NULL, &err),
              &err);
    assert_int_equal(f.spec.lookback, 48);
    assert_int_equal(f.spec.horizon, 12);
    assert_int_equal(f.spec.season, 24);
    assert_close(f.spec.min, -1, 0);
    assert_close(f.spec.max, 2.5, 0);
    assert_int_equal(f.aggregate, AGGREGATE_SUM);
    assert_int_equal(f.history_ms, INT64_C(26) * 7 * 86400000);
    assert_int_equal(f.spec.settings.epochs, 3);
    assert_int_equal(f.spec.settings.loss, LOSS_L2);
    forecaster_fini(&f);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body, *text;
    } cases[] = {
        {"", "body: must be a JSON object, got nothing"},
        {"{\"step\":\"1h\"}", "select: is missing"},
        {"{\"select\":\"cpu\"}", "step: is missing"},
        {"{\"select\":7,\"step\":\"1h\"}", "select: must be text, got 7"},
        {"{\"select\":\"cpu{\",\"step\":\"1h\"}", "select: "},
        {"{\"select\":\"cpu\",\"step\":3600}", "step: must be text, got 3600"},
        {"{\"select\":\"cpu\",\"step\":\"hourly\"}", "step: must be a duration"},
        {"{\"select\":\"cpu\",\"step\":\"100ms\"}", "step: must be a duration in 1s..4w"},
        {"{" MINIMAL ",\"steps\":1}", "steps: is not a field; those are select, step"},
        {"{" MINIMAL ",\"aggregate\":\"median\"}", "aggregate: must be one of mean"},
        {"{" MINIMAL ",\"history\":\"1m\"}", "history: must be a duration"},
        {"{" MINIMAL ",\"history\":\"1h\"}", "history: must hold at least"},
        {"{" MINIMAL ",\"lookback\":0}",
         "lookback: must be an integer in 4..8192, got 0"},
        {"{" MINIMAL ",\"lookback\":9000}", "got 9000"},
        {"{" MINIMAL ",\"horizon\":0}", "horizon: must be an integer in 1..2048, got 0"},
        {"{" MINIMAL ",\"horizon\":2.5}", "got 2.5"},
        {"{" MINIMAL ",\"horizon\":\"90m\"}", "whole steps of 1h"},
        {"{" MINIMAL ",\"horizon\":true}", "got true"},
        {"{" MINIMAL ",\"quantiles\":0.5}", "quantiles: must be a list"},
        {"{" MINIMAL ",\"quantiles\":[]}", "quantiles: must be a list"},
        {"{" MINIMAL ",\"quantiles\":[0.5,0.5]}", "quantiles[1]: must be above"},
        {"{" MINIMAL ",\"quantiles\":[0]}", "quantiles[0]: "},
        {"{" MINIMAL ",\"quantiles\":[\"0.5\"]}", "got \"0.5\""},
        {"{" MINIMAL ",\"group\":\"some\"}", "group: must be one of each, joint"},
        {"{" MINIMAL ",\"season\":-1}", "season: must be an integer"},
        {"{" MINIMAL ",\"min\":\"low\"}", "min: must be a number"},
        {"{" MINIMAL ",\"min\":2,\"max\":1}", "min: must be below max (1), got 2"},
        {"{" MINIMAL ",\"min\":0.2,\"max\":0.8,\"integer\":true}", "integer: must leave"},
        {"{" MINIMAL ",\"integer\":1}", "integer: must be true or false, got 1"},
        {"{" MINIMAL ",\"preset\":\"fast\"}", "preset: must be one of"},
        {"{" MINIMAL ",\"settings\":[]}", "settings: must be an object, got []"},
        {"{" MINIMAL ",\"settings\":{\"epoch\":1}}", "settings.epoch: "},
        {"{" MINIMAL ",\"settings\":{\"epochs\":0}}", "settings.epochs: "},
        {"{" MINIMAL ",\"settings\":{\"epochs\":[]}}",
         "settings.epochs: must be a number"},
        {"{" MINIMAL ",\"settings\":{\"preset\":\"paper\"}}", "settings.preset: "},
        {"{" MINIMAL ",\"settings\":{\"heads\":5}}",
         "settings.heads: must divide the width 64, got 5"},
        {"{" MINIMAL ",\"step\":\"1h\"}", "duplicate"},
        {"{" MINIMAL ",\"train\":\"1d\"}", "train: must be null or an object"},
        {"{" MINIMAL ",\"train\":{}}",
         "train: must have one of every and cron, got neither"},
        {"{" MINIMAL ",\"train\":{\"every\":\"1d\",\"cron\":\"* * * * *\"}}", "got both"},
        {"{" MINIMAL ",\"train\":{\"at\":1}}", "train.at: is not a field"},
        {"{" MINIMAL ",\"train\":{\"every\":\"1\"}}",
         "train.every: must be a duration in"},
        {"{" MINIMAL ",\"train\":{\"every\":\"2000d\"}}",
         "train.every: must be a duration"},
        {"{" MINIMAL ",\"train\":{\"every\":\"1500ms\"}}", "train.every: must be whole"},
        {"{" MINIMAL ",\"train\":{\"every\":\"1d\",\"zone\":\"UTC\"}}",
         "train.zone: belongs to cron"},
        {"{" MINIMAL ",\"train\":{\"every\":\"1h\",\"jitter\":\"2h\"}}",
         "train.jitter: must be a duration in 0..1h, got \"2h\""},
        {"{" MINIMAL ",\"train\":{\"every\":\"1h\",\"catch_up\":\"twice\"}}",
         "train.catch_up: must be one of once, skip, got \"twice\""},
        {"{" MINIMAL ",\"forecast\":{\"cron\":\"* * * *\"}}",
         "forecast.cron: must have five fields"},
        {"{" MINIMAL ",\"forecast\":{\"cron\":7}}", "forecast.cron: must be text"},
        {"{" MINIMAL ",\"forecast\":{\"cron\":\"* * * * *\",\"zone\":\"Mars\"}}",
         "forecast.zone: must be a name of the tz database, got \"Mars\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct forecaster f;
        struct err err;
        assert_err(parse(cases[i].body, &f, NULL, &err), &err, ERR_INVALID,
                   cases[i].text);
    }
    /* A value is named as it was written. */
    struct forecaster f;
    struct err err;
    assert_err(parse("{" MINIMAL ",\"quantiles\":[0.9,0.1]}", &f, NULL, &err), &err,
               ERR_INVALID, "");
    assert_string_equal(strrchr(err.msg, ' '), " 0.1");
}

static void test_names(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "web-1", "0.x_y", "A"};
    static const char *const bad[] = {
        "",
        "-a",
        ".a",
        "a b",
        "a/b",
        "\xc3\xa9",
        "0123456789012345678901234567890123456789012345678901"
        "234567890123"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(forecaster_name_ok(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(forecaster_name_ok(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_fields),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_names),    cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
