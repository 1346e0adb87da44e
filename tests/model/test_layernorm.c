/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/layernorm.h"

#include "model/threads.h"
#include "tests/model/gradient.h"

enum { R = 37, C = 70 };

struct fixture {
    real x[R * C], y[R * C], xhat[R * C], rstd[R], g[C], b[C], weight[R * C];
};

static double value(void *ctx)
{
    struct fixture *const f = ctx;
    layernorm_forward(NULL, f->y, f->xhat, f->rstd, f->x, f->g, f->b, R, C, REAL_C(1e-5));
    return weigh(f->y, f->weight, (size_t)R * C);
}

static void fill(struct fixture *f)
{
    fill_normal(f->x, (size_t)R * C, 1, 2);
    fill_normal(f->g, C, 2, 1);
    fill_normal(f->b, C, 3, 1);
    fill_normal(f->weight, (size_t)R * C, 4, 1);
    for (size_t c = 0; c < C; c++)
        f->x[c] = 3 + REAL_C(1e-3) * f->x[c]; /* a row of small variance */
}

static void rows_have_mean_0_and_variance_1(void **state)
{
    (void)state;
    static struct fixture f;
    fill(&f);
    value(&f);
    for (size_t r = 1; r < R; r++) {
        double sum = 0, squares = 0;
        for (size_t c = 0; c < C; c++) {
            sum += (double)f.xhat[r * C + c];
            squares += (double)(f.xhat[r * C + c] * f.xhat[r * C + c]);
            assert_close(f.y[r * C + c], f.g[c] * f.xhat[r * C + c] + f.b[c], 1e-14);
        }
        assert_close(sum, 0, 1e-10);
        assert_close(squares / C, 1, 1e-4);
    }
}

static void gradients(void **state)
{
    (void)state;
    static struct fixture f;
    static real dx[R * C], dg[C], db[C], dx2[R * C], dg2[C], db2[C];
    fill(&f);
    value(&f);
    layernorm_backward_input(NULL, dx, f.weight, f.xhat, f.rstd, f.g, R, C);
    layernorm_backward_weights(NULL, dg, db, f.weight, f.xhat, R, C);
    struct threads *const pool = threads_start(4);
    layernorm_backward_input(pool, dx2, f.weight, f.xhat, f.rstd, f.g, R, C);
    layernorm_backward_weights(pool, dg2, db2, f.weight, f.xhat, R, C);
    assert_memory_equal(dx, dx2, sizeof dx);
    assert_memory_equal(dg, dg2, sizeof dg);
    threads_stop(pool);
    assert_gradient(value, &f, f.x + C, dx + C, (size_t)(R - 1) * C, 500, "x");
    assert_gradient(value, &f, f.g, dg, C, C, "g");
    assert_gradient(value, &f, f.b, db, C, C, "b");
    value(&f);
    layernorm_backward_input(NULL, dx, f.weight, f.xhat, f.rstd, f.g, R, C);
    layernorm_backward_weights(NULL, dg, db, f.weight, f.xhat, R, C);
    for (size_t c = 0; c < C; c++) { /* added to */
        assert_close(dg[c], 2 * dg2[c], 1e-12);
        assert_close(dx[C + c], 2 * dx2[C + c], 1e-12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_have_mean_0_and_variance_1),
        cmocka_unit_test(gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
