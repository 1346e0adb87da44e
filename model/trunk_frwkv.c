/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/trunk_frwkv.h"

#include <string.h>

#include "model/elementary.h"
#include "model/gelu.h"
#include "model/layernorm.h"
#include "model/linear.h"
#include "model/threads.h"
#include "model/vector.h"

enum { ROWS = 32, COLUMNS = 64 };

/* Where each map keeps mu, its second matrix and its last bias. */
static const struct {
    enum trunk_tensor mu, second, bias;
    bool biased;
} maps[MAPS] = {
    [MAP_R] = {TRUNK_MU_R, TRUNK_WR_W2, TRUNK_WR_B2, true},
    [MAP_K] = {TRUNK_MU_K, TRUNK_WK_W2, TRUNK_WK_B2, true},
    [MAP_V] = {TRUNK_MU_V, TRUNK_WV_W2, TRUNK_WV_B2, true},
    [MAP_DECAY] = {TRUNK_MU_D, TRUNK_DECAY_B, TRUNK_DECAY_BIAS, true},
    [MAP_RATE] = {TRUNK_MU_A, TRUNK_RATE_B, TRUNK_RATE_BIAS, true},
    [MAP_GATE] = {TRUNK_MU_G, TRUNK_GATE_B, 0, false},
};

/* ---- the six first maps as one ----------------------------------------------------- */

/* First row among the M of the index-th map, and the map that a row is of. */
static size_t map_begin(const struct trunk_shape *s, size_t index)
{
    return index < MLPS ? index * s->E : MLPS * s->E + (index - MLPS) * s->Q;
}

static enum trunk_map map_of_row(const struct trunk_shape *s, size_t row)
{
    return s->map[row < MLPS * s->E ? row / s->E : MLPS + (row - MLPS * s->E) / s->Q];
}

struct trunk_job {
    const struct trunk_shape *s;
    const real *theta;
    real *dtheta;
    const struct trunk_tape *tape;
    const struct trunk_work *work;
    const real *x, *dy;
    real *y, *dx;
    const struct dropout *dropout;
};

static void bias_rows(void *ctx, size_t block)
{
    const struct trunk_job *const j = ctx;
    const struct trunk_shape *const s = j->s;
    const real *const w1 = j->theta + s->at[TRUNK_WR_W1];
    const real *const b1 = j->theta + s->at[TRUNK_WR_B1];
    for (size_t m = block * ROWS; m < threads_block_end(block, s->M, ROWS); m++) {
        const real *const mu = j->theta + s->at[maps[map_of_row(s, m)].mu];
        j->work->bias[m] =
            (m < MLPS * s->E ? b1[m] : 0) + vector_dot(w1 + m * s->C, mu, s->C);
    }
}

/* W1 (x + mu): the rank-one part of dW1, from the sum of dy over rows. */
static void first_weights_rows(void *ctx, size_t block)
{
    const struct trunk_job *const j = ctx;
    const struct trunk_shape *const s = j->s;
    real *const dw1 = j->dtheta + s->at[TRUNK_WR_W1];
    real *const db1 = j->dtheta + s->at[TRUNK_WR_B1];
    for (size_t m = block * ROWS; m < threads_block_end(block, s->M, ROWS); m++) {
        const real *const mu = j->theta + s->at[maps[map_of_row(s, m)].mu];
        vector_add(dw1 + m * s->C, j->work->d_bias[m], mu, s->C);
        if (m < MLPS * s->E)
            db1[m] += j->work->d_bias[m];
    }
}

/* dmu = W1' d_bias, by pieces of channels. */
static void mu_columns(void *ctx, size_t block)
{
    const struct trunk_job *const j = ctx;
    const struct trunk_shape *const s = j->s;
    const real *const w1 = j->theta + s->at[TRUNK_WR_W1];
    const size_t first = block * COLUMNS;
    const size_t count = threads_block_end(block, s->C, COLUMNS) - first;
    for (size_t m = 0; m < s->M; m++)
        vector_add(j->dtheta + s->at[maps[map_of_row(s, m)].mu] + first,
                   j->work->d_bias[m], w1 + m * s->C + first, count);
}

static void first_backward(const struct trunk_job *j, struct threads *pool, const real *x)
{
    const struct trunk_shape *const s = j->s;
    const struct trunk_work *const w = j->work;
    const size_t w1 = s->at[TRUNK_WR_W1];
    struct trunk_job job = *j;
    memset(w->d_bias, 0, s->M * sizeof *w->d_bias);
    linear_backward_weights(pool, j->dtheta + w1, w->d_bias, w->d_first, s->M, x, s->C,
                            s->R, s->C, s->M);
    threads_run(pool, threads_blocks(s->M, ROWS), first_weights_rows, &job);
    threads_run(pool, threads_blocks(s->C, COLUMNS), mu_columns, &job);
}

