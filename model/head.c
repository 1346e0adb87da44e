/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/head.h"

#include <assert.h>
#include <string.h>

#include "model/gelu.h"
#include "model/linear.h"
#include "model/threads.h"

enum { NONE, LD, FD, HALF, OUT, DIMS };
enum { W1, B1, W2, B2, W3, B3, TENSORS };

static const struct tensor_row table[TENSORS] = {
    [W1] = {"head.w1", FD, LD, LD, INIT_UNIFORM, 0},
    [B1] = {"head.b1", FD, NONE, LD, INIT_UNIFORM, 0},
    [W2] = {"head.w2", HALF, FD, FD, INIT_UNIFORM, 0},
    [B2] = {"head.b2", HALF, NONE, FD, INIT_UNIFORM, 0},
    [W3] = {"head.w3", OUT, HALF, HALF, INIT_UNIFORM, 0},
    [B3] = {"head.b3", OUT, NONE, HALF, INIT_UNIFORM, 0},
};

struct head_tape {
    real *slope1, *active1, *slope2, *active2;
    real *d1, *d2; /* training only */
};

enum { PLACE_1, PLACE_2, PLACE_OUT };
static_assert((int)PLACE_OUT < (int)HEAD_PLACES, "each place has a stream");
static const double PART_1 = 0.3, PART_2 = 0.2, PART_OUT = 0.5;

static struct dropout place(const struct head_call *call, uint32_t place, double part)
{
    struct dropout d = {.stream = call->stream, .p = part * call->p};
    d.stream.purpose += place;
    return d;
}

static void dims_of(const struct head_config *config, size_t dims[DIMS])
{
    dims[NONE] = 1;
    dims[LD] = config->LD;
    dims[FD] = config->Fd;
    dims[HALF] = config->Fd / 2;
    dims[OUT] = config->P;
}

void head_params(const struct head_config *config, struct tensors *tensors)
{
    size_t dims[DIMS];
    dims_of(config, dims);
    tensors_add(tensors, "", table, TENSORS, dims);
}

struct head_tape *head_tape(const struct head_config *config, size_t R, bool training,
                            struct arena *arena)
{
    const size_t rows = R, Fd = config->Fd, half = Fd / 2;
    const struct head_tape t = {
        .slope1 = arena_reals(arena, rows * Fd),
        .active1 = arena_reals(arena, rows * Fd),
        .slope2 = arena_reals(arena, rows * half),
        .active2 = arena_reals(arena, rows * half),
        .d1 = training ? arena_reals(arena, rows * Fd) : NULL,
        .d2 = training ? arena_reals(arena, rows * half) : NULL,
    };
    void *const block = arena_bytes(arena, sizeof t);
    return block ? memcpy(block, &t, sizeof t) : NULL;
}

struct linear_map head_first_map(const struct head_config *config, const real *theta)
{
    size_t dims[DIMS], at[TENSORS];
    dims_of(config, dims);
    tensors_layout(table, TENSORS, dims, at);
    return (struct linear_map){theta + at[W1], theta + at[B1]};
}

real *head_first(struct head_tape *tape)
{
    return tape->slope1;
}

/* One pass over rows. */
struct rows {
    const struct head_call *call;
    const real *theta, *h;
    real *y, *dy, *dh;
    const struct head_tape *tape;
    size_t dims[DIMS], at[TENSORS];
    struct dropout drop1, drop2, out;
};

static struct rows rows_of(const struct head_call *call, const real *theta, const real *h,
                           const struct head_tape *tape)
{
    struct rows rows = {.call = call,
                        .theta = theta,
                        .h = h,
                        .tape = tape,
                        .drop1 = place(call, PLACE_1, PART_1),
                        .drop2 = place(call, PLACE_2, PART_2),
                        .out = place(call, PLACE_OUT, PART_OUT)};
    dims_of(call->config, rows.dims);
    tensors_layout(table, TENSORS, rows.dims, rows.at);
    return rows;
}

