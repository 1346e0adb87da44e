/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include <math.h>

#include "base/rng.h"
#include "model/level.h"

enum { ROWS = 240, SEASON = 12, STRIDE = 2 };

/* A rhythm with noise; the newest `since` of them `by` higher. */
static void fill(double *values, size_t since, double by)
{
    const struct rng_stream stream = {31, 4, 0};
    for (size_t i = 0; i < ROWS; i++) {
        values[i * STRIDE] = 10 + 4 * sin((double)i * 2 * M_PI / SEASON) +
                             0.3 * rng_normal(stream, i) + (i + since >= ROWS ? by : 0);
        values[i * STRIDE + 1] = (double)i; /* another's */
    }
}

/* However long ago within a quarter of what is seen: all is as if it had always been so,
 * but for the error in how far it moved. */
static void a_move_is_followed(void **state)
{
    (void)state;
    static const size_t since[] = {3, 4, 11, 12, 13, 23, 30, 47};
    static const size_t seasons[] = {SEASON, 2 * SEASON};
    double values[ROWS * STRIDE], always[ROWS * STRIDE];
    fill(always, ROWS, 0);
    for (size_t i = 0; i < 2 * sizeof since / sizeof *since; i++)
        for (int sign = -1; sign <= 1; sign += 2) {
            const double by = 9 * sign;
            fill(values, since[i / 2], by);
            assert_true(level_follow(values, ROWS, STRIDE, seasons[i % 2]));
            for (size_t row = 0; row < ROWS; row++) {
                assert_true(fabs(values[row * STRIDE] - always[row * STRIDE] - by) < 1);
                assert_true(values[row * STRIDE + 1] == (double)row);
            }
        }
}

/* Nor does a gap hide it. */
static void gaps_are_passed_over(void **state)
{
    (void)state;
    double values[ROWS * STRIDE];
    fill(values, 8, 9);
    for (size_t row = 0; row < ROWS; row++)
        if (row % 5 == 2 || row == ROWS - 1)
            values[row * STRIDE] = (double)NAN;
    assert_true(level_follow(values, ROWS, STRIDE, SEASON));
    for (size_t row = 0; row < ROWS; row++)
        assert_true(row % 5 == 2 || row == ROWS - 1 ||
                    fabs(values[row * STRIDE] - 19) < 6);
}

/* Without a season, and from a level that stood still. */
static void a_step_is_followed(void **state)
{
    (void)state;
    double values[100];
    for (size_t since = 3; since < 16; since++) {
        for (size_t row = 0; row < 100; row++)
            values[row] = row + since < 100 ? 3 : 3.5;
        assert_true(level_follow(values, 100, 1, 1));
        for (size_t row = 0; row < 100; row++)
            assert_true(values[row] == 3.5);
    }
}

static void burst(double *values, size_t from, size_t rows, double by)
{
    for (size_t row = from; row < from + rows; row++)
        values[row * STRIDE] += by;
}

static void assert_left(double *values, size_t rows, size_t season, const char *what)
{
    double before[ROWS * STRIDE];
    memcpy(before, values, sizeof before);
    if (level_follow(values, rows, STRIDE, season))
        fail_msg("%s is taken for a level that moved", what);
    assert_memory_equal(values, before, sizeof before);
}

static void what_is_no_move_is_left(void **state)
{
    (void)state;
    double values[ROWS * STRIDE];
    fill(values, 0, 0);
    assert_left(values, ROWS, SEASON, "nothing");
    fill(values, 2, 9);
    assert_left(values, ROWS, SEASON, "what has lasted for two values");
    fill(values, 3, 0.7);
    assert_left(values, ROWS, SEASON, "noise");
    fill(values, 5, 9);
    burst(values, 100, 5, 8);
    assert_left(values, ROWS, SEASON, "what was there before");
    fill(values, 5, 9);
    burst(values, 100, 5, -8);
    assert_left(values, ROWS, SEASON, "what was there before, below");
    fill(values, 0, 0);
    burst(values, ROWS - 17, 5, 9);
    assert_left(values, ROWS, SEASON, "a season after a burst");
    fill(values, 5, 9);
    assert_left(values, 4 * SEASON - 1, SEASON, "too short a history");
    for (size_t row = 0; row < ROWS; row++)
        values[row * STRIDE] = 1.7e308 * (row % 2 ? 1 : -1);
    assert_left(values, ROWS, 1, "the largest numbers");
    for (size_t row = 0; row < ROWS; row++)
        values[row * STRIDE] = row > ROWS - 6 ? 1.7e308 : -1.7e308;
    assert_left(values, ROWS, 1, "a step that is no number");
    for (size_t row = 0; row < ROWS; row++)
        values[row * STRIDE] = (double)NAN;
    assert_left(values, ROWS, SEASON, "nothing at all");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_move_is_followed),
        cmocka_unit_test(gaps_are_passed_over),
        cmocka_unit_test(a_step_is_followed),
        cmocka_unit_test(what_is_no_move_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
