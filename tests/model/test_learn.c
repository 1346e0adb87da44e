/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/model/small.h"

#include "model/artifact.h"
#include "model/model.h"

static struct model *train(const struct grid *grid, const struct model_spec *spec)
{
    struct err err = {0};
    struct model *const m = model_train(grid, spec, NULL, &err);
    if (!m)
        fail_msg("%s", err.msg);
    return m;
}

static const char *champion(const struct model *m, size_t series, size_t bucket)
{
    return model_report(m)->champions[series * MODEL_BUCKETS + bucket].candidate;
}

/* The figures of a candidate over the whole horizon. */
static const struct model_figure *figure(const struct model *m, const char *candidate)
{
    const struct model_report *const r = model_report(m);
    for (size_t i = 0; i < r->figure_count; i++)
        if (r->figures[i].bucket == -1 && strcmp(r->figures[i].candidate, candidate) == 0)
            return &r->figures[i];
    return NULL;
}

static void a_seasonal_fleet_is_served_by_what_learnt_it(void **state)
{
    (void)state;
    struct grid grid = small_grid(400, 3, 1.0);
    struct grid waves = small_waves(600, 3);
    for (int group = 0; group < 2; group++) {
        struct model_spec spec = small_spec((enum model_group)group);
        small_set(&spec, "epochs", "15");
        struct model *m = train(&grid, &spec);
        const struct model_report *const r = model_report(m);
        assert_int_equal(r->season, 8);
        assert_true(r->windows_fit > 0 && r->windows_stop > 0 && r->windows_judge > 0);
        assert_string_equal(r->note, "");
        /* Noise as big as the rhythm: the seasonal naive errs by sqrt 2 times as much as
         * a forecaster that averages. */
        assert_true(figure(m, "frwkv")->mae < figure(m, "seasonal_naive")->mae);
        assert_true(figure(m, "champion")->mae <= figure(m, "naive")->mae);
        assert_true(figure(m, "champion")->coverage80 > 0.6);
        assert_true(figure(m, "champion")->coverage80 < 0.95);
        model_free(m);

        spec = waves_spec((enum model_group)group);
        m = train(&waves, &spec);
        for (size_t s = 0; s < 3; s++) {
            assert_string_equal(champion(m, s, 3), "frwkv");
            assert_true(model_report(m)->champions[s * MODEL_BUCKETS + 3].skill > 0.3);
        }
        assert_true(model_params(m) > 0);
        assert_true(figure(m, "frwkv")->params == model_params(m));
        model_free(m);
    }
    grid_fini(&grid);
    grid_fini(&waves);
}

/* Of a season three times the look-back, the window shows a third: only what is learnt
 * of it (joint), or computed from before the window (each), can go on with it. */
static void a_season_longer_than_the_window_is_known(void **state)
{
    (void)state;
    enum { ROWS = 600, COLS = 2, SEASON = 48 };
    const struct rng_stream stream = {6, 9, 0};
    struct grid grid = small_grid(ROWS, COLS, 0);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t c = 0; c < COLS; c++)
            grid.values[i * COLS + c] = 2 * rng_normal(stream, i % SEASON * COLS + c) +
                                        0.5 * rng_normal(stream, 1000 + i * COLS + c);
    grid.start_ms = 5 * grid.step_ms;
    for (int group = 0; group < 2; group++) {
        double mae[2];
        for (int cycle = 0; cycle < 2; cycle++) {
            struct model_spec spec = small_spec((enum model_group)group);
            spec.season = SEASON;
            small_set(&spec, "cycle", cycle ? "true" : "false");
            small_set(&spec, "epochs", "12");
            struct model *const m = train(&grid, &spec);
            mae[cycle] = figure(m, "frwkv")->mae;
            model_free(m);
        }
        assert_true(mae[1] < 0.5 * mae[0]);
    }
    grid_fini(&grid);
}

