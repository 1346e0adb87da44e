/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/rwkv7.h"

#include "model/linear.h"
#include "model/matrix.h"
#include "model/threads.h"
#include "tests/model/gradient.h"
#include "tests/model/rwkv7_plain.h"

/* A mixer with random parameters, of the initial size but all of them in play. */
struct fixture {
    struct mixer_config config;
    struct mixer_call call;
    struct dropout dropout;
    struct tensors tensors;
    struct arena arena;
    void *tape, *work;
    size_t n; /* reals in x and y */
    real *theta, *dtheta, *x, *dx, *y, *weight;
};

static void carve(struct fixture *f, struct arena *arena)
{
    const size_t rows = (f->call.B * f->call.T) * f->config.C;
    f->tape = mixer_tape(&f->config, f->call.B, f->call.T, arena);
    f->work = mixer_work(&f->config, f->call.B, f->call.T, true, arena);
    f->theta = arena_reals(arena, f->tensors.size);
    f->dtheta = arena_reals(arena, f->tensors.size);
    f->x = arena_reals(arena, rows);
    f->dx = arena_reals(arena, rows);
    f->y = arena_reals(arena, rows);
    f->weight = arena_reals(arena, rows);
}

static void set_up(struct fixture *f, size_t B, size_t T, size_t H, size_t N)
{
    *f = (struct fixture){
        .config = {.mixer = &rwkv7_mixer, .C = H * N, .H = H, .rank = 5}};
    f->call =
        (struct mixer_call){.config = &f->config, .B = B, .T = T, .dropout = &f->dropout};
    f->n = B * T * f->config.C;
    mixer_params(&f->config, &f->tensors, "mixer");
    assert_int_equal(f->tensors.size, mixer_size(&f->config));
    struct arena arena = arena_measure();
    carve(f, &arena);
    assert_int_equal(arena_open(&arena, NULL), 0);
    carve(f, &arena);
    f->arena = arena;
    fill_normal(f->theta, f->tensors.size, 1, 0.4);
    fill_normal(f->x, f->n, 2, 1);
    fill_normal(f->weight, f->n, 3, 1);
}

static void tear_down(struct fixture *f)
{
    assert_true(arena_check(&f->arena)); /* nobody wrote past an end */
    arena_close(&f->arena);
    tensors_fini(&f->tensors);
}

static double value(void *ctx)
{
    struct fixture *const f = ctx;
    mixer_forward(&f->call, f->theta, f->x, f->y, f->tape, f->work);
    return weigh(f->y, f->weight, f->n);
}

static void backward(struct fixture *f)
{
    value(f);
    mixer_backward(&f->call, f->theta, f->x, f->weight, f->dx, f->dtheta, f->tape,
                   f->work);
}

static const struct {
    size_t B, T, H, N;
} sizes[] = {{2, 9, 2, 4}, {2, 1, 2, 4}, {2, 2, 2, 4}, {1, 70, 2, 16}, {5, 7, 4, 8}};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void forward_is_the_formulas(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        struct fixture f;
        double want[PLAIN_C_MAX];
        set_up(&f, sizes[i].B, sizes[i].T, sizes[i].H, sizes[i].N);
        const struct plain plain = {
            .theta = f.theta, .tensors = &f.tensors, .C = f.config.C, .H = f.config.H};
        value(&f);
        for (size_t b = 0; b < f.call.B; b++) {
            double S[PLAIN_C_MAX * PLAIN_N_MAX] = {0};
            for (size_t t = 0; t < f.call.T; t++) {
                const size_t at = (b * f.call.T + t) * f.config.C;
                plain_token(&plain, f.x + at, want, S);
                assert_true(worst_difference(f.y + at, want, f.config.C) < 1e-11);
            }
        }
        tear_down(&f);
    }
}

/* With and without dropout; for T = 70 the state form with its checkpoints. */
static void g1_gradients(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * SIZES; i++) {
        struct fixture f;
        set_up(&f, sizes[i / 2].B, sizes[i / 2].T, sizes[i / 2].H, sizes[i / 2].N);
        f.dropout = (struct dropout){.stream = {.seed = 4}, .p = i % 2 ? 0.3 : 0};
        backward(&f);
        const size_t most = i < 2 ? 24 : 4; /* the other sizes are other paths alone */
        assert_gradient(value, &f, f.x, f.dx, f.n, 64, "x");
        for (size_t k = 0; k < f.tensors.count; k++) {
            const struct tensor *const t = &f.tensors.list[k];
            assert_gradient(value, &f, f.theta + t->offset, f.dtheta + t->offset,
                            t->shape[0] * t->shape[1], most, t->name);
        }
        tear_down(&f);
    }
}

