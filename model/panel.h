/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * panel.h -- a grid on one scale, and the places in it to forecast from.
 *
 * Every series is standardised by mean and biased standard deviation of the panel's
 * first rows (the fit part), so that no figure knows what comes later.  A series that
 * is constant there keeps its unit (deviation 1), one that is absent there also mean
 * 0.  Values that are not finite count as missing; none is further than 1e30 deviations
 * from the mean.
 *
 * width is what one window holds: all series (GROUP_JOINT) or one (GROUP_EACH), where
 * windows are (series, row) pairs and nothing is sized by the number of series.
 */
#ifndef PANEL_H
#define PANEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/grid.h"
#include "model/model.h"

struct panel {
    size_t rows, cols, width;
    int64_t first_step; /* of row 0, in steps since 1970 */
    double *z;          /* rows x cols, NaN missing; owned */
    double *mean, *sd;  /* cols, owned */
};

/* An instant to forecast from: history is rows [0, row) of columns col .. col+width-1,
 * targets begin at row. */
struct origin {
    uint32_t row, col;
};

/* Standardises grid by its first scale_rows rows. */
int panel_init(struct panel *panel, const struct grid *grid, enum model_group group,
               size_t scale_rows, struct err *err);
/* The same of what is believed, the rest is missing: model/leap.h.  limits (cols), by those
 * rows. */
int panel_believe(struct panel *panel, const struct grid *grid, enum model_group group,
                  size_t scale_rows, double *limits, struct err *err);
void panel_fini(struct panel *panel);

/* Steps since 1970 of row 0 of a grid, by the clock of its zone. */
int64_t panel_first_step(const struct grid *grid);

/* Where in a season a row stands: its absolute step modulo the season, which is 1 or
 * more.  row may be that of a target. */
uint32_t panel_phase(const struct panel *panel, size_t row, size_t season);

/* Mean and biased deviation of count values, stride apart; missing ones skipped.  The
 * deviation is 0 where they stand still, NAN of fewer than two. */
double panel_deviation(const double *values, size_t count, size_t stride, double *mean);
/* The same as a scale: a deviation of 0 or NAN is 1. */
void panel_scale(const double *values, size_t count, size_t stride, double *mean,
                 double *sd);

/*
 * The season most of the series show in rows [0, rows): the most common dominant
 * period above 1, the shorter on a tie; periods beyond a quarter of the rows, or beyond
 * MODEL_LOOKBACK_MAX, count as none.  1 where no series has one.  At most 64 series,
 * evenly spread, are looked at.
 */
size_t panel_season(const struct panel *panel, size_t rows);

#endif
