/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mixer gdn_swa: the gated delta rule for what is far, a window of softmax attention
 * for what is near ("InfiniteVL: Synergizing Linear and Sparse Attention for
 * Highly-Efficient, Unlimited-Input Vision-Language Models", 2025; model/gdn.h,
 * windowed.h).
 *
 * alternate: every fourth layer, beginning with the first, is the window, the others are
 * the delta rule.  fuse: both in every layer, o = sg(eta) o_window + (1 - sg(eta)) o_delta,
 * eta one number a head, 0 at first.
 *
 * The delta rule's decay and step are one number a token and head, from all channels:
 *     g = -exp(a_log) softplus(Wa x + dt_bias)     beta = sg(Wb x), or twice that
 * and queries and keys are brought to unit length.  Under FRWKV's trunk a learnt vector
 * is added to x before Wa and Wb.
 */
#include <string.h>

#include "model/elementary.h"
#include "model/gdn.h"
#include "model/slices.h"
#include "model/vector.h"
#include "model/windowed.h"

enum { PERIOD = 4 }; /* layers from one window to the next */
enum { A_LOG, DT_BIAS, ETA };
enum { NONE, H_, TWO_H, C_, DIMS };

static const real NORM_EPS = REAL_C(1e-6), ROPE_BASE = REAL_C(10000.0);

static bool fuses(const struct mixer_config *config)
{
    return config->options.gdn_pattern == GDN_FUSE;
}

static bool has_window(const struct mixer_config *config)
{
    return fuses(config) || config->layer % PERIOD == 0;
}

static bool has_delta(const struct mixer_config *config)
{
    return fuses(config) || config->layer % PERIOD != 0;
}

static size_t gdn_extra(const struct mixer_config *config)
{
    return has_delta(config) ? 2 : 0;
}

static void gdn_tensors(const struct mixer_config *config, struct core_tensors *t)
{
    static const struct tensor_row ab = {"ab.w", TWO_H, C_, C_, INIT_UNIFORM, 0};
    static const struct tensor_row mu_d = {"ab.mu_d", C_, NONE, NONE, INIT_NORMAL, 0.02};
    static const struct tensor_row mu_a = {"ab.mu_a", C_, NONE, NONE, INIT_NORMAL, 0.02};
    static const struct tensor_row a_log = {"a_log", H_, NONE, NONE, INIT_LOG, 16};
    static const struct tensor_row dt = {"dt_bias", H_, NONE, NONE, INIT_RAW_STEP, 1e-3};
    static const struct tensor_row eta = {"eta", H_, NONE, NONE, INIT_CONSTANT, 0};
    t->dims[H_] = config->H;
    t->dims[TWO_H] = 2 * config->H;
    t->dims[C_] = config->C;
    if (!has_delta(config))
        return;
    t->row[t->count++] = ab;
    if (config->trunk == TRUNK_FRWKV) {
        t->row[t->count++] = mu_d;
        t->row[t->count++] = mu_a;
    }
    const struct tensor_row own[] = {a_log, dt, eta};
    for (size_t i = 0; i < (fuses(config) ? 3 : 2); i++) {
        t->by_head[t->count] = true;
        t->row[t->count++] = own[i];
    }
}

/* ---- the window -------------------------------------------------------------------- */

static struct windowed mask_of(const struct mixer_config *config, size_t T, size_t N)
{
    return (struct windowed){.T = T,
                             .N = N,
                             .causal = true,
                             .window = (size_t)config->options.gdn_window,
                             .sinks = (size_t)config->options.gdn_sinks};
}

/* y (N) = x with each pair of channels turned by its own angle times `by` (Su et al.:
 * "RoFormer", 2021). */
static void turn(real *y, const real *x, real by, size_t N)
{
    for (size_t i = 0; i + 1 < N; i += 2) {
        const real angle = by * pow(ROPE_BASE, -(real)i / (real)N);
        const real c = cos(angle), s = sin(angle), a = x[i], b = x[i + 1];
        y[i] = c * a - s * b;
        y[i + 1] = s * a + c * b;
    }
    if (N % 2)
        y[N - 1] = x[N - 1];
}

static void turn_all(const struct slice *s, real *y, const real *x, real direction)
{
    for (size_t t = 0; t < s->T; t++)
        turn(y + t * s->N, x + t * s->N, direction * (real)t, s->N);
}

