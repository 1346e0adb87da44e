/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * network.h -- the FRWKV network: a window of L steps of V series in, P steps out.
 *
 * After "FRWKV: Frequency-Domain Linear Attention for Long-Term Time Series
 * Forecasting".  With series as tokens, and rows meaning the series of all windows:
 *
 *   0. with a season: the window less a cycle learnt for each series   model/cycle.h
 *   1. z = the window, each series brought to mean 0 and deviation 1, scaled and
 *      shifted by what was learnt for it                               model/revin.h
 *   2. E = z lifted to D channels, E[t,d] = e[d] z[t]; R + i I = rfft(E), with
 *      F = L/2 + 1 bins                                                model/lift.h
 *   3. R' = R + branch(R), I' = I + branch(I): two branches of their own parameters,
 *      each a map from D F to C, encoder layers, a norm, a map back    model/branch.h
 *      An encoder layer mixes the series and then widens each          model/encoder.h
 *      The mixer is an entry of a table; rwkv7 is the paper's     model/mixer.h, rwkv7.h
 *      with a gate: R' and I' scaled by what each says of the other      model/gate.h
 *   4. h = E + irfft(R' + i I')                                        model/lift.h
 *   5. out = a three-layer map of each series' h (L D) to P values     model/head.h
 *      with `skip`: + S z + s, straight from the window; zero at first
 *   6. y = out with step 1 undone, then step 0: the cycle goes on
 *
 * What a token is, `axis`: a series, as above, so K = 1 token of each; a copy of the lift,
 * so K = D tokens by themselves of each series; or a patch, K = L / patch of them, whose
 * spectra are then those of the patches (steps 2 and 4 patch by patch).
 *
 * With `stream`, patches lie where the clock has them and not where the window begins, and
 * step 4 adds what became of them to the window: model/raster.h.  Such a network can be
 * run forward over a series once, each value as it comes, and asked at any time; see
 * network_state_push().
 *
 * With p the dropout: 0.5 p in three places of an encoder layer, 0.25 p inside the
 * mixer, 0.3 p and 0.2 p inside the head, 0.5 p on out (out_dropout).
 *
 * Parameters are one flat array of reals in the order of network_tensor(); gradients,
 * moments and shadows have the same layout, so optimisers and checkpoints are one
 * loop.  They live outside the network: a `struct network` is shape plus work space,
 * used by one thread at a time (its pool aside), and many of them can read one array.
 */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/real.h"
#include "model/gate.h"
#include "model/mixer.h"
#include "model/model.h"
#include "model/tensors.h" /* struct tensor */

struct threads;

struct network_config {
    size_t L, V, P;      /* look-back, series (tokens), horizon */
    size_t C, Fd, H, D;  /* width, feed-forward width, heads, lift */
    size_t layers, rank; /* rank 0: max(64, C/8) */
    const struct mixer *mixer;
    enum mixer_trunk trunk;
    enum mixer_dir dir;
    bool causal;
    struct mixer_options options;
    enum model_axis axis;
    size_t patch;                 /* steps of a token, for AXIS_PATCH */
    bool stream;                  /* model/raster.h */
    const uint32_t *order, *near; /* of series as tokens, or NULL; borrowed */
    const struct mixer_tap *tap;  /* or NULL; borrowed */
    double dropout;               /* p; see above for its parts */
    bool out_dropout;             /* drop points of the forecast itself (parity) */
    size_t season;                /* rows of the learnt cycle; 0: none */
    bool skip; /* a linear map from the window past everything to the forecast */
    struct gate_config gate; /* its sizes L, D and F are set by network_new() */
};

/* Dropout of one training step; NULL in forward means none. */
struct dropout_step {
    uint64_t seed;
    uint32_t step;
};

struct network;

/* Whether network_new() would take it, without allocating.  ERR_INVALID names the field
 * and the rule. */
int network_check(const struct network_config *config, size_t max_batch, struct err *err);

