/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * predicted.h -- how a forecast is called, and where its values stand in time, for
 * whoever reads metrics.
 *
 * The forecast of a series has all labels of the series, and
 *
 *     <metric>:predicted{forecaster="web",ml_forecast="yhat",...}
 *     <metric>:rate:predicted, <metric>:sum:predicted    where the grid is a rate or sum
 *
 *     ml_forecast="yhat"         the median
 *     ml_forecast="yhat_lower"   the least quantile, where it is below the median
 *     ml_forecast="yhat_upper"   the greatest, where it is above
 *     ml_forecast="quantile"     any other, with quantile="0.25"
 *
 * A label of the series with one of these names is called exported_forecaster and so on,
 * as Prometheus does it on a scrape.
 *
 * A value stands at the beginning of its step.  PromQL looks back five minutes, so there
 * is a point at least every four: between steps on the line from one value to the next,
 * or held where a line would be wrong (rates, sums, whole numbers).  The last step is
 * held to its end.
 */
#ifndef PREDICTED_H
#define PREDICTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/grid.h"
#include "base/labels.h"

enum { PREDICTED_GAP_MS = 240000 };

/* What the name of every forecast ends in. */
#define PREDICTED_SUFFIX ":predicted"

/* The labels of quantile `which` of the forecast of a series.  ERR_INVALID where it has
 * no room for them. */
int predicted_labels(const struct labels *series, const char *forecaster,
                     enum aggregate aggregate, const double *quantiles, size_t count,
                     size_t which, struct labels *out, struct err *err);

/* The labels of what is said about a series crossing a threshold: the metric's name goes on
 * with suffix; p NULL: none.  ERR_INVALID as above. */
int crossing_labels(const struct labels *series, const char *suffix,
                    const char *forecaster, const char *threshold, const char *p,
                    struct labels *out, struct err *err);

/* What an issue says, for which part of the time it counts, and where the question
 * begins: that hides points and adds none. */
struct predicted_span {
    int64_t first_ms, step_ms;
    const struct zone *zone; /* as in a grid */
    size_t steps;
    bool held;
    int64_t from_ms, to_ms; /* [from_ms, to_ms) */
    int64_t asked_ms;
};

/* One point: value[step] + weight * (value[step + 1] - value[step]); where weight is 0
 * there need be no next step. */
struct predicted_point {
    int64_t time_ms;
    size_t step;
    double weight;
};

/* When its last step ends. */
int64_t predicted_end_ms(const struct predicted_span *span);

/* The points of a span, ascending, the first at its very beginning; *out is the caller's
 * to free.  ERR_TOO_LARGE past most. */
int predicted_points(const struct predicted_span *span, size_t most,
                     struct predicted_point **out, size_t *count, struct err *err);

/* Of values with a stride between steps. */
double predicted_value(const struct predicted_point *point, const float *values,
                       size_t stride);

#endif
