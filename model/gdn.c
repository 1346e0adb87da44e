/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/gdn.h"

#include <string.h>

#include "model/elementary.h"
#include "model/matrix.h"
#include "model/vector.h"

size_t gdn_states(const struct gdn *g)
{
    return (g->T + GDN_CHECKPOINT - 1) / GDN_CHECKPOINT * g->N * g->N;
}

size_t gdn_scratch(const struct gdn *g)
{
    const size_t N = g->N, n = g->chunk;
    const size_t chunked = N * N + 4 * n * n + 4 * n * N + 2 * n;
    const size_t backward = (GDN_CHECKPOINT + 3) * N * N + 4 * N;
    return chunked > backward ? chunked : backward;
}

/* ---- one token after the other ----------------------------------------------------- */

/* S becomes Sd, then S_t; e (N) = v - Sd' k. */
static void write_token(const struct gdn *g, size_t t, real *S, real *e)
{
    const size_t N = g->N;
    const real *const k = g->k + t * N, keep = exp(g->g[t]);
    memcpy(e, g->v + t * N, N * sizeof *e);
    for (size_t i = 0; i < N * N; i++)
        S[i] *= keep;
    for (size_t i = 0; i < N; i++)
        vector_add(e, -k[i], S + i * N, N);
    for (size_t i = 0; i < N; i++)
        vector_add(S + i * N, g->beta[t] * k[i], e, N);
}

void gdn_step(const struct gdn *g, size_t t, real *o, real *S, real *e)
{
    const size_t N = g->N;
    const real scale = 1 / sqrt((real)N);
    write_token(g, t, S, e);
    memset(o, 0, N * sizeof *o);
    for (size_t i = 0; i < N; i++)
        vector_add(o, scale * g->q[t * N + i], S + i * N, N);
}

void gdn_recurrent(const struct gdn *g, real *o, real *states, real *scratch)
{
    const size_t N = g->N;
    real *const S = scratch, *const e = S + N * N;
    memset(S, 0, N * N * sizeof *S);
    for (size_t t = 0; t < g->T; t++) {
        if (states && t % GDN_CHECKPOINT == 0)
            memcpy(states + t / GDN_CHECKPOINT * N * N, S, N * N * sizeof *S);
        gdn_step(g, t, o + t * N, S, e);
    }
}

/* ---- chunks ------------------------------------------------------------------------ */

/* (I + L) X = X in place, L strictly lower (n,n), X (n,N). */
static void substitute(const real *L, real *X, size_t n, size_t N)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = 0; j < i; j++)
            vector_add(X + i * N, -L[i * n + j], X + j * N, N);
}

/* Tokens first .. first + n - 1. */
static void one_chunk(const struct gdn *g, size_t first, size_t n, real *o, real *S,
                      real *scratch)
{
    const size_t N = g->N;
    const real *const q = g->q + first * N, *const k = g->k + first * N;
    const real *const v = g->v + first * N, *const beta = g->beta + first;
    const real scale = 1 / sqrt((real)N);
    real *const L = scratch, *const A = L + n * n, *const U = A + n * n;
    real *const Wm = U + n * N, *const Qg = Wm + n * N, *const cg = Qg + n * N;
    real sum = 0;
    for (size_t i = 0; i < n; i++)
        cg[i] = sum += g->g[first + i];
    matrix_nt(L, k, k, n, N, n, 1, 0);
    matrix_nt(A, q, k, n, N, n, 1, 0);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            const real decay = j <= i ? exp(cg[i] - cg[j]) : 0;
            L[i * n + j] *= j < i ? beta[i] * decay : 0;
            A[i * n + j] *= decay;
        }
        for (size_t c = 0; c < N; c++) {
            U[i * N + c] = beta[i] * v[i * N + c];
            Wm[i * N + c] = beta[i] * exp(cg[i]) * k[i * N + c];
            Qg[i * N + c] = exp(cg[i]) * q[i * N + c];
        }
    }
    substitute(L, U, n, N);
    substitute(L, Wm, n, N);
    matrix_nn(U, Wm, S, n, N, N, -1, 1); /* what is really written: U - W S */
    matrix_nn(o, Qg, S, n, N, N, scale, 0);
    matrix_nn(o, A, U, n, n, N, scale, 1);
    for (size_t i = 0; i < n; i++) /* keys as the chunk's end sees them */
        for (size_t c = 0; c < N; c++)
            Wm[i * N + c] = exp(cg[n - 1] - cg[i]) * k[i * N + c];
    matrix_tn(S, Wm, U, N, n, N, 1, exp(cg[n - 1]));
}

