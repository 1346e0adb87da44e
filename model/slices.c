/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/slices.h"

#include <string.h>

#include "model/linear.h"
#include "model/threads.h"
#include "model/vector.h"

/* Slices share so many blocks of scratch at most, whatever the number of threads. */
enum { LANES = 32, ROWS = 32 };

enum { X_, Q_, K_, V_, INPUTS };

struct tape {
    real *slices; /* B H of them */
    real *extra;  /* (B,H,T,extra) */
};

struct work {
    real *lanes;
    size_t lanes_count, lane_size;
    bool training;
    real *pre;      /* (R, extra H) */
    real *bias;     /* (extra H) */
    real *d_extra;  /* (B,H,T,extra): training only, as all below */
    real *d_pre;    /* (R, extra H) */
    real *d_bias;   /* (extra H) */
    real *d_tensor; /* B H blocks of `part` reals */
};

struct shape {
    const struct slices *core;
    const struct mixer_config *config;
    size_t B, T, C, H, N, extra;
    size_t tape, scratch;           /* of one slice */
    size_t at[CORE_TENSORS_MAX];    /* of the core's tensors, from its theta */
    size_t parts[CORE_TENSORS_MAX]; /* reals of a head's part */
    bool by_head[CORE_TENSORS_MAX];
    size_t count, first,
        part; /* tensors; the first that slices see; reals of all parts */
    bool training;
};

static size_t round_up(size_t reals)
{
    return (reals + 15) / 16 * 16;
}

/* Tensors that only the product for `extra` reads come first. */
static size_t extra_tensors(const struct mixer_config *config, size_t extra)
{
    return extra == 0 ? 0 : 1 + (config->trunk == TRUNK_FRWKV ? extra : 0);
}

static struct shape shape_of(const struct mixer_config *config, size_t B, size_t T,
                             bool training)
{
    const struct slices *const core = config->mixer->slices;
    const struct core_tensors tensors = core_tensors(config);
    struct shape s = {.core = core,
                      .config = config,
                      .B = B,
                      .T = T,
                      .C = config->C,
                      .count = tensors.count,
                      .training = training};
    s.N = core->head_size ? core->head_size(config) : config->C / config->H;
    s.H = s.C / s.N;
    s.extra = core->extra ? core->extra(config) : 0;
    s.first = extra_tensors(config, s.extra);
    s.tape = core->tape ? round_up(core->tape(config, T, s.N)) : 0;
    s.scratch = core->scratch ? round_up(core->scratch(config, T, s.N, training)) : 0;
    core_layout(config, s.at);
    for (size_t i = s.first; i < s.count; i++) {
        const struct tensor_row *const row = &tensors.row[i];
        const size_t reals =
            tensors.dims[row->rows] * (row->columns ? tensors.dims[row->columns] : 1);
        s.by_head[i] = tensors.by_head[i];
        s.parts[i] = s.by_head[i] ? reals / s.H : reals;
        s.part += round_up(s.parts[i]);
    }
    return s;
}

/* Reals in front of a lane's scratch: the slice's arrays, o, and their gradients. */
static size_t lane_arrays(const struct shape *s)
{
    return round_up((INPUTS + 1) * (s->training ? 2 : 1) * s->T * s->N);
}

void *slices_tape(const struct mixer_config *config, size_t B, size_t T,
                  struct arena *arena)
{
    const struct shape s = shape_of(config, B, T, true);
    const struct tape t = {
        .slices = s.tape ? arena_reals(arena, B * s.H * s.tape) : NULL,
        .extra = s.extra ? arena_reals(arena, B * s.H * T * s.extra) : NULL,
    };
    return core_keep(arena, &t, sizeof t);
}

void *slices_work(const struct mixer_config *config, size_t B, size_t T, bool training,
                  struct arena *arena)
{
    const struct shape s = shape_of(config, B, T, training);
    const size_t slices = B * s.H, extra = s.extra * s.H;
    struct work w = {.lanes_count = slices < LANES ? slices : LANES,
                     .lane_size = lane_arrays(&s) + s.scratch,
                     .training = training};
    w.lanes = arena_reals(arena, w.lanes_count * w.lane_size);
    if (extra) {
        w.pre = arena_reals(arena, B * T * extra);
        w.bias = arena_reals(arena, extra);
    }
    if (training && extra) {
        w.d_extra = arena_reals(arena, B * T * extra);
        w.d_pre = arena_reals(arena, B * T * extra);
        w.d_bias = arena_reals(arena, extra);
    }
    if (training && s.part)
        w.d_tensor = arena_reals(arena, slices * s.part);
    return core_keep(arena, &w, sizeof w);
}

/* ---- a slice ----------------------------------------------------------------------- */

struct job {
    const struct shape *s;
    const real *theta;
    real *dtheta;
    const struct core_io *io;
    const struct core_grad *grad;
    const struct tape *tape;
    const struct work *work;
};

