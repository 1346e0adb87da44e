/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/gelu.h"

#include "model/elementary.h"
#include "model/threads.h"

enum { ROWS = 16 };

struct gelu {
    real *y, *x;
    const real *slope;
    size_t y_stride, x_stride, R, C;
};

HOT static void forward_row(real *restrict y, real *restrict x, size_t C)
{
    const real density = (real)(M_2_SQRTPI * M_SQRT1_2 / 2); /* 1/sqrt(2 pi) */
#pragma omp simd
    for (size_t c = 0; c < C; c++) {
        const real at = x[c], gauss = elementary_exp(REAL_C(-0.5) * at * at);
        const real below = elementary_normal(at, gauss);
        y[c] = at * below;
        x[c] = below + at * density * gauss;
    }
}

static void forward_rows(void *ctx, size_t block)
{
    const struct gelu *const n = ctx;
    for (size_t r = block * ROWS; r < threads_block_end(block, n->R, ROWS); r++)
        forward_row(n->y + r * n->y_stride, n->x + r * n->x_stride, n->C);
}

void gelu_forward(struct threads *pool, real *y, size_t y_stride, real *x,
                  size_t x_stride, size_t R, size_t C)
{
    struct gelu n = {
        .y = y, .x = x, .y_stride = y_stride, .x_stride = x_stride, .R = R, .C = C};
    threads_run(pool, threads_blocks(R, ROWS), forward_rows, &n);
}

HOT static void backward_rows(void *ctx, size_t block)
{
    const struct gelu *const n = ctx;
    for (size_t r = block * ROWS; r < threads_block_end(block, n->R, ROWS); r++) {
        real *const dy = n->y + r * n->y_stride;
        const real *const slope = n->slope + r * n->x_stride;
#pragma omp simd
        for (size_t c = 0; c < n->C; c++)
            dy[c] *= slope[c];
    }
}

void gelu_backward(struct threads *pool, real *dy, size_t dy_stride, const real *slope,
                   size_t slope_stride, size_t R, size_t C)
{
    struct gelu n = {.y = dy,
                     .slope = slope,
                     .y_stride = dy_stride,
                     .x_stride = slope_stride,
                     .R = R,
                     .C = C};
    threads_run(pool, threads_blocks(R, ROWS), backward_rows, &n);
}
