/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/elementary.h"
#include "model/linear.h"
#include "model/sequence.h"
#include "model/threads.h"
#include "model/trunk.h"
#include "model/vector.h"

#include <string.h>

/*
 * Plain, or with MIXER_CONV that of "Gated Delta Networks: Improving Mamba2 with Delta
 * Rule": no biases; after each of q, k, v a causal convolution of width 4 by channel and
 * SiLU; before the output map RMSNorm by head, times silu(Wg x).
 */
enum { ROWS = 32, TAPS = 4 };
enum { Q_, K_, V_, G_, MAPS };
enum { NONE, C_, N_, TAPS_, DIMS };

static const real RMS_EPS = REAL_C(1e-5);

static const struct tensor_row plain[] = {
    {"q.w", C_, C_, C_, INIT_UNIFORM, 0}, {"q.b", C_, NONE, C_, INIT_UNIFORM, 0},
    {"k.w", C_, C_, C_, INIT_UNIFORM, 0}, {"k.b", C_, NONE, C_, INIT_UNIFORM, 0},
    {"v.w", C_, C_, C_, INIT_UNIFORM, 0}, {"v.b", C_, NONE, C_, INIT_UNIFORM, 0},
    {"o.w", C_, C_, C_, INIT_UNIFORM, 0}, {"o.b", C_, NONE, C_, INIT_UNIFORM, 0},
};
static const struct tensor_row gated[] = {
    {"q.w", C_, C_, C_, INIT_UNIFORM, 0},
    {"q.conv", C_, TAPS_, TAPS_, INIT_UNIFORM, 0},
    {"k.w", C_, C_, C_, INIT_UNIFORM, 0},
    {"k.conv", C_, TAPS_, TAPS_, INIT_UNIFORM, 0},
    {"v.w", C_, C_, C_, INIT_UNIFORM, 0},
    {"v.conv", C_, TAPS_, TAPS_, INIT_UNIFORM, 0},
    {"o.w", C_, C_, C_, INIT_UNIFORM, 0},
    {"g.w", C_, C_, C_, INIT_UNIFORM, 0},
    {"norm", N_, NONE, NONE, INIT_CONSTANT, 1},
};
enum { O_W = 6, O_B = 7, G_W = 7, NORM = 8, TENSORS_MAX = 9 };

struct shape {
    size_t B, T, R, C, H, N;
    bool gated;
    size_t at[TENSORS_MAX], size;
};

struct tape {
    real *map[MAPS];  /* (R,C) q, k, v, and W_g x */
    real *raw[MAPS];  /* before the convolution; gated only, as all below */
    real *bent[MAPS]; /* after it, before SiLU */
    real *rstd;       /* (R,H) of the norm */
    real *o, *out;    /* of the core; normalised and gated */
    void *sequence;
};

struct work {
    real *d_y, *d_out, *d_o, *d_map[MAPS], *d_raw; /* (R,C), training only */
    void *sequence;
};

/* ---- shape and memory -------------------------------------------------------------- */

static bool is_gated(const struct mixer_config *config)
{
    return config->mixer->flags(config) & MIXER_CONV;
}

static void dims_of(const struct mixer_config *config, size_t dims[DIMS])
{
    dims[NONE] = 1;
    dims[C_] = config->C;
    dims[N_] = config->C / config->H;
    dims[TAPS_] = TAPS;
}

static const struct tensor_row *rows_of(const struct mixer_config *config, size_t *count)
{
    *count =
        is_gated(config) ? sizeof gated / sizeof *gated : sizeof plain / sizeof *plain;
    return is_gated(config) ? gated : plain;
}

static struct shape shape_of(const struct mixer_config *config, size_t B, size_t T)
{
    size_t dims[DIMS], count;
    const struct tensor_row *const rows = rows_of(config, &count);
    struct shape s = {.B = B,
                      .T = T,
                      .R = B * T,
                      .C = config->C,
                      .H = config->H,
                      .N = config->C / config->H,
                      .gated = is_gated(config)};
    dims_of(config, dims);
    s.size = tensors_layout(rows, count, dims, s.at);
    return s;
}

static void native_params(const struct mixer_config *config, struct tensors *tensors,
                          const char *prefix)
{
    size_t dims[DIMS], count;
    const struct tensor_row *const rows = rows_of(config, &count);
    dims_of(config, dims);
    tensors_add(tensors, prefix, rows, count, dims);
}

static size_t native_size(const struct mixer_config *config)
{
    return shape_of(config, 1, 1).size;
}

