/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/rwkv7.h"

#include <string.h>

#include "model/elementary.h"
#include "model/linear.h"
#include "model/sequence.h"
#include "model/threads.h"
#include "model/vector.h"

static const real NORM_MIN = REAL_C(1e-12);
static const double DECAY_SCALE = 0.74081822068171786607;      /* exp(-0.3) */
static const double WIDE_DECAY_SCALE = 0.60653065971263342360; /* exp(-0.5) */

/* Slices of (B,H) share this many blocks of scratch, whatever the number of threads. */
enum { LANES = 32 };

/* What forward keeps.  (R,C) unless noted. */
struct tape {
    real *w_slope; /* dw / d(decay) */
    real *kappa, *b, *kt;
    real *norm;   /* (R,H) |kr| */
    real *states; /* of the state form, (B,H) blocks */
};

struct work {
    real *lanes; /* LANES times core scratch */
    size_t lane_size;
    real *d_kappa, *d_b, *d_kt;     /* (R,C): training only, as all below */
    real *d_xi, *d_alpha, *d_bonus; /* (B,C) sums by sample */
};

struct heads {
    const struct mixer_call *call;
    size_t T, C, H, N;
    const struct core_io *io;
    const struct core_grad *grad;
    const struct tape *tape;
    const struct work *work;
    bool turned, wide;
};

static struct heads heads_of(const struct mixer_call *call, const struct core_io *io,
                             const struct core_grad *grad, const struct tape *tape,
                             const struct work *work)
{
    const struct mixer_config *const c = call->config;
    return (struct heads){.call = call,
                          .T = call->T,
                          .C = c->C,
                          .H = c->H,
                          .N = c->C / c->H,
                          .io = io,
                          .grad = grad,
                          .tape = tape,
                          .work = work,
                          .turned = c->mixer == &rwkv7x_mixer,
                          .wide = c->mixer->flags(c) & MIXER_WIDE_DECAY};
}

/* The recurrence of head h of sample b; `first` is its first element in (R,C) arrays. */
static struct rwkv7_core core_of(const struct heads *j, size_t first)
{
    const struct tape *const t = j->tape;
    const real *const kappa = t->kappa + first, *const b = t->b + first;
    const real *const v = j->io->v + first, *const kt = t->kt + first;
    return (struct rwkv7_core){
        .T = j->T,
        .N = j->N,
        .stride = j->C,
        .r = j->io->q + first,
        .w = j->io->decay + first,
        .kappa = j->turned ? b : kappa,
        .b = j->turned ? kappa : b,
        .v = j->turned ? kt : v,
        .k = j->turned ? v : kt,
        .turned = j->turned,
    };
}

/* ---- forward ----------------------------------------------------------------------- */

static inline struct rwkv7_gates gates_of(real decay, real rate, real k, real alpha)
{
    const real bent = elementary_tanh(decay), s = elementary_sigmoid(bent);
    const real scale = (real)DECAY_SCALE, w = elementary_exp(-scale * s);
    const real a = elementary_sigmoid(rate);
    return (struct rwkv7_gates){
        .w = w,
        .w_slope = -scale * w * s * (1 - s) * (1 - bent * bent),
        .a = a,
        .kt = k * (1 + (a - 1) * alpha),
    };
}

struct rwkv7_gates rwkv7_gates(real decay, real rate, real k, real alpha)
{
    return gates_of(decay, rate, k, alpha);
}

/* kappa = k xi / |k xi| over N channels; returns the norm. */
HOT_PART real direction(real *kappa, const real *k, const real *xi, size_t N)
{
#pragma omp simd
    for (size_t n = 0; n < N; n++)
        kappa[n] = k[n] * xi[n];
    const real norm = sqrt(vector_dot(kappa, kappa, N)),
               scale = 1 / (norm > NORM_MIN ? norm : NORM_MIN);
#pragma omp simd
    for (size_t n = 0; n < N; n++)
        kappa[n] *= scale;
    return norm;
}

