/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/attention.h"

#include <math.h>
#include <string.h>

#include "fft/fft.h"

static void carve(struct attention *t)
{
    t->weight = arena_bytes(&t->arena, t->bins * sizeof *t->weight);
    t->swap = arena_bytes(&t->arena, t->p * sizeof *t->swap);
    t->x = arena_reals(&t->arena, t->p);
    t->re = arena_reals(&t->arena, t->bins);
    t->im = arena_reals(&t->arena, t->bins);
    t->work = arena_reals(&t->arena, fft_work(t->p));
}

int attention_init(struct attention *attention, size_t p, struct err *err)
{
    *attention = (struct attention){
        .p = p, .bins = fft_bins(p), .plan = fft_plan(p, err), .arena = arena_measure()};
    if (!attention->plan)
        return -1;
    carve(attention);
    if (arena_open(&attention->arena, err))
        return -1;
    carve(attention);
    return 0;
}

void attention_fini(struct attention *attention)
{
    arena_close(&attention->arena);
    *attention = (struct attention){0};
}

/* ---- the circulant W ----------------------------------------------------------------
 */

static void transform(struct attention *t, const double *x)
{
    for (size_t i = 0; i < t->p; i++)
        t->x[i] = (real)x[i];
    fft_forward(t->plan, t->re, t->im, t->x, t->work);
}

void attention_power(struct attention *attention, const double *x, double *power)
{
    transform(attention, x);
    for (size_t f = 0; f < attention->bins; f++)
        power[f] += (double)attention->re[f] * (double)attention->re[f] +
                    (double)attention->im[f] * (double)attention->im[f];
}

void attention_precondition(struct attention *attention, const double *power, double n,
                            double prior, double noise)
{
    const size_t p = attention->p;
    double trace = 0; /* each bin but the first and, p even, the last stands for two */
    for (size_t f = 0; f < attention->bins; f++)
        trace += power[f] * (f == 0 || 2 * f == p ? 1 : 2);
    for (size_t f = 0; f < attention->bins; f++)
        attention->weight[f] = n / ((n + 1) * power[f] + trace + noise / prior);
}

void attention_direction(struct attention *attention, const double *x, double *a)
{
    struct attention *const t = attention;
    transform(t, x);
    for (size_t f = 0; f < t->bins; f++) {
        t->re[f] *= (real)t->weight[f];
        t->im[f] *= (real)t->weight[f];
    }
    fft_inverse(t->plan, t->x, t->re, t->im, t->work);
    for (size_t i = 0; i < t->p; i++)
        a[i] = (double)t->x[i];
}

void attention_descend(struct attention *attention, const double *x, size_t ldx,
                       const double *w, size_t n, const double *query, int steps,
                       double *score, double *a)
{
    const size_t p = attention->p;
    double *const rest = attention->swap;
    memset(a, 0, p * sizeof *a);
    for (int k = 0; k < steps; k++) { /* a += W (query - S a) */
        attention_score(score, x, ldx, w, n, a, p);
        memset(rest, 0, p * sizeof *rest);
        attention_answer(rest, score, x, ldx, n, p);
        for (size_t i = 0; i < p; i++)
            rest[i] = query[i] - rest[i];
        attention_direction(attention, rest, rest);
        for (size_t i = 0; i < p; i++)
            a[i] += rest[i];
    }
}

/* ---- least squares ----------------------------------------------------------------- */

/* In place: the lower triangle of a becomes its Cholesky factor; a ridge keeps it
 * positive. */
static void factor(double *a, size_t p)
{
    for (size_t j = 0; j < p; j++)
        for (size_t i = j; i < p; i++) {
            double sum = a[i * p + j];
            for (size_t k = 0; k < j; k++)
                sum -= a[i * p + k] * a[j * p + k];
            a[i * p + j] = i == j ? sqrt(fmax(sum, 1e-300)) : sum / a[j * p + j];
        }
}

static void solve(const double *l, size_t p, double *b)
{
    for (size_t i = 0; i < p; i++) {
        for (size_t k = 0; k < i; k++)
            b[i] -= l[i * p + k] * b[k];
        b[i] /= l[i * p + i];
    }
    for (size_t i = p; i-- > 0;) {
        for (size_t k = i + 1; k < p; k++)
            b[i] -= l[k * p + i] * b[k];
        b[i] /= l[i * p + i];
    }
}

void attention_ridge(const double *x, size_t ldx, const double *w, size_t n, size_t p,
                     const double *query, double ridge, double *matrix, double *a)
{
    memset(matrix, 0, p * p * sizeof *matrix);
    for (size_t s = 0; s < n; s++)
        for (size_t i = 0; i < p; i++)
            for (size_t k = 0; k <= i; k++)
                matrix[i * p + k] += w[s] * x[s * ldx + i] * x[s * ldx + k];
    for (size_t i = 0; i < p; i++)
        matrix[i * p + i] += ridge;
    factor(matrix, p);
    memcpy(a, query, p * sizeof *a);
    solve(matrix, p, a);
}

/* ---- the layer --------------------------------------------------------------------- */

void attention_score(double *score, const double *x, size_t ldx, const double *w,
                     size_t n, const double *a, size_t p)
{
    for (size_t i = 0; i < n; i++) {
        const double *const row = x + i * ldx;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t k = 0; k < p; k++)
            sum += row[k] * a[k];
        score[i] = w[i] * sum;
    }
}

void attention_answer(double *y, const double *score, const double *v, size_t ldv,
                      size_t n, size_t P)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < P; j++)
            y[j] += score[i] * v[i * ldv + j];
}

/*
 * R = (rho^|i-j|) has a tridiagonal inverse T, and r is rho times R's last column, so
 * (R + extra I) w = r is (I + extra T) w = rho e_last: one sweep up and one down.
 */
void attention_drift(double *w, size_t n, double rho, double extra, double *scratch)
{
    const double unit = extra / (1 - rho * rho), side = -rho * unit;
    double pivot = 0;
    for (size_t i = 0; i < n; i++) {
        const bool edge = i == 0 || i + 1 == n;
        const double diagonal = 1 + unit * (n == 1 ? 1 - rho * rho
                                            : edge ? 1
                                                   : 1 + rho * rho);
        pivot = i == 0 ? diagonal : diagonal - side * side / pivot;
        scratch[i] = pivot;
    }
    w[n - 1] = rho / scratch[n - 1];
    for (size_t i = n - 1; i-- > 0;)
        w[i] = -side * w[i + 1] / scratch[i];
}
