/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a forecast is called, and where its points stand. */
#include "tests/check.h"

#include <inttypes.h>

#include "api/predicted.h"
#include "base/zone.h"

enum { HOUR_MS = 3600000, DAY_MS = 24 * HOUR_MS };

/* ---- names ------------------------------------------------------------------------- */

static void assert_called(const char *series, enum aggregate aggregate,
                          const double *quantiles, size_t count, size_t which,
                          const char *want)
{
    struct labels labels, out;
    char got[LABELS_TEXT_MAX];
    struct err err = {0};
    assert_ok(labels_parse(series, strlen(series), &labels, &err), &err);
    assert_ok(
        predicted_labels(&labels, "web", aggregate, quantiles, count, which, &out, &err),
        &err);
    assert_ok(labels_format(&out, got, &err), &err);
    assert_string_equal(got, want);
}

static void test_names(void **state)
{
    (void)state;
    static const double usual[] = {0.1, 0.5, 0.9}, five[] = {0.05, 0.25, 0.5, 0.75, 0.95},
                        high[] = {0.9};
    assert_called(
        "cpu{host=\"a\"}", AGGREGATE_MEAN, usual, 3, 0,
        "cpu:predicted{forecaster=\"web\",host=\"a\",ml_forecast=\"yhat_lower\"}");
    assert_called("cpu{host=\"a\"}", AGGREGATE_MAX, usual, 3, 1,
                  "cpu:predicted{forecaster=\"web\",host=\"a\",ml_forecast=\"yhat\"}");
    assert_called("cpu", AGGREGATE_RATE, usual, 3, 2,
                  "cpu:rate:predicted{forecaster=\"web\",ml_forecast=\"yhat_upper\"}");
    assert_called("cpu", AGGREGATE_SUM, five, 5, 1,
                  "cpu:sum:predicted{forecaster=\"web\",ml_forecast=\"quantile\","
                  "quantile=\"0.25\"}");
    assert_called("cpu", AGGREGATE_LAST, five, 5, 4,
                  "cpu:predicted{forecaster=\"web\",ml_forecast=\"yhat_upper\"}");
    assert_called("cpu", AGGREGATE_MIN, high, 1, 0,
                  "cpu:predicted{forecaster=\"web\",ml_forecast=\"yhat_upper\"}");
    /* Labels of these names are kept under another. */
    assert_called("lat{forecaster=\"x\",quantile=\"0.99\"}", AGGREGATE_MEAN, usual, 3, 1,
                  "lat:predicted{exported_forecaster=\"x\",exported_quantile=\"0.99\","
                  "forecaster=\"web\",ml_forecast=\"yhat\"}");
}

/* ---- points ------------------------------------------------------------------------ */

/* What a point is worth on values that are 0, 1, 4, 9, ... */
static double square_at(const struct predicted_point *point)
{
    static float squares[64];
    for (size_t i = 0; i < 64; i++)
        squares[i] = (float)(i * i);
    return predicted_value(point, squares, 1);
}

static size_t points_of(const struct predicted_span *span, struct predicted_point **out)
{
    size_t count;
    struct err err = {0};
    assert_ok(predicted_points(span, 1 << 20, out, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        assert_true((*out)[i].time_ms >= span->from_ms);
        assert_true((*out)[i].time_ms < span->to_ms);
        assert_true(i == 0 ||
                    ((*out)[i].time_ms > (*out)[i - 1].time_ms &&
                     (*out)[i].time_ms - (*out)[i - 1].time_ms <= PREDICTED_GAP_MS));
    }
    return count;
}

static void test_line(void **state)
{
    (void)state;
    struct predicted_span span = {.first_ms = 5 * HOUR_MS,
                                  .step_ms = HOUR_MS,
                                  .steps = 3,
                                  .from_ms = 0,
                                  .to_ms = INT64_MAX};
    struct predicted_point *points;
    assert_int_equal(predicted_end_ms(&span), 8 * HOUR_MS);
    assert_int_equal(points_of(&span, &points), 45);
    assert_int_equal(points[0].time_ms, 5 * HOUR_MS);
    assert_true(square_at(&points[0]) == 0 && square_at(&points[15]) == 1);
    assert_close(square_at(&points[5]), 1.0 / 3, 1e-12);
    assert_close(square_at(&points[20]), 2, 1e-12);
    assert_true(square_at(&points[30]) == 4 && square_at(&points[44]) == 4);
    free(points);
    span.held = true;
    points_of(&span, &points);
    assert_true(square_at(&points[14]) == 0 && square_at(&points[29]) == 1);
    free(points);
    span.step_ms = 7; /* closer than any gap: as they are */
    span.first_ms = 0;
    assert_int_equal(points_of(&span, &points), 3);
    free(points);
}

/* The part from where a newer forecast takes over to where another does. */
static void test_part(void **state)
{
    (void)state;
    struct predicted_span span = {.first_ms = 0,
                                  .step_ms = HOUR_MS,
                                  .steps = 10,
                                  .from_ms = 2 * HOUR_MS + 90000,
                                  .to_ms = 3 * HOUR_MS + 480000};
    struct predicted_point *points;
    /* One at its beginning, 14 on the hour's grid, 2 behind it: the end is outside. */
    assert_int_equal(points_of(&span, &points), 17);
    assert_int_equal(points[0].time_ms, span.from_ms);
    assert_close(square_at(&points[0]), 4 + 5 * 90.0 / 3600, 1e-12);
    assert_int_equal(points[1].time_ms, 2 * HOUR_MS + 240000);
    assert_int_equal(points[16].time_ms, 3 * HOUR_MS + 240000);
    free(points);
    /* A question that begins later hides points, and adds none. */
    span.asked_ms = 3 * HOUR_MS;
    assert_int_equal(points_of(&span, &points), 2);
    assert_int_equal(points[0].time_ms, 3 * HOUR_MS);
    free(points);
    span.asked_ms = 0;
    span.from_ms = 10 * HOUR_MS;
    span.to_ms = 11 * HOUR_MS;
    assert_int_equal(points_of(&span, &points), 0);
    free(points);
    span.from_ms = 10 * HOUR_MS - 1;
    assert_int_equal(points_of(&span, &points), 1);
    assert_true(square_at(&points[0]) == 81);
    free(points);
    span.from_ms = 0;
    struct err err = {0};
    size_t count;
    assert_err(predicted_points(&span, 149, &points, &count, &err), &err, ERR_TOO_LARGE,
               "149");
    assert_null(points);
}

/* In Berlin 2026-03-29 has 23 hours; the days begin at midnight there. */
static void test_calendar(void **state)
{
    (void)state;
    struct err err = {0};
    struct zone *const zone = zone_load("Europe/Berlin", &err);
    assert_non_null(zone);
    const int64_t midnight = INT64_C(1774652400000); /* 2026-03-28 there */
    struct predicted_span span = {.first_ms = midnight,
                                  .step_ms = DAY_MS,
                                  .steps = 4,
                                  .zone = zone,
                                  .from_ms = midnight + 2 * DAY_MS - HOUR_MS,
                                  .to_ms = INT64_MAX};
    struct predicted_point *points;
    assert_int_equal(predicted_end_ms(&span), midnight + 4 * DAY_MS - HOUR_MS);
    assert_int_equal(points_of(&span, &points), 2 * 360);
    assert_int_equal(points[0].step, 2);
    assert_true(points[0].weight == 0);
    free(points);
    zone_free(zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_part),
        cmocka_unit_test(test_calendar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
