/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plot.h -- the past and the forecast of one series, drawn with characters.
 *
 * In UTF-8 the lines are braille dots, two by four in each character, and the band is
 * a light shade; in ASCII they are ".", "*" and ":".
 */
#ifndef PLOT_H
#define PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Missing values (NaN) leave a gap. */
struct plot {
    const double *past; /* past_count steps up to now */
    size_t past_count;
    const double *low, *mid, *high; /* of the next steps: a band and its middle */
    size_t next_count;
    size_t width, height; /* characters, axis labels included */
    bool utf8;
};

/* Draws height lines with the largest and smallest value at their left and a bar
 * between past and forecast.  Draws nothing when there is no value at all. */
void plot_print(const struct plot *plot, FILE *out);

#endif
