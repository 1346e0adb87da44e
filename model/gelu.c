/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/gelu.h"

#include <math.h>
#include <tgmath.h>

#include "model/threads.h"

enum { ROWS = 16 };

struct gelu {
    real *y, *x;
    const real *slope;
    size_t y_stride, x_stride, R, C;
};

static void forward_rows(void *ctx, size_t block)
{
    const struct gelu *const n = ctx;
    const real root_half = (real)M_SQRT1_2, density = (real)(M_2_SQRTPI * M_SQRT1_2 / 2);
    for (size_t r = block * ROWS; r < threads_block_end(block, n->R, ROWS); r++) {
        real *const y = n->y + r * n->y_stride, *const x = n->x + r * n->x_stride;
        for (size_t c = 0; c < n->C; c++) {
            const real at = x[c], cdf = REAL_C(0.5) * (1 + erf(at * root_half));
            y[c] = at * cdf;
            x[c] = cdf + at * density * exp(REAL_C(-0.5) * at * at);
        }
    }
}

void gelu_forward(struct threads *pool, real *y, size_t y_stride, real *x, size_t x_stride,
                  size_t R, size_t C)
{
    struct gelu n = {
        .y = y, .x = x, .y_stride = y_stride, .x_stride = x_stride, .R = R, .C = C};
    threads_run(pool, threads_blocks(R, ROWS), forward_rows, &n);
}

static void backward_rows(void *ctx, size_t block)
{
    const struct gelu *const n = ctx;
    for (size_t r = block * ROWS; r < threads_block_end(block, n->R, ROWS); r++) {
        real *const dy = n->y + r * n->y_stride;
        const real *const slope = n->slope + r * n->x_stride;
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
