/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slices.h -- a core as loops over one head of one sample.
 *
 * The batch is cut into B H slices of (T,N) contiguous arrays.  A core says how much it
 * keeps of one and how much scratch it needs, and what it does with one; threads,
 * strides, heads and the sums of gradients are done here.  H and N are the
 * configuration's, or those of the core's own head size.
 */
#ifndef SLICES_H
#define SLICES_H

#include "model/core.h"

struct slice {
    const struct mixer_config *config;
    size_t T, N, head;
    const real *x, *q, *k, *v;           /* (T,N); x: this head's channels */
    const real *theta[CORE_TENSORS_MAX]; /* its part of each tensor of the core */
    const real *extra;                   /* (T,extra) */
    real *tape, *scratch;
    bool training; /* false: no backward pass will follow */
};

/* Gradients at them, zeroed beforehand. */
struct slice_grad {
    real *dx, *dq, *dk, *dv;
    real *dtheta[CORE_TENSORS_MAX];
    real *d_extra;
};

struct slices {
    size_t (*head_size)(const struct mixer_config *config); /* NULL: C / H */

    /* Reals of one slice; NULL: none. */
    size_t (*tape)(const struct mixer_config *config, size_t T, size_t N);
    size_t (*scratch)(const struct mixer_config *config, size_t T, size_t N,
                      bool training);
    void (*forward)(const struct slice *slice, real *o);
    void (*backward)(const struct slice *slice, const real *o_grad,
                     const struct slice_grad *grad);

    /* Numbers for each token and head that need all channels of x: `extra` of them, as
     * one product with the first tensor of the core, (extra H, C), whose columns meet
     * x plus the vectors that follow it, where there are any (model/gdn.h).  0: none. */
    size_t (*extra)(const struct mixer_config *config);

    /* One token of one head, T = 1; NULL without MIXER_STEP. */
    size_t (*state)(const struct mixer_config *config, size_t N);
    void (*step)(const struct slice *slice, real *o, real *state);
};

/* What struct mixer asks for, in a core that has slices. */
void *slices_tape(const struct mixer_config *config, size_t B, size_t T,
                  struct arena *arena);
void *slices_work(const struct mixer_config *config, size_t B, size_t T, bool training,
                  struct arena *arena);
void slices_forward(const struct mixer_call *call, const real *theta,
                    const struct core_io *io, void *tape, void *work);
void slices_backward(const struct mixer_call *call, const real *theta, real *dtheta,
                     const struct core_io *io, const struct core_grad *grad, void *tape,
                     void *work);
size_t slices_state_size(const struct mixer_config *config);
size_t slices_step_work_size(const struct mixer_config *config);
void slices_step(const struct mixer_config *config, const real *theta,
                 const struct core_token *token, real *state, real *work);

#endif
