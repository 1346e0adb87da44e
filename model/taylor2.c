/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mixer taylor2: the kernel is the exponential's expansion to second order (Xu et al.:
 * "QT-ViT: Improving Linear Attention in ViT with Quadratic Taylor Expansion", 2024),
 * as a product of features.  With z = q . k / sqrt(N):
 *
 *   full, sym   1 + z + z^2/2.  full has all N^2 products, sym each once: the same kernel.
 *   diag        the squares stand for all products:
 *               (alpha^2 sum q_i^2 k_i^2 + 2 beta^2 z + gamma^2 + 1) / 2
 *   norm2       what the program does: unit vectors, squared, brought to unit length
 *               again, and a learnt constant c: kernel in [c^2, c^2 + 1]
 *
 * and o += gelu(LayerNorm(v)) by head, where asked for.  With pos a learnt vector is added
 * to the key of each place, which fixes their number: there is no step then.
 */
#include <string.h>

#include "model/elementary.h"
#include "model/featured.h"
#include "model/slices.h"
#include "model/vector.h"

enum { HEAD_MAX = 16 }; /* of full and sym, whose features grow with its square */
enum { NONE, ONE, C_, PLACES_C, DIMS };

static const real EPS = REAL_C(1e-6), LN_EPS = REAL_C(1e-5);
static const real HALF_ROOT = REAL_C(0.70710678118654752);
/* beta^4 < BETA_SHARE alpha^2 (gamma^2 + 1) keeps the kernel of diag positive. */
static const real BETA_SHARE = REAL_C(0.99);

/* Tensors in order: those of the mode, those of the shortcut, the places. */
static void taylor2_tensors(const struct mixer_config *config, struct core_tensors *t)
{
    static const struct tensor_row alpha = {"alpha", ONE, NONE, NONE, INIT_CONSTANT, 1};
    static const struct tensor_row gamma = {"gamma", ONE, NONE, NONE, INIT_CONSTANT, 1};
    static const struct tensor_row beta = {"beta", ONE, NONE, NONE, INIT_CONSTANT, 0};
    static const struct tensor_row c = {"c", ONE, NONE, NONE, INIT_CONSTANT, 1};
    static const struct tensor_row gain = {"shortcut.g",  C_, NONE, NONE,
                                           INIT_CONSTANT, 1};
    static const struct tensor_row bias = {"shortcut.b",  C_, NONE, NONE,
                                           INIT_CONSTANT, 0};
    static const struct tensor_row pos = {"pos", PLACES_C, NONE, NONE, INIT_NORMAL, 0.02};
    t->dims[ONE] = 1;
    t->dims[C_] = config->C;
    t->dims[PLACES_C] = config->places * config->C;
    if (config->options.taylor2_mode == TAYLOR_DIAG) {
        t->row[t->count++] = alpha;
        t->row[t->count++] = gamma;
        if (config->options.taylor2_beta)
            t->row[t->count++] = beta;
    } else if (config->options.taylor2_mode == TAYLOR_NORM2) {
        t->row[t->count++] = c;
    }
    if (config->options.taylor2_shortcut) {
        t->by_head[t->count] = t->by_head[t->count + 1] = true;
        t->row[t->count++] = gain;
        t->row[t->count++] = bias;
    }
    if (config->options.taylor2_pos) { /* (H,places,N) */
        t->by_head[t->count] = true;
        t->row[t->count++] = pos;
    }
}

static size_t shortcut_at(const struct mixer_config *config)
{
    switch (config->options.taylor2_mode) {
    case TAYLOR_DIAG:
        return config->options.taylor2_beta ? 3 : 2;
    case TAYLOR_NORM2:
        return 1;
    default:
        return 0;
    }
}

static size_t pos_at(const struct mixer_config *config)
{
    return shortcut_at(config) + (config->options.taylor2_shortcut ? 2 : 0);
}

static size_t width(const struct mixer_config *config, size_t N)
{
    switch (config->options.taylor2_mode) {
    case TAYLOR_NORM2:
        return N + 1;
    case TAYLOR_DIAG:
        return 2 * N + 2;
    case TAYLOR_SYM:
        return 1 + N + N * (N + 1) / 2;
    case TAYLOR_FULL:
        break;
    }
    return 1 + N + N * N;
}

/* ---- features: one vector ---------------------------------------------------------- */

/* The scalars of diag and norm2. */
struct scalars {
    real alpha, beta, gamma, c;
    bool held; /* beta at its bound */
};

