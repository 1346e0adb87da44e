/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/encoder.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "model/gelu.h"
#include "model/layernorm.h"
#include "model/linear.h"
#include "model/threads.h"

static const real LN_EPS = REAL_C(1e-5);

enum { NONE, C_, FD, DIMS };
enum { LN1_G, LN1_B, FF_W1, FF_B1, FF_W2, FF_B2, LN2_G, LN2_B, TENSORS };

/* They follow those of the mixer. */
static const struct tensor_row table[TENSORS] = {
    [LN1_G] = {"ln1.g", C_, NONE, NONE, INIT_CONSTANT, 1},
    [LN1_B] = {"ln1.b", C_, NONE, NONE, INIT_CONSTANT, 0},
    [FF_W1] = {"ff.w1", FD, C_, C_, INIT_UNIFORM, 0},
    [FF_B1] = {"ff.b1", FD, NONE, C_, INIT_UNIFORM, 0},
    [FF_W2] = {"ff.w2", C_, FD, FD, INIT_UNIFORM, 0},
    [FF_B2] = {"ff.b2", C_, NONE, FD, INIT_UNIFORM, 0},
    [LN2_G] = {"ln2.g", C_, NONE, NONE, INIT_CONSTANT, 1},
    [LN2_B] = {"ln2.b", C_, NONE, NONE, INIT_CONSTANT, 0},
};

struct encoder_tape {
    void *mixer;
    real *x1, *xhat1, *rstd1, *xhat2, *rstd2; /* (R,C), rstd (R) */
    real *slope, *active;                     /* (R,Fd) */
};

struct encoder_work {
    void *mixer[MIXER_KINDS];
    real *sum;              /* (R,C) what is about to be normalised */
    real *d_sum, *d_wide;   /* (R,C), (R,Fd): training only */
    real *d_drop, *d_mixer; /* (R,C) */
};

/* Places of dropout, in the layer's streams. */
enum { PLACE_MIXER, PLACE_RESIDUAL, PLACE_ACTIVE, PLACE_OUT };
static_assert((int)PLACE_OUT < (int)ENCODER_PLACES, "each place has a stream");
static const double PART_MIXER = 0.25, PART_LAYER = 0.5; /* of the network's p */

static struct dropout place(const struct encoder_call *call, uint32_t place, double part)
{
    struct dropout d = {.stream = call->stream, .p = part * call->p};
    d.stream.purpose += place;
    return d;
}

static void dims_of(const struct encoder_config *config, size_t dims[DIMS])
{
    dims[NONE] = 1;
    dims[C_] = config->mix.C;
    dims[FD] = config->Fd;
}

void encoder_params(const struct encoder_config *config, struct tensors *tensors,
                    const char *prefix)
{
    char name[64];
    size_t dims[DIMS];
    dims_of(config, dims);
    snprintf(name, sizeof name, "%s.mixer", prefix);
    mixer_params(&config->mix, tensors, name);
    tensors_add(tensors, prefix, table, TENSORS, dims);
}

/* Offsets from the layer's theta, and its size. */
static size_t layout(const struct encoder_config *config, size_t at[TENSORS])
{
    size_t dims[DIMS];
    dims_of(config, dims);
    const size_t mixer = mixer_size(&config->mix);
    const size_t own = tensors_layout(table, TENSORS, dims, at);
    for (size_t i = 0; i < TENSORS; i++)
        at[i] += mixer;
    return mixer + own;
}

size_t encoder_size(const struct encoder_config *config)
{
    size_t at[TENSORS];
    return layout(config, at);
}

struct encoder_tape *encoder_tape(const struct encoder_config *config, size_t B, size_t T,
                                  struct arena *arena)
{
    const size_t R = B * T, C = config->mix.C;
    const struct encoder_tape t = {
        .mixer = mixer_tape(&config->mix, B, T, arena),
        .x1 = arena_reals(arena, R * C),
        .xhat1 = arena_reals(arena, R * C),
        .rstd1 = arena_reals(arena, R),
        .xhat2 = arena_reals(arena, R * C),
        .rstd2 = arena_reals(arena, R),
        .slope = arena_reals(arena, R * config->Fd),
        .active = arena_reals(arena, R * config->Fd),
    };
    void *const block = arena_bytes(arena, sizeof t);
    return block ? memcpy(block, &t, sizeof t) : NULL;
}