/* A rhythm alone is served by a simple candidate, whoever learnt it too. */
static void a_purely_seasonal_fleet_is_served_by_a_simple_candidate(void **state)
{
    (void)state;
    struct grid grid = small_grid(500, 4, 0.3);
    for (int group = 0; group < 2; group++) {
        const struct model_spec spec = small_spec((enum model_group)group);
        struct model *const m = train(&grid, &spec);
        for (size_t s = 0; s < 4; s++)
            for (int b = 0; b < MODEL_BUCKETS; b++)
                assert_string_not_equal(champion(m, s, b), "frwkv");
        assert_true(model_report(m)->champions[3].skill > 0.1);
        model_free(m);
    }
    grid_fini(&grid);
}

/* What one series does now, another does a horizon later, on a level that drifts: no
 * candidate that looks at one series alone can know, and only the network looks at both.
 */
static void a_fleet_led_by_another_series_is_served_by_the_network(void **state)
{
    (void)state;
    enum { ROWS = 1500, DELAY = 8 };
    const struct rng_stream stream = {21, 9, 0};
    struct grid grid = small_grid(ROWS, 2, 0);
    double lead[ROWS] = {0}, level = 0;
    for (size_t i = 1; i < ROWS; i++) {
        lead[i] = 0.95 * lead[i - 1] + 0.3 * rng_normal(stream, i);
        level += 0.01 * rng_normal(stream, ROWS + i);
        grid.values[i * 2] = lead[i];
        grid.values[i * 2 + 1] =
            level + (i < DELAY ? 0 : lead[i - DELAY]) + 0.2 * sin((double)i * M_PI / 4);
    }
    struct model_spec spec = small_spec(GROUP_JOINT);
    small_set(&spec, "width", "16");
    small_set(&spec, "ff", "16");
    small_set(&spec, "epochs", "15");
    struct model *const m = train(&grid, &spec);
    for (size_t b = 0; b < MODEL_BUCKETS; b++) {
        assert_string_not_equal(champion(m, 0, b), "frwkv"); /* nobody leads the leader */
        assert_string_equal(champion(m, 1, b), "frwkv");
    }
    assert_true(model_report(m)->champions[MODEL_BUCKETS + 3].skill > 0.2);
    model_free(m);
    grid_fini(&grid);
}

/* How large the day will be of two series whose levels drift, days of 8 steps, a third says
 * a day ahead by its level; of its own past no series knows. */
static struct grid modulated_fleet(void)
{
    enum { ROWS = 1000, COLS = 3, DAY = 8 };
    const struct rng_stream stream = {31, 9, 0};
    struct grid grid = small_grid(ROWS, COLS, 0);
    double level[COLS] = {0};
    for (size_t i = 0; i < ROWS; i++) {
        const double wave = sin((double)i * M_PI / 4);
        double *const row = grid.values + i * COLS;
        row[0] = wave + (rng_uniform(stream, i / DAY) < 0.5 ? 1 : -1) +
                 0.05 * rng_normal(stream, 10 * ROWS + i);
        for (size_t s = 1; s < COLS; s++) {
            const bool large = i >= DAY && rng_uniform(stream, i / DAY - 1) < 0.5;
            level[s] += 0.02 * rng_normal(stream, s * ROWS + i);
            row[s] =
                (double)s * (10 + level[s] +
                             (large ? 1.9 : 0.1) * sin((double)(i + 3 * s) * M_PI / 4) +
                             0.1 * rng_normal(stream, (s + COLS) * ROWS + i));
        }
    }
    return grid;
}

