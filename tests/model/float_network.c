/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/network.h"

#include "model/linear.h"
#include "model/matrix.h"
#include "model/mixer.h"
#include "model/threads.h"
#include "tests/model/allocations.h"
#include "tests/model/gradient.h"
#include "tests/model/rwkv7_plain.h"

/* ---- the mixer --------------------------------------------------------------------- */

enum { C = 32, H = 2, TOKENS_MAX = 70, ROWS_MAX = 96 };

struct fixture {
    struct mixer_config config;
    struct tensors tensors;
    struct arena arena;
    void *tape, *work;
    real *theta, *x, *y;
};

static void carve(struct fixture *f, size_t B, size_t T, struct arena *arena)
{
    f->tape = mixer_tape(&f->config, B, T, arena);
    f->work = mixer_work(&f->config, B, T, false, arena);
    f->theta = arena_reals(arena, f->tensors.size);
    f->x = arena_reals(arena, ROWS_MAX * C);
    f->y = arena_reals(arena, ROWS_MAX * C);
}

static void set_up(struct fixture *f, size_t B, size_t T)
{
    *f = (struct fixture){
        .config = {.mixer = mixer_find("rwkv7", NULL), .C = C, .H = H, .rank = 5}};
    mixer_params(&f->config, &f->tensors, "mixer");
    struct arena arena = arena_measure();
    carve(f, B, T, &arena);
    assert_int_equal(arena_open(&arena, NULL), 0);
    carve(f, B, T, &arena);
    f->arena = arena;
    fill_normal(f->theta, f->tensors.size, 1, 0.3);
    fill_normal(f->x, B * T * C, 2, 1);
}

static void tear_down(struct fixture *f)
{
    arena_close(&f->arena);
    tensors_fini(&f->tensors);
}

static void forward(struct fixture *f, size_t B, size_t T)
{
    const struct dropout none = {.p = 0};
    const struct mixer_call call = {
        .config = &f->config, .B = B, .T = T, .dropout = &none};
    mixer_forward(&call, f->theta, f->x, f->y, f->tape, f->work);
}

/* Against the plain formulas in double, from the same parameters. */
static void g2_float_is_double(void **state)
{
    (void)state;
    static const size_t tokens[] = {1, 2, 9, TOKENS_MAX};
    for (size_t i = 0; i < 4; i++) {
        struct fixture f;
        const size_t T = tokens[i];
        set_up(&f, 1, T);
        double *const theta = malloc(f.tensors.size * sizeof *theta);
        for (size_t k = 0; k < f.tensors.size; k++)
            theta[k] = (double)f.theta[k];
        const struct plain plain = {
            .theta = theta, .tensors = &f.tensors, .C = C, .H = H};
        double S[C * C / H] = {0}, worst = 0, scale = 0;
        forward(&f, 1, T);
        for (size_t t = 0; t < T; t++) {
            double x[C], y[C];
            for (size_t c = 0; c < C; c++)
                x[c] = (double)f.x[t * C + c];
            plain_token(&plain, x, y, S);
            for (size_t c = 0; c < C; c++) {
                worst = fmax(worst, fabs((double)f.y[t * C + c] - y[c]));
                scale = fmax(scale, fabs(y[c]));
            }
        }
        assert_true(worst <= 2e-4 * scale);
        free(theta);
        tear_down(&f);
    }
}

static void g8_extremes_stay_finite(void **state)
{
    (void)state;
    static const size_t tokens[] = {1, 9, TOKENS_MAX};
    static const double sizes[] = {0, 1e-30, 1e3};
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 3; k++) {
            struct fixture f;
            set_up(&f, 1, tokens[i]);
            fill_normal(f.x, tokens[i] * C, 3, sizes[k]);
            forward(&f, 1, tokens[i]);
            for (size_t n = 0; n < tokens[i] * C; n++)
                assert_true(isfinite(f.y[n]));
            tear_down(&f);
        }
}

/* ---- the network ------------------------------------------------------------------- */

enum { BATCH = 32, LENGTH = 96, SERIES = 7, HORIZON = 96 };

static real x[BATCH * LENGTH * SERIES], y[BATCH * HORIZON * SERIES];
static real y2[BATCH * HORIZON * SERIES], dy[BATCH * HORIZON * SERIES];

