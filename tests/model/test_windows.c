/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include "model/panel.h"
#include "model/windows.h"

/* rows x cols values 100 c + row, named s0, s1, ... */
static struct grid counting(size_t rows, size_t cols)
{
    struct grid grid;
    struct err err = {0};
    assert_ok(grid_init(&grid, 0, 3600000, rows, cols, &err), &err);
    for (size_t i = 0; i < rows; i++)
        for (size_t c = 0; c < cols; c++)
            grid.values[i * cols + c] = (double)(100 * c + i);
    return grid;
}

static size_t count_windows(const struct panel *panel, size_t L, size_t P, size_t from,
                            size_t to, double max_missing)
{
    struct windows w;
    struct err err = {0};
    assert_ok(windows_init(&w, panel, L, P, 1, from, to, max_missing, &err), &err);
    const size_t count = w.count;
    windows_fini(&w);
    return count;
}

static void the_published_protocol_has_its_counts(void **state)
{
    (void)state;
    struct grid grid = counting(17420, 1);
    struct panel panel;
    struct err err = {0};
    assert_ok(panel_init(&panel, &grid, GROUP_JOINT, 8640, &err), &err);
    assert_int_equal(count_windows(&panel, 96, 96, 0, 8640, 1), 8449);
    assert_int_equal(count_windows(&panel, 96, 96, 8640, 11520, 1), 2785);
    assert_int_equal(count_windows(&panel, 96, 96, 11520, 14400, 1), 2785);
    assert_int_equal(count_windows(&panel, 96, 720, 11520, 14400, 1), 2161);
    assert_int_equal(count_windows(&panel, 96, 96, 11520, 11520 + 95, 1), 0);
    panel_fini(&panel);
    grid_fini(&grid);
}

static void scales_come_from_the_first_rows_alone(void **state)
{
    (void)state;
    struct grid grid = counting(10, 4);
    for (size_t i = 0; i < 10; i++) {
        grid.values[i * 4 + 1] = i < 4 ? 7 : 1e6; /* constant where the scale is taken */
        grid.values[i * 4 + 2] = i < 4 ? NAN : 3; /* absent there */
        grid.values[i * 4 + 3] = (i % 2 ? 1 : -1) * 1.5e308; /* sums overflow */
    }
    grid.values[0] = INFINITY; /* not a value */
    struct panel panel;
    struct err err = {0};
    assert_ok(panel_init(&panel, &grid, GROUP_EACH, 4, &err), &err);
    assert_close(panel.mean[0], 2, 1e-15);
    assert_close(panel.sd[0], sqrt(2.0 / 3), 1e-15);
    assert_true(isnan(panel.z[0]));
    assert_close(panel.z[2 * 4], 0, 1e-15);
    assert_true(panel.mean[1] == 7 && panel.sd[1] == 1 && panel.z[9 * 4 + 1] == 1e6 - 7);
    assert_true(panel.mean[2] == 0 && panel.sd[2] == 1 && isnan(panel.z[2]));
    assert_true(isfinite(panel.sd[3]));
    assert_close(panel.z[3], -1, 1e-12);
    panel_fini(&panel);
    grid_fini(&grid);
}

static void joint_windows_hold_all_series(void **state)
{
    (void)state;
    struct grid grid = counting(8, 2);
    struct panel panel;
    struct windows w;
    struct err err = {0};
    assert_ok(panel_init(&panel, &grid, GROUP_JOINT, 8, &err), &err);
    for (size_t i = 0; i < 16; i++)
        panel.z[i] = grid.values[i];
    assert_ok(windows_init(&w, &panel, 3, 2, 1, 0, 8, 0, &err), &err);
    assert_int_equal(w.count, 4);
    real x[2 * 3 * 2], target[2 * 2 * 2];
    const uint32_t order[] = {3, 0};
    uint32_t phase[2];
    windows_gather(&w, order, 0, 2, x, phase, target);
    const double want_x[] = {3, 103, 4, 104, 5, 105, 0, 100, 1, 101, 2, 102};
    const double want_t[] = {6, 106, 7, 107, 3, 103, 4, 104};
    for (int i = 0; i < 12; i++)
        assert_true(x[i] == want_x[i]);
    for (int i = 0; i < 8; i++)
        assert_true(target[i] == want_t[i]);
    assert_true(phase[0] == 0 && phase[1] == 0); /* a season of 1 */
    windows_fini(&w);
    panel_fini(&panel);
    grid_fini(&grid);
}