static struct scalars scalars_of(const struct slice *s)
{
    struct scalars a = {0};
    if (s->config->options.taylor2_mode == TAYLOR_NORM2)
        a.c = *s->theta[0];
    if (s->config->options.taylor2_mode != TAYLOR_DIAG)
        return a;
    a.alpha = *s->theta[0];
    a.gamma = *s->theta[1];
    if (s->config->options.taylor2_beta) {
        const real most =
            sqrt(sqrt(BETA_SHARE * a.alpha * a.alpha * (a.gamma * a.gamma + 1)));
        const real beta = *s->theta[2];
        a.held = fabs(beta) > most;
        a.beta = a.held ? copysign(most, beta) : beta;
    }
    return a;
}

static void products(real *f, const real *x, size_t N, bool sym)
{
    const real root = 1 / sqrt(sqrt((real)N)), square = 1 / sqrt(2 * (real)N);
    const real pair = 1 / sqrt((real)N);
    *f++ = 1;
    for (size_t i = 0; i < N; i++)
        *f++ = x[i] * root;
    for (size_t i = 0; i < N; i++)
        for (size_t j = sym ? i : 0; j < N; j++)
            *f++ = x[i] * x[j] * (sym && i != j ? pair : square);
}

static void products_backward(real *dx, const real *df, const real *x, size_t N, bool sym)
{
    const real root = 1 / sqrt(sqrt((real)N)), square = 1 / sqrt(2 * (real)N);
    const real pair = 1 / sqrt((real)N);
    df++;
    for (size_t i = 0; i < N; i++)
        dx[i] += *df++ * root;
    for (size_t i = 0; i < N; i++)
        for (size_t j = sym ? i : 0; j < N; j++) {
            const real d = *df++ * (sym && i != j ? pair : square);
            dx[i] += d * x[j];
            dx[j] += d * x[i];
        }
}

static real linear_factor(size_t N)
{
    return sqrt(2 / sqrt((real)N)); /* (4/N)^(1/4) */
}

static void squares(real *f, const real *x, size_t N, const struct scalars *a)
{
    const real linear = a->beta * linear_factor(N);
    for (size_t i = 0; i < N; i++) {
        f[i] = HALF_ROOT * a->alpha * x[i] * x[i];
        f[N + i] = HALF_ROOT * linear * x[i];
    }
    f[2 * N] = HALF_ROOT * a->gamma;
    f[2 * N + 1] = HALF_ROOT;
}

/* d: gradients at alpha, gamma, beta. */
static void squares_backward(real *dx, const real *df, const real *x, size_t N,
                             const struct scalars *a, real d[3])
{
    const real linear = linear_factor(N);
    for (size_t i = 0; i < N; i++) {
        dx[i] += HALF_ROOT * (2 * a->alpha * x[i] * df[i] + a->beta * linear * df[N + i]);
        d[0] += HALF_ROOT * x[i] * x[i] * df[i];
        d[2] += HALF_ROOT * linear * x[i] * df[N + i];
    }
    d[1] += HALF_ROOT * df[2 * N];
}

/* y = x / (|x| + eps); returns |x|. */
static real unit(real *y, const real *x, size_t N)
{
    const real norm = sqrt(vector_dot(x, x, N));
    for (size_t i = 0; i < N; i++)
        y[i] = x[i] / (norm + EPS);
    return norm;
}

/* dx += (dy - y (y . dy) (norm + eps) / norm) / (norm + eps) */
static void unit_backward(real *dx, const real *dy, const real *y, real norm, size_t N)
{
    const real whole = norm + EPS;
    const real along = norm > 0 ? vector_dot(y, dy, N) * whole / norm : 0;
    for (size_t i = 0; i < N; i++)
        dx[i] += (dy[i] - y[i] * along) / whole;
}

/* scratch (N) */
static void twice_normed(real *f, const real *x, size_t N, real c, real *scratch)
{
    unit(scratch, x, N);
    for (size_t i = 0; i < N; i++)
        scratch[i] *= scratch[i];
    unit(f, scratch, N);
    f[N] = c;
}

/* scratch (4 N) */
static void twice_normed_backward(real *dx, const real *df, const real *x, size_t N,
                                  real *dc, real *scratch)
{
    real *const u = scratch, *const w = u + N, *const f = w + N, *const dw = f + N;
    const real first = unit(u, x, N);
    for (size_t i = 0; i < N; i++)
        w[i] = u[i] * u[i];
    const real second = unit(f, w, N);
    memset(dw, 0, N * sizeof *dw);
    unit_backward(dw, df, f, second, N);
    for (size_t i = 0; i < N; i++)
        dw[i] *= 2 * u[i];
    unit_backward(dx, dw, u, first, N);
    *dc += df[N];
}

