/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/network.h"

#include "model/mixer.h"
#include "model/threads.h"
#include "tests/model/gradient.h"

struct fixture {
    struct network *network;
    struct network_config config;
    size_t B, size, inputs, outputs;
    real *theta, *dtheta, *x, *dx, *y, *weight;
    struct dropout_step step;
    const struct dropout_step *dropout;
};

static struct network_config small(void)
{
    return (struct network_config){
        .L = 12,
        .V = 3,
        .P = 5,
        .C = 8,
        .Fd = 10,
        .H = 2,
        .D = 2,
        .layers = 2,
        .rank = 3,
        .mixer = mixer_find("rwkv7", NULL),
        .dropout = 0.4,
        .out_dropout = true,
    };
}

static void set_up(struct fixture *f, struct network_config config, size_t B,
                   struct threads *pool)
{
    struct err err = {0};
    *f = (struct fixture){.config = config, .B = B, .step = {.seed = 3, .step = 9}};
    f->network = network_new(&config, B, true, pool, &err);
    if (!f->network)
        fail_msg("%s", err.msg);
    f->size = network_size(f->network);
    f->inputs = B * config.L * config.V;
    f->outputs = B * config.P * config.V;
    f->theta = calloc(f->size, sizeof(real));
    f->dtheta = calloc(f->size, sizeof(real));
    f->x = calloc(f->inputs, sizeof(real));
    f->dx = calloc(f->inputs, sizeof(real));
    f->y = calloc(f->outputs, sizeof(real));
    f->weight = calloc(f->outputs, sizeof(real));
    network_init(f->network, f->theta, 1);
    fill_normal(f->x, f->inputs, 1, 2);
    fill_normal(f->weight, f->outputs, 2, 1);
}

static void tear_down(struct fixture *f)
{
    real *const blocks[] = {f->theta, f->dtheta, f->x, f->dx, f->y, f->weight};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        free(blocks[i]);
    network_free(f->network);
}

static void forward(struct fixture *f)
{
    static const uint32_t phase[30] = {3, 1, 2}; /* of any batch here */
    network_forward(f->network, f->theta, f->x, f->config.season ? phase : NULL, f->B,
                    f->y, f->dropout);
}

static double value(void *ctx)
{
    struct fixture *const f = ctx;
    forward(f);
    return weigh(f->y, f->weight, f->outputs);
}

static const struct tensor *tensor(const struct network *network, const char *name)
{
    for (size_t i = 0; i < network_tensors(network); i++)
        if (!strcmp(network_tensor(network, i)->name, name))
            return network_tensor(network, i);
    fail_msg("no tensor %s", name);
    return NULL;
}

static size_t elements(const struct tensor *t)
{
    return t->shape[0] * t->shape[1];
}

/* ---- shape ------------------------------------------------------------------------- */

/* The published totals, less the 2 D unused numbers of the released network, and
 * the formula. */
static void r6_parameter_counts(void **state)
{
    (void)state;
    static const struct {
        size_t D, P, published;
    } cases[] = {{8, 96, 14356726}, {8, 192, 14381398}, {16, 96, 15553566}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t L = 96, V = 7, C = 512, Fd = 512, D = cases[i].D, P = cases[i].P;
        struct network_config config = small();
        config.L = L, config.V = V, config.P = P, config.C = C, config.Fd = Fd;
        config.H = 8, config.D = D, config.layers = 2, config.rank = 0;
        struct network *const network = network_new(&config, 1, false, NULL, NULL);
        assert_non_null(network);
        assert_int_equal(network_params(network), cases[i].published - 2 * D);

        const size_t F = L / 2 + 1, E1 = (size_t)(1.2 * (double)C), r = 64;
        const size_t mixer = 6 * C + 2 * (2 * C * r + C) + 2 * C * r +
                             4 * ((C + 1) * E1 + (E1 + 1) * C) + 3 * C + 2 * C;
        const size_t layer = mixer + 4 * C + (C + 1) * Fd + (Fd + 1) * C;
        const size_t branch = (D * F + 1) * C + 2 * layer + 2 * C + (C + 1) * D * F;
        const size_t total = D + 2 * branch + (L * D + 1) * Fd + (Fd + 1) * (Fd / 2) +
                             (Fd / 2 + 1) * P + 2 * V;
        assert_int_equal(network_params(network), total);
        network_free(network);
    }
}

static void tensors_fill_the_array(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, small(), 1, NULL);
    size_t at = 0;
    for (size_t i = 0; i < network_tensors(f.network); i++) {
        const struct tensor *const t = network_tensor(f.network, i);
        assert_int_equal(t->offset, at);
        assert_true(t->used);
        at += elements(t);
        assert_ptr_equal(tensor(f.network, t->name), t); /* names are unique */
    }
    assert_int_equal(at, f.size);
    tear_down(&f);

    struct network_config flat = small();
    flat.D = 1;
    set_up(&f, flat, 1, NULL);
    assert_false(tensor(f.network, "lift")->used);
    tear_down(&f);
}

