/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/head.h"

#include <assert.h>
#include <string.h>

#include "model/gelu.h"
#include "model/linear.h"

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

void head_forward(const struct head_call *call, const real *theta, const real *h, real *y,
                  struct head_tape *t)
{
    const struct head_config *const c = call->config;
    const struct linear_map first = head_first_map(c, theta);
    linear_forward(call->pool, t->slope1, c->Fd, h, c->LD, first.w, first.b, call->R,
                   c->LD, c->Fd);
    head_rest(call, theta, y, t);
}

void head_rest(const struct head_call *call, const real *theta, real *y,
               struct head_tape *t)
{
    const size_t R = call->R, Fd = call->config->Fd, half = Fd / 2, P = call->config->P;
    size_t dims[DIMS], at[TENSORS];
    dims_of(call->config, dims);
    tensors_layout(table, TENSORS, dims, at);
    const struct dropout drop1 = place(call, PLACE_1, PART_1);
    const struct dropout drop2 = place(call, PLACE_2, PART_2);
    const struct dropout out = place(call, PLACE_OUT, PART_OUT);

    gelu_forward(call->pool, t->active1, Fd, t->slope1, Fd, R, Fd);
    dropout(call->pool, t->active1, R * Fd, &drop1);
    linear_forward(call->pool, t->slope2, half, t->active1, Fd, theta + at[W2],
                   theta + at[B2], R, Fd, half);
    gelu_forward(call->pool, t->active2, half, t->slope2, half, R, half);
    dropout(call->pool, t->active2, R * half, &drop2);
    linear_forward(call->pool, y, P, t->active2, half, theta + at[W3], theta + at[B3], R,
                   half, P);
    if (call->config->out_dropout)
        dropout(call->pool, y, R * P, &out);
}

void head_backward(const struct head_call *call, const real *theta, const real *h,
                   real *dy, real *dh, real *dtheta, struct head_tape *t)
{
    const size_t R = call->R, Fd = call->config->Fd, half = Fd / 2, P = call->config->P;
    size_t dims[DIMS], at[TENSORS];
    dims_of(call->config, dims);
    tensors_layout(table, TENSORS, dims, at);
    const struct dropout drop1 = place(call, PLACE_1, PART_1);
    const struct dropout drop2 = place(call, PLACE_2, PART_2);
    const struct dropout out = place(call, PLACE_OUT, PART_OUT);

    if (call->config->out_dropout)
        dropout(call->pool, dy, R * P, &out);
    linear_backward_weights(call->pool, dtheta + at[W3], dtheta + at[B3], dy, P,
                            t->active2, half, R, half, P);
    memset(t->d2, 0, R * half * sizeof *t->d2);
    linear_backward_input(call->pool, t->d2, half, dy, P, theta + at[W3], R, half, P);
    dropout(call->pool, t->d2, R * half, &drop2);
    gelu_backward(call->pool, t->d2, half, t->slope2, half, R, half);
    linear_backward_weights(call->pool, dtheta + at[W2], dtheta + at[B2], t->d2, half,
                            t->active1, Fd, R, Fd, half);
    memset(t->d1, 0, R * Fd * sizeof *t->d1);
    linear_backward_input(call->pool, t->d1, Fd, t->d2, half, theta + at[W2], R, Fd,
                          half);
    dropout(call->pool, t->d1, R * Fd, &drop1);
    gelu_backward(call->pool, t->d1, Fd, t->slope1, Fd, R, Fd);
    linear_backward_weights(call->pool, dtheta + at[W1], dtheta + at[B1], t->d1, Fd, h,
                            dims[LD], R, dims[LD], Fd);
    linear_backward_input(call->pool, dh, dims[LD], t->d1, Fd, theta + at[W1], R,
                          dims[LD], Fd);
}
