/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linear.h -- y = x w' + b, with the same bits whatever the surroundings.
 *
 * Arrays of rows are given with their stride in reals, so that several layers can read
 * and write column ranges of one array.  Products are cut into fixed blocks of their
 * output, shared by our own threads (model/product.h, model/threads.h).
 *
 * A row of y depends on its row of x alone, bit for bit: not on R, not on its place.
 */
#ifndef LINEAR_H
#define LINEAR_H

#include <stddef.h>

#include "base/real.h"

struct threads;

/* Parameters of one map: w (O,I), b (O); both borrowed. */
struct linear_map {
    const real *w, *b;
};

/* y (R,O) = x (R,I) w' (O,I) + b (O); b may be NULL. */
void linear_forward(struct threads *pool, real *y, size_t y_stride, const real *x,
                    size_t x_stride, const real *w, const real *b, size_t R, size_t I,
                    size_t O);

/* y (O) = w (O,I) x (I) + b of one row: up to rounding the same, without blocks. */
void linear_one(real *y, const real *x, const real *w, const real *b, size_t I, size_t O);

/* dx (R,I) += dy (R,O) w */
void linear_backward_input(struct threads *pool, real *dx, size_t dx_stride,
                           const real *dy, size_t dy_stride, const real *w, size_t R,
                           size_t I, size_t O);

/* dx (R,I) = dy (R,O) w */
void linear_input_gradient(struct threads *pool, real *dx, size_t dx_stride,
                           const real *dy, size_t dy_stride, const real *w, size_t R,
                           size_t I, size_t O);

/* dw (O,I) += dy' (R,O) x (R,I), db (O) += sum of dy over R; db may be NULL. */
void linear_backward_weights(struct threads *pool, real *dw, real *db, const real *dy,
                             size_t dy_stride, const real *x, size_t x_stride, size_t R,
                             size_t I, size_t O);

/* Several of them in one job. */
enum { LINEAR_GRADS_MOST = 8 };
struct linear_grad {
    real *dw, *db;
    const real *dy;
    size_t dy_stride;
    const real *x;
    size_t x_stride, R, I, O;
};
void linear_backward_weights_of(struct threads *pool, const struct linear_grad *grads,
                                size_t count);

#endif
