/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/branch.h"

#include <stdio.h>
#include <string.h>

#include "model/layernorm.h"
#include "model/linear.h"
#include "model/threads.h"
#include "model/vector.h"

enum { ROWS = 32 };

static const real LN_EPS = REAL_C(1e-5);

enum { NONE, C_, DF, DIMS };

static const struct tensor_row table_in[] = {
    {"in.w", C_, DF, DF, INIT_UNIFORM, 0},
    {"in.b", C_, NONE, DF, INIT_UNIFORM, 0},
};
static const struct tensor_row table_out[] = {
    {"norm.g", C_, NONE, NONE, INIT_CONSTANT, 1},
    {"norm.b", C_, NONE, NONE, INIT_CONSTANT, 0},
    {"out.w", DF, C_, C_, INIT_UNIFORM, 0},
    {"out.b", DF, NONE, C_, INIT_UNIFORM, 0},
};
enum { IN_W, IN_B, TENSORS_IN };
enum { NORM_G, NORM_B, OUT_W, OUT_B, TENSORS_OUT };

struct branch_tape {
    struct encoder_work *work;
    struct encoder_tape *layer[BRANCH_LAYERS_MAX];
    real *x[BRANCH_LAYERS_MAX + 1]; /* (R,C) input of each layer, output of the last */
    real *folded;                   /* (C,F) */
    real *plain;                    /* (R,C) w_in z, with embed */
    real *u, *xhat, *rstd;          /* the last norm */
    real *d_folded, *d_u, *d_x;     /* training only, as below */
    real *d_plain;
};

/* Offsets from the branch's theta. */
struct layout {
    size_t in[TENSORS_IN], layer[BRANCH_LAYERS_MAX], out[TENSORS_OUT], size;
};

static void dims_of(const struct branch_config *config, size_t dims[DIMS])
{
    dims[NONE] = 1;
    dims[C_] = config->encoder.mix.C;
    dims[DF] = branch_out(config);
}

size_t branch_out(const struct branch_config *config)
{
    return (config->embed ? 1 : config->D) * config->F;
}

static struct encoder_config branch_layer(const struct branch_config *config, size_t i)
{
    struct encoder_config layer = config->encoder;
    layer.mix.layer = i;
    return layer;
}

static struct layout layout_of(const struct branch_config *config)
{
    struct layout at;
    size_t dims[DIMS];
    dims_of(config, dims);
    at.size = tensors_layout(table_in, TENSORS_IN, dims, at.in);
    for (size_t i = 0; i < config->layers; i++) {
        const struct encoder_config layer = branch_layer(config, i);
        at.layer[i] = at.size;
        at.size += encoder_size(&layer);
    }
    const size_t out = tensors_layout(table_out, TENSORS_OUT, dims, at.out);
    for (size_t i = 0; i < TENSORS_OUT; i++)
        at.out[i] += at.size;
    at.size += out;
    return at;
}

void branch_params(const struct branch_config *config, struct tensors *tensors,
                   const char *prefix)
{
    size_t dims[DIMS];
    dims_of(config, dims);
    tensors_add(tensors, prefix, table_in, TENSORS_IN, dims);
    for (size_t i = 0; i < config->layers; i++) {
        char name[48];
        const struct encoder_config layer = branch_layer(config, i);
        snprintf(name, sizeof name, "%s.layer%zu", prefix, i);
        encoder_params(&layer, tensors, name);
    }
    tensors_add(tensors, prefix, table_out, TENSORS_OUT, dims);
}

size_t branch_size(const struct branch_config *config)
{
    return layout_of(config).size;
}

