/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * matrix.h -- products of small dense matrices, for cores.
 *
 * Row-major and contiguous.  One call of BLAS each, on the caller's thread; the bits of
 * a result depend on the sizes and on nothing else around it.
 */
#ifndef MATRIX_H
#define MATRIX_H

#include <stddef.h>

#include "base/real.h"

/* Tells BLAS to use the calling thread only.  Cheap; any number of times. */
void matrix_start(void);

/* y (I,J) = keep y + scale a (I,K) b (K,J) */
void matrix_nn(real *y, const real *a, const real *b, size_t I, size_t K, size_t J,
               real scale, real keep);
/* y (I,J) = keep y + scale a (I,K) b' (J,K) */
void matrix_nt(real *y, const real *a, const real *b, size_t I, size_t K, size_t J,
               real scale, real keep);
/* y (I,J) = keep y + scale a' (K,I) b (K,J) */
void matrix_tn(real *y, const real *a, const real *b, size_t I, size_t K, size_t J,
               real scale, real keep);

#endif
