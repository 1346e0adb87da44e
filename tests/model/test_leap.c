/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include <math.h>

#include "model/leap.h"

enum { MOST = 12, MANY = 3360 };

/* Rows of what is read and whether it is believed (1), with a limit of 10. */
static const struct {
    const char *what;
    double values[MOST];
    char believed[MOST + 1];
} cases[] = {
    {"a slip", {1, 2, 1, 1e9, 2, 1}, "111011"},
    {"the last", {1, 2, 1, 2, 1, -50}, "111110"},
    {"the first", {1e9, 2, 1, 2}, "0111"},
    {"the second", {1, 1e9, 1, 2}, "1011"},
    {"the last of the old level", {1, 51, 52, 51}, "0111"},
    {"within the limit", {1, 2, 12, 2, 1}, "11111"},
    {"no number", {1, 2, (double)INFINITY, 2, 1}, "11011"},
    {"beside a gap", {1, 2, (double)NAN, 1e9, (double)NAN, 2, 1}, "1100011"},
    {"a new level", {1, 2, 1, 51, 52, 51, 52}, "1110111"},
    {"and back", {1, 2, 51, 52, 51, 2, 1, 2}, "11011011"},
    {"come to life", {1, 2, 60, -40, 90, 300, -200, 80}, "11011111"},
    {"two of them", {1, 1e9}, "10"},
    {"two apart", {1, 2, 1e9, 2, -1e9, 2, 1, 2}, "11011111"},
    {"more than a number can tell", {1, 2, -1.7e308, 1.7e308, 2, 1}, "110111"},
};

static void what_is_believed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t rows = strlen(cases[i].believed);
        const double limits[] = {10, (double)INFINITY};
        struct grid grid, out;
        struct err err = {0};
        assert_ok(grid_init(&grid, 0, 60000, rows, 2, &err), &err);
        for (size_t row = 0; row < rows; row++)
            grid.values[row * 2] = grid.values[row * 2 + 1] = cases[i].values[row];
        assert_ok(leap_grid(&grid, limits, &out, &err), &err);
        for (size_t row = 0; row < rows; row++) {
            const double *const x = out.values + row * 2;
            if (cases[i].believed[row] == '1' ? x[0] != cases[i].values[row]
                                              : !isnan(x[0]))
                fail_msg("%s: row %zu is read as %g", cases[i].what, row, x[0]);
            assert_true(isfinite(cases[i].values[row]) ? x[1] == cases[i].values[row]
                                                       : isnan(x[1]));
        }
        free(out.values);
        grid_fini(&grid);
    }
}

/* Of a saw of 1, leaps of which are 1 each, with some slips. */
static double limit_with(size_t slips, size_t rows)
{
    double values[2 * MANY];
    for (size_t i = 0; i < rows; i++)
        values[2 * i] = (double)(i % 2), values[2 * i + 1] = 77;
    for (size_t k = 0; k < slips; k++)
        values[2 * (10 + 20 * k)] = 1e9;
    return leap_limit(values, rows, 2);
}

static void a_few_slips_do_not_move_the_limit(void **state)
{
    (void)state;
    for (size_t slips = 0; slips <= 3; slips++)
        assert_close(limit_with(slips, 100), 10, 0);
    assert_true(limit_with(4, 100) > 1e9);
    assert_close(limit_with(9, MANY), 10, 0); /* the twentieth largest */
    assert_true(limit_with(10, MANY) > 1e9);
    assert_close(limit_with(0, 9), 10, 0);
    assert_true(isinf(limit_with(0, 8))); /* seven leaps */
}

static void what_stands_still_has_no_limit(void **state)
{
    (void)state;
    const double still[] = {3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1e9, 3, 3};
    assert_true(isinf(leap_limit(still, 13, 1)));
    const double none[] = {(double)NAN, (double)NAN};
    assert_true(isinf(leap_limit(none, 2, 1)));
    assert_true(isinf(leap_limit(none, 0, 1)));
}

/* A saw that falls once, or in which one value alone is another. */
static void a_level_that_moved_moves_the_limit(void **state)
{
    (void)state;
    double values[60];
    for (size_t at = 1; at < 58; at++)
        for (int stays = 0; stays < 2; stays++) {
            for (size_t i = 0; i < 60; i++)
                values[i] = (double)(i % 2) - (i == at || (stays && i > at) ? 500 : 0);
            assert_close(leap_limit(values, 60, 1), stays && at > 1 ? 4990 : 10, 0);
        }
}

/* Sorted by size in any order, the eighth largest. */
static void the_limit_is_an_order_statistic(void **state)
{
    (void)state;
    const double up[] = {0, -1, 1, -2, 2, -3, 3, -4, 4, -5}; /* leaps 1 .. 9 */
    double down[10];
    for (size_t i = 0; i < 10; i++)
        down[i] = up[9 - i];
    assert_close(leap_limit(up, 10, 1), 20, 0);
    assert_close(leap_limit(down, 10, 1), 20, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_believed),
        cmocka_unit_test(a_few_slips_do_not_move_the_limit),
        cmocka_unit_test(what_stands_still_has_no_limit),
        cmocka_unit_test(the_limit_is_an_order_statistic),
        cmocka_unit_test(a_level_that_moved_moves_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