static struct network_config config_of(size_t width)
{
    return (struct network_config){.L = LENGTH,
                                   .V = SERIES,
                                   .P = HORIZON,
                                   .C = width,
                                   .Fd = width,
                                   .H = 4,
                                   .D = 2,
                                   .layers = 2,
                                   .rank = 16,
                                   .mixer = mixer_find("rwkv7", NULL),
                                   .dropout = 0.2,
                                   .out_dropout = true};
}

/* A window's forecast has the same bits alone and in every place of every batch, and
 * in a network made for training. */
static void g6_a_window_depends_on_itself_alone(void **state)
{
    (void)state;
    static const size_t widths[] = {16, 64, 128}, batches[] = {2, 3, 5, 17, BATCH};
    const size_t in = LENGTH * SERIES, out = HORIZON * SERIES;
    for (size_t i = 0; i < 3; i++) {
        const struct network_config config = config_of(widths[i]);
        struct network *const single = network_new(&config, 1, false, NULL, NULL);
        struct network *const many = network_new(&config, BATCH, true, NULL, NULL);
        real *const theta = malloc(network_size(single) * sizeof *theta);
        network_init(single, theta, 1);
        fill_normal(x, BATCH * in, 1, 1);
        for (size_t b = 0; b < BATCH; b++)
            network_forward(single, theta, x + b * in, NULL, 1, y + b * out, NULL);
        for (size_t k = 0; k < sizeof batches / sizeof *batches; k++) {
            network_forward(many, theta, x, NULL, batches[k], y2, NULL);
            assert_memory_equal(y, y2, batches[k] * out * sizeof *y);
        }
        free(theta);
        network_free(many);
        network_free(single);
    }
}

/* What serves is multiplied out; it says the same, alone and in a batch. */
static void f2_folded_is_unfolded_and_alone(void **state)
{
    (void)state;
    const size_t in = LENGTH * SERIES, out = HORIZON * SERIES;
    struct network_config config = config_of(64);
    config.skip = true;
    struct network *const network = network_new(&config, BATCH, false, NULL, NULL);
    real *const theta = malloc(network_size(network) * sizeof *theta);
    network_init(network, theta, 1);
    struct network_fold *const fold = network_fold_new(network, theta, NULL);
    assert_non_null(fold);
    fill_normal(x, BATCH * in, 1, 1);
    network_forward(network, theta, x, NULL, BATCH, y, NULL);
    network_forward_folded(network, theta, fold, x, NULL, BATCH, y2);
    double worst = 0;
    for (size_t i = 0; i < BATCH * out; i++)
        worst = fmax(worst, fabs((double)y[i] - (double)y2[i]));
    assert_true(worst < 1e-5);
    const size_t before = allocations();
    for (size_t b = 0; b < BATCH; b += 5)
        network_forward_folded(network, theta, fold, x + b * in, NULL, 1, y + b * out);
    assert_int_equal(allocations(), before);
    for (size_t b = 0; b < BATCH; b += 5)
        assert_memory_equal(y + b * out, y2 + b * out, out * sizeof *y);
    network_fold_free(fold);
    free(theta);
    network_free(network);
}

/* Nothing is allocated inside a step or a forecast, whatever the threads. */
static void g7_calls_allocate_nothing(void **state)
{
    (void)state;
    struct threads *const pool = threads_start(3);
    const struct network_config config = config_of(64);
    const struct dropout_step step = {.seed = 1};
    struct network *const network = network_new(&config, BATCH, true, pool, NULL);
    real *const theta = malloc(2 * network_size(network) * sizeof *theta);
    real *const dtheta = theta + network_size(network);
    memset(dtheta, 0, network_size(network) * sizeof *dtheta);
    network_init(network, theta, 1);
    const size_t before = allocations();
    for (int i = 0; i < 4; i++) {
        network_forward(network, theta, x, NULL, BATCH, y, &step);
        network_backward(network, theta, dy, dtheta, NULL);
        network_forward(network, theta, x, NULL, 1, y, NULL);
    }
    assert_int_equal(allocations(), before);
    network_free(network_new(&config, 1, false, NULL, NULL));
    assert_true(!COUNTS || allocations() > before);
    free(theta);
    network_free(network);
    threads_stop(pool);
}

int main(void)
{
    matrix_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(g2_float_is_double),
        cmocka_unit_test(g8_extremes_stay_finite),
        cmocka_unit_test(g6_a_window_depends_on_itself_alone),
        cmocka_unit_test(f2_folded_is_unfolded_and_alone),
        cmocka_unit_test(g7_calls_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
