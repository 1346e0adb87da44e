/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * adamw.h -- Adam with decoupled weight decay.
 *
 * Loshchilov, Hutter: "Decoupled Weight Decay Regularization", ICLR 2019.
 *     p -= lr wd p;  m += (1-b1)(g - m);  v += (1-b2)(g^2 - v)
 *     p -= lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps)
 * One flat loop over parameters, gradients and moments of the same layout.
 */
#ifndef ADAMW_H
#define ADAMW_H

#include <stdint.h>

#include "base/real.h"
#include "model/network.h"

struct threads;

struct adamw {
    double learning_rate, beta1, beta2, epsilon, weight_decay;
    bool decay_all;       /* every used tensor; else those whose tensor says so */
    struct threads *pool; /* shares out the tensors; may be NULL */
};

/* One step, t counted from 1, on every used tensor of the network; the others stay. */
void adamw_step(const struct adamw *adamw, const struct network *network, real *theta,
                const real *dtheta, real *m, real *v, uint64_t t);

#endif
