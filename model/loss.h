/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loss.h -- what training makes small.
 *
 * The mean over samples b, steps j and series v of  (j+1)^-alpha * e(y - target),
 * where e is |x|, x^2 or |x| + x^2.  A missing target (NaN) counts neither in the sum
 * nor in the number it is divided by.  The weights are not renormalised.  With
 * alpha = 0.5 and |x| it is the loss of the FRWKV paper's released code.
 */
#ifndef LOSS_H
#define LOSS_H

#include <stddef.h>

#include "base/real.h"
#include "model/model.h"

/* A mean that can be continued over batches. */
struct loss_sum {
    double sum, count;
};

/* 0 before the first observed target. */
double loss_mean(struct loss_sum total);

/* weight (P), for the two functions below. */
void loss_weights(real *weight, size_t P, double alpha);

/* The loss of y (B,P,V) against target (B,P,V), as sum and count. */
struct loss_sum loss_forward(enum model_loss kind, const real *weight, const real *y,
                             const real *target, size_t B, size_t P, size_t V);

/* dy = gradient of that mean.  count is loss_forward()'s. */
void loss_backward(enum model_loss kind, const real *weight, real *dy, const real *y,
                   const real *target, size_t B, size_t P, size_t V, double count);

#endif
