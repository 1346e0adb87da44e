/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/rwkv7.h"

#include <string.h>

#include "model/gelu.h"
#include "model/layernorm.h"
#include "model/linear.h"
#include "model/threads.h"
#include "model/vector.h"

enum { ROWS = 32, COLUMNS = 64 };

/* Where each map keeps mu, its second matrix and its last bias. */
static const struct {
    enum rwkv7_tensor mu, second, bias;
    bool biased;
} maps[MAPS] = {
    [MAP_R] = {RWKV7_MU_R, RWKV7_WR_W2, RWKV7_WR_B2, true},
    [MAP_K] = {RWKV7_MU_K, RWKV7_WK_W2, RWKV7_WK_B2, true},
    [MAP_V] = {RWKV7_MU_V, RWKV7_WV_W2, RWKV7_WV_B2, true},
    [MAP_DECAY] = {RWKV7_MU_D, RWKV7_DECAY_B, RWKV7_DECAY_BIAS, true},
    [MAP_RATE] = {RWKV7_MU_A, RWKV7_RATE_B, RWKV7_RATE_BIAS, true},
    [MAP_GATE] = {RWKV7_MU_G, RWKV7_GATE_B, 0, false},
};

/* ---- the six first maps as one ----------------------------------------------------- */

/* First row of a map among the M, and one past its last. */
static size_t map_begin(const struct rwkv7_shape *s, size_t map)
{
    return map < MLPS ? map * s->E : MLPS * s->E + (map - MLPS) * s->Q;
}

static size_t map_of_row(const struct rwkv7_shape *s, size_t row)
{
    return row < MLPS * s->E ? row / s->E : MLPS + (row - MLPS * s->E) / s->Q;
}

struct trunk {
    const struct rwkv7_shape *s;
    const real *theta;
    real *dtheta;
    const struct rwkv7_tape *tape;
    const struct rwkv7_work *work;
};

static void bias_rows(void *ctx, size_t block)
{
    const struct trunk *const j = ctx;
    const struct rwkv7_shape *const s = j->s;
    const real *const w1 = j->theta + s->at[RWKV7_WR_W1];
    const real *const b1 = j->theta + s->at[RWKV7_WR_B1];
    for (size_t m = block * ROWS; m < threads_block_end(block, s->M, ROWS); m++) {
        const real *const mu = j->theta + s->at[maps[map_of_row(s, m)].mu];
        j->work->bias[m] =
            (m < MLPS * s->E ? b1[m] : 0) + vector_dot(w1 + m * s->C, mu, s->C);
    }
}

static void first_forward(const struct trunk *j, struct threads *pool, const real *x)
{
    const struct rwkv7_shape *const s = j->s;
    const struct rwkv7_tape *const t = j->tape;
    struct trunk job = *j;
    threads_run(pool, threads_blocks(s->M, ROWS), bias_rows, &job);
    linear_forward(pool, t->first, s->M, x, s->C, j->theta + s->at[RWKV7_WR_W1],
                   j->work->bias, s->R, s->C, s->M);
    gelu_forward(pool, t->active, MLPS * s->E, t->first, s->M, s->R, MLPS * s->E);
}

/* W1 (x + mu): the rank-one part of dW1, from the sum of dy over rows. */
static void first_weights_rows(void *ctx, size_t block)
{
    const struct trunk *const j = ctx;
    const struct rwkv7_shape *const s = j->s;
    real *const dw1 = j->dtheta + s->at[RWKV7_WR_W1];
    real *const db1 = j->dtheta + s->at[RWKV7_WR_B1];
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
    const struct trunk *const j = ctx;
    const struct rwkv7_shape *const s = j->s;
    const real *const w1 = j->theta + s->at[RWKV7_WR_W1];
    const size_t first = block * COLUMNS;
    const size_t count = threads_block_end(block, s->C, COLUMNS) - first;
    for (size_t m = 0; m < s->M; m++)
        vector_add(j->dtheta + s->at[maps[map_of_row(s, m)].mu] + first,
                   j->work->d_bias[m], w1 + m * s->C + first, count);
}

