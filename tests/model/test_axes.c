/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a token is, and in which order: axes, chains, mixers inside a whole network. */
#include "model/network.h"

#include "model/chain.h"
#include "tests/model/gradient.h"
#include "tests/model/small.h"

#include <stdio.h>

enum { L = 12, V = 5, P = 4, B = 2 };

static struct network_config config_of(const char *mixer, enum model_axis axis)
{
    static const uint32_t order[V] = {3, 0, 4, 1, 2};
    static const uint32_t near[2 * V] = {1, 2, 0, 2, 3, 4, 2, 4, 3, 0};
    return (struct network_config){
        .L = L,
        .V = V,
        .P = P,
        .C = 8,
        .Fd = 10,
        .H = 2,
        .D = 3,
        .layers = 2,
        .rank = 3,
        .mixer = mixer_find(mixer, NULL),
        .options = {.taylor2_shortcut = true,
                    .inline_local = axis == AXIS_VARIATE ? LOCAL_KNN : LOCAL_ORDER3,
                    .luna_m = 3,
                    .luna_lc = 2,
                    .luna_hidden = 5,
                    .gdn_window = 4,
                    .gdn_sinks = 1,
                    .gdn_chunk = 16,
                    .h3_head = 4,
                    .h3_shift_len = 5,
                    .h3_state = 3},
        .axis = axis,
        .patch = 3,
        .order = axis == AXIS_VARIATE ? order : NULL,
        .near = axis == AXIS_VARIATE ? near : NULL,
        .dropout = 0.4,
        .skip = true,
    };
}

struct fixture {
    struct network *network;
    size_t size;
    real *theta, *dtheta, x[B * L * V], y[B * P * V], weight[B * P * V];
    struct dropout_step step;
};

static void set_up(struct fixture *f, const struct network_config *config)
{
    struct err err = {0};
    *f = (struct fixture){.network = network_new(config, B, true, NULL, &err),
                          .step = {.seed = 3, .step = 9}};
    if (!f->network)
        fail_msg("%s", err.msg);
    f->size = network_size(f->network);
    f->theta = calloc(f->size, sizeof *f->theta);
    f->dtheta = calloc(f->size, sizeof *f->dtheta);
    network_init(f->network, f->theta, 1);
    fill_normal(f->x, B * L * V, 1, 2);
    fill_normal(f->weight, B * P * V, 2, 1);
}

static void tear_down(struct fixture *f)
{
    network_free(f->network);
    free(f->theta);
    free(f->dtheta);
}

static double value(void *ctx)
{
    struct fixture *const f = ctx;
    network_forward(f->network, f->theta, f->x, NULL, B, f->y, &f->step);
    return weigh(f->y, f->weight, B * P * V);
}

/* Once more, through everything around the mixers: one number of each tensor. */
static void g1_gradients(void **state)
{
    (void)state;
    for (size_t m = 0; mixer_name(m); m++)
        for (int axis = AXIS_VARIATE; axis <= AXIS_PATCH; axis++) {
            const struct network_config config =
                config_of(mixer_name(m), (enum model_axis)axis);
            struct fixture f;
            set_up(&f, &config);
            value(&f);
            network_backward(f.network, f.theta, f.weight, f.dtheta, NULL);
            for (size_t i = 0; i < network_tensors(f.network); i++) {
                const struct tensor *const t = network_tensor(f.network, i);
                char what[120];
                snprintf(what, sizeof what, "%s, axis %d: %s", mixer_name(m), axis,
                         t->name);
                assert_gradient(value, &f, f.theta + t->offset, f.dtheta + t->offset,
                                t->shape[0] * t->shape[1], 1, what);
            }
            tear_down(&f);
        }
}

