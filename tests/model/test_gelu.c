/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/gelu.h"

#include "tests/model/gradient.h"

enum { R = 5, C = 9, STRIDE = 12 };

struct fixture {
    real x[R * STRIDE], y[R * STRIDE], slope[R * STRIDE], weight[R * STRIDE];
};

static double value(void *ctx)
{
    struct fixture *const f = ctx;
    memcpy(f->slope, f->x, sizeof f->x);
    gelu_forward(NULL, f->y, STRIDE, f->slope, STRIDE, R, C);
    return weigh(f->y, f->weight, (size_t)R * STRIDE);
}

static void values(void **state)
{
    (void)state;
    real x[] = {0, 1, -1, 3, -40, 40}, y[6];
    gelu_forward(NULL, y, 6, x, 6, 1, 6);
    assert_close(y[0], 0, 0);
    assert_close(y[1], 0.8413447460685429, 1e-15);
    assert_close(y[2], -0.15865525393145707, 1e-15);
    assert_close(y[3], 2.9959503059051097, 1e-15);
    assert_close(y[4], 0, 1e-15);
    assert_close(y[5], 40, 1e-15);
    assert_close(x[0], 0.5, 0); /* slopes */
    assert_close(x[4], 0, 1e-15);
    assert_close(x[5], 1, 1e-15);
}

static void gradients(void **state)
{
    (void)state;
    static struct fixture f;
    real dx[R * STRIDE];
    fill_normal(f.x, (size_t)R * STRIDE, 1, 2);
    fill_normal(f.weight, (size_t)R * STRIDE, 2, 1);
    for (size_t r = 0; r < R; r++) /* columns past C are somebody else's */
        for (size_t c = C; c < STRIDE; c++)
            f.weight[r * STRIDE + c] = 0;
    value(&f);
    memcpy(dx, f.weight, sizeof dx);
    gelu_backward(NULL, dx, STRIDE, f.slope, STRIDE, R, C);
    assert_gradient(value, &f, f.x, dx, (size_t)R * STRIDE, (size_t)R * STRIDE, "x");
    assert_true(f.slope[C] == f.x[C]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
