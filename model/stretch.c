/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/model.h"

#include <math.h>
#include <stdlib.h>

static int compare_ratios(const void *a, const void *b)
{
    const float x = ((const struct band_ratio *)a)->ratio,
                y = ((const struct band_ratio *)b)->ratio;
    return (x > y) - (x < y);
}

/* The rank (n + 1) p must be one of n. */
bool band_stretch_knows(double independent, double p)
{
    return independent > 0 && p * (independent + 1) <= independent * (1 + 1e-9);
}

/* Counted from 1, of count. */
static size_t rank_of(size_t count, double independent, double p)
{
    const double rank = ceil(p * (1 + 1 / independent) * (double)count * (1 - 1e-9));
    return (size_t)fmin(fmax(rank, 1), (double)count);
}

static float bounded(float factor)
{
    return fminf(fmaxf(factor, 1 / BAND_STRETCH_MOST), BAND_STRETCH_MOST);
}

void band_stretch_sort(struct band_ratio *ratios, size_t count)
{
    if (count)
        qsort(ratios, count, sizeof *ratios, compare_ratios);
}

float band_stretch_fit(const struct band_ratio *ratios, size_t count, double independent,
                       double p)
{
    const double n = fmin(independent, (double)count);
    if (!band_stretch_knows(n, p))
        return 1;
    return bounded(ratios[rank_of(count, n, p) - 1].ratio);
}

/* The one of that rank among those outside a block. */
static float others(const struct band_ratio *ratios, size_t block, size_t rank)
{
    size_t i = 0;
    for (;; i++)
        if (ratios[i].block != block && --rank == 0)
            return ratios[i].ratio;
}

void band_stretch_check(const struct band_ratio *ratios, size_t count, size_t blocks,
                        double independent, double p, double *inside, double *all)
{
    for (size_t b = 0; b < blocks; b++) {
        size_t own = 0;
        for (size_t i = 0; i < count; i++)
            own += ratios[i].block == b;
        const size_t rest = count - own;
        const double n =
            fmin(independent * (double)rest / (double)(count ? count : 1), (double)rest);
        if (own == 0 || !band_stretch_knows(n, p))
            continue;
        const float factor = bounded(others(ratios, b, rank_of(rest, n, p)));
        for (size_t i = 0; i < count; i++)
            *inside += ratios[i].block == b && ratios[i].ratio <= factor;
        *all += (double)own;
    }
}
