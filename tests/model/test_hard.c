/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Histories that break averages: a fleet with all of them is trained, kept and served. */
#include "tests/model/small.h"

#include "model/artifact.h"
#include "model/spread.h"

enum { ROWS = 240, WAVES_ROWS = 400, P = 8, QUANTILES = 3 };
enum kind {
    WELL,
    LEARNT,
    CONSTANT,
    MISSING,
    TWO,
    OUTLIER,
    SHIFT,
    TINY,
    HUGE_,
    LARGEST,
    KINDS
};

static const double quantiles[QUANTILES] = {0.1, 0.5, 0.9};

static double value(enum kind kind, size_t row)
{
    const double wave = sin((double)row * M_PI / 4);
    switch (kind) {
    case WELL:
        return 20 + wave;
    case LEARNT: /* as small_waves(): the network serves it */
        return 20 + sin((double)row * 2 * M_PI / 5.5) + (row * 7 % 31 == 0 ? 10 : 0);
    case CONSTANT:
        return 3;
    case TWO:
        return row == ROWS - 2 || row == ROWS - 5 ? 4 + wave : (double)NAN;
    case OUTLIER:
        return row == 100 ? 1e9 : wave;
    case SHIFT:
        return wave + (row >= ROWS - 6 ? 50 : 0);
    case TINY:
        return 1e-300 * (2 + wave);
    case HUGE_:
        return 1e300 * (2 + wave);
    case LARGEST:
        return 1.7e308 * (row % 2 ? 1 : -1);
    default:
        return (double)NAN;
    }
}

/* Two of each kind, the second with noise of a hundredth. */
static struct grid fleet(void)
{
    const struct rng_stream stream = {23, 4, 0};
    struct grid grid;
    struct err err = {0};
    assert_ok(grid_init(&grid, 0, 3600000, ROWS, 2 * KINDS, &err), &err);
    for (size_t c = 0; c < grid.cols; c++) {
        char name[32];
        snprintf(name, sizeof name, "s%zu", c);
        grid_name(&grid, c, name);
        for (size_t i = 0; i < ROWS; i++)
            grid.values[i * grid.cols + c] =
                value((enum kind)(c / 2), i) *
                (c % 2 ? 1 - 0.01 * rng_uniform(stream, i * 100 + c) : 1);
    }
    return grid;
}

/* Half the range of what was seen, in halves as the range of the largest is no number. */
static void range_of(const struct grid *grid, size_t col, double *middle, double *half)
{
    double least = (double)INFINITY, most = (double)-INFINITY;
    for (size_t i = 0; i < grid->rows; i++) {
        const double x = grid->values[i * grid->cols + col];
        least = fmin(least, x); /* the number of the two */
        most = fmax(most, x);
    }
    *middle = most / 2 + least / 2;
    *half = most / 2 - least / 2;
}

static void check_sensible(const struct grid *grid, size_t col,
                           const struct model_answer *answer)
{
    if (col / 2 == MISSING) {
        assert_false(answer->served);
        assert_non_null(strstr(answer->why, "no value"));
        return;
    }
    assert_true(answer->served);
    double middle, half;
    range_of(grid, col, &middle, &half);
    for (size_t i = 0; i < P * QUANTILES; i++) {
        const double x = answer->values[i];
        assert_true(isfinite(x));
        assert_true(i % QUANTILES == 0 || x >= answer->values[i - 1]);
        assert_true(fabs(x / 4 - middle / 4) <= 2 * half);
        if (col / 2 == OUTLIER && i % QUANTILES == 1)
            assert_true(fabs(x) < 10);
        if (col / 2 == SHIFT) /* of 49.5 to 51 at most */
            assert_true(fabs(x - 50) < 5);
    }
    /* A wave of any size has bands of its size: neither nothing nor everything. */
    if (col == 2 * TINY + 1 || col == 2 * HUGE_ + 1)
        for (size_t j = 0; j < P; j++) {
            const double *const x = answer->values + j * QUANTILES;
            assert_true(x[2] - x[0] > 0 && x[2] - x[0] < 2 * half);
        }
}

static void ask(const struct model *m, const struct grid *grid, double *values,
                struct model_answer *answers)
{
    struct err err = {0};
    struct forecaster_work *const work = forecaster_work_new(m, &err);
    assert_non_null(work);
    for (size_t c = 0; c < grid->cols; c++)
        answers[c] = (struct model_answer){.values = values + c * P * QUANTILES};
    assert_ok(model_forecast(m, work, grid, P, quantiles, QUANTILES, answers, &err),
              &err);
    forecaster_work_free(work);
}