/* The maps of one token and head, each (N), become what they stand for. */
HOT_PART void gates_row(real *restrict decay, real *restrict w_slope, real *restrict rate,
                        real *restrict kt, real *restrict b, const real *restrict k,
                        const real *restrict kappa, const real *restrict alpha, size_t N)
{
#pragma omp simd
    for (size_t n = 0; n < N; n++) {
        const struct rwkv7_gates gates = gates_of(decay[n], rate[n], k[n], alpha[n]);
        decay[n] = gates.w;
        w_slope[n] = gates.w_slope;
        rate[n] = gates.a;
        kt[n] = gates.kt;
        b[n] = gates.a * kappa[n];
    }
}

/* w = exp(-exp(-0.5) sg(decay)) instead. */
static void widen_row(real *decay, real *w_slope, const real *raw, size_t N)
{
    for (size_t n = 0; n < N; n++) {
        const real scale = (real)WIDE_DECAY_SCALE, s = elementary_sigmoid(raw[n]);
        decay[n] = elementary_exp(-scale * s);
        w_slope[n] = -scale * decay[n] * s * (1 - s);
    }
}

/* One token of one head, vectors of N. */
struct place {
    const real *k, *xi, *alpha;
    real *decay, *rate, *kappa, *b, *kt, *w_slope;
};

/* The maps become w and a, and what is made of them is filled; raw (N) is scratch.
 * Returns |kr|. */
HOT_PART real prepare(const struct place *p, size_t N, bool wide, real *raw)
{
    const real norm = direction(p->kappa, p->k, p->xi, N);
    if (wide)
        memcpy(raw, p->decay, N * sizeof *raw);
    gates_row(p->decay, p->w_slope, p->rate, p->kt, p->b, p->k, p->kappa, p->alpha, N);
    if (wide)
        widen_row(p->decay, p->w_slope, raw, N);
    return norm;
}

/* o += 0.2 (r . kt) bonus v */
HOT_PART void add_bonus(real *o, const real *r, const real *kt, const real *bonus,
                        const real *v, size_t N)
{
    const real match = SEQUENCE_BONUS * vector_dot(r, kt, N);
#pragma omp simd
    for (size_t n = 0; n < N; n++)
        o[n] += match * bonus[n] * v[n];
}

HOT_PART void head_forward(const struct heads *j, size_t N, size_t b, size_t h,
                           real *scratch)
{
    const struct core_io *const io = j->io;
    const struct tape *const t = j->tape;
    const size_t channel = h * N, first = b * j->T * j->C + channel;
    const struct rwkv7_core core = core_of(j, first);
    for (size_t row = b * j->T; row < (b + 1) * j->T; row++) {
        const size_t at = row * j->C + channel;
        const struct place place = {.k = io->k + at,
                                    .xi = io->xi + channel,
                                    .alpha = io->alpha + channel,
                                    .decay = io->decay + at,
                                    .rate = io->rate + at,
                                    .kappa = t->kappa + at,
                                    .b = t->b + at,
                                    .kt = t->kt + at,
                                    .w_slope = t->w_slope + at};
        t->norm[row * j->H + h] = prepare(&place, N, j->wide, scratch);
    }
    real *const states =
        t->states ? t->states + (b * j->H + h) * rwkv7_core_states(&core) : NULL;
    rwkv7_core_forward(&core, io->o + first, states, scratch);
    for (size_t row = b * j->T; row < (b + 1) * j->T; row++) {
        const size_t at = row * j->C + channel;
        add_bonus(io->o + at, io->q + at, t->kt + at, io->bonus + channel, io->v + at, N);
    }
}

HOT static void forward_lane(void *ctx, size_t lane)
{
    const struct heads *const j = ctx;
    real *const scratch = j->work->lanes + lane * j->work->lane_size;
    const size_t slices = j->call->B * j->H, end = threads_part(slices, lane + 1, LANES);
    for (size_t slice = threads_part(slices, lane, LANES); slice < end; slice++)
        if (j->N == 16) /* as the preset has it */
            head_forward(j, 16, slice / j->H, slice % j->H, scratch);
        else
            head_forward(j, j->N, slice / j->H, slice % j->H, scratch);
}

