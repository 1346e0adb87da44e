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

enum { ROWS = 32 };

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
    real *sum;            /* (R,C) what is about to be normalised */
    real *d_sum, *d_wide; /* (R,C), (R,Fd): training only */
    real *d_drop;         /* (R,C) */
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
        .d_wide = training ? arena_reals(arena, R * config->Fd) : NULL,
    };
    struct mixer_config mix = config->mix;
    for (mix.layer = 0; mix.layer < MIXER_KINDS; mix.layer++)
        if (mixer_kind(&mix) == mix.layer)
            w.mixer[mix.layer] = mixer_work(&mix, B, T, training, arena);
    void *const block = arena_bytes(arena, sizeof w);
    return block ? memcpy(block, &w, sizeof w) : NULL;
}

/* ---- y += x ------------------------------------------------------------------------ */

struct sum {
    real *y;
    const real *x;
    size_t n, block;
};

static void sum_rows(void *ctx, size_t block)
{
    const struct sum *const s = ctx;
    const size_t end = threads_block_end(block, s->n, s->block);
    for (size_t i = block * s->block; i < end; i++)
        s->y[i] += s->x[i];
}

static void add_rows(struct threads *pool, real *y, const real *x, size_t R, size_t C)
{
    struct sum s = {.y = y, .x = x, .n = R * C, .block = ROWS * C};
    threads_run(pool, threads_blocks(R, ROWS), sum_rows, &s);
}

/* ---- forward and backward ---------------------------------------------------------- */

void encoder_forward(const struct encoder_call *call, const real *theta, const real *x,
                     real *y, struct encoder_tape *t, struct encoder_work *w)
{
    const struct encoder_config *const config = call->config;
    const size_t R = call->B * call->T, C = config->mix.C, Fd = config->Fd;
    size_t at[TENSORS];
    layout(config, at);
    const struct dropout in_mixer = place(call, PLACE_MIXER, PART_MIXER);
    const struct dropout residual = place(call, PLACE_RESIDUAL, PART_LAYER);
    const struct dropout active = place(call, PLACE_ACTIVE, PART_LAYER);
    const struct dropout out = place(call, PLACE_OUT, PART_LAYER);
    const struct mixer_call mix = {.config = &config->mix,
                                   .B = call->B,
                                   .T = call->T,
                                   .pool = call->pool,
                                   .dropout = &in_mixer};

    mixer_forward(&mix, theta, x, w->sum, t->mixer, w->mixer[mixer_kind(&config->mix)]);
    dropout(call->pool, w->sum, R * C, &residual);
    add_rows(call->pool, w->sum, x, R, C);
    layernorm_forward(call->pool, t->x1, t->xhat1, t->rstd1, w->sum, theta + at[LN1_G],
                      theta + at[LN1_B], R, C, LN_EPS);
    linear_forward(call->pool, t->slope, Fd, t->x1, C, theta + at[FF_W1],
                   theta + at[FF_B1], R, C, Fd);
    gelu_forward(call->pool, t->active, Fd, t->slope, Fd, R, Fd);
    dropout(call->pool, t->active, R * Fd, &active);
    linear_forward(call->pool, w->sum, C, t->active, Fd, theta + at[FF_W2],
                   theta + at[FF_B2], R, Fd, C);
    dropout(call->pool, w->sum, R * C, &out);
    add_rows(call->pool, w->sum, t->x1, R, C);
    layernorm_forward(call->pool, y, t->xhat2, t->rstd2, w->sum, theta + at[LN2_G],
                      theta + at[LN2_B], R, C, LN_EPS);
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

/* y = LN2(sum), sum = x1 + drop(w2 active + b2): d_sum becomes the gradient at x1. */
static void feed_forward_backward(const struct encoder_call *call, const real *theta,
                                  const size_t at[TENSORS], const real *dy, real *dtheta,
                                  const struct encoder_tape *t, struct encoder_work *w)
{
    const size_t R = call->B * call->T, C = call->config->mix.C, Fd = call->config->Fd;
    const struct dropout active = place(call, PLACE_ACTIVE, PART_LAYER);
    const struct dropout out = place(call, PLACE_OUT, PART_LAYER);
    memset(w->d_sum, 0, R * C * sizeof *w->d_sum);
    layernorm_backward(call->pool, w->d_sum, dtheta + at[LN2_G], dtheta + at[LN2_B], dy,
                       t->xhat2, t->rstd2, theta + at[LN2_G], R, C);
    memcpy(w->d_drop, w->d_sum, R * C * sizeof *w->d_drop);
    dropout(call->pool, w->d_drop, R * C, &out);
    linear_backward_weights(call->pool, dtheta + at[FF_W2], dtheta + at[FF_B2], w->d_drop,
                            C, t->active, Fd, R, Fd, C);
    memset(w->d_wide, 0, R * Fd * sizeof *w->d_wide);
    linear_backward_input(call->pool, w->d_wide, Fd, w->d_drop, C, theta + at[FF_W2], R,
                          Fd, C);
    dropout(call->pool, w->d_wide, R * Fd, &active);
    gelu_backward(call->pool, w->d_wide, Fd, t->slope, Fd, R, Fd);
    linear_backward_weights(call->pool, dtheta + at[FF_W1], dtheta + at[FF_B1], w->d_wide,
                            Fd, t->x1, C, R, C, Fd);
    linear_backward_input(call->pool, w->d_sum, C, w->d_wide, Fd, theta + at[FF_W1], R, C,
                          Fd);
}

void encoder_backward(const struct encoder_call *call, const real *theta, const real *x,
                      const real *dy, real *dx, real *dtheta, struct encoder_tape *t,
                      struct encoder_work *w)
{
    const struct encoder_config *const config = call->config;
    const size_t R = call->B * call->T, C = config->mix.C;
    size_t at[TENSORS];
    layout(config, at);
    const struct dropout in_mixer = place(call, PLACE_MIXER, PART_MIXER);
    const struct dropout residual = place(call, PLACE_RESIDUAL, PART_LAYER);
    const struct mixer_call mix = {.config = &config->mix,
                                   .B = call->B,
                                   .T = call->T,
                                   .pool = call->pool,
                                   .dropout = &in_mixer};

    feed_forward_backward(call, theta, at, dy, dtheta, t, w);
    /* x1 = LN1(sum), sum = x + drop(mixer(x)) */
    memset(w->d_drop, 0, R * C * sizeof *w->d_drop);
    layernorm_backward(call->pool, w->d_drop, dtheta + at[LN1_G], dtheta + at[LN1_B],
                       w->d_sum, t->xhat1, t->rstd1, theta + at[LN1_G], R, C);
    add_rows(call->pool, dx, w->d_drop, R, C);
    dropout(call->pool, w->d_drop, R * C, &residual);
    mixer_backward(&mix, theta, x, w->d_drop, dx, dtheta, t->mixer,
                   w->mixer[mixer_kind(&config->mix)]);
}