/* Saved as `from`, read as `to`. */
static struct model *copy_of(const struct model *m, const char *from, const char *to)
{
    struct err err = {0};
    void *bytes = NULL;
    size_t len = 0;
    assert_ok(model_save(m, &bytes, &len, &err), &err);
    char *const at = memmem(bytes, len, from, strlen(from));
    assert_non_null(at);
    memcpy(at, to, strlen(to));
    struct model *const copy = model_load(bytes, len, &err);
    assert_ok(copy ? 0 : -1, &err);
    free(bytes);
    return copy;
}

/* A model that was kept and read says the same. */
static void check_kept(const struct model *m, const struct grid *grid,
                       const double *values)
{
    struct model_answer answers[2 * KINDS];
    static double again[2 * KINDS * P * QUANTILES];
    struct model *const kept = copy_of(m, MODEL_FORMAT, MODEL_FORMAT);
    assert_true(grid->cols <= 2 * KINDS);
    ask(kept, grid, again, answers);
    assert_memory_equal(again, values, grid->cols * P * QUANTILES * sizeof *values);
    model_free(kept);
}

static void check_fleet(enum model_group group)
{
    struct grid grid = fleet();
    struct model_spec spec = small_spec(group);
    small_set(&spec, "epochs", "2");
    struct err err = {0};
    struct model *const m = model_train(&grid, &spec, NULL, &err);
    assert_ok(m ? 0 : -1, &err);
    static double values[2 * KINDS * P * QUANTILES];
    struct model_answer answers[2 * KINDS];
    ask(m, &grid, values, answers);
    for (size_t c = 0; c < grid.cols; c++)
        check_sensible(&grid, c, &answers[c]);
    check_kept(m, &grid, values);
    model_free(m);
    grid_fini(&grid);
}

static void each_by_itself(void **state)
{
    (void)state;
    check_fleet(GROUP_EACH);
}

static void all_together(void **state)
{
    (void)state;
    check_fleet(GROUP_JOINT);
}

/* Wherever it stands, the model can be kept, its neighbour is well and so is its own
 * series. */
static void one_enormous_value_spoils_nothing(void **state)
{
    (void)state;
    static const double sizes[] = {1e40, -1e160, 1e300};
    static const size_t places[] = {100, 220, ROWS - 2};
    double values[2 * P * QUANTILES];
    struct model_answer answers[2];
    for (size_t i = 0; i < 2 * 3 * 3; i++) {
        struct grid grid = small_grid(ROWS, 2, 0.1);
        grid.values[places[i % 3] * 2] = sizes[i / 3 % 3];
        struct model_spec spec = small_spec(i / 9 ? GROUP_JOINT : GROUP_EACH);
        small_set(&spec, "epochs", "1");
        struct err err = {0};
        struct model *const m = model_train(&grid, &spec, NULL, &err);
        assert_ok(m ? 0 : -1, &err);
        ask(m, &grid, values, answers);
        for (size_t j = 1; j < 2 * P * QUANTILES; j += QUANTILES)
            if (j > P * QUANTILES)
                assert_true(fabs(values[j] - 40) < 5);
            else
                assert_true(fabs(values[j] - 20) < 5);
        check_kept(m, &grid, values);
        model_free(m);
        grid_fini(&grid);
    }
}

/* Rhythms with noise, or waves that the network serves; one value of the first is another. */
static void slip(bool waves, enum model_group group, size_t ago, double value,
                 double *values, struct model_answer *answers)
{
    struct grid grid = waves ? small_waves(WAVES_ROWS, 2) : small_grid(ROWS, 2, 0.3);
    if (ago > 0)
        grid.values[(grid.rows - ago) * 2] = value;
    const struct model_spec spec = waves ? waves_spec(group) : small_spec(group);
    struct err err = {0};
    struct model *const m = model_train(&grid, &spec, NULL, &err);
    assert_ok(m ? 0 : -1, &err);
    ask(m, &grid, values, answers);
    model_free(m);
    grid_fini(&grid);
}

/* The newest values of the first are 30 higher: whoever serves says so, by the model that
 * saw it as by the one from before, which does not believe the first; the other does not
 * notice. */
