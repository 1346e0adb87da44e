/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/raster.h"

#include <string.h>
#include <tgmath.h>

#include "model/threads.h"
#include "model/vector.h"

enum { ROWS = 32 };

static const real EPS = REAL_C(1e-5); /* as in revin.c */

size_t raster_begin(const struct raster *s, uint32_t phase)
{
    const size_t half = s->L / 2;
    return (half - phase % half) % half;
}

size_t raster_count(const struct raster *s, size_t begin)
{
    return (s->L - begin + s->patch - 1) / s->patch;
}

/* The row after token k. */
static size_t end_of(const struct raster *s, size_t begin, size_t k)
{
    const size_t end = begin + (k + 1) * s->patch;
    return end < s->L ? end : s->L;
}

void raster_token(real *p, const real *x, size_t stride, size_t count, size_t patch)
{
    double sum = 0, squares = 0;
    for (size_t t = 0; t < count; t++)
        sum += (double)x[t * stride];
    const real mean = (real)(sum / (double)count);
    for (size_t t = 0; t < count; t++)
        squares += (double)(x[t * stride] - mean) * (double)(x[t * stride] - mean);
    const real scale = sqrt((real)(squares / (double)count) + EPS);
    for (size_t i = 0; i < patch; i++)
        p[i] = (x[(count - patch + i) * stride] - mean) / scale;
}

struct job {
    const struct raster *s;
    const real *x, *z, *e, *g, *dh;
    real *p, *h, *dz, *dg;
    size_t R;
};

static void tokens_window(void *ctx, size_t b)
{
    const struct job *const j = ctx;
    const struct raster *const s = j->s;
    const size_t K = s->L / s->patch, begin = raster_begin(s, s->phase[b]);
    const size_t count = raster_count(s, begin);
    for (size_t v = 0; v < s->V; v++) {
        const real *const x = j->x + (b * s->L + begin) * s->V + v;
        real *const p = j->p + (b * s->V + v) * K * s->patch;
        for (size_t k = 0; k < count; k++)
            raster_token(p + k * s->patch, x, s->V, end_of(s, begin, k) - begin,
                         s->patch);
        memset(p + count * s->patch, 0, (K - count) * s->patch * sizeof *p);
    }
}

void raster_tokens(const struct raster *s, struct threads *pool, real *p, const real *x,
                   size_t B)
{
    struct job j = {.s = s, .x = x, .p = p};
    threads_run(pool, B, tokens_window, &j);
}

static void join_rows(void *ctx, size_t block)
{
    const struct job *const j = ctx;
    const struct raster *const s = j->s;
    const size_t K = s->L / s->patch, D = s->D, own = s->patch * D;
    for (size_t r = block * ROWS; r < threads_block_end(block, j->R, ROWS); r++) {
        real *const h = j->h + r * s->L * D;
        const real *const z = j->z + r * s->L;
        const size_t begin = raster_begin(s, s->phase[r / s->V]);
        memset(h, 0, begin * D * sizeof *h);
        for (size_t k = 0; k < raster_count(s, begin); k++)
            memcpy(h + (end_of(s, begin, k) - s->patch) * D, j->g + (r * K + k) * own,
                   own * sizeof *h);
        for (size_t t = 0; t < s->L; t++)
            vector_add(h + t * D, 2 * z[t], j->e, D);
    }
}

void raster_join(const struct raster *s, struct threads *pool, real *h, const real *z,
                 const real *e, const real *g, size_t R)
{
    struct job j = {.s = s, .z = z, .e = e, .g = g, .h = h, .R = R};
    threads_run(pool, threads_blocks(R, ROWS), join_rows, &j);
}

static void join_backward_rows(void *ctx, size_t block)
{
    const struct job *const j = ctx;
    const struct raster *const s = j->s;
    const size_t K = s->L / s->patch, D = s->D, own = s->patch * D;
    for (size_t r = block * ROWS; r < threads_block_end(block, j->R, ROWS); r++) {
        const real *const dh = j->dh + r * s->L * D;
        real *const dg = j->dg + r * K * own;
        const size_t begin = raster_begin(s, s->phase[r / s->V]);
        memset(dg, 0, K * own * sizeof *dg);
        size_t from = begin; /* the first row that no later token covers */
        for (size_t k = 0; k < raster_count(s, begin); k++) {
            const size_t first = end_of(s, begin, k) - s->patch;
            const size_t next = k + 1 < raster_count(s, begin)
                                    ? end_of(s, begin, k + 1) - s->patch
                                    : s->L;
            memcpy(dg + k * own + (from - first) * D, dh + from * D,
                   (next - from) * D * sizeof *dg);
            from = next;
        }
        for (size_t t = 0; t < s->L; t++)
            j->dz[r * s->L + t] += 2 * vector_dot(dh + t * D, j->e, D);
    }
}

void raster_join_backward(const struct raster *s, struct threads *pool, real *dz,
                          real *de, real *dg, const real *dh, const real *z,
                          const real *e, size_t R)
{
    struct job j = {.s = s, .z = z, .e = e, .dh = dh, .dz = dz, .dg = dg, .R = R};
    threads_run(pool, threads_blocks(R, ROWS), join_backward_rows, &j);
    for (size_t i = 0; i < R * s->L; i++) /* in order: no thread decides */
        vector_add(de, 2 * z[i], dh + i * s->D, s->D);
}
