/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * core.h -- one row of the mixers' table: how queries, keys and values become outputs.
 *
 * A core is one file that defines a `struct mixer`.  Most are loops over one head of one
 * sample: they say so with model/slices.h, which cuts the batch, and have nothing to do
 * with threads, strides, directions or trunks.
 */
#ifndef CORE_H
#define CORE_H

#include "model/mixer.h"

struct slices;

enum { CORE_TENSORS_MAX = 12, CORE_DIMS = 8 };

/* The tensors of a core of its own, for one configuration.  dims[0] is 1. */
struct core_tensors {
    struct tensor_row row[CORE_TENSORS_MAX];
    bool by_head[CORE_TENSORS_MAX]; /* an equal part belongs to each head */
    size_t count, dims[CORE_DIMS];
};

/* Inputs and output of a call, each (R,C) with R = B T. */
struct core_io {
    const real *x; /* what the mixer was given */
    const real *q, *k, *v;
    real *decay, *rate; /* with MIXER_MAPS: the maps, which forward may turn into what
                             backward wants of them */
    const real *xi, *alpha, *bonus; /* (C), with MIXER_MAPS: of the trunk */
    real *o;
};

/* Gradients at them: dq, dk, dv, d_decay and d_rate are set, all others added to. */
struct core_grad {
    const real *d_o;
    real *dx, *dq, *dk, *dv, *d_decay, *d_rate;
    real *dxi, *dalpha, *dbonus;
};

/* One token: vectors of C reals. */
struct core_token {
    const real *x, *q, *k, *v, *decay, *rate;
    const real *xi, *alpha, *bonus;
    real *o;
};

struct mixer {
    const char *name;
    unsigned (*flags)(const struct mixer_config *config);

    /* ERR_INVALID names the field; NULL: anything will do. */
    int (*check)(const struct mixer_config *config, struct err *err);

    /* Fills a zeroed list; NULL: it has none. */
    void (*tensors)(const struct mixer_config *config, struct core_tensors *tensors);

    /* Loops over one head of one sample, or NULL for a core with all functions below. */
    const struct slices *slices;

    /* As in mixer.h; theta and dtheta are those of the core's own tensors. */
    void *(*tape)(const struct mixer_config *config, size_t B, size_t T,
                  struct arena *arena);
    void *(*work)(const struct mixer_config *config, size_t B, size_t T, bool training,
                  struct arena *arena);
    void (*forward)(const struct mixer_call *call, const real *theta,
                    const struct core_io *io, void *tape, void *work);
    void (*backward)(const struct mixer_call *call, const real *theta, real *dtheta,
                     const struct core_io *io, const struct core_grad *grad, void *tape,
                     void *work);

    /* NULL without MIXER_STEP. */
    size_t (*state_size)(const struct mixer_config *config);
    size_t (*step_work_size)(const struct mixer_config *config);
    void (*step)(const struct mixer_config *config, const real *theta,
                 const struct core_token *token, real *state, real *work);
};

/* These call the core's own functions, or those of its slices. */
void *core_tape(const struct mixer_config *config, size_t B, size_t T,
                struct arena *arena);
void *core_work(const struct mixer_config *config, size_t B, size_t T, bool training,
                struct arena *arena);
void core_forward(const struct mixer_call *call, const real *theta,
                  const struct core_io *io, void *tape, void *work);
void core_backward(const struct mixer_call *call, const real *theta, real *dtheta,
                   const struct core_io *io, const struct core_grad *grad, void *tape,
                   void *work);
void core_step(const struct mixer_config *config, const real *theta,
               const struct core_token *token, real *state, real *work);

struct core_tensors core_tensors(const struct mixer_config *config);
/* offset[i] of each of the core's tensors; returns the reals in all. */
size_t core_layout(const struct mixer_config *config, size_t *offset);

/* Copies what a carving function made into the arena; NULL while measuring. */
void *core_keep(struct arena *arena, const void *what, size_t size);

#endif
