/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conformal.h -- how far actuals strayed from forecasts, as quantiles for the bands.
 *
 * Split conformal prediction (Vovk et al. 2005; Lei et al. 2018) per series and step
 * of the horizon: the quantile p of an answer is the point forecast plus the p-th
 * order statistic, counted in n + 1, of the most recent residuals (actual - forecast)
 * of a forecaster that had not seen them.  Rounded outwards: the floor of (n+1)p below
 * the median, the ceiling above it; past the ends the extreme residual serves.
 *
 * Two rules keep what is served what was judged, and monotone by construction: the
 * median is the point forecast itself, and offsets below it are never positive, above
 * it never negative.  A biased forecaster gets bands that are too wide, never a
 * median that nobody judged.
 *
 * Kept are KNOTS steps of the horizon (all of them up to that number) and LEVELS
 * quantiles; between them offsets are linear, which keeps the order.  With fewer than
 * POOL residuals at a step its neighbours' are used as well.
 */
#ifndef CONFORMAL_H
#define CONFORMAL_H

#include <stddef.h>

#include "base/err.h"

enum {
    BANDS_KNOTS_MAX = 64,
    BANDS_LEVELS = 19,
    BANDS_POOL = 64,
    BANDS_LOW = 4, /* the levels 0.1 and 0.9 */
    BANDS_HIGH = BANDS_LEVELS - 1 - BANDS_LOW,
};

struct bands {
    size_t series, P, knots;
    float *offset; /* (series, knots, BANDS_LEVELS), owned */
};

/* Number of steps kept of a horizon, and the step of knot k. */
size_t bands_knots(size_t P);
size_t bands_step(size_t k, size_t P);

/* Index of a level that is kept, or -1. */
int bands_level(double p);

/* The order statistic of n sorted residuals at a level, by the rules above; as sure as
 * if only `independent` of them, 1..n, said something of their own. */
float bands_order(const float *sorted, size_t n, double independent, int level);

/* All offsets zero. */
int bands_init(struct bands *bands, size_t series, size_t P, struct err *err);
void bands_fini(struct bands *bands);

/* Fits one series from residuals (count, knots), NaN missing, times scale.  Returns
 * how many there were; with none the offsets stay. */
size_t bands_fit(struct bands *bands, size_t series, const float *residuals, size_t count,
                 double scale);

/* What to add to the point forecast of step j for quantile p in (0, 1). */
double bands_offset(const struct bands *bands, size_t series, size_t j, double p);

#endif
