/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/model.h"

#include <math.h>
#include <stdlib.h>

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The rank (n + 1) p must be one of n. */
bool band_stretch_knows(double independent, double p)
{
    return independent > 0 && p * (independent + 1) <= independent * (1 + 1e-9);
}

float band_stretch_fit(float *ratios, size_t count, double independent, double p)
{
    const double n = fmin(independent, (double)count);
    if (!band_stretch_knows(n, p))
        return 1;
    qsort(ratios, count, sizeof *ratios, compare_floats);
    const double rank = ceil(p * (1 + 1 / n) * (double)count * (1 - 1e-9));
    const size_t place = (size_t)fmin(fmax(rank, 1), (double)count) - 1;
    return fminf(fmaxf(ratios[place], 1 / BAND_STRETCH_MOST), BAND_STRETCH_MOST);
}
