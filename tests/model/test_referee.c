/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include "base/rng.h"
#include "model/candidate.h"
#include "model/cut.h"
#include "model/pulse.h"
#include "model/referee.h"
#include "model/score.h"

static const struct rng_stream stream = {5, 3, 0};

static struct panel panel_of(double *z, size_t rows, size_t cols, size_t width)
{
    static double mean[8], sd[8];
    for (size_t c = 0; c < 8; c++)
        sd[c] = 1;
    return (struct panel){
        .rows = rows, .cols = cols, .width = width, .z = z, .mean = mean, .sd = sd};
}

static void naive_repeats_the_last_value_there_is(void **state)
{
    (void)state;
    double z[] = {1, 10, 2, NAN, NAN, NAN};
    const struct panel panel = panel_of(z, 3, 2, 2);
    struct candidate_task task = {.panel = &panel, .P = 2, .season = 1, .tail = 3};
    const struct origin at[] = {{3, 0}, {1, 0}};
    double y[8];
    naive_forecast(&task, at, 2, y);
    const double want[] = {2, 10, 2, 10, 1, 10, 1, 10};
    for (int i = 0; i < 8; i++)
        assert_true(y[i] == want[i]);
    task.tail = 2; /* it looks no further back than that */
    naive_forecast(&task, at, 1, y);
    assert_true(y[0] == 2 && isnan(y[1]));
}

static void seasonal_goes_back_by_whole_seasons(void **state)
{
    (void)state;
    double z[] = {1, 2, 3, 4, 5, NAN, NAN, 8, NAN};
    const struct panel panel = panel_of(z, 9, 1, 1);
    struct candidate_task task = {.panel = &panel, .P = 4, .season = 3, .tail = 9};
    const struct origin at = {9, 0};
    double y[4];
    seasonal_forecast(&task, &at, 1, y);
    /* Steps 0..3 lie 3, 2, 1, 3 rows back: row 6 is missing, so row 3; row 7; row 8
     * and row 5 are missing, so row 2; as step 0. */
    const double want[] = {4, 8, 3, 4};
    for (int j = 0; j < 4; j++)
        assert_true(y[j] == want[j]);
    task.tail = 3; /* nothing further back: the last value */
    seasonal_forecast(&task, &at, 1, y);
    assert_true(y[0] == 8 && y[1] == 8 && y[2] == 8);
    task.season = 1;
    seasonal_forecast(&task, &at, 1, y);
    assert_true(y[0] == 8 && y[3] == 8);
}

