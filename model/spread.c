/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/spread.h"

#include <math.h>

enum { ROWS_LEAST = 336 };

/* A series that stood still may move again, and one that leapt may stand. */
static const double deviation_least = 0.05, deviation_most = 20;

size_t spread_rows(size_t season, size_t horizon)
{
    const size_t rows = horizon > ROWS_LEAST ? horizon : ROWS_LEAST;
    return (rows + season - 1) / season * season;
}

double spread_of(const double *values, size_t rows, size_t stride, double mean, double sd)
{
    double sum = 0, square = 0, seen = 0;
    for (size_t i = 0; i < rows; i++)
        if (isfinite(values[i * stride])) {
            sum += (values[i * stride] - mean) / sd;
            seen += 1;
        }
    for (size_t i = 0; i < rows; i++)
        if (isfinite(values[i * stride])) {
            const double d = (values[i * stride] - mean) / sd - sum / seen;
            square += d * d;
        }
    if (seen < 2)
        return 1;
    return sqrt(fmin(fmax(sqrt(square / seen), deviation_least), deviation_most));
}
