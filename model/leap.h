/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * leap.h -- values that are not believed.
 *
 * One slip of a sensor, a million times what its series does, would be in the mean and the
 * deviation, in every average it falls into and in every window that looks back at it, and
 * hide what candidates differ by.  It says nothing of what comes next, so whoever forecasts
 * takes it as missing.
 *
 * Not believed is a value that leaps further than a limit from the one before, where that
 * one had not leapt itself.  So of a new level only the first value is lost, and of a
 * series that has come to life hardly any; and what is believed of a value depends on none
 * that came after it, but of the very first.
 *
 * The limit is ten times the eighth largest leap, of more than 1,344 values that which one
 * in 168 exceeds; or ten times the largest after which a series stayed, if that is more.  A
 * slip leaps there and back, so that three of them, or one in 336 values, leave the limit
 * where it was.  What happens more often (once a week, of hours) is something a series
 * does, and so is a level that moved once.  (As the identifier of Hampel, with a scale that what is
 * looked for cannot move: Davies, Gather 1993.  From one value to the next, as a level may
 * shift.)
 */
#ifndef LEAP_H
#define LEAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/grid.h"

struct leap {
    double limit, last; /* the value before, believed or not; NAN: there was none */
    bool leapt;         /* it had leapt */
};

/* The next value, or NAN if it is missing or not believed. */
double leap_take(struct leap *leap, double x);

/* Of count values, stride apart; infinite where so many have not leapt. */
double leap_limit(const double *values, size_t count, size_t stride);

/* out is the grid with only what is believed by limits (cols).  All but out->values, which
 * the caller frees, is the grid's own. */
int leap_grid(const struct grid *grid, const double *limits, struct grid *out,
              struct err *err);

#endif