static void gather(const struct shape *s, real *to, const real *from, size_t b, size_t h)
{
    from += b * s->T * s->C + h * s->N;
    for (size_t t = 0; t < s->T; t++)
        memcpy(to + t * s->N, from + t * s->C, s->N * sizeof *to);
}

static void scatter(const struct shape *s, real *to, const real *from, size_t b, size_t h)
{
    to += b * s->T * s->C + h * s->N;
    for (size_t t = 0; t < s->T; t++)
        memcpy(to + t * s->C, from + t * s->N, s->N * sizeof *to);
}

static void point_tensors(const struct shape *s, const real *theta, size_t h,
                          const real *out[CORE_TENSORS_MAX])
{
    for (size_t i = s->first; i < s->count; i++)
        out[i - s->first] = theta + s->at[i] + (s->by_head[i] ? h * s->parts[i] : 0);
}

/* The slice's inputs in the lane; the space behind them is `free`. */
static struct slice slice_of(const struct job *j, size_t index, real *lane)
{
    const struct shape *const s = j->s;
    const size_t b = index / s->H, h = index % s->H, size = s->T * s->N;
    const real *const in[INPUTS] = {j->io->x, j->io->q, j->io->k, j->io->v};
    for (size_t i = 0; i < INPUTS; i++)
        gather(s, lane + i * size, in[i], b, h);
    struct slice slice = {
        .config = s->config,
        .T = s->T,
        .N = s->N,
        .head = h,
        .x = lane + X_ * size,
        .q = lane + Q_ * size,
        .k = lane + K_ * size,
        .v = lane + V_ * size,
        .extra = s->extra ? j->tape->extra + index * s->T * s->extra : NULL,
        .tape = s->tape ? j->tape->slices + index * s->tape : NULL,
        .scratch = lane + lane_arrays(s),
        .training = s->training,
    };
    point_tensors(s, j->theta, h, slice.theta);
    return slice;
}

static void forward_lane(void *ctx, size_t lane)
{
    const struct job *const j = ctx;
    const struct shape *const s = j->s;
    real *const memory = j->work->lanes + lane * j->work->lane_size;
    real *const o = memory + INPUTS * s->T * s->N;
    for (size_t i = lane; i < s->B * s->H; i += j->work->lanes_count) {
        const struct slice slice = slice_of(j, i, memory);
        s->core->forward(&slice, o);
        scatter(s, j->io->o, o, i / s->H, i % s->H);
    }
}

static void add_back(const struct shape *s, real *to, const real *from, size_t b,
                     size_t h)
{
    to += b * s->T * s->C + h * s->N;
    for (size_t t = 0; t < s->T; t++)
        vector_add(to + t * s->C, 1, from + t * s->N, s->N);
}

static void backward_lane(void *ctx, size_t lane)
{
    const struct job *const j = ctx;
    const struct shape *const s = j->s;
    const size_t size = s->T * s->N;
    real *const memory = j->work->lanes + lane * j->work->lane_size;
    real *const d_o = memory + INPUTS * size, *const d = d_o + size;
    for (size_t i = lane; i < s->B * s->H; i += j->work->lanes_count) {
        const size_t b = i / s->H, h = i % s->H;
        const struct slice slice = slice_of(j, i, memory);
        struct slice_grad grad = {.dx = d + X_ * size,
                                  .dq = d + Q_ * size,
                                  .dk = d + K_ * size,
                                  .dv = d + V_ * size};
        memset(d, 0, INPUTS * size * sizeof *d);
        gather(s, d_o, j->grad->d_o, b, h);
        if (s->extra) {
            grad.d_extra = j->work->d_extra + i * s->T * s->extra;
            memset(grad.d_extra, 0, s->T * s->extra * sizeof *d);
        }
        real *part = j->work->d_tensor + i * s->part;
        if (s->part)
            memset(part, 0, s->part * sizeof *part);
        for (size_t k = s->first; k < s->count; part += round_up(s->parts[k]), k++)
            grad.dtheta[k - s->first] = part;
        s->core->backward(&slice, d_o, &grad);
        add_back(s, j->grad->dx, grad.dx, b, h);
        scatter(s, j->grad->dq, grad.dq, b, h);
        scatter(s, j->grad->dk, grad.dk, b, h);
        scatter(s, j->grad->dv, grad.dv, b, h);
    }
}

/* By slice, in order: no thread decides. */
static void sum_tensors(const struct job *j)
{
    const struct shape *const s = j->s;
    for (size_t i = 0; i < s->B * s->H; i++) {
        const real *part = j->work->d_tensor + i * s->part;
        for (size_t k = s->first; k < s->count; k++) {
            const size_t head = s->by_head[k] ? i % s->H * s->parts[k] : 0;
            vector_add(j->dtheta + s->at[k] + head, 1, part, s->parts[k]);
            part += round_up(s->parts[k]);
        }
    }
}

/* ---- numbers for each token and head ----------------------------------------------- */

