/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/layernorm.h"

#include <tgmath.h>

#include "base/hot.h"
#include "model/threads.h"
#include "model/vector.h"

enum { ROWS = 32, COLUMNS = 64 };

struct layernorm {
    real *y, *xhat, *rstd; /* dx, dg, db in backward */
    const real *x, *g, *b; /* x is dy in backward */
    const real *kept_xhat, *kept_rstd;
    real *dx, *dg, *db;
    size_t R, C;
    real eps;
};

/* Sums over a row in double, in sixteen lanes that are then added by halves (see
 * model/vector.h). */
typedef double lanes4 __attribute__((vector_size(4 * sizeof(double))));
typedef double lanes8 __attribute__((vector_size(8 * sizeof(double))));
typedef double lanes16 __attribute__((vector_size(16 * sizeof(double))));

HOT_PART double lanes_sum(const lanes16 *lanes)
{
    const union {
        lanes16 whole;
        lanes8 half[2];
    } by8 = {*lanes};
    const union {
        lanes8 whole;
        lanes4 half[2];
    } by4 = {by8.half[0] + by8.half[1]};
    const lanes4 last = by4.half[0] + by4.half[1];
    return (last[0] + last[2]) + (last[1] + last[3]);
}

HOT_PART double row_sum(const real *x, size_t C)
{
    lanes16 lanes = {0};
    size_t c = 0;
    for (; c + 16 <= C; c += 16)
        lanes += __builtin_convertvector(*(const vector16 *)(x + c), lanes16);
    double sum = lanes_sum(&lanes);
    for (; c < C; c++)
        sum += (double)x[c];
    return sum;
}

/* Of distances from mean. */
HOT_PART double row_squares(const real *x, real mean, size_t C)
{
    lanes16 lanes = {0};
    size_t c = 0;
    for (; c + 16 <= C; c += 16) {
        const lanes16 d =
            __builtin_convertvector(*(const vector16 *)(x + c) - mean, lanes16);
        lanes += d * d;
    }
    double sum = lanes_sum(&lanes);
    for (; c < C; c++)
        sum += (double)(x[c] - mean) * (double)(x[c] - mean);
    return sum;
}

/* Of a b, or of a b c. */
HOT_PART double row_dot(const real *a, const real *b, const real *c, size_t C)
{
    lanes16 lanes = {0};
    size_t i = 0;
    for (; i + 16 <= C; i += 16) {
        vector16 product = *(const vector16 *)(a + i) * *(const vector16 *)(b + i);
        if (c)
            product *= *(const vector16 *)(c + i);
        lanes += __builtin_convertvector(product, lanes16);
    }
    double sum = lanes_sum(&lanes);
    for (; i < C; i++)
        sum += (double)(c ? a[i] * b[i] * c[i] : a[i] * b[i]);
    return sum;
}

HOT static void forward_rows(void *ctx, size_t block)
{
    const struct layernorm *const n = ctx;
    const size_t C = n->C;
    const real *const g = n->g, *const b = n->b;
    for (size_t r = block * ROWS; r < threads_block_end(block, n->R, ROWS); r++) {
        const real *const x = n->x + r * C;
        real *const xhat = n->xhat + r * C, *const y = n->y + r * C;
        const real mean = (real)(row_sum(x, C) / (double)C);
        const real variance = (real)(row_squares(x, mean, C) / (double)C);
        const real rstd = 1 / sqrt(variance + n->eps);
        n->rstd[r] = rstd;
#pragma omp simd
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
HOT static void backward_rows(void *ctx, size_t block)
{
    const struct layernorm *const n = ctx;
    const size_t C = n->C;
    const real *const g = n->g;
    for (size_t r = block * ROWS; r < threads_block_end(block, n->R, ROWS); r++) {
        const real *const dy = n->x + r * C, *const xhat = n->kept_xhat + r * C;
        real *const dx = n->dx + r * C;
        const real mean = (real)(row_dot(dy, g, NULL, C) / (double)C);
        const real slope = (real)(row_dot(dy, g, xhat, C) / (double)C);
        const real rstd = n->kept_rstd[r];
#pragma omp simd
        for (size_t c = 0; c < C; c++)
            dx[c] += rstd * (dy[c] * g[c] - mean - xhat[c] * slope);
    }
}

HOT static void backward_columns(void *ctx, size_t block)
{
    const struct layernorm *const n = ctx;
    const size_t end = threads_block_end(block, n->C, COLUMNS);
    real *const dg = n->dg, *const db = n->db;
    for (size_t r = 0; r < n->R; r++) {
        const real *const dy = n->x + r * n->C, *const xhat = n->kept_xhat + r * n->C;
#pragma omp simd
        for (size_t c = block * COLUMNS; c < end; c++) {
            dg[c] += dy[c] * xhat[c];
            db[c] += dy[c];
        }
    }
}

void layernorm_backward_input(struct threads *pool, real *dx, const real *dy,
                              const real *xhat, const real *rstd, const real *g, size_t R,
                              size_t C)
{
    struct layernorm n = {
        .x = dy, .g = g, .kept_xhat = xhat, .kept_rstd = rstd, .dx = dx, .R = R, .C = C};
    threads_run(pool, threads_blocks(R, ROWS), backward_rows, &n);
}

void layernorm_backward_weights(struct threads *pool, real *dg, real *db, const real *dy,
                                const real *xhat, size_t R, size_t C)
{
    struct layernorm n = {.x = dy, .kept_xhat = xhat, .dg = dg, .db = db, .R = R, .C = C};
    threads_run(pool, threads_blocks(C, COLUMNS), backward_columns, &n);
}
