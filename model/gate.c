/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows go in lanes, the same whatever the number of threads: a lane has scratch and sums
 * of its own, and the sums are added in the lanes' order. */
#include "model/gate.h"

#include <string.h>

#include "model/elementary.h"
#include "model/gate_router.h"
#include "model/gelu.h"
#include "model/linear.h"
#include "model/threads.h"
#include "model/vector.h"

enum { LANES = 32, PARTS = 2 };
enum { NONE, D_, D2, D3, HG, HT, ROUTERS, ONE, DIMS };
enum { I2R, R2I, D_RE, D_IM, T_RE, T_IM, MAPS };
enum { W1, B1, W2, B2, MAP_TENSORS };
enum { ROWS_MAX = MAPS * MAP_TENSORS + ROUTER_TENSORS + 1 };
/* Columns of a row's contexts, in D: cr ci cp, and cr cp side by side again. */
enum { CR, CI, CP, CR_CP, CTX = 5 };

static const real ALPHA_MOST = REAL_C(0.20), POWER_LEAST = REAL_C(1e-6);

/* ---- tensors ----------------------------------------------------------------------- */

static bool has_delta(const struct gate_config *c)
{
    return c->kind != GATE_BASE;
}

static size_t map_count(const struct gate_config *c)
{
    return c->kind == GATE_BASE ? D_RE : c->kind == GATE_ADAPTIVE ? MAPS : T_RE;
}

/* What one map reads, from which column on, and how wide it is within. */
struct map_shape {
    size_t column, in, hidden;
    unsigned char in_code, hidden_code;
};

static size_t at_least_32(size_t n)
{
    return n > 32 ? n : 32;
}

static struct map_shape map_shape(const struct gate_config *c, size_t m)
{
    static const unsigned char column[MAPS] = {CI, CR, CI, CR_CP, CR, CR};
    const bool all = m >= T_RE || (m >= D_RE && c->kind == GATE_FULL);
    const size_t width = m < D_RE ? 1 : all ? 3 : 2;
    return (struct map_shape){.column = all ? CR : column[m],
                              .in = width * c->D,
                              .hidden = at_least_32((m < T_RE ? 8 : 12) * c->D),
                              .in_code = (unsigned char)(D_ + width - 1),
                              .hidden_code = m < T_RE ? HG : HT};
}

struct list {
    struct tensor_row rows[ROWS_MAX];
    size_t count, dims[DIMS], at[ROWS_MAX];
};

/* The maps in use, then what the period needs, then al. */
static void list_fill(const struct gate_config *c, struct list *l)
{
    static const char *const names[MAPS][MAP_TENSORS] = {
        {"i2r.w1", "i2r.b1", "i2r.w2", "i2r.b2"},
        {"r2i.w1", "r2i.b1", "r2i.w2", "r2i.b2"},
        {"delta_re.w1", "delta_re.b1", "delta_re.w2", "delta_re.b2"},
        {"delta_im.w1", "delta_im.b1", "delta_im.w2", "delta_im.b2"},
        {"trust_re.w1", "trust_re.b1", "trust_re.w2", "trust_re.b2"},
        {"trust_im.w1", "trust_im.b1", "trust_im.w2", "trust_im.b2"},
    };
    static const struct tensor_row period[ROUTER_TENSORS] = {
        [ROUTER_GAIN] = {"period.ln.g", D_, NONE, NONE, INIT_CONSTANT, 1},
        [ROUTER_BIAS] = {"period.ln.b", D_, NONE, NONE, INIT_CONSTANT, 0},
        [ROUTER_Q] = {"period.wq", D_, D_, D_, INIT_UNIFORM, 0},
        [ROUTER_K] = {"period.wk", D_, D_, D_, INIT_UNIFORM, 0},
        [ROUTER_V] = {"period.wv", D_, D_, D_, INIT_UNIFORM, 0},
        [ROUTER_O] = {"period.wo", D_, D_, D_, INIT_UNIFORM, 0},
        [ROUTER_RT] = {"period.routers", ROUTERS, D_, NONE, INIT_NORMAL, 0.02},
    };
    *l = (struct list){.dims = {1, c->D, 2 * c->D, 3 * c->D, at_least_32(8 * c->D),
                                at_least_32(12 * c->D), c->routers, 1}};
    for (size_t m = 0; m < map_count(c); m++) {
        const struct map_shape s = map_shape(c, m);
        const enum init_rule last = m < D_RE ? INIT_UNIFORM : INIT_CONSTANT;
        const struct tensor_row rows[MAP_TENSORS] = {
            [W1] = {names[m][W1], s.hidden_code, s.in_code, s.in_code, INIT_UNIFORM, 0},
            [B1] = {names[m][B1], s.hidden_code, NONE, s.in_code, INIT_UNIFORM, 0},
            [W2] = {names[m][W2], D_, s.hidden_code, s.hidden_code, last, 0},
            [B2] = {names[m][B2], D_, NONE, s.hidden_code, last,
                    m < T_RE ? 0 : c->trust_bias},
        };
        memcpy(l->rows + l->count, rows, sizeof rows);
        l->count += MAP_TENSORS;
    }
    if (has_delta(c)) {
        memcpy(l->rows + l->count, period, sizeof period);
        l->count += ROUTER_TENSORS;
        l->rows[l->count++] =
            (struct tensor_row){"alpha", ONE, NONE, NONE, INIT_CONSTANT, c->alpha0};
    }
    tensors_layout(l->rows, l->count, l->dims, l->at);
}