/* For every mixer and axis. */
static void f2_folded_is_unfolded(void **state)
{
    (void)state;
    for (size_t m = 0; mixer_name(m); m++)
        for (int axis = AXIS_VARIATE; axis <= AXIS_PATCH; axis++) {
            const struct network_config config =
                config_of(mixer_name(m), (enum model_axis)axis);
            struct fixture f;
            struct err err = {0};
            real y[B * P * V];
            set_up(&f, &config);
            fill_normal(f.theta, f.size, 8, 0.3); /* no tensor at its first zeros */
            struct network *const served = network_new(&config, B, false, NULL, &err);
            struct network_fold *const fold = network_fold_new(served, f.theta, &err);
            assert_true(served && fold);
            network_forward(f.network, f.theta, f.x, NULL, B, f.y, NULL);
            network_forward_folded(served, f.theta, fold, f.x, NULL, B, y);
            if (worst_difference(y, f.y, B * P * V) > 1e-9) {
                print_error("%s, axis %d: %g\n", mixer_name(m), axis,
                            worst_difference(y, f.y, B * P * V));
                fail();
            }
            network_fold_free(fold);
            network_free(served);
            tear_down(&f);
        }
}

/* Copies and patches are tokens of one series: no other series is seen. */
static void series_stay_apart(void **state)
{
    (void)state;
    for (int axis = AXIS_EMBED; axis <= AXIS_PATCH; axis++) {
        const struct network_config config = config_of("softmax", (enum model_axis)axis);
        struct fixture f;
        real before[B * P * V];
        set_up(&f, &config);
        network_forward(f.network, f.theta, f.x, NULL, B, f.y, NULL);
        memcpy(before, f.y, sizeof before);
        for (size_t i = 0; i < B * L * V; i++)
            if (i % V == 1)
                f.x[i] = -f.x[i] + (real)(i / V % L);
        network_forward(f.network, f.theta, f.x, NULL, B, f.y, NULL);
        for (size_t i = 0; i < B * P * V; i++)
            assert_true((f.y[i] == before[i]) == (i % V != 1));
        tear_down(&f);
    }
}

/* V = 1 and series as tokens: every mixer is a function of that series alone, the
 * same one in company where it may not look. */
static void f4_one_series_is_one_token(void **state)
{
    (void)state;
    for (size_t m = 0; mixer_name(m); m++) {
        struct network_config config = config_of(mixer_name(m), AXIS_VARIATE);
        static const uint32_t itself[2] = {0, 0};
        config.V = 1;
        config.order = NULL;
        config.near = itself;
        struct fixture f;
        set_up(&f, &config);
        network_forward(f.network, f.theta, f.x, NULL, 1, f.y, NULL);
        for (size_t j = 0; j < P; j++)
            assert_true(isfinite(f.y[j]));
        tear_down(&f);
    }
}

static void a_patch_divides_the_window(void **state)
{
    (void)state;
    struct err err = {0};
    struct network_config config = config_of("linear", AXIS_PATCH);
    config.patch = 5;
    assert_err(network_check(&config, 1, &err), &err, ERR_INVALID,
               "patch: must divide the lookback 12, got 5");
}

/* ---- the chain --------------------------------------------------------------------- */

static struct model_spec joint_spec(const char *mixer)
{
    struct model_spec spec = waves_spec(GROUP_JOINT);
    small_set(&spec, "mixer", mixer);
    small_set(&spec, "order", "corr");
    return spec;
}

/* Columns 0 and 3 are one series with opposite signs, 1 and 2 nearly one. */
static void the_chain_follows_correlation(void **state)
{
    (void)state;
    struct grid grid = small_grid(200, 4, 0);
    struct panel panel;
    struct chain chain;
    struct err err = {0};
    for (size_t i = 0; i < 200; i++) {
        const double a = sin((double)i / 3), b = cos((double)i / 7);
        double *const row = grid.values + i * 4;
        row[0] = a + 0.3 * b;
        row[3] = -5 * row[0];
        row[1] = b;
        row[2] = b + 0.05 * sin((double)i);
    }
    assert_ok(panel_init(&panel, &grid, GROUP_JOINT, 150, &err), &err);
    assert_ok(chain_init(&chain, &panel, 150, &err), &err);
    assert_true(chain_is_whole(&chain));
    assert_int_equal(chain.near[0], 3);
    assert_int_equal(chain.near[2 * 1], 2);
    assert_int_equal(chain.near[2 * 2], 1);
    assert_int_equal(chain.near[2 * 3], 0);
    size_t place[4];
    for (size_t i = 0; i < 4; i++)
        place[chain.order[i]] = i;
    assert_int_equal(labs((long)place[0] - (long)place[3]), 1);
    assert_int_equal(labs((long)place[1] - (long)place[2]), 1);
    chain.order[0] = chain.order[1];
    assert_false(chain_is_whole(&chain));
    chain_fini(&chain);
    panel_fini(&panel);
    grid_fini(&grid);
}

