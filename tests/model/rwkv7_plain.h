/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rwkv7_plain.h -- the mixer as its formulas read, in double, one product a letter.
 *
 * The reference that the fast forms are held to: full transition matrices, no shared
 * products, tensors found by name.  Sizes are small and fixed.
 */
#ifndef RWKV7_PLAIN_H
#define RWKV7_PLAIN_H

#include <math.h>
#include <string.h>

#include "model/tensors.h"
#include "tests/check.h"

enum { PLAIN_C_MAX = 64, PLAIN_E_MAX = 128, PLAIN_N_MAX = 64 };

struct plain {
    const double *theta;
    const struct tensors *tensors; /* named "mixer.*" */
    size_t C, H;
};

static inline const struct tensor *plain_tensor(const struct plain *p, const char *name)
{
    for (size_t i = 0; i < p->tensors->count; i++)
        if (!strcmp(p->tensors->list[i].name + strlen("mixer."), name))
            return &p->tensors->list[i];
    print_error("no tensor %s\n", name);
    fail();
    return NULL;
}

static inline const double *plain_at(const struct plain *p, const char *name)
{
    return p->theta + plain_tensor(p, name)->offset;
}

/* y = W x + b, sizes those of W. */
static inline void plain_linear(const struct plain *p, double *y, const double *x,
                                const char *w, const char *b)
{
    const struct tensor *const t = plain_tensor(p, w);
    for (size_t o = 0; o < t->shape[0]; o++) {
        y[o] = b ? plain_at(p, b)[o] : 0;
        for (size_t i = 0; i < t->shape[1]; i++)
            y[o] += plain_at(p, w)[o * t->shape[1] + i] * x[i];
    }
}

static inline void plain_mlp(const struct plain *p, double *y, const double *x,
                             const char *w1, const char *b1, const char *w2,
                             const char *b2)
{
    double hidden[PLAIN_E_MAX];
    plain_linear(p, hidden, x, w1, b1);
    for (size_t e = 0; e < plain_tensor(p, w1)->shape[0]; e++)
        hidden[e] = 0.5 * hidden[e] * (1 + erf(hidden[e] / sqrt(2)));
    plain_linear(p, y, hidden, w2, b2);
}

static inline void plain_low_rank(const struct plain *p, double *y, const double *x,
                                  const char *a, const char *b, const char *bias)
{
    double hidden[PLAIN_E_MAX];
    plain_linear(p, hidden, x, a, NULL);
    plain_linear(p, y, hidden, b, bias);
}

static inline const double *plain_shift(const struct plain *p, double *out,
                                        const double *x, const char *mu)
{
    for (size_t c = 0; c < p->C; c++)
        out[c] = x[c] + plain_at(p, mu)[c];
    return out;
}

static inline double plain_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* S = G S + v k',  G = diag(w) - kappa b',  o = S r: N^3, as written. */
static inline void plain_core_step(double *S, double *o, size_t N, const double *r,
                                   const double *w, const double *kappa, const double *b,
                                   const double *v, const double *k)
{
    double next[PLAIN_N_MAX * PLAIN_N_MAX];
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            next[i * N + j] = v[i] * k[j];
            for (size_t m = 0; m < N; m++)
                next[i * N + j] += ((i == m ? w[i] : 0) - kappa[i] * b[m]) * S[m * N + j];
        }
    memcpy(S, next, N * N * sizeof *S);
    for (size_t i = 0; i < N; i++) {
        o[i] = 0;
        for (size_t j = 0; j < N; j++)
            o[i] += S[i * N + j] * r[j];
    }
}

/* One token; S holds H states of (N,N), zero at first. */
static inline void plain_token(const struct plain *p, const double *x, double *y,
                               double *S)
{
    const size_t C = p->C, H = p->H, N = C / H;
    double s[PLAIN_C_MAX], r[PLAIN_C_MAX], k[PLAIN_C_MAX], v[PLAIN_C_MAX], w[PLAIN_C_MAX];
    double a[PLAIN_C_MAX], g[PLAIN_C_MAX], kappa[PLAIN_C_MAX], b[PLAIN_C_MAX];
    double kt[PLAIN_C_MAX], o[PLAIN_C_MAX];
    plain_mlp(p, r, plain_shift(p, s, x, "mu_r"), "wr.w1", "wr.b1", "wr.w2", "wr.b2");
    plain_mlp(p, k, plain_shift(p, s, x, "mu_k"), "wk.w1", "wk.b1", "wk.w2", "wk.b2");
    plain_mlp(p, v, plain_shift(p, s, x, "mu_v"), "wv.w1", "wv.b1", "wv.w2", "wv.b2");
    plain_low_rank(p, w, plain_shift(p, s, x, "mu_d"), "decay.a", "decay.b",
                   "decay.bias");
    plain_low_rank(p, a, plain_shift(p, s, x, "mu_a"), "rate.a", "rate.b", "rate.bias");
    plain_low_rank(p, g, plain_shift(p, s, x, "mu_g"), "gate.a", "gate.b", NULL);
    double mean = 0, var = 0;
    for (size_t h = 0; h < H; h++) {
        double norm = 0, match = 0;
        for (size_t c = h * N; c < (h + 1) * N; c++) {
            w[c] = exp(-exp(-0.3) * plain_sigmoid(tanh(w[c])));
            a[c] = plain_sigmoid(a[c]);
            kappa[c] = k[c] * plain_at(p, "xi")[c];
            norm += kappa[c] * kappa[c];
            kt[c] = k[c] * (1 + (a[c] - 1) * plain_at(p, "alpha")[c]);
            match += 0.2 * r[c] * kt[c];
        }
        for (size_t c = h * N; c < (h + 1) * N; c++) {
            kappa[c] /= fmax(sqrt(norm), 1e-12);
            b[c] = a[c] * kappa[c];
        }
        const size_t at = h * N;
        plain_core_step(S + h * N * N, o + at, N, r + at, w + at, kappa + at, b + at,
                        v + at, kt + at);
        for (size_t c = at; c < at + N; c++)
            o[c] += match * plain_at(p, "bonus")[c] * v[c];
    }
    for (size_t c = 0; c < C; c++)
        mean += o[c] / (double)C;
    for (size_t c = 0; c < C; c++)
        var += (o[c] - mean) * (o[c] - mean) / (double)C;
    for (size_t c = 0; c < C; c++)
        o[c] = ((o[c] - mean) / sqrt(var + 1e-6) * plain_at(p, "ln.g")[c] +
                plain_at(p, "ln.b")[c]) *
               plain_sigmoid(g[c]);
    plain_mlp(p, y, o, "wo.w1", "wo.b1", "wo.w2", "wo.b2");
}

#endif
