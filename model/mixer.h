/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mixer.h -- the token mixer as the encoder sees it: a trunk around a core.
 *
 * A mixer maps x (B,T,C) to y (B,T,C) and is where tokens see each other.  It owns its
 * projections, its core and its output map; the encoder owns residual, norms and
 * feed-forward.  C = H N: H heads of size N.  Tokens are series, copies of one series'
 * spectrum, or patches of it (model/branch.h).
 *
 * The core, a row of a table by the name of the mixer, is what tokens pass through to
 * each other: queries, keys and values in, outputs out (model/core.h).  The trunk is what
 * stands around it (model/trunk.h): FRWKV's own, so that cores can be compared, or the
 * projections of each core's source.
 *
 * Parameters are one block, theta, in the order in which mixer_params() reports them.
 * Nothing is allocated inside forward, backward and step: what they need is carved
 * beforehand.
 */
#ifndef MIXER_H
#define MIXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/real.h"
#include "model/dropout.h"
#include "model/tensors.h"

struct core_io;
struct mixer;
struct mixer_call;
struct threads;

enum mixer_trunk { TRUNK_FRWKV, TRUNK_NATIVE };
enum mixer_dir { DIR_FWD, DIR_BWD, DIR_BI };

enum inline_local { LOCAL_NONE, LOCAL_ORDER3, LOCAL_KNN };
enum inline_phi { PHI_IDENTITY, PHI_RELU, PHI_LEAKY, PHI_EXP };
enum taylor2_mode { TAYLOR_NORM2, TAYLOR_DIAG, TAYLOR_SYM, TAYLOR_FULL };
enum luna_nonneg { LUNA_SOFTPLUS, LUNA_RELU };
enum luna_env { LUNA_FLAT, LUNA_EXP };
enum gdn_pattern { GDN_ALTERNATE, GDN_FUSE };

/* What only some cores have.  Each is a setting; its row in the settings' table says what
 * it does and between which bounds. */
struct mixer_options {
    bool rwkv7x_wide;
    enum inline_local inline_local;
    enum inline_phi inline_phi;
    enum taylor2_mode taylor2_mode;
    bool taylor2_shortcut, taylor2_beta, taylor2_pos;
    int luna_m, luna_lc, luna_hidden;
    enum luna_nonneg luna_nonneg;
    enum luna_env luna_env;
    bool luna_chrms, luna_per_head;
    int gdn_window, gdn_sinks, gdn_chunk;
    enum gdn_pattern gdn_pattern;
    bool gdn_rope, gdn_neg_eig;
    int h3_head, h3_shift_len, h3_state;
};

/* Looks on: what a core was given, of every call.  Diagnoses only. */
struct mixer_tap {
    void (*see)(void *ctx, const struct mixer_call *call, const struct core_io *io);
    void *ctx;
};

struct mixer_config {
    const struct mixer *mixer;
    enum mixer_trunk trunk;
    enum mixer_dir dir;
    size_t C, H;   /* width, heads; C = H N */
    size_t rank;   /* of the trunk's low-rank maps */
    size_t layer;  /* which of the encoder's, from 0 */
    size_t places; /* of tokens that have one each, patches: how many; else 0 */
    bool causal;   /* of a core that leaves the choice: token t sees 0..t only */
    struct mixer_options options;
    const uint32_t *order; /* (T) the tokens' order for a core that has one, or NULL */
    const uint32_t *near;  /* (T,2) of each token the two most like it, or NULL */
    const struct mixer_tap *tap; /* or NULL */
};

enum mixer_flag {
    MIXER_ORDER_FREE = 1, /* permuting tokens permutes outputs */
    MIXER_CAUSAL = 2,     /* token t depends on tokens 0..t only */
    MIXER_STEP = 4,       /* has a step with a state of constant size */
    MIXER_MAPS = 8, /* wants the trunk's decay and rate, and adds the bonus itself */
    MIXER_WIDE_DECAY = 16, /* wants a tanh inside the decay map, as RWKV-7 has it */
    MIXER_CONV = 32,       /* its native trunk has convolutions and a gate */
};

/* What forward and backward are called with, the same for both. */
struct mixer_call {
    const struct mixer_config *config;
    size_t B, T;
    struct threads *pool;
    const struct dropout *dropout; /* of the output */
};

/* The mixer of that name; ERR_INVALID names those there are. */
const struct mixer *mixer_find(const char *name, struct err *err);
/* The names there are, NULL past the end. */
const char *mixer_name(size_t index);

/* Flags of a core under this configuration; one that runs over its tokens in both
 * directions has no causal order. */
unsigned mixer_flags(const struct mixer_config *config);

/* Cores may differ between layers: layers of one kind have the same tensors, and scratch
 * and tapes of the same sizes.  Layer i, for i < MIXER_KINDS, is of kind i or a lower
 * one. */
enum { MIXER_KINDS = 2 };
size_t mixer_kind(const struct mixer_config *config);

/* ERR_INVALID names the field that this mixer cannot have. */
int mixer_check(const struct mixer_config *config, struct err *err);

/* Appends its tensors, named prefix.*. */
void mixer_params(const struct mixer_config *config, struct tensors *tensors,
                  const char *prefix);
size_t mixer_size(const struct mixer_config *config); /* reals of theta */

/* What forward keeps for backward, and scratch: for calls of up to B, of T tokens.  Run
 * on a measuring arena first (base/arena.h), where they return NULL.  Without training,
 * work serves forward alone. */
void *mixer_tape(const struct mixer_config *config, size_t B, size_t T,
                 struct arena *arena);
void *mixer_work(const struct mixer_config *config, size_t B, size_t T, bool training,
                 struct arena *arena);

void mixer_forward(const struct mixer_call *call, const real *theta, const real *x,
                   real *y, void *tape, void *work);

/* dx and dtheta are added to. */
void mixer_backward(const struct mixer_call *call, const real *theta, const real *x,
                    const real *dy, real *dx, real *dtheta, void *tape, void *work);

/* One token of one sequence, with MIXER_STEP.  A zeroed state is the beginning.  Sizes
 * in reals. */
size_t mixer_state_size(const struct mixer_config *config);
size_t mixer_step_work_size(const struct mixer_config *config);
void mixer_step(const struct mixer_config *config, const real *theta, const real *x,
                real *y, real *state, real *work);

#endif
