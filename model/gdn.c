/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/gdn.h"

#include <stdbool.h>
#include <string.h>

#include "base/hot.h"
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
    const size_t chunked = N * N + 2 * n * n + 4 * n * N + n;
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

/*
 * The products of a chunk.  Where all sizes are multiples of sixteen and small, what BLAS
 * does before it multiplies takes longer than the product: four rows by sixteen columns
 * stay in registers here.
 */
enum { SMALL_HEAD = 32, LANES = 16, TILE = 4 };

static bool is_small(size_t n, size_t N)
{
    return N <= SMALL_HEAD && n <= SMALL_HEAD && N % LANES == 0 && n % LANES == 0;
}

/* y (I,J) = keep y + scale a b (K,J); element (i,k) of a is a[i * row + k * col]. */
HOT_PART void small_product(real *restrict y, const real *restrict a, size_t row,
                            size_t col, const real *restrict b, size_t I, size_t K,
                            size_t J, real scale, real keep)
{
    for (size_t i = 0; i < I; i += TILE)
        for (size_t j = 0; j < J; j += LANES) {
            vector16 sum[TILE] = {{0}};
            for (size_t k = 0; k < K; k++) {
                const vector16 line = *(const vector16 *)(b + k * J + j);
                for (size_t r = 0; r < TILE; r++)
                    sum[r] += a[(i + r) * row + k * col] * line;
            }
            for (size_t r = 0; r < TILE; r++) {
                vector16 *const to = (vector16 *)(y + (i + r) * J + j);
                *to = keep == 0 ? scale * sum[r] : keep * *to + scale * sum[r];
            }
        }
}

HOT static void small_nn(real *y, const real *a, const real *b, size_t I, size_t K,
                         size_t J, real scale, real keep)
{
    small_product(y, a, K, 1, b, I, K, J, scale, keep);
}

HOT static void small_tn(real *y, const real *a, const real *b, size_t I, size_t K,
                         size_t J, real scale, real keep)
{
    small_product(y, a, 1, I, b, I, K, J, scale, keep);
}

/* With b (J,K) turned round first. */
HOT static void small_nt(real *y, const real *a, const real *b, size_t I, size_t K,
                         size_t J, real scale, real keep)
{
    real turned[SMALL_HEAD * SMALL_HEAD];
    for (size_t j = 0; j < J; j++)
        for (size_t k = 0; k < K; k++)
            turned[k * J + j] = b[j * K + k];
    small_product(y, a, K, 1, turned, I, K, J, scale, keep);
}

typedef void product(real *y, const real *a, const real *b, size_t I, size_t K, size_t J,
                     real scale, real keep);

/* (I + L) X = X in place, L strictly lower (n,n), X (n,N). */
HOT static void substitute(const real *restrict L, real *restrict X, size_t n, size_t N)
{
    for (size_t j = 0; j < n; j++) /* no row below waits for another */
        for (size_t i = j + 1; i < n; i++)
            for (size_t c = 0; c < N; c++)
                X[i * N + c] -= L[i * n + j] * X[j * N + c];
}

/* The products of keys and queries with keys, (2n,n), become L and A: each times what is
 * left of token j at token i, for j before i or, in A, at i; L also times beta_i. */
static void decay_products(real *L, real *A, const real *keep, const real *beta, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        real left = 1; /* product of keep from j + 1 to i */
        for (size_t j = i + 1; j-- > 0;) {
            A[i * n + j] *= left;
            L[i * n + j] *= j < i ? beta[i] * left : 0;
            left *= keep[j];
        }
        for (size_t j = i + 1; j < n; j++)
            A[i * n + j] = 0;
    }
}

/* Tokens first .. first + n - 1.  With K and Q above each other one product with S, and
 * one with K', serve both; and since what a chunk writes is
 *     (I + L)^-1 diag(beta) (V - diag(exp(cg)) K S)
 * there is one substitution. */
HOT static void one_chunk(const struct gdn *g, size_t first, size_t n, real *o, real *S,
                          real *scratch)
{
    const size_t N = g->N;
    const real *const v = g->v + first * N, *const beta = g->beta + first;
    const real scale = 1 / sqrt((real)N);
    const bool small = is_small(n, N);
    product *const nn = small ? small_nn : matrix_nn, *const nt =
                                                          small ? small_nt : matrix_nt;
    product *const tn = small ? small_tn : matrix_tn;
    real *const K = scratch, *const Q = K + n * N, *const KS = Q + n * N;
    real *const QS = KS + n * N, *const L = QS + n * N, *const A = L + n * n;
    real *const keep = A + n * n;
    memcpy(K, g->k + first * N, n * N * sizeof *K);
    memcpy(Q, g->q + first * N, n * N * sizeof *Q);
    for (size_t i = 0; i < n; i++)
        keep[i] = exp(g->g[first + i]);
    nt(L, K, K, 2 * n, N, n, 1, 0);
    nn(KS, K, S, 2 * n, N, N, 1, 0);
    decay_products(L, A, keep, beta, n);
    real left = 1; /* of the state at the chunk's beginning */
    for (size_t i = 0; i < n; i++) {
        left *= keep[i];
        for (size_t c = 0; c < N; c++) {
            KS[i * N + c] = beta[i] * (v[i * N + c] - left * KS[i * N + c]);
            o[i * N + c] = scale * left * QS[i * N + c];
        }
    }
    substitute(L, KS, n, N);
    nn(o, A, KS, n, n, N, scale, 1);
    real after = 1; /* left of token i at the chunk's end */
    for (size_t i = n; i-- > 0; after *= keep[i])
        for (size_t c = 0; c < N; c++)
            K[i * N + c] *= after;
    tn(S, K, KS, N, n, N, 1, left);
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