struct encoder_work *encoder_work(const struct encoder_config *config, size_t B, size_t T,
                                  bool training, struct arena *arena)
{
    const size_t R = B * T, C = config->mix.C;
    struct encoder_work w = {
        .sum = arena_reals(arena, R * C),
        .d_sum = training ? arena_reals(arena, R * C) : NULL,
        .d_drop = training ? arena_reals(arena, R * C) : NULL,
        .d_mixer = training ? arena_reals(arena, R * C) : NULL,
        .d_wide = training ? arena_reals(arena, R * config->Fd) : NULL,
    };
    struct mixer_config mix = config->mix;
    for (mix.layer = 0; mix.layer < MIXER_KINDS; mix.layer++)
        if (mixer_kind(&mix) == mix.layer)
            w.mixer[mix.layer] = mixer_work(&mix, B, T, training, arena);
    void *const block = arena_bytes(arena, sizeof w);
    return block ? memcpy(block, &w, sizeof w) : NULL;
}

/* ---- forward and backward ---------------------------------------------------------- */

/* Of a layer, with all that its rows need but the mixer. */
struct rows {
    const struct encoder_call *call;
    const real *theta, *x, *dy;
    real *y, *dx;
    const struct encoder_tape *tape;
    const struct encoder_work *work;
    size_t at[TENSORS];
    struct dropout residual, active, out;
};

static struct rows rows_of(const struct encoder_call *call, const real *theta,
                           const real *x, const struct encoder_tape *tape,
                           const struct encoder_work *work)
{
    struct rows rows = {.call = call,
                        .theta = theta,
                        .x = x,
                        .tape = tape,
                        .work = work,
                        .residual = place(call, PLACE_RESIDUAL, PART_LAYER),
                        .active = place(call, PLACE_ACTIVE, PART_LAYER),
                        .out = place(call, PLACE_OUT, PART_LAYER)};
    layout(call->config, rows.at);
    return rows;
}