static void features(const struct slice *s, real *f, const real *x, real *scratch)
{
    const size_t N = s->N, D = width(s->config, N);
    const enum taylor2_mode mode = s->config->options.taylor2_mode;
    const struct scalars a = scalars_of(s);
    for (size_t t = 0; t < s->T; t++, f += D, x += N)
        if (mode == TAYLOR_NORM2)
            twice_normed(f, x, N, a.c, scratch);
        else if (mode == TAYLOR_DIAG)
            squares(f, x, N, &a);
        else
            products(f, x, N, mode == TAYLOR_SYM);
}

static void features_backward(const struct slice *s, const struct slice_grad *g, real *dx,
                              const real *df, const real *x, real *scratch)
{
    const size_t N = s->N, D = width(s->config, N);
    const enum taylor2_mode mode = s->config->options.taylor2_mode;
    const struct scalars a = scalars_of(s);
    real d[3] = {0}, dc = 0;
    for (size_t t = 0; t < s->T; t++, df += D, x += N, dx += N)
        if (mode == TAYLOR_NORM2)
            twice_normed_backward(dx, df, x, N, &dc, scratch);
        else if (mode == TAYLOR_DIAG)
            squares_backward(dx, df, x, N, &a, d);
        else
            products_backward(dx, df, x, N, mode == TAYLOR_SYM);
    if (mode == TAYLOR_NORM2)
        *g->dtheta[0] += dc;
    if (mode != TAYLOR_DIAG)
        return;
    if (a.held) { /* beta = sign (share alpha^2 (gamma^2 + 1))^(1/4) */
        d[0] += d[2] * a.beta / (2 * a.alpha);
        d[1] += d[2] * a.beta * a.gamma / (2 * (a.gamma * a.gamma + 1));
        d[2] = 0;
    }
    *g->dtheta[0] += d[0];
    *g->dtheta[1] += d[1];
    if (s->config->options.taylor2_beta)
        *g->dtheta[2] += d[2];
}

/* The keys with their places' vectors added, where asked for, in k (T,N). */
static const real *placed_keys(const struct slice *s, real *k)
{
    if (!s->config->options.taylor2_pos)
        return s->k;
    memcpy(k, s->k, s->T * s->N * sizeof *k);
    vector_add(k, 1, s->theta[pos_at(s->config)], s->T * s->N);
    return k;
}

static size_t placed_size(const struct mixer_config *config, size_t T, size_t N)
{
    return config->options.taylor2_pos ? T * N : 0;
}

/* ---- the shortcut ------------------------------------------------------------------ */

/* hat (N) of one token's value; returns 1/deviation. */
static real normalise(real *hat, const real *v, size_t N)
{
    real mean = 0, var = 0;
    for (size_t n = 0; n < N; n++)
        mean += v[n] / (real)N;
    for (size_t n = 0; n < N; n++)
        var += (v[n] - mean) * (v[n] - mean) / (real)N;
    const real rstd = 1 / sqrt(var + LN_EPS);
    for (size_t n = 0; n < N; n++)
        hat[n] = (v[n] - mean) * rstd;
    return rstd;
}

static void add_shortcut(const struct slice *s, real *o, real *hat)
{
    const size_t N = s->N, at = shortcut_at(s->config);
    for (size_t t = 0; t < s->T; t++) {
        normalise(hat, s->v + t * N, N);
        for (size_t n = 0; n < N; n++) {
            const real u = s->theta[at][n] * hat[n] + s->theta[at + 1][n];
            o[t * N + n] += u * elementary_normal(u, elementary_exp(-u * u / 2));
        }
    }
}

/* hat (2 N) */
static void shortcut_backward(const struct slice *s, const real *d_o,
                              const struct slice_grad *g, real *hat)
{
    const size_t N = s->N, at = shortcut_at(s->config);
    real *const dhat = hat + N;
    for (size_t t = 0; t < s->T; t++) {
        const real rstd = normalise(hat, s->v + t * N, N);
        real mean = 0, along = 0;
        for (size_t n = 0; n < N; n++) {
            const real u = s->theta[at][n] * hat[n] + s->theta[at + 1][n];
            const real gauss = elementary_exp(-u * u / 2);
            const real slope =
                elementary_normal(u, gauss) + u * gauss * REAL_C(0.39894228040143268);
            const real du = d_o[t * N + n] * slope;
            g->dtheta[at][n] += du * hat[n];
            g->dtheta[at + 1][n] += du;
            dhat[n] = du * s->theta[at][n];
            mean += dhat[n] / (real)N;
            along += dhat[n] * hat[n] / (real)N;
        }
        for (size_t n = 0; n < N; n++)
            g->dv[t * N + n] += rstd * (dhat[n] - mean - hat[n] * along);
    }
}

