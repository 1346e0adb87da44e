/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * score.h -- how good forecasts were, as sums that can be added up.
 *
 *     MSE, MAE    of the point forecast, in standardised units
 *     MASE        per series, MAE over the in-sample MAE of the seasonal naive on the
 *                 training part (Hyndman, Koehler 2006), then the mean over series; a
 *                 series whose seasonal naive is exact there has none
 *     WQL         2 sum of pinball losses / sum of |actual|, in the data's own units,
 *                 averaged over the quantiles 0.1 .. 0.9
 *     coverage80  share of actuals inside the quantiles 0.1 .. 0.9
 *
 * Missing actuals count nowhere, nor does a forecast that is NaN (nothing to forecast
 * from).
 */
#ifndef SCORE_H
#define SCORE_H

#include <stddef.h>

#include "model/model.h"
#include "model/panel.h"

enum { METRIC_QUANTILES = 9 };

/* The k-th of the quantiles 0.1 .. 0.9. */
double metric_quantile(int k);

struct score {
    double count, absolute, square; /* of point errors */
    double band_count, covered, pinball, size;
};

void score_add(struct score *score, const struct score *more);

/* quantiles and actual are in the data's own units. */
void score_band(struct score *score, const double quantiles[METRIC_QUANTILES],
                double actual);

/* In-sample MAE of the seasonal naive in rows [0, rows) of one column, in the panel's
 * units; 0 where there is none. */
double seasonal_error(const struct panel *panel, size_t col, size_t rows, size_t season);

/* The figures of one score per series (stride apart); scale (count) as of
 * seasonal_error(). */
void score_figure(struct model_figure *figure, const struct score *scores, size_t count,
                  size_t stride, const double *scale);

#endif