static void add(real *y, const real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void forward_rows(void *ctx, size_t from, size_t to)
{
    const struct rows *const j = ctx;
    const struct encoder_tape *const t = j->tape;
    const real *const theta = j->theta;
    const size_t C = j->call->config->mix.C, Fd = j->call->config->Fd, R = to - from;
    const size_t narrow = from * C, wide = from * Fd;
    real *const sum = j->work->sum + narrow, *const x1 = t->x1 + narrow;
    real *const slope = t->slope + wide, *const active = t->active + wide;
    dropout_part(sum, narrow, R * C, &j->residual);
    add(sum, j->x + narrow, R * C);
    layernorm_forward(NULL, x1, t->xhat1 + narrow, t->rstd1 + from, sum,
                      theta + j->at[LN1_G], theta + j->at[LN1_B], R, C, LN_EPS);
    linear_forward(NULL, slope, Fd, x1, C, theta + j->at[FF_W1], theta + j->at[FF_B1], R,
                   C, Fd);
    gelu_forward(NULL, active, Fd, slope, Fd, R, Fd);
    dropout_part(active, wide, R * Fd, &j->active);
    linear_forward(NULL, sum, C, active, Fd, theta + j->at[FF_W2], theta + j->at[FF_B2],
                   R, Fd, C);
    dropout_part(sum, narrow, R * C, &j->out);
    add(sum, x1, R * C);
    layernorm_forward(NULL, j->y + narrow, t->xhat2 + narrow, t->rstd2 + from, sum,
                      theta + j->at[LN2_G], theta + j->at[LN2_B], R, C, LN_EPS);
}

void encoder_forward(const struct encoder_call *call, const real *theta, const real *x,
                     real *y, struct encoder_tape *t, struct encoder_work *w)
{
    const struct mixer_config *const config = &call->config->mix;
    const struct dropout in_mixer = place(call, PLACE_MIXER, PART_MIXER);
    const struct mixer_call mix = {.config = config,
                                   .B = call->B,
                                   .T = call->T,
                                   .pool = call->pool,
                                   .dropout = &in_mixer};
    struct rows rows = rows_of(call, theta, x, t, w);
    rows.y = y;
    mixer_forward(&mix, theta, x, w->sum, t->mixer, w->mixer[mixer_kind(config)]);
    threads_rows(call->pool, call->B * call->T, call->T, forward_rows, &rows);
}

/* sum, xhat and rstd, x1, slope and active, as in forward; then the mixer's. */
size_t encoder_step_work_size(const struct encoder_config *config)
{
    return 3 * config->mix.C + 1 + 2 * config->Fd + mixer_step_work_size(&config->mix);
}

void encoder_step(const struct encoder_config *config, const real *theta, const real *x,
                  real *y, real *state, real *work)
{
    const size_t C = config->mix.C, Fd = config->Fd;
    size_t at[TENSORS];
    layout(config, at);
    real *const sum = work, *const x1 = sum + C, *const xhat = x1 + C;
    real *const rstd = xhat + C, *const slope = rstd + 1, *const active = slope + Fd;
    mixer_step(&config->mix, theta, x, sum, state, active + Fd);
    for (size_t c = 0; c < C; c++)
        sum[c] += x[c];
    layernorm_forward(NULL, x1, xhat, rstd, sum, theta + at[LN1_G], theta + at[LN1_B], 1,
                      C, LN_EPS);
    linear_one(slope, x1, theta + at[FF_W1], theta + at[FF_B1], C, Fd);
    gelu_forward(NULL, active, Fd, slope, Fd, 1, Fd);
    linear_one(sum, active, theta + at[FF_W2], theta + at[FF_B2], Fd, C);
    for (size_t c = 0; c < C; c++)
        sum[c] += x1[c];
    layernorm_forward(NULL, y, xhat, rstd, sum, theta + at[LN2_G], theta + at[LN2_B], 1,
                      C, LN_EPS);
}

static void backward_rows(void *ctx, size_t from, size_t to)
{
    const struct rows *const j = ctx;
    const struct encoder_tape *const t = j->tape;
    const struct encoder_work *const w = j->work;
    const real *const theta = j->theta;
    const size_t C = j->call->config->mix.C, Fd = j->call->config->Fd, R = to - from;
    const size_t narrow = from * C, wide = from * Fd, bytes = R * C * sizeof(real);
    real *const d_sum = w->d_sum + narrow, *const d_drop = w->d_drop + narrow;
    real *const d_mixer = w->d_mixer + narrow, *const d_wide = w->d_wide + wide;
    /* y = LN2(sum), sum = x1 + drop(w2 active + b2): d_sum becomes the gradient at x1. */
    memset(d_sum, 0, bytes);
    layernorm_backward_input(NULL, d_sum, j->dy + narrow, t->xhat2 + narrow,
                             t->rstd2 + from, theta + j->at[LN2_G], R, C);
    memcpy(d_drop, d_sum, bytes);
    dropout_part(d_drop, narrow, R * C, &j->out);
    linear_input_gradient(NULL, d_wide, Fd, d_drop, C, theta + j->at[FF_W2], R, Fd, C);
    dropout_part(d_wide, wide, R * Fd, &j->active);
    gelu_backward(NULL, d_wide, Fd, t->slope + wide, Fd, R, Fd);
    linear_backward_input(NULL, d_sum, C, d_wide, Fd, theta + j->at[FF_W1], R, C, Fd);
    /* x1 = LN1(sum), sum = x + drop(mixer(x)) */
    memset(d_mixer, 0, bytes);
    layernorm_backward_input(NULL, d_mixer, d_sum, t->xhat1 + narrow, t->rstd1 + from,
                             theta + j->at[LN1_G], R, C);
    add(j->dx + narrow, d_mixer, R * C);
    dropout_part(d_mixer, narrow, R * C, &j->residual);
}

static void backward_weights(const struct rows *j, real *dtheta)
{
    const struct encoder_tape *const t = j->tape;
    const struct encoder_work *const w = j->work;
    const size_t R = j->call->B * j->call->T;
    const size_t C = j->call->config->mix.C, Fd = j->call->config->Fd;
    struct threads *const pool = j->call->pool;
    const struct linear_grad grads[] = {
        {dtheta + j->at[FF_W2], dtheta + j->at[FF_B2], w->d_drop, C, t->active, Fd, R, Fd,
         C},
        {dtheta + j->at[FF_W1], dtheta + j->at[FF_B1], w->d_wide, Fd, t->x1, C, R, C, Fd},
    };
    linear_backward_weights_of(pool, grads, sizeof grads / sizeof *grads);
    layernorm_backward_weights(pool, dtheta + j->at[LN2_G], dtheta + j->at[LN2_B], j->dy,
                               t->xhat2, R, C);
    layernorm_backward_weights(pool, dtheta + j->at[LN1_G], dtheta + j->at[LN1_B],
                               w->d_sum, t->xhat1, R, C);
}

void encoder_backward(const struct encoder_call *call, const real *theta, const real *x,
                      const real *dy, real *dx, real *dtheta, struct encoder_tape *t,
                      struct encoder_work *w)
{
    const struct mixer_config *const config = &call->config->mix;
    const struct dropout in_mixer = place(call, PLACE_MIXER, PART_MIXER);
    const struct mixer_call mix = {.config = config,
                                   .B = call->B,
                                   .T = call->T,
                                   .pool = call->pool,
                                   .dropout = &in_mixer};
    struct rows rows = rows_of(call, theta, x, t, w);
    rows.dy = dy;
    rows.dx = dx;
    threads_rows(call->pool, call->B * call->T, call->T, backward_rows, &rows);
    backward_weights(&rows, dtheta);
    mixer_backward(&mix, theta, x, w->d_mixer, dx, dtheta, t->mixer,
                   w->mixer[mixer_kind(config)]);
}