static void forward_rows(void *ctx, size_t from, size_t to)
{
    const struct rows *const j = ctx;
    const struct head_tape *const t = j->tape;
    const real *const theta = j->theta;
    const size_t *const at = j->at, R = to - from;
    const size_t In = j->dims[LD], Fd = j->dims[FD], half = j->dims[HALF];
    const size_t P = j->dims[OUT];
    real *const slope1 = t->slope1 + from * Fd, *const active1 = t->active1 + from * Fd;
    real *const slope2 = t->slope2 + from * half;
    real *const active2 = t->active2 + from * half;
    if (j->h)
        linear_forward(NULL, slope1, Fd, j->h + from * In, In, theta + at[W1],
                       theta + at[B1], R, In, Fd);
    gelu_forward(NULL, active1, Fd, slope1, Fd, R, Fd);
    dropout_part(active1, from * Fd, R * Fd, &j->drop1);
    linear_forward(NULL, slope2, half, active1, Fd, theta + at[W2], theta + at[B2], R, Fd,
                   half);
    gelu_forward(NULL, active2, half, slope2, half, R, half);
    dropout_part(active2, from * half, R * half, &j->drop2);
    linear_forward(NULL, j->y + from * P, P, active2, half, theta + at[W3],
                   theta + at[B3], R, half, P);
    if (j->call->config->out_dropout)
        dropout_part(j->y + from * P, from * P, R * P, &j->out);
}

void head_forward(const struct head_call *call, const real *theta, const real *h, real *y,
                  struct head_tape *t)
{
    struct rows rows = rows_of(call, theta, h, t);
    rows.y = y;
    threads_rows(call->pool, call->R, 1, forward_rows, &rows);
}

void head_rest(const struct head_call *call, const real *theta, real *y,
               struct head_tape *t)
{
    head_forward(call, theta, NULL, y, t);
}

static void backward_rows(void *ctx, size_t from, size_t to)
{
    const struct rows *const j = ctx;
    const struct head_tape *const t = j->tape;
    const real *const theta = j->theta;
    const size_t *const at = j->at, R = to - from;
    const size_t In = j->dims[LD], Fd = j->dims[FD], half = j->dims[HALF];
    const size_t P = j->dims[OUT];
    real *const d1 = t->d1 + from * Fd, *const d2 = t->d2 + from * half;
    if (j->call->config->out_dropout)
        dropout_part(j->dy + from * P, from * P, R * P, &j->out);
    linear_input_gradient(NULL, d2, half, j->dy + from * P, P, theta + at[W3], R, half,
                          P);
    dropout_part(d2, from * half, R * half, &j->drop2);
    gelu_backward(NULL, d2, half, t->slope2 + from * half, half, R, half);
    linear_input_gradient(NULL, d1, Fd, d2, half, theta + at[W2], R, Fd, half);
    dropout_part(d1, from * Fd, R * Fd, &j->drop1);
    gelu_backward(NULL, d1, Fd, t->slope1 + from * Fd, Fd, R, Fd);
    linear_backward_input(NULL, j->dh + from * In, In, d1, Fd, theta + at[W1], R, In, Fd);
}

void head_backward(const struct head_call *call, const real *theta, const real *h,
                   real *dy, real *dh, real *dtheta, struct head_tape *t)
{
    struct rows rows = rows_of(call, theta, h, t);
    rows.dy = dy;
    rows.dh = dh;
    threads_rows(call->pool, call->R, 1, backward_rows, &rows);
    const size_t *const at = rows.at, *const dims = rows.dims, R = call->R;
    const struct linear_grad grads[] = {
        {dtheta + at[W3], dtheta + at[B3], dy, dims[OUT], t->active2, dims[HALF], R,
         dims[HALF], dims[OUT]},
        {dtheta + at[W2], dtheta + at[B2], t->d2, dims[HALF], t->active1, dims[FD], R,
         dims[FD], dims[HALF]},
        {dtheta + at[W1], dtheta + at[B1], t->d1, dims[FD], h, dims[LD], R, dims[LD],
         dims[FD]},
    };
    linear_backward_weights_of(call->pool, grads, sizeof grads / sizeof *grads);
}