static void buckets_cut_the_horizon(void **state)
{
    (void)state;
    static const struct {
        size_t P, ends[3];
    } cases[] = {{96, {12, 24, 48}}, {8, {1, 2, 4}}, {1, {1, 1, 1}}, {10, {2, 3, 5}}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (size_t j = 0; j < cases[c].P; j++) {
            const size_t *const e = cases[c].ends;
            const int want = j < e[0] ? 0 : j < e[1] ? 1 : j < e[2] ? 2 : 3;
            assert_int_equal(horizon_bucket(j, cases[c].P), want);
        }
}

/* Lets those of mask (season 8) forecast all of z; returns who serves the last bucket,
 * whose end is the horizon. */
static int champion_among(unsigned mask, double *z, size_t rows, size_t P,
                          struct referee *keep)
{
    const struct panel panel = panel_of(z, rows, 1, 1);
    const struct candidate_task task = {
        .panel = &panel, .P = P, .season = 8, .tail = 32, .frwkv = NULL};
    struct err err = {0};
    struct referee referee;
    struct windows windows;
    struct pulse pulse;
    pulse_start(&pulse, NULL, "judge", 0, 0);
    assert_ok(referee_init(&referee, &panel, P, 8, rows, &err), &err);
    assert_ok(windows_init(&windows, &panel, 8, P, 8, 0, rows, 1, &err), &err);
    assert_ok(referee_hear(&referee, &task, &windows, 1, mask,
                           HEAR_DUEL | HEAR_SCORE | HEAR_FOLLOW, &pulse, &err),
              &err);
    struct verdict verdicts[2 * MODEL_BUCKETS];
    referee_decide(&referee, mask, verdicts);
    referee_skills(&referee, verdicts);
    const int champion = verdicts[MODEL_BUCKETS - 1].champion;
    assert_int_equal(verdicts[2 * MODEL_BUCKETS - 1].champion, champion);
    windows_fini(&windows);
    if (keep)
        *keep = referee;
    else
        referee_fini(&referee);
    return champion;
}

static int champion_of(double *z, size_t rows, size_t P, struct referee *keep)
{
    return champion_among(candidate_untrained(), z, rows, P, keep);
}

static const unsigned naives = 1u << CANDIDATE_NAIVE | 1u << CANDIDATE_SEASONAL_NAIVE;

static void a_season_is_seen(void **state)
{
    (void)state;
    double z[200];
    for (int i = 0; i < 200; i++)
        z[i] = sin(i * M_PI / 4) + 0.1 * rng_normal(stream, (uint64_t)i);
    assert_int_equal(champion_among(naives, z, 200, 16, NULL), CANDIDATE_SEASONAL_NAIVE);
    /* With fewer than three horizons of evidence the simpler one serves. */
    assert_int_equal(champion_among(naives, z, 8 + 40, 16, NULL), CANDIDATE_NAIVE);
    assert_int_equal(champion_among(naives, z, 8 + 48, 16, NULL),
                     CANDIDATE_SEASONAL_NAIVE);
}

/* On white noise both naives are equally poor, so who serves beside the simplest does
 * so by chance: two standard errors allow 2.3 %, whatever the number of stretches. */
static void chance_is_what_two_standard_errors_leave(void **state)
{
    (void)state;
    enum { RUNS = 400, ROWS = 256 };
    static const size_t horizons[] = {4, 16, 64};
    for (size_t h = 0; h < sizeof horizons / sizeof *horizons; h++) {
        int lucky = 0;
        for (uint64_t run = 0; run < RUNS; run++) {
            double z[ROWS];
            for (uint64_t i = 0; i < ROWS; i++)
                z[i] = rng_normal(stream, run * 1000 + i);
            lucky +=
                champion_among(naives, z, ROWS, horizons[h], NULL) != CANDIDATE_NAIVE;
        }
        assert_true(lucky <= 16);
    }
}

/* An advantage that comes every day is seen although it is far smaller than what the
 * errors vary within the day. */
static void a_daily_rhythm_of_the_errors_hides_nothing(void **state)
{
    (void)state;
    enum { ROWS = 480, P = 16 };
    double z[ROWS];
    for (int i = 0; i < ROWS; i++)
        z[i] = i % 8 == 0 ? 8 + 0.5 * (i / 8 % 2) : 0.5 * (i / 8 % 2);
    assert_int_equal(champion_among(naives, z, ROWS, P, NULL), CANDIDATE_SEASONAL_NAIVE);
}

static void noise_is_served_by_the_simplest(void **state)
{
    (void)state;
    double z[300];
    for (uint64_t run = 0; run < 20; run++) {
        z[0] = 0;
        for (uint64_t i = 1; i < 300; i++)
            z[i] = z[i - 1] + rng_normal(stream, run * 1000 + i);
        assert_int_equal(champion_of(z, 300, 8, NULL), CANDIDATE_NAIVE);
    }
    for (int i = 0; i < 300; i++)
        z[i] = 4; /* constant: nobody beats anybody */
    assert_int_equal(champion_of(z, 300, 8, NULL), CANDIDATE_NAIVE);
    for (int i = 0; i < 300; i++)
        z[i] = NAN;
    assert_int_equal(champion_of(z, 300, 8, NULL), CANDIDATE_NAIVE);
}

static void scores_are_the_plain_means(void **state)
{
    (void)state;
    enum { ROWS = 60, P = 5 };
    double z[ROWS];
    for (int i = 0; i < ROWS; i++)
        z[i] = i % 9 == 4 ? (double)NAN : rng_normal(stream, (uint64_t)i);
    struct referee referee;
    champion_of(z, ROWS, P, &referee);

    double absolute = 0, square = 0, count = 0;
    for (int row = 8; row + P <= ROWS; row++) {
        int last = row - 1;
        while (isnan(z[last]))
            last--;
        for (int j = 0; j < P; j++)
            if (!isnan(z[row + j])) {
                absolute += fabs(z[row + j] - z[last]);
                square += pow(z[row + j] - z[last], 2);
                count++;
            }
    }
    const double scale = 0.5;
    struct verdict verdicts[2 * MODEL_BUCKETS] = {0};
    struct model_figure figures[(CANDIDATES + 1) * (MODEL_BUCKETS + 1)];
    const size_t n =
        referee_figures(&referee, candidate_untrained(), verdicts, &scale, figures);
    assert_int_equal(n, CANDIDATES * (MODEL_BUCKETS + 1)); /* all but one, the champion */
    const struct model_figure *const whole = &figures[MODEL_BUCKETS];
    assert_string_equal(whole->candidate, "naive");
    assert_int_equal(whole->bucket, -1);
    assert_close(whole->mae, absolute / count, 1e-12);
    assert_close(whole->mse, square / count, 1e-12);
    assert_close(whole->mase, absolute / count / scale, 1e-12);
    const struct model_figure *const champion = &figures[n - 1];
    assert_string_equal(champion->candidate, "champion");
    assert_close(champion->mae, whole->mae, 1e-15);
    referee_fini(&referee);
}

static void pinball_and_coverage_are_counted(void **state)
{
    (void)state;
    double quantiles[METRIC_QUANTILES];
    for (int k = 0; k < METRIC_QUANTILES; k++)
        quantiles[k] = k;
    struct score score = {0};
    score_band(&score, quantiles, 8);  /* on the edge: inside */
    score_band(&score, quantiles, 10); /* outside */
    double want = 0;
    for (int k = 0; k < METRIC_QUANTILES; k++)
        want += metric_quantile(k) * (8 - k) + metric_quantile(k) * (10 - k);
    assert_close(score.pinball, want, 1e-12);
    const double scale = 1;
    struct model_figure figure;
    score_figure(&figure, &score, 1, 1, &scale);
    assert_close(figure.coverage80, 0.5, 1e-15);
    assert_close(figure.wql, 2 * want / METRIC_QUANTILES / 18, 1e-12);
    assert_true(isnan(figure.mae));
}

static void history_is_cut_as_documented(void **state)
{
    (void)state;
    struct cut cut;
    assert_true(cut_history(1344, 96, 48, &cut));
    assert_int_equal(cut.end - cut.stop, 269);
    assert_int_equal(cut.stop - cut.fit, 134);
    assert_true(cut_history(2000, 96, 200, &cut)); /* three horizons outweigh a fifth */
    assert_int_equal(cut.end - cut.stop, 600);
    const struct model_spec spec = {.lookback = 96, .horizon = 48};
    const size_t least = model_rows_for_training(&spec);
    assert_true(cut_history(least, 96, 48, &cut));
    assert_false(cut_history(least - 1, 96, 48, &cut));
}

static void splits_are_read(void **state)
{
    (void)state;
    struct model_split split;
    struct cut cut;
    struct err err = {0};
    assert_ok(model_split_parse("ett-hour", &split, &err), &err);
    assert_ok(cut_split(&split, 17420, 96, 96, &cut, &err), &err);
    assert_true(cut.fit == 8640 && cut.stop == 11520 && cut.end == 14400);
    assert_err(cut_split(&split, 14399, 96, 96, &cut, &err), &err, ERR_CONFLICT, "split");
    err = (struct err){0};
    assert_ok(model_split_parse("0.7,0.1,0.2", &split, &err), &err);
    assert_ok(cut_split(&split, 7588, 96, 96, &cut, &err), &err);
    assert_true(cut.fit == 5311 && cut.end - cut.stop == 1517 && cut.end == 7588);
    assert_ok(cut_split(&split, 1000, 96, 96, &cut, &err), &err);
    assert_true(cut.fit == 700 && cut.stop == 800);
    assert_ok(model_split_parse("last:100", &split, &err), &err);
    assert_ok(cut_split(&split, 900, 96, 96, &cut, &err), &err);
    assert_true(cut.fit == 700 && cut.stop == 800 && cut.end == 900);
    static const char *const bad[] = {
        "",        "ett",         "last:",       "last:0", "last:-4",     "last:4x",
        "0.7,0.1", "0.7,0.2,0.2", "nan,0.5,0.5", "1,0,0",  "0.7,0.1,0.2,"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(model_split_parse(bad[i], &split, &err), &err, ERR_INVALID, "split: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(naive_repeats_the_last_value_there_is),
        cmocka_unit_test(seasonal_goes_back_by_whole_seasons),
        cmocka_unit_test(buckets_cut_the_horizon),
        cmocka_unit_test(a_season_is_seen),
        cmocka_unit_test(chance_is_what_two_standard_errors_leave),
        cmocka_unit_test(a_daily_rhythm_of_the_errors_hides_nothing),
        cmocka_unit_test(noise_is_served_by_the_simplest),
        cmocka_unit_test(scores_are_the_plain_means),
        cmocka_unit_test(pinball_and_coverage_are_counted),
        cmocka_unit_test(history_is_cut_as_documented),
        cmocka_unit_test(splits_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
