/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spread.h -- how wide a series has swung of late: what residuals are counted in.
 *
 * Errors grow and shrink with what a series does.  Residuals of the past, taken as they
 * are, make bands that are too wide in a calm month and too narrow in a restless one.
 * So they are kept in units of the spread before their origin, and bands are as many
 * times the spread before theirs (locally weighted conformal prediction: Lei, G'Sell,
 * Rinaldo, Tibshirani, Wasserman 2018, section 5.2).
 *
 * The spread is the square root of a deviation: on a logarithmic scale errors follow a
 * series' movement about half-way.
 */
#ifndef SPREAD_H
#define SPREAD_H

#include <stddef.h>

/* Rows it is taken over: two weeks of hours, or as many as are to come, in whole
 * seasons. */
size_t spread_rows(size_t season, size_t horizon);

/* Of rows values, stride apart, in units of sd, the deviation of the whole series.  Missing
 * ones are passed over; 1 where fewer than two are there.  A deviation counts as 0.05 at
 * least and 20 at most. */
double spread_of(const double *values, size_t rows, size_t stride, double sd);

#endif
