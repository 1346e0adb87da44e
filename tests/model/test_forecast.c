/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/model/small.h"

#include <float.h>

#include "model/model.h"

enum { P = 8, QUANTILES = 5, ANSWER = P * QUANTILES };

static const double quantiles[QUANTILES] = {0.02, 0.1, 0.5, 0.9, 0.993};

static struct model *train(const struct grid *grid, const struct model_spec *spec)
{
    struct err err = {0};
    struct model *const m = model_train(grid, spec, NULL, &err);
    if (!m)
        fail_msg("%s", err.msg);
    return m;
}

struct answers {
    size_t count;
    struct model_answer *answer;
    double *values;
};

static struct answers answers_new(size_t count)
{
    struct answers a = {count, calloc(count, sizeof *a.answer),
                        calloc(count * ANSWER, sizeof *a.values)};
    for (size_t i = 0; i < count; i++)
        a.answer[i].values = a.values + i * ANSWER;
    return a;
}

static void answers_free(struct answers *a)
{
    free(a->answer);
    free(a->values);
}

static struct answers ask(const struct model *m, const struct grid *tail, size_t horizon)
{
    struct err err = {0};
    struct forecaster_work *const work = forecaster_work_new(m, &err);
    assert_non_null(work);
    struct answers a = answers_new(tail->cols);
    assert_ok(
        model_forecast(m, work, tail, horizon, quantiles, QUANTILES, a.answer, &err),
        &err);
    forecaster_work_free(work);
    return a;
}

static size_t served_by(const struct answers *a, const char *candidate)
{
    size_t n = 0;
    for (size_t i = 0; i < a->count; i++)
        for (int b = 0; b < MODEL_BUCKETS; b++)
            n += strcmp(a->answer[i].candidate[b], candidate) == 0;
    return n;
}

/* P4: over many models, series and bounds. */
static void quantiles_never_cross_and_bounds_never_break(void **state)
{
    (void)state;
    static const struct {
        double min, max;
        bool integer;
    } bounds[] = {{(double)-INFINITY, (double)INFINITY, false},
                  {20, 60, false},
                  {0.5, 62.5, true},
                  {30, 30, true},
                  {-1e300, 1e300, false}};
    for (size_t i = 0; i < 2 * sizeof bounds / sizeof *bounds; i++) {
        struct model_spec spec = waves_spec(i % 2 ? GROUP_JOINT : GROUP_EACH);
        spec.min = bounds[i / 2].min;
        spec.max = bounds[i / 2].max;
        spec.integer = bounds[i / 2].integer;
        char seed[8];
        snprintf(seed, sizeof seed, "%zu", i);
        small_set(&spec, "seed", seed);
        struct grid grid = small_waves(200, 5);
        for (size_t r = 0; r < 200; r++) {
            grid.values[r * 5 + 3] =
                r % 50 < 40 ? 0 : exp((double)(r % 13) * 50); /* wild */
            grid.values[r * 5 + 4] = 25;
        }
        struct model *const m = train(&grid, &spec);
        struct answers a = ask(m, &grid, P);
        for (size_t s = 0; s < 5; s++) {
            assert_true(a.answer[s].served);
            for (size_t j = 0; j < P; j++)
                for (size_t q = 0; q < QUANTILES; q++) {
                    const double x = a.answer[s].values[j * QUANTILES + q];
                    assert_true(isfinite(x) && x >= spec.min && x <= spec.max);
                    assert_true(q == 0 || x >= a.answer[s].values[j * QUANTILES + q - 1]);
                    assert_true(!spec.integer || x == floor(x));
                }
        }
        answers_free(&a);
        model_free(m);
        grid_fini(&grid);
    }
}

/* Columns from, from + 1, ... of grid, in that order or reversed. */
static struct grid some_columns(const struct grid *grid, size_t from, size_t count,
                                bool reversed)
{
    struct grid out;
    struct err err = {0};
    assert_ok(grid_init(&out, grid->start_ms, grid->step_ms, grid->rows, count, &err),
              &err);
    for (size_t c = 0; c < count; c++) {
        const size_t source = reversed ? from + count - 1 - c : from + c;
        grid_name(&out, c, grid->names[source]);
        for (size_t i = 0; i < grid->rows; i++)
            out.values[i * count + c] = grid->values[i * grid->cols + source];
    }
    return out;
}

