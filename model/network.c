/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/network.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/cycle.h"
#include "model/linear.h"
#include "model/matrix.h"
#include "model/network_inner.h"
#include "model/revin.h"
#include "model/threads.h"

/* Purposes of random streams (base/rng.h): a branch's places, then the head's. */
enum {
    PURPOSE_INIT = 0x100,
    PURPOSE_DROPOUT = 0x1000,
    PURPOSE_HEAD = PURPOSE_DROPOUT + BRANCHES * BRANCH_PLACES,
};

enum { NONE, SERIES, LIFT, SEASON, LOOKBACK, HORIZON, DIMS };

static const struct tensor_row table[TENSORS] = {
    [GAIN] = {"revin.gain", SERIES, NONE, NONE, INIT_CONSTANT, 1},
    [BIAS] = {"revin.bias", SERIES, NONE, NONE, INIT_CONSTANT, 0},
    [E] = {"lift", LIFT, NONE, NONE, INIT_NORMAL, 0.1},
};

/* Behind all others and there only where asked for: no place or draw of theirs moves. */
static const struct tensor_row cycle_table = {"cycle", SEASON,        SERIES,
                                              NONE,    INIT_CONSTANT, 0};

static const struct tensor_row skip_table[SKIP_TENSORS] = {
    [SKIP_W] = {"skip.w", HORIZON, LOOKBACK, NONE, INIT_CONSTANT, 0},
    [SKIP_B] = {"skip.b", HORIZON, NONE, NONE, INIT_CONSTANT, 0},
};

/* ---- configuration ----------------------------------------------------------------- */

static size_t rank_of(const struct network_config *c)
{
    if (c->rank)
        return c->rank;
    return c->C / 8 > 64 ? c->C / 8 : 64;
}

/* Patches of a window, or the window as one. */
static size_t pieces_of(const struct network_config *c)
{
    return c->axis == AXIS_PATCH ? c->L / c->patch : 1;
}

static struct mixer_config mix_of(const struct network_config *c)
{
    return (struct mixer_config){.mixer = c->mixer,
                                 .trunk = c->trunk,
                                 .dir = c->dir,
                                 .C = c->C,
                                 .H = c->H,
                                 .rank = rank_of(c),
                                 .places = c->axis == AXIS_PATCH ? pieces_of(c) : 0,
                                 .causal = c->causal,
                                 .options = c->options,
                                 .order = c->order,
                                 .near = c->near,
                                 .tap = c->tap};
}

/* Tokens of one series. */
static size_t tokens_of(const struct network_config *c)
{
    return c->axis == AXIS_EMBED ? c->D : pieces_of(c);
}

static struct gate_config gate_of(const struct network_config *c)
{
    struct gate_config gate = c->gate;
    gate.L = c->L;
    gate.D = c->D;
    gate.F = fft_bins(c->L);
    return gate;
}

/* Every layer's mixer must go from token to token, each as it was before the next. */
static int check_stream(const struct network_config *c, struct err *err)
{
    enum { NEEDED = MIXER_CAUSAL | MIXER_STEP };
    if (c->axis != AXIS_PATCH || c->L % 2 || c->L < 2 * c->patch || c->season)
        return err_set(
            err, ERR_INVALID,
            "stream: needs axis = patch, no learnt cycle, and an even lookback "
            "of at least two patches, got %zu with patches of %zu",
            c->L, c->patch);
    struct mixer_config mix = mix_of(c);
    for (mix.layer = 0; mix.layer < c->layers; mix.layer++)
        if ((mixer_flags(&mix) & NEEDED) != NEEDED)
            return err_set(err, ERR_INVALID,
                           "stream: needs dir = fwd and rwkv7, rwkv7x, gdn_swa or h3, or "
                           "causal = true and linear, inline, luna, or taylor2 without "
                           "taylor2_pos");
    return 0;
}

