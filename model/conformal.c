/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/conformal.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const double levels[BANDS_LEVELS] = {0.005, 0.01, 0.025, 0.05, 0.1,  0.2,  0.25,
                                            0.3,   0.4,  0.5,   0.6,  0.7,  0.75, 0.8,
                                            0.9,   0.95, 0.975, 0.99, 0.995};
enum { MEDIAN = BANDS_LEVELS / 2 };

size_t bands_knots(size_t P)
{
    return P < BANDS_KNOTS_MAX ? P : BANDS_KNOTS_MAX;
}

size_t bands_step(size_t k, size_t P)
{
    const size_t knots = bands_knots(P);
    return knots == P ? k : (k * (P - 1) + (knots - 1) / 2) / (knots - 1);
}

int bands_init(struct bands *bands, size_t series, size_t P, struct err *err)
{
    const size_t knots = bands_knots(P);
    *bands = (struct bands){series, P, knots,
                            mem_try(series * knots, BANDS_LEVELS * sizeof(float))};
    return bands->offset
               ? 0
               : err_set(err, ERR_NO_MEMORY, "bands: no memory for %zu series", series);
}

void bands_fini(struct bands *bands)
{
    free(bands->offset);
    *bands = (struct bands){0};
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Residuals of knots [from, to] into out; returns their number. */
static size_t collect(float *out, const float *residuals, size_t count, size_t knots,
                      size_t from, size_t to)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = from; k <= to; k++)
            if (!isnan(residuals[i * knots + k]))
                out[n++] = residuals[i * knots + k];
    return n;
}

int bands_level(double p)
{
    for (int l = 0; l < BANDS_LEVELS; l++)
        if (fabs(levels[l] - p) < 1e-9)
            return l;
    return -1;
}

float bands_order(const float *sorted, size_t n, double independent, int level)
{
    if (level == MEDIAN)
        return 0;
    const double outer = level < MEDIAN ? 1 - levels[level] : levels[level];
    const double size = (double)n * (1 + 1 / fmin(fmax(independent, 1), (double)n));
    /* Counted from 1 at the other end; a hair less, as n + 1 is not always exact. */
    const double rank = fmin(fmax(ceil(size * outer - 1e-9 * size), 1), (double)n);
    const size_t place = (size_t)rank - 1;
    return level < MEDIAN ? fminf(sorted[n - 1 - place], 0) : fmaxf(sorted[place], 0);
}

size_t bands_fit(struct bands *bands, size_t series, const float *residuals, size_t count,
                 double scale)
{
    const size_t knots = bands->knots;
    float *const sorted = mem_new(count * knots, sizeof *sorted);
    size_t least = SIZE_MAX;
    for (size_t k = 0; k < knots; k++) {
        size_t n = 0;
        for (size_t reach = 0; n < BANDS_POOL && reach < knots; reach++)
            n = collect(sorted, residuals, count, knots, k > reach ? k - reach : 0,
                        k + reach < knots ? k + reach : knots - 1);
        least = n < least ? n : least;
        if (n == 0)
            break;
        qsort(sorted, n, sizeof *sorted, compare_floats);
        float *const out = bands->offset + (series * knots + k) * BANDS_LEVELS;
        for (int l = 0; l < BANDS_LEVELS; l++)
            out[l] = (float)(scale * (double)bands_order(sorted, n, (double)n, l));
    }
    free(sorted);
    return least;
}

static double at_level(const float *offset, double p)
{
    if (p <= levels[0])
        return (double)offset[0];
    for (int l = 1; l < BANDS_LEVELS; l++)
        if (p <= levels[l]) {
            const double share = (p - levels[l - 1]) / (levels[l] - levels[l - 1]);
            return (1 - share) * (double)offset[l - 1] + share * (double)offset[l];
        }
    return (double)offset[BANDS_LEVELS - 1];
}

double bands_offset(const struct bands *bands, size_t series, size_t j, double p)
{
    assert(series < bands->series && j < bands->P);
    const float *const own = bands->offset + series * bands->knots * BANDS_LEVELS;
    size_t k = bands->knots == bands->P ? j : j * (bands->knots - 1) / (bands->P - 1);
    while (k > 0 && bands_step(k, bands->P) > j)
        k--;
    while (k + 1 < bands->knots && bands_step(k + 1, bands->P) <= j)
        k++;
    const double left = at_level(own + k * BANDS_LEVELS, p);
    const size_t step = bands_step(k, bands->P);
    if (step == j || k + 1 == bands->knots)
        return left;
    const double share =
        (double)(j - step) / (double)(bands_step(k + 1, bands->P) - step);
    return (1 - share) * left + share * at_level(own + (k + 1) * BANDS_LEVELS, p);
}