static size_t window_scratch(const struct mixer_config *config, size_t T, size_t N,
                             bool training)
{
    const struct windowed mask = mask_of(config, T, N);
    const size_t turned = config->options.gdn_rope ? (training ? 4 : 2) * T * N : 0;
    return has_window(config) ? turned + windowed_scratch(&mask, training) : 0;
}

static void window_forward(const struct slice *s, real *o, real *log_sum, real *work)
{
    const struct windowed mask = mask_of(s->config, s->T, s->N);
    const size_t n = s->T * s->N;
    if (!s->config->options.gdn_rope) {
        windowed_forward(&mask, s->q, s->k, s->v, o, log_sum, work);
        return;
    }
    turn_all(s, work, s->q, 1);
    turn_all(s, work + n, s->k, 1);
    windowed_forward(&mask, work, work + n, s->v, o, log_sum, work + 2 * n);
}

static void window_backward(const struct slice *s, const real *d_o, const real *log_sum,
                            const struct slice_grad *g, real *work)
{
    const struct windowed mask = mask_of(s->config, s->T, s->N);
    const size_t n = s->T * s->N;
    if (!s->config->options.gdn_rope) {
        windowed_backward(&mask, s->q, s->k, s->v, d_o, log_sum, g->dq, g->dk, g->dv,
                          work);
        return;
    }
    real *const q = work, *const k = q + n, *const dq = k + n, *const dk = dq + n;
    turn_all(s, q, s->q, 1);
    turn_all(s, k, s->k, 1);
    memset(dq, 0, 2 * n * sizeof *dq);
    windowed_backward(&mask, q, k, s->v, d_o, log_sum, dq, dk, g->dv, dk + n);
    turn_all(s, q, dq, -1);
    turn_all(s, k, dk, -1);
    vector_add(g->dq, 1, q, n);
    vector_add(g->dk, 1, k, n);
}

/* ---- the delta rule ---------------------------------------------------------------- */

/* Unit queries and keys, log decays and steps: what the rule is given. */
struct given {
    real *q, *k, *g, *beta, *rest;
};

static struct given given_at(real *at, size_t T, size_t N)
{
    return (struct given){.q = at,
                          .k = at + T * N,
                          .g = at + 2 * T * N,
                          .beta = at + 2 * T * N + T,
                          .rest = at + 2 * T * N + 2 * T};
}

static void unit(real *y, const real *x, size_t N)
{
    const real rstd = 1 / sqrt(vector_dot(x, x, N) + NORM_EPS);
    for (size_t n = 0; n < N; n++)
        y[n] = x[n] * rstd;
}

/* y = x r, r = 1/sqrt(x.x + eps): dx += r (dy - y (y . dy)) */
static void unit_backward(real *dx, const real *dy, const real *y, const real *x,
                          size_t N)
{
    const real rstd = 1 / sqrt(vector_dot(x, x, N) + NORM_EPS);
    const real along = vector_dot(y, dy, N);
    for (size_t n = 0; n < N; n++)
        dx[n] += rstd * (dy[n] - y[n] * along);
}

static real softplus(real x)
{
    return (x > 0 ? x : 0) + log1p(elementary_exp(-fabs(x)));
}

static real step_factor(const struct slice *s)
{
    return s->config->options.gdn_neg_eig ? 2 : 1;
}

static struct gdn give(const struct slice *s, const struct given *w)
{
    for (size_t t = 0; t < s->T; t++) {
        const real *const pre = s->extra + 2 * t;
        unit(w->q + t * s->N, s->q + t * s->N, s->N);
        unit(w->k + t * s->N, s->k + t * s->N, s->N);
        w->g[t] = -exp(*s->theta[A_LOG]) * softplus(pre[0] + *s->theta[DT_BIAS]);
        w->beta[t] = step_factor(s) * elementary_sigmoid(pre[1]);
    }
    return (struct gdn){.T = s->T,
                        .N = s->N,
                        .chunk = (size_t)s->config->options.gdn_chunk,
                        .q = w->q,
                        .k = w->k,
                        .v = s->v,
                        .g = w->g,
                        .beta = w->beta};
}

static size_t delta_scratch(const struct mixer_config *config, size_t T, size_t N,
                            bool training)
{
    const struct gdn gdn = {.T = T, .N = N, .chunk = (size_t)config->options.gdn_chunk};
    return has_delta(config)
               ? (training ? 2 : 1) * (2 * T * N + 2 * T) + gdn_scratch(&gdn)
               : 0;
}

static void delta_forward(const struct slice *s, real *o, real *states, real *work)
{
    const struct given w = given_at(work, s->T, s->N);
    const struct gdn gdn = give(s, &w);
    gdn_forward(&gdn, o, s->training ? states : NULL, w.rest);
}