/* Buckets of the two that the network serves, and whether it has both last ones. */
static size_t served_by_network(const struct grid *grid, const char *mixer, bool *last)
{
    static const char *const settings[][2] = {{"width", "32"},  {"ff", "32"},
                                              {"epochs", "12"}, {"patience", "12"},
                                              {"dropout", "0"}, {"frequency_loss", "0"}};
    struct model_spec spec = small_spec(GROUP_JOINT);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        small_set(&spec, settings[i][0], settings[i][1]);
    small_set(&spec, "mixer", mixer);
    struct model *const m = train(grid, &spec);
    const struct model_report *const r = model_report(m);
    size_t served = 0;
    *last = true;
    for (size_t s = 1; s < grid->cols; s++) {
        for (size_t b = 0; b < MODEL_BUCKETS; b++)
            served += strcmp(champion(m, s, b), "frwkv") == 0;
        *last &= strcmp(champion(m, s, 3), "frwkv") == 0 &&
                 r->champions[s * MODEL_BUCKETS + 3].skill > 0.2;
    }
    if (*last)
        assert_true(figure(m, "frwkv")->mae < 0.85 * figure(m, "in_context")->mae);
    model_free(m);
    return served;
}

/* By the same network without its mixing it is not: what serves is what the series say of
 * each other. */
static void a_fleet_modulated_by_another_series_is_served_by_the_network(void **state)
{
    (void)state;
    struct grid grid = modulated_fleet();
    bool last;
    assert_true(served_by_network(&grid, "rwkv7", &last) >= 7); /* of 8 */
    assert_true(last);
    assert_true(served_by_network(&grid, "none", &last) < 7);
    assert_false(last);
    grid_fini(&grid);
}

/* P7: noise is served by a simple candidate, and the answer says so. */
static void noise_is_served_by_a_simple_candidate(void **state)
{
    (void)state;
    const struct rng_stream stream = {3, 9, 0};
    struct grid grid = small_grid(400, 6, 0);
    for (size_t c = 0; c < 6; c++)
        for (size_t i = 0; i < 400; i++)
            grid.values[i * 6 + c] =
                (i ? grid.values[(i - 1) * 6 + c] : 0) + rng_normal(stream, i * 6 + c);
    const struct model_spec spec = small_spec(GROUP_EACH);
    struct model *const m = train(&grid, &spec);
    size_t trained = 0;
    for (size_t i = 0; i < 6 * MODEL_BUCKETS; i++)
        trained +=
            strcmp(champion(m, i / MODEL_BUCKETS, i % MODEL_BUCKETS), "frwkv") == 0;
    assert_int_equal(trained, 0);
    model_free(m);
    grid_fini(&grid);
}

/* P3: a signal that is visible in the future alone gives no skill. */
static void a_signal_of_the_future_gives_no_skill(void **state)
{
    (void)state;
    const struct rng_stream stream = {4, 9, 0};
    enum { ROWS = 400, COLS = 2, SHIFT = 8 };
    struct grid grid = small_grid(ROWS, COLS, 0);
    /* The second series shows now what the first will be a horizon later: what would
     * be skill if anything looked ahead is noise to whoever does not. */
    for (size_t i = 0; i < ROWS; i++) {
        grid.values[i * COLS] = rng_normal(stream, i);
        grid.values[i * COLS + 1] = rng_normal(stream, i < SHIFT ? i + ROWS : i - SHIFT);
    }
    const struct model_spec spec = small_spec(GROUP_JOINT);
    struct model *const m = train(&grid, &spec);
    /* White noise: the best anyone can do is its mean, an MSE of its variance. */
    assert_true(figure(m, "frwkv")->mse > 0.8);
    model_free(m);

    /* And nothing after the fit part moves what was fitted: two histories that differ in
     * the judge part alone have the same training losses. */
    struct model *const before = train(&grid, &spec);
    grid.values[(ROWS - 1) * COLS] += 100;
    struct model *const after = train(&grid, &spec);
    const struct model_report *const a = model_report(before), *const b =
                                                                   model_report(after);
    assert_int_equal(a->epoch_count, b->epoch_count);
    for (size_t i = 0; i < a->epoch_count; i++)
        assert_true(a->epochs[i].loss_train == b->epochs[i].loss_train &&
                    a->epochs[i].loss_valid == b->epochs[i].loss_valid);
    model_free(before);
    model_free(after);
    grid_fini(&grid);
}