struct branch_tape *branch_tape(const struct branch_config *config, size_t B, size_t T,
                                bool training, struct encoder_work *work,
                                struct arena *arena)
{
    const size_t R = B * T, C = config->encoder.mix.C;
    struct branch_tape t = {.work = work};
    struct encoder_tape *shared[MIXER_KINDS];
    for (size_t i = 0; i < config->layers; i++) {
        const struct encoder_config layer = branch_layer(config, i);
        const size_t kind = mixer_kind(&layer.mix);
        if (training || i == kind)
            shared[kind] = encoder_tape(&layer, B, T, arena);
        t.layer[i] = shared[kind];
    }
    for (size_t i = 0; i <= config->layers; i++)
        t.x[i] = arena_reals(arena, R * C);
    t.folded = arena_reals(arena, C * config->F);
    if (config->embed) {
        t.plain = arena_reals(arena, R * C);
        t.d_plain = training ? arena_reals(arena, R * C) : NULL;
    }
    t.u = arena_reals(arena, R * C);
    t.xhat = arena_reals(arena, R * C);
    t.rstd = arena_reals(arena, R);
    if (training) {
        t.d_folded = arena_reals(arena, C * config->F);
        t.d_u = arena_reals(arena, R * C);
        t.d_x = arena_reals(arena, R * C);
    }
    void *const block = arena_bytes(arena, sizeof t);
    return block ? memcpy(block, &t, sizeof t) : NULL;
}

/* ---- the folded first map ---------------------------------------------------------- */

struct fold_job {
    size_t C, D, F;
    const real *w, *e;
    real *folded, *dw;
};

static void fold_rows(void *ctx, size_t block)
{
    const struct fold_job *const j = ctx;
    for (size_t c = block * ROWS; c < threads_block_end(block, j->C, ROWS); c++) {
        real *const out = j->folded + c * j->F;
        memset(out, 0, j->F * sizeof *out);
        for (size_t d = 0; d < j->D; d++)
            vector_add(out, j->e[d], j->w + (c * j->D + d) * j->F, j->F);
    }
}

/* dw[c, d F + f] += e[d] dfolded[c,f] */
static void unfold_rows(void *ctx, size_t block)
{
    const struct fold_job *const j = ctx;
    for (size_t c = block * ROWS; c < threads_block_end(block, j->C, ROWS); c++)
        for (size_t d = 0; d < j->D; d++)
            vector_add(j->dw + (c * j->D + d) * j->F, j->e[d], j->folded + c * j->F,
                       j->F);
}

/* de[d] += sum over c, f of dfolded[c,f] w[c, d F + f] */
static void lift_gradient(const struct fold_job *j, real *de)
{
    for (size_t c = 0; c < j->C; c++)
        for (size_t d = 0; d < j->D; d++)
            de[d] += vector_dot(j->folded + c * j->F, j->w + (c * j->D + d) * j->F, j->F);
}

/* ---- forward and backward ---------------------------------------------------------- */

static struct encoder_call layer_call(const struct branch_call *call,
                                      const struct encoder_config *config, size_t layer)
{
    struct encoder_call of = {.config = config,
                              .B = call->B,
                              .T = call->T,
                              .pool = call->pool,
                              .stream = call->stream,
                              .p = call->p};
    of.stream.purpose += (uint32_t)(layer * ENCODER_PLACES);
    return of;
}

void branch_fold(const struct branch_config *config, struct threads *pool,
                 const real *theta, const real *e, real *in)
{
    const size_t C = config->encoder.mix.C;
    struct fold_job fold = {.C = C,
                            .D = config->D,
                            .F = config->F,
                            .w = theta + layout_of(config).in[IN_W],
                            .e = e,
                            .folded = in};
    if (config->embed)
        memcpy(in, fold.w, C * config->F * sizeof *in);
    else
        threads_run(pool, threads_blocks(C, ROWS), fold_rows, &fold);
}

/* With embed: token (r,d) is e[d] plain[r] + b. */
static void spread_copies(const struct branch_call *call, real *x, const real *e,
                          const real *b, const real *plain)
{
    const size_t C = call->config->encoder.mix.C, D = call->config->D;
    for (size_t row = 0; row < call->B * call->T; row++)
        for (size_t c = 0; c < C; c++)
            x[row * C + c] = e[row % D] * plain[row / D * C + c] + b[c];
}

/* dplain is set, de and db added to. */
static void gather_copies(const struct branch_call *call, const real *dx, const real *e,
                          const real *plain, real *dplain, real *de, real *db)
{
    const size_t C = call->config->encoder.mix.C, D = call->config->D;
    const size_t R = call->B * call->T;
    memset(dplain, 0, R / D * C * sizeof *dplain);
    for (size_t row = 0; row < R; row++) {
        const real *const d = dx + row * C;
        vector_add(dplain + row / D * C, e[row % D], d, C);
        vector_add(db, 1, d, C);
        de[row % D] += vector_dot(d, plain + row / D * C, C);
    }
}

