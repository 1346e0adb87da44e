/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * level.h -- a level that has just moved is followed.
 *
 * Every forecaster but the simplest looks back over weeks.  A series that has stood 40
 * higher since this morning, by a new release or a second client, would be forecast at the
 * level of those weeks; so what came before the move is raised by as much, and all of them
 * go on from where the series is.
 *
 * Values are compared with those a lag before, the season or two, four, ... of them.  Where
 * the newest three differ to one side, the move began where the sum of all newer
 * differences less half of the middle one is largest (the cumulative sum of Page 1954), and
 * its size is their mean.  It is believed if it is 2.5 times the mean of any as many in a
 * row before, and 1.5 times what any three in a row agreed on: so the longer it has lasted,
 * the smaller it may be, and what has happened before is left to the candidates, who were
 * judged with it, on history as it was.
 *
 * Walking through ETTh1 but for its test part, seven series with 28 days to look back at,
 * 446 of 75,775 origins are told to have moved (Tsay 1988 calls it a level shift).  Of them
 * the error of `profile` falls from 2.87 to 0.83 for 24 steps, counted in the mean
 * difference of two days, from 2.90 to 1.18 for 96, and from 2.93 to 2.69 for 336.
 */
#ifndef LEVEL_H
#define LEVEL_H

#include <stdbool.h>
#include <stddef.h>

/* Raises the older of rows values, stride apart, NAN missing, if the level has just moved:
 * then true.  Of fewer than four seasons nothing can be told. */
bool level_follow(double *values, size_t rows, size_t stride, size_t season);

#endif
