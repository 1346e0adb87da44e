/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * network.h -- the FRWKV network: a window of L steps of V series in, P steps out.
 *
 * Section 1 of the specification in docs/model.md; the paper is "FRWKV:
 * Frequency-Domain Linear Attention for Long-Term Time Series Forecasting".
 * Instance normalisation, rank-one lift, real FFT, one encoder on the real and one
 * on the imaginary part with the series as tokens, inverse FFT, a three-layer head,
 * denormalisation.
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
#include "model/tensors.h" /* struct tensor */

struct mixer;
struct threads;

struct network_config {
    size_t L, V, P;      /* look-back, series (tokens), horizon */
    size_t C, Fd, H, D;  /* width, feed-forward width, heads, lift */
    size_t layers, rank; /* rank 0: max(64, C/8) */
    const struct mixer *mixer;
    double dropout;   /* p; the parts of it as in the specification */
    bool out_dropout; /* drop points of the forecast itself (parity) */
};

/* Dropout of one training step; NULL in forward means none. */
struct dropout_step {
    uint64_t seed;
    uint32_t step;
};

struct network;

/*
 * Work space for batches of up to max_batch windows; with `training`, also for the
 * backward pass.  ERR_INVALID names the field and the rule, ERR_NO_MEMORY.  The pool
 * is borrowed and may be NULL.
 */
struct network *network_new(const struct network_config *config, size_t max_batch,
                            bool training, struct threads *pool, struct err *err)
    __attribute__((warn_unused_result));
void network_free(struct network *network);

const struct network_config *network_config(const struct network *network);
size_t network_tensors(const struct network *network);
const struct tensor *network_tensor(const struct network *network, size_t index);

/* Reals in the flat array. */
size_t network_size(const struct network *network);
/* The number of parameters that take part, or that the paper counts (the formula of
 * specification 1.2 without the two unused vectors). */
size_t network_params(const struct network *network);

/* Fills theta with initial values, a function of seed alone. */
void network_init(const struct network *network, real *theta, uint64_t seed);

/*
 * y (B,P,V) = f(x (B,L,V)).  x has no missing values.  With a dropout step it also
 * keeps what network_backward() needs.  B <= max_batch.  Each sample's output does not
 * depend on B, on the other samples, or on the number of threads, bit for bit.
 * Allocates nothing.
 */
void network_forward(struct network *network, const real *theta, const real *x, size_t B,
                     real *y, const struct dropout_step *dropout);

/* As above without dropout, but keeps what network_backward() needs (tests). */
void network_forward_keep(struct network *network, const real *theta, const real *x,
                          size_t B, real *y);

/*
 * dtheta += gradient for dy (B,P,V) at the last kept forward pass.  dx (B,L,V) gets the
 * gradient of the input when it is not NULL (tests; mean and deviation of the
 * instance normalisation count as constants, as in the reference).
 */
void network_backward(struct network *network, const real *theta, const real *dy,
                      real *dtheta, real *dx);

#endif