/* P5: whatever else is in the request. */
static void an_answer_does_not_depend_on_the_others(void **state)
{
    (void)state;
    enum { COLS = 40 };
    struct grid grid = small_waves(200, COLS);
    const struct model_spec spec = waves_spec(GROUP_EACH);
    struct model *const m = train(&grid, &spec);
    struct answers all = ask(m, &grid, P);
    assert_true(served_by(&all, "frwkv") > 0);

    struct grid reversed = some_columns(&grid, 0, COLS, true);
    struct answers back = ask(m, &reversed, P);
    for (size_t s = 0; s < COLS; s++)
        assert_memory_equal(all.answer[s].values, back.answer[COLS - 1 - s].values,
                            ANSWER * sizeof(double));
    for (size_t s = 0; s < COLS; s += 7) {
        const size_t count = s % 2 && s + 7 <= COLS ? 7 : 1;
        struct grid few = some_columns(&grid, s, count, false);
        struct answers a = ask(m, &few, P);
        assert_memory_equal(a.values, all.answer[s].values,
                            count * ANSWER * sizeof(double));
        answers_free(&a);
        grid_fini(&few);
    }
    answers_free(&all);
    answers_free(&back);
    grid_fini(&reversed);
    model_free(m);
    grid_fini(&grid);
}

static void a_shorter_request_is_the_beginning(void **state)
{
    (void)state;
    enum { ROWS = 640 };
    struct grid grid = small_waves(ROWS, 3);
    for (int group = 0; group < 2; group++) {
        const struct model_spec spec = waves_spec((enum model_group)group);
        struct model *const m = train(&grid, &spec);
        struct answers whole = ask(m, &grid, P), part = ask(m, &grid, 3);
        assert_true(served_by(&whole, "frwkv") > 0);
        for (size_t s = 0; s < 3; s++)
            assert_memory_equal(whole.answer[s].values, part.answer[s].values,
                                3 * QUANTILES * sizeof(double));
        answers_free(&part);

        /* Nothing older than the tail the model asks for matters. */
        struct grid tail;
        struct err err = {0};
        assert_ok(grid_slice(&grid, ROWS - model_tail_rows(m), ROWS, &tail, &err), &err);
        struct answers a = ask(m, &tail, P);
        assert_memory_equal(a.values, whole.values, 3 * ANSWER * sizeof(double));
        answers_free(&a);
        answers_free(&whole);
        grid_fini(&tail);
        model_free(m);
    }
    grid_fini(&grid);
}

static void a_joint_model_matches_names_and_copes_with_strangers(void **state)
{
    (void)state;
    struct grid grid = small_waves(200, 4);
    struct grid known = some_columns(&grid, 0, 3, false);
    const struct model_spec spec = waves_spec(GROUP_JOINT);
    struct model *const m = train(&known, &spec);
    struct answers want = ask(m, &known, P);
    assert_true(served_by(&want, "frwkv") > 0);

    struct grid mixed = some_columns(&grid, 0, 4, true); /* s3 s2 s1 s0 */
    struct answers got = ask(m, &mixed, P);
    for (size_t s = 0; s < 3; s++)
        assert_memory_equal(want.answer[s].values, got.answer[3 - s].values,
                            ANSWER * sizeof(double));
    assert_true(got.answer[0].served); /* the stranger: by a simple candidate */
    for (int b = 0; b < MODEL_BUCKETS; b++)
        assert_string_not_equal(got.answer[0].candidate[b], "frwkv");
    const double *const v = got.answer[0].values;
    assert_true(v[0] < v[2] && v[2] < v[4]); /* with bands of its own scale */
    assert_true(v[4] - v[0] > 1 && v[4] - v[0] < 80);

    struct grid fewer = some_columns(&grid, 1, 2, false); /* s0 left */
    struct answers rest = ask(m, &fewer, P);
    assert_true(rest.answer[0].served && rest.answer[1].served);
    answers_free(&want);
    answers_free(&got);
    answers_free(&rest);
    grid_fini(&known);
    grid_fini(&mixed);
    grid_fini(&fewer);
    model_free(m);
    grid_fini(&grid);
}