static void *native_tape(const struct mixer_config *config, size_t B, size_t T,
                         struct arena *arena)
{
    const size_t reals = B * T * config->C;
    struct tape t = {.o = arena_reals(arena, reals),
                     .sequence = sequence_tape(config, B, T, arena)};
    for (size_t i = 0; i < (is_gated(config) ? MAPS : MAPS - 1); i++)
        t.map[i] = arena_reals(arena, reals);
    t.out = t.o;
    if (is_gated(config)) {
        for (size_t i = 0; i < MAPS - 1; i++) {
            t.raw[i] = arena_reals(arena, reals);
            t.bent[i] = arena_reals(arena, reals);
        }
        t.rstd = arena_reals(arena, B * T * config->H);
        t.out = arena_reals(arena, reals);
    }
    return core_keep(arena, &t, sizeof t);
}

static void *native_work(const struct mixer_config *config, size_t B, size_t T,
                         bool training, struct arena *arena)
{
    struct work w = {.sequence = sequence_work(config, B, T, training, arena)};
    const size_t reals = B * T * config->C;
    if (training) {
        real **const by_row[] = {&w.d_y, &w.d_out, &w.d_o, &w.d_raw};
        for (size_t i = 0; i < sizeof by_row / sizeof *by_row; i++)
            *by_row[i] = arena_reals(arena, reals);
        for (size_t i = 0; i < MAPS; i++)
            w.d_map[i] = arena_reals(arena, reals);
    }
    return core_keep(arena, &w, sizeof w);
}

/* ---- convolution and SiLU ---------------------------------------------------------- */

struct job {
    const struct shape *s;
    const real *theta, *w; /* w (C,TAPS) of this map */
    real *dtheta, *dw;
    const struct tape *tape;
    const struct work *work;
    size_t map;
};

static real silu(real x)
{
    return x * elementary_sigmoid(x);
}

static real silu_slope(real x)
{
    const real s = elementary_sigmoid(x);
    return s * (1 + x * (1 - s));
}

/* bent[t] = sum over j of w[j] raw[t - (TAPS-1) + j] */
static void conv_sample(void *ctx, size_t b)
{
    const struct job *const j = ctx;
    const size_t T = j->s->T, C = j->s->C;
    const real *const raw = j->tape->raw[j->map] + b * T * C;
    real *const bent = j->tape->bent[j->map] + b * T * C;
    real *const out = j->tape->map[j->map] + b * T * C;
    for (size_t t = 0; t < T; t++)
        for (size_t c = 0; c < C; c++) {
            real sum = 0;
            for (size_t tap = 0; tap < TAPS; tap++)
                if (t + tap + 1 >= TAPS)
                    sum += j->w[c * TAPS + tap] * raw[(t + tap + 1 - TAPS) * C + c];
            bent[t * C + c] = sum;
            out[t * C + c] = silu(sum);
        }
}

/* d_map becomes the gradient at bent; d_raw is set. */
static void conv_backward_sample(void *ctx, size_t b)
{
    const struct job *const j = ctx;
    const size_t T = j->s->T, C = j->s->C;
    const real *const bent = j->tape->bent[j->map] + b * T * C;
    real *const d = j->work->d_map[j->map] + b * T * C;
    real *const d_raw = j->work->d_raw + b * T * C;
    memset(d_raw, 0, T * C * sizeof *d_raw);
    for (size_t t = 0; t < T; t++)
        for (size_t c = 0; c < C; c++) {
            d[t * C + c] *= silu_slope(bent[t * C + c]);
            for (size_t tap = 0; tap < TAPS; tap++)
                if (t + tap + 1 >= TAPS)
                    d_raw[(t + tap + 1 - TAPS) * C + c] +=
                        j->w[c * TAPS + tap] * d[t * C + c];
        }
}

/* By channel, so that no sum is split. */
static void conv_weights(void *ctx, size_t block)
{
    const struct job *const j = ctx;
    const size_t T = j->s->T, C = j->s->C;
    for (size_t c = block * ROWS; c < threads_block_end(block, C, ROWS); c++)
        for (size_t row = 0; row < j->s->R; row++)
            for (size_t tap = 0; tap < TAPS; tap++)
                if (row % T + tap + 1 >= TAPS)
                    j->dw[c * TAPS + tap] +=
                        j->work->d_map[j->map][row * C + c] *
                        j->tape->raw[j->map][(row + tap + 1 - TAPS) * C + c];
}

/* ---- the output's norm and gate ---------------------------------------------------- */

static void norm_rows(void *ctx, size_t block)
{
    const struct job *const j = ctx;
    const size_t C = j->s->C, N = j->s->N;
    const real *const weight = j->theta + j->s->at[NORM];
    const size_t end = threads_block_end(block, j->s->R, ROWS) * C;
    for (size_t at = block * ROWS * C; at < end; at += N) {
        const real *const o = j->tape->o + at, *const g = j->tape->map[G_] + at;
        const real rstd = 1 / sqrt(vector_dot(o, o, N) / (real)N + RMS_EPS);
        j->tape->rstd[at / N] = rstd;
        for (size_t n = 0; n < N; n++)
            j->tape->out[at + n] = o[n] * rstd * weight[n] * silu(g[n]);
    }
}