static void a_level_that_moved_is_followed(void **state)
{
    (void)state;
    static const size_t since[] = {4, 8, 12, 23};
    double values[2 * P * QUANTILES], before[2 * P * QUANTILES];
    struct model_answer answers[2];
    for (int kind = 0; kind < 4; kind++) {
        struct grid grid =
            kind / 2 ? small_waves(WAVES_ROWS, 2) : small_grid(ROWS, 2, 0.3);
        const enum model_group group = (enum model_group)(kind % 2);
        const struct model_spec spec = kind / 2 ? waves_spec(group) : small_spec(group);
        struct err err = {0};
        struct model *const m = model_train(&grid, &spec, NULL, &err);
        assert_ok(m ? 0 : -1, &err);
        ask(m, &grid, before, answers);
        assert_string_equal(answers[0].candidate[3], kind / 2 ? "frwkv" : "profile");
        for (size_t i = 0, moved = 0; i < sizeof since / sizeof *since; i++) {
            for (; moved < since[i]; moved++)
                grid.values[(grid.rows - 1 - moved) * 2] += 30;
            ask(m, &grid, values, answers);
            for (size_t j = 1; j < P * QUANTILES; j += QUANTILES)
                assert_true(fabs(values[j] - before[j] - 30) < 2);
            if (group == GROUP_EACH)
                assert_memory_equal(values + P * QUANTILES, before + P * QUANTILES,
                                    P * QUANTILES * sizeof *values);
            struct model *const saw = model_train(&grid, &spec, NULL, &err);
            assert_ok(saw ? 0 : -1, &err);
            ask(saw, &grid, values, answers);
            for (size_t j = 1; j < P * QUANTILES; j += QUANTILES)
                assert_true(fabs(values[j] - before[j] - 30) < 5);
            model_free(saw);
        }
        model_free(m);
        grid_fini(&grid);
    }
}

/* One slip, wherever it stands, changes who serves, what is forecast and how wide the bands
 * are no more than one missing value would. */
static void a_slip_is_not_believed(void **state)
{
    (void)state;
    static const size_t ago[] = {ROWS, 210, 120, 40, 14, 3, 1};
    double clean[2 * P * QUANTILES], values[2 * P * QUANTILES];
    struct model_answer answers[2];
    for (int kind = 0; kind < 4; kind++) {
        const bool waves = kind / 2;
        const enum model_group group = (enum model_group)(kind % 2);
        slip(waves, group, 0, 0, clean, answers);
        char server[sizeof answers->candidate[0]];
        memcpy(server, answers[0].candidate[3], sizeof server);
        assert_string_equal(server, waves ? "frwkv" : "profile");
        for (size_t i = 0; i < 7; i++) {
            slip(waves, group, ago[i], i % 2 ? 1e9 : -7e5, values, answers);
            assert_string_equal(answers[0].candidate[3], server);
            for (size_t j = 0; j < P * QUANTILES; j += QUANTILES) {
                const double *const x = values + j, *const y = clean + j;
                const double width = (x[2] - x[0]) / (y[2] - y[0]);
                assert_true(fabs(x[1] - y[1]) < (waves ? 0.75 : 0.1));
                assert_true(width > 0.8 && width < 1.25);
            }
        }
    }
}

/* The columns of a kind and those of another after them; of the same kind, one alone. */
static struct grid some_of(const struct grid *grid, enum kind kind, enum kind beside)
{
    const size_t kinds[] = {kind, beside}, cols = kind == beside ? 1 : 4;
    struct grid out;
    struct err err = {0};
    assert_ok(grid_init(&out, grid->start_ms, grid->step_ms, ROWS, cols, &err), &err);
    for (size_t c = 0; c < cols; c++) {
        const size_t from = 2 * kinds[c / 2] + c % 2;
        grid_name(&out, c, grid->names[from]);
        for (size_t i = 0; i < ROWS; i++)
            out.values[i * cols + c] = grid->values[i * grid->cols + from];
    }
    return out;
}

/* P5: alone, beside any one kind of the hard ones, or beside all of them. */
static void a_healthy_series_does_not_notice(void **state)
{
    (void)state;
    enum { TWO_OF_THEM = 2 * P * QUANTILES };
    struct grid grid = fleet();
    const struct model_spec spec = waves_spec(GROUP_EACH);
    struct err err = {0};
    struct model *const m = model_train(&grid, &spec, NULL, &err);
    assert_ok(m ? 0 : -1, &err);
    static double all[2 * KINDS * P * QUANTILES], few[4 * P * QUANTILES];
    struct model_answer answers[2 * KINDS];
    ask(m, &grid, all, answers);
    assert_string_equal(answers[2 * LEARNT].candidate[2], "frwkv");
    for (size_t well = WELL; well <= LEARNT; well++)
        for (size_t beside = WELL; beside < KINDS; beside++) {
            struct grid some = some_of(&grid, (enum kind)well, (enum kind)beside);
            ask(m, &some, few, answers);
            assert_memory_equal(few, all + well * TWO_OF_THEM,
                                (beside == well ? P * QUANTILES : TWO_OF_THEM) *
                                    sizeof *few);
            if (beside >= CONSTANT && beside != MISSING) /* nor do the hard ones */
                assert_memory_equal(few + TWO_OF_THEM, all + beside * TWO_OF_THEM,
                                    TWO_OF_THEM * sizeof *few);
            grid_fini(&some);
        }
    model_free(m);
    grid_fini(&grid);
}