int network_check(const struct network_config *c, size_t max_batch, struct err *err)
{
    const struct {
        const char *name;
        size_t value, least, most;
    } rules[] = {
        {"lookback", c->L, 2, 8192},    {"series", c->V, 1, 4096},
        {"horizon", c->P, 1, 2048},     {"width", c->C, 1, 4096},
        {"ff", c->Fd, 2, 8192},         {"heads", c->H, 1, 256},
        {"lift", c->D, 1, 64},          {"layers", c->layers, 1, BRANCH_LAYERS_MAX},
        {"batch", max_batch, 1, 65536}, {"season", c->season, 0, 8192},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].value < rules[i].least || rules[i].value > rules[i].most)
            return err_set(err, ERR_INVALID, "%s: must be %zu..%zu, got %zu",
                           rules[i].name, rules[i].least, rules[i].most, rules[i].value);
    if (c->C % c->H)
        return err_set(err, ERR_INVALID, "heads: must divide the width %zu, got %zu",
                       c->C, c->H);
    if (!(c->dropout >= 0 && c->dropout < 1))
        return err_set(err, ERR_INVALID, "dropout: must be in [0, 1), got %g",
                       c->dropout);
    if (c->axis == AXIS_PATCH && (c->patch < 1 || c->patch > c->L || c->L % c->patch))
        return err_set(err, ERR_INVALID, "patch: must divide the lookback %zu, got %zu",
                       c->L, c->patch);
    if (c->axis == AXIS_PATCH && c->gate.kind)
        return err_set(err, ERR_INVALID,
                       "gate: must be none where axis is patch: it looks at the spectrum "
                       "of the whole window");
    const struct gate_config gate = gate_of(c);
    if (gate_check(&gate, err))
        return -1;
    const struct mixer_config mix = mix_of(c);
    return mixer_check(&mix, err) || (c->stream && check_stream(c, err)) ? -1 : 0;
}

static void derive(struct network *n)
{
    const struct network_config *const c = &n->config;
    n->branch_config = (struct branch_config){
        .encoder = {.mix = mix_of(c), .Fd = c->Fd},
        .layers = c->layers,
        .D = c->D,
        .F = n->lift.F,
        .embed = c->axis == AXIS_EMBED,
    };
    n->fold_shape = (struct fold_shape){pieces_of(c), tokens_of(c)};
    n->head_config = (struct head_config){
        .LD = c->L * c->D, .Fd = c->Fd, .P = c->P, .out_dropout = c->out_dropout};
    n->one = 1;
    n->raster = (struct raster){.L = c->L, .patch = c->patch, .D = c->D, .V = c->V};
    n->samples = c->axis == AXIS_VARIATE ? 1 : c->V;
    n->tokens = c->axis == AXIS_VARIATE ? c->V : tokens_of(c);

    const size_t dims[DIMS] = {[NONE] = 1,           [SERIES] = c->V,   [LIFT] = c->D,
                               [SEASON] = c->season, [LOOKBACK] = c->L, [HORIZON] = c->P};
    tensors_layout(table, TENSORS, dims, n->at);
    tensors_add(&n->tensors, "", table, TENSORS, dims);
    n->tensors.list[E].used = c->D > 1;
    n->at_branch[REAL_BRANCH] = n->tensors.size;
    branch_params(&n->branch_config, &n->tensors, "real");
    n->at_branch[IMAG_BRANCH] = n->tensors.size;
    branch_params(&n->branch_config, &n->tensors, "imag");
    n->at_head = n->tensors.size;
    head_params(&n->head_config, &n->tensors);
    n->at_cycle = n->tensors.size;
    if (c->season)
        tensors_add(&n->tensors, "", &cycle_table, 1, dims);
    tensors_layout(skip_table, SKIP_TENSORS, dims, n->at_skip);
    for (size_t i = 0; i < SKIP_TENSORS; i++)
        n->at_skip[i] += n->tensors.size;
    if (c->skip)
        tensors_add(&n->tensors, "", skip_table, SKIP_TENSORS, dims);
    n->at_gate = n->tensors.size;
    if (c->gate.kind)
        gate_params(&c->gate, &n->tensors);
}

/* ---- memory ------------------------------------------------------------------------ */