static void norm_backward_rows(void *ctx, size_t block)
{
    const struct job *const j = ctx;
    const size_t C = j->s->C, N = j->s->N;
    const real *const weight = j->theta + j->s->at[NORM];
    const size_t end = threads_block_end(block, j->s->R, ROWS) * C;
    for (size_t at = block * ROWS * C; at < end; at += N) {
        const real *const o = j->tape->o + at, *const g = j->tape->map[G_] + at;
        const real *const d = j->work->d_out + at, rstd = j->tape->rstd[at / N];
        real along = 0;
        for (size_t n = 0; n < N; n++) {
            const real hat = o[n] * rstd, dhat = d[n] * weight[n] * silu(g[n]);
            along += dhat * hat;
            j->work->d_map[G_][at + n] = d[n] * hat * weight[n] * silu_slope(g[n]);
            j->work->d_o[at + n] = dhat;
        }
        for (size_t n = 0; n < N; n++)
            j->work->d_o[at + n] =
                rstd * (j->work->d_o[at + n] - o[n] * rstd * along / (real)N);
    }
}

/* A short sum over all rows, in order. */
static void norm_weight(const struct job *j)
{
    real *const dw = j->dtheta + j->s->at[NORM];
    for (size_t at = 0; at < j->s->R * j->s->C; at++)
        dw[at % j->s->N] += j->work->d_out[at] * j->tape->o[at] *
                            j->tape->rstd[at / j->s->N] * silu(j->tape->map[G_][at]);
}

/* ---- the whole --------------------------------------------------------------------- */

static void project(const struct mixer_call *call, struct job *j, const real *x)
{
    const struct shape *const s = j->s;
    for (size_t i = Q_; i <= V_; i++) {
        const real *const w = j->theta + s->at[2 * i];
        const real *const second = j->theta + s->at[2 * i + 1];
        linear_forward(call->pool, s->gated ? j->tape->raw[i] : j->tape->map[i], s->C, x,
                       s->C, w, s->gated ? NULL : second, s->R, s->C, s->C);
        j->w = second;
        j->map = i;
        if (s->gated)
            threads_run(call->pool, s->B, conv_sample, j);
    }
    if (s->gated)
        linear_forward(call->pool, j->tape->map[G_], s->C, x, s->C, j->theta + s->at[G_W],
                       NULL, s->R, s->C, s->C);
}

static void project_backward(const struct mixer_call *call, struct job *j, const real *x,
                             real *dx)
{
    const struct shape *const s = j->s;
    for (size_t i = Q_; i <= V_; i++) {
        const size_t w = s->at[2 * i], second = s->at[2 * i + 1];
        const real *d = j->work->d_map[i];
        j->w = j->theta + second;
        j->dw = j->dtheta + second;
        j->map = i;
        if (s->gated) {
            threads_run(call->pool, s->B, conv_backward_sample, j);
            threads_run(call->pool, threads_blocks(s->C, ROWS), conv_weights, j);
            d = j->work->d_raw;
        }
        linear_backward_weights(call->pool, j->dtheta + w,
                                s->gated ? NULL : j->dtheta + second, d, s->C, x, s->C,
                                s->R, s->C, s->C);
        linear_backward_input(call->pool, dx, s->C, d, s->C, j->theta + w, s->R, s->C,
                              s->C);
    }
    if (!s->gated)
        return;
    linear_backward_weights(call->pool, j->dtheta + s->at[G_W], NULL, j->work->d_map[G_],
                            s->C, x, s->C, s->R, s->C, s->C);
    linear_backward_input(call->pool, dx, s->C, j->work->d_map[G_], s->C,
                          j->theta + s->at[G_W], s->R, s->C, s->C);
}

static struct core_io core_io_of(const struct job *j, const real *x)
{
    return (struct core_io){.x = x,
                            .q = j->tape->map[Q_],
                            .k = j->tape->map[K_],
                            .v = j->tape->map[V_],
                            .o = j->tape->o};
}

static void native_forward(const struct mixer_call *call, const real *theta,
                           const real *x, real *y, void *tape, void *work)
{
    const struct shape s = shape_of(call->config, call->B, call->T);
    struct job j = {.s = &s, .theta = theta, .tape = tape, .work = work};
    project(call, &j, x);
    const struct core_io io = core_io_of(&j, x);
    sequence_forward(call, theta + s.size, &io, j.tape->sequence, j.work->sequence);
    if (s.gated)
        threads_run(call->pool, threads_blocks(s.R, ROWS), norm_rows, &j);
    linear_forward(call->pool, y, s.C, j.tape->out, s.C, theta + s.at[O_W],
                   s.gated ? NULL : theta + s.at[O_B], s.R, s.C, s.C);
    dropout(call->pool, y, s.R * s.C, call->dropout);
}

