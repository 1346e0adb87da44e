/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/ema.h"

#include <math.h>

#include "base/hot.h"
#include "model/threads.h"

enum { BLOCK = 1 << 15 };

struct job {
    real *shadow;
    const real *theta;
    size_t count;
    real pull;
};

double ema_decay(double limit, uint64_t t)
{
    return fmin(limit, (1.0 + (double)t) / (5.0 + (double)t));
}

HOT static void pull_block(void *ctx, size_t block)
{
    const struct job *const j = ctx;
    const size_t end = threads_block_end(block, j->count, BLOCK);
    real *restrict const shadow = j->shadow;
    const real *restrict const theta = j->theta;
    const real pull = j->pull;
#pragma omp simd
    for (size_t i = block * BLOCK; i < end; i++)
        shadow[i] += pull * (theta[i] - shadow[i]);
}

void ema_step(struct threads *pool, real *shadow, const real *theta, size_t count,
              double limit, uint64_t t)
{
    struct job job = {shadow, theta, count, (real)(1.0 - ema_decay(limit, t))};
    threads_run(pool, threads_blocks(count, BLOCK), pull_block, &job);
}
