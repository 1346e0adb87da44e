/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * revin.h -- reversible instance normalisation, with a scale and a shift a series.
 *
 * Kim, Kim, Tae, Park, Choi, Choo: "Reversible Instance Normalization for Accurate
 * Time-Series Forecasting against Distribution Shift", ICLR 2022.  Per window and
 * series, over its L steps:
 *
 *     m = mean(x)   s = sqrt(var(x) + 1e-5)   z = (x - m)/s gain + bias
 *     y = (out - bias)/(gain + 1e-10) s + m
 *
 * m and s count as constants in the backward pass, as in the released network.
 * Windows are (B,L,V) outside; inside, each series of each window is a row.
 */
#ifndef REVIN_H
#define REVIN_H

#include <stddef.h>

#include "base/real.h"

struct threads;

/* z (B V, L) = normalised x (B,L,V); keeps mean and scale (B V). */
void revin_forward(struct threads *pool, real *z, real *mean, real *scale, const real *x,
                   const real *gain, const real *bias, size_t B, size_t L, size_t V);

/* y (B,P,V) = out (B V, P) brought back. */
void revin_restore(struct threads *pool, real *y, const real *out, const real *mean,
                   const real *scale, const real *gain, const real *bias, size_t B,
                   size_t P, size_t V);

/* dout (B V, P) = , dgain (V) += , dbias (V) += the gradients of revin_restore(). */
void revin_restore_backward(struct threads *pool, real *dout, real *dgain, real *dbias,
                            const real *dy, const real *out, const real *scale,
                            const real *gain, const real *bias, size_t B, size_t P,
                            size_t V);

/* dgain +=, dbias +=, and dx (B,L,V) = where it is not NULL: of revin_forward(). */
void revin_backward(struct threads *pool, real *dx, real *dgain, real *dbias,
                    const real *dz, const real *x, const real *mean, const real *scale,
                    const real *gain, size_t B, size_t L, size_t V);

/*
 * dx (B,L,V) += what revin_backward() leaves out: the gradient through m and s, for
 * whoever learns something below the normalisation.  dx comes from revin_backward(), dy
 * (B,P,V) and out (B V, P) are those of revin_restore().
 */
void revin_statistics_backward(struct threads *pool, real *dx, const real *dy,
                               const real *out, const real *x, const real *mean,
                               const real *scale, const real *gain, const real *bias,
                               size_t B, size_t L, size_t P, size_t V);

#endif
