/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/fit.h"

#include "tests/model/small.h"

/* Steps an epoch has, and windows validation has, of rows x 2 series in batches of 1. */
static struct train_pace pace_of(size_t rows, enum model_group group, const char *steps,
                                 size_t *stop)
{
    struct err err = {0};
    struct grid grid = small_grid(rows, 2, 0.1);
    struct model_spec spec = small_spec(group);
    small_set(&spec, "batch", "1");
    small_set(&spec, "steps_per_epoch", steps);
    const struct cut cut = {.fit = rows * 7 / 10, .stop = rows, .end = rows};
    struct panel panel;
    struct fit fit;
    assert_ok(panel_init(&panel, &grid, group, cut.fit, &err), &err);
    assert_ok(fit_init(&fit, &panel, &cut, &spec, 8, 0, NULL, NULL, &err), &err);
    const struct train_pace pace = fit.pace;
    *stop = fit.stop.count;
    fit_fini(&fit);
    panel_fini(&panel);
    grid_fini(&grid);
    return pace;
}

static void epochs_are_capped_where_they_would_not_end(void **state)
{
    (void)state;
    static const struct {
        size_t rows;
        enum model_group group;
        const char *steps;
        size_t per_epoch, stop;
    } cases[] = {
        {200, GROUP_EACH, "0", 2 * 117, 2 * 53},
        {200, GROUP_JOINT, "0", 117, 53},
        {2000, GROUP_EACH, "0", 400, 400},
        {2000, GROUP_JOINT, "0", 1377, 593},
        {4000, GROUP_JOINT, "0", 2000, 1193},
        {2000, GROUP_EACH, "700", 700, 700},
        {2000, GROUP_EACH, "90000", 2 * 1377, 2 * 593},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t stop;
        const struct train_pace pace =
            pace_of(cases[i].rows, cases[i].group, cases[i].steps, &stop);
        assert_int_equal(pace.per_epoch, cases[i].per_epoch);
        assert_int_equal(stop, cases[i].stop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_are_capped_where_they_would_not_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
