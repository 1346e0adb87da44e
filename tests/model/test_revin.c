/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/revin.h"

#include "tests/model/gradient.h"

enum { B = 3, L = 11, P = 7, V = 4 };

struct fixture {
    real x[B * L * V], z[B * V * L], mean[B * V], scale[B * V], gain[V], bias[V];
    real out[B * V * P], y[B * P * V];
    real weight_z[B * V * L], weight_y[B * P * V];
    real frozen_mean[B * V], frozen_scale[B * V];
};

static void fill(struct fixture *f)
{
    fill_normal(f->x, B * L * V, 1, 3);
    fill_normal(f->out, B * V * P, 2, 1);
    fill_normal(f->gain, V, 3, 0.2);
    fill_normal(f->bias, V, 4, 0.5);
    for (size_t v = 0; v < V; v++)
        f->gain[v] += 1;
    fill_normal(f->weight_z, B * V * L, 5, 1);
    fill_normal(f->weight_y, B * P * V, 6, 1);
    revin_forward(NULL, f->z, f->mean, f->scale, f->x, f->gain, f->bias, B, L, V);
    memcpy(f->frozen_mean, f->mean, sizeof f->mean);
    memcpy(f->frozen_scale, f->scale, sizeof f->scale);
}

static double value_restored(void *ctx)
{
    struct fixture *const f = ctx;
    revin_restore(NULL, f->y, f->out, f->mean, f->scale, f->gain, f->bias, B, P, V);
    return weigh(f->y, f->weight_y, B * P * V);
}

/* With mean and deviation held still, which is what backward means. */
static double value_normalised(void *ctx)
{
    struct fixture *const f = ctx;
    double sum = 0;
    for (size_t b = 0; b < B; b++)
        for (size_t v = 0; v < V; v++)
            for (size_t t = 0; t < L; t++) {
                const size_t row = b * V + v;
                const real z = (f->x[(b * L + t) * V + v] - f->frozen_mean[row]) /
                                   f->frozen_scale[row] * f->gain[v] +
                               f->bias[v];
                sum += (double)(z * f->weight_z[row * L + t]);
            }
    return sum;
}

static void normalises_and_comes_back(void **state)
{
    (void)state;
    static struct fixture f;
    fill(&f);
    assert_close(value_normalised(&f), weigh(f.z, f.weight_z, B * V * L), 1e-12);
    for (size_t row = 0; row < B * V; row++) {
        double sum = 0;
        for (size_t t = 0; t < L; t++)
            sum += (double)((f.z[row * L + t] - f.bias[row % V]) / f.gain[row % V]);
        assert_close(sum, 0, 1e-12);
    }
    real back[B * L * V];
    revin_restore(NULL, back, f.z, f.mean, f.scale, f.gain, f.bias, B, L, V);
    for (size_t i = 0; i < B * L * V; i++)
        assert_close(back[i], f.x[i], 1e-8); /* gain + 1e-10 */
}

static void a_constant_series_is_finite(void **state)
{
    (void)state;
    static struct fixture f;
    fill(&f);
    for (size_t i = 0; i < B * L * V; i++)
        f.x[i] = 5;
    revin_forward(NULL, f.z, f.mean, f.scale, f.x, f.gain, f.bias, B, L, V);
    for (size_t i = 0; i < B * V * L; i++)
        assert_close(f.z[i], f.bias[i / L % V], 1e-12);
}

static void gradients(void **state)
{
    (void)state;
    static struct fixture f;
    real dout[B * V * P], dgain[V] = {0}, dbias[V] = {0}, dx[B * L * V];
    fill(&f);
    revin_restore_backward(NULL, dout, dgain, dbias, f.weight_y, f.out, f.scale, f.gain,
                           f.bias, B, P, V);
    assert_gradient(value_restored, &f, f.out, dout, B * V * P, 100, "out");
    assert_gradient(value_restored, &f, f.gain, dgain, V, V, "gain, restored");
    assert_gradient(value_restored, &f, f.bias, dbias, V, V, "bias, restored");

    memset(dgain, 0, sizeof dgain);
    memset(dbias, 0, sizeof dbias);
    revin_backward(NULL, dx, dgain, dbias, f.weight_z, f.x, f.mean, f.scale, f.gain, B, L,
                   V);
    assert_gradient(value_normalised, &f, f.x, dx, B * L * V, 100, "x");
    assert_gradient(value_normalised, &f, f.gain, dgain, V, V, "gain");
    assert_gradient(value_normalised, &f, f.bias, dbias, V, V, "bias");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normalises_and_comes_back),
        cmocka_unit_test(a_constant_series_is_finite),
        cmocka_unit_test(gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