void gate_params(const struct gate_config *c, struct tensors *tensors)
{
    struct list l;
    list_fill(c, &l);
    tensors_add(tensors, "gate", l.rows, l.count, l.dims);
}

int gate_check(const struct gate_config *c, struct err *err)
{
    if (c->kind != GATE_NONE && c->ctx == GATE_BAND && c->D > c->F)
        return err_set(err, ERR_INVALID,
                       "gate_ctx: band needs a lift of at most %zu, the bins of the "
                       "spectrum, got %zu",
                       c->F, c->D);
    return 0;
}

void gate_clamp(const struct gate_config *c, real *theta)
{
    struct list l;
    if (!has_delta(c) || c->clamp != GATE_CLAMP_PARAM)
        return;
    list_fill(c, &l);
    real *const alpha = theta + l.at[l.count - 1];
    *alpha = *alpha < 0 ? 0 : *alpha > ALPHA_MOST ? ALPHA_MOST : *alpha;
}

/* ---- memory ------------------------------------------------------------------------ */

struct gate_tape {
    size_t lanes, lane_size;
    real *ctx, *d_ctx;                     /* (R, CTX D) */
    real *slope[MAPS], *hidden[MAPS];      /* (R,hidden) */
    real *out[MAPS], *d_out;               /* (R,D); d_out of one map at a time */
    real *d_hidden;                        /* (R, widest) */
    real *factor[PARTS], *d_factor[PARTS]; /* (R,D) of R' and I' */
    real *lane;                            /* de (D), the period's gradients, scratch */
};

static struct gate_router router_of(const struct gate_config *c, const struct list *l,
                                    const real *theta)
{
    struct gate_router r = {.L = c->L, .D = c->D, .P = c->period, .R = c->routers};
    for (size_t i = 0; has_delta(c) && theta && i < ROUTER_TENSORS; i++)
        r.theta[i] = theta + l->at[map_count(c) * MAP_TENSORS + i];
    return r;
}

/* Reals of the period's tensors, and of al behind them. */
static size_t period_size(const struct gate_config *c)
{
    return has_delta(c) ? (2 + 4 * c->D + c->routers) * c->D + 1 : 0;
}

struct gate_tape *gate_tape(const struct gate_config *c, size_t R, bool training,
                            struct arena *arena)
{
    const struct gate_router router = router_of(c, NULL, NULL);
    struct gate_tape t = {.lanes = R < LANES ? R : LANES};
    t.lane_size = c->D + period_size(c) + PARTS * c->F +
                  (has_delta(c) ? gate_router_scratch(&router) : 0);
    t.ctx = arena_reals(arena, R * CTX * c->D);
    for (size_t m = 0; m < map_count(c); m++) {
        const size_t hidden = map_shape(c, m).hidden;
        t.slope[m] = arena_reals(arena, R * hidden);
        t.hidden[m] = arena_reals(arena, R * hidden);
        t.out[m] = arena_reals(arena, R * c->D);
    }
    for (size_t i = 0; i < PARTS; i++)
        t.factor[i] = arena_reals(arena, R * c->D);
    t.lane = arena_reals(arena, t.lanes * t.lane_size);
    if (training) {
        t.d_ctx = arena_reals(arena, R * CTX * c->D);
        t.d_out = arena_reals(arena, R * c->D);
        t.d_hidden = arena_reals(arena, R * at_least_32(12 * c->D));
        for (size_t i = 0; i < PARTS; i++)
            t.d_factor[i] = arena_reals(arena, R * c->D);
    }
    struct gate_tape *const kept = arena_bytes(arena, sizeof t);
    return kept ? memcpy(kept, &t, sizeof t) : NULL;
}