static void initial_values_follow_their_rules(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, small(), 1, NULL);
    real *const other = calloc(f.size, sizeof *other);
    network_init(f.network, other, 1);
    assert_memory_equal(other, f.theta, f.size * sizeof *other);
    network_init(f.network, other, 2);
    for (size_t i = 0; i < network_tensors(f.network); i++) {
        const struct tensor *const t = network_tensor(f.network, i);
        const real *const at = f.theta + t->offset;
        const bool same = !memcmp(at, other + t->offset, elements(t) * sizeof *at);
        assert_true(same == (t->init == INIT_CONSTANT));
        for (size_t k = 0; k < elements(t); k++) {
            if (t->init == INIT_CONSTANT)
                assert_close(at[k], t->init_value, 0);
            else if (t->init == INIT_UNIFORM)
                assert_true(fabs((double)at[k]) <= t->init_value);
            else
                assert_true(fabs((double)at[k]) < 6 * t->init_value);
        }
    }
    assert_close(tensor(f.network, "real.layer0.mixer.wr.b1")->init_value, 1 / sqrt(8),
                 1e-15);
    assert_close(tensor(f.network, "head.w1")->init_value, 1 / sqrt(24), 1e-15);
    assert_close(tensor(f.network, "lift")->init_value, 0.1, 0);
    free(other);
    tear_down(&f);
}

