/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mixer linear: features elu(x) + 1 (Katharopoulos et al.: "Transformers are RNNs:
 * Fast Autoregressive Transformers with Linear Attention", 2020).
 */
#include "model/elementary.h"
#include "model/featured.h"
#include "model/slices.h"

static struct featured core_of(const struct mixer_config *config, size_t T, size_t N)
{
    return (struct featured){
        .T = T, .N = N, .D = N, .causal = config->causal, .eps = REAL_C(1e-6)};
}

/* f (n) = x + 1 where x > 0, else exp(x). */
static void features(real *restrict f, const real *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        f[i] = x[i] > 0 ? x[i] + 1 : elementary_exp(x[i]);
}

static void add_slopes(real *dx, const real *df, const real *f, const real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dx[i] += df[i] * (x[i] > 0 ? 1 : f[i]);
}

static size_t linear_scratch(const struct mixer_config *config, size_t T, size_t N,
                             bool training)
{
    const struct featured core = core_of(config, T, N);
    return (training ? 4 : 2) * T * N + featured_scratch(&core, training);
}

static void linear_core_forward(const struct slice *s, real *o)
{
    const struct featured core = core_of(s->config, s->T, s->N);
    const size_t n = s->T * s->N;
    real *const a = s->scratch, *const f = a + n;
    features(a, s->q, n);
    features(f, s->k, n);
    featured_forward(&core, a, f, s->v, o, f + n);
}

static void linear_core_backward(const struct slice *s, const real *d_o,
                                 const struct slice_grad *g)
{
    const struct featured core = core_of(s->config, s->T, s->N);
    const size_t n = s->T * s->N;
    real *const a = s->scratch, *const f = a + n, *const da = f + n, *const df = da + n;
    features(a, s->q, n);
    features(f, s->k, n);
    featured_backward(&core, a, f, s->v, d_o, da, df, g->dv, df + n);
    add_slopes(g->dq, da, a, s->q, n);
    add_slopes(g->dk, df, f, s->k, n);
}

static size_t linear_state(const struct mixer_config *config, size_t N)
{
    (void)config;
    return featured_state(N, N);
}

static void linear_step(const struct slice *s, real *o, real *state)
{
    const struct featured core = core_of(s->config, 1, s->N);
    real *const a = s->scratch, *const f = a + s->N;
    features(a, s->q, s->N);
    features(f, s->k, s->N);
    featured_step(&core, a, f, s->v, o, state);
}

static unsigned linear_flags(const struct mixer_config *config)
{
    return config->causal ? MIXER_CAUSAL | MIXER_STEP : MIXER_ORDER_FREE;
}

static const struct slices loops = {
    .scratch = linear_scratch,
    .forward = linear_core_forward,
    .backward = linear_core_backward,
    .state = linear_state,
    .step = linear_step,
};

const struct mixer linear_mixer = {
    .name = "linear", .flags = linear_flags, .slices = &loops};
