/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/rwkv7.h"

#include <string.h>
#include <tgmath.h>

#include "model/elementary.h"
#include "model/threads.h"
#include "model/vector.h"

static const real NORM_MIN = REAL_C(1e-12);
static const double DECAY_SCALE = 0.74081822068171786607; /* exp(-0.3) */

real rwkv7_sigmoid(real x)
{
    return elementary_sigmoid(x);
}

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

struct heads {
    const struct rwkv7_shape *shape;
    const real *theta;
    const struct rwkv7_tape *tape;
    const struct rwkv7_work *work;
};

/* The recurrence of head h of sample b; `first` is its first element in (R,C) arrays. */
static struct rwkv7_core core_of(const struct heads *j, size_t first)
{
    const struct rwkv7_tape *const t = j->tape;
    return (struct rwkv7_core){
        .T = j->shape->T,
        .N = j->shape->N,
        .stride = j->shape->C,
        .r = t->map[MAP_R] + first,
        .w = t->map[MAP_DECAY] + first,
        .kappa = t->kappa + first,
        .b = t->b + first,
        .v = t->map[MAP_V] + first,
        .k = t->kt + first,
    };
}

/* ---- forward ----------------------------------------------------------------------- */

real rwkv7_direction(real *kappa, const real *k, const real *xi, size_t N)
{
    real squares = 0;
    for (size_t n = 0; n < N; n++) {
        kappa[n] = k[n] * xi[n];
        squares += kappa[n] * kappa[n];
    }
    const real norm = sqrt(squares), scale = 1 / (norm > NORM_MIN ? norm : NORM_MIN);
    for (size_t n = 0; n < N; n++)
        kappa[n] *= scale;
    return norm;
}

/* The maps of one token and head, each (N), become what they stand for. */
HOT static void gates_row(real *restrict decay, real *restrict w_slope,
                          real *restrict rate, real *restrict gate, real *restrict kt,
                          real *restrict b, const real *restrict k,
                          const real *restrict kappa, const real *restrict alpha,
                          size_t N)
{
#pragma omp simd
    for (size_t n = 0; n < N; n++) {
        const struct rwkv7_gates gates = gates_of(decay[n], rate[n], k[n], alpha[n]);
        decay[n] = gates.w;
        w_slope[n] = gates.w_slope;
        rate[n] = gates.a;
        kt[n] = gates.kt;
        b[n] = gates.a * kappa[n];
        gate[n] = elementary_sigmoid(gate[n]);
    }
}

static void gates_forward(const struct heads *j, size_t at, size_t channel)
{
    const struct rwkv7_tape *const t = j->tape;
    gates_row(t->map[MAP_DECAY] + at, t->w_slope + at, t->map[MAP_RATE] + at,
              t->map[MAP_GATE] + at, t->kt + at, t->b + at, t->map[MAP_K] + at,
              t->kappa + at, j->theta + j->shape->at[RWKV7_ALPHA] + channel, j->shape->N);
}

static void head_forward(const struct heads *j, size_t b, size_t h, real *scratch)
{
    const struct rwkv7_shape *const s = j->shape;
    const struct rwkv7_tape *const t = j->tape;
    const size_t N = s->N, channel = h * N;
    const real *const bonus = j->theta + s->at[RWKV7_BONUS] + channel;
    const struct rwkv7_core core = core_of(j, b * s->T * s->C + channel);
    for (size_t row = b * s->T; row < (b + 1) * s->T; row++) {
        const size_t at = row * s->C + channel;
        t->norm[row * s->H + h] = rwkv7_direction(
            t->kappa + at, t->map[MAP_K] + at, j->theta + s->at[RWKV7_XI] + channel, N);
        gates_forward(j, at, channel);
    }
    real *const states =
        t->states ? t->states + (b * s->H + h) * rwkv7_core_states(s->T, N) : NULL;
    rwkv7_core_forward(&core, j->work->o + b * s->T * s->C + channel, states, scratch);
    for (size_t row = b * s->T; row < (b + 1) * s->T; row++) {
        const size_t at = row * s->C + channel;
        const real match =
            RWKV7_BONUS_SCALE * vector_dot(t->map[MAP_R] + at, t->kt + at, N);
        for (size_t n = 0; n < N; n++)
            j->work->o[at + n] += match * bonus[n] * t->map[MAP_V][at + n];
    }
}

