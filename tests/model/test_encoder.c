/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/encoder.h"

#include "model/linear.h"
#include "model/matrix.h"
#include "tests/model/gradient.h"

enum { B = 2, T = 5, C = 8, N_X = B * T * C };

struct fixture {
    struct encoder_config config;
    struct encoder_call call;
    struct tensors tensors;
    struct arena arena;
    struct encoder_tape *tape;
    struct encoder_work *work;
    real *theta, *dtheta, *x, *dx, *y, *weight;
};

static void carve(struct fixture *f, struct arena *arena)
{
    const size_t rows = B * T * C;
    f->tape = encoder_tape(&f->config, B, T, arena);
    f->work = encoder_work(&f->config, B, T, true, arena);
    f->theta = arena_reals(arena, f->tensors.size);
    f->dtheta = arena_reals(arena, f->tensors.size);
    f->x = arena_reals(arena, rows);
    f->dx = arena_reals(arena, rows);
    f->y = arena_reals(arena, rows);
    f->weight = arena_reals(arena, rows);
}

static void set_up(struct fixture *f, double p)
{
    *f = (struct fixture){
        .config = {.mix = {.mixer = mixer_find("rwkv7", NULL), .C = C, .H = 2, .rank = 3},
                   .Fd = 11}};
    f->call = (struct encoder_call){.config = &f->config,
                                    .B = B,
                                    .T = T,
                                    .stream = {.seed = 1, .purpose = 7},
                                    .p = p};
    encoder_params(&f->config, &f->tensors, "layer");
    assert_int_equal(f->tensors.size, encoder_size(&f->config));
    struct arena arena = arena_measure();
    carve(f, &arena);
    assert_int_equal(arena_open(&arena, NULL), 0);
    carve(f, &arena);
    f->arena = arena;
    fill_normal(f->theta, f->tensors.size, 1, 0.4);
    fill_normal(f->x, N_X, 2, 1);
    fill_normal(f->weight, N_X, 3, 1);
}

static double value(void *ctx)
{
    struct fixture *const f = ctx;
    encoder_forward(&f->call, f->theta, f->x, f->y, f->tape, f->work);
    return weigh(f->y, f->weight, N_X);
}

static void gradients(void **state)
{
    (void)state;
    static const double dropouts[] = {0, 0.6};
    for (size_t i = 0; i < 2; i++) {
        struct fixture f;
        set_up(&f, dropouts[i]);
        value(&f);
        encoder_backward(&f.call, f.theta, f.x, f.weight, f.dx, f.dtheta, f.tape, f.work);
        assert_gradient(value, &f, f.x, f.dx, N_X, N_X, "x");
        for (size_t k = 0; k < f.tensors.count; k++) {
            const struct tensor *const t = &f.tensors.list[k];
            assert_gradient(value, &f, f.theta + t->offset, f.dtheta + t->offset,
                            t->shape[0] * t->shape[1], 24, t->name);
        }
        assert_true(arena_check(&f.arena));
        arena_close(&f.arena);
        tensors_fini(&f.tensors);
    }
}

static void its_tensors_follow_the_mixers(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, 0);
    assert_string_equal(f.tensors.list[0].name, "layer.mixer.mu_r");
    assert_string_equal(f.tensors.list[f.tensors.count - 8].name, "layer.ln1.g");
    size_t at = 0;
    for (size_t k = 0; k < f.tensors.count; k++) {
        const struct tensor *const t = &f.tensors.list[k];
        assert_int_equal(t->offset, at);
        at += t->shape[0] * t->shape[1];
        assert_true(t->decay == (t->rank == 2)); /* matrices only */
    }
    assert_int_equal(at, f.tensors.size);
    arena_close(&f.arena);
    tensors_fini(&f.tensors);
}

int main(void)
{
    matrix_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(its_tensors_follow_the_mixers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
