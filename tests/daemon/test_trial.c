/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two models on the steps that the newer one was not trained on.
 */
#include "tests/check.h"

#include <stdio.h>

#include "daemon/trial.h"

#define HOUR INT64_C(3600000)

enum { ROWS = 600, HORIZON = 12 };

static struct model_spec spec(void)
{
    struct err err = {0};
    struct model_spec s = {.group = GROUP_EACH,
                           .lookback = 48,
                           .horizon = HORIZON,
                           .min = -INFINITY,
                           .max = INFINITY};
    assert_ok(model_settings_preset(&s.settings, "default", &err), &err);
    assert_ok(model_settings_set(&s.settings, "epochs", "1", &err), &err);
    assert_ok(model_settings_set(&s.settings, "steps_per_epoch", "5", &err), &err);
    assert_ok(model_settings_set(&s.settings, "width", "8", &err), &err);
    assert_ok(model_settings_set(&s.settings, "heads", "1", &err), &err);
    return s;
}

typedef double value_function(size_t row);

static struct grid grid_of(size_t rows, size_t cols, value_function *value)
{
    struct grid grid = {0};
    struct err err = {0};
    assert_ok(grid_init(&grid, 1000 * HOUR, HOUR, rows, cols, &err), &err);
    for (size_t c = 0; c < cols; c++) {
        char name[24];
        snprintf(name, sizeof name, "s%zu", c);
        grid_name(&grid, c, name);
        for (size_t r = 0; r < rows; r++)
            grid.values[r * cols + c] = value(r) * pow(1000, (double)c);
    }
    return grid;
}

static struct model *train(const struct grid *grid, size_t rows)
{
    struct err err = {0};
    const struct model_spec s = spec();
    struct grid seen = *grid;
    seen.rows = rows;
    struct model *const model = model_train(&seen, &s, NULL, &err);
    if (!model)
        fail_msg("%s", err.msg);
    return model;
}

static double day(size_t row)
{
    return sin((double)row * 0.2617993877991494);
}

/* A day's rhythm, then one of seven hours. */
static double changed(size_t row)
{
    return row < 300 ? day(row) : sin((double)row * 0.8975979010256552);
}

static double constant(size_t row)
{
    (void)row;
    return 7;
}

static struct trial try(const struct model *champion, const struct model *challenger,
                        const struct grid *grid, size_t steps)
{
    struct err err = {0};
    struct trial trial;
    assert_true(grid->rows >= trial_rows(champion, challenger, steps));
    assert_ok(trial_run(champion, challenger, grid, steps, &trial, &err), &err);
    assert_int_equal(trial.steps, steps);
    return trial;
}

/* Who learnt the new rhythm beats who did not, and not the other way round; the scale of
 * a series changes nothing. */
static void the_better_one_wins(void **state)
{
    (void)state;
    struct grid grid = grid_of(ROWS, 2, changed);
    struct model *const before = train(&grid, 300), *const after =
                                                        train(&grid, ROWS - HORIZON);
    const struct trial won = try(before, after, &grid, HORIZON);
    const struct trial lost = try(after, before, &grid, HORIZON);
    assert_true(won.better && won.change < -0.2);
    assert_false(lost.better);
    assert_close(lost.change, -won.change, 1e-12);
    assert_int_equal(won.origins, HORIZON);
    assert_int_equal(won.series, 2);
    /* Leads end with the data: 12 + 11 + ... + 1 of each series. */
    assert_int_equal(won.values, 2 * HORIZON * (HORIZON + 1) / 2);
    model_free(before);
    model_free(after);
    grid_fini(&grid);
}

/* Against itself nobody is better; of a constant there is nothing to judge by. */
static void a_draw_goes_to_who_serves(void **state)
{
    (void)state;
    struct grid grid = grid_of(ROWS, 1, day);
    struct model *const model = train(&grid, ROWS - HORIZON);
    struct trial trial = try(model, model, &grid, HORIZON);
    assert_false(trial.better);
    assert_close(trial.change, 0, 0);
    model_free(model);
    grid_fini(&grid);

    grid = grid_of(ROWS, 1, constant);
    struct model *const one = train(&grid, 300), *const two =
                                                     train(&grid, ROWS - HORIZON);
    trial = try(one, two, &grid, HORIZON);
    assert_false(trial.better);
    assert_true(isnan(trial.change));
    model_free(one);
    model_free(two);
    grid_fini(&grid);
}

/* Missing values are no errors, and where all is missing nobody wins. */
static void gaps_do_not_count(void **state)
{
    (void)state;
    struct grid grid = grid_of(ROWS, 2, changed);
    struct model *const before = train(&grid, 300), *const after =
                                                        train(&grid, ROWS - HORIZON);
    for (size_t r = ROWS - HORIZON; r < ROWS; r++)
        grid.values[r * 2] = (double)NAN;
    struct trial trial = try(before, after, &grid, HORIZON);
    assert_int_equal(trial.series, 1);
    assert_true(trial.better);
    for (size_t r = ROWS - HORIZON; r < ROWS; r++)
        grid.values[r * 2 + 1] = (double)NAN;
    trial = try(before, after, &grid, HORIZON);
    assert_int_equal(trial.values, 0);
    assert_false(trial.better);
    model_free(before);
    model_free(after);
    grid_fini(&grid);
}

/* A horizon, or less where a training would no longer be one. */
static void what_is_held_out(void **state)
{
    (void)state;
    const struct model_spec s = spec();
    const size_t least = model_rows_for_candidates(&s),
                 training = model_rows_for_training(&s);
    assert_int_equal(trial_steps(&s, least - 1), 0);
    assert_int_equal(trial_steps(&s, least), 0);
    assert_int_equal(trial_steps(&s, least + 3), 3);
    assert_int_equal(trial_steps(&s, training), 0);
    assert_int_equal(trial_steps(&s, training + 5), 5);
    assert_int_equal(trial_steps(&s, training + 1000), HORIZON);
}

int main(void)
{
    model_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_better_one_wins),
        cmocka_unit_test(a_draw_goes_to_who_serves),
        cmocka_unit_test(gaps_do_not_count),
        cmocka_unit_test(what_is_held_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
