/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * encoder.h -- one encoder layer: a token mixer and a feed-forward, normalised after.
 *
 *     x1 = LN1(x + drop(mixer(x)))
 *     y  = LN2(x1 + drop(w2 drop(gelu(w1 x1 + b1)) + b2))
 *
 * Rows are B T tokens of C channels; arrays have that many.
 */
#ifndef ENCODER_H
#define ENCODER_H

#include "model/mixer.h"

struct encoder_config {
    struct mixer_config mix;
    size_t Fd; /* width of the feed-forward */
};

struct encoder_tape;
struct encoder_work;

/* What forward and backward are called with, the same for both. */
struct encoder_call {
    const struct encoder_config *config;
    size_t B, T;
    struct threads *pool;
    struct rng_stream stream; /* uses ENCODER_PLACES purposes from this one on */
    double p;                 /* the network's dropout; the layer takes its parts */
};

enum { ENCODER_PLACES = 4 };

void encoder_params(const struct encoder_config *config, struct tensors *tensors,
                    const char *prefix);
size_t encoder_size(const struct encoder_config *config); /* reals of theta */

/* As in mixer.h: NULL while measuring. */
struct encoder_tape *encoder_tape(const struct encoder_config *config, size_t B, size_t T,
                                  struct arena *arena);
struct encoder_work *encoder_work(const struct encoder_config *config, size_t B, size_t T,
                                  bool training, struct arena *arena);

void encoder_forward(const struct encoder_call *call, const real *theta, const real *x,
                     real *y, struct encoder_tape *tape, struct encoder_work *work);

/* One token of one sequence: x, y (C), without dropout.  state as of mixer_step(). */
size_t encoder_step_work_size(const struct encoder_config *config); /* reals */
void encoder_step(const struct encoder_config *config, const real *theta, const real *x,
                  real *y, real *state, real *work);

/* dx and dtheta are added to; dy is left alone. */
void encoder_backward(const struct encoder_call *call, const real *theta, const real *x,
                      const real *dy, real *dx, real *dtheta, struct encoder_tape *tape,
                      struct encoder_work *work);

#endif
