/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/model/small.h"

#include "model/artifact.h"
#include "model/candidate.h"

static const struct rng_stream stream = {6, 3, 0};

static struct panel panel_of(double *z, size_t rows, size_t cols)
{
    static double mean[8], sd[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    return (struct panel){
        .rows = rows, .cols = cols, .width = 1, .z = z, .mean = mean, .sd = sd};
}

static void drift_goes_on_along_the_line(void **state)
{
    (void)state;
    double z[] = {NAN, 5, 100, -7, 11, NAN, NAN};
    const struct panel panel = panel_of(z, 7, 1);
    struct candidate_task task = {.panel = &panel, .P = 3, .season = 1, .tail = 7};
    const struct origin at = {7, 0};
    double y[3];
    drift_forecast(&task, &at, 1, y); /* from 5 at row 1 to 11 at row 4: 2 a row */
    for (int j = 0; j < 3; j++)
        assert_close(y[j], 17 + 2 * j, 1e-12);
    task.tail = 4; /* a slope seen for one row is not carried on for three */
    drift_forecast(&task, &at, 1, y);
    assert_true(y[0] == 11 && y[2] == 11);
    task.tail = 2;
    drift_forecast(&task, &at, 1, y);
    assert_true(isnan(y[0]) && isnan(y[2]));
}

static void profile_is_the_mean_of_the_last_cycles(void **state)
{
    (void)state;
    double z[] = {90, 91, 1, 2, 3, NAN, 5, NAN};
    const struct panel panel = panel_of(z, 8, 1);
    struct profile profile = {3, 1};
    struct candidate_task task = {
        .panel = &panel, .P = 5, .season = 2, .tail = 8, .profiles = &profile};
    const struct origin at = {8, 0};
    double y[5];
    profile_forecast(&task, &at, 1, y);
    /* Positions 0: 1, 3, 5; 1: 2 alone. */
    const double want[] = {3, 2, 3, 2, 3};
    for (int j = 0; j < 5; j++)
        assert_close(y[j], want[j], 1e-12);
    profile.cycles = 2; /* nobody has position 1: two seasons further back */
    profile_forecast(&task, &at, 1, y);
    assert_close(y[0], 4, 1e-12);
    assert_close(y[1], 2, 1e-12);
    task.season = 1; /* a cycle is one step: the mean of the last values */
    profile.cycles = 4;
    profile_forecast(&task, &at, 1, y);
    assert_close(y[4], 4, 1e-12);
}

static void profile_is_chosen_by_what_went_before(void **state)
{
    (void)state;
    enum { ROWS = 600, TO = 560, P = 8, WALK = 0, DAY = 1, WEEK = 2, GONE = 3, COLS };
    static double z[ROWS * COLS];
    for (size_t i = 0; i < ROWS; i++) {
        double *const row = z + i * COLS;
        const double noise = rng_normal(stream, i), day = sin((double)i * M_PI / 2);
        row[WALK] = (i ? row[WALK - COLS] : 0) + noise;
        row[DAY] = day + noise;
        row[WEEK] = i / 4 % 7 == 6 ? 0 : day + 0.1 * noise;
        row[GONE] = (double)NAN;
    }
    const struct panel panel = panel_of(z, ROWS, COLS);
    struct profile chosen[COLS + 1], again[COLS + 1];
    profile_choose(&panel, P, 4, TO, chosen);
    assert_int_equal(profile_reach(chosen[WALK], 4), 8); /* as short as there is */
    assert_true(chosen[DAY].cycles >= 14);
    assert_int_equal(chosen[WEEK].seasons, PROFILE_LONG);
    assert_memory_equal(&chosen[GONE], &profile_default, sizeof profile_default);

    for (size_t i = TO * COLS; i < ROWS * COLS; i++)
        z[i] = 1e6; /* what comes later changes nothing */
    profile_choose(&panel, P, 4, TO, again);
    assert_memory_equal(again, chosen, sizeof chosen);
    profile_choose(&panel, P, 4, P, again); /* too short to try anything */
    assert_memory_equal(&again[COLS], &profile_default, sizeof profile_default);
}

/* What each history does, forecasts of every candidate without training stay finite and
 * near what was seen, and are missing only where there was nothing at all. */
static void hard_histories_have_sensible_forecasts(void **state)
{
    (void)state;
    enum { ROWS = 64, P = 16 };
    enum { CONSTANT, MISSING, TWO, OUTLIER, SHIFT, TINY, HUGE_, LARGEST, CASES };
    for (int kind = 0; kind < CASES; kind++) {
        double z[ROWS], least = (double)INFINITY, most = (double)-INFINITY;
        for (int i = 0; i < ROWS; i++) {
            const double wave = sin(i * M_PI / 4);
            const double values[CASES] = {
                3,
                (double)NAN,
                i == ROWS - 2 || i == ROWS - 5 ? 4 + i : (double)NAN,
                i == 40 ? 1e9 : wave,
                wave + (i > 56 ? 50 : 0),
                1e-300 * (2 + wave),
                1e300 * (2 + wave),
                1.7e308 * (i % 2 ? 1 : -1),
            };
            z[i] = values[kind];
            least = fmin(least, z[i]);
            most = fmax(most, z[i]);
        }
        const struct panel panel = panel_of(z, ROWS, 1);
        const struct candidate_task task = {
            .panel = &panel, .P = P, .season = 8, .tail = candidate_tail(16, 8, P)};
        const struct origin at = {ROWS, 0};
        for (int c = 0; c < CANDIDATES; c++) {
            double y[P];
            if (candidates[c].trained)
                continue;
            candidates[c].forecast(&task, &at, 1, y);
            for (int j = 0; j < P; j++) {
                if (kind == MISSING) {
                    assert_true(isnan(y[j]));
                    continue;
                }
                /* In halves: the range of the largest is no number. */
                const double reach = 3 * (most / 2 - least / 2);
                assert_true(isfinite(y[j]));
                assert_true(y[j] / 2 <= most / 2 + reach);
                assert_true(y[j] / 2 >= least / 2 - reach);
            }
        }
    }
}

/* Medians of both series, from all of grid by the model, and by the loaded one from no
 * more than the tail it asks for: the same bytes. */
static void check_kept(const struct model *m, const struct grid *grid,
                       const char *candidate, double values[2][8])
{
    void *bytes;
    size_t len;
    struct err err = {0};
    assert_ok(model_save(m, &bytes, &len, &err), &err);
    struct model *const loaded = model_load(bytes, len, &err);
    assert_ok(loaded ? 0 : -1, &err);
    assert_memory_equal(loaded->profiles, m->profiles, 3 * sizeof *m->profiles);
    assert_memory_equal(loaded->contexts, m->contexts, 3);

    struct grid tail;
    const size_t rows = model_tail_rows(m), from = grid->rows - rows;
    assert_ok(grid_init(&tail, 0, grid->step_ms, rows, 2, &err), &err);
    for (size_t c = 0; c < 2; c++)
        grid_name(&tail, c, grid->names[c]);
    memcpy(tail.values, grid->values + from * 2, sizeof(double) * rows * 2);
    double again[2][8];
    const double median[] = {0.5};
    for (int k = 0; k < 2; k++) {
        const struct model *const model = k ? loaded : m;
        double(*const out)[8] = k ? again : values;
        struct forecaster_work *const work = forecaster_work_new(model, &err);
        struct model_answer answers[] = {{.values = out[0]}, {.values = out[1]}};
        assert_ok(
            model_forecast(model, work, k ? &tail : grid, 8, median, 1, answers, &err),
            &err);
        assert_string_equal(answers[0].candidate[3], candidate);
        forecaster_work_free(work);
    }
    assert_memory_equal(values, again, sizeof again);
    grid_fini(&tail);
    free(bytes);
    model_free(loaded);
}

/* A model keeps what was chosen, and reads as far back as it needs. */
static void a_profile_serves_and_is_kept(void **state)
{
    (void)state;
    struct grid grid = small_grid(500, 2, 0.5);
    struct model_spec spec = small_spec(GROUP_EACH);
    small_set(&spec, "epochs", "1");
    struct err err = {0};
    struct model *const m = model_train(&grid, &spec, NULL, &err);
    assert_ok(m ? 0 : -1, &err);
    assert_string_equal(model_report(m)->champions[0].candidate, "profile");
    for (size_t s = 0; s <= 2; s++)
        assert_true(profile_reach(m->profiles[s], m->season) <= model_tail_rows(m));
    assert_true(m->profiles[0].cycles * m->profiles[0].seasons > 4);

    double values[2][8];
    check_kept(m, &grid, "profile", values);
    double mean = 0; /* its answer is the mean of its cycles */
    const size_t cycle = 8 * m->profiles[0].seasons;
    for (size_t i = 1; i <= m->profiles[0].cycles; i++)
        mean += grid.values[(500 - i * cycle + 7) * 2] / m->profiles[0].cycles;
    assert_close(values[0][7], mean, 1e-12);
    grid_fini(&grid);
    model_free(m);
}

static void an_in_context_model_serves_and_is_kept(void **state)
{
    (void)state;
    struct grid grid = small_grid(800, 2, 0.05);
    for (size_t i = 0; i < 800; i++)
        for (size_t c = 0; c < 2; c++)
            grid.values[i * 2 + c] += 4 * sin((double)i * 2 * M_PI / 5.5);
    struct model_spec spec = small_spec(GROUP_EACH);
    spec.season = 8;
    small_set(&spec, "epochs", "1");
    struct err err = {0};
    struct model *const m = model_train(&grid, &spec, NULL, &err);
    assert_ok(m ? 0 : -1, &err);
    assert_string_equal(model_report(m)->champions[0].candidate, "in_context");
    double values[2][8];
    check_kept(m, &grid, "in_context", values);
    for (int j = 0; j < 8; j++) /* the waves go on */
        assert_close(values[0][j],
                     20 + sin((800 + j) * M_PI / 4) + 4 * sin((800 + j) * 2 * M_PI / 5.5),
                     0.8);
    grid_fini(&grid);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drift_goes_on_along_the_line),
        cmocka_unit_test(profile_is_the_mean_of_the_last_cycles),
        cmocka_unit_test(profile_is_chosen_by_what_went_before),
        cmocka_unit_test(hard_histories_have_sensible_forecasts),
        cmocka_unit_test(a_profile_serves_and_is_kept),
        cmocka_unit_test(an_in_context_model_serves_and_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