static void rwkv7_forward(const struct mixer_call *call, const real *theta,
                          const struct core_io *io, void *tape, void *work)
{
    (void)theta;
    struct heads j = heads_of(call, io, NULL, tape, work);
    threads_run(call->pool, LANES, forward_lane, &j);
}

/* ---- backward ---------------------------------------------------------------------- */

HOT_PART void bonus_backward(const struct heads *j, size_t N, size_t at, size_t channel,
                             real *restrict d_bonus)
{
    const struct core_io *const io = j->io;
    const struct core_grad *const g = j->grad;
    const real *const bonus = io->bonus + channel, *const kt = j->tape->kt + at;
    const real *const r = io->q + at, *const v = io->v + at, *const d_o = g->d_o + at;
    real *const dv = g->dv + at;
    const real match = SEQUENCE_BONUS * vector_dot(r, kt, N);
    const real d_match = vector_dot3(d_o, bonus, v, N);
#pragma omp simd
    for (size_t n = 0; n < N; n++) {
        dv[n] += d_o[n] * match * bonus[n];
        d_bonus[n] += d_o[n] * match * v[n];
    }
    vector_add(g->dq + at, SEQUENCE_BONUS * d_match, kt, N);
    vector_add(j->work->d_kt + at, SEQUENCE_BONUS * d_match, r, N);
}

/* kappa = kr / |kr|: only the part of dkappa across kappa turns it. */
HOT_PART void direction_backward(const struct heads *j, size_t N, size_t at,
                                 size_t channel, real norm, real *restrict d_xi)
{
    const real *const xi = j->io->xi + channel, *const k = j->io->k + at;
    const real *const kappa = j->tape->kappa + at, *const dkappa = j->work->d_kappa + at;
    real *const dk = j->grad->dk + at;
    const real along = vector_dot(kappa, dkappa, N);
    const real scale = norm > NORM_MIN ? 1 / norm : 0;
#pragma omp simd
    for (size_t n = 0; n < N; n++) {
        const real dkr = (dkappa[n] - kappa[n] * along) * scale;
        dk[n] += dkr * xi[n];
        d_xi[n] += dkr * k[n];
    }
}

/* b = a kappa,  kt = k (1 + (a - 1) alpha),  and w and a of their maps. */
HOT_PART void gates_backward(const struct heads *j, size_t N, size_t at, size_t channel,
                             real *restrict d_alpha)
{
    const struct core_grad *const g = j->grad;
    const struct work *const w = j->work;
    const real *const alpha = j->io->alpha + channel;
#pragma omp simd
    for (size_t n = 0; n < N; n++) {
        const size_t i = at + n;
        const real a = j->io->rate[i], k = j->io->k[i], dkt = w->d_kt[i];
        const real da = w->d_b[i] * j->tape->kappa[i] + dkt * k * alpha[n];
        w->d_kappa[i] += w->d_b[i] * a;
        g->dk[i] += dkt * (1 + (a - 1) * alpha[n]);
        d_alpha[n] += dkt * k * (a - 1);
        g->d_rate[i] = da * a * (1 - a);
        g->d_decay[i] *= j->tape->w_slope[i];
    }
}

static void clear(real *x, const struct heads *j, size_t first)
{
    for (size_t t = 0; t < j->T; t++)
        memset(x + first + t * j->C, 0, j->N * sizeof *x);
}