static void gaps_are_told_and_the_network_steps_back(void **state)
{
    (void)state;
    struct grid grid = small_waves(200, 3);
    const struct model_spec spec = waves_spec(GROUP_EACH);
    struct model *const m = train(&grid, &spec);
    struct answers whole = ask(m, &grid, P);
    assert_true(served_by(&whole, "frwkv") > 0);
    assert_true(whole.answer[0].missing == 0);

    for (size_t i = 0; i < 200; i++) {
        if (i >= 190)
            grid.values[i * 3] = (double)NAN; /* 10 of the last 16: past max_missing */
        grid.values[i * 3 + 1] = i >= 198 ? grid.values[i * 3 + 1] : (double)NAN;
        grid.values[i * 3 + 2] = (double)NAN;
    }
    struct answers a = ask(m, &grid, P);
    assert_close(a.answer[0].missing, 10.0 / 16, 1e-15);
    assert_true(a.answer[0].served);
    for (int b = 0; b < MODEL_BUCKETS; b++)
        assert_string_not_equal(a.answer[0].candidate[b], "frwkv");
    assert_true(a.answer[1].served && isfinite(a.answer[1].values[0]));
    assert_false(a.answer[2].served);
    assert_non_null(strstr(a.answer[2].why, "no value in the last 32 steps"));
    answers_free(&whole);
    answers_free(&a);
    model_free(m);
    grid_fini(&grid);
}

static void a_single_row_is_enough_to_answer(void **state)
{
    (void)state;
    struct grid grid = small_waves(200, 2), row;
    const struct model_spec spec = waves_spec(GROUP_EACH);
    struct model *const m = train(&grid, &spec);
    struct err err = {0};
    assert_ok(grid_slice(&grid, 199, 200, &row, &err), &err);
    struct answers a = ask(m, &row, P);
    assert_true(a.answer[0].served && a.answer[1].served);
    assert_true(a.answer[0].values[2] == grid.values[199 * 2]);
    answers_free(&a);
    model_free(m);
    grid_fini(&row);
    grid_fini(&grid);
}

/* The median stays where it was judged; what is around it goes out or comes in, bucket by
 * bucket. */
/* The width of the 80 % band, a step ahead, of a stranger with so many values. */
static double width_of_stranger(const struct model *m, const double *values, size_t count,
                                double unit)
{
    enum { ROWS = 400 };
    struct grid tail;
    struct err err = {0};
    assert_ok(grid_init(&tail, 0, 3600000, ROWS, 1, &err), &err);
    grid_name(&tail, 0, "stranger");
    for (size_t i = 0; i < ROWS; i++)
        tail.values[i] =
            i < ROWS - count ? (double)NAN : unit * values[i - (ROWS - count)];
    struct answers a = ask(m, &tail, 1);
    assert_true(a.answer[0].served);
    const double width = a.values[3] - a.values[1];
    answers_free(&a);
    grid_fini(&tail);
    return width;
}

/* Of one value, or some that are alike, nobody knows how the series moves: it is taken to
 * move as the others do for their size, and bands are no narrower for its being new. */
static void a_newcomer_is_not_believed_to_stand_still(void **state)
{
    (void)state;
    enum { ROWS = 400, COLS = 6 };
    struct grid grid = small_grid(ROWS, COLS, 1.0);
    for (int group = 0; group < 2; group++) {
        const struct model_spec spec = small_spec((enum model_group)group);
        struct model *const m = train(&grid, &spec);
        double own[ROWS], still[ROWS];
        for (size_t i = 0; i < ROWS; i++) {
            own[i] = grid.values[i * COLS];
            still[i] = 20;
        }
        const double known = width_of_stranger(m, own, ROWS, 1);
        for (size_t count = 1; count <= 3; count++) {
            const double width = width_of_stranger(m, still, count, 1);
            assert_true(width > known / 2 && width < known * 2);
            assert_close(width_of_stranger(m, still, count, 1e9), 1e9 * width, 1e-3);
            assert_close(width_of_stranger(m, still, count, -1e-9), 1e-9 * width, 1e-18);
        }
        /* One that has stood still for long is believed. */
        assert_true(width_of_stranger(m, still, 100, 1) < 1e-9);
        /* One that stands at nothing moves as much as the others. */
        assert_true(width_of_stranger(m, still, 1, 0) > known / 2);
        model_free(m);
    }
    grid_fini(&grid);
}