/*
 * Work space for batches of up to max_batch windows; with `training`, also for the
 * backward pass.  ERR_INVALID as above, ERR_NO_MEMORY.  The pool is borrowed and may be
 * NULL.
 */
struct network *network_new(const struct network_config *config, size_t max_batch,
                            bool training, struct threads *pool, struct err *err)
    __attribute__((warn_unused_result));
void network_free(struct network *network);

const struct network_config *network_config(const struct network *network);
size_t network_tensors(const struct network *network);
const struct tensor *network_tensor(const struct network *network, size_t index);

/* What network_new() would allocate; 0 where it would fail. */
size_t network_bytes(const struct network_config *config, size_t max_batch, bool training,
                     struct err *err);
/* Reals in the flat array. */
size_t network_size(const struct network *network);
/* What the paper counts, less the two vectors of D that its program has and never uses.
 */
size_t network_params(const struct network *network);

/* Brings back into their range the parameters that have one (model/gate.h); after each
 * update. */
void network_clamp(const struct network *network, real *theta);

/* Fills theta with initial values, a function of seed alone. */
void network_init(const struct network *network, real *theta, uint64_t seed);

/*
 * y (B,P,V) = f(x (B,L,V)).  x has no missing values; phase (B) says where in the season
 * each window's first target stands (model/cycle.h), with stream where in L steps, and is
 * not read without either.  Both
 * stay where they are until the backward pass of this batch is done.  B <= max_batch.
 * Each sample's output does not depend on B, on the other samples, or on the number of
 * threads, bit for bit.  Allocates nothing.
 */
void network_forward(struct network *network, const real *theta, const real *x,
                     const uint32_t *phase, size_t B, real *y,
                     const struct dropout_step *dropout);

/*
 * The same for forecasts, from what network_fold_new() multiplied out (model/fold.h): up
 * to rounding the outputs of network_forward() without dropout.  With a gate there is
 * nothing to multiply out, and they are these; with stream only the first maps are, and
 * tokens are taken one after the other.  Of a network made without `training`.
 */
struct network_fold;
struct network_fold *network_fold_new(const struct network *network, const real *theta,
                                      struct err *err)
    __attribute__((warn_unused_result));
void network_fold_free(struct network_fold *fold);
void network_forward_folded(struct network *network, const real *theta,
                            const struct network_fold *fold, const real *x,
                            const uint32_t *phase, size_t B, real *y);

/*
 * dtheta += gradient for dy (B,P,V) at the last forward pass, of a network made with
 * `training`.  dx (B,L,V) becomes the gradient of the input where it is not NULL; mean
 * and deviation of step 1 count as constants, as in the reference.  With stream it must be
 * NULL.
 */
void network_backward(struct network *network, const real *theta, const real *dy,
                      real *dtheta, real *dx);

/*
 * Streaming, of a network with `stream` and V = 1, made without `training`.
 *
 * A state is what one series leaves behind: its last L values and, for each of the two
 * beginnings of the last L steps, what the mixers carry and what the branches have said.
 * It is network_state_size() reals, whatever the length of the series, and all zeros
 * before its first value.  It depends on the last 2 L values alone, bit for bit.
 *
 * One thread at a time for a network, whatever the states.
 */
size_t network_state_size(const struct network *network); /* reals; 0 without stream */

/* The value of a step, NaN: missing; phase is the step modulo L.  No step is left out. */
void network_state_push(struct network *network, const real *theta,
                        const struct network_fold *fold, real *state, uint32_t phase,
                        real value);
/* The same where L steps or more are still to come: the value alone is kept. */
void network_state_note(const struct network *network, real *state, uint32_t phase,
                        real value);

/*
 * y (B,P): network_forward_folded() of the windows that end with the last values pushed to
 * B states, at least L each, bit for bit; phase, of the first target, modulo L, is that of
 * all.  Missing values count as in windows_input() of a stream (model/windows.h).
 */
void network_state_forward(struct network *network, const real *theta,
                           const struct network_fold *fold, const real *const *state,
                           uint32_t phase, size_t B, real *y);

#endif