static void g1_gradients_are_added(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, 2, 9, 2, 4);
    backward(&f);
    real once[72], theta_once[2048];
    assert_true(f.tensors.size <= 2048);
    memcpy(once, f.dx, sizeof once);
    memcpy(theta_once, f.dtheta, f.tensors.size * sizeof *theta_once);
    for (size_t i = 0; i < 72; i++)
        once[i] *= 2;
    for (size_t i = 0; i < f.tensors.size; i++)
        theta_once[i] *= 2;
    backward(&f);
    assert_true(worst_difference(f.dx, once, 72) < 1e-12);
    assert_true(worst_difference(f.dtheta, theta_once, f.tensors.size) < 1e-12);
    tear_down(&f);
}

static void g4_later_tokens_do_not_matter(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        struct fixture f;
        set_up(&f, 1, sizes[i].T, sizes[i].H, sizes[i].N);
        const size_t C = f.config.C, t = sizes[i].T / 2;
        real *const before = malloc(f.n * sizeof *before);
        value(&f);
        memcpy(before, f.y, f.n * sizeof *before);
        for (size_t c = 0; c < C; c++)
            f.x[t * C + c] += 1;
        value(&f);
        assert_memory_equal(before, f.y, t * C * sizeof *before);
        assert_memory_not_equal(before + t * C, f.y + t * C, C * sizeof *before);
        free(before);
        tear_down(&f);
    }
    assert_true(mixer_flags(&(struct mixer_config){.mixer = &rwkv7_mixer}) &
                MIXER_CAUSAL);
}

static void g5_steps_are_the_forward_pass(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        struct fixture f;
        set_up(&f, 1, sizes[i].T, sizes[i].H, sizes[i].N);
        const size_t C = f.config.C, size = mixer_state_size(&f.config);
        real *const memory = calloc(size, sizeof *memory);
        real *const work = calloc(mixer_step_work_size(&f.config), sizeof *work);
        real y[PLAIN_C_MAX];
        assert_int_equal(size, sizes[i].H * sizes[i].N * sizes[i].N);
        value(&f);
        for (size_t t = 0; t < f.call.T; t++) {
            mixer_step(&f.config, f.theta, f.x + t * C, y, memory, work);
            assert_true(worst_difference(y, f.y + t * C, C) < 1e-10);
        }
        free(work);
        free(memory);
        tear_down(&f);
    }
    assert_true(mixer_flags(&(struct mixer_config){.mixer = &rwkv7_mixer}) & MIXER_STEP);
}

static void g7_threads_change_no_bit(void **state)
{
    (void)state;
    struct threads *const pool = threads_start(4);
    for (size_t i = 0; i < SIZES; i++) {
        struct fixture one, four;
        set_up(&one, sizes[i].B, sizes[i].T, sizes[i].H, sizes[i].N);
        set_up(&four, sizes[i].B, sizes[i].T, sizes[i].H, sizes[i].N);
        one.dropout = four.dropout = (struct dropout){.stream = {.seed = 4}, .p = 0.3};
        one.call.dropout = &one.dropout;
        four.call.dropout = &four.dropout;
        four.call.pool = pool;
        backward(&one);
        backward(&four);
        assert_memory_equal(one.y, four.y, one.n * sizeof *one.y);
        assert_memory_equal(one.dx, four.dx, one.n * sizeof *one.dx);
        assert_memory_equal(one.dtheta, four.dtheta,
                            one.tensors.size * sizeof *one.dtheta);
        tear_down(&four);
        tear_down(&one);
    }
    threads_stop(pool);
}

/* A key of all zeros has no direction, and none is made up in backward. */
static void a_zero_key_is_finite(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, 2, 9, 2, 4);
    memset(f.theta, 0, f.tensors.size * sizeof *f.theta);
    backward(&f);
    for (size_t i = 0; i < f.tensors.size; i++)
        assert_true(isfinite(f.dtheta[i]));
    tear_down(&f);
}

static void mixers_are_found_by_name(void **state)
{
    (void)state;
    struct err err = {0};
    assert_ptr_equal(mixer_find("rwkv7", &err), &rwkv7_mixer);
    assert_null(mixer_find("softmin", &err));
    assert_non_null(strstr(err.msg, "mixer: must be one of "));
    assert_non_null(strstr(err.msg, ", got \"softmin\""));
    const struct mixer_config config = {.mixer = &rwkv7_mixer, .C = 8, .H = 2, .rank = 0};
    assert_err(mixer_check(&config, &err), &err, ERR_INVALID, "rank: must be 1..");
}

int main(void)
{
    matrix_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_formulas),
        cmocka_unit_test(g1_gradients),
        cmocka_unit_test(g1_gradients_are_added),
        cmocka_unit_test(g4_later_tokens_do_not_matter),
        cmocka_unit_test(g5_steps_are_the_forward_pass),
        cmocka_unit_test(g7_threads_change_no_bit),
        cmocka_unit_test(a_zero_key_is_finite),
        cmocka_unit_test(mixers_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