/* W mu, by row of W: (extra H, C). */
static void extra_bias(const struct shape *s, const real *theta, real *bias)
{
    for (size_t m = 0; m < s->extra * s->H; m++)
        bias[m] = s->first == 1 ? 0
                                : vector_dot(theta + s->at[0] + m * s->C,
                                             theta + s->at[1 + m / s->H], s->C);
}

static void extra_forward(const struct job *j, struct threads *pool)
{
    const struct shape *const s = j->s;
    const size_t M = s->extra * s->H;
    extra_bias(s, j->theta, j->work->bias);
    linear_forward(pool, j->work->pre, M, j->io->x, s->C, j->theta + s->at[0],
                   j->work->bias, s->B * s->T, s->C, M);
    for (size_t row = 0; row < s->B * s->T; row++)
        for (size_t m = 0; m < M; m++) {
            const size_t slice = row / s->T * s->H + m % s->H;
            j->tape->extra[(slice * s->T + row % s->T) * s->extra + m / s->H] =
                j->work->pre[row * M + m];
        }
}

static void extra_backward(const struct job *j, struct threads *pool)
{
    const struct shape *const s = j->s;
    const struct work *const w = j->work;
    const size_t M = s->extra * s->H, R = s->B * s->T;
    for (size_t row = 0; row < R; row++)
        for (size_t m = 0; m < M; m++) {
            const size_t slice = row / s->T * s->H + m % s->H;
            w->d_pre[row * M + m] =
                w->d_extra[(slice * s->T + row % s->T) * s->extra + m / s->H];
        }
    memset(w->d_bias, 0, M * sizeof *w->d_bias);
    linear_backward_weights(pool, j->dtheta + s->at[0], w->d_bias, w->d_pre, M, j->io->x,
                            s->C, R, s->C, M);
    linear_backward_input(pool, j->grad->dx, s->C, w->d_pre, M, j->theta + s->at[0], R,
                          s->C, M);
    for (size_t m = 0; s->first > 1 && m < M; m++) { /* W (x + mu) */
        const size_t mu = s->at[1 + m / s->H], at = s->at[0] + m * s->C;
        vector_add(j->dtheta + at, w->d_bias[m], j->theta + mu, s->C);
        vector_add(j->dtheta + mu, w->d_bias[m], j->theta + at, s->C);
    }
}

/* ---- the whole --------------------------------------------------------------------- */

void slices_forward(const struct mixer_call *call, const real *theta,
                    const struct core_io *io, void *tape, void *work)
{
    const struct work *const w = work;
    const struct shape s = shape_of(call->config, call->B, call->T, w->training);
    struct job j = {.s = &s, .theta = theta, .io = io, .tape = tape, .work = work};
    if (s.extra)
        extra_forward(&j, call->pool);
    threads_run(call->pool, w->lanes_count, forward_lane, &j);
}

void slices_backward(const struct mixer_call *call, const real *theta, real *dtheta,
                     const struct core_io *io, const struct core_grad *grad, void *tape,
                     void *work)
{
    const struct work *const w = work;
    const struct shape s = shape_of(call->config, call->B, call->T, true);
    struct job j = {.s = &s,
                    .theta = theta,
                    .dtheta = dtheta,
                    .io = io,
                    .grad = grad,
                    .tape = tape,
                    .work = work};
    threads_run(call->pool, w->lanes_count, backward_lane, &j);
    sum_tensors(&j);
    if (s.extra)
        extra_backward(&j, call->pool);
}

/* ---- one token at a time ----------------------------------------------------------- */

size_t slices_state_size(const struct mixer_config *config)
{
    const struct shape s = shape_of(config, 1, 1, false);
    return s.H * s.core->state(config, s.N);
}

size_t slices_step_work_size(const struct mixer_config *config)
{
    const struct shape s = shape_of(config, 1, 1, false);
    return s.scratch + s.extra;
}

void slices_step(const struct mixer_config *config, const real *theta,
                 const struct core_token *token, real *state, real *work)
{
    const struct shape s = shape_of(config, 1, 1, false);
    real *const extra = work + s.scratch;
    for (size_t h = 0; h < s.H; h++) {
        for (size_t e = 0; e < s.extra; e++) {
            const real *const w = theta + s.at[0] + (e * s.H + h) * s.C;
            extra[e] = vector_dot(w, token->x, s.C) +
                       (s.first > 1 ? vector_dot(w, theta + s.at[1 + e], s.C) : 0);
        }
        struct slice slice = {
            .config = config,
            .T = 1,
            .N = s.N,
            .head = h,
            .x = token->x + h * s.N,
            .q = token->q + h * s.N,
            .k = token->k + h * s.N,
            .v = token->v + h * s.N,
            .extra = extra,
            .scratch = work,
        };
        point_tensors(&s, theta, h, slice.theta);
        s.core->step(&slice, token->o + h * s.N, state + h * s.core->state(config, s.N));
    }
}
