/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/effect.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/cut.h"
#include "model/fit.h"
#include "tests/model/small.h"

enum { ROWS = 800, COLS = 4, P = 8, AHEAD = 32 };

/* How many of the answers' medians are wanted below. */
static const double median[] = {0.5};

/* A load in blocks of a few steps, drawn. */
static void draw_load(double *load, size_t rows)
{
    const struct rng_stream stream = {23, 7, 0};
    for (size_t i = 0; i < rows; i++)
        load[i] =
            rng_uniform(stream, i / 5) < 0.3 ? 1 + rng_uniform(stream, 1000 + i / 5) : 0;
}

/* s0 rises with the load, s1 falls, s2 does not care, s3 rises in the first half of the
 * season of 8 steps alone. */
static struct grid loaded_grid(const double *load)
{
    struct grid grid = small_grid(ROWS, COLS, 0.1);
    for (size_t i = 0; i < ROWS; i++) {
        double *const row = grid.values + i * COLS;
        row[0] += 3 * load[i];
        row[1] -= 2 * load[i];
        row[3] += i % 8 < 4 ? 6 * load[i] : 0;
    }
    return grid;
}

static void always_known(struct grid *grid, const double *load)
{
    struct err err = {0};
    grid->covariates = covariates_new(grid, AHEAD);
    assert_ok(covariates_add_always(grid->covariates, "load", "load", load, &err), &err);
}

