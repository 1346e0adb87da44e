/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vector.h -- the two loops over short vectors that the mixers' cores are made of.
 *
 * A sum has sixteen lanes, added by halves at the end, whatever the width of the
 * processor's vectors: the same bits on all of them.  (A compiler left to itself adds the
 * lanes one after the other, which takes longer than all before.)
 */
#ifndef VECTOR_H
#define VECTOR_H

#include <stddef.h>

#include "base/real.h"

#define VECTOR(n)                                                                        \
    __attribute__((vector_size((n) * sizeof(real)), aligned(sizeof(real)), may_alias))
typedef real vector4 VECTOR(4);
typedef real vector8 VECTOR(8);
typedef real vector16 VECTOR(16);
#undef VECTOR

static inline real vector_sum(const vector16 *lanes)
{
    const union {
        vector16 whole;
        vector8 half[2];
    } by8 = {*lanes};
    const union {
        vector8 whole;
        vector4 half[2];
    } by4 = {by8.half[0] + by8.half[1]};
    const vector4 last = by4.half[0] + by4.half[1];
    return (last[0] + last[2]) + (last[1] + last[3]);
}

static inline real vector_dot(const real *a, const real *b, size_t N)
{
    vector16 lanes = {0};
    const size_t whole = N - N % 16;
    for (size_t n = 0; n < whole; n += 16)
        lanes += *(const vector16 *)(a + n) * *(const vector16 *)(b + n);
    real sum = vector_sum(&lanes);
    for (size_t n = whole; n < N; n++)
        sum += a[n] * b[n];
    return sum;
}

/* Sum of a b c. */
static inline real vector_dot3(const real *a, const real *b, const real *c, size_t N)
{
    vector16 lanes = {0};
    const size_t whole = N - N % 16;
    for (size_t n = 0; n < whole; n += 16)
        lanes += *(const vector16 *)(a + n) * *(const vector16 *)(b + n) *
                 *(const vector16 *)(c + n);
    real sum = vector_sum(&lanes);
    for (size_t n = whole; n < N; n++)
        sum += a[n] * b[n] * c[n];
    return sum;
}

/* y += a x */
static inline void vector_add(real *restrict y, real a, const real *restrict x, size_t N)
{
#pragma omp simd
    for (size_t n = 0; n < N; n++)
        y[n] += a * x[n];
}

#endif
