/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/newcomer.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, ascending);
    return values[count / 2];
}

struct newcomer newcomer_of(const double *mean, const double *sd, size_t series)
{
    struct newcomer n = {0};
    if (series == 0)
        return n;
    double *const values = mem_new(series, sizeof *values);
    for (size_t s = 0; s < series; s++)
        values[s] = 1 / (1 + fabs(mean[s] / sd[s]));
    n.share = median(values, series);
    for (size_t s = 0; s < series; s++)
        values[s] = sd[s];
    n.sd = median(values, series);
    free(values);
    return n;
}

double newcomer_unit(const struct newcomer *n, double mean, double deviation, size_t seen,
                     size_t enough)
{
    const double own = isnan(deviation) ? 0 : deviation;
    if (seen >= enough)
        return own;
    const double known = (double)seen / (double)enough;
    const double others = mean == 0 && own == 0 ? n->sd : n->share * (fabs(mean) + own);
    return hypot(sqrt(known) * own, sqrt(1 - known) * others);
}
