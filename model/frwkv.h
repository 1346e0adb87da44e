/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frwkv.h -- the network as a candidate: weights, work space, and batches.
 *
 * Used by one thread at a time; several can share one array of weights.
 */
#ifndef FRWKV_H
#define FRWKV_H

#include <stddef.h>

#include "base/err.h"
#include "base/real.h"
#include "model/chain.h"
#include "model/model.h"
#include "model/network.h"
#include "model/rhythm.h"

struct threads;

struct frwkv {
    struct network *network;         /* owned */
    const real *theta;               /* borrowed */
    const struct network_fold *fold; /* borrowed; of theta, or NULL */
    size_t batch, season;
    struct rhythm rhythm; /* owned */
    uint32_t *phase;      /* owned, as all below */
    real *x, *y;
};

/* The network a spec describes, for windows of width series with that season (1: none)
 * and that chain (NULL or empty: none), which it borrows.  ERR_INVALID names the setting
 * that breaks a rule. */
int frwkv_config(const struct model_spec *spec, size_t season, size_t width,
                 const struct chain *chain, struct network_config *config,
                 struct err *err);

/* For windows of width series, at most batch of them at once, and fewer of broad ones;
 * season is the one found or given, 1 for none. */
int frwkv_init(struct frwkv *frwkv, const struct model_spec *spec, size_t season,
               size_t width, const struct chain *chain, size_t batch, const real *theta,
               struct threads *pool, struct err *err);
void frwkv_fini(struct frwkv *frwkv);

#endif
