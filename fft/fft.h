/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fft.h -- real Fourier transforms over FFTW3, orthonormal, with their adjoints.
 *
 * A series of L reals has F = L/2 + 1 bins, kept as two arrays, real and imaginary
 * parts.  Orthonormal: forward and inverse both scale by 1/sqrt(L), so
 * fft_inverse(fft_forward(x)) = x and energies are equal (with c_f below).
 *
 * Adjoints (mixers.md 1.1; c_f = 1 for f = 0 and, L even, f = L/2, else 2):
 *     Z = rfft(x):    dx   = irfft(dR_f / c_f + i dI_f / c_f)
 *     g = irfft(R,I): dR_f = c_f Re rfft(dg)_f,  dI_f = c_f Im rfft(dg)_f
 * The imaginary parts of bins 0 and (L even) L/2 do not influence the inverse; they
 * are forced to zero before it and their gradient is zero.
 *
 * A plan is made once per length (FFTW_ESTIMATE, one transform a plan, so that plans
 * and bits do not differ from run to run) under one lock, and kept until exit.
 * Executing is thread-safe: each call brings its own work array of fft_work(L) reals
 * from an arena (64-byte aligned).
 */
#ifndef FFT_H
#define FFT_H

#include <stddef.h>

#include "base/err.h"
#include "base/real.h"

struct fft_plan;

enum { FFT_LENGTH_MAX = 1 << 20 };

/* The plan for series of L values, made at the first call.  ERR_INVALID for L outside
 * 1..FFT_LENGTH_MAX.  Valid until the process ends; nobody frees it. */
const struct fft_plan *fft_plan(size_t L, struct err *err);

size_t fft_bins(size_t L);
size_t fft_work(size_t L); /* reals of scratch one call needs */

/* re, im (F) = rfft(x (L)).  No array may overlap another. */
void fft_forward(const struct fft_plan *plan, real *re, real *im, const real *x,
                 real *work);
/* x (L) = irfft(re, im (F)). */
void fft_inverse(const struct fft_plan *plan, real *x, const real *re, const real *im,
                 real *work);

/* dx (L) += adjoint of fft_forward at dre, dim (F). */
void fft_forward_adjoint(const struct fft_plan *plan, real *dx, const real *dre,
                         const real *dim, real *work);
/* dre, dim (F) += adjoint of fft_inverse at dx (L). */
void fft_inverse_adjoint(const struct fft_plan *plan, real *dre, real *dim,
                         const real *dx, real *work);

/*
 * The strongest season of a series of n values (double, NaN = missing, filled by its
 * mean after removing a straight line): the period in steps, between 2 and n/2, whose
 * periodogram peak is highest and whose autocorrelation at that lag, refined over
 * neighbouring lags, is above 0.2; 1 when there is none.  Allocates.
 */
size_t fft_dominant_period(const double *x, size_t n);

/* Periodogram |rfft(x - line)|^2, n/2+1 values, of a series as above.  Allocates. */
int fft_periodogram(double *power, const double *x, size_t n);

#endif
