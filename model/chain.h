/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chain.h -- which series of a joint model are alike: an order for mixers that know one,
 * and neighbours for inline's local residual.
 *
 * From the correlations of the fit part, missing values counting as the mean: the chain
 * begins with the series of the largest sum of |correlation| and goes on with the unused
 * one most correlated, in absolute value, with the last (ties: the earlier column).
 * Kept in the model, so that a forecast has the training's.
 */
#ifndef CHAIN_H
#define CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/panel.h"

struct chain {
    size_t V;        /* 0: there is none */
    uint32_t *order; /* (V) owned; series in the chain's order */
    uint32_t *near;  /* (V,2) owned; of each series the two most like it */
};

/* Whether a model of this spec has one. */
bool chain_wanted(const struct model_spec *spec);

/* From the first `rows` rows of a panel. */
int chain_init(struct chain *chain, const struct panel *panel, size_t rows,
               struct err *err);
void chain_fini(struct chain *chain);

int chain_copy(struct chain *to, const struct chain *from, struct err *err);

/* Whether order is a permutation and near are series: of a file, that is. */
bool chain_is_whole(const struct chain *chain);

#endif
