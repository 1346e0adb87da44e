/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * distil.h -- the tensors that a core has of its own, fitted to what another core says.
 *
 * A network is run with the core that it was trained with.  At each of its mixers the
 * other core is asked the same, the same queries, keys and values, and its own tensors
 * (a feature map, say) take a step of Adam down the squared difference of the outputs.
 * Projections, norms and everything else stay, and layers do not see one another's
 * errors: the layerwise stage that InfiniteVL (2025) puts before fine-tuning.
 */
#ifndef DISTIL_H
#define DISTIL_H

#include <stdint.h>

#include "base/err.h"
#include "base/real.h"
#include "model/model.h"
#include "model/network.h"
#include "model/windows.h"

struct threads;

struct distil {
    const struct network_config *from, *to; /* alike but for the mixer and its options */
    const real *theta;                      /* of from */
    const struct windows *windows, *held;   /* to learn from; to measure on */
    uint64_t seed;
    const struct model_hooks *hooks; /* may be NULL */
    struct threads *pool;            /* may be NULL */
};

/*
 * theta (network_size() of `to`) becomes what both have in common, from's, and the initial
 * values of the rest, which is then fitted.  before, after: the squared difference of the
 * outputs on `held` by the outputs' own square; alike where there is nothing to fit.
 * ERR_CANCELLED, ERR_NO_MEMORY.
 */
int distil(const struct distil *distil, real *theta, double *before, double *after,
           struct err *err);

#endif
