/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ema.h -- weights averaged over steps, which are what is validated and served.
 *
 *     shadow += (1 - d) (theta - shadow),   d = min(limit, (1 + t) / (5 + t))
 *
 * after step t = 1, 2, ...  The shadow starts as the initial weights; the growing d
 * (as in TensorFlow's ExponentialMovingAverage, with 5 for 10) lets it leave them
 * quickly, which is what makes averaging safe on small data.
 */
#ifndef EMA_H
#define EMA_H

#include <stddef.h>
#include <stdint.h>

#include "base/real.h"

struct threads;

double ema_decay(double limit, uint64_t t);
void ema_step(struct threads *pool, real *shadow, const real *theta, size_t count,
              double limit, uint64_t t);

#endif
