/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/ema.h"

#include <math.h>

double ema_decay(double limit, uint64_t t)
{
    return fmin(limit, (1.0 + (double)t) / (5.0 + (double)t));
}

void ema_step(real *shadow, const real *theta, size_t count, double limit, uint64_t t)
{
    const real pull = (real)(1.0 - ema_decay(limit, t));
#pragma omp simd
    for (size_t i = 0; i < count; i++)
        shadow[i] += pull * (theta[i] - shadow[i]);
}