static void carve(struct network *n, struct arena *arena)
{
    const struct network_config *const c = &n->config;
    const size_t B = n->max_batch, rows = B * c->V, R = rows;
    /* Spectra: one of each patch of each series. */
    const size_t F = n->lift.F, spectra = rows * pieces_of(c), RS = spectra;
    const size_t DF = rows * tokens_of(c) * branch_out(&n->branch_config);
    n->level = c->season ? arena_reals(arena, rows * c->L) : NULL;
    n->z = arena_reals(arena, R * c->L);
    n->mean = arena_reals(arena, R);
    n->scale = arena_reals(arena, R);
    n->h = arena_reals(arena, R * c->L * c->D);
    n->out = arena_reals(arena, R * c->P);
    n->straight = c->skip ? arena_reals(arena, R * c->P) : NULL;
    lift_carve(&n->lift, spectra, n->training, arena);
    n->encoder_work = encoder_work(&n->branch_config.encoder, B * n->samples, n->tokens,
                                   n->training, arena);
    for (size_t i = 0; i < BRANCHES; i++) {
        n->spectrum[i] = arena_reals(arena, RS * F);
        n->branch_out[i] = arena_reals(arena, DF);
        n->branch[i] = branch_tape(&n->branch_config, B * n->samples, n->tokens,
                                   n->training, n->encoder_work, arena);
    }
    n->head = head_tape(&n->head_config, rows, n->training, arena);
    if (c->gate.kind) {
        n->gate = gate_tape(&c->gate, rows, n->training, arena);
        for (size_t i = 0; i < BRANCHES; i++)
            n->gated[i] = arena_reals(arena, DF);
    }
    if (c->stream) {
        n->tokens_in = arena_reals(arena, R * c->L);
        n->tokens_out = arena_reals(arena, R * c->L * c->D);
        n->step_work = n->training ? NULL : step_work(n, arena);
    }
    if (!n->training) {
        n->beside = arena_reals(
            arena, R * fold_width(&n->branch_config, &n->lift, n->fold_shape));
        return;
    }
    n->d_level = c->season ? arena_reals(arena, rows * c->L) : NULL;
    n->d_z = arena_reals(arena, R * c->L);
    n->d_h = arena_reals(arena, R * c->L * c->D);
    n->d_out = arena_reals(arena, R * c->P);
    for (size_t i = 0; i < BRANCHES; i++) {
        n->d_spectrum[i] = arena_reals(arena, RS * F);
        n->d_branch_out[i] = arena_reals(arena, DF);
    }
}

/* All but its memory, which *arena has measured. */
static struct network *shape_new(const struct network_config *config, size_t max_batch,
                                 bool training, struct threads *pool, struct arena *arena,
                                 struct err *err)
{
    matrix_start();
    if (network_check(config, max_batch, err))
        return NULL;
    const size_t L = config->L / pieces_of(config);
    const struct fft_plan *const plan = fft_plan(L, err);
    if (!plan)
        return NULL;
    struct network *const n = mem_new(1, sizeof *n);
    n->config = *config;
    n->config.gate = gate_of(config);
    n->max_batch = max_batch;
    n->training = training;
    n->pool = pool;
    n->lift = (struct lift){.plan = plan, .L = L, .F = fft_bins(L), .D = config->D};
    derive(n);
    *arena = arena_measure();
    carve(n, arena);
    return n;
}

struct network *network_new(const struct network_config *config, size_t max_batch,
                            bool training, struct threads *pool, struct err *err)
{
    struct arena arena;
    struct network *const n = shape_new(config, max_batch, training, pool, &arena, err);
    if (!n)
        return NULL;
    if (arena_open(&arena, err)) {
        network_free(n);
        return NULL;
    }
    carve(n, &arena);
    n->arena = arena;
    return n;
}

size_t network_bytes(const struct network_config *config, size_t max_batch, bool training,
                     struct err *err)
{
    struct arena arena;
    struct network *const n = shape_new(config, max_batch, training, NULL, &arena, err);
    network_free(n);
    return n ? arena.used : 0;
}