void gdn_chunked(const struct gdn *g, real *o, real *states, real *scratch)
{
    const size_t N = g->N;
    real *const S = scratch;
    memset(S, 0, N * N * sizeof *S);
    for (size_t t = 0; t < g->T; t += g->chunk) {
        const size_t n = g->chunk < g->T - t ? g->chunk : g->T - t;
        if (states && t % GDN_CHECKPOINT == 0)
            memcpy(states + t / GDN_CHECKPOINT * N * N, S, N * N * sizeof *S);
        one_chunk(g, t, n, o + t * N, S, S + N * N);
    }
}

void gdn_forward(const struct gdn *g, real *o, real *states, real *scratch)
{
    /* Backward needs the state of every 16th token: chunks must end there. */
    const bool fits = !states || GDN_CHECKPOINT % g->chunk == 0;
    (g->T >= GDN_CHUNK_FROM && fits ? gdn_chunked : gdn_recurrent)(g, o, states, scratch);
}

/* ---- backward ---------------------------------------------------------------------- */

struct back {
    real *dq, *dk, *dv, *dg, *dbeta;
    real *dS, *Sd, *e, *zz; /* (N,N), (N,N), (N), (N) */
};

/* One token back; Sp = S_{t-1}, S = S_t. */
static void token_backward(const struct gdn *g, size_t t, const real *d_o, const real *Sp,
                           const real *S, const struct back *b)
{
    const size_t N = g->N, at = t * N;
    const real scale = 1 / sqrt((real)N), keep = exp(g->g[t]);
    const real *const k = g->k + at;
    memcpy(b->e, g->v + at, N * sizeof *b->e);
    memset(b->zz, 0, N * sizeof *b->zz);
    for (size_t i = 0; i < N; i++) {
        real *const row = b->dS + i * N, *const sd = b->Sd + i * N;
        for (size_t j = 0; j < N; j++)
            sd[j] = keep * Sp[i * N + j];
        vector_add(b->e, -k[i], sd, N);
        b->dq[at + i] += scale * vector_dot(S + i * N, d_o + at, N); /* o = S'q/sqrt N */
        vector_add(row, scale * g->q[at + i], d_o + at, N);
        vector_add(b->zz, k[i], row, N);
    }
    b->dbeta[t] += vector_dot(b->zz, b->e, N);
    vector_add(b->dv + at, g->beta[t], b->zz, N); /* de = beta zz */
    real d_decay = 0;
    for (size_t i = 0; i < N; i++) {
        real *const row = b->dS + i * N;
        const real *const sd = b->Sd + i * N;
        b->dk[at + i] +=
            g->beta[t] * (vector_dot(row, b->e, N) - vector_dot(sd, b->zz, N));
        vector_add(row, -k[i] * g->beta[t], b->zz, N); /* dSd */
        d_decay += vector_dot(row, sd, N);
        for (size_t j = 0; j < N; j++)
            row[j] *= keep;
    }
    b->dg[t] += d_decay;
}

void gdn_backward(const struct gdn *g, const real *d_o, const real *states, real *dq,
                  real *dk, real *dv, real *dg, real *dbeta, real *scratch)
{
    const size_t N = g->N, NN = N * N;
    const struct back b = {.dq = dq,
                           .dk = dk,
                           .dv = dv,
                           .dg = dg,
                           .dbeta = dbeta,
                           .dS = scratch,
                           .Sd = scratch + NN,
                           .e = scratch + 2 * NN,
                           .zz = scratch + 2 * NN + N};
    real *const S = b.zz + N; /* S[0] is the kept state */
    memset(b.dS, 0, NN * sizeof *b.dS);
    for (size_t block = (g->T + GDN_CHECKPOINT - 1) / GDN_CHECKPOINT; block-- > 0;) {
        const size_t first = block * GDN_CHECKPOINT;
        const size_t end = first + GDN_CHECKPOINT < g->T ? first + GDN_CHECKPOINT : g->T;
        memcpy(S, states + block * NN, NN * sizeof *S);
        for (size_t t = first; t < end; t++) {
            real *const next = S + (t - first + 1) * NN;
            memcpy(next, next - NN, NN * sizeof *next);
            write_token(g, t, next, b.e);
        }
        for (size_t t = end; t-- > first;) {
            const real *const Sp = S + (t - first) * NN;
            token_backward(g, t, d_o, Sp, Sp + NN, &b);
        }
    }
}
