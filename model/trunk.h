/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trunk.h -- what stands around a core: from x to queries, keys and values, and from the
 * core's outputs to y.
 *
 * trunk_frwkv, "FRWKV: Frequency-Domain Linear Attention for Long-Term Time Series
 * Forecasting", with mlp(x) = W2 gelu(W1 x + b1) + b2 and sg the logistic function:
 *
 *     q = mlp_r(x + mu_r)    k = mlp_k(x + mu_k)    v = mlp_v(x + mu_v)
 *     g = sg(gate_b gate_a (x + mu_g))
 *     decay = decay_b decay_a (x + mu_d) + decay_bias     for cores with MIXER_MAPS
 *     rate  = rate_b rate_a (x + mu_a) + rate_bias        likewise
 *     o = core(q, k, v, decay, rate) + 0.2 (q . k) bonus v, the dot product by head
 *     y = drop(mlp_o(LayerNorm(o) g))
 *
 * The vectors mu are added, not mixed in from the token before, and q, k, v and the
 * output are two-layer maps.  The tensors of the first maps follow each other, so they
 * are one product of M rows; adding mu to x is adding W1 mu to the bias.
 *
 * trunk_native, the projections of the cores' sources: q, k, v = W x + b, y = drop(Wo o +
 * bo).  With MIXER_CONV: no biases, a causal convolution of width 4 and SiLU on q, k and v, and
 * an output normalised by head and gated (model/trunk_native.c).
 */
#ifndef TRUNK_H
#define TRUNK_H

#include "model/core.h"

/* The functions of mixer.h without those of the core. */
struct trunk {
    int (*check)(const struct mixer_config *config, struct err *err);
    void (*params)(const struct mixer_config *config, struct tensors *tensors,
                   const char *prefix);
    size_t (*size)(const struct mixer_config *config);
    void *(*tape)(const struct mixer_config *config, size_t B, size_t T,
                  struct arena *arena);
    void *(*work)(const struct mixer_config *config, size_t B, size_t T, bool training,
                  struct arena *arena);
    void (*forward)(const struct mixer_call *call, const real *theta, const real *x,
                    real *y, void *tape, void *work);
    void (*backward)(const struct mixer_call *call, const real *theta, const real *x,
                     const real *dy, real *dx, real *dtheta, void *tape, void *work);
    /* Beside the core's: its state comes after the trunk's, as does its scratch. */
    size_t (*state_size)(const struct mixer_config *config);
    size_t (*step_work_size)(const struct mixer_config *config);
    void (*step)(const struct mixer_config *config, const real *theta, const real *x,
                 real *y, real *state, real *work);
};

extern const struct trunk trunk_frwkv, trunk_native;

#endif
