/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/adamw.h"

#include <assert.h>
#include <tgmath.h>

#include "model/threads.h"

/* Reading and writing memory is all the time this takes: a block outweighs a wake. */
enum { BLOCK = 1 << 16 };

/* One tensor's share of a step. */
struct job {
    real *p, *m, *v;
    const real *g;
    size_t count;
    real b1, b2, epsilon, keep, rate, root;
};

static void step_block(void *ctx, size_t block)
{
    const struct job *const j = ctx;
    const size_t from = block * BLOCK, rest = j->count - from;
    const size_t count = rest < BLOCK ? rest : BLOCK;
    real *restrict const p = j->p + from, *restrict const m = j->m + from,
                         *restrict const v = j->v + from;
    const real *restrict const g = j->g + from;
    const real b1 = j->b1, b2 = j->b2, epsilon = j->epsilon;
    const real keep = j->keep, rate = j->rate, root = j->root;
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        m[i] += b1 * (g[i] - m[i]);
        v[i] += b2 * (g[i] * g[i] - v[i]);
        p[i] = keep * p[i] - rate * m[i] / (sqrt(v[i]) * root + epsilon);
    }
}

void adamw_step(const struct adamw *adamw, const struct network *network, real *theta,
                const real *dtheta, real *m, real *v, uint64_t t)
{
    assert(t >= 1);
    const double rate = adamw->learning_rate / (1.0 - pow(adamw->beta1, (double)t));
    const double root = 1.0 / sqrt(1.0 - pow(adamw->beta2, (double)t));
    const double keep = 1.0 - adamw->learning_rate * adamw->weight_decay;

    for (size_t i = 0; i < network_tensors(network); i++) {
        const struct tensor *const tensor = network_tensor(network, i);
        if (!tensor->used)
            continue;
        size_t count = 1;
        for (size_t d = 0; d < tensor->rank; d++)
            count *= tensor->shape[d];
        const bool decay = tensor->decay || adamw->decay_all;
        const size_t at = tensor->offset;
        struct job job = {
            .p = theta + at,
            .m = m + at,
            .v = v + at,
            .g = dtheta + at,
            .count = count,
            .b1 = (real)(1.0 - adamw->beta1),
            .b2 = (real)(1.0 - adamw->beta2),
            .epsilon = (real)adamw->epsilon,
            .keep = (real)(decay ? keep : 1.0),
            .rate = (real)rate,
            .root = (real)root,
        };
        threads_run(adamw->pool, (count + BLOCK - 1) / BLOCK, step_block, &job);
    }
}