/* By the clock, not by the grid: whatever a grid begins with, before 1970 too. */
static void phases_are_those_of_the_clock(void **state)
{
    (void)state;
    static const struct {
        int64_t start_h;
        size_t row;
        uint32_t phase;
    } cases[] = {{0, 0, 0},   {0, 30, 6},  {25, 0, 1},
                 {25, 23, 0}, {-1, 0, 23}, {-25, 26, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct grid grid = {.start_ms = cases[i].start_h * 3600000 + 60000,
                                  .step_ms = 3600000};
        const struct panel panel = {.first_step = panel_first_step(&grid)};
        assert_int_equal(panel_phase(&panel, cases[i].row, 24), cases[i].phase);
    }
}

static void a_late_series_has_fewer_windows_of_its_own(void **state)
{
    (void)state;
    struct grid grid = counting(10, 2);
    for (size_t i = 0; i < 4; i++)
        grid.values[i * 2 + 1] = NAN;
    struct panel panel;
    struct windows w;
    struct err err = {0};
    assert_ok(panel_init(&panel, &grid, GROUP_EACH, 10, &err), &err);
    assert_ok(windows_init(&w, &panel, 3, 2, 1, 0, 10, 0.4, &err), &err);
    assert_int_equal(w.count, 6 + 3); /* of the second: one input value may be missing */
    assert_true(w.at[6].col == 1 && w.at[6].row == 6);
    windows_fini(&w);
    assert_int_equal(count_windows(&panel, 3, 2, 0, 10, 0), 6 + 2);
    assert_int_equal(count_windows(&panel, 3, 2, 0, 10, 1), 12);
    panel_fini(&panel);
    grid_fini(&grid);
}

static void windows_without_targets_or_with_big_gaps_are_left_out(void **state)
{
    (void)state;
    struct grid grid = counting(12, 3);
    for (size_t i = 0; i < 12; i++)
        grid.values[i * 3 + 2] = NAN; /* never there: counts for nothing */
    for (size_t i = 8; i < 10; i++)
        grid.values[i * 3] = grid.values[i * 3 + 1] = NAN;
    struct panel panel;
    struct err err = {0};
    assert_ok(panel_init(&panel, &grid, GROUP_JOINT, 12, &err), &err);
    /* Origins 4..10 of look-back 4, horizon 2: 8 has no target, 9 misses a quarter of
     * its input, 10 half of it. */
    assert_int_equal(count_windows(&panel, 4, 2, 0, 12, 0.3), 5);
    assert_int_equal(count_windows(&panel, 4, 2, 0, 12, 0.2), 4);
    assert_int_equal(count_windows(&panel, 4, 2, 0, 12, 1), 7);
    panel_fini(&panel);
    grid_fini(&grid);
}

static void gaps_are_filled_from_the_season_else_carried(void **state)
{
    (void)state;
    enum { L = 8 };
    const double values[L] = {NAN, 1, 2, 3, NAN, NAN, NAN, 7};
    struct panel panel = {.rows = L, .cols = 1, .width = 1};
    double z[L];
    memcpy(z, values, sizeof z);
    panel.z = z;
    real x[L];
    windows_input(&panel, (struct origin){L, 0}, L, 3, x);
    const double seasonal[L] = {1, 1, 2, 3, 1, 2, 3, 7};
    for (int i = 0; i < L; i++)
        assert_true(x[i] == seasonal[i]);
    windows_input(&panel, (struct origin){L, 0}, L, 1, x);
    const double carried[L] = {1, 1, 2, 3, 3, 3, 3, 7};
    for (int i = 0; i < L; i++)
        assert_true(x[i] == carried[i]);
    windows_input(&panel, (struct origin){1, 0}, L, 3, x); /* nothing at all */
    for (int i = 0; i < L; i++)
        assert_true(x[i] == 0);
}

/* For a network that streams: nothing but what came before, and that for L rows. */
static void a_stream_is_filled_by_what_was_known(void **state)
{
    (void)state;
    enum { L = 3, ROWS = 10 };
    double z[ROWS] = {NAN, 5, NAN, NAN, NAN, NAN, 6, NAN, 2e9, NAN};
    const double filled[ROWS] = {0, 5, 5, 5, 5, 0, 6, 6, 1e9, 1e9};
    const struct panel panel = {.rows = ROWS, .cols = 1, .width = 1, .z = z};
    for (uint32_t row = 0; row <= ROWS; row++) {
        real x[L];
        windows_input(&panel, (struct origin){row, 0}, L, 0, x);
        for (uint32_t i = 0; i < L; i++) /* before the panel all is missing */
            assert_true((double)x[i] == (row + i < L ? 0 : filled[row + i - L]));
    }
}

static void thinning_keeps_the_last(void **state)
{
    (void)state;
    struct grid grid = counting(30, 2);
    struct panel panel;
    struct windows w;
    struct err err = {0};
    assert_ok(panel_init(&panel, &grid, GROUP_EACH, 30, &err), &err);
    assert_ok(windows_init(&w, &panel, 4, 2, 1, 0, 30, 1, &err), &err);
    assert_int_equal(w.count, 50);
    assert_int_equal(windows_space(&w, 100), 1);
    assert_int_equal(windows_space(&w, 30), 4);
    assert_int_equal(w.count, 14);
    for (size_t i = 0; i < w.count; i++)
        assert_int_equal((28 - w.at[i].row) % 4, 0);
    windows_thin(&w, 3);
    assert_int_equal(w.count, 3);
    assert_true(w.at[2].row == 28 && w.at[2].col == 1);
    windows_fini(&w);
    panel_fini(&panel);
    grid_fini(&grid);
}

static void most_series_decide_the_season(void **state)
{
    (void)state;
    struct grid grid = counting(480, 4);
    for (size_t i = 0; i < 480; i++) {
        const double t = 2 * M_PI * (double)i;
        grid.values[i * 4] = sin(t / 24) + 5;
        grid.values[i * 4 + 1] = 3 * sin(t / 24 + 1) + 0.01 * (double)i;
        grid.values[i * 4 + 2] = sin(t / 10);
        grid.values[i * 4 + 3] = 1; /* no season */
    }
    struct panel panel;
    struct err err = {0};
    assert_ok(panel_init(&panel, &grid, GROUP_JOINT, 480, &err), &err);
    assert_int_equal(panel_season(&panel, 480), 24);
    assert_int_equal(panel_season(&panel, 7), 1);
    panel_fini(&panel);
    grid_fini(&grid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_protocol_has_its_counts),
        cmocka_unit_test(scales_come_from_the_first_rows_alone),
        cmocka_unit_test(joint_windows_hold_all_series),
        cmocka_unit_test(phases_are_those_of_the_clock),
        cmocka_unit_test(a_late_series_has_fewer_windows_of_its_own),
        cmocka_unit_test(windows_without_targets_or_with_big_gaps_are_left_out),
        cmocka_unit_test(gaps_are_filled_from_the_season_else_carried),
        cmocka_unit_test(a_stream_is_filled_by_what_was_known),
        cmocka_unit_test(thinning_keeps_the_last),
        cmocka_unit_test(most_series_decide_the_season),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