static void first_backward(const struct trunk *j, struct threads *pool, const real *x,
                           real *dx)
{
    const struct rwkv7_shape *const s = j->s;
    const struct rwkv7_work *const w = j->work;
    const size_t w1 = s->at[RWKV7_WR_W1];
    struct trunk job = *j;
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

/* Where a map's second matrix reads: GELUs of an MLP, plain values of a low-rank map. */
static const real *hidden_of(const struct trunk *j, size_t map, size_t *stride,
                             size_t *width)
{
    const struct rwkv7_shape *const s = j->s;
    const bool mlp = map < MLPS;
    *stride = mlp ? MLPS * s->E : s->M;
    *width = mlp ? s->E : s->Q;
    return (mlp ? j->tape->active : j->tape->first) + map_begin(s, map);
}

static void second_forward(const struct trunk *j, struct threads *pool)
{
    const struct rwkv7_shape *const s = j->s;
    for (size_t i = 0; i < MAPS; i++) {
        size_t stride, width;
        const real *const hidden = hidden_of(j, i, &stride, &width);
        linear_forward(
            pool, j->tape->map[i], s->C, hidden, stride, j->theta + s->at[maps[i].second],
            maps[i].biased ? j->theta + s->at[maps[i].bias] : NULL, s->R, width, s->C);
    }
}

static void second_backward(const struct trunk *j, struct threads *pool)
{
    const struct rwkv7_shape *const s = j->s;
    const struct rwkv7_work *const w = j->work;
    memset(w->d_first, 0, s->R * s->M * sizeof *w->d_first);
    for (size_t i = 0; i < MAPS; i++) {
        size_t stride, width;
        const real *const hidden = hidden_of(j, i, &stride, &width);
        linear_backward_weights(pool, j->dtheta + s->at[maps[i].second],
                                maps[i].biased ? j->dtheta + s->at[maps[i].bias] : NULL,
                                w->d_map[i], s->C, hidden, stride, s->R, width, s->C);
        linear_backward_input(pool, w->d_first + map_begin(s, i), s->M, w->d_map[i], s->C,
                              j->theta + s->at[maps[i].second], s->R, width, s->C);
    }
}

/* ---- normalisation, gate, output --------------------------------------------------- */

static void gate_rows(void *ctx, size_t block)
{
    const struct trunk *const j = ctx;
    const struct rwkv7_shape *const s = j->s;
    const size_t end = threads_block_end(block, s->R, ROWS) * s->C;
    for (size_t i = block * ROWS * s->C; i < end; i++)
        j->tape->gated[i] *= j->tape->map[MAP_GATE][i];
}

static void output_forward(const struct trunk *j, struct threads *pool, real *y)
{
    const struct rwkv7_shape *const s = j->s;
    const struct rwkv7_tape *const t = j->tape;
    struct trunk job = *j;
    layernorm_forward(pool, t->gated, t->xhat, t->rstd, j->work->o,
                      j->theta + s->at[RWKV7_LN_G], j->theta + s->at[RWKV7_LN_B], s->R,
                      s->C, RWKV7_LN_EPS);
    threads_run(pool, threads_blocks(s->R, ROWS), gate_rows, &job);
    linear_forward(pool, t->out_slope, s->E, t->gated, s->C,
                   j->theta + s->at[RWKV7_WO_W1], j->theta + s->at[RWKV7_WO_B1], s->R,
                   s->C, s->E);
    gelu_forward(pool, t->out_active, s->E, t->out_slope, s->E, s->R, s->E);
    linear_forward(pool, y, s->C, t->out_active, s->E, j->theta + s->at[RWKV7_WO_W2],
                   j->theta + s->at[RWKV7_WO_B2], s->R, s->E, s->C);
}

/* gated = ln g: d_gated becomes dln, and the gate's map gets dg g (1 - g). */
static void gate_backward_rows(void *ctx, size_t block)
{
    const struct trunk *const j = ctx;
    const struct rwkv7_shape *const s = j->s;
    const real *const ln_g = j->theta + s->at[RWKV7_LN_G];
    const real *const ln_b = j->theta + s->at[RWKV7_LN_B];
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
static void output_backward(const struct trunk *j, struct threads *pool)
{
    const struct rwkv7_shape *const s = j->s;
    const struct rwkv7_tape *const t = j->tape;
    const struct rwkv7_work *const w = j->work;
    struct trunk job = *j;
    linear_backward_weights(pool, j->dtheta + s->at[RWKV7_WO_W2],
                            j->dtheta + s->at[RWKV7_WO_B2], w->d_out, s->C, t->out_active,
                            s->E, s->R, s->E, s->C);
    memset(w->d_out_active, 0, s->R * s->E * sizeof *w->d_out_active);
    linear_backward_input(pool, w->d_out_active, s->E, w->d_out, s->C,
                          j->theta + s->at[RWKV7_WO_W2], s->R, s->E, s->C);
    gelu_backward(pool, w->d_out_active, s->E, t->out_slope, s->E, s->R, s->E);
    linear_backward_weights(pool, j->dtheta + s->at[RWKV7_WO_W1],
                            j->dtheta + s->at[RWKV7_WO_B1], w->d_out_active, s->E,
                            t->gated, s->C, s->R, s->C, s->E);
    memset(w->d_gated, 0, s->R * s->C * sizeof *w->d_gated);
    linear_backward_input(pool, w->d_gated, s->C, w->d_out_active, s->E,
                          j->theta + s->at[RWKV7_WO_W1], s->R, s->C, s->E);
    threads_run(pool, threads_blocks(s->R, ROWS), gate_backward_rows, &job);
    memset(w->d_o, 0, s->R * s->C * sizeof *w->d_o);
    layernorm_backward(pool, w->d_o, j->dtheta + s->at[RWKV7_LN_G],
                       j->dtheta + s->at[RWKV7_LN_B], w->d_gated, t->xhat, t->rstd,
                       j->theta + s->at[RWKV7_LN_G], s->R, s->C);
}

/* ---- the whole --------------------------------------------------------------------- */

static void rwkv7_forward(const struct mixer_call *call, const real *theta, const real *x,
                          real *y, void *tape, void *work)
{
    const struct rwkv7_shape s = rwkv7_shape(call->config, call->B, call->T);
    const struct trunk j = {.s = &s, .theta = theta, .tape = tape, .work = work};
    first_forward(&j, call->pool, x);
    second_forward(&j, call->pool);
    rwkv7_heads_forward(&s, call->pool, theta, tape, work);
    output_forward(&j, call->pool, y);
    dropout(call->pool, y, s.R * s.C, call->dropout);
}

static void rwkv7_backward(const struct mixer_call *call, const real *theta,
                           const real *x, const real *dy, real *dx, real *dtheta,
                           void *tape, void *work)
{
    const struct rwkv7_shape s = rwkv7_shape(call->config, call->B, call->T);
    const struct trunk j = {
        .s = &s, .theta = theta, .dtheta = dtheta, .tape = tape, .work = work};
    real *const d_out = j.work->d_out;
    memcpy(d_out, dy, s.R * s.C * sizeof *d_out);
    dropout(call->pool, d_out, s.R * s.C, call->dropout);
    output_backward(&j, call->pool);
    rwkv7_heads_backward(&s, call->pool, theta, dtheta, tape, work);
    second_backward(&j, call->pool);
    first_backward(&j, call->pool, x, dx);
}

static unsigned rwkv7_flags(const struct mixer_config *config)
{
    (void)config;
    return MIXER_CAUSAL | MIXER_STEP;
}

const struct mixer rwkv7_mixer = {
    .name = "rwkv7",
    .flags = rwkv7_flags,
    .check = rwkv7_check,
    .params = rwkv7_params,
    .size = rwkv7_size,
    .tape = rwkv7_tape_carve,
    .work = rwkv7_work_carve,
    .forward = rwkv7_forward,
    .backward = rwkv7_backward,
    .state_size = rwkv7_state_size,
    .step_work_size = rwkv7_step_work_size,
    .step = rwkv7_step,
};
