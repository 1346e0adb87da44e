/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forecasts from states against forecasts from history: the same bits, whoever serves. */
#include "tests/model/small.h"

#include "model/model.h"

enum { P = 8, QUANTILES = 3, COLS = 40, FIT = 560, ROWS = 660 };

static const double quantiles[QUANTILES] = {0.1, 0.5, 0.9};

static struct model *train(const struct grid *grid, const char *mixer)
{
    static const char *const settings[][2] = {
        {"axis", "patch"},  {"patch", "4"},     {"causal", "true"},
        {"stream", "true"}, {"cycle", "false"}, {"epochs", "2"},
    };
    struct model_spec spec = waves_spec(GROUP_EACH);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        small_set(&spec, settings[i][0], settings[i][1]);
    small_set(&spec, "mixer", mixer);
    struct err err = {0};
    struct grid fit;
    assert_ok(grid_slice(grid, 0, FIT, &fit, &err), &err);
    struct model *const model = model_train(&fit, &spec, NULL, &err);
    if (!model)
        fail_msg("%s", err.msg);
    grid_fini(&fit);
    return model;
}

/* Waves with a slip here and there, some with gaps, every fourth at another level in the
 * end; the last column is a stranger to the model. */
static struct grid gappy_waves(void)
{
    struct grid grid = small_waves(ROWS, COLS);
    for (size_t c = 0; c < COLS; c++)
        grid.values[(100 + c) * COLS + c] = grid.values[(562 + 2 * c) * COLS + c] = 1e9;
    for (size_t i = ROWS - 20; i < ROWS; i++)
        for (size_t c = 0; c < COLS; c += 4)
            grid.values[i * COLS + c] += 40 * (double)(c + 1);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t c = 1; c < COLS; c += 3)
            if (i * 7 % 31 == c % 31 || (i > 590 && i < 620))
                grid.values[i * COLS + c] = (double)NAN;
    return grid;
}

struct answers {
    struct model_answer answer[COLS];
    double values[COLS][P * QUANTILES];
};

static void ask(const struct model *model, struct forecaster_work *work,
                const struct grid *tail, struct answers *out)
{
    struct err err = {0};
    memset(out, 0, sizeof *out);
    for (size_t c = 0; c < COLS; c++)
        out->answer[c].values = out->values[c];
    assert_ok(
        model_forecast(model, work, tail, P, quantiles, QUANTILES, out->answer, &err),
        &err);
}

static size_t network_serves(const struct answers *a)
{
    size_t n = 0;
    for (size_t c = 0; c < COLS; c++)
        n += !strcmp(a->answer[c].candidate[0], "frwkv");
    return n;
}

/* A grid of some rows, as states take it. */
static void push(const struct model *model, struct forecaster_work *work,
                 const struct grid *grid, size_t from, size_t to, void *const *states)
{
    struct err err = {0};
    struct grid rows;
    assert_ok(grid_slice(grid, from, to, &rows, &err), &err);
    forecaster_states_push(model, work, &rows, states);
    grid_fini(&rows);
}

static void check(const char *mixer)
{
    static struct answers here, there;
    struct err err = {0};
    struct grid grid = gappy_waves();
    struct model *const model = train(&grid, mixer);
    grid_name(&grid, COLS - 1, "stranger");
    struct forecaster_work *const work = forecaster_work_new(model, &err);
    const size_t rows = model_tail_rows(model), size = forecaster_state_size(work);
    assert_true(size > 0 && rows < FIT);
    void *states[COLS];
    const void *kept[COLS];
    for (size_t c = 0; c < COLS; c++) {
        kept[c] = states[c] = malloc(size);
        forecaster_state_begin(work, states[c]);
    }
    kept[5] = NULL; /* one is not there yet */
    push(model, work, &grid, FIT - rows, FIT, states);
    size_t serves = 0, done = FIT;
    for (size_t end = FIT + 1; end <= ROWS; end += 7) {
        const size_t behind = end % 3;
        if (end - behind > done)
            push(model, work, &grid, done, end - behind, states);
        else
            continue;
        done = end - behind;
        struct grid tail, again;
        assert_ok(grid_slice(&grid, end - rows, end, &tail, &err), &err);
        assert_ok(grid_slice(&grid, end - rows, end, &again, &err), &err);
        for (size_t i = 0; i < (rows - behind) * COLS; i++)
            if (i % COLS != 5)
                again.values[i] = -1e6; /* to be filled */
        forecaster_states_tail(work, kept, behind, &again);
        assert_memory_equal(again.values, tail.values, rows * COLS * sizeof *tail.values);
        ask(model, work, &tail, &there);
        forecaster_go_on(work, kept, behind);
        ask(model, work, &again, &here);
        for (size_t c = 0; c < COLS; c++) {
            assert_int_equal(here.answer[c].served, there.answer[c].served);
            assert_memory_equal(here.answer[c].candidate, there.answer[c].candidate,
                                sizeof here.answer[c].candidate);
        }
        assert_memory_equal(here.values, there.values, sizeof here.values);
        serves += network_serves(&here);
        grid_fini(&tail);
        grid_fini(&again);
    }
    assert_true(serves > 0); /* or nothing was shown */
    for (size_t c = 0; c < COLS; c++)
        free(states[c]);
    forecaster_work_free(work);
    model_free(model);
    grid_fini(&grid);
}

static void states_answer_as_history_does(void **state)
{
    (void)state;
    check("rwkv7");
    check("linear");
}

static void others_keep_none(void **state)
{
    (void)state;
    struct err err = {0};
    struct grid grid = small_waves(FIT, 3);
    struct model_spec spec = waves_spec(GROUP_EACH);
    spec.untrained = true;
    struct model *const model = model_train(&grid, &spec, NULL, &err);
    assert_non_null(model);
    struct forecaster_work *const work = forecaster_work_new(model, &err);
    assert_int_equal(forecaster_state_size(work), 0);
    forecaster_work_free(work);
    model_free(model);
    grid_fini(&grid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_answer_as_history_does),
        cmocka_unit_test(others_keep_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