/* ---- the second maps --------------------------------------------------------------- */

/* Where the second matrix of the index-th map reads: GELUs of an MLP, plain values of a
 * low-rank map; from that row on. */
static real *hidden_of(const struct trunk_job *j, size_t index, size_t row,
                       size_t *stride, size_t *width)
{
    const struct trunk_shape *const s = j->s;
    const bool mlp = index < MLPS;
    *stride = mlp ? MLPS * s->E : s->M;
    *width = mlp ? s->E : s->Q;
    return (mlp ? j->tape->active : j->tape->first) + row * *stride + map_begin(s, index);
}

static const real *bias_of(const real *theta, const struct trunk_shape *s, size_t map)
{
    return maps[map].biased ? theta + s->at[maps[map].bias] : NULL;
}

/* The wide decay's inner tanh, in place; and dtanh = 1 - tanh^2. */
static void bend(real *hidden, size_t stride, size_t R, size_t Q)
{
    for (size_t r = 0; r < R; r++)
        for (size_t i = 0; i < Q; i++)
            hidden[r * stride + i] = elementary_tanh(hidden[r * stride + i]);
}

static void bend_backward(real *d, const real *hidden, size_t stride, size_t R, size_t Q)
{
    for (size_t r = 0; r < R; r++)
        for (size_t i = 0; i < Q; i++) {
            const real y = hidden[r * stride + i];
            d[r * stride + i] *= 1 - y * y;
        }
}

/* Through both maps of all six. */
static void maps_forward(void *ctx, size_t from, size_t to)
{
    const struct trunk_job *const j = ctx;
    const struct trunk_shape *const s = j->s;
    const struct trunk_tape *const t = j->tape;
    const size_t R = to - from;
    real *const first = t->first + from * s->M;
    linear_forward(NULL, first, s->M, j->x + from * s->C, s->C,
                   j->theta + s->at[TRUNK_WR_W1], j->work->bias, R, s->C, s->M);
    gelu_forward(NULL, t->active + from * MLPS * s->E, MLPS * s->E, first, s->M, R,
                 MLPS * s->E);
    for (size_t i = 0; i < s->maps; i++) {
        const enum trunk_map map = s->map[i];
        size_t stride, width;
        real *const hidden = hidden_of(j, i, from, &stride, &width);
        if (map == MAP_DECAY && s->wide_decay)
            bend(hidden, stride, R, s->Q);
        linear_forward(NULL, t->map[map] + from * s->C, s->C, hidden, stride,
                       j->theta + s->at[maps[map].second], bias_of(j->theta, s, map), R,
                       width, s->C);
    }
}

static void maps_backward(void *ctx, size_t from, size_t to)
{
    const struct trunk_job *const j = ctx;
    const struct trunk_shape *const s = j->s;
    const struct trunk_work *const w = j->work;
    const size_t R = to - from;
    real *const d_first = w->d_first + from * s->M;
    for (size_t i = 0; i < s->maps; i++) {
        const enum trunk_map map = s->map[i];
        size_t stride, width;
        const real *const hidden = hidden_of(j, i, from, &stride, &width);
        real *const d_hidden = d_first + map_begin(s, i);
        linear_input_gradient(NULL, d_hidden, s->M, w->d_map[map] + from * s->C, s->C,
                              j->theta + s->at[maps[map].second], R, width, s->C);
        if (map == MAP_DECAY && s->wide_decay)
            bend_backward(d_hidden, hidden, s->M, R, s->Q);
    }
    gelu_backward(NULL, d_first, s->M, j->tape->first + from * s->M, s->M, R,
                  MLPS * s->E);
    linear_backward_input(NULL, j->dx + from * s->C, s->C, d_first, s->M,
                          j->theta + s->at[TRUNK_WR_W1], R, s->C, s->M);
}

static void second_weights(const struct trunk_job *j, struct threads *pool)
{
    const struct trunk_shape *const s = j->s;
    struct linear_grad grads[MAPS];
    for (size_t i = 0; i < s->maps; i++) {
        const enum trunk_map map = s->map[i];
        size_t stride, width;
        const real *const hidden = hidden_of(j, i, 0, &stride, &width);
        grads[i] = (struct linear_grad){
            .dw = j->dtheta + s->at[maps[map].second],
            .db = maps[map].biased ? j->dtheta + s->at[maps[map].bias] : NULL,
            .dy = j->work->d_map[map],
            .dy_stride = s->C,
            .x = hidden,
            .x_stride = stride,
            .R = s->R,
            .I = width,
            .O = s->C};
    }
    linear_backward_weights_of(pool, grads, s->maps);
}