/* Of the last norm and map. */
struct rows {
    size_t C, O;
    const real *theta;
    struct layout at;
    const struct branch_tape *tape;
    const real *x, *dy;
    real *y, *dx;
};

static void last_forward(void *ctx, size_t from, size_t to)
{
    const struct rows *const j = ctx;
    const struct branch_tape *const t = j->tape;
    const size_t C = j->C, R = to - from, first = from * C;
    layernorm_forward(NULL, t->u + first, t->xhat + first, t->rstd + from, j->x + first,
                      j->theta + j->at.out[NORM_G], j->theta + j->at.out[NORM_B], R, C,
                      LN_EPS);
    if (j->y)
        linear_forward(NULL, j->y + from * j->O, j->O, t->u + first, C,
                       j->theta + j->at.out[OUT_W], j->theta + j->at.out[OUT_B], R, C,
                       j->O);
}

static void last_backward(void *ctx, size_t from, size_t to)
{
    const struct rows *const j = ctx;
    const struct branch_tape *const t = j->tape;
    const size_t C = j->C, R = to - from, first = from * C;
    linear_input_gradient(NULL, t->d_u + first, C, j->dy + from * j->O, j->O,
                          j->theta + j->at.out[OUT_W], R, C, j->O);
    memset(j->dx + first, 0, R * C * sizeof *j->dx);
    layernorm_backward_input(NULL, j->dx + first, t->d_u + first, t->xhat + first,
                             t->rstd + from, j->theta + j->at.out[NORM_G], R, C);
}

/* To u or, with y, further. */
static void branch_through(const struct branch_call *call, const real *theta,
                           const real *e, const real *in, const real *z, real *y,
                           struct branch_tape *t)
{
    const struct branch_config *const config = call->config;
    const struct layout at = layout_of(config);
    const size_t R = call->B * call->T, C = config->encoder.mix.C, F = config->F;
    if (config->embed) {
        linear_forward(call->pool, t->plain, C, z, F, in, NULL, R / config->D, F, C);
        spread_copies(call, t->x[0], e, theta + at.in[IN_B], t->plain);
    } else {
        linear_forward(call->pool, t->x[0], C, z, F, in, theta + at.in[IN_B], R, F, C);
    }
    for (size_t i = 0; i < config->layers; i++) {
        const struct encoder_config own = branch_layer(config, i);
        const struct encoder_call layer = layer_call(call, &own, i);
        encoder_forward(&layer, theta + at.layer[i], t->x[i], t->x[i + 1], t->layer[i],
                        t->work);
    }
    struct rows rows = {.C = C,
                        .O = branch_out(config),
                        .theta = theta,
                        .at = at,
                        .tape = t,
                        .x = t->x[config->layers],
                        .y = y};
    threads_rows(call->pool, R, call->T, last_forward, &rows);
}

const real *branch_hidden(const struct branch_call *call, const real *theta,
                          const real *e, const real *in, const real *z,
                          struct branch_tape *t)
{
    branch_through(call, theta, e, in, z, NULL, t);
    return t->u;
}

struct linear_map branch_last_map(const struct branch_config *config, const real *theta)
{
    const struct layout at = layout_of(config);
    return (struct linear_map){theta + at.out[OUT_W], theta + at.out[OUT_B]};
}

void branch_forward(const struct branch_call *call, const real *theta, const real *e,
                    const real *z, real *y, struct branch_tape *t)
{
    const struct branch_config *const config = call->config;
    branch_fold(config, call->pool, theta, e, t->folded);
    branch_through(call, theta, e, t->folded, z, y, t);
}

size_t branch_state_size(const struct branch_config *config)
{
    size_t size = 0;
    for (size_t i = 0; i < config->layers; i++) {
        const struct encoder_config layer = branch_layer(config, i);
        size += mixer_state_size(&layer.mix);
    }
    return size;
}

