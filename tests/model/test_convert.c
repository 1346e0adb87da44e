/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Softmax becomes inline or luna with the weights that were learnt. */
#include "tests/model/small.h"

#include <stdlib.h>

#include "model/model.h"

static struct model_spec softmax_spec(void)
{
    static const char *const settings[][2] = {
        {"mixer", "softmax"}, {"axis", "patch"}, {"patch", "2"},       {"epochs", "6"},
        {"luna_m", "2"},      {"luna_lc", "2"},  {"luna_hidden", "8"},
    };
    struct model_spec spec = waves_spec(GROUP_EACH);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        small_set(&spec, settings[i][0], settings[i][1]);
    return spec;
}

struct scene {
    struct grid grid;
    struct model *softmax;
};

static int set_up(void **state)
{
    static struct scene scene;
    const struct model_spec spec = softmax_spec();
    struct err err = {0};
    scene.grid = small_waves(300, 3);
    scene.softmax = model_train(&scene.grid, &spec, NULL, &err);
    *state = &scene;
    return scene.softmax && model_params(scene.softmax) > 0 ? 0 : -1; /* it serves */
}

static int tear_down(void **state)
{
    struct scene *const scene = *state;
    model_free(scene->softmax);
    grid_fini(&scene->grid);
    return 0;
}

static void forecast(const struct model *m, const struct grid *grid, double *values)
{
    static const double median = 0.5;
    struct err err = {0};
    struct forecaster_work *const work = forecaster_work_new(m, &err);
    struct model_answer *const answers = calloc(grid->cols, sizeof *answers);
    assert_non_null(work);
    for (size_t c = 0; c < grid->cols; c++)
        answers[c].values = values + c * model_spec(m)->horizon;
    assert_ok(
        model_forecast(m, work, grid, model_spec(m)->horizon, &median, 1, answers, &err),
        &err);
    free(answers);
    forecaster_work_free(work);
}

static struct model *saved_and_loaded(const struct model *model)
{
    void *bytes;
    size_t len;
    struct err err = {0};
    assert_ok(model_save(model, &bytes, &len, &err), &err);
    struct model *const loaded = model_load(bytes, len, &err);
    free(bytes);
    if (!loaded)
        fail_msg("%s", err.msg);
    return loaded;
}

static void softmax_becomes_linear_and_says_nearly_the_same(void **state)
{
    const struct scene *const s = *state;
    static const char *const names[] = {"inline", "luna"};
    for (size_t i = 0; i < 2; i++) {
        struct model_conversion c;
        struct err err = {0};
        struct model *const to =
            model_convert(s->softmax, names[i], &s->grid, NULL, &c, &err);
        if (!to)
            fail_msg("%s", err.msg);
        print_message(
            "%s: layers %.3g to %.3g, loss %.7f, swapped %.7f, converted %.7f\n",
            names[i], c.layers_before, c.layers_after, c.loss_softmax, c.loss_swapped,
            c.loss_converted);
        assert_string_equal(model_spec(to)->settings.mixer, names[i]);
        assert_true(c.loss_softmax > 0 && c.windows > 0);
        assert_true(c.loss_swapped != c.loss_softmax);
        assert_int_equal(c.accepted, c.loss_converted <= 1.005 * c.loss_softmax);
        if (i == 0) /* it has nothing to fit, and the same tensors */
            assert_true(c.layers_after == c.layers_before &&
                        model_params(to) == model_params(s->softmax));
        else
            assert_true(c.layers_after < 0.1 * c.layers_before &&
                        model_params(to) > model_params(s->softmax));

        struct model *const loaded = saved_and_loaded(to);
        double before[3 * 8], after[3 * 8], off = 0;
        forecast(s->softmax, &s->grid, before);
        forecast(loaded, &s->grid, after);
        for (size_t k = 0; k < 3 * 8; k++)
            off = fmax(off, fabs(after[k] - before[k]) / (double)(k / 8 + 1));
        assert_true(off > 0 && off < 0.3); /* of waves of amplitude 1 */
        model_free(loaded);
        model_free(to);
    }
}

static void a_conversion_is_a_function_of_its_data_whatever_the_threads(void **state)
{
    const struct scene *const s = *state;
    void *bytes[2];
    size_t len[2];
    for (size_t i = 0; i < 2; i++) {
        const struct model_hooks hooks = {.threads = 1 + i};
        struct model_conversion c;
        struct err err = {0};
        struct model *const to =
            model_convert(s->softmax, "luna", &s->grid, &hooks, &c, &err);
        assert_non_null(to);
        assert_ok(model_save(to, &bytes[i], &len[i], &err), &err);
        model_free(to);
    }
    assert_int_equal(len[0], len[1]);
    assert_memory_equal(bytes[0], bytes[1], len[0]);
    free(bytes[0]);
    free(bytes[1]);
}

static int stop_in(void *ctx, const struct model_progress *p)
{
    return strcmp(p->phase, ctx) == 0;
}

static void a_conversion_can_be_stopped(void **state)
{
    const struct scene *const s = *state;
    char phase[] = "fit";
    const struct model_hooks hooks = {.progress = stop_in, .ctx = phase, .threads = 1};
    struct model_conversion c;
    struct err err = {0};
    assert_null(model_convert(s->softmax, "inline", &s->grid, &hooks, &c, &err));
    assert_int_equal(err.code, ERR_CANCELLED);
}

static int refused(const struct model *from, const char *mixer, const struct grid *grid,
                   struct err *err)
{
    struct model_conversion c;
    struct model *const to = model_convert(from, mixer, grid, NULL, &c, err);
    model_free(to);
    return to ? 0 : -1;
}

static void what_cannot_be_converted_is_refused(void **state)
{
    const struct scene *const s = *state;
    struct err err = {0};
    assert_err(refused(s->softmax, "rwkv7", &s->grid, &err), &err, ERR_INVALID,
               "mixer: must be inline or luna");
    struct grid few = s->grid;
    few.rows = 60;
    assert_err(refused(s->softmax, "luna", &few, &err), &err, ERR_CONFLICT,
               "history: 60 steps");
    struct grid other = small_waves(300, 2);
    assert_err(refused(s->softmax, "luna", &other, &err), &err, ERR_CONFLICT,
               "convert: the series");
    grid_fini(&other);

    struct model_conversion c;
    struct model *const linear =
        model_convert(s->softmax, "inline", &s->grid, NULL, &c, &err);
    assert_err(refused(linear, "luna", &s->grid, &err), &err, ERR_CONFLICT,
               "convert: the model's mixer must be softmax");
    model_free(linear);
    struct model_spec spec = softmax_spec();
    spec.untrained = true;
    struct model *const simple = model_train(&s->grid, &spec, NULL, &err);
    assert_non_null(simple);
    assert_err(refused(simple, "luna", &s->grid, &err), &err, ERR_CONFLICT,
               "convert: the model has no network");
    model_free(simple);
}

int main(void)
{
    model_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_becomes_linear_and_says_nearly_the_same),
        cmocka_unit_test(a_conversion_is_a_function_of_its_data_whatever_the_threads),
        cmocka_unit_test(a_conversion_can_be_stopped),
        cmocka_unit_test(what_cannot_be_converted_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