/* Season, k of the profile and weighting of in_context are chosen before the judge part,
 * whatever it holds: here a slope that only the shortest memory could follow, and other
 * rhythms. */
static void choices_do_not_know_the_judge_part(void **state)
{
    (void)state;
    enum { ROWS = 600, JUDGE = 120, COLS = 3 };
    struct grid grid = small_grid(ROWS, COLS, 1.0);
    const struct model_spec spec = small_spec(GROUP_EACH);
    struct model *const before = train(&grid, &spec);
    for (size_t i = (ROWS - JUDGE) * COLS; i < ROWS * COLS; i++)
        grid.values[i] = i % COLS == 0
                             ? 1e3 * (double)(i - (ROWS - JUDGE) * COLS)
                             : 1e3 * sin((double)(i / COLS) / (double)(i % COLS));
    struct model *const after = train(&grid, &spec);
    assert_int_equal(before->season, after->season);
    for (size_t s = 0; s <= COLS; s++) {
        assert_int_equal(before->profiles[s].cycles, after->profiles[s].cycles);
        assert_int_equal(before->profiles[s].seasons, after->profiles[s].seasons);
        assert_int_equal(before->contexts[s], after->contexts[s]);
    }
    model_free(before);
    model_free(after);
    grid_fini(&grid);
}

static void hard_series_train_without_nan(void **state)
{
    (void)state;
    enum { ROWS = 240, COLS = 6 };
    struct grid grid = small_grid(ROWS, COLS, 0.2);
    for (size_t i = 0; i < ROWS; i++) {
        double *const row = grid.values + i * COLS;
        row[1] = 7;                                   /* constant */
        row[2] = (double)NAN;                         /* never seen */
        row[3] = i < 150 ? (double)NAN : row[3];      /* late */
        row[4] = i < 200 ? 0 : 1e9;                   /* constant, then not */
        row[5] = i % 5 ? (double)NAN : row[5] * 1e30; /* mostly gaps, huge */
    }
    for (int group = 0; group < 2; group++) {
        struct model_spec spec = small_spec((enum model_group)group);
        small_set(&spec, "max_missing", "0.6");
        struct model *const m = train(&grid, &spec);
        const struct model_report *const r = model_report(m);
        assert_true(r->epoch_count > 0);
        for (size_t i = 0; i < r->epoch_count; i++)
            assert_true(isfinite(r->epochs[i].loss_train) &&
                        isfinite(r->epochs[i].loss_valid));
        assert_string_equal(champion(m, 1, 0), "naive");
        assert_string_equal(champion(m, 2, 0), "naive");
        model_free(m);
    }
    grid_fini(&grid);
}

/* Once it is there, every window of the refit looks half empty. */
static void a_series_that_begins_at_the_end_does_not_stop_the_refit(void **state)
{
    (void)state;
    struct grid grid = small_waves(250, 2);
    for (size_t i = 0; i < 245; i++)
        grid.values[i * 2 + 1] = (double)NAN;
    const struct model_spec spec = waves_spec(GROUP_JOINT);
    struct model *const m = train(&grid, &spec);
    assert_true(model_params(m) > 0);
    assert_string_equal(champion(m, 1, 3), "naive");
    model_free(m);
    grid_fini(&grid);
}

