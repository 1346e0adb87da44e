/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layernorm.h -- every row brought to mean 0 and variance 1, then scaled.
 *
 *     xhat = (x - mean(x)) / sqrt(var(x) + eps)     var with divisor C
 *     y    = g xhat + b
 *
 * (R rows of C channels; g, b (C).)
 */
#ifndef LAYERNORM_H
#define LAYERNORM_H

#include <stddef.h>

#include "base/real.h"

struct threads;

/* Also keeps xhat (R,C) and rstd (R) = 1/sqrt(var + eps).  y or x may be xhat. */
void layernorm_forward(struct threads *pool, real *y, real *xhat, real *rstd,
                       const real *x, const real *g, const real *b, size_t R, size_t C,
                       real eps);

/* dx += the gradient at dy (R,C).  dx may not be dy. */
void layernorm_backward_input(struct threads *pool, real *dx, const real *dy,
                              const real *xhat, const real *rstd, const real *g, size_t R,
                              size_t C);

/* dg += , db += theirs. */
void layernorm_backward_weights(struct threads *pool, real *dg, real *db, const real *dy,
                                const real *xhat, size_t R, size_t C);

#endif
