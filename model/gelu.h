/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gelu.h -- y = x Phi(x), Phi the normal distribution function (by erf, not tanh).
 *
 * Hendrycks, Gimpel: "Gaussian Error Linear Units", 2016.  The slope
 *     dy/dx = Phi(x) + x exp(-x^2/2) / sqrt(2 pi)
 * is taken on the way, where erf and exp are at hand, so backward is one product.
 */
#ifndef GELU_H
#define GELU_H

#include <stddef.h>

#include "base/real.h"

struct threads;

/* y (R,C) = gelu(x (R,C)), rows y_stride and x_stride reals apart; x becomes the slope.
 */
void gelu_forward(struct threads *pool, real *y, size_t y_stride, real *x,
                  size_t x_stride, size_t R, size_t C);

/* dy (R,C) becomes dx = dy slope. */
void gelu_backward(struct threads *pool, real *dy, size_t dy_stride, const real *slope,
                   size_t slope_stride, size_t R, size_t C);

#endif