/* ---- contexts ---------------------------------------------------------------------- */

/* First bin of band k; band D ends at F.  At least one bin each. */
static size_t band_at(const struct gate_config *c, size_t k)
{
    if (k == 0 || k == c->D)
        return k == 0 ? 0 : c->F;
    const size_t edge = (size_t)pow((double)c->F, (double)k / (double)c->D);
    return edge < k ? k : edge > c->F - (c->D - k) ? c->F - (c->D - k) : edge;
}

/* R' and I' of one row at channel d, bin f. */
struct row {
    const real *re, *im, *y_re, *y_im;
};

static struct row row_of(const struct gate_call *k, size_t r)
{
    const size_t F = k->config->F, DF = k->config->D * F;
    return (struct row){k->re + r * F, k->im + r * F, k->y_re + r * DF, k->y_im + r * DF};
}

static void mean_context(const struct gate_call *k, size_t r, real *ctx)
{
    const size_t D = k->config->D, F = k->config->F;
    const struct row row = row_of(k, r);
    real re = 0, im = 0;
    for (size_t f = 0; f < F; f++) {
        re += row.re[f] / (real)F;
        im += row.im[f] / (real)F;
    }
    for (size_t d = 0; d < D; d++) {
        real y_re = 0, y_im = 0;
        for (size_t f = 0; f < F; f++) {
            y_re += row.y_re[d * F + f] / (real)F;
            y_im += row.y_im[d * F + f] / (real)F;
        }
        ctx[CR * D + d] = k->e[d] * re + y_re;
        ctx[CI * D + d] = k->e[d] * im + y_im;
    }
}

static void band_context(const struct gate_call *k, size_t r, real *ctx)
{
    const size_t D = k->config->D, F = k->config->F;
    const struct row row = row_of(k, r);
    for (size_t band = 0; band < D; band++) {
        const size_t first = band_at(k->config, band), end = band_at(k->config, band + 1);
        real sum = 0;
        for (size_t d = 0; d < D; d++)
            for (size_t f = first; f < end; f++) {
                const real re = k->e[d] * row.re[f] + row.y_re[d * F + f];
                const real im = k->e[d] * row.im[f] + row.y_im[d * F + f];
                sum += log(POWER_LEAST + re * re + im * im);
            }
        ctx[CR * D + band] = ctx[CI * D + band] = sum / (real)(D * (end - first));
    }
}

struct job {
    const struct gate_call *call;
    struct gate_tape *tape;
    const struct gate_grad *grad;
    const real *theta;
    real *out[PARTS];
    struct list list;
};

static void context_lane(void *ctx, size_t lane)
{
    const struct job *const j = ctx;
    const struct gate_call *const k = j->call;
    const struct gate_config *const c = k->config;
    const struct gate_router router = router_of(c, &j->list, j->theta);
    real *const scratch = j->tape->lane + lane * j->tape->lane_size;
    for (size_t r = lane; r < k->R; r += j->tape->lanes) {
        real *const row = j->tape->ctx + r * CTX * c->D;
        (c->ctx == GATE_BAND ? band_context : mean_context)(k, r, row);
        if (has_delta(c))
            gate_router_forward(&router, k->e, k->z + r * c->L, row + CP * c->D, scratch);
        memcpy(row + CR_CP * c->D, row + CR * c->D, c->D * sizeof *row);
        memcpy(row + (CR_CP + 1) * c->D, row + CP * c->D, c->D * sizeof *row);
    }
}

/* ---- factors ----------------------------------------------------------------------- */

