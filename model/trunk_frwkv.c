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

static void first_forward(const struct trunk_job *j, struct threads *pool, const real *x)
{
    const struct trunk_shape *const s = j->s;
    const struct trunk_tape *const t = j->tape;
    struct trunk_job job = *j;
    threads_run(pool, threads_blocks(s->M, ROWS), bias_rows, &job);
    linear_forward(pool, t->first, s->M, x, s->C, j->theta + s->at[TRUNK_WR_W1],
                   j->work->bias, s->R, s->C, s->M);
    gelu_forward(pool, t->active, MLPS * s->E, t->first, s->M, s->R, MLPS * s->E);
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

static void first_backward(const struct trunk_job *j, struct threads *pool, const real *x,
                           real *dx)
{
    const struct trunk_shape *const s = j->s;
    const struct trunk_work *const w = j->work;
    const size_t w1 = s->at[TRUNK_WR_W1];
    struct trunk_job job = *j;
    gelu_backward(pool, w->d_first, s->M, j->tape->first, s->M, s->R, MLPS * s->E);
    memset(w->d_bias, 0, s->M * sizeof *w->d_bias);
    linear_backward_weights(pool, j->dtheta + w1, w->d_bias, w->d_first, s->M, x, s->C,
                            s->R, s->C, s->M);
    threads_run(pool, threads_blocks(s->M, ROWS), first_weights_rows, &job);
    threads_run(pool, threads_blocks(s->C, COLUMNS), mu_columns, &job);
    linear_backward_input(pool, dx, s->C, w->d_first, s->M, j->theta + w1, s->R, s->C,
                          s->M);
}

/* ---- the second maps --------------------------------------------------------------- */

/* Where the second matrix of the index-th map reads: GELUs of an MLP, plain values of a
 * low-rank map. */
static real *hidden_of(const struct trunk_job *j, size_t index, size_t *stride,
                       size_t *width)
{
    const struct trunk_shape *const s = j->s;
    const bool mlp = index < MLPS;
    *stride = mlp ? MLPS * s->E : s->M;
    *width = mlp ? s->E : s->Q;
    return (mlp ? j->tape->active : j->tape->first) + map_begin(s, index);
}

static const real *bias_of(const real *theta, const struct trunk_shape *s, size_t map)
{
    return maps[map].biased ? theta + s->at[maps[map].bias] : NULL;
}

/* The wide decay's inner tanh, in place; and dtanh = 1 - tanh^2. */
static void bend(const struct trunk_shape *s, real *hidden, size_t stride)
{
    for (size_t r = 0; r < s->R; r++)
        for (size_t i = 0; i < s->Q; i++)
            hidden[r * stride + i] = elementary_tanh(hidden[r * stride + i]);
}

static void bend_backward(const struct trunk_shape *s, real *d, const real *hidden,
                          size_t stride)
{
    for (size_t r = 0; r < s->R; r++)
        for (size_t i = 0; i < s->Q; i++) {
            const real y = hidden[r * stride + i];
            d[r * stride + i] *= 1 - y * y;
        }
}

static void second_forward(const struct trunk_job *j, struct threads *pool)
{
    const struct trunk_shape *const s = j->s;
    for (size_t i = 0; i < s->maps; i++) {
        const enum trunk_map map = s->map[i];
        size_t stride, width;
        real *const hidden = hidden_of(j, i, &stride, &width);
        if (map == MAP_DECAY && s->wide_decay)
            bend(s, hidden, stride);
        linear_forward(pool, j->tape->map[map], s->C, hidden, stride,
                       j->theta + s->at[maps[map].second], bias_of(j->theta, s, map),
                       s->R, width, s->C);
    }
}

static void second_backward(const struct trunk_job *j, struct threads *pool)
{
    const struct trunk_shape *const s = j->s;
    const struct trunk_work *const w = j->work;
    memset(w->d_first, 0, s->R * s->M * sizeof *w->d_first);
    for (size_t i = 0; i < s->maps; i++) {
        const enum trunk_map map = s->map[i];
        size_t stride, width;
        const real *const hidden = hidden_of(j, i, &stride, &width);
        real *const d_hidden = w->d_first + map_begin(s, i);
        linear_backward_weights(pool, j->dtheta + s->at[maps[map].second],
                                maps[map].biased ? j->dtheta + s->at[maps[map].bias]
                                                 : NULL,
                                w->d_map[map], s->C, hidden, stride, s->R, width, s->C);
        linear_backward_input(pool, d_hidden, s->M, w->d_map[map], s->C,
                              j->theta + s->at[maps[map].second], s->R, width, s->C);
        if (map == MAP_DECAY && s->wide_decay)
            bend_backward(s, d_hidden, hidden, s->M);
    }
}

/* ---- normalisation, gate, output --------------------------------------------------- */

/* The gate's map becomes g, and LayerNorm(o) is multiplied by it. */
HOT static void gate_rows(void *ctx, size_t block)
{
    const struct trunk_job *const j = ctx;
    const struct trunk_shape *const s = j->s;
    const size_t end = threads_block_end(block, s->R, ROWS) * s->C;
    real *restrict const g = j->tape->map[MAP_GATE];
    real *restrict const gated = j->tape->gated;
    for (size_t i = block * ROWS * s->C; i < end; i++) {
        g[i] = elementary_sigmoid(g[i]);
        gated[i] *= g[i];
    }
}

static void output_forward(const struct trunk_job *j, struct threads *pool, real *y)
{
    const struct trunk_shape *const s = j->s;
    const struct trunk_tape *const t = j->tape;
    struct trunk_job job = *j;
    layernorm_forward(pool, t->gated, t->xhat, t->rstd, j->work->o,
                      j->theta + s->at[TRUNK_LN_G], j->theta + s->at[TRUNK_LN_B], s->R,
                      s->C, TRUNK_LN_EPS);
    threads_run(pool, threads_blocks(s->R, ROWS), gate_rows, &job);
    linear_forward(pool, t->out_slope, s->E, t->gated, s->C,
                   j->theta + s->at[TRUNK_WO_W1], j->theta + s->at[TRUNK_WO_B1], s->R,
                   s->C, s->E);
    gelu_forward(pool, t->out_active, s->E, t->out_slope, s->E, s->R, s->E);
    linear_forward(pool, y, s->C, t->out_active, s->E, j->theta + s->at[TRUNK_WO_W2],
                   j->theta + s->at[TRUNK_WO_B2], s->R, s->E, s->C);
}

/* gated = ln g: d_gated becomes dln, and the gate's map gets dg g (1 - g). */
static void gate_backward_rows(void *ctx, size_t block)
{
    const struct trunk_job *const j = ctx;
    const struct trunk_shape *const s = j->s;
    const real *const ln_g = j->theta + s->at[TRUNK_LN_G];
    const real *const ln_b = j->theta + s->at[TRUNK_LN_B];
    for (size_t r = block * ROWS; r < threads_block_end(block, s->R, ROWS); r++) {
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

/* From d_out, the gradient at y, to d_o. */
static void output_backward(const struct trunk_job *j, struct threads *pool)
{
    const struct trunk_shape *const s = j->s;
    const struct trunk_tape *const t = j->tape;
    const struct trunk_work *const w = j->work;
    struct trunk_job job = *j;
    linear_backward_weights(pool, j->dtheta + s->at[TRUNK_WO_W2],
                            j->dtheta + s->at[TRUNK_WO_B2], w->d_out, s->C, t->out_active,
                            s->E, s->R, s->E, s->C);
    memset(w->d_out_active, 0, s->R * s->E * sizeof *w->d_out_active);
    linear_backward_input(pool, w->d_out_active, s->E, w->d_out, s->C,
                          j->theta + s->at[TRUNK_WO_W2], s->R, s->E, s->C);
    gelu_backward(pool, w->d_out_active, s->E, t->out_slope, s->E, s->R, s->E);
    linear_backward_weights(pool, j->dtheta + s->at[TRUNK_WO_W1],
                            j->dtheta + s->at[TRUNK_WO_B1], w->d_out_active, s->E,
                            t->gated, s->C, s->R, s->C, s->E);
    memset(w->d_gated, 0, s->R * s->C * sizeof *w->d_gated);
    linear_backward_input(pool, w->d_gated, s->C, w->d_out_active, s->E,
                          j->theta + s->at[TRUNK_WO_W1], s->R, s->C, s->E);
    threads_run(pool, threads_blocks(s->R, ROWS), gate_backward_rows, &job);
    memset(w->d_o, 0, s->R * s->C * sizeof *w->d_o);
    layernorm_backward(pool, w->d_o, j->dtheta + s->at[TRUNK_LN_G],
                       j->dtheta + s->at[TRUNK_LN_B], w->d_gated, t->xhat, t->rstd,
                       j->theta + s->at[TRUNK_LN_G], s->R, s->C);
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
    const struct trunk_job j = {.s = &s, .theta = theta, .tape = tape, .work = work};
    first_forward(&j, call->pool, x);
    second_forward(&j, call->pool);
    const struct core_io io = core_io_of(&j, x);
    sequence_forward(call, theta + s.size, &io, j.tape->sequence, j.work->sequence);
    output_forward(&j, call->pool, y);
    dropout(call->pool, y, s.R * s.C, call->dropout);
}

static void frwkv_backward(const struct mixer_call *call, const real *theta,
                           const real *x, const real *dy, real *dx, real *dtheta,
                           void *tape, void *work)
{
    const struct trunk_shape s = trunk_shape(call->config, call->B, call->T);
    const struct trunk_job j = {
        .s = &s, .theta = theta, .dtheta = dtheta, .tape = tape, .work = work};
    real *const d_out = j.work->d_out;
    memcpy(d_out, dy, s.R * s.C * sizeof *d_out);
    dropout(call->pool, d_out, s.R * s.C, call->dropout);
    output_backward(&j, call->pool);
    const struct core_io io = core_io_of(&j, x);
    const struct core_grad grad = core_grad_of(&j, dx);
    sequence_backward(call, theta + s.size, dtheta + s.size, &io, &grad, j.tape->sequence,
                      j.work->sequence);
    second_backward(&j, call->pool);
    first_backward(&j, call->pool, x, dx);
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
