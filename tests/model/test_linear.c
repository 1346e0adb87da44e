/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/linear.h"
#include "model/matrix.h"

#include "model/threads.h"
#include "tests/model/gradient.h"

enum { R_MAX = 264, WIDTH_MAX = 640 };

static const struct {
    size_t R, K, O;
} shapes[] = {{1, 1, 1},    {7, 5, 3},     {24, 16, 64},
              {25, 49, 32}, {121, 64, 76}, {224, 96, 300}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static real x[R_MAX * WIDTH_MAX], y[R_MAX * WIDTH_MAX], y2[R_MAX * WIDTH_MAX];
static real w[WIDTH_MAX * WIDTH_MAX], dw[WIDTH_MAX * WIDTH_MAX],
    dw2[WIDTH_MAX * WIDTH_MAX];
static real b[WIDTH_MAX], db[WIDTH_MAX], db2[WIDTH_MAX];

static void forward_naive(real *out, size_t out_stride, const real *in, size_t in_stride,
                          size_t R, size_t K, size_t O)
{
    for (size_t r = 0; r < R; r++)
        for (size_t o = 0; o < O; o++) {
            real sum = b[o];
            for (size_t k = 0; k < K; k++)
                sum += in[r * in_stride + k] * w[o * K + k];
            out[r * out_stride + o] = sum;
        }
}

static void forward_is_the_plain_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        const size_t R = shapes[i].R, K = shapes[i].K, O = shapes[i].O;
        fill_normal(x, R_MAX * WIDTH_MAX, 1, 1);
        fill_normal(w, O * K, 2, 1);
        fill_normal(b, O, 3, 1);
        linear_forward(NULL, y, O + 3, x, K + 2, w, b, R, K, O);
        forward_naive(y2, O + 3, x, K + 2, R, K, O);
        for (size_t r = 0; r < R; r++)
            assert_true(worst_difference(y + r * (O + 3), y2 + r * (O + 3), O) < 1e-12);
    }
}

static void backward_is_the_plain_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        const size_t R = shapes[i].R, K = shapes[i].K, O = shapes[i].O;
        fill_normal(x, R * K, 1, 1);
        fill_normal(w, O * K, 2, 1);
        fill_normal(y, R * O, 4, 1); /* dy */
        real *const dx = y2, *const dx2 = y2 + R * K;
        fill_normal(dx, R * K, 5, 1); /* added to */
        memcpy(dx2, dx, R * K * sizeof *dx);
        fill_normal(dw, O * K, 6, 1);
        memcpy(dw2, dw, O * K * sizeof *dw);
        fill_normal(db, O, 7, 1);
        memcpy(db2, db, O * sizeof *db);
        linear_backward_input(NULL, dx, K, y, O, w, R, K, O);
        linear_backward_weights(NULL, dw, db, y, O, x, K, R, K, O);
        for (size_t r = 0; r < R; r++)
            for (size_t o = 0; o < O; o++) {
                const real dy = y[r * O + o];
                db2[o] += dy;
                for (size_t k = 0; k < K; k++) {
                    dx2[r * K + k] += dy * w[o * K + k];
                    dw2[o * K + k] += dy * x[r * K + k];
                }
            }
        assert_true(worst_difference(dx, dx2, R * K) < 1e-12);
        assert_true(worst_difference(dw, dw2, O * K) < 1e-12);
        assert_true(worst_difference(db, db2, O) < 1e-12);
    }
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    const size_t R = 224, K = 100, O = 300;
    struct threads *const pool = threads_start(4);
    fill_normal(x, R * K, 1, 1);
    fill_normal(w, O * K, 2, 1);
    linear_forward(NULL, y, O, x, K, w, b, R, K, O);
    linear_forward(pool, y2, O, x, K, w, b, R, K, O);
    assert_memory_equal(y, y2, R * O * sizeof *y);
    memset(dw, 0, sizeof dw);
    memset(dw2, 0, sizeof dw2);
    linear_backward_weights(NULL, dw, db, y, O, x, K, R, K, O);
    linear_backward_weights(pool, dw2, db2, y, O, x, K, R, K, O);
    assert_memory_equal(dw, dw2, O * K * sizeof *dw);
    threads_stop(pool);
}

int main(void)
{
    matrix_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_plain_loop),
        cmocka_unit_test(backward_is_the_plain_loop),
        cmocka_unit_test(threads_change_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
