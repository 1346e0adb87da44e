/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/spectral.h"

#include "model/threads.h"
#include "tests/model/gradient.h"

enum { B = 3, P = 10, V = 2, SIZE = B * P * V };

struct fixture {
    struct spectral spectral;
    real y[SIZE], target[SIZE], dy[SIZE];
    double count;
};

static void set_up(struct fixture *f, double share, bool gaps)
{
    struct err err = {0};
    real weight[P];
    loss_weights(weight, P, 0.5);
    *f = (struct fixture){0};
    assert_ok(spectral_init(&f->spectral, P, B * V, share, weight, &err), &err);
    fill_normal(f->y, SIZE, 1, 1);
    fill_normal(f->target, SIZE, 2, 2);
    for (int i = 0; i < SIZE; i++) {
        const bool missing = gaps && (i % 5 == 1 || (i / (P * V) == 1 && i % V == 0));
        f->target[i] = missing ? (real)NAN : f->target[i];
        f->count += !missing;
    }
}

static double value(void *ctx)
{
    struct fixture *const f = ctx;
    return spectral_loss(&f->spectral, NULL, f->dy, f->y, f->target, B, V, f->count) /
           f->count;
}

/* By the definition: a sum for each bin. */
static double plain(const struct fixture *f, double share)
{
    double weight = 0, total = 0;
    for (int j = 0; j < P; j++)
        weight += pow(j + 1, -0.5) / P;
    for (int b = 0; b < B; b++)
        for (int v = 0; v < V; v++) {
            double moduli = 0, seen = 0;
            for (int k = 0; k <= P / 2; k++) {
                double re = 0, im = 0;
                for (int j = 0; j < P; j++) {
                    const int i = (b * P + j) * V + v;
                    const double e = isnan(f->target[i]) ? 0 : f->y[i] - f->target[i];
                    re += e * cos(2 * M_PI * k * j / P);
                    im -= e * sin(2 * M_PI * k * j / P);
                }
                moduli += hypot(re, im) / sqrt(P);
            }
            for (int j = 0; j < P; j++)
                seen += !isnan(f->target[(b * P + j) * V + v]);
            total += seen / f->count * moduli / (P / 2 + 1);
        }
    return share * weight * total;
}

static void is_the_mean_modulus(void **state)
{
    (void)state;
    for (int gaps = 0; gaps < 2; gaps++) {
        struct fixture f;
        set_up(&f, 0.7, gaps);
        assert_close(value(&f), plain(&f, 0.7), 1e-13);
        spectral_fini(&f.spectral);
    }
}

static void gradient(void **state)
{
    (void)state;
    for (int gaps = 0; gaps < 2; gaps++) {
        struct fixture f;
        real dy[SIZE];
        set_up(&f, 0.5, gaps);
        value(&f);
        memcpy(dy, f.dy, sizeof dy);
        assert_gradient(value, &f, f.y, dy, SIZE, SIZE, gaps ? "gaps" : "whole");
        for (int i = 0; i < SIZE; i++)
            assert_true(!isnan(f.target[i]) || dy[i] == 0);
        spectral_fini(&f.spectral);
    }
}

static void nothing_wrong_or_nothing_there_is_no_loss(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, 0.5, false);
    memcpy(f.target, f.y, sizeof f.y);
    assert_close(value(&f), 0, 0);
    for (int i = 0; i < SIZE; i++)
        f.target[i] = (real)NAN;
    assert_close(spectral_loss(&f.spectral, NULL, f.dy, f.y, f.target, B, V, 0), 0, 0);
    for (int i = 0; i < SIZE; i++)
        assert_close(f.dy[i], 0, 0);
    spectral_fini(&f.spectral);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    struct threads *const pool = threads_start(3);
    struct fixture one, three;
    set_up(&one, 0.5, true);
    set_up(&three, 0.5, true);
    const double a = value(&one) * one.count;
    const double b = spectral_loss(&three.spectral, pool, three.dy, three.y, three.target,
                                   B, V, three.count);
    assert_true(a / one.count == b / three.count);
    assert_memory_equal(one.dy, three.dy, sizeof one.dy);
    spectral_fini(&one.spectral);
    spectral_fini(&three.spectral);
    threads_stop(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_the_mean_modulus),
        cmocka_unit_test(gradient),
        cmocka_unit_test(nothing_wrong_or_nothing_there_is_no_loss),
        cmocka_unit_test(threads_change_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
