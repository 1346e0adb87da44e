/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * product.h -- a product of matrices, every element one sum in the order of its depth.
 *
 * A forecast must not depend on what else is in its batch, to the bit.  BLAS does not
 * promise that: OpenBLAS's kernels for Haswell and Zen sum the first six rows of every
 * twelve in another order than the other six; those for other processors differ for
 * small products and at edges.  Here
 *
 *     y[m][n] = (a[m][0] b[0][n] + a[m][1] b[1][n]) + a[m][2] b[2][n] + ...
 *
 * with products fused where the processor can, whatever M, N, the place or the width of
 * the vectors.  The layout is that of Goto and van de Geijn, "Anatomy of
 * High-Performance Matrix Multiplication" (ACM TOMS 34(3), 2008): a panel of b is packed
 * once, rows of a run over it, and the sums stay in registers.
 */
#ifndef PRODUCT_H
#define PRODUCT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/real.h"

/* Distances are in reals: from row to row, and from column to column where that may be
 * another than 1, so that a and b can be transposed and all three part of larger arrays.
 * Of b one of the two is 1. */
struct product {
    real *y;       /* (M,N) */
    const real *a; /* (M,K) */
    const real *b; /* (K,N) */
    size_t y_row, a_row, a_step, b_row, b_step;
    size_t M, K, N;
    bool add;          /* to what stands in y */
    const real *start; /* (N) else, what every row's sums begin with; NULL: 0 */
};

enum { PRODUCT_COLUMNS = 32 }; /* cut N into multiples of this */

/* In the calling thread; allocates nothing, takes 34 KiB of stack. */
void product(const struct product *p);

#endif