static void delta_backward(const struct slice *s, const real *d_o, const real *states,
                           const struct slice_grad *g, real *work)
{
    const size_t N = s->N;
    const struct given w = given_at(work, s->T, N), d = given_at(w.rest, s->T, N);
    const struct gdn gdn = give(s, &w);
    const real rate = exp(*s->theta[A_LOG]);
    memset(d.q, 0, (2 * s->T * N + 2 * s->T) * sizeof *d.q);
    gdn_backward(&gdn, d_o, states, d.q, d.k, g->dv, d.g, d.beta, d.rest);
    for (size_t t = 0; t < s->T; t++) {
        const real *const pre = s->extra + 2 * t;
        const real open = w.beta[t] / step_factor(s);
        const real d_raw =
            -d.g[t] * rate * elementary_sigmoid(pre[0] + *s->theta[DT_BIAS]);
        unit_backward(g->dq + t * N, d.q + t * N, w.q + t * N, s->q + t * N, N);
        unit_backward(g->dk + t * N, d.k + t * N, w.k + t * N, s->k + t * N, N);
        *g->dtheta[A_LOG] += d.g[t] * w.g[t];
        *g->dtheta[DT_BIAS] += d_raw;
        g->d_extra[2 * t] += d_raw;
        g->d_extra[2 * t + 1] += d.beta[t] * w.beta[t] * (1 - open);
    }
}

/* ---- the pattern ------------------------------------------------------------------- */

/* What forward keeps of one slice: states of the rule, sums of the window, and where
 * both are there their outputs. */
struct kept {
    real *states, *log_sum, *o_window, *o_delta;
};

static struct kept kept_at(const struct mixer_config *config, real *at, size_t T,
                           size_t N)
{
    const struct gdn gdn = {.T = T, .N = N};
    struct kept kept = {.states = at};
    kept.log_sum = kept.states + (has_delta(config) ? gdn_states(&gdn) : 0);
    kept.o_window = kept.log_sum + (has_window(config) ? T : 0);
    kept.o_delta = kept.o_window + (fuses(config) ? T * N : 0);
    return kept;
}

static size_t gdn_tape(const struct mixer_config *config, size_t T, size_t N)
{
    const struct gdn gdn = {.T = T, .N = N};
    return (has_delta(config) ? gdn_states(&gdn) : 0) + (has_window(config) ? T : 0) +
           (fuses(config) ? 2 * T * N : 0);
}

static size_t gdn_swa_scratch(const struct mixer_config *config, size_t T, size_t N,
                              bool training)
{
    return window_scratch(config, T, N, training) +
           delta_scratch(config, T, N, training) + (fuses(config) ? T * N : 0);
}

static void gdn_swa_forward(const struct slice *s, real *o)
{
    const struct kept kept = kept_at(s->config, s->tape, s->T, s->N);
    const bool both = fuses(s->config);
    if (has_window(s->config))
        window_forward(s, both ? kept.o_window : o, kept.log_sum, s->scratch);
    if (has_delta(s->config))
        delta_forward(s, both ? kept.o_delta : o, kept.states, s->scratch);
    if (!both)
        return;
    const real share = elementary_sigmoid(*s->theta[ETA]);
    for (size_t i = 0; i < s->T * s->N; i++)
        o[i] = share * kept.o_window[i] + (1 - share) * kept.o_delta[i];
}

static void gdn_swa_backward(const struct slice *s, const real *d_o,
                             const struct slice_grad *g)
{
    const struct kept kept = kept_at(s->config, s->tape, s->T, s->N);
    if (!fuses(s->config)) {
        if (has_window(s->config))
            window_backward(s, d_o, kept.log_sum, g, s->scratch);
        else
            delta_backward(s, d_o, kept.states, g, s->scratch);
        return;
    }
    const size_t n = s->T * s->N;
    const real share = elementary_sigmoid(*s->theta[ETA]);
    real *const d = s->scratch, *const work = d + n;
    *g->dtheta[ETA] +=
        share * (1 - share) *
        (vector_dot(d_o, kept.o_window, n) - vector_dot(d_o, kept.o_delta, n));
    for (size_t i = 0; i < n; i++)
        d[i] = share * d_o[i];
    window_backward(s, d, kept.log_sum, g, work);
    for (size_t i = 0; i < n; i++)
        d[i] = (1 - share) * d_o[i];
    delta_backward(s, d, kept.states, g, work);
}