static void short_history_has_candidates_or_says_what_is_needed(void **state)
{
    (void)state;
    const struct model_spec spec = small_spec(GROUP_EACH);
    const size_t least = model_rows_for_training(&spec);
    struct grid grid = small_grid(least - 1, 2, 0.2);
    struct model *m = train(&grid, &spec);
    assert_int_equal(model_params(m), 0);
    char want[80];
    snprintf(want, sizeof want, "history: %zu steps, training needs %zu", least - 1,
             least);
    assert_string_equal(model_report(m)->note, want);
    assert_null(figure(m, "frwkv"));
    assert_true(isfinite(figure(m, "champion")->mae));
    model_free(m);
    grid_fini(&grid);

    grid = small_grid(least, 2, 0.2);
    m = train(&grid, &spec);
    assert_true(model_report(m)->epoch_count > 0);
    model_free(m);
    grid_fini(&grid);

    const size_t fewest = model_rows_for_candidates(&spec);
    grid = small_grid(fewest, 1, 0.2);
    model_free(train(&grid, &spec));
    grid_fini(&grid);
    grid = small_grid(fewest - 1, 1, 0.2);
    struct err err = {0};
    assert_null(model_train(&grid, &spec, NULL, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_string_equal(err.msg, "history: 23 steps, at least 24 are needed");
    grid_fini(&grid);
}

static void bad_specs_are_refused(void **state)
{
    (void)state;
    struct grid grid = small_grid(240, 2, 0.2);
    struct model_spec bad[6];
    for (int i = 0; i < 6; i++)
        bad[i] = small_spec(GROUP_EACH);
    bad[0].lookback = 0;
    bad[1].horizon = MODEL_HORIZON_MAX + 1;
    bad[2].min = 2;
    bad[2].max = 1;
    bad[3].min = 0.2;
    bad[3].max = 0.8;
    bad[3].integer = true;
    bad[4].settings.width = 9; /* not a multiple of heads */
    bad[5].season = MODEL_LOOKBACK_MAX + 1;
    static const char *const why[] = {
        "lookback: must be 2..", "horizon: must be 1..",           "min: must be",
        "min: must be",          "heads: must divide the width 9", "season: must be"};
    for (int i = 0; i < 6; i++) {
        struct err err = {0};
        assert_null(model_train(&grid, &bad[i], NULL, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.msg, why[i]));
    }
    free(grid.names[1]);
    grid.names[1] = NULL;
    grid_name(&grid, 1, "s0");
    const struct model_spec spec = small_spec(GROUP_EACH);
    struct err err = {0};
    assert_null(model_train(&grid, &spec, NULL, &err));
    assert_int_equal(err.code, ERR_INVALID);
    grid_fini(&grid);
}

/* ---- bytes ------------------------------------------------------------------------- */

/* What is not to be had is refused before it is asked for; the limit itself is fine. */
static void a_training_keeps_to_its_memory(void **state)
{
    (void)state;
    struct err err = {0};
    struct grid grid = small_grid(400, 3, 1.0);
    struct model_spec spec = small_spec(GROUP_JOINT);
    struct model_hooks hooks = {.memory_max = 1 << 16};
    assert_null(model_train(&grid, &spec, &hooks, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_non_null(
        strstr(err.msg, "memory: a training may take 0 MiB, this one needs "));
    hooks.memory_max = (size_t)1 << 30;
    err = (struct err){0};
    struct model *const m = model_train(&grid, &spec, &hooks, &err);
    assert_non_null(m);
    model_free(m);
    grid_fini(&grid);
}

static void saved_and_loaded_it_is_the_same(void **state)
{
    (void)state;
    struct grid grid = small_waves(200, 3);
    struct model_spec spec = waves_spec(GROUP_JOINT);
    spec.min = -1.5;
    struct model *const m = train(&grid, &spec);
    assert_true(model_params(m) > 0);
    void *bytes, *again;
    size_t len, again_len;
    struct err err = {0};
    assert_ok(model_save(m, &bytes, &len, &err), &err);
    struct model *const copy = model_load(bytes, len, &err);
    assert_non_null(copy);
    assert_ok(model_save(copy, &again, &again_len, &err), &err);
    assert_int_equal(len, again_len);
    assert_memory_equal(bytes, again, len);

    assert_int_equal(model_series(copy), 3);
    assert_string_equal(model_series_name(copy, 2), "s2");
    assert_null(model_series_name(copy, 3));
    assert_int_equal(model_params(copy), model_params(m));
    assert_int_equal(model_step_ms(copy), 3600000);
    assert_true(model_spec(copy)->min == -1.5 && isinf(model_spec(copy)->max));
    assert_int_equal(model_tail_rows(copy), model_tail_rows(m));
    const struct model_report *const a = model_report(m), *const b = model_report(copy);
    assert_int_equal(a->figure_count, b->figure_count);
    assert_int_equal(a->epoch_count, b->epoch_count);
    for (size_t i = 0; i < a->figure_count; i++)
        assert_close(a->figures[i].mae, b->figures[i].mae, 0);
    for (size_t i = 0; i < 3 * MODEL_BUCKETS; i++)
        assert_string_equal(a->champions[i].candidate, b->champions[i].candidate);
    model_free(m);
    model_free(copy);
    free(bytes);
    free(again);
    grid_fini(&grid);
}

static void damaged_bytes_are_refused_or_harmless(void **state)
{
    (void)state;
    struct grid grid = small_waves(160, 2);
    const struct model_spec spec = waves_spec(GROUP_EACH);
    struct model *const m = train(&grid, &spec);
    assert_true(model_params(m) > 0);
    unsigned char *bytes;
    size_t len;
    struct err err = {0};
    assert_ok(model_save(m, (void **)&bytes, &len, &err), &err);
    model_free(m);

    for (size_t cut = 0; cut < len; cut += cut < 64 ? 1 : 211) {
        unsigned char *const part = malloc(cut ? cut : 1);
        memcpy(part, bytes, cut);
        err = (struct err){0};
        assert_null(model_load(part, cut, &err));
        assert_int_equal(err.code, ERR_CORRUPT);
        free(part);
    }
    /* Every fourth byte of the header; what still loads must still be a whole model. */
    uint64_t header;
    memcpy(&header, bytes, 8);
    size_t refused = 0;
    for (size_t at = 0; at < 8 + header; at += at < 8 ? 1 : 4) {
        const unsigned char kept = bytes[at];
        bytes[at] = (unsigned char)(kept ^ (1 + at % 127));
        err = (struct err){0};
        struct model *const damaged = model_load(bytes, len, &err);
        if (damaged) {
            struct forecaster_work *const work = forecaster_work_new(damaged, &err);
            forecaster_work_free(work);
        } else {
            assert_true(err.code == ERR_CORRUPT || err.code == ERR_NO_MEMORY);
            refused++;
        }
        model_free(damaged);
        bytes[at] = kept;
    }
    assert_true(refused > header / 8);
    free(bytes);
    grid_fini(&grid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seasonal_fleet_is_served_by_what_learnt_it),
        cmocka_unit_test(a_season_longer_than_the_window_is_known),
        cmocka_unit_test(noise_is_served_by_a_simple_candidate),
        cmocka_unit_test(a_purely_seasonal_fleet_is_served_by_a_simple_candidate),
        cmocka_unit_test(a_fleet_led_by_another_series_is_served_by_the_network),
        cmocka_unit_test(a_fleet_modulated_by_another_series_is_served_by_the_network),
        cmocka_unit_test(a_signal_of_the_future_gives_no_skill),
        cmocka_unit_test(choices_do_not_know_the_judge_part),
        cmocka_unit_test(hard_series_train_without_nan),
        cmocka_unit_test(a_series_that_begins_at_the_end_does_not_stop_the_refit),
        cmocka_unit_test(short_history_has_candidates_or_says_what_is_needed),
        cmocka_unit_test(bad_specs_are_refused),
        cmocka_unit_test(a_training_keeps_to_its_memory),
        cmocka_unit_test(saved_and_loaded_it_is_the_same),
        cmocka_unit_test(damaged_bytes_are_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
