/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/featured.h"

#include <string.h>

#include "model/matrix.h"
#include "model/vector.h"

size_t featured_state(size_t D, size_t N)
{
    return D * (N + 1);
}

size_t featured_scratch(const struct featured *f, bool training)
{
    /* S, z, and in backward dS, dz, g, c. */
    return f->D * (f->N + 1) * (training ? 2 : 1) + (training ? f->T * (f->N + 1) : 0);
}

/* 1 / den, or 0 as its slope's factor where the floor holds. */
static real denominator(const struct featured *f, real weight, bool *held)
{
    *held = f->floored && weight < f->eps;
    return f->floored ? (*held ? f->eps : weight) : weight + f->eps;
}

static void sums(const struct featured *f, const real *fk, const real *v, real *S,
                 real *z)
{
    matrix_tn(S, fk, v, f->D, f->T, f->N, 1, 0);
    memset(z, 0, f->D * sizeof *z);
    for (size_t t = 0; t < f->T; t++)
        vector_add(z, 1, fk + t * f->D, f->D);
}

void featured_step(const struct featured *f, const real *a, const real *fk, const real *v,
                   real *o, real *state)
{
    real *const S = state, *const z = state + f->D * f->N;
    bool held;
    vector_add(z, 1, fk, f->D);
    memset(o, 0, f->N * sizeof *o);
    for (size_t d = 0; d < f->D; d++) {
        vector_add(S + d * f->N, fk[d], v, f->N);
        vector_add(o, a[d], S + d * f->N, f->N);
    }
    const real den = denominator(f, vector_dot(a, z, f->D), &held);
    for (size_t n = 0; n < f->N; n++)
        o[n] /= den;
}

void featured_forward(const struct featured *f, const real *a, const real *fk,
                      const real *v, real *o, real *scratch)
{
    const size_t D = f->D, N = f->N;
    if (f->causal) {
        memset(scratch, 0, featured_state(D, N) * sizeof *scratch);
        for (size_t t = 0; t < f->T; t++)
            featured_step(f, a + t * D, fk + t * D, v + t * N, o + t * N, scratch);
        return;
    }
    real *const S = scratch, *const z = S + D * N;
    sums(f, fk, v, S, z);
    matrix_nn(o, a, S, f->T, D, N, 1, 0);
    for (size_t t = 0; t < f->T; t++) {
        bool held;
        const real den = denominator(f, vector_dot(a + t * D, z, D), &held);
        for (size_t n = 0; n < N; n++)
            o[t * N + n] /= den;
    }
}

/* g = do / den and c = g . o of token t, at the state (S, z) it saw. */
static real part(const struct featured *f, const real *a, const real *S, const real *z,
                 const real *d_o, real *g)
{
    const size_t D = f->D, N = f->N;
    bool held;
    const real den = denominator(f, vector_dot(a, z, D), &held);
    real along = 0; /* do . S'a = sum over d of a_d (S do)_d */
    for (size_t d = 0; d < D; d++)
        along += a[d] * vector_dot(S + d * N, d_o, N);
    for (size_t n = 0; n < N; n++)
        g[n] = d_o[n] / den;
    return held ? 0 : along / (den * den);
}

static void backward_all(const struct featured *f, const real *a, const real *fk,
                         const real *v, const real *d_o, real *da, real *df, real *dv,
                         real *scratch)
{
    const size_t D = f->D, N = f->N, T = f->T;
    real *const S = scratch, *const z = S + D * N, *const dS = z + D;
    real *const dz = dS + D * N, *const g = dz + D, *const c = g + T * N;
    sums(f, fk, v, S, z);
    matrix_nn(g, a, S, T, D, N, 1, 0); /* o den, for now */
    memset(dz, 0, D * sizeof *dz);
    for (size_t t = 0; t < T; t++) {
        bool held;
        const real den = denominator(f, vector_dot(a + t * D, z, D), &held);
        const real along = vector_dot(g + t * N, d_o + t * N, N);
        c[t] = held ? 0 : along / (den * den);
        for (size_t n = 0; n < N; n++)
            g[t * N + n] = d_o[t * N + n] / den;
        vector_add(dz, -c[t], a + t * D, D);
    }
    matrix_tn(dS, a, g, D, T, N, 1, 0);
    matrix_nt(da, g, S, T, N, D, 1, 0);  /* da = S g - c z */
    matrix_nt(df, v, dS, T, N, D, 1, 0); /* df = dS v + dz */
    matrix_nn(dv, fk, dS, T, D, N, 1, 1);
    for (size_t t = 0; t < T; t++) {
        vector_add(da + t * D, -c[t], z, D);
        vector_add(df + t * D, 1, dz, D);
    }
}

/* The state runs forward once more for da, and its gradient backward for the others. */
static void backward_causal(const struct featured *f, const real *a, const real *fk,
                            const real *v, const real *d_o, real *da, real *df, real *dv,
                            real *scratch)
{
    const size_t D = f->D, N = f->N, T = f->T;
    real *const S = scratch, *const z = S + D * N, *const dS = z + D;
    real *const dz = dS + D * N, *const g = dz + D, *const c = g + T * N;
    memset(scratch, 0, 2 * featured_state(D, N) * sizeof *scratch);
    for (size_t t = 0; t < T; t++) {
        vector_add(z, 1, fk + t * D, D);
        for (size_t d = 0; d < D; d++)
            vector_add(S + d * N, fk[t * D + d], v + t * N, N);
        c[t] = part(f, a + t * D, S, z, d_o + t * N, g + t * N);
        for (size_t d = 0; d < D; d++)
            da[t * D + d] = vector_dot(S + d * N, g + t * N, N) - c[t] * z[d];
    }
    for (size_t t = T; t-- > 0;) {
        vector_add(dz, -c[t], a + t * D, D);
        for (size_t d = 0; d < D; d++) {
            real *const row = dS + d * N;
            vector_add(row, a[t * D + d], g + t * N, N);
            df[t * D + d] = vector_dot(row, v + t * N, N) + dz[d];
            vector_add(dv + t * N, fk[t * D + d], row, N);
        }
    }
}

void featured_backward(const struct featured *f, const real *a, const real *fk,
                       const real *v, const real *d_o, real *da, real *df, real *dv,
                       real *scratch)
{
    (f->causal ? backward_causal : backward_all)(f, a, fk, v, d_o, da, df, dv, scratch);
}
