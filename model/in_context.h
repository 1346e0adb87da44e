/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * in_context.h -- a forecast out of a series' own recent history, without training.
 *
 * History less its profile is cut into pairs of lags and what followed them, and one
 * layer of linear attention with weights in closed form (attention.h) reads the next
 * horizon off those pairs.  How much of that a series needs is chosen on its own past:
 *
 *     profile    the profile alone
 *     level      plus what the last value, the last season and the lags' mean say of
 *                the level, by a regression over the pairs
 *     descent    plus one step of preconditioned gradient descent on what is left
 *     weighted   the same, recent pairs weighing more
 *     ridge      ridge regression on the last lags instead
 *
 * An answer that is no number, or further from what was seen than three times its
 * range, is replaced by the profile's, as is one from fewer than LEAST pairs.
 */
#ifndef IN_CONTEXT_H
#define IN_CONTEXT_H

#include <stddef.h>

#include "model/panel.h"
#include "model/profile.h"

enum in_context_kind {
    IN_CONTEXT_PROFILE,
    IN_CONTEXT_LEVEL,
    IN_CONTEXT_DESCENT,
    IN_CONTEXT_WEIGHTED,
    IN_CONTEXT_RIDGE,
    IN_CONTEXT_KINDS
};

/* Rows looked back at, at most. */
size_t in_context_reach(struct profile profile, size_t season, size_t horizon);

/*
 * Chooses for each series of the panel by the mean absolute error of P steps from a few
 * origins spread over rows [to/2, to), no target at or past `to`; the simpler on a tie.
 * profiles (cols + 1) as of profile_choose(); chosen has room for cols + 1 kinds, the
 * last for all series together.
 */
void in_context_choose(const struct panel *panel, const struct profile *profiles,
                       size_t P, size_t season, size_t to, unsigned char *chosen);

#endif