/* Every value becomes known when its step has passed. */
static void known_too_late(struct grid *grid, const double *load)
{
    struct err err = {0};
    struct covariate_statement list[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        list[i] = (struct covariate_statement){.from_ms = grid_time_ms(grid, i),
                                               .to_ms = grid_time_ms(grid, i + 1),
                                               .known_ms = grid_time_ms(grid, i + 1),
                                               .otherwise = load[i]};
    grid->covariates = covariates_new(grid, AHEAD);
    assert_ok(covariates_add(grid->covariates, "load", "load", list, ROWS, &err), &err);
}

static struct model_spec season_spec(void)
{
    struct model_spec spec = small_spec(GROUP_EACH);
    spec.season = 8;
    return spec;
}

static struct model *train(const struct grid *grid, const struct model_spec *spec,
                           size_t threads)
{
    struct err err = {0};
    const struct model_hooks hooks = {.threads = threads};
    struct model *const m = model_train(grid, spec, &hooks, &err);
    if (!m)
        fail_msg("%s", err.msg);
    return m;
}

/* ---- finding ----------------------------------------------------------------------- */

struct found {
    struct panel panel, less;
    struct effects effects;
    struct effect_view view;
};

static void find(struct found *f, const struct grid *grid, enum covariate_gap gap)
{
    struct err err = {0};
    struct model_spec spec = season_spec();
    spec.gap = gap;
    assert_ok(panel_init(&f->panel, grid, GROUP_EACH, ROWS, &err), &err);
    assert_ok(effects_begin(&f->effects, &f->view, &f->less, grid, &f->panel, &spec, 8,
                            ROWS, &err),
              &err);
}

static void found_fini(struct found *f)
{
    effect_less_fini(&f->less, &f->panel);
    effect_view_fini(&f->view);
    effects_fini(&f->effects);
    panel_fini(&f->panel);
}

/* The normal equations, written out: of every feature in use the products with what is
 * left of the differences are what the ridge asks for. */
static void check_equations(const struct found *f, const double *load, size_t series,
                            size_t waves)
{
    const double *const beta = f->effects.beta + series * EFFECT_WAVES;
    for (size_t a = 0; a < waves; a++) {
        double products = 0, square = 0, size = 0;
        for (size_t i = 8; i < ROWS; i++) {
            double left =
                f->panel.z[i * COLS + series] - f->panel.z[(i - 8) * COLS + series];
            double x = 0;
            for (size_t h = 0; h < waves; h++) {
                const double angle = 2 * M_PI * (double)((h + 1) / 2 * (i % 8)) / 8;
                const double wave = h == 0 ? 1 : h % 2 ? cos(angle) : sin(angle);
                const double d = (load[i] - load[i - 8]) * wave;
                left -= beta[h] * d;
                x = h == a ? d : x;
            }
            products += x * left;
            square += x * x;
            size += fabs(x * left);
        }
        assert_close(products / size, 0.01 * square * beta[a] / size, 1e-9);
    }
}

static void each_series_has_its_own(void **state)
{
    (void)state;
    double load[ROWS + AHEAD];
    draw_load(load, ROWS + AHEAD);
    struct grid grid = loaded_grid(load);
    always_known(&grid, load);
    struct found f;
    find(&f, &grid, GAP_ERROR);
    const unsigned char *const use = f.effects.use;
    assert_int_equal(use[0], EFFECT_PLAIN);
    assert_int_equal(use[1], EFFECT_PLAIN);
    assert_int_equal(use[2], EFFECT_UNUSED);
    assert_int_equal(use[3], EFFECT_CROSSED);
    assert_close(f.effects.known[0], 1, 0);
    assert_close(f.effects.beta[0] * f.panel.sd[0], 3, 0.05);
    assert_close(f.effects.beta[EFFECT_WAVES] * f.panel.sd[1], -2, 0.05);
    check_equations(&f, load, 0, 1);
    check_equations(&f, load, 1, 1);
    check_equations(&f, load, 3, EFFECT_WAVES);
    /* what is left of s0 is what it would have been */
    struct grid calm = small_grid(ROWS, COLS, 0.1);
    for (size_t i = 0; i < ROWS; i++) {
        assert_close(f.less.z[i * COLS] * f.panel.sd[0] + f.panel.mean[0],
                     calm.values[i * COLS], 0.01);
        assert_true(f.less.z[i * COLS + 2] == f.panel.z[i * COLS + 2]);
    }
    grid_fini(&calm);
    found_fini(&f);
    grid_fini(&grid);
}

static void what_comes_too_late_is_never_used(void **state)
{
    (void)state;
    double load[ROWS + AHEAD];
    draw_load(load, ROWS + AHEAD);
    for (int gap = GAP_ERROR; gap <= GAP_HOLD; gap++) {
        struct grid grid = loaded_grid(load);
        known_too_late(&grid, load);
        struct found f;
        find(&f, &grid, (enum covariate_gap)gap);
        for (size_t s = 0; s < COLS; s++)
            assert_int_equal(effects_mask(&f.effects, s), 0);
        if (gap == GAP_ERROR)
            assert_close(f.effects.known[0], 0, 0);
        found_fini(&f);
        grid_fini(&grid);
    }
}

static void one_wild_value_spoils_nothing(void **state)
{
    (void)state;
    double load[ROWS + AHEAD];
    draw_load(load, ROWS + AHEAD);
    for (size_t at = 100; at < ROWS; at += 600) { /* in either half */
        struct grid grid = loaded_grid(load);
        always_known(&grid, load);
        grid.values[at * COLS] = 1e300;
        for (size_t i = 0; i < ROWS; i += 3)
            grid.values[i * COLS + 1] = NAN;
        struct found f;
        find(&f, &grid, GAP_ERROR);
        assert_int_equal(f.effects.use[0], EFFECT_UNUSED);
        assert_close(f.effects.beta[EFFECT_WAVES] * f.panel.sd[1], -2, 0.1);
        assert_int_equal(f.effects.use[3], EFFECT_CROSSED);
        found_fini(&f);
        grid_fini(&grid);
    }
}

/* ---- in models --------------------------------------------------------------------- */

static double mae(const struct model *m, const char *candidate)
{
    const struct model_report *const r = model_report(m);
    for (size_t i = 0; i < r->figure_count; i++)
        if (r->figures[i].bucket == -1 && strcmp(r->figures[i].candidate, candidate) == 0)
            return r->figures[i].mae;
    return (double)NAN;
}

/* P3: a driver helps when it is known in advance, and not at all when it is not. */
static void what_is_known_in_advance_helps(void **state)
{
    (void)state;
    double load[ROWS + AHEAD];
    draw_load(load, ROWS + AHEAD);
    const struct model_spec spec = season_spec();
    struct grid grid = loaded_grid(load), late = loaded_grid(load);
    struct model *const without = train(&grid, &spec, 1);
    always_known(&grid, load);
    known_too_late(&late, load);
    struct model *const with = train(&grid, &spec, 1);
    struct model *const too_late = train(&late, &spec, 1);
    static const char *const better[] = {"profile", "in_context", "frwkv", "champion"};
    for (size_t i = 0; i < sizeof better / sizeof *better; i++) {
        assert_true(mae(with, better[i]) < 0.7 * mae(without, better[i]));
        assert_close(mae(too_late, better[i]), mae(without, better[i]), 0);
    }
    assert_close(mae(with, "seasonal_naive"), mae(without, "seasonal_naive"), 0);
    const struct model_report *const r = model_report(with);
    assert_int_equal(r->covariate_count, 1);
    assert_string_equal(r->covariates[0].name, "load");
    assert_int_equal(r->covariates[0].series, 3);
    assert_int_equal(model_report(too_late)->covariates[0].series, 0);
    model_free(without);
    model_free(with);
    model_free(too_late);
    grid_fini(&grid);
    grid_fini(&late);
}

static void answer(const struct model *m, const struct grid *tail, size_t horizon,
                   struct model_answer *answers, double values[COLS][P])
{
    struct err err = {0};
    struct forecaster_work *const work = forecaster_work_new(m, &err);
    assert_non_null(work);
    for (size_t s = 0; s < tail->cols; s++)
        answers[s].values = values[s];
    assert_ok(model_forecast(m, work, tail, horizon, median, 1, answers, &err), &err);
    forecaster_work_free(work);
}

/* The load as it was, but from the end of the grid on, where it is `wish`. */
static void suppose(struct grid *grid, const double *load, double wish)
{
    double other[ROWS + AHEAD];
    struct err err = {0};
    for (size_t i = 0; i < ROWS + AHEAD; i++)
        other[i] = i < ROWS ? load[i] : wish;
    covariates_free(grid->covariates);
    grid->covariates = covariates_new(grid, AHEAD);
    assert_ok(covariates_add_always(grid->covariates, "load", "load", other, &err), &err);
}

static void a_forecast_rests_on_what_is_supposed(void **state)
{
    (void)state;
    double load[ROWS + AHEAD];
    draw_load(load, ROWS + AHEAD);
    for (int group = 0; group < 2; group++) {
        struct model_spec spec = season_spec();
        spec.group = (enum model_group)group;
        struct grid grid = loaded_grid(load);
        always_known(&grid, load);
        struct model *const m = train(&grid, &spec, 2);
        struct model_answer calm[COLS] = {0}, busy[COLS] = {0};
        double calm_values[COLS][P], busy_values[COLS][P];
        suppose(&grid, load, 0);
        answer(m, &grid, P, calm, calm_values);
        suppose(&grid, load, 2);
        answer(m, &grid, P, busy, busy_values);
        for (size_t s = 0; s < COLS; s++) {
            assert_true(calm[s].served && busy[s].served);
            assert_int_equal(busy[s].covariates, s == 2 ? 0 : 1);
        }
        for (size_t j = 0; j < P; j++) {
            assert_close(busy_values[0][j] - calm_values[0][j], 6, 0.05);
            assert_close(busy_values[1][j] - calm_values[1][j], -4, 0.05);
            assert_close(busy_values[2][j], calm_values[2][j], 0);
        }
        /* 800 is a multiple of 8: the targets begin where the load counts for s3 */
        assert_true(busy_values[3][1] - calm_values[3][1] > 9);
        assert_true(fabs(busy_values[3][5] - calm_values[3][5]) < 3);
        model_free(m);
        grid_fini(&grid);
    }
}

static void what_is_missing_is_said(void **state)
{
    (void)state;
    double load[ROWS + AHEAD];
    draw_load(load, ROWS + AHEAD);
    for (int gap = GAP_ERROR; gap <= GAP_ZERO; gap++) {
        struct model_spec spec = season_spec();
        struct err err = {0};
        spec.gap = (enum covariate_gap)gap;
        struct grid grid = loaded_grid(load);
        always_known(&grid, load);
        struct model *const m = train(&grid, &spec, 1);
        struct model_answer answers[COLS] = {0};
        double values[COLS][P];
        suppose(&grid, load, 1);
        covariates_free(grid.covariates);
        grid.covariates = covariates_new(&grid, 3);
        assert_ok(covariates_add_always(grid.covariates, "load", "load", load, &err),
                  &err);
        answer(m, &grid, 3, answers, values);
        assert_true(answers[0].served && answers[2].served);
        answer(m, &grid, P, answers, values);
        assert_int_equal(answers[0].served, gap != GAP_ERROR);
        assert_true(answers[2].served); /* which never asked for it */
        if (gap == GAP_ERROR)
            assert_string_equal(answers[0].why,
                                "covariate load is not known for step 4 of 8");

        /* without the column there is no policy for it */
        covariates_free(grid.covariates);
        grid.covariates = NULL;
        struct forecaster_work *const work = forecaster_work_new(m, &err);
        assert_err(model_forecast(m, work, &grid, P, median, 1, answers, &err), &err,
                   ERR_CONFLICT, "load");
        forecaster_work_free(work);
        model_free(m);
        grid_fini(&grid);
    }
}

static void what_nobody_uses_is_not_missed(void **state)
{
    (void)state;
    double load[ROWS + AHEAD], idle[ROWS + AHEAD] = {0};
    draw_load(load, ROWS + AHEAD);
    const struct model_spec spec = season_spec();
    struct err err = {0};
    struct grid grid = loaded_grid(load);
    grid.covariates = covariates_new(&grid, AHEAD);
    assert_ok(covariates_add_always(grid.covariates, "idle", "idle", idle, &err), &err);
    assert_ok(covariates_add_always(grid.covariates, "load", "load", load, &err), &err);
    struct model *const m = train(&grid, &spec, 1);
    struct model_answer answers[COLS] = {0};
    double with[COLS][P], without[COLS][P];
    answer(m, &grid, P, answers, with);
    covariates_free(grid.covariates);
    always_known(&grid, load);
    answer(m, &grid, P, answers, without);
    assert_int_equal(answers[0].covariates, 2); /* the second of the report's */
    assert_memory_equal(with, without, sizeof with);
    model_free(m);
    grid_fini(&grid);
}

/* P3: what came after an origin does not change what is forecast there. */
static void a_later_version_changes_nothing(void **state)
{
    (void)state;
    double load[ROWS + AHEAD];
    draw_load(load, ROWS + AHEAD);
    const struct model_spec spec = season_spec();
    struct err err = {0};
    struct grid grid = loaded_grid(load);
    always_known(&grid, load);
    struct model *const m = train(&grid, &spec, 1);
    struct model_answer answers[COLS] = {0};
    double before[COLS][P], after[COLS][P];
    struct covariate_span spans[ROWS + AHEAD];
    for (size_t i = 0; i < ROWS + AHEAD; i++)
        spans[i] = (struct covariate_span){grid_time_ms(&grid, i),
                                           grid_time_ms(&grid, i + 1), load[i]};
    const int64_t end_ms = grid_time_ms(&grid, ROWS + AHEAD);
    const struct covariate_statement list[] = {
        {grid.start_ms, end_ms, KNOWN_ALWAYS, NAN, ROWS + AHEAD, spans},
        {grid.start_ms, end_ms, grid_time_ms(&grid, ROWS) + 1, 50, 0, NULL},
    };
    for (size_t count = 1; count <= 2; count++) {
        covariates_free(grid.covariates);
        grid.covariates = covariates_new(&grid, AHEAD);
        assert_ok(covariates_add(grid.covariates, "load", "load", list, count, &err),
                  &err);
        answer(m, &grid, P, answers, count == 1 ? before : after);
    }
    assert_memory_equal(before, after, sizeof before);
    model_free(m);
    grid_fini(&grid);
}

static void a_model_keeps_them(void **state)
{
    (void)state;
    double load[ROWS + AHEAD];
    draw_load(load, ROWS + AHEAD);
    struct err err = {0};
    struct model_spec spec = season_spec();
    spec.gap = GAP_HOLD;
    struct grid grid = loaded_grid(load);
    always_known(&grid, load);
    void *bytes[2];
    size_t len[2];
    struct model *m = NULL;
    for (size_t threads = 1; threads <= 2; threads++) { /* P5 */
        model_free(m);
        m = train(&grid, &spec, threads);
        assert_ok(model_save(m, &bytes[threads - 1], &len[threads - 1], &err), &err);
    }
    assert_int_equal(len[0], len[1]);
    assert_memory_equal(bytes[0], bytes[1], len[0]);
    struct model *const again = model_load(bytes[0], len[0], &err);
    assert_non_null(again);
    assert_int_equal(model_spec(again)->gap, GAP_HOLD);
    assert_int_equal(model_report(again)->covariates[0].series, 3);
    struct model_answer answers[COLS] = {0};
    double here[COLS][P], there[COLS][P];
    answer(m, &grid, P, answers, here);
    answer(again, &grid, P, answers, there);
    assert_memory_equal(here, there, sizeof here);
    model_free(again);
    model_free(m);
    free(bytes[0]);
    free(bytes[1]);
    grid_fini(&grid);
}

/* A wild value of the past leaves a model that can be kept and forecasts; of the future, it
 * is refused to those that use it. */
static void a_wild_covariate_harms_nobody_else(void **state)
{
    (void)state;
    static const struct {
        size_t row;
        double value;
        const char *why;
    } cases[] = {
        {100, 1e40, NULL},
        {650, -1e40, NULL},
        {650, (double)INFINITY, NULL},
        {ROWS + 2, 1e40, "the forecast is not a finite number"},
        {ROWS + 2, 1e300, "covariate load is not known for step 3 of 8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double load[ROWS + AHEAD], here[COLS][P], there[COLS][P];
        draw_load(load, ROWS + AHEAD);
        const struct model_spec spec = season_spec();
        struct grid grid = loaded_grid(load);
        load[cases[i].row] = cases[i].value;
        always_known(&grid, load);
        struct model *const m = train(&grid, &spec, 1);
        void *bytes;
        size_t len;
        struct err err = {0};
        assert_ok(model_save(m, &bytes, &len, &err), &err);
        struct model *const kept = model_load(bytes, len, &err);
        assert_ok(kept ? 0 : -1, &err);
        struct model_answer answers[COLS] = {0};
        answer(m, &grid, P, answers, there);
        answer(kept, &grid, P, answers, here);
        for (size_t s = 0; s < COLS; s++) {
            const char *const why = s == 2 ? NULL : cases[i].why;
            assert_int_equal(answers[s].served, why == NULL);
            if (why)
                assert_string_equal(answers[s].why, why);
            else
                assert_memory_equal(here[s], there[s], sizeof here[s]);
            for (size_t j = 0; !why && j < P; j++)
                assert_true(fabs(here[s][j] - 20 * (double)(s + 1)) < 20);
        }
        free(bytes);
        model_free(kept);
        model_free(m);
        grid_fini(&grid);
    }
}

/* P5: whatever else is in the request. */
static void an_answer_does_not_depend_on_the_others(void **state)
{
    (void)state;
    double load[ROWS + AHEAD];
    draw_load(load, ROWS + AHEAD);
    struct model_spec spec = season_spec();
    struct grid grid = loaded_grid(load);
    always_known(&grid, load);
    struct model *const m = train(&grid, &spec, 2);
    struct model_answer all[COLS] = {0};
    double together[COLS][P], alone[COLS][P];
    answer(m, &grid, P, all, together);
    for (size_t s = 0; s < COLS; s++) {
        struct grid one;
        struct err err = {0};
        assert_ok(grid_init(&one, grid.start_ms, grid.step_ms, ROWS, 1, &err), &err);
        grid_name(&one, 0, grid.names[s]);
        for (size_t i = 0; i < ROWS; i++)
            one.values[i] = grid.values[i * COLS + s];
        always_known(&one, load);
        struct model_answer single[1] = {0};
        answer(m, &one, P, single, alone);
        assert_int_equal(single[0].covariates, s == 2 ? 0 : 1);
        assert_memory_equal(alone[0], together[s], sizeof alone[0]);
        grid_fini(&one);
    }
    model_free(m);
    grid_fini(&grid);
}

/* Where a training is stopped, and whether it said that it goes on from a checkpoint. */
struct stop {
    const char *phase;
    int epoch;
    bool resumed;
};

static int stop_there(void *ctx, const struct model_progress *progress)
{
    struct stop *const stop = ctx;
    stop->resumed |= progress->note && strstr(progress->note, "checkpoint");
    return stop->phase && strcmp(progress->phase, stop->phase) == 0 &&
           progress->epoch >= stop->epoch;
}

/* P6: the effects are found again, and the network goes on with what they leave. */
static void a_stopped_training_goes_on_to_the_same_model(void **state)
{
    (void)state;
    double load[ROWS + AHEAD];
    draw_load(load, ROWS + AHEAD);
    struct err err = {0};
    struct model_spec spec = waves_spec(GROUP_EACH);
    struct grid grid = small_waves(ROWS, COLS);
    for (size_t i = 0; i < ROWS * COLS; i++)
        grid.values[i] += 3 * load[i / COLS];
    always_known(&grid, load);
    struct model *m = train(&grid, &spec, 1);
    assert_true(model_params(m) > 0 && model_report(m)->covariates[0].series > 0);
    void *want, *bytes;
    size_t want_len, len;
    assert_ok(model_save(m, &want, &want_len, &err), &err);
    model_free(m);

    char path[] = "/tmp/frwkvd-test-XXXXXX";
    close(mkstemp(path));
    static const struct stop stops[] = {
        {"fit", 2, false}, {"refit", 1, true}, {NULL, 0, true}};
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        struct stop stop = {stops[i].phase, stops[i].epoch, false};
        const struct model_hooks hooks = {.progress = stop_there,
                                          .ctx = &stop,
                                          .checkpoint_path = path,
                                          .checkpoint_s = 3600,
                                          .threads = 1};
        m = model_train(&grid, &spec, &hooks, &err);
        assert_int_equal(m == NULL, stop.phase != NULL);
        assert_true(m || err.code == ERR_CANCELLED);
        if (i > 0) /* of the file that was empty it says that it is ignored */
            assert_true(stop.resumed);
    }
    unlink(path);
    assert_ok(model_save(m, &bytes, &len, &err), &err);
    assert_int_equal(len, want_len);
    assert_memory_equal(bytes, want, len);
    free(bytes);
    free(want);
    model_free(m);
    grid_fini(&grid);
}

/* P6: a checkpoint of other covariates is another training's. */
static void a_fingerprint_covers_them(void **state)
{
    (void)state;
    double load[ROWS + AHEAD];
    draw_load(load, ROWS + AHEAD);
    struct model_spec spec = season_spec();
    struct cut cut;
    struct grid grid = loaded_grid(load);
    cut_history(ROWS, spec.lookback, spec.horizon, &cut);
    uint64_t seen[4] = {fit_fingerprint(&grid, &spec, &cut)};
    always_known(&grid, load);
    seen[1] = fit_fingerprint(&grid, &spec, &cut);
    spec.gap = GAP_HOLD;
    seen[2] = fit_fingerprint(&grid, &spec, &cut);
    suppose(&grid, load, 7);
    seen[3] = fit_fingerprint(&grid, &spec, &cut);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
    grid_fini(&grid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_series_has_its_own),
        cmocka_unit_test(what_comes_too_late_is_never_used),
        cmocka_unit_test(one_wild_value_spoils_nothing),
        cmocka_unit_test(what_is_known_in_advance_helps),
        cmocka_unit_test(a_forecast_rests_on_what_is_supposed),
        cmocka_unit_test(what_is_missing_is_said),
        cmocka_unit_test(what_nobody_uses_is_not_missed),
        cmocka_unit_test(a_later_version_changes_nothing),
        cmocka_unit_test(a_model_keeps_them),
        cmocka_unit_test(a_wild_covariate_harms_nobody_else),
        cmocka_unit_test(an_answer_does_not_depend_on_the_others),
        cmocka_unit_test(a_stopped_training_goes_on_to_the_same_model),
        cmocka_unit_test(a_fingerprint_covers_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