void network_free(struct network *n)
{
    if (!n)
        return;
    arena_close(&n->arena);
    tensors_fini(&n->tensors);
    free(n);
}

/* ---- parameters -------------------------------------------------------------------- */

const struct network_config *network_config(const struct network *n)
{
    return &n->config;
}

size_t network_tensors(const struct network *n)
{
    return n->tensors.count;
}

const struct tensor *network_tensor(const struct network *n, size_t index)
{
    assert(index < n->tensors.count);
    return &n->tensors.list[index];
}

size_t network_size(const struct network *n)
{
    return n->tensors.size;
}

size_t network_params(const struct network *n)
{
    return n->tensors.size;
}

void network_clamp(const struct network *n, real *theta)
{
    if (n->config.gate.kind)
        gate_clamp(&n->config.gate, theta + n->at_gate);
}

/* Log-uniform over two decades from least. */
static double step_size(double least, double share)
{
    return fmax(least * pow(100, share), 1e-4);
}

static double initial(const struct tensor *t, struct rng_stream stream, size_t i)
{
    const size_t size = t->shape[0] * t->shape[1];
    const double value = t->init_value;
    double step;
    switch (t->init) {
    case INIT_NORMAL:
        return value * rng_normal(stream, i);
    case INIT_UNIFORM:
        return value * (2 * rng_uniform(stream, i) - 1);
    case INIT_SPREAD:
        return value + (size > 1 ? 6 * (double)i / (double)(size - 1) : 0);
    case INIT_LOG:
        return log(1e-3 + (value - 1e-3) * rng_uniform(stream, i));
    case INIT_LOG_STEP:
        return log(step_size(value, rng_uniform(stream, i)));
    case INIT_RAW_STEP:
        step = step_size(value, rng_uniform(stream, i));
        return step + log(-expm1(-step));
    case INIT_HARMONIC:
        return M_PI * (double)(i % (size_t)value);
    case INIT_CONSTANT:
        break;
    }
    return value;
}

void network_init(const struct network *n, real *theta, uint64_t seed)
{
    for (size_t k = 0; k < n->tensors.count; k++) {
        const struct tensor *const t = &n->tensors.list[k];
        const struct rng_stream stream = {
            .seed = seed, .purpose = PURPOSE_INIT, .step = (uint32_t)k};
        for (size_t i = 0; i < t->shape[0] * t->shape[1]; i++)
            theta[t->offset + i] = (real)initial(t, stream, i);
    }
}

/* ---- forward ----------------------------------------------------------------------- */

static struct branch_call branch_call(const struct network *n, size_t i)
{
    const struct dropout_step *const step = &n->step;
    return (struct branch_call){
        .config = &n->branch_config,
        .B = n->B * n->samples,
        .T = n->tokens,
        .pool = n->pool,
        .stream = {.seed = step->seed,
                   .purpose = (uint32_t)(PURPOSE_DROPOUT + i * BRANCH_PLACES),
                   .step = step->step},
        .p = n->p,
    };
}

static struct head_call head_call(const struct network *n)
{
    return (struct head_call){
        .config = &n->head_config,
        .R = n->B * n->config.V,
        .pool = n->pool,
        .stream = {.seed = n->step.seed, .purpose = PURPOSE_HEAD, .step = n->step.step},
        .p = n->p,
    };
}

static struct cycle cycle_of(const struct network *n)
{
    const struct network_config *const c = &n->config;
    return (struct cycle){
        .phase = n->phase, .B = n->B, .L = c->L, .P = c->P, .V = c->V, .S = c->season};
}

const real *network_lift(const struct network *n, const real *theta)
{
    return n->config.D > 1 ? theta + n->at[E] : &n->one;
}

static void add_skip(struct network *n, const real *theta)
{
    const struct network_config *const c = &n->config;
    const size_t R = n->B * c->V;
    linear_forward(n->pool, n->straight, c->P, n->z, c->L, theta + n->at_skip[SKIP_W],
                   theta + n->at_skip[SKIP_B], R, c->L, c->P);
    for (size_t i = 0; i < R * c->P; i++)
        n->out[i] += n->straight[i];
}

