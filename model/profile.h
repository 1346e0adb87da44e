/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * profile.h -- the mean of the last cycles, position by position.
 *
 * A cycle is one season, or seven (of hours: a day or a week).  Without a season it is
 * one step, and the profile the mean of the last values.  What is missing in one cycle
 * is left out of its position's mean; a position no cycle has is answered by
 * seasonal_naive.
 */
#ifndef PROFILE_H
#define PROFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "model/panel.h"

enum { PROFILE_LONG = 7 }; /* seasons of a long cycle */

/* How one series is averaged. */
struct profile {
    unsigned char cycles;  /* 1 .. 255, the last so many */
    unsigned char seasons; /* of a cycle: 1 or PROFILE_LONG */
};

/* Where nothing could be chosen: four seasons. */
extern const struct profile profile_default;

/* Rows looked back at. */
size_t profile_reach(struct profile profile, size_t season);

/* Whether a file may say so. */
bool profile_is_valid(struct profile profile);

/* The profile itself: out (seasons x season), the mean for the step j rows after the
 * origin at out[j]; NAN where no cycle has it. */
void profile_cycle(const struct panel *panel, struct profile profile, size_t season,
                   size_t row, size_t col, double *out);

/*
 * Chooses for each series of the panel, by the mean absolute error over origins spread
 * evenly over rows [0, to), each forecasting P steps, no target at or past `to`; the
 * shorter reach on a tie.  All lengths are compared on the same origins, those with
 * half of the rows before them, so a length beyond that half is out.  chosen has room
 * for cols + 1: the last is the choice for all series together.
 */
void profile_choose(const struct panel *panel, size_t P, size_t season, size_t to,
                    struct profile *chosen);

#endif
