/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lift.h -- between the series' values and the branches: spectrum, and back to time.
 *
 * Each series is lifted to D channels by one vector, E[t,d] = e[d] z[t], and the
 * branches add their outputs to the spectrum of E.  Transforms are linear, so
 *
 *     h = E + irfft(rfft(E) + (y_re + i y_im)) = 2 e[d] z[t] + irfft(y_re + i y_im)
 *
 * and only the plain series is ever transformed forward.  h is kept as (R, L D), index
 * t D + d, the branches' outputs as (R, D F), index d F + f.
 */
#ifndef LIFT_H
#define LIFT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "fft/fft.h"

struct threads;

struct lift {
    const struct fft_plan *plan;
    size_t L, F, D;
    real *lanes; /* scratch */
    size_t lane_size;
    real *de; /* (R,D) shares of the rows; training only */
};

/* R rows at most. */
void lift_carve(struct lift *lift, size_t R, bool training, struct arena *arena);

/* re, im (R,F) = rfft(z (R,L)) */
void lift_forward(const struct lift *lift, struct threads *pool, real *re, real *im,
                  const real *z, size_t R);
/* dz += */
void lift_backward(const struct lift *lift, struct threads *pool, real *dz,
                   const real *dre, const real *dim, size_t R);

/* h = 2 e z + irfft(y); z may be NULL: without it, and e is not read. */
void lift_join(const struct lift *lift, struct threads *pool, real *h, const real *z,
               const real *e, const real *y_re, const real *y_im, size_t R);
/* dy_re, dy_im =; dz, de (D) +=, but where z is NULL. */
void lift_join_backward(const struct lift *lift, struct threads *pool, real *dz, real *de,
                        real *dy_re, real *dy_im, const real *dh, const real *z,
                        const real *e, size_t R);

#endif