/* ---- normalisation, gate, output --------------------------------------------------- */

/* The gate's map becomes g, and LayerNorm(o) is multiplied by it. */
HOT static void gate_rows(real *restrict g, real *restrict gated, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        g[i] = elementary_sigmoid(g[i]);
        gated[i] *= g[i];
    }
}

static void output_forward(void *ctx, size_t from, size_t to)
{
    const struct trunk_job *const j = ctx;
    const struct trunk_shape *const s = j->s;
    const struct trunk_tape *const t = j->tape;
    const real *const theta = j->theta;
    const size_t R = to - from, narrow = from * s->C, wide = from * s->E;
    real *const gated = t->gated + narrow, *const y = j->y + narrow;
    layernorm_forward(NULL, gated, t->xhat + narrow, t->rstd + from, j->work->o + narrow,
                      theta + s->at[TRUNK_LN_G], theta + s->at[TRUNK_LN_B], R, s->C,
                      TRUNK_LN_EPS);
    gate_rows(t->map[MAP_GATE] + narrow, gated, R * s->C);
    linear_forward(NULL, t->out_slope + wide, s->E, gated, s->C,
                   theta + s->at[TRUNK_WO_W1], theta + s->at[TRUNK_WO_B1], R, s->C, s->E);
    gelu_forward(NULL, t->out_active + wide, s->E, t->out_slope + wide, s->E, R, s->E);
    linear_forward(NULL, y, s->C, t->out_active + wide, s->E, theta + s->at[TRUNK_WO_W2],
                   theta + s->at[TRUNK_WO_B2], R, s->E, s->C);
    dropout_part(y, narrow, R * s->C, j->dropout);
}

/* gated = ln g: d_gated becomes dln, and the gate's map gets dg g (1 - g). */
static void gate_backward(const struct trunk_job *j, size_t from, size_t to)
{
    const struct trunk_shape *const s = j->s;
    const real *const ln_g = j->theta + s->at[TRUNK_LN_G];
    const real *const ln_b = j->theta + s->at[TRUNK_LN_B];
    for (size_t r = from; r < to; r++) {
        const real *const g = j->tape->map[MAP_GATE] + r * s->C;
        const real *const xhat = j->tape->xhat + r * s->C;
        real *const d_gated = j->work->d_gated + r * s->C;
        real *const d_gate = j->work->d_map[MAP_GATE] + r * s->C;
        for (size_t c = 0; c < s->C; c++) {
            d_gate[c] = d_gated[c] * (ln_g[c] * xhat[c] + ln_b[c]) * g[c] * (1 - g[c]);
            d_gated[c] *= g[c];
        }
    }
}

/* From dy to d_out, the gradient before dropout, and to d_o. */
static void output_backward(void *ctx, size_t from, size_t to)
{
    const struct trunk_job *const j = ctx;
    const struct trunk_shape *const s = j->s;
    const struct trunk_tape *const t = j->tape;
    const struct trunk_work *const w = j->work;
    const real *const theta = j->theta;
    const size_t R = to - from, narrow = from * s->C, wide = from * s->E;
    real *const d_out = w->d_out + narrow, *const d_active = w->d_out_active + wide;
    memcpy(d_out, j->dy + narrow, R * s->C * sizeof *d_out);
    dropout_part(d_out, narrow, R * s->C, j->dropout);
    linear_input_gradient(NULL, d_active, s->E, d_out, s->C, theta + s->at[TRUNK_WO_W2],
                          R, s->E, s->C);
    gelu_backward(NULL, d_active, s->E, t->out_slope + wide, s->E, R, s->E);
    linear_input_gradient(NULL, w->d_gated + narrow, s->C, d_active, s->E,
                          theta + s->at[TRUNK_WO_W1], R, s->C, s->E);
    gate_backward(j, from, to);
    memset(w->d_o + narrow, 0, R * s->C * sizeof *w->d_o);
    layernorm_backward_input(NULL, w->d_o + narrow, w->d_gated + narrow, t->xhat + narrow,
                             t->rstd + from, theta + s->at[TRUNK_LN_G], R, s->C);
}

