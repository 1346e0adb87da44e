/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * newcomer.h -- how far a series swings that came after the training.
 *
 * Bands are counted in a series' own deviation.  One or two values have none, and a few
 * of the same hour have little of what a day brings: a series that is new would seem to
 * stand still.  So as long as less than a season and a horizon have been seen, what is
 * unseen of them is taken to swing as those do that the model knows, for its size:
 *
 *     unit^2 = seen/enough deviation^2 + (1 - seen/enough) (share (|mean| + deviation))^2
 *
 * share: the median, over the model's series, of sd / (|mean| + sd), which no unit of
 * measurement changes.  Of one that stands at 0, whose size says nothing, sd: the median of
 * theirs.
 */
#ifndef NEWCOMER_H
#define NEWCOMER_H

#include <stddef.h>

struct newcomer {
    double share, sd;
};

struct newcomer newcomer_of(const double *mean, const double *sd, size_t series);

/* deviation: of all that was seen, NaN of fewer than two values. */
double newcomer_unit(const struct newcomer *n, double mean, double deviation, size_t seen,
                     size_t enough);

#endif
