/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * head.h -- from what the branches made of a series' window to its P values to come.
 *
 *     a1 = drop(gelu(w1 h + b1))    (R,Fd)
 *     a2 = drop(gelu(w2 a1 + b2))   (R,Fd/2)
 *     y  = drop(w3 a2 + b3)         (R,P)
 */
#ifndef HEAD_H
#define HEAD_H

#include "base/arena.h"
#include "model/dropout.h"
#include "model/linear.h"
#include "model/tensors.h"

struct threads;

struct head_config {
    size_t LD, Fd, P; /* inputs, width, outputs */
    bool out_dropout;
};

struct head_tape;

struct head_call {
    const struct head_config *config;
    size_t R;
    struct threads *pool;
    struct rng_stream stream; /* uses HEAD_PLACES purposes */
    double p;
};

enum { HEAD_PLACES = 3 };

void head_params(const struct head_config *config, struct tensors *tensors);
struct head_tape *head_tape(const struct head_config *config, size_t R, bool training,
                            struct arena *arena);

void head_forward(const struct head_call *call, const real *theta, const real *h, real *y,
                  struct head_tape *tape);
/* The same in two halves, for who has w1 h + b1 by another way (model/fold.h): it goes
 * where head_first() says, (R,Fd). */
struct linear_map head_first_map(const struct head_config *config, const real *theta);
real *head_first(struct head_tape *tape);
void head_rest(const struct head_call *call, const real *theta, real *y,
               struct head_tape *tape);
/* dh and dtheta are added to; dy is used up. */
void head_backward(const struct head_call *call, const real *theta, const real *h,
                   real *dy, real *dh, real *dtheta, struct head_tape *tape);

#endif