static void output_weights(const struct trunk_job *j, struct threads *pool)
{
    const struct trunk_shape *const s = j->s;
    const struct trunk_tape *const t = j->tape;
    const struct trunk_work *const w = j->work;
    const struct linear_grad grads[] = {
        {j->dtheta + s->at[TRUNK_WO_W2], j->dtheta + s->at[TRUNK_WO_B2], w->d_out, s->C,
         t->out_active, s->E, s->R, s->E, s->C},
        {j->dtheta + s->at[TRUNK_WO_W1], j->dtheta + s->at[TRUNK_WO_B1], w->d_out_active,
         s->E, t->gated, s->C, s->R, s->C, s->E},
    };
    linear_backward_weights_of(pool, grads, sizeof grads / sizeof *grads);
    layernorm_backward_weights(pool, j->dtheta + s->at[TRUNK_LN_G],
                               j->dtheta + s->at[TRUNK_LN_B], w->d_gated, t->xhat, s->R,
                               s->C);
}

/* ---- the whole --------------------------------------------------------------------- */

static struct core_io core_io_of(const struct trunk_job *j, const real *x)
{
    const struct trunk_shape *const s = j->s;
    const bool all = s->maps == MAPS;
    return (struct core_io){
        .x = x,
        .q = j->tape->map[MAP_R],
        .k = j->tape->map[MAP_K],
        .v = j->tape->map[MAP_V],
        .decay = j->tape->map[MAP_DECAY],
        .rate = j->tape->map[MAP_RATE],
        .xi = all ? j->theta + s->at[TRUNK_XI] : NULL,
        .alpha = all ? j->theta + s->at[TRUNK_ALPHA] : NULL,
        .bonus = j->theta + s->at[TRUNK_BONUS],
        .o = j->work->o,
    };
}

static struct core_grad core_grad_of(const struct trunk_job *j, real *dx)
{
    const struct trunk_shape *const s = j->s;
    const bool all = s->maps == MAPS;
    return (struct core_grad){
        .d_o = j->work->d_o,
        .dx = dx,
        .dq = j->work->d_map[MAP_R],
        .dk = j->work->d_map[MAP_K],
        .dv = j->work->d_map[MAP_V],
        .d_decay = j->work->d_map[MAP_DECAY],
        .d_rate = j->work->d_map[MAP_RATE],
        .dxi = all ? j->dtheta + s->at[TRUNK_XI] : NULL,
        .dalpha = all ? j->dtheta + s->at[TRUNK_ALPHA] : NULL,
        .dbonus = j->dtheta + s->at[TRUNK_BONUS],
    };
}

static void frwkv_forward(const struct mixer_call *call, const real *theta, const real *x,
                          real *y, void *tape, void *work)
{
    const struct trunk_shape s = trunk_shape(call->config, call->B, call->T);
    struct trunk_job j = {.s = &s,
                          .theta = theta,
                          .tape = tape,
                          .work = work,
                          .x = x,
                          .y = y,
                          .dropout = call->dropout};
    threads_run(call->pool, threads_blocks(s.M, ROWS), bias_rows, &j);
    threads_rows(call->pool, s.R, s.T, maps_forward, &j);
    const struct core_io io = core_io_of(&j, x);
    sequence_forward(call, theta + s.size, &io, j.tape->sequence, j.work->sequence);
    threads_rows(call->pool, s.R, s.T, output_forward, &j);
}

static void frwkv_backward(const struct mixer_call *call, const real *theta,
                           const real *x, const real *dy, real *dx, real *dtheta,
                           void *tape, void *work)
{
    const struct trunk_shape s = trunk_shape(call->config, call->B, call->T);
    struct trunk_job j = {.s = &s,
                          .theta = theta,
                          .dtheta = dtheta,
                          .tape = tape,
                          .work = work,
                          .x = x,
                          .dy = dy,
                          .dx = dx,
                          .dropout = call->dropout};
    threads_rows(call->pool, s.R, s.T, output_backward, &j);
    output_weights(&j, call->pool);
    const struct core_io io = core_io_of(&j, x);
    const struct core_grad grad = core_grad_of(&j, dx);
    sequence_backward(call, theta + s.size, dtheta + s.size, &io, &grad, j.tape->sequence,
                      j.work->sequence);
    threads_rows(call->pool, s.R, s.T, maps_backward, &j);
    second_weights(&j, call->pool);
    first_backward(&j, call->pool, x);
}

const struct trunk trunk_frwkv = {
    .check = trunk_frwkv_check,
    .params = trunk_frwkv_params,
    .size = trunk_frwkv_size,
    .tape = trunk_frwkv_tape,
    .work = trunk_frwkv_work,
    .forward = frwkv_forward,
    .backward = frwkv_backward,
    .state_size = trunk_frwkv_state_size,
    .step_work_size = trunk_frwkv_step_work_size,
    .step = trunk_frwkv_step,
};
