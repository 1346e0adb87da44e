/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gradient.h -- compares a gradient with differences of the function, in double.
 *
 * Five points, error of order h^4: about 1e-11 here, where the usual two would leave
 * 1e-9.
 */
#ifndef GRADIENT_H
#define GRADIENT_H

#include "base/real.h"
#include "base/rng.h"
#include "tests/check.h"

/* The scalar whose gradient is meant: a fixed combination of all outputs. */
typedef double gradient_function(void *ctx);

static inline double gradient_at(gradient_function *f, void *ctx, real *x, double step)
{
    const real kept = *x, h = (real)(step * fmax(1, fabs((double)kept)));
    double at[4];
    for (int i = 0; i < 4; i++) {
        *x = kept + (real)(i < 2 ? i - 2 : i - 1) * h;
        at[i] = f(ctx);
    }
    *x = kept;
    return (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * (double)h);
}

/* The finer step is for a kink, of a relu say, within reach of the usual one. */
static inline double gradient_error(gradient_function *f, void *ctx, real *x, double dx,
                                    double allowed)
{
    const double usual = fabs(gradient_at(f, ctx, x, 2e-4) - dx);
    return usual <= allowed ? usual
                            : fmin(usual, fabs(gradient_at(f, ctx, x, 2e-6) - dx));
}

/* dx (n) against differences at `most` of the n places x, all when there are so few. */
static inline void assert_gradient(gradient_function *f, void *ctx, real *x,
                                   const real *dx, size_t n, size_t most,
                                   const char *what)
{
    const struct rng_stream stream = {.seed = 5, .purpose = 99};
    double scale = 0, worst = 0;
    for (size_t i = 0; i < n; i++)
        scale = fmax(scale, fabs((double)dx[i]));
    /* A gradient that is zero is told from the differences' rounding no better. */
    const double allowed = 1e-6 * scale + 1e-9 + 1e-10 * fabs(f(ctx));
    for (size_t k = 0; k < (n < most ? n : most); k++) {
        const size_t i = n <= most ? k : (size_t)(rng_uniform(stream, k) * (double)n);
        worst = fmax(worst, gradient_error(f, ctx, x + i, (double)dx[i], allowed));
    }
    if (!(worst <= allowed)) {
        print_error("%s: gradient off by %.3g of %.3g\n", what, worst, scale);
        fail();
    }
}

static inline void fill_normal(real *x, size_t n, uint32_t purpose, double deviation)
{
    const struct rng_stream stream = {.seed = 11, .purpose = purpose};
    for (size_t i = 0; i < n; i++)
        x[i] = (real)(deviation * rng_normal(stream, i));
}

static inline double weigh(const real *y, const real *weight, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)y[i] * (double)weight[i];
    return sum;
}

static inline double worst_difference(const real *got, const real *want, size_t n)
{
    double worst = 0, scale = 0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
        scale = fmax(scale, fabs((double)want[i]));
    }
    return scale > 0 ? worst / scale : worst;
}

#endif
