/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mixer.h -- what a token mixer is to the encoder: one row of a table.
 *
 * A mixer maps x (B,T,C) to y (B,T,C) and is where tokens see each other.  It owns its
 * projections, its core and its output map; the encoder owns residual, norms and
 * feed-forward.  C = H N: H heads of size N.  T counts tokens, which here are series.
 *
 * Arrays of B T rows have linear_rows(B T) of them (model/linear.h).  Parameters are one
 * block, theta, in the order in which params() reports them.  Nothing is allocated
 * inside forward, backward and step: what they need is carved beforehand.
 */
#ifndef MIXER_H
#define MIXER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/real.h"
#include "model/dropout.h"
#include "model/tensors.h"

struct threads;

struct mixer_config {
    size_t C, H; /* width, heads; C = H N */
    size_t rank; /* of low-rank maps */
};

enum mixer_flag {
    MIXER_ORDER_FREE = 1, /* permuting tokens permutes outputs */
    MIXER_CAUSAL = 2,     /* token t depends on tokens 0..t only */
    MIXER_STEP = 4,       /* has a step() with a state of constant size */
    MIXER_BATCHSTAT = 8,  /* one sample's output depends on its batch */
};

/* What forward and backward are called with, the same for both. */
struct mixer_call {
    const struct mixer_config *config;
    size_t B, T;
    struct threads *pool;
    const struct dropout *dropout; /* of the output */
};

struct mixer {
    const char *name;
    unsigned (*flags)(const struct mixer_config *config);

    /* ERR_INVALID names the field that this mixer cannot have. */
    int (*check)(const struct mixer_config *config, struct err *err);

    /* Appends its tensors, named prefix.*. */
    void (*params)(const struct mixer_config *config, struct tensors *tensors,
                   const char *prefix);
    size_t (*size)(const struct mixer_config *config); /* reals of theta */

    /* What forward keeps for backward, and scratch: for calls of up to B, of T tokens.
     * Run on a measuring arena first (base/arena.h), where they return NULL.  Without
     * training, work serves forward alone. */
    void *(*tape)(const struct mixer_config *config, size_t B, size_t T,
                  struct arena *arena);
    void *(*work)(const struct mixer_config *config, size_t B, size_t T, bool training,
                  struct arena *arena);

    void (*forward)(const struct mixer_call *call, const real *theta, const real *x,
                    real *y, void *tape, void *work);

    /* dx and dtheta are added to. */
    void (*backward)(const struct mixer_call *call, const real *theta, const real *x,
                     const real *dy, real *dx, real *dtheta, void *tape, void *work);

    /* One token of one sequence; NULL without MIXER_STEP.  A zeroed state is the
     * beginning.  Sizes in reals. */
    size_t (*state_size)(const struct mixer_config *config);
    size_t (*step_work_size)(const struct mixer_config *config);
    void (*step)(const struct mixer_config *config, const real *theta, const real *x,
                 real *y, real *state, real *work);
};

/* The mixer of that name; ERR_INVALID names those there are. */
const struct mixer *mixer_find(const char *name, struct err *err);

#endif
