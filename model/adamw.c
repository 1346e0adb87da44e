/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/adamw.h"

#include <assert.h>
#include <tgmath.h>

/* The tensors of one network differ only in whether they decay. */
static void step_tensor(real *restrict p, const real *restrict g, real *restrict m,
                        real *restrict v, size_t count, const struct adamw *a, real keep,
                        real rate, real root)
{
    const real b1 = (real)(1.0 - a->beta1), b2 = (real)(1.0 - a->beta2);
    const real epsilon = (real)a->epsilon;
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
        step_tensor(theta + at, dtheta + at, m + at, v + at, count, adamw,
                    (real)(decay ? keep : 1.0), (real)rate, (real)root);
    }
}