/* Input and output of a layer, xhat and rstd of the norm; then the layer's. */
size_t branch_step_work_size(const struct branch_config *config)
{
    size_t most = 0;
    for (size_t i = 0; i < config->layers; i++) {
        const struct encoder_config layer = branch_layer(config, i);
        const size_t size = encoder_step_work_size(&layer);
        most = size > most ? size : most;
    }
    return 3 * config->encoder.mix.C + 1 + most;
}

void branch_step(const struct branch_config *config, const real *theta, const real *in,
                 const real *z, real *y, real *state, real *work)
{
    const struct layout at = layout_of(config);
    const struct linear_map last = branch_last_map(config, theta);
    const size_t C = config->encoder.mix.C;
    real *x = work, *u = x + C, *const xhat = u + C, *const rstd = xhat + C;
    linear_one(x, z, in, theta + at.in[IN_B], config->F, C);
    for (size_t i = 0; i < config->layers; i++) {
        const struct encoder_config layer = branch_layer(config, i);
        encoder_step(&layer, theta + at.layer[i], x, u, state, rstd + 1);
        state += mixer_state_size(&layer.mix);
        real *const done = x;
        x = u;
        u = done;
    }
    layernorm_forward(NULL, u, xhat, rstd, x, theta + at.out[NORM_G],
                      theta + at.out[NORM_B], 1, C, LN_EPS);
    linear_one(y, u, last.w, last.b, C, branch_out(config));
}

void branch_backward(const struct branch_call *call, const real *theta, const real *e,
                     const real *z, const real *dy, real *dz, real *de, real *dtheta,
                     struct branch_tape *t)
{
    const struct branch_config *const config = call->config;
    const struct layout at = layout_of(config);
    const size_t R = call->B * call->T, C = config->encoder.mix.C, F = config->F;
    const size_t DF_ = branch_out(config), bytes = R * C * sizeof(real);
    real *dx = t->d_x, *spare = t->d_u;
    struct rows rows = {
        .C = C, .O = DF_, .theta = theta, .at = at, .tape = t, .dy = dy, .dx = dx};
    threads_rows(call->pool, R, call->T, last_backward, &rows);
    linear_backward_weights(call->pool, dtheta + at.out[OUT_W], dtheta + at.out[OUT_B],
                            dy, DF_, t->u, C, R, C, DF_);
    layernorm_backward_weights(call->pool, dtheta + at.out[NORM_G],
                               dtheta + at.out[NORM_B], t->d_u, t->xhat, R, C);
    for (size_t i = config->layers; i-- > 0;) {
        const struct encoder_config own = branch_layer(config, i);
        const struct encoder_call layer = layer_call(call, &own, i);
        memset(spare, 0, bytes);
        encoder_backward(&layer, theta + at.layer[i], t->x[i], dx, spare,
                         dtheta + at.layer[i], t->layer[i], t->work);
        real *const done = dx;
        dx = spare;
        spare = done;
    }
    if (config->embed) {
        real *const dw = dtheta + at.in[IN_W];
        gather_copies(call, dx, e, t->plain, t->d_plain, de, dtheta + at.in[IN_B]);
        linear_backward_weights(call->pool, dw, NULL, t->d_plain, C, z, F, R / config->D,
                                F, C);
        linear_backward_input(call->pool, dz, F, t->d_plain, C, theta + at.in[IN_W],
                              R / config->D, F, C);
        return;
    }
    memset(t->d_folded, 0, C * F * sizeof *t->d_folded);
    linear_backward_weights(call->pool, t->d_folded, dtheta + at.in[IN_B], dx, C, z, F, R,
                            F, C);
    linear_backward_input(call->pool, dz, F, dx, C, t->folded, R, F, C);
    struct fold_job fold = {.C = C,
                            .D = config->D,
                            .F = F,
                            .w = theta + at.in[IN_W],
                            .e = e,
                            .folded = t->d_folded,
                            .dw = dtheta + at.in[IN_W]};
    threads_run(call->pool, threads_blocks(C, ROWS), unfold_rows, &fold);
    lift_gradient(&fold, de);
}