static void bands_are_stretched_around_the_median(void **state)
{
    (void)state;
    static const struct band_stretch wide = {.below = {2, 3, 0.5F, 1},
                                             .above = {1, 4, 10, 0.25F}};
    struct grid grid = small_waves(200, 2);
    const struct model_spec spec = waves_spec(GROUP_EACH);
    struct model *const m = train(&grid, &spec);
    struct err err = {0};
    struct forecaster_work *const work = forecaster_work_new(m, &err);
    struct answers plain = ask(m, &grid, P), wider = answers_new(2);
    wider.answer[1].stretch = &wide;
    assert_ok(model_forecast(m, work, &grid, P, quantiles, QUANTILES, wider.answer, &err),
              &err);
    for (size_t j = 0; j < P; j++) {
        const double *const a = plain.answer[1].values + j * QUANTILES,
                            *const b = wider.answer[1].values + j * QUANTILES;
        const int bucket = j < 1 ? 0 : j < 2 ? 1 : j < 4 ? 2 : 3;
        for (int q = 0; q < QUANTILES; q++) {
            const float factor = q < 2 ? wide.below[bucket] : wide.above[bucket];
            assert_close(b[q] - b[2], (double)factor * (a[q] - a[2]), 1e-9);
            assert_true(plain.answer[0].values[j * QUANTILES + (size_t)q] ==
                        wider.answer[0].values[j * QUANTILES + (size_t)q]);
        }
        assert_true(a[2] == b[2]);
    }
    answers_free(&plain);
    answers_free(&wider);
    forecaster_work_free(work);
    model_free(m);
    grid_fini(&grid);
}

static void bad_requests_are_refused(void **state)
{
    (void)state;
    struct grid grid = small_grid(100, 1, 1.0);
    const struct model_spec spec = small_spec(GROUP_EACH);
    struct model *const m = train(&grid, &spec);
    struct err err = {0};
    struct forecaster_work *const work = forecaster_work_new(m, &err);
    struct answers a = answers_new(1);
    struct model_answer *const out = a.answer;
    assert_err(model_forecast(m, work, &grid, 0, quantiles, 5, out, &err), &err,
               ERR_INVALID, "horizon: must be 1..8, got 0");
    assert_err(model_forecast(m, work, &grid, 9, quantiles, 5, out, &err), &err,
               ERR_INVALID, "got 9");
    assert_err(model_forecast(m, work, &grid, 8, quantiles, 0, out, &err), &err,
               ERR_INVALID, "quantiles");
    static const double bad[][2] = {{0.5, 0.5}, {0.6, 0.5}, {0, 0.5}, {0.5, 1}};
    for (int i = 0; i < 4; i++)
        assert_err(model_forecast(m, work, &grid, 8, bad[i], 2, out, &err), &err,
                   ERR_INVALID, "quantiles: must ascend");
    grid.step_ms = 60000;
    assert_err(model_forecast(m, work, &grid, 8, quantiles, 5, out, &err), &err,
               ERR_INVALID, "step_ms");
    answers_free(&a);
    forecaster_work_free(work);
    model_free(m);
    grid_fini(&grid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_never_cross_and_bounds_never_break),
        cmocka_unit_test(an_answer_does_not_depend_on_the_others),
        cmocka_unit_test(a_shorter_request_is_the_beginning),
        cmocka_unit_test(a_joint_model_matches_names_and_copes_with_strangers),
        cmocka_unit_test(gaps_are_told_and_the_network_steps_back),
        cmocka_unit_test(a_single_row_is_enough_to_answer),
        cmocka_unit_test(a_newcomer_is_not_believed_to_stand_still),
        cmocka_unit_test(bands_are_stretched_around_the_median),
        cmocka_unit_test(bad_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
