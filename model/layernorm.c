/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/layernorm.h"

#include <tgmath.h>

#include "model/threads.h"

enum { ROWS = 32, COLUMNS = 64 };

struct layernorm {
    real *y, *xhat, *rstd; /* dx, dg, db in backward */
    const real *x, *g, *b; /* x is dy in backward */
    const real *kept_xhat, *kept_rstd;
    real *dx, *dg, *db;
    size_t R, C;
    real eps;
};

static void forward_rows(void *ctx, size_t block)
{
    const struct layernorm *const n = ctx;
    const size_t C = n->C;
    const real *const g = n->g, *const b = n->b;
    for (size_t r = block * ROWS; r < threads_block_end(block, n->R, ROWS); r++) {
        const real *const x = n->x + r * C;
        real *const xhat = n->xhat + r * C, *const y = n->y + r * C;
        double sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t c = 0; c < C; c++)
            sum += (double)x[c];
        const real mean = (real)(sum / (double)C);
#pragma omp simd reduction(+ : squares)
        for (size_t c = 0; c < C; c++)
            squares += (double)(x[c] - mean) * (double)(x[c] - mean);
        const real rstd = 1 / sqrt((real)(squares / (double)C) + n->eps);
        n->rstd[r] = rstd;
        for (size_t c = 0; c < C; c++) {
            const real centred = (x[c] - mean) * rstd;
            xhat[c] = centred;
            y[c] = g[c] * centred + b[c];
        }
    }
}

void layernorm_forward(struct threads *pool, real *y, real *xhat, real *rstd,
                       const real *x, const real *g, const real *b, size_t R, size_t C,
                       real eps)
{
    struct layernorm n = {.y = y,
                          .xhat = xhat,
                          .rstd = rstd,
                          .x = x,
                          .g = g,
                          .b = b,
                          .R = R,
                          .C = C,
                          .eps = eps};
    threads_run(pool, threads_blocks(R, ROWS), forward_rows, &n);
}

/* With p = dy g: dx = rstd (p - mean(p) - xhat mean(p xhat)), means over the row. */
static void backward_rows(void *ctx, size_t block)
{
    const struct layernorm *const n = ctx;
    const size_t C = n->C;
    const real *const g = n->g;
    for (size_t r = block * ROWS; r < threads_block_end(block, n->R, ROWS); r++) {
        const real *const dy = n->x + r * C, *const xhat = n->kept_xhat + r * C;
        real *const dx = n->dx + r * C;
        double sum = 0, along = 0;
#pragma omp simd reduction(+ : sum, along)
        for (size_t c = 0; c < C; c++) {
            sum += (double)(dy[c] * g[c]);
            along += (double)(dy[c] * g[c] * xhat[c]);
        }
        const real mean = (real)(sum / (double)C), slope = (real)(along / (double)C);
        const real rstd = n->kept_rstd[r];
        for (size_t c = 0; c < C; c++)
            dx[c] += rstd * (dy[c] * g[c] - mean - xhat[c] * slope);
    }
}

static void backward_columns(void *ctx, size_t block)
{
    const struct layernorm *const n = ctx;
    const size_t end = threads_block_end(block, n->C, COLUMNS);
    for (size_t r = 0; r < n->R; r++)
        for (size_t c = block * COLUMNS; c < end; c++) {
            n->dg[c] += n->x[r * n->C + c] * n->kept_xhat[r * n->C + c];
            n->db[c] += n->x[r * n->C + c];
        }
}

void layernorm_backward(struct threads *pool, real *dx, real *dg, real *db,
                        const real *dy, const real *xhat, const real *rstd, const real *g,
                        size_t R, size_t C)
{
    struct layernorm n = {.x = dy,
                          .g = g,
                          .kept_xhat = xhat,
                          .kept_rstd = rstd,
                          .dx = dx,
                          .dg = dg,
                          .db = db,
                          .R = R,
                          .C = C};
    threads_run(pool, threads_blocks(R, ROWS), backward_rows, &n);
    threads_run(pool, threads_blocks(C, COLUMNS), backward_columns, &n);
}
