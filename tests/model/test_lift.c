/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/lift.h"

#include "tests/model/gradient.h"

enum { R = 3, L = 15, D = 2, F = L / 2 + 1 };

struct fixture {
    struct lift lift;
    struct arena arena;
    real z[R * L], e[D], y_re[R * D * F], y_im[R * D * F], h[R * L * D],
        weight[R * L * D];
    real re[R * F], im[R * F], weight_re[R * F], weight_im[R * F];
};

static void set_up(struct fixture *f)
{
    f->lift = (struct lift){.plan = fft_plan(L, NULL), .L = L, .F = F, .D = D};
    f->arena = arena_measure();
    lift_carve(&f->lift, R, true, &f->arena);
    assert_int_equal(arena_open(&f->arena, NULL), 0);
    lift_carve(&f->lift, R, true, &f->arena);
    fill_normal(f->z, R * L, 1, 1);
    fill_normal(f->e, D, 2, 1);
    fill_normal(f->y_re, R * D * F, 3, 1);
    fill_normal(f->y_im, R * D * F, 4, 1);
    fill_normal(f->weight, R * L * D, 5, 1);
    fill_normal(f->weight_re, R * F, 6, 1);
    fill_normal(f->weight_im, R * F, 7, 1);
}

static double value_joined(void *ctx)
{
    struct fixture *const f = ctx;
    lift_join(&f->lift, NULL, f->h, f->z, f->e, f->y_re, f->y_im, R);
    return weigh(f->h, f->weight, R * L * D);
}

static double value_spectrum(void *ctx)
{
    struct fixture *const f = ctx;
    lift_forward(&f->lift, NULL, f->re, f->im, f->z, R);
    return weigh(f->re, f->weight_re, R * F) + weigh(f->im, f->weight_im, R * F);
}

/* The way round that the lift saves: transform every channel, add, and back. */
static void f2_is_the_long_way_round(void **state)
{
    (void)state;
    static struct fixture f;
    static _Alignas(64) real work[8 * L + 64];
    set_up(&f);
    value_joined(&f);
    for (size_t r = 0; r < R; r++)
        for (size_t d = 0; d < D; d++) {
            real lifted[L], re[F], im[F], back[L];
            for (size_t t = 0; t < L; t++)
                lifted[t] = f.e[d] * f.z[r * L + t];
            fft_forward(f.lift.plan, re, im, lifted, work);
            for (size_t k = 0; k < F; k++) {
                re[k] += f.y_re[(r * D + d) * F + k];
                im[k] += f.y_im[(r * D + d) * F + k];
            }
            fft_inverse(f.lift.plan, back, re, im, work);
            for (size_t t = 0; t < L; t++)
                assert_close(f.h[(r * L + t) * D + d], lifted[t] + back[t], 1e-12);
        }
    arena_close(&f.arena);
}

/* Without the branches, h = 2 E. */
static void f3_without_branches_it_is_twice_the_lift(void **state)
{
    (void)state;
    static struct fixture f;
    set_up(&f);
    memset(f.y_re, 0, sizeof f.y_re);
    memset(f.y_im, 0, sizeof f.y_im);
    value_joined(&f);
    for (size_t i = 0; i < R * L * D; i++)
        assert_close(f.h[i], 2 * f.e[i % D] * f.z[i / D], 1e-12);
    arena_close(&f.arena);
}

static void gradients(void **state)
{
    (void)state;
    static struct fixture f;
    real dz[R * L] = {0}, de[D] = {0}, d_re[R * D * F], d_im[R * D * F];
    set_up(&f);
    lift_join_backward(&f.lift, NULL, dz, de, d_re, d_im, f.weight, f.z, f.e, R);
    assert_gradient(value_joined, &f, f.z, dz, R * L, 100, "z, joined");
    assert_gradient(value_joined, &f, f.e, de, D, D, "e");
    assert_gradient(value_joined, &f, f.y_re, d_re, R * D * F, 100, "y, real");
    assert_gradient(value_joined, &f, f.y_im, d_im, R * D * F, 100, "y, imaginary");
    memset(dz, 0, sizeof dz);
    lift_backward(&f.lift, NULL, dz, f.weight_re, f.weight_im, R);
    assert_gradient(value_spectrum, &f, f.z, dz, R * L, 100, "z");
    arena_close(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f2_is_the_long_way_round),
        cmocka_unit_test(f3_without_branches_it_is_twice_the_lift),
        cmocka_unit_test(gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