static void forward_lane(void *ctx, size_t lane)
{
    const struct heads *const j = ctx;
    const size_t H = j->shape->H;
    for (size_t slice = lane; slice < j->shape->B * H; slice += RWKV7_LANES)
        head_forward(j, slice / H, slice % H, j->work->lanes + lane * j->work->lane_size);
}

void rwkv7_heads_forward(const struct rwkv7_shape *shape, struct threads *pool,
                         const real *theta, const struct rwkv7_tape *tape,
                         const struct rwkv7_work *work)
{
    struct heads j = {.shape = shape, .theta = theta, .tape = tape, .work = work};
    threads_run(pool, RWKV7_LANES, forward_lane, &j);
}

/* ---- backward ---------------------------------------------------------------------- */

/* o += 0.2 (r . kt) bonus v */
static void bonus_backward(const struct heads *j, size_t at, size_t channel,
                           real *restrict d_bonus)
{
    const struct rwkv7_shape *const s = j->shape;
    const struct rwkv7_tape *const t = j->tape;
    const struct rwkv7_work *const w = j->work;
    const size_t N = s->N;
    const real *const bonus = j->theta + s->at[RWKV7_BONUS] + channel;
    const real *const r = t->map[MAP_R] + at, *const v = t->map[MAP_V] + at;
    const real *const d_o = w->d_o + at;
    real *const dv = w->d_map[MAP_V] + at;
    const real match = RWKV7_BONUS_SCALE * vector_dot(r, t->kt + at, N);
    real d_match = 0;
    for (size_t n = 0; n < N; n++) {
        d_match += d_o[n] * bonus[n] * v[n];
        dv[n] += d_o[n] * match * bonus[n];
        d_bonus[n] += d_o[n] * match * v[n];
    }
    vector_add(w->d_map[MAP_R] + at, RWKV7_BONUS_SCALE * d_match, t->kt + at, N);
    vector_add(w->d_kt + at, RWKV7_BONUS_SCALE * d_match, r, N);
}

/* kappa = kr / |kr|: only the part of dkappa across kappa turns it. */
static void direction_backward(const struct heads *j, size_t at, size_t channel,
                               real norm, real *restrict d_xi)
{
    const struct rwkv7_shape *const s = j->shape;
    const real *const xi = j->theta + s->at[RWKV7_XI] + channel;
    const real *const kappa = j->tape->kappa + at, *const dkappa = j->work->d_kappa + at;
    const real *const k = j->tape->map[MAP_K] + at;
    real *const dk = j->work->d_map[MAP_K] + at;
    const real along = vector_dot(kappa, dkappa, s->N);
    const real scale = norm > NORM_MIN ? 1 / norm : 0;
    for (size_t n = 0; n < s->N; n++) {
        const real dkr = (dkappa[n] - kappa[n] * along) * scale;
        dk[n] += dkr * xi[n];
        d_xi[n] += dkr * k[n];
    }
}

/* b = a kappa,  kt = k (1 + (a - 1) alpha),  and w and a of their maps. */
static void gates_backward(const struct heads *j, size_t at, size_t channel,
                           real *restrict d_alpha)
{
    const struct rwkv7_shape *const s = j->shape;
    const struct rwkv7_tape *const t = j->tape;
    const struct rwkv7_work *const w = j->work;
    const real *const alpha = j->theta + s->at[RWKV7_ALPHA] + channel;
    for (size_t n = 0; n < s->N; n++) {
        const size_t i = at + n;
        const real a = t->map[MAP_RATE][i], k = t->map[MAP_K][i], dkt = w->d_kt[i];
        const real da = w->d_b[i] * t->kappa[i] + dkt * k * alpha[n];
        w->d_kappa[i] += w->d_b[i] * a;
        w->d_map[MAP_K][i] += dkt * (1 + (a - 1) * alpha[n]);
        d_alpha[n] += dkt * k * (a - 1);
        w->d_map[MAP_RATE][i] = da * a * (1 - a);
        w->d_map[MAP_DECAY][i] *= t->w_slope[i];
    }
}