static struct rwkv7_core_grad core_grad_of(const struct heads *j, size_t first)
{
    const struct core_grad *const g = j->grad;
    const struct work *const w = j->work;
    real *const fresh[] = {g->dq, g->dk, g->dv, g->d_decay, w->d_kappa, w->d_b, w->d_kt};
    for (size_t i = 0; i < sizeof fresh / sizeof *fresh; i++)
        clear(fresh[i], j, first);
    struct rwkv7_core_grad grad = {
        .dr = g->dq + first,
        .dw = g->d_decay + first,
        .dkappa = w->d_kappa + first,
        .db = w->d_b + first,
        .dv = g->dv + first,
        .dk = w->d_kt + first,
    };
    if (j->turned)
        grad = (struct rwkv7_core_grad){.dr = grad.dr,
                                        .dw = grad.dw,
                                        .dkappa = grad.db,
                                        .db = grad.dkappa,
                                        .dv = grad.dk,
                                        .dk = grad.dv};
    return grad;
}

HOT_PART void head_backward(const struct heads *j, size_t N, size_t b, size_t h,
                            real *scratch)
{
    const struct tape *const t = j->tape;
    const struct work *const w = j->work;
    const size_t channel = h * N, first = b * j->T * j->C + channel;
    const struct rwkv7_core core = core_of(j, first);
    const struct rwkv7_core_grad grad = core_grad_of(j, first);
    const real *const states =
        t->states ? t->states + (b * j->H + h) * rwkv7_core_states(&core) : NULL;
    rwkv7_core_backward(&core, &grad, j->grad->d_o + first, states, scratch);

    real *const d_xi = w->d_xi + b * j->C + channel;
    real *const d_alpha = w->d_alpha + b * j->C + channel;
    real *const d_bonus = w->d_bonus + b * j->C + channel;
    memset(d_xi, 0, N * sizeof *d_xi);
    memset(d_alpha, 0, N * sizeof *d_alpha);
    memset(d_bonus, 0, N * sizeof *d_bonus);
    for (size_t row = b * j->T; row < (b + 1) * j->T; row++) {
        const size_t at = row * j->C + channel;
        bonus_backward(j, N, at, channel, d_bonus);
        gates_backward(j, N, at, channel, d_alpha);
        direction_backward(j, N, at, channel, t->norm[row * j->H + h], d_xi);
    }
}

HOT static void backward_lane(void *ctx, size_t lane)
{
    const struct heads *const j = ctx;
    real *const scratch = j->work->lanes + lane * j->work->lane_size;
    const size_t slices = j->call->B * j->H, end = threads_part(slices, lane + 1, LANES);
    for (size_t slice = threads_part(slices, lane, LANES); slice < end; slice++)
        if (j->N == 16)
            head_backward(j, 16, slice / j->H, slice % j->H, scratch);
        else
            head_backward(j, j->N, slice / j->H, slice % j->H, scratch);
}

static void rwkv7_backward(const struct mixer_call *call, const real *theta, real *dtheta,
                           const struct core_io *io, const struct core_grad *grad,
                           void *tape, void *work)
{
    (void)theta;
    (void)dtheta;
    struct heads j = heads_of(call, io, grad, tape, work);
    threads_run(call->pool, LANES, backward_lane, &j);
    for (size_t b = 0; b < call->B; b++) { /* by sample, in order: no thread decides */
        vector_add(grad->dxi, 1, j.work->d_xi + b * j.C, j.C);
        vector_add(grad->dalpha, 1, j.work->d_alpha + b * j.C, j.C);
        vector_add(grad->dbonus, 1, j.work->d_bonus + b * j.C, j.C);
    }
}

/* ---- one token at a time ----------------------------------------------------------- */

enum { VECTORS = 7 }; /* of N reals */

static size_t rwkv7_state_size(const struct mixer_config *config)
{
    return config->C * (config->C / config->H); /* H states of (N,N) */
}

static size_t rwkv7_step_work_size(const struct mixer_config *config)
{
    return VECTORS * (config->C / config->H);
}

