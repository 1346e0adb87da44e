/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/rwkv7_core.h"

#include <string.h>

#include "model/vector.h"

/* Values are taken one after the other, each along its whole life, so that its path is
 * all that has to be held. */

size_t rwkv7_dual_work(size_t T, size_t N)
{
    return (T + 1) * N;
}

/* next = w z - kappa (b . z); returns b . z. */
static real carry(real *restrict next, const struct rwkv7_core *c, size_t t,
                  const real *restrict z)
{
    const real *const w = c->w + t * c->stride, *const kappa = c->kappa + t * c->stride;
    const real removed = vector_dot(c->b + t * c->stride, z, c->N);
    for (size_t n = 0; n < c->N; n++)
        next[n] = w[n] * z[n] - kappa[n] * removed;
    return removed;
}

void rwkv7_dual_forward(const struct rwkv7_core *c, real *o, real *work)
{
    const size_t N = c->N;
    for (size_t t = 0; t < c->T; t++)
        memset(o + t * c->stride, 0, N * sizeof *o);
    for (size_t i = 0; i < c->T; i++) {
        real *z = work, *next = work + N;
        memcpy(z, c->v + i * c->stride, N * sizeof *z);
        for (size_t t = i; t < c->T; t++) {
            if (t > i) {
                carry(next, c, t, z);
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
static void carry_backward(const struct rwkv7_core *c, const struct rwkv7_core_grad *g,
                           size_t t, const real *restrict z, real *restrict dz)
{
    const size_t at = t * c->stride;
    const real *const w = c->w + at, *const kappa = c->kappa + at, *const b = c->b + at;
    real *const dw = g->dw + at, *const dkappa = g->dkappa + at, *const db = g->db + at;
    const real removed = vector_dot(b, z, c->N), dremoved = -vector_dot(kappa, dz, c->N);
    for (size_t n = 0; n < c->N; n++) {
        dw[n] += dz[n] * z[n];
        dkappa[n] -= dz[n] * removed;
        db[n] += dremoved * z[n];
        dz[n] = w[n] * dz[n] + dremoved * b[n];
    }
}

void rwkv7_dual_backward(const struct rwkv7_core *c, const struct rwkv7_core_grad *g,
                         const real *d_o, real *work)
{
    const size_t N = c->N, stride = c->stride;
    real *const dz = work, *const path = work + N; /* z_i(i), z_i(i+1), ... */
    for (size_t i = 0; i < c->T; i++) {
        const real *const k = c->k + i * stride;
        memcpy(path, c->v + i * stride, N * sizeof *path);
        for (size_t t = i + 1; t < c->T; t++)
            carry(path + (t - i) * N, c, t, path + (t - i - 1) * N);
        memset(dz, 0, N * sizeof *dz);
        for (size_t t = c->T; t-- > i;) {
            /* o_t += (k_i . r_t) z_i(t) */
            const real *const z = path + (t - i) * N, *const r = c->r + t * stride;
            const real dweight = vector_dot(z, d_o + t * stride, N);
            vector_add(dz, vector_dot(k, r, N), d_o + t * stride, N);
            vector_add(g->dk + i * stride, dweight, r, N);
            vector_add(g->dr + t * stride, dweight, k, N);
            if (t > i)
                carry_backward(c, g, t, z - N, dz);
        }
        vector_add(g->dv + i * stride, 1, dz, N);
    }
}
