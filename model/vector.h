/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vector.h -- the two loops over short vectors that the mixers' cores are made of.
 */
#ifndef VECTOR_H
#define VECTOR_H

#include <stddef.h>

#include "base/real.h"

static inline real vector_dot(const real *a, const real *b, size_t N)
{
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t n = 0; n < N; n++)
        sum += a[n] * b[n];
    return sum;
}

/* y += a x */
static inline void vector_add(real *restrict y, real a, const real *restrict x, size_t N)
{
    for (size_t n = 0; n < N; n++)
        y[n] += a * x[n];
}

#endif
