/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/leap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { TIMES = 10, LARGEST = 8, LARGEST_PER = 168, LARGEST_MOST = 512 };

double leap_take(struct leap *leap, double x)
{
    if (!isfinite(x))
        return (double)NAN;
    const bool leaps = fabs(x - leap->last) > leap->limit;
    const bool believed = !leaps || leap->leapt;
    leap->last = x;
    leap->leapt = leaps;
    return believed ? x : (double)NAN;
}

/* How far the last two of four values lie from the first two, all from all. */
static double moved(const double x[4])
{
    return fmin(fmin(fabs(x[2] - x[0]), fabs(x[2] - x[1])),
                fmin(fabs(x[3] - x[0]), fabs(x[3] - x[1])));
}

/* Puts x among the n largest, the least of them first. */
static void insert(double *largest, size_t n, double x)
{
    size_t k = 0;
    for (; k < n && x > largest[k]; k++)
        if (k > 0)
            largest[k - 1] = largest[k];
    if (k > 0)
        largest[k - 1] = x;
}

double leap_limit(const double *values, size_t count, size_t stride)
{
    const size_t rank = count / LARGEST_PER > LARGEST ? count / LARGEST_PER : LARGEST;
    const size_t n = rank < LARGEST_MOST ? rank : LARGEST_MOST;
    double largest[LARGEST_MOST] = {0}, stayed = 0, x[4] = {0};
    for (size_t i = 0, seen = 0; i < count; i++) {
        if (!isfinite(values[i * stride]))
            continue;
        memmove(x, x + 1, 3 * sizeof *x);
        x[3] = values[i * stride];
        if (seen++ > 0)
            insert(largest, n, fabs(x[3] - x[2]));
        if (seen >= 4)
            stayed = fmax(stayed, moved(x));
    }
    return largest[0] > 0 ? TIMES * fmax(largest[0], stayed) : (double)INFINITY;
}

/* The first value has none before it: it is a slip if the next two agree on another level,
 * and is then compared with those. */
static struct leap leap_begin(const double *values, size_t count, size_t stride,
                              double limit)
{
    double first[3] = {(double)NAN, (double)NAN, (double)NAN};
    for (size_t i = 0, n = 0; i < count && n < 3; i++)
        if (isfinite(values[i * stride]))
            first[n++] = values[i * stride];
    const bool slip =
        fabs(first[0] - first[1]) > limit && fabs(first[1] - first[2]) <= limit;
    return (struct leap){limit, slip ? first[1] : first[0], false};
}

int leap_grid(const struct grid *grid, const double *limits, struct grid *out,
              struct err *err)
{
    const size_t rows = grid->rows, cols = grid->cols;
    *out = *grid;
    out->values = mem_try(rows * cols, sizeof *out->values);
    struct leap *const leaps = mem_try(cols, sizeof *leaps);
    if (!out->values || !leaps) {
        free(out->values);
        free(leaps);
        return err_set(err, ERR_NO_MEMORY, "leap: no memory for %zu x %zu values", rows,
                       cols);
    }
    for (size_t c = 0; c < cols; c++)
        leaps[c] = leap_begin(grid->values + c, rows, cols, limits[c]);
    for (size_t i = 0; i < rows * cols; i += cols)
        for (size_t c = 0; c < cols; c++)
            out->values[i + c] = leap_take(&leaps[c], grid->values[i + c]);
    free(leaps);
    return 0;
}