/* ---- the whole --------------------------------------------------------------------- */

static struct featured core_of(const struct mixer_config *config, size_t T, size_t N)
{
    return (struct featured){
        .T = T, .N = N, .D = width(config, N), .causal = config->causal, .eps = EPS};
}

static size_t taylor2_scratch(const struct mixer_config *config, size_t T, size_t N,
                              bool training)
{
    const struct featured core = core_of(config, T, N);
    return 4 * N + placed_size(config, T, N) + (training ? 4 : 2) * T * core.D +
           featured_scratch(&core, training);
}

static void taylor2_forward(const struct slice *s, real *o)
{
    const struct featured core = core_of(s->config, s->T, s->N);
    real *const placed = s->scratch + 4 * s->N;
    real *const a = placed + placed_size(s->config, s->T, s->N);
    real *const f = a + s->T * core.D;
    features(s, a, s->q, s->scratch);
    features(s, f, placed_keys(s, placed), s->scratch);
    featured_forward(&core, a, f, s->v, o, f + s->T * core.D);
    if (s->config->options.taylor2_shortcut)
        add_shortcut(s, o, s->scratch);
}

static void taylor2_backward(const struct slice *s, const real *d_o,
                             const struct slice_grad *g)
{
    const struct featured core = core_of(s->config, s->T, s->N);
    const size_t n = s->T * core.D;
    real *const placed = s->scratch + 4 * s->N;
    real *const a = placed + placed_size(s->config, s->T, s->N), *const f = a + n;
    real *const da = f + n, *const df = da + n;
    const real *const k = placed_keys(s, placed);
    features(s, a, s->q, s->scratch);
    features(s, f, k, s->scratch);
    featured_backward(&core, a, f, s->v, d_o, da, df, g->dv, df + n);
    features_backward(s, g, g->dq, da, s->q, s->scratch);
    features_backward(s, g, g->dk, df, k, s->scratch);
    if (s->config->options.taylor2_pos)
        vector_add(g->dtheta[pos_at(s->config)], 1, g->dk, s->T * s->N);
    if (s->config->options.taylor2_shortcut)
        shortcut_backward(s, d_o, g, s->scratch);
}

static size_t taylor2_state(const struct mixer_config *config, size_t N)
{
    return featured_state(width(config, N), N);
}

static void taylor2_step(const struct slice *s, real *o, real *state)
{
    const struct featured core = core_of(s->config, 1, s->N);
    real *const a = s->scratch + 4 * s->N, *const f = a + core.D;
    features(s, a, s->q, s->scratch);
    features(s, f, s->k, s->scratch);
    featured_step(&core, a, f, s->v, o, state);
    if (s->config->options.taylor2_shortcut)
        add_shortcut(s, o, s->scratch);
}

static unsigned taylor2_flags(const struct mixer_config *config)
{
    if (config->options.taylor2_pos)
        return config->causal ? MIXER_CAUSAL : 0;
    return config->causal ? MIXER_CAUSAL | MIXER_STEP : MIXER_ORDER_FREE;
}

static int taylor2_check(const struct mixer_config *config, struct err *err)
{
    const enum taylor2_mode mode = config->options.taylor2_mode;
    if ((mode == TAYLOR_SYM || mode == TAYLOR_FULL) && config->C / config->H > HEAD_MAX)
        return err_set(
            err, ERR_INVALID,
            "taylor2_mode: full and sym need heads of at most %d channels, got "
            "%zu (width / heads)",
            HEAD_MAX, config->C / config->H);
    if (config->options.taylor2_pos && !config->places)
        return err_set(
            err, ERR_INVALID,
            "taylor2_pos: must be none unless axis is patch: other tokens have "
            "no place");
    return 0;
}

static const struct slices loops = {
    .scratch = taylor2_scratch,
    .forward = taylor2_forward,
    .backward = taylor2_backward,
    .state = taylor2_state,
    .step = taylor2_step,
};

const struct mixer taylor2_mixer = {.name = "taylor2",
                                    .flags = taylor2_flags,
                                    .check = taylor2_check,
                                    .tensors = taylor2_tensors,
                                    .slices = &loops};
