/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * elementary.h -- exp, the logistic function, tanh and the normal distribution, as plain
 * arithmetic that a compiler turns into vector code.
 *
 * Calls of libm took a third of a training step of the small network.  In float these
 * are good to about 2e-7: exp by Cody and Waite's reduction and the polynomial of
 * Cephes' expf, the normal distribution by Hastings' approximation (Abramowitz, Stegun:
 * "Handbook of Mathematical Functions", 7.1.26).  In double they are libm's.
 */
#ifndef ELEMENTARY_H
#define ELEMENTARY_H

#include <math.h>
#include <stdint.h>
#include <tgmath.h>
#undef I /* of <complex.h>, which tgmath.h includes */

#include "base/hot.h"
#include "base/real.h"

#ifdef REAL_DOUBLE
static inline real elementary_exp(real x)
{
    return exp(x);
}
#else
static inline real elementary_exp(real x)
{
    const real log2e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    const real shift = 12582912.0f; /* 1.5 2^23: adding it rounds to a whole number */
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    const real shifted = x * log2e + shift, n = shifted - shift;
    const real r = x - n * ln2_high - n * ln2_low;
    real p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    /* The whole number stands in the low bits of shifted; a NaN passes through. */
    const union {
        real value;
        uint32_t bits;
    } number = {.value = shifted};
    const union {
        uint32_t bits;
        real value;
    } power = {.bits = (number.bits + 127) << 23};
    return (p * r * r + r + 1) * power.value;
}
#endif

static inline real elementary_sigmoid(real x)
{
    return 1 / (1 + elementary_exp(-x));
}

/* log(1 + exp(x)); log1p(y) = 2 artanh(y / (2 + y)). */
static inline real elementary_softplus(real x)
{
#ifdef REAL_DOUBLE
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
#else
    const real y = elementary_exp(-fabsf(x)), t = y / (2 + y), s = t * t;
    real p = 1 / 15.0f;
    p = p * s + 1 / 13.0f;
    p = p * s + 1 / 11.0f;
    p = p * s + 1 / 9.0f;
    p = p * s + 1 / 7.0f;
    p = p * s + 1 / 5.0f;
    p = p * s + 1 / 3.0f;
    return (x > 0 ? x : 0) + 2 * t * (p * s + 1);
#endif
}

static inline real elementary_tanh(real x)
{
#ifdef REAL_DOUBLE
    return tanh(x);
#else
    return 1 - 2 / (1 + elementary_exp(2 * x));
#endif
}

/* Phi(x), given gauss = exp(-x^2/2). */
static inline real elementary_normal(real x, real gauss)
{
#ifdef REAL_DOUBLE
    (void)gauss;
    return 0.5 * erfc(-x * M_SQRT1_2);
#else
    const real t = 1 / (1 + 0.3275911f * (real)M_SQRT1_2 * fabsf(x));
    real p = 1.061405429f;
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    const real tail = 0.5f * p * t * gauss;
    return x < 0 ? tail : 1 - tail;
#endif
}

#endif
