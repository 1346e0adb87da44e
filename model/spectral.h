/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spectral.h -- the forecast's error as a spectrum: a loss that sees its shape.
 *
 * Wang, Pan, Chen, Yang, Zhang, Yang, Liu, Li, Tao: "FreDF: Learning to Forecast in the
 * Frequency Domain", ICLR 2025.  Of each window and series, with e = y - target over the
 * horizon, F = P/2 + 1 and E = orthonormal rfft(e):
 *
 *     loss = w mean over f of |E_f|,    w = the mean of the horizon's weights
 *
 * A missing target's error counts as 0, and in the mean over windows and series each
 * weighs by the number of its targets that are there: of whole data it is the plain
 * mean, and one without any target takes no part.
 */
#ifndef SPECTRAL_H
#define SPECTRAL_H

#include <stddef.h>

#include "base/err.h"
#include "base/real.h"
#include "model/loss.h"

struct fft_plan;
struct threads;

struct spectral {
    const struct fft_plan *plan;
    size_t P, F, rows; /* rows: most windows times series in a call */
    double weight;     /* share of the loss times w */
    real *lanes;       /* owned */
    double *size;      /* (rows), owned */
};

/* share: what this is multiplied by.  ERR_INVALID, ERR_NO_MEMORY. */
int spectral_init(struct spectral *spectral, size_t P, size_t rows, double share,
                  const real *horizon_weight, struct err *err);
void spectral_fini(struct spectral *spectral);

/*
 * The loss of y (B,P,V) against target (B,P,V) as the sum whose mean over count targets,
 * loss_forward()'s, is meant; dy (B,P,V) += the gradient of that mean.
 */
double spectral_loss(struct spectral *spectral, struct threads *pool, real *dy,
                     const real *y, const real *target, size_t B, size_t V, double count);

#endif