/* What has no limits of what is believed, as before there were any, believes all. */
static void models_without_limits_are_read(void **state)
{
    (void)state;
    struct grid grid = small_grid(ROWS, 2, 0.3);
    const struct model_spec spec = small_spec(GROUP_EACH);
    struct err err = {0};
    struct model *const m = model_train(&grid, &spec, NULL, &err);
    assert_ok(m ? 0 : -1, &err);
    struct model *const older = copy_of(m, "\"leap\"", "\"pale\"");
    double values[2 * P * QUANTILES], clean[2 * P * QUANTILES];
    struct model_answer answers[2];
    ask(m, &grid, clean, answers);
    ask(older, &grid, values, answers);
    assert_memory_equal(values, clean, sizeof clean);
    grid.values[(ROWS - 3) * 2] = 1e9;
    ask(m, &grid, values, answers);
    assert_true(fabs(values[5 * QUANTILES + 1] - clean[5 * QUANTILES + 1]) < 1);
    ask(older, &grid, values, answers);
    assert_true(fabs(values[5 * QUANTILES + 1] - clean[5 * QUANTILES + 1]) > 1e6);
    model_free(older);
    model_free(m);
    grid_fini(&grid);
}

/* Where offsets were in the data's units they are divided by the series' deviations. */
static void models_of_format_2_are_read(void **state)
{
    (void)state;
    struct grid grid = small_grid(200, 3, 0.3);
    const struct model_spec spec = small_spec(GROUP_EACH);
    struct err err = {0};
    struct model *const m = model_train(&grid, &spec, NULL, &err);
    assert_ok(m ? 0 : -1, &err);
    struct model *const older = copy_of(m, MODEL_FORMAT, MODEL_FORMAT_2);
    size_t compared = 0;
    for (int c = 0; c < CANDIDATES; c++) {
        const size_t row = m->bands[c].offset ? m->bands[c].knots * BANDS_LEVELS : 0;
        for (size_t i = 0; i < 4 * row; i++, compared++) {
            const double unit = i / row < 3 ? m->sd[i / row] : 1;
            assert_close((double)older->bands[c].offset[i] * unit,
                         (double)m->bands[c].offset[i], 1e-6);
        }
    }
    assert_true(compared > 0);
    model_free(older);
    model_free(m);
    grid_fini(&grid);
}

/* Before bands followed the spread of late they did not, and do not when saved again. */
static void models_of_format_3_are_read(void **state)
{
    (void)state;
    struct grid grid = small_grid(400, 3, 0.3);
    for (size_t row = 200; row < 400; row++) /* no leap that is not believed */
        grid.values[row * 3] *= row < 220 ? 1 - 0.9 * (double)(row - 200) / 20 : 0.1;
    const struct model_spec spec = small_spec(GROUP_EACH);
    struct err err = {0};
    struct model *const m = model_train(&grid, &spec, NULL, &err);
    assert_ok(m ? 0 : -1, &err);
    struct model *const older = copy_of(m, MODEL_FORMAT, MODEL_FORMAT_3);
    struct model *const again = copy_of(older, MODEL_FORMAT_3, MODEL_FORMAT_3);
    static double new_values[3 * P * QUANTILES], values[2][3 * P * QUANTILES];
    struct model_answer answers[3];
    ask(m, &grid, new_values, answers);
    ask(older, &grid, values[0], answers);
    ask(again, &grid, values[1], answers);
    assert_memory_equal(values[0], values[1], sizeof values[0]);
    for (size_t s = 0; s < 3; s++) {
        const size_t rows = m->spread_rows < 400 ? m->spread_rows : 400;
        const double spread =
            spread_of(grid.values + (400 - rows) * 3 + s, rows, 3, m->sd[s]);
        for (size_t i = s * P * QUANTILES; i < (s + 1) * P * QUANTILES; i++) {
            const double middle = new_values[i - i % QUANTILES + QUANTILES / 2];
            assert_close(new_values[i] - middle, spread * (values[0][i] - middle), 1e-6);
        }
    }
    model_free(again);
    model_free(older);
    model_free(m);
    grid_fini(&grid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_by_itself),
        cmocka_unit_test(all_together),
        cmocka_unit_test(one_enormous_value_spoils_nothing),
        cmocka_unit_test(a_level_that_moved_is_followed),
        cmocka_unit_test(a_slip_is_not_believed),
        cmocka_unit_test(a_healthy_series_does_not_notice),
        cmocka_unit_test(models_without_limits_are_read),
        cmocka_unit_test(models_of_format_2_are_read),
        cmocka_unit_test(models_of_format_3_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
