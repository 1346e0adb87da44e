/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When forecasts that do not come true lead to a training, and when not again.  What a
 * real year makes of it is in test_year.c.
 */
#include "tests/check.h"

#include "daemon/retrain.h"

#define HOUR INT64_C(3600000)
#define HORIZON 24
#define HORIZON_MS (HORIZON * HOUR)

static struct live figures(double skill, double coverage)
{
    return (struct live){.issues = 5,
                         .values = 1000,
                         .steps = 2 * HORIZON,
                         .skill = skill,
                         .judged = 0.5,
                         .coverage = coverage,
                         .nominal = 0.8};
}

static enum retrain_verdict judge(const struct retrain *state, struct live live,
                                  int64_t now_ms)
{
    return retrain_judge(state, &live, HORIZON, HORIZON_MS, now_ms);
}

static void what_is_an_alarm(void **state)
{
    (void)state;
    const struct retrain calm = {0};
    static const struct {
        double skill, coverage;
        enum retrain_verdict want;
    } cases[] = {
        {0.5, 0.8, RETRAIN_QUIET},  {0.26, 0.8, RETRAIN_QUIET},
        {0.24, 0.8, RETRAIN_TRAIN}, {0.9, 0.8, RETRAIN_QUIET},
        {0.5, 0.61, RETRAIN_QUIET}, {0.5, 0.59, RETRAIN_TRAIN},
        {0.5, 0.99, RETRAIN_QUIET}, {-3, 0.1, RETRAIN_TRAIN},
        {NAN, 0.8, RETRAIN_QUIET},  {NAN, 0.5, RETRAIN_TRAIN},
        {0.1, NAN, RETRAIN_TRAIN},  {NAN, NAN, RETRAIN_QUIET},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(judge(&calm, figures(cases[i].skill, cases[i].coverage), HOUR),
                         cases[i].want);
    /* Bands that are far too wide: with 0.5 promised, 0.8 is too much. */
    struct live wide = figures(0.5, 0.8);
    wide.nominal = 0.5;
    assert_int_equal(judge(&calm, wide, HOUR), RETRAIN_TRAIN);
    /* A few hours say nothing. */
    struct live early = figures(-3, 0.1);
    early.steps = HORIZON - 1;
    assert_int_equal(judge(&calm, early, HOUR), RETRAIN_QUIET);
}

/* Where training does not help, it is tried after 2, 4, 8, ... horizons. */
static void it_is_no_loop(void **state)
{
    (void)state;
    struct retrain now_is = {0};
    int64_t last = 0, now = 1000 * HORIZON_MS;
    int trainings = 0;
    for (int hour = 0; hour < 365 * 24; hour++, now += HOUR) {
        if (judge(&now_is, figures(0, 0.3), now) != RETRAIN_TRAIN)
            continue;
        if (trainings > 0)
            assert_int_equal(now - last, HORIZON_MS << (trainings < RETRAIN_DOUBLINGS
                                                            ? trainings
                                                            : RETRAIN_DOUBLINGS));
        last = now;
        now_is =
            (struct retrain){.alarm = true, .trainings = ++trainings, .trained_ms = now};
    }
    assert_in_range(trainings, 6, 12);
}

/* Between the two thresholds an alarm neither begins nor ends. */
static void hysteresis(void **state)
{
    (void)state;
    const int64_t now = 1000 * HORIZON_MS;
    const struct retrain calm = {.trained_ms = now};
    const struct retrain alarm = {.alarm = true, .trainings = 1, .trained_ms = now};
    for (double skill = 0.26; skill < 0.37; skill += 0.01) {
        assert_int_equal(judge(&calm, figures(skill, 0.8), now + HOUR), RETRAIN_QUIET);
        assert_int_equal(judge(&alarm, figures(skill, 0.8), now + 99 * HORIZON_MS),
                         RETRAIN_QUIET);
    }
    assert_int_equal(judge(&alarm, figures(0.38, 0.8), now), RETRAIN_CALM);
    assert_int_equal(judge(&alarm, figures(0.38, 0.69), now), RETRAIN_QUIET);
    assert_int_equal(judge(&calm, figures(0.5, 0.8), now), RETRAIN_QUIET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_an_alarm),
        cmocka_unit_test(it_is_no_loop),
        cmocka_unit_test(hysteresis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