static void rwkv7_step(const struct mixer_config *config, const real *theta,
                       const struct core_token *token, real *state, real *work)
{
    (void)theta;
    const size_t N = config->C / config->H;
    const bool turned = config->mixer == &rwkv7x_mixer;
    const bool wide = config->mixer->flags(config) & MIXER_WIDE_DECAY;
    for (size_t at = 0; at < config->C; at += N) {
        const struct place p = {.k = token->k + at,
                                .xi = token->xi + at,
                                .alpha = token->alpha + at,
                                .decay = work,
                                .rate = work + N,
                                .kappa = work + 2 * N,
                                .b = work + 3 * N,
                                .kt = work + 4 * N,
                                .w_slope = work + 5 * N};
        real *const scratch = work + 6 * N;
        memcpy(p.decay, token->decay + at, N * sizeof *p.decay);
        memcpy(p.rate, token->rate + at, N * sizeof *p.rate);
        prepare(&p, N, wide, scratch);
        const struct rwkv7_core core = {
            .T = 1,
            .N = N,
            .stride = N,
            .r = token->q + at,
            .w = p.decay,
            .kappa = turned ? p.b : p.kappa,
            .b = turned ? p.kappa : p.b,
            .v = turned ? p.kt : token->v + at,
            .k = turned ? token->v + at : p.kt,
            .turned = turned,
        };
        rwkv7_state_step(&core, 0, token->o + at, state + at * N, scratch);
        add_bonus(token->o + at, token->q + at, p.kt, token->bonus + at, token->v + at,
                  N);
    }
}

/* ---- the rows of the table --------------------------------------------------------- */

static void *rwkv7_tape(const struct mixer_config *config, size_t B, size_t T,
                        struct arena *arena)
{
    const struct rwkv7_core core = {
        .T = T, .N = config->C / config->H, .turned = config->mixer == &rwkv7x_mixer};
    const size_t R = B * T, states = rwkv7_core_states(&core);
    const struct tape t = {
        .w_slope = arena_reals(arena, R * config->C),
        .kappa = arena_reals(arena, R * config->C),
        .b = arena_reals(arena, R * config->C),
        .kt = arena_reals(arena, R * config->C),
        .norm = arena_reals(arena, R * config->H),
        .states = states ? arena_reals(arena, B * config->H * states) : NULL,
    };
    return core_keep(arena, &t, sizeof t);
}

static void *rwkv7_work(const struct mixer_config *config, size_t B, size_t T,
                        bool training, struct arena *arena)
{
    const struct rwkv7_core core = {
        .T = T, .N = config->C / config->H, .turned = config->mixer == &rwkv7x_mixer};
    const size_t R = B * T, C = config->C;
    struct work w = {.lane_size = (rwkv7_core_work(&core, training) + 15) / 16 * 16};
    w.lanes = arena_reals(arena, LANES * w.lane_size);
    if (training) {
        real **const by_row[] = {&w.d_kappa, &w.d_b, &w.d_kt};
        for (size_t i = 0; i < sizeof by_row / sizeof *by_row; i++)
            *by_row[i] = arena_reals(arena, R * C);
        real **const by_sample[] = {&w.d_xi, &w.d_alpha, &w.d_bonus};
        for (size_t i = 0; i < sizeof by_sample / sizeof *by_sample; i++)
            *by_sample[i] = arena_reals(arena, B * C);
    }
    return core_keep(arena, &w, sizeof w);
}

static unsigned rwkv7_flags(const struct mixer_config *config)
{
    (void)config;
    return MIXER_CAUSAL | MIXER_STEP | MIXER_MAPS;
}

static unsigned rwkv7x_flags(const struct mixer_config *config)
{
    return rwkv7_flags(config) | (config->options.rwkv7x_wide ? MIXER_WIDE_DECAY : 0);
}

#define ROW(its_name, its_flags)                                                         \
    {                                                                                    \
        .name = its_name, .flags = its_flags, .tape = rwkv7_tape, .work = rwkv7_work,    \
        .forward = rwkv7_forward, .backward = rwkv7_backward,                            \
        .state_size = rwkv7_state_size, .step_work_size = rwkv7_step_work_size,          \
        .step = rwkv7_step,                                                              \
    }

const struct mixer rwkv7_mixer = ROW("rwkv7", rwkv7_flags);
const struct mixer rwkv7x_mixer = ROW("rwkv7x", rwkv7x_flags);
