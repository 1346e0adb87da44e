/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include <string.h>

#include "base/rng.h"
#include "model/candidate.h"
#include "model/in_context.h"

static const struct rng_stream stream = {9, 3, 0};

static struct panel panel_of(double *z, size_t rows, size_t cols)
{
    static double mean[8], sd[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    return (struct panel){
        .rows = rows, .cols = cols, .width = 1, .z = z, .mean = mean, .sd = sd};
}

/* On AR(1) the ridge variant comes within 5 % of who knows the coefficient. */
static void p5_ridge_comes_near_the_oracle(void **state)
{
    (void)state;
    enum { ROWS = 4000, FROM = 2000, P = 4 };
    static double z[ROWS];
    for (size_t i = 1; i < ROWS; i++)
        z[i] = 0.9 * z[i - 1] + rng_normal(stream, i);
    const struct panel panel = panel_of(z, ROWS, 1);
    const unsigned char kind = IN_CONTEXT_RIDGE;
    const struct profile profile = {35, 1};
    const struct candidate_task task = {.panel = &panel,
                                        .P = P,
                                        .season = 1,
                                        .tail = 100,
                                        .profiles = &profile,
                                        .contexts = &kind};
    double own = 0, oracle = 0;
    for (uint32_t row = FROM; row + P <= ROWS; row++) {
        const struct origin at = {row, 0};
        double y[P];
        in_context_forecast(&task, &at, 1, y);
        for (int j = 0; j < P; j++) {
            own += pow(y[j] - z[row + j], 2);
            oracle += pow(pow(0.9, j + 1) * z[row - 1] - z[row + j], 2);
        }
    }
    assert_true(own <= 1.05 * oracle);
    assert_true(own > oracle); /* or something is known that cannot be */
}

/* Histories that say nothing get the profile's answer, and never a NaN that the
 * profile had not. */
static void p5_hard_histories_fall_back(void **state)
{
    (void)state;
    enum { ROWS = 128, P = 8 };
    enum { CONSTANT, MISSING, SHORT, GAPS, OUTLIER, TINY, LARGE, LARGEST, CASES };
    for (int kase = 0; kase < CASES; kase++)
        for (unsigned char kind = 0; kind < IN_CONTEXT_KINDS; kind++) {
            double z[ROWS], y[P], profile[P];
            for (int i = 0; i < ROWS; i++) {
                const double wave = sin(i * M_PI / 4) + 0.1 * (i % 5);
                const double values[CASES] = {3,
                                              (double)NAN,
                                              i < ROWS - 20 ? (double)NAN : wave,
                                              i % 3 ? wave : (double)NAN,
                                              i == 100 ? 1e9 : wave,
                                              1e-300 * wave,
                                              1e300 * wave,
                                              1.7e308 * (i % 2 ? 1 : -1)};
                z[i] = values[kase];
            }
            const struct panel panel = panel_of(z, ROWS, 1);
            const struct candidate_task task = {
                .panel = &panel, .P = P, .season = 8, .tail = 64, .contexts = &kind};
            const struct origin at = {kase == SHORT ? 24 : ROWS, 0};
            if (kase == SHORT)
                memmove(z, z + ROWS - 20, 20 * sizeof *z);
            in_context_forecast(&task, &at, 1, y);
            profile_forecast(&task, &at, 1, profile);
            for (int j = 0; j < P; j++) {
                assert_int_equal(isfinite(y[j]), isfinite(profile[j]));
                if (kind == IN_CONTEXT_PROFILE || kase == CONSTANT || kase == SHORT)
                    assert_true(y[j] == profile[j] || isnan(y[j]));
            }
        }
}

/* What each kind can see, the choice finds; what comes later changes nothing. */
static void a_kind_is_chosen_by_what_went_before(void **state)
{
    (void)state;
    enum { ROWS = 900, TO = 850, P = 8, COLS = 4 };
    static double z[ROWS * COLS];
    for (size_t i = 0; i < ROWS; i++) {
        double *const row = z + i * COLS;
        const double noise = rng_normal(stream, i);
        const double rhythm = sin((double)i * M_PI / 4);
        row[0] = rhythm;
        row[1] = 5 * rhythm +
                 (i ? row[1 - COLS] - 5 * sin((double)(i - 1) * M_PI / 4) : 0) + noise;
        row[2] = rhythm + 3 * sin((double)i * 2 * M_PI / 5.5) + 0.1 * noise;
        row[3] = (double)NAN;
    }
    const struct panel panel = panel_of(z, ROWS, COLS);
    struct profile profiles[COLS + 1];
    unsigned char chosen[COLS + 1], again[COLS + 1];
    profile_choose(&panel, P, 8, TO, profiles);
    in_context_choose(&panel, profiles, P, 8, TO, chosen);
    assert_int_equal(chosen[0], IN_CONTEXT_PROFILE); /* exact: nothing is left */
    assert_true(chosen[1] >= IN_CONTEXT_LEVEL);
    assert_true(chosen[2] >= IN_CONTEXT_DESCENT);
    assert_int_equal(chosen[3], IN_CONTEXT_PROFILE);
    for (size_t i = TO * COLS; i < ROWS * COLS; i++)
        z[i] = 1e6;
    in_context_choose(&panel, profiles, P, 8, TO, again);
    assert_memory_equal(again, chosen, sizeof chosen);
}

/* What lies beyond its reach, or after the origin, cannot matter; nor the company. */
static void it_reads_its_reach_and_no_more(void **state)
{
    (void)state;
    enum { ROWS = 1200, P = 8, COLS = 2 };
    static double z[ROWS * COLS];
    for (size_t i = 0; i < ROWS * COLS; i++)
        z[i] = sin((double)(i / COLS) * M_PI / 4) + rng_normal(stream, i);
    const struct panel panel = panel_of(z, ROWS, COLS);
    const struct profile profiles[] = {{35, 1}, {4, PROFILE_LONG}};
    for (unsigned char kind = 0; kind < IN_CONTEXT_KINDS; kind++) {
        const unsigned char kinds[] = {kind, kind};
        const struct candidate_task task = {.panel = &panel,
                                            .P = P,
                                            .season = 8,
                                            .tail = 32,
                                            .profiles = profiles,
                                            .contexts = kinds};
        const struct origin at[] = {{1000, 0}, {1000, 1}};
        double y[2][P], again[P];
        in_context_forecast(&task, at, 2, y[0]);
        const size_t reach = in_context_reach(profiles[1], 8, P);
        double kept[ROWS * COLS];
        memcpy(kept, z, sizeof z);
        for (size_t i = 0; i < ROWS; i++)
            if (i < 1000 - reach || i >= 1000)
                z[i * COLS] = z[i * COLS + 1] = 1e9;
            else
                z[i * COLS] = 7;
        in_context_forecast(&task, at + 1, 1, again);
        memcpy(z, kept, sizeof z);
        assert_memory_equal(again, y[1], sizeof again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p5_ridge_comes_near_the_oracle),
        cmocka_unit_test(p5_hard_histories_fall_back),
        cmocka_unit_test(a_kind_is_chosen_by_what_went_before),
        cmocka_unit_test(it_reads_its_reach_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