static real alpha_of(const struct job *j, bool *held)
{
    const real alpha = j->theta[j->list.at[j->list.count - 1]];
    *held = alpha < 0 || alpha > ALPHA_MOST;
    return alpha < 0 ? 0 : alpha > ALPHA_MOST ? ALPHA_MOST : alpha;
}

static void maps_forward(const struct job *j)
{
    const struct gate_config *const c = j->call->config;
    struct gate_tape *const t = j->tape;
    const size_t R = j->call->R, D = c->D;
    for (size_t m = 0; m < map_count(c); m++) {
        const struct map_shape s = map_shape(c, m);
        const size_t *const at = j->list.at + m * MAP_TENSORS;
        linear_forward(j->call->pool, t->slope[m], s.hidden, t->ctx + s.column * D,
                       CTX * D, j->theta + at[W1], j->theta + at[B1], R, s.in, s.hidden);
        gelu_forward(j->call->pool, t->hidden[m], s.hidden, t->slope[m], s.hidden, R,
                     s.hidden);
        linear_forward(j->call->pool, t->out[m], D, t->hidden[m], s.hidden,
                       j->theta + at[W2], j->theta + at[B2], R, s.hidden, D);
        for (size_t i = 0; i < R * D; i++)
            t->out[m][i] = m == D_RE || m == D_IM ? elementary_tanh(t->out[m][i])
                                                  : elementary_sigmoid(t->out[m][i]);
    }
}

static void factors(const struct job *j)
{
    const struct gate_config *const c = j->call->config;
    const struct gate_tape *const t = j->tape;
    bool held;
    const real alpha = has_delta(c) ? alpha_of(j, &held) : 0;
    const bool trusts = c->kind == GATE_ADAPTIVE;
    for (size_t part = 0; part < PARTS; part++)
        for (size_t i = 0; i < j->call->R * c->D; i++) {
            real factor = 1 + t->out[I2R + part][i];
            if (has_delta(c))
                factor += alpha * t->out[D_RE + part][i] *
                          (trusts ? t->out[T_RE + part][i] : 1);
            t->factor[part][i] = factor;
        }
}

/* out = m (e R + y) - e R: what makes R'' of R. */
static void scale_lane(void *ctx, size_t lane)
{
    const struct job *const j = ctx;
    const struct gate_call *const k = j->call;
    const size_t D = k->config->D, F = k->config->F;
    const real *const spectra[PARTS] = {k->re, k->im}, *const ys[PARTS] = {k->y_re,
                                                                           k->y_im};
    for (size_t part = 0; part < PARTS; part++)
        for (size_t r = lane; r < k->R; r += j->tape->lanes)
            for (size_t d = 0; d < D; d++) {
                const real m = j->tape->factor[part][r * D + d];
                const real more = (m - 1) * k->e[d];
                const real *const y = ys[part] + (r * D + d) * F;
                real *const out = j->out[part] + (r * D + d) * F;
                for (size_t f = 0; f < F; f++)
                    out[f] = m * y[f] + more * spectra[part][r * F + f];
            }
}

void gate_forward(const struct gate_call *call, const real *theta, real *out_re,
                  real *out_im, struct gate_tape *tape)
{
    struct job j = {.call = call, .tape = tape, .theta = theta, .out = {out_re, out_im}};
    list_fill(call->config, &j.list);
    threads_run(call->pool, tape->lanes, context_lane, &j);
    maps_forward(&j);
    factors(&j);
    threads_run(call->pool, tape->lanes, scale_lane, &j);
}

/* ---- backward ---------------------------------------------------------------------- */

static void factor_lane(void *ctx, size_t lane)
{
    const struct job *const j = ctx;
    const struct gate_call *const k = j->call;
    const size_t D = k->config->D, F = k->config->F;
    const real *const spectra[PARTS] = {k->re, k->im}, *const ys[PARTS] = {k->y_re,
                                                                           k->y_im};
    const real *const d[PARTS] = {j->grad->d_re, j->grad->d_im};
    for (size_t part = 0; part < PARTS; part++)
        for (size_t r = lane; r < k->R; r += j->tape->lanes)
            for (size_t c = 0; c < D; c++) {
                const size_t at = (r * D + c) * F;
                j->tape->d_factor[part][r * D + c] =
                    vector_dot(d[part] + at, ys[part] + at, F) +
                    k->e[c] * vector_dot(d[part] + at, spectra[part] + r * F, F);
            }
}

