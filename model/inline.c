/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mixer inline: injective linear attention (Han et al.: "Bridging the Divide:
 * Reconsidering Softmax and Linear Attention", 2024).
 *
 *     A_ti = s/T (q_t . k_i - mean over j of q_t . k_j) + 1/T     s = 1/sqrt(N)
 *     o_t = sum A_ti v_i = mean(v) + s Cov(v, k) q_t
 *
 * Rows of A sum to one, nothing is divided by, and entries may be negative.  Computed
 * from centred keys and values, M = s/T Kc' Vc, o = mean(v) + M' q: the same numbers,
 * better conditioned.  Causal: the moments of tokens 0..t.
 *
 * The local residual adds to each value channel a mixture of three tokens, in weights
 * that the mean of the mixer's input decides:
 *
 *     p = mean over t of x    ker = W2 gelu(W1 p + b1) + b2    by head, ker (N,3)
 *     o_t[n] += sum over j of ker[n,j] v_{t_j}[n]
 *
 * with t_j = t-1, t, t+1 (order3), or t itself and the two series most like it (knn).
 */
#include <string.h>

#include "model/elementary.h"
#include "model/matrix.h"
#include "model/slices.h"
#include "model/vector.h"

enum { TOKENS = 3 };
enum { W1, B1, W2, B2 };
enum { NONE, C_, N_, THREE_C, DIMS };

static bool has_local(const struct mixer_config *config)
{
    return config->options.inline_local != LOCAL_NONE;
}

static void inline_tensors(const struct mixer_config *config, struct core_tensors *t)
{
    if (!has_local(config))
        return;
    const struct tensor_row rows[] = {
        [W1] = {"local.w1", C_, N_, N_, INIT_UNIFORM, 0},
        [B1] = {"local.b1", C_, NONE, N_, INIT_UNIFORM, 0},
        [W2] = {"local.w2", THREE_C, N_, N_, INIT_UNIFORM, 0},
        [B2] = {"local.b2", THREE_C, NONE, N_, INIT_UNIFORM, 0},
    };
    t->count = sizeof rows / sizeof *rows;
    memcpy(t->row, rows, sizeof rows);
    for (size_t i = 0; i < t->count; i++)
        t->by_head[i] = true;
    t->dims[C_] = config->C;
    t->dims[N_] = config->C / config->H;
    t->dims[THREE_C] = TOKENS * config->C;
}

/* ---- features ---------------------------------------------------------------------- */

/* Beyond it exp(0.2 x) stays where it is, so that products of features, and squares of
 * outputs, are finite in float whatever comes in. */
static const real EXP_MOST = REAL_C(80.0);

static void features(const struct mixer_config *config, real *f, const real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        switch (config->options.inline_phi) {
        case PHI_IDENTITY:
            f[i] = x[i];
            break;
        case PHI_RELU:
            f[i] = x[i] > 0 ? x[i] : 0;
            break;
        case PHI_LEAKY:
            f[i] = x[i] > 0 ? x[i] : REAL_C(0.01) * x[i];
            break;
        case PHI_EXP:
            f[i] = elementary_exp(x[i] < EXP_MOST ? REAL_C(0.2) * x[i]
                                                  : REAL_C(0.2) * EXP_MOST);
            break;
        }
}

static void add_slopes(const struct mixer_config *config, real *dx, const real *df,
                       const real *f, const real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        switch (config->options.inline_phi) {
        case PHI_IDENTITY:
            dx[i] += df[i];
            break;
        case PHI_RELU:
            dx[i] += x[i] > 0 ? df[i] : 0;
            break;
        case PHI_LEAKY:
            dx[i] += x[i] > 0 ? df[i] : REAL_C(0.01) * df[i];
            break;
        case PHI_EXP:
            dx[i] += x[i] < EXP_MOST ? REAL_C(0.2) * f[i] * df[i] : 0;
            break;
        }
}

/* ---- the local residual ------------------------------------------------------------ */

/* Where the j-th value of token t comes from, or T for none. */
static size_t neighbour(const struct slice *s, size_t t, size_t j)
{
    if (s->config->options.inline_local == LOCAL_KNN)
        return j == 0 ? t : s->config->near[2 * t + j - 1];
    return t + j >= 1 && t + j - 1 < s->T ? t + j - 1 : s->T;
}

/* p, u, p1 (N) and ker (3N), one behind the other; so 6N reals. */
static const real *kernel(const struct slice *s, real *p)
{
    const size_t N = s->N;
    real *const u = p + N, *const p1 = u + N, *const ker = p1 + N;
    memset(p, 0, N * sizeof *p);
    for (size_t t = 0; t < s->T; t++)
        vector_add(p, 1 / (real)s->T, s->x + t * N, N);
    for (size_t i = 0; i < N; i++) {
        u[i] = s->theta[B1][i] + vector_dot(s->theta[W1] + i * N, p, N);
        p1[i] = u[i] * elementary_normal(u[i], elementary_exp(-u[i] * u[i] / 2));
    }
    for (size_t i = 0; i < TOKENS * N; i++)
        ker[i] = s->theta[B2][i] + vector_dot(s->theta[W2] + i * N, p1, N);
    return ker;
}

static void add_local(const struct slice *s, real *o)
{
    const size_t N = s->N;
    const real *const ker = kernel(s, s->scratch);
    for (size_t t = 0; t < s->T; t++)
        for (size_t j = 0; j < TOKENS; j++) {
            const size_t from = neighbour(s, t, j);
            for (size_t n = 0; from < s->T && n < N; n++)
                o[t * N + n] += ker[n * TOKENS + j] * s->v[from * N + n];
        }
}

static void local_backward(const struct slice *s, const real *d_o,
                           const struct slice_grad *g)
{
    const size_t N = s->N;
    const real *const ker = kernel(s, s->scratch);
    real *const p = s->scratch, *const u = p + N, *const p1 = u + N;
    real *const dker = s->scratch + 6 * N, *const dp1 = dker + TOKENS * N;
    real *const dp = dp1 + N;
    memset(dker, 0, (TOKENS + 2) * N * sizeof *dker);
    for (size_t t = 0; t < s->T; t++)
        for (size_t j = 0; j < TOKENS; j++) {
            const size_t from = neighbour(s, t, j);
            for (size_t n = 0; from < s->T && n < N; n++) {
                dker[n * TOKENS + j] += d_o[t * N + n] * s->v[from * N + n];
                g->dv[from * N + n] += d_o[t * N + n] * ker[n * TOKENS + j];
            }
        }
    for (size_t i = 0; i < TOKENS * N; i++) { /* ker = W2 p1 + b2 */
        vector_add(g->dtheta[W2] + i * N, dker[i], p1, N);
        vector_add(dp1, dker[i], s->theta[W2] + i * N, N);
        g->dtheta[B2][i] += dker[i];
    }
    for (size_t i = 0; i < N; i++) { /* p1 = gelu(W1 p + b1) */
        const real gauss = elementary_exp(-u[i] * u[i] / 2);
        const real slope =
            elementary_normal(u[i], gauss) + u[i] * gauss * REAL_C(0.39894228040143268);
        const real du = dp1[i] * slope;
        vector_add(g->dtheta[W1] + i * N, du, p, N);
        vector_add(dp, du, s->theta[W1] + i * N, N);
        g->dtheta[B1][i] += du;
    }
    for (size_t t = 0; t < s->T; t++)
        vector_add(g->dx + t * N, 1 / (real)s->T, dp, N);
}

static size_t local_scratch(const struct mixer_config *config, size_t N)
{
    return has_local(config) ? (6 + TOKENS + 2) * N : 0;
}

/* ---- all tokens at once ------------------------------------------------------------ */

static real scale_of(size_t N)
{
    return 1 / sqrt((real)N);
}

/* x (T,N) becomes centred, mean (N) its mean. */
static void centre(real *x, real *mean, size_t T, size_t N)
{
    memset(mean, 0, N * sizeof *mean);
    for (size_t t = 0; t < T; t++)
        vector_add(mean, 1 / (real)T, x + t * N, N);
    for (size_t t = 0; t < T; t++)
        vector_add(x + t * N, -1, mean, N);
}

/* Features of the queries and keys, the keys and values centred, M. */
struct moments {
    real *q, *k, *Kc, *Vc, *M, *kb, *vb, *rest;
};

static struct moments moments_of(const struct slice *s, real *at)
{
    const size_t n = s->T * s->N, N = s->N;
    const struct moments m = {.q = at,
                              .k = at + n,
                              .Kc = at + 2 * n,
                              .Vc = at + 3 * n,
                              .M = at + 4 * n,
                              .kb = at + 4 * n + N * N,
                              .vb = at + 4 * n + N * N + N,
                              .rest = at + 4 * n + N * N + 2 * N};
    features(s->config, m.q, s->q, n);
    features(s->config, m.k, s->k, n);
    memcpy(m.Kc, m.k, n * sizeof *m.Kc);
    memcpy(m.Vc, s->v, n * sizeof *m.Vc);
    centre(m.Kc, m.kb, s->T, N);
    centre(m.Vc, m.vb, s->T, N);
    matrix_tn(m.M, m.Kc, m.Vc, N, s->T, N, scale_of(N) / (real)s->T, 0);
    return m;
}

static void all_forward(const struct slice *s, real *o, real *work)
{
    const struct moments m = moments_of(s, work);
    for (size_t t = 0; t < s->T; t++)
        memcpy(o + t * s->N, m.vb, s->N * sizeof *o);
    matrix_nn(o, m.q, m.M, s->T, s->N, s->N, 1, 1);
}

static void all_backward(const struct slice *s, const real *d_o,
                         const struct slice_grad *g, real *work)
{
    const size_t T = s->T, N = s->N, n = T * N;
    const struct moments m = moments_of(s, work);
    real *const dM = m.rest, *const d = dM + N * N, *const mean = d + n;
    const real scale = scale_of(N) / (real)T;
    matrix_tn(dM, m.q, d_o, N, T, N, 1, 0);
    matrix_nt(d, d_o, m.M, T, N, N, 1, 0); /* dq = M do */
    add_slopes(s->config, g->dq, d, m.q, s->q, n);
    matrix_nt(d, m.Vc, dM, T, N, N, scale, 0); /* dKc = s/T Vc dM', centred again */
    centre(d, mean, T, N);
    add_slopes(s->config, g->dk, d, m.k, s->k, n);
    matrix_nn(d, m.Kc, dM, T, N, N, scale, 0); /* dVc = s/T Kc dM */
    centre(d, mean, T, N);
    memset(mean, 0, N * sizeof *mean); /* and the mean's */
    for (size_t t = 0; t < T; t++)
        vector_add(mean, 1 / (real)T, d_o + t * N, N);
    for (size_t t = 0; t < T; t++) {
        vector_add(g->dv + t * N, 1, d + t * N, N);
        vector_add(g->dv + t * N, 1, mean, N);
    }
}

/* ---- causal: sums so far ----------------------------------------------------------- */

/* Sums over the tokens so far: k v' (N,N), k, v (N), and how many. */
struct so_far {
    real *kv, *k, *v, *count;
};

static struct so_far so_far_at(real *state, size_t N)
{
    return (struct so_far){.kv = state,
                           .k = state + N * N,
                           .v = state + N * N + N,
                           .count = state + N * N + 2 * N};
}

static size_t inline_state(const struct mixer_config *config, size_t N)
{
    (void)config;
    return N * N + 2 * N + 1;
}

static void take_in(const struct so_far *w, const real *k, const real *v, size_t N)
{
    for (size_t i = 0; i < N; i++)
        vector_add(w->kv + i * N, k[i], v, N);
    vector_add(w->k, 1, k, N);
    vector_add(w->v, 1, v, N);
    *w->count += 1;
}

/* o = mean(v) (1 - s mean(k) . q) + s/n (sum k v')' q */
static void answer(const struct so_far *w, const real *q, real *o, size_t N)
{
    const real n = *w->count, s = scale_of(N);
    const real own = (1 - s * vector_dot(w->k, q, N) / n) / n;
    for (size_t i = 0; i < N; i++)
        o[i] = own * w->v[i];
    for (size_t i = 0; i < N; i++)
        vector_add(o, s / n * q[i], w->kv + i * N, N);
}

static void inline_step(const struct slice *s, real *o, real *state)
{
    const size_t N = s->N;
    const struct so_far sums = so_far_at(state, N);
    real *const q = s->scratch, *const k = q + N;
    features(s->config, q, s->q, N);
    features(s->config, k, s->k, N);
    take_in(&sums, k, s->v, N);
    answer(&sums, q, o, N);
}

static void causal_forward(const struct slice *s, real *o, real *work)
{
    const size_t N = s->N, n = s->T * N, state = inline_state(NULL, N);
    real *const q = work + state, *const k = q + n;
    const struct so_far sums = so_far_at(work, N);
    memset(work, 0, state * sizeof *work);
    features(s->config, q, s->q, n);
    features(s->config, k, s->k, n);
    for (size_t at = 0; at < n; at += N) {
        take_in(&sums, k + at, s->v + at, N);
        answer(&sums, q + at, o + at, N);
    }
}

/* Sums run forward once more for dq, their gradients backward for dk and dv. */
static void causal_backward(const struct slice *s, const real *d_o,
                            const struct slice_grad *g, real *work)
{
    const size_t N = s->N, n = s->T * N, state = inline_state(NULL, N);
    real *const q = work + 2 * state, *const k = q + n, *const dq = k + n;
    real *const dk = dq + n, *const own = dk + n, *const along = own + s->T;
    const struct so_far sums = so_far_at(work, N), d = so_far_at(work + state, N);
    const real sc = scale_of(N);
    memset(work, 0, 2 * state * sizeof *work);
    features(s->config, q, s->q, n);
    features(s->config, k, s->k, n);
    for (size_t t = 0; t < s->T; t++) {
        const size_t at = t * N;
        take_in(&sums, k + at, s->v + at, N);
        const real count = *sums.count;
        own[t] = (1 - sc * vector_dot(sums.k, q + at, N) / count) / count;
        along[t] = -sc / (count * count) * vector_dot(sums.v, d_o + at, N);
        for (size_t i = 0; i < N; i++)
            dq[at + i] = sc / count * vector_dot(sums.kv + i * N, d_o + at, N) +
                         along[t] * sums.k[i];
    }
    for (size_t t = s->T; t-- > 0;) {
        const size_t at = t * N;
        for (size_t i = 0; i < N; i++)
            vector_add(d.kv + i * N, sc / (real)(t + 1) * q[at + i], d_o + at, N);
        vector_add(d.v, own[t], d_o + at, N);
        vector_add(d.k, along[t], q + at, N);
        for (size_t i = 0; i < N; i++) {
            dk[at + i] = vector_dot(d.kv + i * N, s->v + at, N) + d.k[i];
            vector_add(g->dv + at, k[at + i], d.kv + i * N, N);
        }
        vector_add(g->dv + at, 1, d.v, N);
    }
    add_slopes(s->config, g->dq, dq, q, s->q, n);
    add_slopes(s->config, g->dk, dk, k, s->k, n);
}

/* ---- the whole --------------------------------------------------------------------- */

static size_t inline_scratch(const struct mixer_config *config, size_t T, size_t N,
                             bool training)
{
    const size_t local = local_scratch(config, N), n = T * N;
    if (config->causal)
        return (training ? 2 : 1) * inline_state(config, N) +
               (training ? 4 * n + 2 * T : 2 * n);
    return local + 4 * n + N * N + 2 * N + (training ? N * N + n + N : 0);
}

static void inline_forward(const struct slice *s, real *o)
{
    if (s->config->causal) {
        causal_forward(s, o, s->scratch);
        return;
    }
    all_forward(s, o, s->scratch + local_scratch(s->config, s->N));
    if (has_local(s->config))
        add_local(s, o);
}

static void inline_backward(const struct slice *s, const real *d_o,
                            const struct slice_grad *g)
{
    if (s->config->causal) {
        causal_backward(s, d_o, g, s->scratch);
        return;
    }
    all_backward(s, d_o, g, s->scratch + local_scratch(s->config, s->N));
    if (has_local(s->config))
        local_backward(s, d_o, g);
}

static unsigned inline_flags(const struct mixer_config *config)
{
    if (config->causal)
        return MIXER_CAUSAL | MIXER_STEP;
    return config->options.inline_local == LOCAL_ORDER3 ? 0 : MIXER_ORDER_FREE;
}

static int inline_check(const struct mixer_config *config, struct err *err)
{
    if (config->causal && has_local(config))
        return err_set(err, ERR_INVALID,
                       "inline_local: must be none where causal is true: the kernel "
                       "looks at all tokens");
    if (config->options.inline_local == LOCAL_KNN && !config->near)
        return err_set(err, ERR_INVALID,
                       "inline_local: knn needs series as tokens (group = joint, axis = "
                       "variate)");
    return 0;
}

static const struct slices loops = {
    .scratch = inline_scratch,
    .forward = inline_forward,
    .backward = inline_backward,
    .state = inline_state,
    .step = inline_step,
};

const struct mixer inline_mixer = {.name = "inline",
                                   .flags = inline_flags,
                                   .check = inline_check,
                                   .tensors = inline_tensors,
                                   .slices = &loops};