static void bad_sizes_are_refused(void **state)
{
    (void)state;
    const struct {
        size_t offset, value;
        const char *message;
    } cases[] = {
        {offsetof(struct network_config, L), 1, "lookback: must be 2..8192, got 1"},
        {offsetof(struct network_config, V), 0, "series: must be 1..4096, got 0"},
        {offsetof(struct network_config, P), 2049, "horizon: must be 1..2048, got 2049"},
        {offsetof(struct network_config, Fd), 1, "ff: must be 2..8192, got 1"},
        {offsetof(struct network_config, H), 3, "heads: must divide the width 8, got 3"},
        {offsetof(struct network_config, D), 65, "lift: must be 1..64, got 65"},
        {offsetof(struct network_config, layers), 17, "layers: must be 1..16, got 17"},
        {offsetof(struct network_config, rank), 9999, "rank: must be 1..4096, got 9999"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        struct network_config config = small();
        memcpy((char *)&config + cases[i].offset, &cases[i].value, sizeof(size_t));
        assert_null(network_new(&config, 1, false, NULL, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.msg, cases[i].message);
    }
    struct err err = {0};
    struct network_config config = small();
    config.dropout = NAN;
    assert_null(network_new(&config, 1, false, NULL, &err));
    assert_non_null(strstr(err.msg, "dropout: must be in [0, 1)"));
    assert_null(network_new(&config, 0, false, NULL, NULL));
}

/* ---- gradients --------------------------------------------------------------------- */

static void check_gradients(struct fixture *f)
{
    if (f->config.season) /* the table begins at zero, where little of it shows */
        fill_normal(f->theta + tensor(f->network, "cycle")->offset,
                    f->config.season * f->config.V, 6, 0.3);
    if (f->config.skip)
        fill_normal(f->theta + tensor(f->network, "skip.w")->offset,
                    (f->config.L + 1) * f->config.P, 7, 0.3);
    value(f);
    network_backward(f->network, f->theta, f->weight, f->dtheta, NULL);
    for (size_t i = 0; i < network_tensors(f->network); i++) {
        const struct tensor *const t = network_tensor(f->network, i);
        assert_gradient(value, f, f->theta + t->offset, f->dtheta + t->offset,
                        elements(t), 8, t->name);
    }
}

static void gradients(void **state)
{
    (void)state;
    struct network_config configs[6] = {small(), small(), small(),
                                        small(), small(), small()};
    configs[1].V = 1, configs[1].L = 11, configs[1].D = 1;
    configs[2].V = 20; /* T >= 2 N: the state form */
    configs[2].layers = 1;
    configs[3].out_dropout = false;
    configs[4].season = 4, configs[4].L = 11;
    configs[3].skip = configs[4].skip = true;
    configs[5].season = 17, configs[5].V = 2; /* longer than the window */
    for (size_t i = 0; i < 6; i++) {
        struct fixture f;
        set_up(&f, configs[i], 2, NULL);
        f.dropout = i == 0 ? NULL : &f.step;
        check_gradients(&f);
        tear_down(&f);
    }
}

/* The input's gradient has the window's mean and deviation held still: of a window moved
 * along a direction in which neither moves, it is the whole derivative. */
static void input_gradient(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, small(), 1, NULL);
    const size_t L = f.config.L, V = f.config.V, v = 1;
    forward(&f);
    network_backward(f.network, f.theta, f.weight, f.dtheta, f.dx);
    real turn[12], centred[12];
    double mean = 0, along = 0, length = 0, drift = 0;
    fill_normal(turn, L, 5, 1);
    for (size_t t = 0; t < L; t++) {
        mean += (double)f.x[t * V + v] / (double)L;
        drift += (double)turn[t] / (double)L;
    }
    for (size_t t = 0; t < L; t++) {
        centred[t] = f.x[t * V + v] - (real)mean;
        turn[t] -= (real)drift;
        along += (double)(centred[t] * turn[t]);
        length += (double)(centred[t] * centred[t]);
    }
    double want = 0;
    for (size_t t = 0; t < L; t++) {
        turn[t] -= (real)(along / length) * centred[t];
        want += (double)(turn[t] * f.dx[t * V + v]);
    }
    /* Rotation keeps mean and deviation exactly: centred cos + turn' sin. */
    double size = 0, at[2];
    for (size_t t = 0; t < L; t++)
        size += (double)(turn[t] * turn[t]);
    const double angle = 1e-5, ratio = sqrt(length / size);
    for (int k = 0; k < 2; k++) {
        const double a = k ? angle : -angle;
        for (size_t t = 0; t < L; t++)
            f.x[t * V + v] = (real)(mean + (double)centred[t] * cos(a) +
                                    (double)turn[t] * ratio * sin(a));
        at[k] = value(&f);
    }
    assert_close((at[1] - at[0]) / (2 * angle) / ratio, want, 1e-7);
    tear_down(&f);
}

/* What a window's cycle adds to the window, it adds to the forecast: the network sees
 * nothing of it. */
static void a_cycle_goes_through_unseen(void **state)
{
    (void)state;
    enum { S = 5 };
    static const uint32_t phase[] = {2};
    struct network_config config = small();
    config.season = S;
    struct fixture f;
    set_up(&f, config, 1, NULL);
    const size_t L = config.L, P = config.P, V = config.V;
    network_forward(f.network, f.theta, f.x, phase, 1, f.y, NULL);
    real *const before = malloc(f.outputs * sizeof *before);
    memcpy(before, f.y, f.outputs * sizeof *before);
    real *const table = f.theta + tensor(f.network, "cycle")->offset;
    fill_normal(table, S * V, 4, 3);
    for (size_t t = 0; t < L; t++) /* L + 3 is a multiple of S */
        for (size_t v = 0; v < V; v++)
            f.x[t * V + v] += table[(phase[0] + 3 + t) % S * V + v];
    network_forward(f.network, f.theta, f.x, phase, 1, f.y, NULL);
    for (size_t j = 0; j < P; j++)
        for (size_t v = 0; v < V; v++)
            assert_close(f.y[j * V + v],
                         before[j * V + v] + table[(phase[0] + j) % S * V + v], 1e-10);
    free(before);
    tear_down(&f);
}

/* ---- behaviour --------------------------------------------------------------------- */

/* Multiplied out it forecasts the same, and each sample by itself. */
static void f2_folded_is_unfolded(void **state)
{
    (void)state;
    struct network_config configs[4] = {small(), small(), small(), small()};
    configs[1].D = 1, configs[1].L = 11;
    configs[2].V = 20;
    configs[3].season = 5, configs[3].skip = true;
    static const uint32_t phase[] = {2, 4};
    for (size_t i = 0; i < 4; i++) {
        struct fixture f;
        struct err err = {0};
        set_up(&f, configs[i], 2, NULL);
        fill_normal(f.theta, f.size, 8, 0.3); /* no tensor at its first zeros */
        struct network *const served = network_new(&configs[i], 2, false, NULL, &err);
        struct network_fold *const fold = network_fold_new(served, f.theta, &err);
        assert_true(served && fold);
        real *const y = calloc(f.outputs, sizeof *y);
        network_forward(served, f.theta, f.x, phase, 2, f.y, NULL);
        network_forward_folded(served, f.theta, fold, f.x, phase, 2, y);
        for (size_t k = 0; k < f.outputs; k++)
            assert_close(y[k], f.y[k], 1e-11);
        network_forward_folded(served, f.theta, fold, f.x + f.inputs / 2, phase + 1, 1,
                               f.y);
        assert_memory_equal(f.y, y + f.outputs / 2, f.outputs / 2 * sizeof *y);
        free(y);
        network_fold_free(fold);
        network_free(served);
        tear_down(&f);
    }
}

/* A series sees itself and those before it, and nothing else. */
static void f4_series_see_what_they_should(void **state)
{
    (void)state;
    struct fixture three, one;
    struct network_config alone = small();
    alone.V = 1;
    set_up(&three, small(), 1, NULL);
    set_up(&one, alone, 1, NULL);
    const size_t L = alone.L, P = alone.P, V = 3;
    /* The same parameters: all but the instance normalisation's count no series. */
    memcpy(one.theta + tensor(one.network, "lift")->offset,
           three.theta + tensor(three.network, "lift")->offset,
           (one.size - tensor(one.network, "lift")->offset) * sizeof(real));
    for (size_t t = 0; t < L; t++)
        one.x[t] = three.x[t * V];
    forward(&one);
    forward(&three);
    for (size_t j = 0; j < P; j++)
        assert_close(three.y[j * V], one.y[j], 1e-12);

    real *const before = malloc(three.outputs * sizeof *before);
    memcpy(before, three.y, three.outputs * sizeof *before);
    for (size_t t = 0; t < L; t++) /* another shape: a shift would be taken out again */
        three.x[t * V + 1] = -three.x[t * V + 1] + (real)t;
    forward(&three);
    for (size_t j = 0; j < P; j++) {
        assert_true(three.y[j * V] == before[j * V]);
        assert_true(three.y[j * V + 1] != before[j * V + 1]);
        assert_true(three.y[j * V + 2] != before[j * V + 2]);
    }
    free(before);
    tear_down(&one);
    tear_down(&three);
}

static void f5_forecasts_scale_with_the_series(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, small(), 1, NULL);
    forward(&f);
    real *const before = malloc(f.outputs * sizeof *before);
    memcpy(before, f.y, f.outputs * sizeof *before);
    static const double slopes[] = {0.5, 40, 3e4}, shifts[] = {-7, 1e3, 1e6};
    real *const x = malloc(f.inputs * sizeof *x);
    memcpy(x, f.x, f.inputs * sizeof *x);
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < f.inputs; k++)
            f.x[k] = (real)(slopes[i] * (double)x[k] + shifts[i]);
        forward(&f);
        for (size_t k = 0; k < f.outputs; k++) {
            const double want = slopes[i] * (double)before[k];
            assert_close((double)f.y[k] - shifts[i], want,
                         1e-4 * slopes[i] / fmax(1, fabs(want)));
        }
    }
    free(x);
    free(before);
    tear_down(&f);
}