/* d_out of map m: through its share of the factor, and its last function. */
static void out_backward(const struct job *j, size_t m, real alpha)
{
    const struct gate_config *const c = j->call->config;
    const struct gate_tape *const t = j->tape;
    const size_t part = m % PARTS;
    const bool trusts = c->kind == GATE_ADAPTIVE;
    for (size_t i = 0; i < j->call->R * c->D; i++) {
        const real d = t->d_factor[part][i], out = t->out[m][i];
        if (m < D_RE)
            t->d_out[i] = d * out * (1 - out);
        else if (m < T_RE)
            t->d_out[i] =
                d * alpha * (trusts ? t->out[T_RE + part][i] : 1) * (1 - out * out);
        else
            t->d_out[i] = d * alpha * t->out[D_RE + part][i] * out * (1 - out);
    }
}

static void maps_backward(const struct job *j, real alpha)
{
    const struct gate_call *const k = j->call;
    const struct gate_config *const c = k->config;
    const struct gate_tape *const t = j->tape;
    const size_t R = k->R, D = c->D;
    real *const dtheta = j->grad->dtheta;
    memset(t->d_ctx, 0, R * CTX * D * sizeof *t->d_ctx);
    for (size_t m = 0; m < map_count(c); m++) {
        const struct map_shape s = map_shape(c, m);
        const size_t *const at = j->list.at + m * MAP_TENSORS;
        out_backward(j, m, alpha);
        memset(t->d_hidden, 0, R * s.hidden * sizeof *t->d_hidden);
        linear_backward_weights(k->pool, dtheta + at[W2], dtheta + at[B2], t->d_out, D,
                                t->hidden[m], s.hidden, R, s.hidden, D);
        linear_backward_input(k->pool, t->d_hidden, s.hidden, t->d_out, D,
                              j->theta + at[W2], R, s.hidden, D);
        gelu_backward(k->pool, t->d_hidden, s.hidden, t->slope[m], s.hidden, R, s.hidden);
        linear_backward_weights(k->pool, dtheta + at[W1], dtheta + at[B1], t->d_hidden,
                                s.hidden, t->ctx + s.column * D, CTX * D, R, s.in,
                                s.hidden);
        linear_backward_input(k->pool, t->d_ctx + s.column * D, CTX * D, t->d_hidden,
                              s.hidden, j->theta + at[W1], R, s.in, s.hidden);
    }
}

/* al's, unless it is held where it is read. */
static void alpha_backward(const struct job *j)
{
    const struct gate_config *const c = j->call->config;
    const struct gate_tape *const t = j->tape;
    bool held;
    (void)alpha_of(j, &held);
    real sum = 0;
    for (size_t part = 0; part < PARTS && !held; part++)
        for (size_t i = 0; i < j->call->R * c->D; i++)
            sum += t->d_factor[part][i] * t->out[D_RE + part][i] *
                   (c->kind == GATE_ADAPTIVE ? t->out[T_RE + part][i] : 1);
    j->grad->dtheta[j->list.at[j->list.count - 1]] += sum;
}

/* Gradients of the contexts at R' and I', bin by bin. */
static void context_grad(const struct gate_call *k, size_t r, const real *d_ctx, size_t d,
                         real *d_re, real *d_im)
{
    const size_t D = k->config->D, F = k->config->F;
    const struct row row = row_of(k, r);
    if (k->config->ctx == GATE_MEAN) {
        for (size_t f = 0; f < F; f++) {
            d_re[f] = d_ctx[CR * D + d] / (real)F;
            d_im[f] = d_ctx[CI * D + d] / (real)F;
        }
        return;
    }
    for (size_t band = 0; band < D; band++) {
        const size_t first = band_at(k->config, band), end = band_at(k->config, band + 1);
        const real share =
            2 * (d_ctx[CR * D + band] + d_ctx[CI * D + band]) / (real)(D * (end - first));
        for (size_t f = first; f < end; f++) {
            const real re = k->e[d] * row.re[f] + row.y_re[d * F + f];
            const real im = k->e[d] * row.im[f] + row.y_im[d * F + f];
            const real power = POWER_LEAST + re * re + im * im;
            d_re[f] = share * re / power;
            d_im[f] = share * im / power;
        }
    }
}

