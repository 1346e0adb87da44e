/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linear.h -- y = x w' + b over BLAS, with the same bits whatever the surroundings.
 *
 * Arrays of rows are given with their stride in reals, so that several layers can read
 * and write column ranges of one array.  Products are cut into fixed blocks of their
 * output, one BLAS call each, made from our own threads; BLAS itself runs serially.
 *
 * A row of y depends on its row of x alone, bit for bit: not on R, not on its place.
 * That takes room: x and y have linear_rows(R) rows, of which those past R are read
 * and written but mean nothing.
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

/* Rows to provide for R rows. */
size_t linear_rows(size_t R);

/* Tells BLAS to use the calling thread only.  Cheap; any number of times. */
void linear_start(void);

/* y (R,O) = x (R,I) w' (O,I) + b (O); b may be NULL. */
void linear_forward(struct threads *pool, real *y, size_t y_stride, const real *x,
                    size_t x_stride, const real *w, const real *b, size_t R, size_t I,
                    size_t O);

/* dx (R,I) += dy (R,O) w */
void linear_backward_input(struct threads *pool, real *dx, size_t dx_stride,
                           const real *dy, size_t dy_stride, const real *w, size_t R,
                           size_t I, size_t O);

/* dw (O,I) += dy' (R,O) x (R,I), db (O) += sum of dy over R; db may be NULL. */
void linear_backward_weights(struct threads *pool, real *dw, real *db, const real *dy,
                             size_t dy_stride, const real *x, size_t x_stride, size_t R,
                             size_t I, size_t O);

#endif