/* ---- one token at a time ----------------------------------------------------------- */

/* The rule's S (N,N); the window's keys and values, sinks first, then a ring of W; and
 * how many tokens there were. */
static size_t window_rows(const struct mixer_config *config)
{
    return (size_t)config->options.gdn_window + (size_t)config->options.gdn_sinks;
}

static size_t gdn_state(const struct mixer_config *config, size_t N)
{
    return (has_delta(config) ? N * N : 0) +
           (has_window(config) ? 2 * window_rows(config) * N + 1 : 0);
}

/* Counted in a float: before it loses ones, whole windows are forgotten. */
enum { COUNT_MOST = 1 << 22 };

static void window_step(const struct slice *s, real *o, real *state)
{
    const size_t N = s->N, sinks = (size_t)s->config->options.gdn_sinks;
    const size_t W = (size_t)s->config->options.gdn_window, rows = sinks + W;
    real *const keys = state, *const values = keys + rows * N,
                *const counter = values + rows * N;
    real *const score = s->scratch, *const k = score + rows;
    if (*counter >= COUNT_MOST)
        *counter -= (real)(COUNT_MOST / 2 / W * W);
    const size_t t = (size_t)*counter;
    *counter += 1;
    memcpy(keys + (sinks + t % W) * N, s->k, N * sizeof *keys);
    memcpy(values + (sinks + t % W) * N, s->v, N * sizeof *values);
    if (t < sinks) {
        memcpy(keys + t * N, s->k, N * sizeof *keys);
        memcpy(values + t * N, s->v, N * sizeof *values);
    }
    real most = -(real)INFINITY, sum = 0;
    for (size_t r = 0; r < rows; r++) { /* a token in the window is not also a sink */
        const bool sink = r < sinks;
        const size_t age = sink ? t - r : (t % W + W - (r - sinks)) % W;
        const bool seen = sink ? r <= t && age >= W : age <= t;
        score[r] = -(real)INFINITY;
        if (!seen)
            continue;
        const real *key = keys + r * N;
        if (s->config->options.gdn_rope) {
            turn(k, key, -(real)age, N);
            key = k;
        }
        score[r] = vector_dot(s->q, key, N) / sqrt((real)N);
        most = score[r] > most ? score[r] : most;
    }
    memset(o, 0, N * sizeof *o);
    for (size_t r = 0; r < rows; r++) {
        const real weight = isinf(score[r]) ? 0 : exp(score[r] - most);
        sum += weight;
        vector_add(o, weight, values + r * N, N);
    }
    for (size_t n = 0; n < N; n++)
        o[n] /= sum;
}

static void delta_step(const struct slice *s, real *o, real *state)
{
    const struct given w = given_at(s->scratch, 1, s->N);
    const struct gdn gdn = give(s, &w);
    gdn_step(&gdn, 0, o, state, w.rest);
}

static void gdn_swa_step(const struct slice *s, real *o, real *state)
{
    const size_t N = s->N;
    real *const window = state + (has_delta(s->config) ? N * N : 0);
    if (!has_window(s->config)) {
        delta_step(s, o, state);
    } else if (!has_delta(s->config)) {
        window_step(s, o, window);
    } else {
        real *const other = s->scratch + 6 * N + 2;
        const real share = elementary_sigmoid(*s->theta[ETA]);
        delta_step(s, other, state);
        struct slice rest = *s;
        rest.scratch = other + N;
        window_step(&rest, o, window);
        for (size_t n = 0; n < N; n++)
            o[n] = share * o[n] + (1 - share) * other[n];
    }
}

/* A step needs the scores of all rows and a turned key besides. */
static size_t any_scratch(const struct mixer_config *config, size_t T, size_t N,
                          bool training)
{
    const size_t batch = gdn_swa_scratch(config, T, N, training);
    const size_t step = window_rows(config) + 9 * N + 2;
    return batch > step ? batch : step;
}

static unsigned gdn_flags(const struct mixer_config *config)
{
    return MIXER_CAUSAL | MIXER_STEP | (has_delta(config) ? MIXER_CONV : 0);
}

static const struct slices loops = {
    .tape = gdn_tape,
    .scratch = any_scratch,
    .forward = gdn_swa_forward,
    .backward = gdn_swa_backward,
    .extra = gdn_extra,
    .state = gdn_state,
    .step = gdn_swa_step,
};

const struct mixer gdn_swa_mixer = {
    .name = "gdn_swa", .flags = gdn_flags, .tensors = gdn_tensors, .slices = &loops};
