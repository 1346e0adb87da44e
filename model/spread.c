/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/spread.h"

#include <math.h>

#include "model/panel.h"

enum { ROWS_LEAST = 336 };

/* A series that stood still may move again, and one that leapt may stand. */
static const double deviation_least = 0.05, deviation_most = 20;

size_t spread_rows(size_t season, size_t horizon)
{
    const size_t rows = horizon > ROWS_LEAST ? horizon : ROWS_LEAST;
    return (rows + season - 1) / season * season;
}

double spread_of(const double *values, size_t rows, size_t stride, double sd)
{
    double mean;
    const double deviation = panel_deviation(values, rows, stride, &mean) / sd;
    if (isnan(deviation))
        return 1;
    return sqrt(fmin(fmax(deviation, deviation_least), deviation_most));
}
