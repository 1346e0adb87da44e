/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * network_inner.h -- what a network is made of: for network.c and network_state.c alone.
 */
#ifndef NETWORK_INNER_H
#define NETWORK_INNER_H

#include "base/arena.h"
#include "model/branch.h"
#include "model/fold.h"
#include "model/head.h"
#include "model/lift.h"
#include "model/network.h"
#include "model/raster.h"
#include "model/tensors.h"

struct step_work;

enum { REAL_BRANCH, IMAG_BRANCH, BRANCHES };
enum { GAIN, BIAS, E, TENSORS };
enum { SKIP_W, SKIP_B, SKIP_TENSORS };

struct network {
    struct network_config config;
    size_t max_batch;
    bool training;
    struct threads *pool;

    struct tensors tensors;
    size_t at[TENSORS], at_branch[BRANCHES], at_head; /* offsets in theta */
    size_t at_cycle, at_skip[SKIP_TENSORS], at_gate;
    struct branch_config branch_config;
    struct head_config head_config;
    struct fold_shape fold_shape;
    struct raster raster;
    size_t samples, tokens; /* what mixers see of one window: samples of tokens each */
    real one, unused;       /* e, and its gradient, of a network without a lift */

    /* What the last kept forward pass was called with. */
    const real *x; /* less the cycle */
    const uint32_t *phase;
    size_t B;
    double p;
    struct dropout_step step;

    struct arena arena; /* all below */
    struct lift lift;
    real *level, *d_level;                               /* (B,L,V), with a season */
    real *z, *mean, *scale;                              /* (R,L), (R) */
    real *spectrum[BRANCHES], *d_spectrum[BRANCHES];     /* (R,F) */
    real *branch_out[BRANCHES], *d_branch_out[BRANCHES]; /* (R,D F) */
    real *h, *out, *straight;                            /* (R,L D), (R,P), with skip */
    real *d_z, *d_h, *d_out;
    real *beside; /* (R, L + 2 K C), not training: see fold.h */
    struct encoder_work *encoder_work;
    struct branch_tape *branch[BRANCHES];
    struct head_tape *head;
    real *gated[BRANCHES]; /* (R,D F), with a gate */
    struct gate_tape *gate;
    real *tokens_in, *tokens_out; /* (R K, patch), (R K, patch D), with stream */
    struct step_work *step_work;  /* likewise, not training: network_state.c's */
};

struct network_fold {
    struct fold fold; /* of a network that streams: its first maps alone */
};

/* e, or 1 without a lift. */
const real *network_lift(const struct network *n, const real *theta);

/* The ends of every forward pass: z, mean and scale from B windows x, with their phases;
 * and y from the head's input h. */
void network_begin(struct network *n, const real *theta, const real *x,
                   const uint32_t *phase, size_t B);
void network_finish(struct network *n, const real *theta, real *y);

/* Of windows of one series, token by token; from states where there are any. */
void network_forward_by_token(struct network *n, const real *theta,
                              const struct network_fold *fold, const real *const *state,
                              const real *x, const uint32_t *phase, size_t B, real *y);

/* Run on a measuring arena first. */
struct step_work *step_work(const struct network *n, struct arena *arena);

#endif
