/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * branch.h -- one of the two branches of the network, on the real or on the imaginary
 * part of the spectrum.
 *
 *     u = w_in (spectrum of the lifted series, D F) + b_in       (R,C)
 *     u = encoder layers (u)                                     tokens are the series
 *     y = w_out LayerNorm(u) + b_out                             (R, D F)
 *
 * The lift has rank one: bin f of channel d is e[d] times bin f of the series itself.
 * So w_in folds into a (C,F) matrix, sum over d of e[d] w_in[:, d F + f], which reads
 * the plain spectrum; w_in and e get their gradients from that of the folded one by the
 * product rule.  Exact, and D times less work.
 *
 * Rows are series, or their patches, whose spectra are then those of the patches; for
 * the branch it is the same.  With `embed` each of the D copies is a token: R rows of z
 * become R D tokens, u = e[d] w_in z + b_in with w_in (C,F), and w_out is (F,C).
 */
#ifndef BRANCH_H
#define BRANCH_H

#include "model/encoder.h"
#include "model/linear.h"

struct branch_config {
    struct encoder_config encoder;
    size_t layers, D, F;
    bool embed; /* the D copies are tokens of their own */
};

struct branch_tape;

struct branch_call {
    const struct branch_config *config;
    size_t B, T; /* B T = R, or R D with embed */
    struct threads *pool;
    struct rng_stream stream; /* uses BRANCH_PLACES purposes from this one on */
    double p;
};

enum { BRANCH_LAYERS_MAX = 16, BRANCH_PLACES = BRANCH_LAYERS_MAX * ENCODER_PLACES };

void branch_params(const struct branch_config *config, struct tensors *tensors,
                   const char *prefix);
size_t branch_size(const struct branch_config *config);

/* Without training all layers share one tape. */
struct branch_tape *branch_tape(const struct branch_config *config, size_t B, size_t T,
                                bool training, struct encoder_work *work,
                                struct arena *arena);

/* y (R, D F) from the plain spectrum z (R,F) and the lift e (D). */
void branch_forward(const struct branch_call *call, const real *theta, const real *e,
                    const real *z, real *y, struct branch_tape *tape);

/* The same in two halves, for who has them multiplied out (model/fold.h): in (C,F) is
 * w_in folded over the lift; the result is LayerNorm(u), (B T, C), kept in the tape; the
 * last map is that of y, branch_out() wide. */
void branch_fold(const struct branch_config *config, struct threads *pool,
                 const real *theta, const real *e, real *in);
const real *branch_hidden(const struct branch_call *call, const real *theta,
                          const real *e, const real *in, const real *z,
                          struct branch_tape *tape);
size_t branch_out(const struct branch_config *config);

/* One token of one sequence: y (D F) from z (F), without dropout and without embed; in as
 * above.  state: those of the layers, one after the other; zeroed, it is the beginning.
 * Sizes in reals. */
size_t branch_state_size(const struct branch_config *config);
size_t branch_step_work_size(const struct branch_config *config);
void branch_step(const struct branch_config *config, const real *theta, const real *in,
                 const real *z, real *y, real *state, real *work);

struct linear_map branch_last_map(const struct branch_config *config, const real *theta);

/* dz (R,F), de (D), dtheta are added to. */
void branch_backward(const struct branch_call *call, const real *theta, const real *e,
                     const real *z, const real *dy, real *dz, real *de, real *dtheta,
                     struct branch_tape *tape);

#endif