/* With g the gradient at out: at R' it is m g and the contexts'; at y the same; at e R
 * that less g, since out takes e R away. */
static void spread(const struct job *j, size_t r, size_t d, size_t part, real *d_row,
                   const real *from_ctx, real *de)
{
    const struct gate_call *const k = j->call;
    const size_t F = k->config->F, D = k->config->D;
    const real *const spectrum = (part ? k->im : k->re) + r * F;
    real *const d_spectrum =
        (part ? j->grad->d_spectrum_im : j->grad->d_spectrum_re) + r * F;
    const real m = j->tape->factor[part][r * D + d];
    real along = 0;
    for (size_t f = 0; f < F; f++) {
        const real whole = m * d_row[f] + from_ctx[f];
        const real at_lift = whole - d_row[f];
        d_spectrum[f] += k->e[d] * at_lift;
        along += spectrum[f] * at_lift;
        d_row[f] = whole;
    }
    de[d] += along;
}

static void row_backward(const struct job *j, size_t r, real *de, real *const *d_period,
                         real *scratch)
{
    const struct gate_call *const k = j->call;
    const struct gate_config *const c = k->config;
    const size_t D = c->D, F = c->F;
    real *const d_ctx = j->tape->d_ctx + r * CTX * D;
    real *const from_re = scratch, *const from_im = scratch + F;
    vector_add(d_ctx + CR * D, 1, d_ctx + CR_CP * D, D);
    vector_add(d_ctx + CP * D, 1, d_ctx + (CR_CP + 1) * D, D);
    for (size_t d = 0; d < D; d++) {
        context_grad(k, r, d_ctx, d, from_re, from_im);
        spread(j, r, d, 0, j->grad->d_re + (r * D + d) * F, from_re, de);
        spread(j, r, d, 1, j->grad->d_im + (r * D + d) * F, from_im, de);
    }
    if (!has_delta(c))
        return;
    const struct gate_router router = router_of(c, &j->list, j->theta);
    gate_router_backward(&router, k->e, k->z + r * c->L, d_ctx + CP * D, d_period, de,
                         j->grad->dz + r * c->L, scratch + PARTS * F);
}

static void backward_lane(void *ctx, size_t lane)
{
    const struct job *const j = ctx;
    const struct gate_config *const c = j->call->config;
    real *const de = j->tape->lane + lane * j->tape->lane_size, *const period = de + c->D;
    real *d_period[ROUTER_TENSORS];
    for (size_t i = 0; i < ROUTER_TENSORS; i++) {
        const size_t *const at = j->list.at + map_count(c) * MAP_TENSORS;
        d_period[i] = has_delta(c) ? period + (at[i] - at[0]) : NULL;
    }
    memset(de, 0, (c->D + period_size(c)) * sizeof *de);
    for (size_t r = lane; r < j->call->R; r += j->tape->lanes)
        row_backward(j, r, de, d_period, period + period_size(c));
}

static void sum_lanes(const struct job *j)
{
    const struct gate_config *const c = j->call->config;
    for (size_t lane = 0; lane < j->tape->lanes && lane < j->call->R; lane++) {
        const real *const sums = j->tape->lane + lane * j->tape->lane_size;
        vector_add(j->grad->de, 1, sums, c->D);
        if (has_delta(c))
            vector_add(j->grad->dtheta + j->list.at[map_count(c) * MAP_TENSORS], 1,
                       sums + c->D, period_size(c) - 1);
    }
}

void gate_backward(const struct gate_call *call, const real *theta,
                   const struct gate_grad *grad, struct gate_tape *tape)
{
    struct job j = {.call = call, .tape = tape, .grad = grad, .theta = theta};
    bool held;
    list_fill(call->config, &j.list);
    const real alpha = has_delta(call->config) ? alpha_of(&j, &held) : 0;
    threads_run(call->pool, tape->lanes, factor_lane, &j);
    maps_backward(&j, alpha);
    if (has_delta(call->config))
        alpha_backward(&j);
    threads_run(call->pool, tape->lanes, backward_lane, &j);
    sum_lanes(&j);
}
