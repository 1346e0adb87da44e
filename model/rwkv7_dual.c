/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/rwkv7_core.h"

#include <string.h>

#include "base/hot.h"
#include "model/vector.h"

/* Values are taken one after the other, each along its whole life, so that its path is
 * all that has to be held. */

size_t rwkv7_dual_work(size_t T, size_t N)
{
    return (T + 1) * N;
}

/* next = w z - kappa (b . z); returns b . z. */
HOT_PART real carry(real *restrict next, const struct rwkv7_core *c, size_t N, size_t t,
                    const real *restrict z)
{
    const real *const w = c->w + t * c->stride, *const kappa = c->kappa + t * c->stride;
    const real removed = vector_dot(c->b + t * c->stride, z, N);
#pragma omp simd
    for (size_t n = 0; n < N; n++)
        next[n] = w[n] * z[n] - kappa[n] * removed;
    return removed;
}

HOT_PART void forward(const struct rwkv7_core *c, size_t N, real *o, real *work)
{
    for (size_t t = 0; t < c->T; t++)
        memset(o + t * c->stride, 0, N * sizeof *o);
    for (size_t i = 0; i < c->T; i++) {
        real *z = work, *next = work + N;
        memcpy(z, c->v + i * c->stride, N * sizeof *z);
        for (size_t t = i; t < c->T; t++) {
            if (t > i) {
                carry(next, c, N, t, z);
                real *const spare = z;
                z = next;
                next = spare;
            }
            const real weight = vector_dot(c->k + i * c->stride, c->r + t * c->stride, N);
            vector_add(o + t * c->stride, weight, z, N);
        }
    }
}

/* Back over one step of value i: dz of time t becomes dz of t-1; z is that of t-1. */
HOT_PART void carry_backward(const struct rwkv7_core *c, const struct rwkv7_core_grad *g,
                             size_t N, size_t t, const real *restrict z,
                             real *restrict dz)
{
    const size_t at = t * c->stride;
    const real *const w = c->w + at, *const kappa = c->kappa + at, *const b = c->b + at;
    real *const dw = g->dw + at, *const dkappa = g->dkappa + at, *const db = g->db + at;
    const real removed = vector_dot(b, z, N), dremoved = -vector_dot(kappa, dz, N);
#pragma omp simd
    for (size_t n = 0; n < N; n++) {
        dw[n] += dz[n] * z[n];
        dkappa[n] -= dz[n] * removed;
        db[n] += dremoved * z[n];
        dz[n] = w[n] * dz[n] + dremoved * b[n];
    }
}

HOT_PART void backward(const struct rwkv7_core *c, const struct rwkv7_core_grad *g,
                       size_t N, const real *d_o, real *work)
{
    const size_t stride = c->stride;
    real *const dz = work, *const path = work + N; /* z_i(i), z_i(i+1), ... */
    for (size_t i = 0; i < c->T; i++) {
        const real *const k = c->k + i * stride;
        memcpy(path, c->v + i * stride, N * sizeof *path);
        for (size_t t = i + 1; t < c->T; t++)
            carry(path + (t - i) * N, c, N, t, path + (t - i - 1) * N);
        memset(dz, 0, N * sizeof *dz);
        for (size_t t = c->T; t-- > i;) {
            /* o_t += (k_i . r_t) z_i(t) */
            const real *const z = path + (t - i) * N, *const r = c->r + t * stride;
            const real dweight = vector_dot(z, d_o + t * stride, N);
            vector_add(dz, vector_dot(k, r, N), d_o + t * stride, N);
            vector_add(g->dk + i * stride, dweight, r, N);
            vector_add(g->dr + t * stride, dweight, k, N);
            if (t > i)
                carry_backward(c, g, N, t, z - N, dz);
        }
        vector_add(g->dv + i * stride, 1, dz, N);
    }
}

/* ---- heads of 16 and 64 channels, as the presets have them, and all others ---------- */

HOT void rwkv7_dual_forward(const struct rwkv7_core *c, real *o, real *work)
{
    if (c->N == 16)
        forward(c, 16, o, work);
    else if (c->N == 64)
        forward(c, 64, o, work);
    else
        forward(c, c->N, o, work);
}

HOT void rwkv7_dual_backward(const struct rwkv7_core *c, const struct rwkv7_core_grad *g,
                             const real *d_o, real *work)
{
    if (c->N == 16)
        backward(c, g, 16, d_o, work);
    else if (c->N == 64)
        backward(c, g, 64, d_o, work);
    else
        backward(c, g, c->N, d_o, work);
}
