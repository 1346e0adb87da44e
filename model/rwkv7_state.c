/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/rwkv7_core.h"

#include <string.h>

#include "model/vector.h"

/* y = b' S */
static void rows_times(real *y, const real *b, const real *S, size_t N)
{
    memset(y, 0, N * sizeof *y);
    for (size_t i = 0; i < N; i++)
        vector_add(y, b[i], S + i * N, N);
}

void rwkv7_state_step(const struct rwkv7_core *c, size_t t, real *o, real *S, real *u)
{
    const size_t N = c->N, at = t * c->stride;
    const real *const w = c->w + at, *const kappa = c->kappa + at, *const v = c->v + at;
    const real *const k = c->k + at, *const r = c->r + at;
    rows_times(u, c->b + at, S, N);
    for (size_t i = 0; i < N; i++) {
        real *const row = S + i * N;
        for (size_t j = 0; j < N; j++)
            row[j] = w[i] * row[j] - kappa[i] * u[j] + v[i] * k[j];
        if (!c->turned)
            o[i] = vector_dot(row, r, N);
    }
    if (c->turned)
        rows_times(o, r, S, N);
}

/* ---- forward: the state of every 16th token is kept -------------------------------- */

size_t rwkv7_state_work(size_t N)
{
    /* u, du, a dummy output, dS, and the states inside one block and before it. */
    return 3 * N + (RWKV7_CHECKPOINT + 2) * N * N;
}

size_t rwkv7_state_states(size_t T, size_t N)
{
    return (T + RWKV7_CHECKPOINT - 1) / RWKV7_CHECKPOINT * N * N;
}

void rwkv7_state_forward(const struct rwkv7_core *c, real *o, real *states, real *work)
{
    const size_t N = c->N;
    real *const u = work, *const S = work + N;
    memset(S, 0, N * N * sizeof *S);
    for (size_t t = 0; t < c->T; t++) {
        if (states && t % RWKV7_CHECKPOINT == 0)
            memcpy(states + t / RWKV7_CHECKPOINT * N * N, S, N * N * sizeof *S);
        rwkv7_state_step(c, t, o + t * c->stride, S, u);
    }
}

/* ---- backward ---------------------------------------------------------------------- */

/* One token back: dS of S_t becomes dS of Sp = S_{t-1}.  u, du (N) are scratch. */
static void step_backward(const struct rwkv7_core *c, const struct rwkv7_core_grad *g,
                          size_t t, const real *d_o, const real *S, const real *Sp,
                          real *dS, real *u, real *du)
{
    const size_t N = c->N, at = t * c->stride;
    rows_times(u, c->b + at, Sp, N);
    memset(du, 0, N * sizeof *du);
    for (size_t i = 0; i < N; i++) {
        real *const row = dS + i * N;
        const size_t ti = at + i;
        if (c->turned) { /* o = S' r */
            g->dr[ti] += vector_dot(S + i * N, d_o + at, N);
            vector_add(row, c->r[ti], d_o + at, N);
        } else { /* o = S r */
            vector_add(g->dr + at, d_o[ti], S + i * N, N);
            vector_add(row, d_o[ti], c->r + at, N);
        }
        g->dv[ti] += vector_dot(row, c->k + at, N); /* S = ... + v k' */
        vector_add(g->dk + at, c->v[ti], row, N);
        g->dw[ti] += vector_dot(row, Sp + i * N, N); /* S = diag(w) Sp - kappa u' + ... */
        g->dkappa[ti] -= vector_dot(row, u, N);
        vector_add(du, -c->kappa[ti], row, N);
    }
    for (size_t i = 0; i < N; i++) {
        real *const row = dS + i * N;
        g->db[at + i] += vector_dot(Sp + i * N, du, N); /* u = Sp' b */
        for (size_t j = 0; j < N; j++)
            row[j] = c->w[at + i] * row[j] + c->b[at + i] * du[j];
    }
}

void rwkv7_state_backward(const struct rwkv7_core *c, const struct rwkv7_core_grad *g,
                          const real *d_o, const real *states, real *work)
{
    const size_t N = c->N, NN = N * N;
    real *const u = work, *const du = u + N, *const ignored = du + N;
    real *const dS = ignored + N, *const S = dS + NN; /* S[0] is the kept state */
    memset(dS, 0, NN * sizeof *dS);
    for (size_t block = (c->T + RWKV7_CHECKPOINT - 1) / RWKV7_CHECKPOINT; block-- > 0;) {
        const size_t first = block * RWKV7_CHECKPOINT;
        const size_t end =
            first + RWKV7_CHECKPOINT < c->T ? first + RWKV7_CHECKPOINT : c->T;
        memcpy(S, states + block * NN, NN * sizeof *S);
        for (size_t t = first; t < end; t++) {
            real *const next = S + (t - first + 1) * NN;
            memcpy(next, next - NN, NN * sizeof *next);
            rwkv7_state_step(c, t, ignored, next, u);
        }
        for (size_t t = end; t-- > first;) {
            const real *const Sp = S + (t - first) * NN;
            step_backward(c, g, t, d_o, Sp + NN, Sp, dS, u, du);
        }
    }
}

/* ---- the choice -------------------------------------------------------------------- */

size_t rwkv7_core_work(const struct rwkv7_core *c, bool training)
{
    if (rwkv7_core_is_dual(c))
        return training ? rwkv7_dual_work(c->T, c->N) : 2 * c->N;
    return training ? rwkv7_state_work(c->N) : c->N + c->N * c->N;
}

size_t rwkv7_core_states(const struct rwkv7_core *c)
{
    return rwkv7_core_is_dual(c) ? 0 : rwkv7_state_states(c->T, c->N);
}

void rwkv7_core_forward(const struct rwkv7_core *c, real *o, real *states, real *work)
{
    if (rwkv7_core_is_dual(c))
        rwkv7_dual_forward(c, o, work);
    else
        rwkv7_state_forward(c, o, states, work);
}

void rwkv7_core_backward(const struct rwkv7_core *c, const struct rwkv7_core_grad *g,
                         const real *d_o, const real *states, real *work)
{
    if (rwkv7_core_is_dual(c))
        rwkv7_dual_backward(c, g, d_o, work);
    else
        rwkv7_state_backward(c, g, d_o, states, work);
}