/* A model keeps its chain: saved and loaded it forecasts the same. */
static void a_model_keeps_its_chain(void **state)
{
    (void)state;
    static const char *const mixers[] = {"rwkv7", "inline"};
    for (size_t k = 0; k < 2; k++) {
        const struct model_spec spec = joint_spec(mixers[k]);
        struct grid grid = small_waves(400, 3);
        struct err err = {0};
        const double quantiles[] = {0.5};
        double values[2][3 * 8];
        void *bytes = NULL;
        size_t len = 0;
        struct model *const trained = model_train(&grid, &spec, NULL, &err);
        if (!trained)
            fail_msg("%s", err.msg);
        assert_true(model_params(trained) > 0);
        assert_ok(model_save(trained, &bytes, &len, &err), &err);
        struct model *const loaded = model_load(bytes, len, &err);
        if (!loaded)
            fail_msg("%s", err.msg);
        for (size_t i = 0; i < 2; i++) {
            const struct model *const m = i ? loaded : trained;
            struct forecaster_work *const work = forecaster_work_new(m, &err);
            struct model_answer answers[3] = {0};
            for (size_t s = 0; s < 3; s++)
                answers[s].values = values[i] + s * 8;
            assert_ok(model_forecast(m, work, &grid, 8, quantiles, 1, answers, &err),
                      &err);
            forecaster_work_free(work);
        }
        assert_memory_equal(values[0], values[1], sizeof values[0]);
        free(bytes);
        model_free(loaded);
        model_free(trained);
        grid_fini(&grid);
    }
}

static void settings_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct err err = {0};
    struct model_spec spec = small_spec(GROUP_EACH);
    small_set(&spec, "order", "corr");
    assert_err(model_spec_check(&spec, &err), &err, ERR_INVALID,
               "order: corr needs series as tokens");
    spec = small_spec(GROUP_JOINT);
    small_set(&spec, "mixer", "gdn_swa");
    small_set(&spec, "gdn_rope", "true");
    assert_err(model_spec_check(&spec, &err), &err, ERR_INVALID,
               "gdn_rope: must be false unless axis is patch");
    small_set(&spec, "axis", "patch");
    assert_err(model_spec_check(&spec, &err), &err, ERR_INVALID,
               "patch: must divide the lookback 16, got 24");
    small_set(&spec, "patch", "4");
    assert_ok(model_spec_check(&spec, &err), &err);
    spec = small_spec(GROUP_EACH);
    small_set(&spec, "mixer", "taylor2");
    small_set(&spec, "taylor2_pos", "learn");
    assert_err(model_spec_check(&spec, &err), &err, ERR_INVALID,
               "taylor2_pos: must be none unless axis is patch");
    small_set(&spec, "axis", "patch");
    small_set(&spec, "patch", "4");
    assert_ok(model_spec_check(&spec, &err), &err);
    small_set(&spec, "cycle", "false");
    small_set(&spec, "causal", "true");
    small_set(&spec, "stream", "true"); /* goes on past the last place */
    assert_err(model_spec_check(&spec, &err), &err, ERR_INVALID, "taylor2_pos");
    small_set(&spec, "taylor2_pos", "none");
    assert_ok(model_spec_check(&spec, &err), &err);
}

int main(void)
{
    model_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(g1_gradients),
        cmocka_unit_test(f2_folded_is_unfolded),
        cmocka_unit_test(series_stay_apart),
        cmocka_unit_test(f4_one_series_is_one_token),
        cmocka_unit_test(a_patch_divides_the_window),
        cmocka_unit_test(the_chain_follows_correlation),
        cmocka_unit_test(a_model_keeps_its_chain),
        cmocka_unit_test(settings_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