static struct gate_call gate_call(const struct network *n, const real *theta)
{
    return (struct gate_call){.config = &n->config.gate,
                              .R = n->B * n->config.V,
                              .pool = n->pool,
                              .e = network_lift(n, theta),
                              .z = n->z,
                              .re = n->spectrum[REAL_BRANCH],
                              .im = n->spectrum[IMAG_BRANCH],
                              .y_re = n->branch_out[REAL_BRANCH],
                              .y_im = n->branch_out[IMAG_BRANCH]};
}

/* Steps 0 and 1. */
void network_begin(struct network *n, const real *theta, const real *x,
                   const uint32_t *phase, size_t B)
{
    const struct network_config *const c = &n->config;
    assert(B >= 1 && B <= n->max_batch);
    assert(phase || !(c->season || c->stream));
    n->x = c->season ? n->level : x;
    n->phase = n->raster.phase = phase;
    n->B = B;
    const struct cycle cycle = cycle_of(n);
    if (c->season)
        cycle_remove(&cycle, n->pool, n->level, x, theta + n->at_cycle);
    revin_forward(n->pool, n->z, n->mean, n->scale, n->x, theta + n->at[GAIN],
                  theta + n->at[BIAS], B, c->L, c->V);
}

/* Steps 0 to 2: from the windows to their spectra. */
static void begin(struct network *n, const real *theta, const real *x,
                  const uint32_t *phase, size_t B)
{
    network_begin(n, theta, x, phase, B);
    if (n->config.stream)
        raster_tokens(&n->raster, n->pool, n->tokens_in, n->x, B);
    lift_forward(&n->lift, n->pool, n->spectrum[REAL_BRANCH], n->spectrum[IMAG_BRANCH],
                 n->config.stream ? n->tokens_in : n->z,
                 B * n->config.V * n->fold_shape.pieces);
}

/* Step 4. */
static void join(struct network *n, const real *e, const real *y_re, const real *y_im)
{
    const size_t R = n->B * n->config.V, RS = R * n->fold_shape.pieces;
    if (!n->config.stream) {
        lift_join(&n->lift, n->pool, n->h, n->z, e, y_re, y_im, RS);
        return;
    }
    lift_join(&n->lift, n->pool, n->tokens_out, NULL, e, y_re, y_im, RS);
    raster_join(&n->raster, n->pool, n->h, n->z, e, n->tokens_out, R);
}

static void join_backward(struct network *n, const real *e, real *de)
{
    const size_t R = n->B * n->config.V, RS = R * n->fold_shape.pieces;
    const real *dh = n->d_h, *z = n->z;
    if (n->config.stream) {
        raster_join_backward(&n->raster, n->pool, n->d_z, de, n->tokens_out, n->d_h, n->z,
                             e, R);
        dh = n->tokens_out;
        z = NULL;
    }
    lift_join_backward(&n->lift, n->pool, n->d_z, de, n->d_branch_out[REAL_BRANCH],
                       n->d_branch_out[IMAG_BRANCH], dh, z, e, RS);
}

/* Step 6: from the head's output to the forecast. */
static void finish(struct network *n, const real *theta, real *y)
{
    const struct network_config *const c = &n->config;
    const struct cycle cycle = cycle_of(n);
    if (c->skip)
        add_skip(n, theta);
    revin_restore(n->pool, y, n->out, n->mean, n->scale, theta + n->at[GAIN],
                  theta + n->at[BIAS], n->B, c->P, c->V);
    if (c->season)
        cycle_restore(&cycle, n->pool, y, theta + n->at_cycle);
}

/* Steps 5 and 6: from h to the forecast. */
void network_finish(struct network *n, const real *theta, real *y)
{
    const struct head_call head = head_call(n);
    head_forward(&head, theta + n->at_head, n->h, n->out, n->head);
    finish(n, theta, y);
}