static void dropout_is_a_function_of_seed_and_step(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, small(), 2, NULL);
    real *const first = malloc(f.outputs * sizeof *first);
    f.dropout = &f.step;
    forward(&f);
    memcpy(first, f.y, f.outputs * sizeof *first);
    f.dropout = NULL; /* a validation in between */
    forward(&f);
    assert_memory_not_equal(first, f.y, f.outputs * sizeof *first);
    f.dropout = &f.step;
    forward(&f);
    assert_memory_equal(first, f.y, f.outputs * sizeof *first);
    f.step.step++;
    forward(&f);
    assert_memory_not_equal(first, f.y, f.outputs * sizeof *first);
    free(first);
    tear_down(&f);
}

/* Bits of outputs and gradients. */
static void g7_threads_change_no_bit(void **state)
{
    (void)state;
    struct threads *const pool = threads_start(4);
    struct network_config config = small();
    config.V = 5;
    config.season = 7;
    config.skip = true;
    struct fixture one, four;
    set_up(&one, config, 30, NULL);
    set_up(&four, config, 30, pool);
    struct fixture *const both[] = {&one, &four};
    for (size_t i = 0; i < 2; i++) {
        both[i]->dropout = &both[i]->step;
        forward(both[i]);
        network_backward(both[i]->network, both[i]->theta, both[i]->weight,
                         both[i]->dtheta, both[i]->dx);
    }
    assert_memory_equal(one.y, four.y, one.outputs * sizeof *one.y);
    assert_memory_equal(one.dtheta, four.dtheta, one.size * sizeof *one.dtheta);
    assert_memory_equal(one.dx, four.dx, one.inputs * sizeof *one.dx);
    tear_down(&four);
    tear_down(&one);
    threads_stop(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r6_parameter_counts),
        cmocka_unit_test(tensors_fill_the_array),
        cmocka_unit_test(initial_values_follow_their_rules),
        cmocka_unit_test(bad_sizes_are_refused),
        cmocka_unit_test(gradients),
        cmocka_unit_test(input_gradient),
        cmocka_unit_test(a_cycle_goes_through_unseen),
        cmocka_unit_test(f2_folded_is_unfolded),
        cmocka_unit_test(f4_series_see_what_they_should),
        cmocka_unit_test(f5_forecasts_scale_with_the_series),
        cmocka_unit_test(dropout_is_a_function_of_seed_and_step),
        cmocka_unit_test(g7_threads_change_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