static void native_backward(const struct mixer_call *call, const real *theta,
                            const real *x, const real *dy, real *dx, real *dtheta,
                            void *tape, void *work)
{
    const struct shape s = shape_of(call->config, call->B, call->T);
    struct job j = {
        .s = &s, .theta = theta, .dtheta = dtheta, .tape = tape, .work = work};
    const struct work *const w = work;
    const size_t bytes = s.R * s.C * sizeof(real);
    memcpy(w->d_y, dy, bytes);
    dropout(call->pool, w->d_y, s.R * s.C, call->dropout);
    linear_backward_weights(call->pool, dtheta + s.at[O_W],
                            s.gated ? NULL : dtheta + s.at[O_B], w->d_y, s.C, j.tape->out,
                            s.C, s.R, s.C, s.C);
    real *const d_out = s.gated ? w->d_out : w->d_o;
    memset(d_out, 0, bytes);
    linear_backward_input(call->pool, d_out, s.C, w->d_y, s.C, theta + s.at[O_W], s.R,
                          s.C, s.C);
    if (s.gated) {
        threads_run(call->pool, threads_blocks(s.R, ROWS), norm_backward_rows, &j);
        norm_weight(&j);
    }
    const struct core_io io = core_io_of(&j, x);
    const struct core_grad grad = {.d_o = w->d_o,
                                   .dx = dx,
                                   .dq = w->d_map[Q_],
                                   .dk = w->d_map[K_],
                                   .dv = w->d_map[V_]};
    sequence_backward(call, theta + s.size, dtheta + s.size, &io, &grad, j.tape->sequence,
                      w->sequence);
    project_backward(call, &j, x, dx);
}

/* ---- one token at a time ----------------------------------------------------------- */

/* The last TAPS - 1 values before each convolution, oldest first. */
static size_t native_state_size(const struct mixer_config *config)
{
    return is_gated(config) ? 3 * (TAPS - 1) * config->C : 0;
}

enum { VECTORS = MAPS + 1 };

static size_t native_step_work_size(const struct mixer_config *config)
{
    return VECTORS * config->C;
}

static void conv_step(real *x, const real *w, real *tail, size_t C)
{
    for (size_t c = 0; c < C; c++) {
        real *const past = tail + c * (TAPS - 1);
        real sum = w[c * TAPS + TAPS - 1] * x[c];
        for (size_t tap = 0; tap < TAPS - 1; tap++)
            sum += w[c * TAPS + tap] * past[tap];
        memmove(past, past + 1, (TAPS - 2) * sizeof *past);
        past[TAPS - 2] = x[c];
        x[c] = silu(sum);
    }
}

static void matvec(real *y, const real *w, const real *x, const real *b, size_t C)
{
    for (size_t c = 0; c < C; c++)
        y[c] = vector_dot(w + c * C, x, C) + (b ? b[c] : 0);
}

static void native_step(const struct mixer_config *config, const real *theta,
                        const real *x, real *y, real *state, real *work)
{
    const struct shape s = shape_of(config, 1, 1);
    const size_t C = s.C, N = s.N;
    real *map[MAPS], *const o = work + MAPS * C;
    for (size_t i = 0; i < MAPS; i++)
        map[i] = work + i * C;
    for (size_t i = Q_; i <= V_; i++) {
        const real *const second = theta + s.at[2 * i + 1];
        matvec(map[i], theta + s.at[2 * i], x, s.gated ? NULL : second, C);
        if (s.gated)
            conv_step(map[i], second, state + i * (TAPS - 1) * C, C);
    }
    const struct core_token token = {
        .x = x, .q = map[Q_], .k = map[K_], .v = map[V_], .o = o};
    core_step(config, theta + s.size, &token, state + native_state_size(config),
              work + VECTORS * C);
    if (s.gated) {
        matvec(map[G_], theta + s.at[G_W], x, NULL, C);
        for (size_t at = 0; at < C; at += N) {
            const real rstd = 1 / sqrt(vector_dot(o + at, o + at, N) / (real)N + RMS_EPS);
            for (size_t n = 0; n < N; n++)
                o[at + n] *= rstd * theta[s.at[NORM] + n] * silu(map[G_][at + n]);
        }
    }
    matvec(y, theta + s.at[O_W], o, s.gated ? NULL : theta + s.at[O_B], C);
}

const struct trunk trunk_native = {
    .params = native_params,
    .size = native_size,
    .tape = native_tape,
    .work = native_work,
    .forward = native_forward,
    .backward = native_backward,
    .state_size = native_state_size,
    .step_work_size = native_step_work_size,
    .step = native_step,
};