void network_forward(struct network *n, const real *theta, const real *x,
                     const uint32_t *phase, size_t B, real *y,
                     const struct dropout_step *dropout)
{
    const real *const e = network_lift(n, theta);
    n->p = dropout ? n->config.dropout : 0;
    n->step = dropout ? *dropout : (struct dropout_step){0};
    begin(n, theta, x, phase, B);
    for (size_t i = 0; i < BRANCHES; i++) {
        const struct branch_call branch = branch_call(n, i);
        branch_forward(&branch, theta + n->at_branch[i], e, n->spectrum[i],
                       n->branch_out[i], n->branch[i]);
    }
    real *const *added = n->branch_out;
    if (n->config.gate.kind) {
        const struct gate_call gate = gate_call(n, theta);
        added = n->gated;
        gate_forward(&gate, theta + n->at_gate, added[REAL_BRANCH], added[IMAG_BRANCH],
                     n->gate);
    }
    join(n, e, added[REAL_BRANCH], added[IMAG_BRANCH]);
    network_finish(n, theta, y);
}

/* ---- folded ------------------------------------------------------------------------ */

struct network_fold *network_fold_new(const struct network *n, const real *theta,
                                      struct err *err)
{
    const real *const branches[] = {theta + n->at_branch[REAL_BRANCH],
                                    theta + n->at_branch[IMAG_BRANCH]};
    struct network_fold *const fold = mem_new(1, sizeof *fold);
    if (n->config.gate.kind)
        return fold;
    if (n->config.stream) {
        if (fold_init_in(&fold->fold, &n->branch_config, network_lift(n, theta), branches,
                         err) == 0)
            return fold;
    } else if (fold_init(&fold->fold, &n->branch_config, &n->head_config, &n->lift,
                         n->fold_shape, network_lift(n, theta), branches,
                         theta + n->at_head, err) == 0)
        return fold;
    free(fold);
    return NULL;
}

void network_fold_free(struct network_fold *fold)
{
    if (!fold)
        return;
    fold_fini(&fold->fold);
    free(fold);
}

/* A part of each row of the folded map's input: x (R,I) at its column. */
static void place(struct network *n, size_t column, const real *x, size_t I)
{
    const size_t width = fold_width(&n->branch_config, &n->lift, n->fold_shape);
    for (size_t r = 0; r < n->B * n->config.V; r++)
        memcpy(n->beside + r * width + column, x + r * I, I * sizeof *x);
}

void network_forward_folded(struct network *n, const real *theta,
                            const struct network_fold *fold, const real *x,
                            const uint32_t *phase, size_t B, real *y)
{
    const struct network_config *const c = &n->config;
    const size_t width = fold_width(&n->branch_config, &n->lift, n->fold_shape);
    assert(!n->training);
    if (c->stream && c->V == 1) { /* as a state would: the same bits */
        network_forward_by_token(n, theta, fold, NULL, x, phase, B, y);
        return;
    }
    if (c->gate.kind || c->stream) {
        network_forward(n, theta, x, phase, B, y, NULL);
        return;
    }
    n->p = 0;
    n->step = (struct dropout_step){0};
    begin(n, theta, x, phase, B);
    place(n, 0, n->z, c->L);
    for (size_t i = 0; i < BRANCHES; i++) {
        const struct branch_call branch = branch_call(n, i);
        const real *const u =
            branch_hidden(&branch, theta + n->at_branch[i], network_lift(n, theta),
                          fold->fold.in[i], n->spectrum[i], n->branch[i]);
        place(n, c->L + i * n->fold_shape.tokens * c->C, u, n->fold_shape.tokens * c->C);
    }
    linear_forward(n->pool, head_first(n->head), c->Fd, n->beside, width,
                   fold->fold.first, fold->fold.bias, B * c->V, width, c->Fd);
    const struct head_call head = head_call(n);
    head_rest(&head, theta + n->at_head, n->out, n->head);
    finish(n, theta, y);
}

/* ---- backward ---------------------------------------------------------------------- */

/* The cycle's gradient: unlike gain and bias it moves the window's mean and deviation,
 * which therefore count. */
