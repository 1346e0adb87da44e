/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/adamw.h"

#include <assert.h>
#include <tgmath.h>

#include "base/hot.h"
#include "model/threads.h"

struct job {
    const struct adamw *adamw;
    const struct network *network;
    real *theta, *m, *v;
    const real *dtheta;
    real rate, root, keep;
};

HOT static void update(const struct job *j, size_t at, size_t count, real keep)
{
    real *restrict const p = j->theta + at, *restrict const m = j->m + at,
                         *restrict const v = j->v + at;
    const real *restrict const g = j->dtheta + at;
    const real b1 = (real)(1.0 - j->adamw->beta1), b2 = (real)(1.0 - j->adamw->beta2);
    const real epsilon = (real)j->adamw->epsilon, rate = j->rate, root = j->root;
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        m[i] += b1 * (g[i] - m[i]);
        v[i] += b2 * (g[i] * g[i] - v[i]);
        p[i] = keep * p[i] - rate * m[i] / (sqrt(v[i]) * root + epsilon);
    }
}

static void update_tensor(void *ctx, size_t index)
{
    const struct job *const j = ctx;
    const struct tensor *const tensor = network_tensor(j->network, index);
    if (!tensor->used)
        return;
    size_t count = 1;
    for (size_t d = 0; d < tensor->rank; d++)
        count *= tensor->shape[d];
    const bool decay = tensor->decay || j->adamw->decay_all;
    update(j, tensor->offset, count, decay ? j->keep : 1);
}

void adamw_step(const struct adamw *adamw, const struct network *network, real *theta,
                const real *dtheta, real *m, real *v, uint64_t t)
{
    assert(t >= 1);
    struct job job = {
        .adamw = adamw,
        .network = network,
        .theta = theta,
        .m = m,
        .v = v,
        .dtheta = dtheta,
        .rate = (real)(adamw->learning_rate / (1.0 - pow(adamw->beta1, (double)t))),
        .root = (real)(1.0 / sqrt(1.0 - pow(adamw->beta2, (double)t))),
        .keep = (real)(1.0 - adamw->learning_rate * adamw->weight_decay),
    };
    threads_run(adamw->pool, network_tensors(network), update_tensor, &job);
}
