/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mixer luna: the features themselves are learned ("LUNA: Linear Universal Neural
 * Attention with Generalization Guarantees", 2025).
 *
 *     u_m = w_m . x + b_m                             m = 1..M directions
 *     phi(x) = h(x) / sqrt(M) psi_l(u_m)              index m L + l (model/luna_map.h)
 *
 * shared by queries and keys and by all heads of a layer, or per_head; a product of
 * features is a positive definite kernel whatever was learned.  h is 1, or with env = exp
 * exp(e0 - softplus(e1) |x|^2 / (2 sqrt N)), which has the positive random features as
 * a special case.  chrms scales each channel l of a slice by min(1, 0.1 / rms), the root
 * mean square over its tokens and directions: over a slice, not over the batch as in the
 * source, so that no forecast depends on which others were asked for.
 */
#include <assert.h>
#include <string.h>

#include "model/elementary.h"
#include "model/featured.h"
#include "model/luna_map.h"
#include "model/matrix.h"
#include "model/slices.h"
#include "model/vector.h"

enum { W, B, C1, D1, C2, D2, E0, E1 };
enum { NONE, MAPS_, MAPS_M, N_, MAPS_L, HD, MAPS_HD, DIMS };
static_assert((int)DIMS <= (int)CORE_DIMS, "sizes fit");

static const real DEN_MIN = REAL_C(1e-6), RMS_EPS = REAL_C(1e-6), RMS_MOST = REAL_C(0.1);

static size_t m_of(const struct mixer_config *config)
{
    return (size_t)config->options.luna_m;
}

static size_t l_of(const struct mixer_config *config)
{
    return (size_t)config->options.luna_lc;
}

static void luna_tensors(const struct mixer_config *config, struct core_tensors *t)
{
    const size_t N = config->C / config->H;
    const struct tensor_row rows[] = {
        [W] = {"w", MAPS_M, N_, NONE, INIT_NORMAL, 1 / sqrt((double)N)},
        [B] = {"b", MAPS_M, NONE, NONE, INIT_CONSTANT, 0},
        [C1] = {"c1", MAPS_HD, NONE, NONE, INIT_UNIFORM, 0},
        [D1] = {"d1", MAPS_HD, NONE, NONE, INIT_UNIFORM, 0},
        [C2] = {"c2", MAPS_L, HD, HD, INIT_UNIFORM, 0},
        [D2] = {"d2", MAPS_L, NONE, HD, INIT_UNIFORM, 0},
        [E0] = {"e0", MAPS_, NONE, NONE, INIT_CONSTANT, 0},
        [E1] = {"e1", MAPS_, NONE, NONE, INIT_CONSTANT,
                0.54132485461291810}, /* softplus 1 */
    };
    t->count = config->options.luna_env == LUNA_EXP ? E1 + 1 : D2 + 1;
    memcpy(t->row, rows, sizeof rows);
    for (size_t i = 0; i < t->count; i++)
        t->by_head[i] = config->options.luna_per_head;
    const size_t maps = config->options.luna_per_head ? config->H : 1;
    const size_t hidden = (size_t)config->options.luna_hidden;
    t->dims[MAPS_] = maps;
    t->dims[MAPS_M] = maps * m_of(config);
    t->dims[N_] = N;
    t->dims[MAPS_L] = maps * l_of(config);
    t->dims[HD] = hidden;
    t->dims[MAPS_HD] = maps * hidden;
}

static struct luna_map map_of(const struct slice *s)
{
    return (struct luna_map){.L = l_of(s->config),
                             .Hd = (size_t)s->config->options.luna_hidden,
                             .act = s->config->options.luna_nonneg,
                             .c1 = s->theta[C1],
                             .d1 = s->theta[D1],
                             .c2 = s->theta[C2],
                             .d2 = s->theta[D2]};
}

static struct featured core_of(const struct mixer_config *config, size_t T, size_t N)
{
    return (struct featured){.T = T,
                             .N = N,
                             .D = m_of(config) * l_of(config),
                             .causal = config->causal,
                             .floored = true,
                             .eps = DEN_MIN};
}

/* ---- features ---------------------------------------------------------------------- */

/* What a feature map works in: u (T,M), the table, sums for its gradients, scales (L). */
struct space {
    real *u, *table, *sums, *scale;
};

static struct luna_map sizes_of(const struct mixer_config *config)
{
    return (struct luna_map){.L = l_of(config),
                             .Hd = (size_t)config->options.luna_hidden};
}

static size_t small_size(const struct mixer_config *config)
{
    const struct luna_map map = sizes_of(config);
    return luna_table_size(&map) + luna_sums_size(&map) + 2 * map.L;
}

static struct space space_of(const struct slice *s)
{
    const struct luna_map map = sizes_of(s->config);
    struct space space = {.u = s->scratch, .table = s->scratch + s->T * m_of(s->config)};
    space.sums = space.table + luna_table_size(&map);
    space.scale = space.sums + luna_sums_size(&map);
    return space;
}

static size_t space_size(const struct mixer_config *config, size_t T)
{
    return T * m_of(config) + small_size(config);
}

static real envelope(const struct slice *s, const real *x)
{
    const real flat = 1 / sqrt((real)m_of(s->config));
    if (s->config->options.luna_env == LUNA_FLAT)
        return flat;
    const real width = elementary_softplus(*s->theta[E1]) / (2 * sqrt((real)s->N));
    return flat * elementary_exp(*s->theta[E0] - width * vector_dot(x, x, s->N));
}

/* f (T, M L) becomes psi of x, and u what it was taken at. */
static struct luna_table psi_of(const struct slice *s, const struct space *w, real *f,
                                const real *x)
{
    const size_t M = m_of(s->config), L = l_of(s->config);
    const struct luna_map map = map_of(s);
    const struct luna_table table = luna_table(&map, w->table);
    matrix_nt(w->u, x, s->theta[W], s->T, s->N, M, 1, 0);
    for (size_t t = 0; t < s->T; t++)
        vector_add(w->u + t * M, 1, s->theta[B], M);
    luna_look_up(&map, &table, w->u, s->T * M, f);
    luna_act(&map, f, s->T * M * L);
    return table;
}

/* scale (L) = min(1, most / rms); rms (L) where it is not NULL. */
static void channel_scales(const struct slice *s, const real *psi, real *scale, real *rms)
{
    const size_t L = l_of(s->config), n = s->T * m_of(s->config);
    for (size_t l = 0; l < L; l++) {
        real squares = 0;
        for (size_t i = 0; i < n; i++)
            squares += psi[i * L + l] * psi[i * L + l];
        rms[l] = sqrt(squares / (real)n + RMS_EPS);
        scale[l] = RMS_MOST / (rms[l] + RMS_EPS);
        scale[l] = scale[l] < 1 ? scale[l] : 1;
    }
}

static void features(const struct slice *s, real *f, const real *x)
{
    const struct space w = space_of(s);
    const size_t M = m_of(s->config), L = l_of(s->config), D = M * L;
    psi_of(s, &w, f, x);
    if (s->config->options.luna_chrms) {
        channel_scales(s, f, w.scale, w.scale + L);
        for (size_t i = 0; i < s->T * D; i++)
            f[i] *= w.scale[i % L];
    }
    for (size_t t = 0; t < s->T; t++) {
        const real h = envelope(s, x + t * s->N);
        for (size_t i = 0; i < D; i++)
            f[t * D + i] *= h;
    }
}

/* df becomes the gradient before the envelope; f, the features, what they were there. */
static void envelope_backward(const struct slice *s, const struct slice_grad *g, real *dx,
                              real *f, real *df, const real *x)
{
    const size_t N = s->N, D = m_of(s->config) * l_of(s->config);
    const bool exponential = s->config->options.luna_env == LUNA_EXP;
    for (size_t t = 0; t < s->T; t++) {
        const real h = envelope(s, x + t * N);
        const real d_log = vector_dot(df + t * D, f + t * D, D); /* dh h = df . f */
        for (size_t i = 0; i < D; i++) {
            f[t * D + i] /= h;
            df[t * D + i] *= h;
        }
        if (!exponential)
            continue;
        const real raw = *s->theta[E1], square = vector_dot(x + t * N, x + t * N, N);
        const real half = 1 / (2 * sqrt((real)N));
        *g->dtheta[E0] += d_log;
        *g->dtheta[E1] -= d_log * elementary_sigmoid(raw) * half * square;
        vector_add(dx + t * N, -2 * d_log * elementary_softplus(raw) * half, x + t * N,
                   N);
    }
}

/* As above, before the channels' scales. */
static void scales_backward(const struct slice *s, real *f, real *df,
                            const struct space *w)
{
    const size_t L = l_of(s->config), n = s->T * m_of(s->config);
    real *const scale = w->scale, *const rms = w->scale + L;
    channel_scales(s, f, scale, rms);
    for (size_t l = 0; l < L; l++) {
        real along = 0;
        for (size_t i = 0; i < n; i++)
            along += df[i * L + l] * f[i * L + l];
        const real whole =
            rms[l] + RMS_EPS; /* scale = most / whole where it is below 1 */
        const real slope =
            scale[l] < 1 ? -along * RMS_MOST / (whole * whole * rms[l] * (real)n) : 0;
        for (size_t i = 0; i < n; i++)
            df[i * L + l] = df[i * L + l] * scale[l] + slope * f[i * L + l];
    }
}

/* f and df are used up. */
static void features_backward(const struct slice *s, const struct slice_grad *g, real *dx,
                              real *f, real *df, const real *x)
{
    const struct space w = space_of(s);
    const size_t M = m_of(s->config);
    const struct luna_map map = map_of(s);
    envelope_backward(s, g, dx, f, df, x);
    const struct luna_table table = psi_of(s, &w, f, x);
    if (s->config->options.luna_chrms)
        scales_backward(s, f, df, &w);
    memset(w.sums, 0, luna_sums_size(&map) * sizeof *w.sums);
    luna_look_up_backward(&map, &table, w.u, f, df, s->T * M, w.sums);
    luna_table_backward(&map, &table, w.sums, g->dtheta[C1], g->dtheta[D1], g->dtheta[C2],
                        g->dtheta[D2]);
    for (size_t t = 0; t < s->T; t++)
        vector_add(g->dtheta[B], 1, w.u + t * M, M);
    matrix_tn(g->dtheta[W], w.u, x, M, s->T, s->N, 1, 1);
    matrix_nn(dx, w.u, s->theta[W], s->T, M, s->N, 1, 1);
}

/* ---- the whole --------------------------------------------------------------------- */

static size_t luna_scratch(const struct mixer_config *config, size_t T, size_t N,
                           bool training)
{
    const struct featured core = core_of(config, T, N);
    return space_size(config, T) + (training ? 4 : 2) * T * core.D +
           featured_scratch(&core, training);
}

static void luna_forward(const struct slice *s, real *o)
{
    const struct featured core = core_of(s->config, s->T, s->N);
    real *const a = s->scratch + space_size(s->config, s->T);
    real *const f = a + s->T * core.D;
    features(s, a, s->q);
    features(s, f, s->k);
    featured_forward(&core, a, f, s->v, o, f + s->T * core.D);
}

static void luna_backward(const struct slice *s, const real *d_o,
                          const struct slice_grad *g)
{
    const struct featured core = core_of(s->config, s->T, s->N);
    const size_t n = s->T * core.D;
    real *const a = s->scratch + space_size(s->config, s->T), *const f = a + n;
    real *const da = f + n, *const df = da + n;
    features(s, a, s->q);
    features(s, f, s->k);
    featured_backward(&core, a, f, s->v, d_o, da, df, g->dv, df + n);
    features_backward(s, g, g->dq, a, da, s->q);
    features_backward(s, g, g->dk, f, df, s->k);
}

static size_t luna_state(const struct mixer_config *config, size_t N)
{
    return featured_state(m_of(config) * l_of(config), N);
}

static void luna_step(const struct slice *s, real *o, real *state)
{
    const struct featured core = core_of(s->config, 1, s->N);
    real *const a = s->scratch + space_size(s->config, 1), *const f = a + core.D;
    features(s, a, s->q);
    features(s, f, s->k);
    featured_step(&core, a, f, s->v, o, state);
}

static unsigned luna_flags(const struct mixer_config *config)
{
    return config->causal ? MIXER_CAUSAL | MIXER_STEP : MIXER_ORDER_FREE;
}

static int luna_check(const struct mixer_config *config, struct err *err)
{
    if (config->causal && config->options.luna_chrms)
        return err_set(err, ERR_INVALID,
                       "luna_chrms: must be false where causal is true: the scale looks "
                       "at all tokens");
    return 0;
}

static const struct slices loops = {
    .scratch = luna_scratch,
    .forward = luna_forward,
    .backward = luna_backward,
    .state = luna_state,
    .step = luna_step,
};

const struct mixer luna_mixer = {.name = "luna",
                                 .flags = luna_flags,
                                 .check = luna_check,
                                 .tensors = luna_tensors,
                                 .slices = &loops};