static void backward_cycle(struct network *n, const real *theta, const real *dy,
                           real *dtheta)
{
    const struct network_config *const c = &n->config;
    const struct cycle cycle = cycle_of(n);
    revin_statistics_backward(n->pool, n->d_level, dy, n->out, n->x, n->mean, n->scale,
                              theta + n->at[GAIN], theta + n->at[BIAS], n->B, c->L, c->P,
                              c->V);
    cycle_backward(&cycle, n->pool, dtheta + n->at_cycle, dy, n->d_level);
}

static void backward_skip(struct network *n, const real *theta, real *dtheta)
{
    const struct network_config *const c = &n->config;
    const size_t R = n->B * c->V;
    linear_backward_weights(n->pool, dtheta + n->at_skip[SKIP_W],
                            dtheta + n->at_skip[SKIP_B], n->d_out, c->P, n->z, c->L, R,
                            c->L, c->P);
    linear_backward_input(n->pool, n->d_z, c->L, n->d_out, c->P,
                          theta + n->at_skip[SKIP_W], R, c->L, c->P);
}

static void backward_gate(struct network *n, const real *theta, real *dtheta, real *de)
{
    const struct gate_call gate = gate_call(n, theta);
    const struct gate_grad grad = {.d_re = n->d_branch_out[REAL_BRANCH],
                                   .d_im = n->d_branch_out[IMAG_BRANCH],
                                   .dz = n->d_z,
                                   .d_spectrum_re = n->d_spectrum[REAL_BRANCH],
                                   .d_spectrum_im = n->d_spectrum[IMAG_BRANCH],
                                   .de = de,
                                   .dtheta = dtheta + n->at_gate};
    gate_backward(&gate, theta + n->at_gate, &grad, n->gate);
}

void network_backward(struct network *n, const real *theta, const real *dy, real *dtheta,
                      real *dx)
{
    assert(n->training && n->B);
    assert(!(dx && n->config.stream));
    const struct network_config *const c = &n->config;
    const size_t B = n->B, R = B * c->V, RS = R * n->fold_shape.pieces, F = n->lift.F;
    const real *const gain = theta + n->at[GAIN], *const e = network_lift(n, theta);
    real *const dgain = dtheta + n->at[GAIN], *const dbias = dtheta + n->at[BIAS];
    real *const de = c->D > 1 ? dtheta + n->at[E] : &n->unused;

    revin_restore_backward(n->pool, n->d_out, dgain, dbias, dy, n->out, n->scale, gain,
                           theta + n->at[BIAS], B, c->P, c->V);
    memset(n->d_z, 0, R * c->L * sizeof *n->d_z);
    if (c->skip) /* before the head uses d_out up */
        backward_skip(n, theta, dtheta);
    const struct head_call head = head_call(n);
    memset(n->d_h, 0, R * c->L * c->D * sizeof *n->d_h);
    head_backward(&head, theta + n->at_head, n->h, n->d_out, n->d_h, dtheta + n->at_head,
                  n->head);
    join_backward(n, e, de);
    for (size_t i = 0; i < BRANCHES; i++)
        memset(n->d_spectrum[i], 0, RS * F * sizeof *n->d_spectrum[i]);
    if (c->gate.kind)
        backward_gate(n, theta, dtheta, de);
    for (size_t i = 0; i < BRANCHES; i++) {
        const struct branch_call branch = branch_call(n, i);
        branch_backward(&branch, theta + n->at_branch[i], e, n->spectrum[i],
                        n->d_branch_out[i], n->d_spectrum[i], de,
                        dtheta + n->at_branch[i], n->branch[i]);
    }
    if (!c->stream) /* its tokens come from x as it is */
        lift_backward(&n->lift, n->pool, n->d_z, n->d_spectrum[REAL_BRANCH],
                      n->d_spectrum[IMAG_BRANCH], RS);
    revin_backward(n->pool, c->season ? n->d_level : dx, dgain, dbias, n->d_z, n->x,
                   n->mean, n->scale, gain, B, c->L, c->V);
    if (!c->season)
        return;
    if (dx)
        memcpy(dx, n->d_level, R * c->L * sizeof *dx);
    backward_cycle(n, theta, dy, dtheta);
}