static void clear(real *x, const struct rwkv7_shape *s, size_t first)
{
    for (size_t t = 0; t < s->T; t++)
        memset(x + first + t * s->C, 0, s->N * sizeof *x);
}

static void head_backward(const struct heads *j, size_t b, size_t h, real *scratch)
{
    const struct rwkv7_shape *const s = j->shape;
    const struct rwkv7_tape *const t = j->tape;
    const struct rwkv7_work *const w = j->work;
    const size_t channel = h * s->N, first = b * s->T * s->C + channel;
    real *const fresh[] = {
        w->d_map[MAP_R], w->d_map[MAP_K], w->d_map[MAP_V], w->d_map[MAP_DECAY],
        w->d_kappa,      w->d_b,          w->d_kt};
    for (size_t i = 0; i < sizeof fresh / sizeof *fresh; i++)
        clear(fresh[i], s, first);
    const struct rwkv7_core core = core_of(j, first);
    const struct rwkv7_core_grad grad = {
        .dr = w->d_map[MAP_R] + first,
        .dw = w->d_map[MAP_DECAY] + first,
        .dkappa = w->d_kappa + first,
        .db = w->d_b + first,
        .dv = w->d_map[MAP_V] + first,
        .dk = w->d_kt + first,
    };
    const real *const states =
        t->states ? t->states + (b * s->H + h) * rwkv7_core_states(s->T, s->N) : NULL;
    rwkv7_core_backward(&core, &grad, w->d_o + first, states, scratch);

    real *const d_xi = w->d_xi + b * s->C + channel;
    real *const d_alpha = w->d_alpha + b * s->C + channel;
    real *const d_bonus = w->d_bonus + b * s->C + channel;
    memset(d_xi, 0, s->N * sizeof *d_xi);
    memset(d_alpha, 0, s->N * sizeof *d_alpha);
    memset(d_bonus, 0, s->N * sizeof *d_bonus);
    for (size_t row = b * s->T; row < (b + 1) * s->T; row++) {
        const size_t at = row * s->C + channel;
        bonus_backward(j, at, channel, d_bonus);
        gates_backward(j, at, channel, d_alpha);
        direction_backward(j, at, channel, t->norm[row * s->H + h], d_xi);
    }
}

static void backward_lane(void *ctx, size_t lane)
{
    const struct heads *const j = ctx;
    const size_t H = j->shape->H;
    for (size_t slice = lane; slice < j->shape->B * H; slice += RWKV7_LANES)
        head_backward(j, slice / H, slice % H,
                      j->work->lanes + lane * j->work->lane_size);
}

void rwkv7_heads_backward(const struct rwkv7_shape *shape, struct threads *pool,
                          const real *theta, real *dtheta, const struct rwkv7_tape *tape,
                          const struct rwkv7_work *work)
{
    struct heads j = {.shape = shape, .theta = theta, .tape = tape, .work = work};
    threads_run(pool, RWKV7_LANES, backward_lane, &j);
    for (size_t b = 0; b < shape->B; b++) { /* by sample, in order: no thread decides */
        vector_add(dtheta + shape->at[RWKV7_XI], 1, work->d_xi + b * shape->C, shape->C);
        vector_add(dtheta + shape->at[RWKV7_ALPHA], 1, work->d_alpha + b * shape->C,
                   shape->C);
        vector_add(dtheta + shape->at[RWKV7_BONUS], 1, work->d_bonus + b * shape->C,
                   shape->C);
    }
}
