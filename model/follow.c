/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/follow.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/score.h"

static const double rate = 0.25, nominal_miss = 0.2, looks = 4, series_most = 8;
static const double rows_least = 24,
                    actuals_least = 8;    /* that move it at the full rate */
static const double widening_limit = 1.5; /* both together a factor of 20 */

static bool common_divisor(size_t a, size_t b)
{
    while (b) {
        const size_t rest = a % b;
        a = b;
        b = rest;
    }
    return a > 1;
}

size_t follow_spacing(size_t rows, size_t P, size_t season, size_t kept)
{
    const size_t span = rows > 4 * P ? rows : 4 * P;
    size_t spacing = (span + kept - 1) / kept;
    while (season > 1 && common_divisor(spacing, season))
        spacing++;
    return spacing;
}

void follow_common_init(struct follow_common *common, size_t series)
{
    *common = (struct follow_common){.series = (double)series};
    for (int b = 0; b < MODEL_BUCKETS; b++)
        common->factor[b] = 1;
}

bool follow_init(struct follow *follow, struct follow_common *common, size_t P,
                 size_t kept, size_t spacing)
{
    const size_t knots = bands_knots(P);
    assert(kept * spacing > P);
    *follow = (struct follow){
        .P = P, .knots = knots, .kept = kept, .spacing = spacing, .common = common};
    while ((2 * follow->reach + 1) * kept < BANDS_POOL && follow->reach < knots)
        follow->reach++;
    follow->bucket = mem_try(knots, 1);
    follow->count = mem_try(knots, sizeof *follow->count);
    follow->row = mem_try(kept, sizeof *follow->row);
    follow->residuals = mem_try(kept * knots, sizeof(float));
    follow->sorted = mem_try(kept * knots * (2 * follow->reach + 1), sizeof(float));
    if (!follow->bucket || !follow->count || !follow->row || !follow->residuals ||
        !follow->sorted)
        return false;
    for (size_t k = 0; k < knots; k++)
        follow->bucket[k] = (unsigned char)horizon_bucket(bands_step(k, P), P);
    for (int b = 0; b < MODEL_BUCKETS; b++)
        follow->factor[b] = 1;
    return true;
}

void follow_fini(struct follow *follow)
{
    free(follow->bucket);
    free(follow->count);
    free(follow->row);
    free(follow->residuals);
    free(follow->sorted);
    *follow = (struct follow){0};
}

/* ---- the sorted lists -------------------------------------------------------------- */

static float *list_of(const struct follow *f, size_t k)
{
    return f->sorted + k * f->kept * (2 * f->reach + 1);
}

/* How many of a list are less than x. */
static size_t place_of(const float *list, size_t n, float x)
{
    size_t from = 0, to = n;
    while (from < to) {
        const size_t middle = (from + to) / 2;
        if (list[middle] < x)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static void insert(struct follow *f, size_t k, float x)
{
    float *const list = list_of(f, k);
    const size_t at = place_of(list, f->count[k], x);
    memmove(list + at + 1, list + at, (f->count[k] - at) * sizeof *list);
    list[at] = x;
    f->count[k]++;
}

static void take_out(struct follow *f, size_t k, float x)
{
    float *const list = list_of(f, k);
    const size_t at = place_of(list, f->count[k], x);
    assert(at < f->count[k]);
    f->count[k]--;
    memmove(list + at, list + at + 1, (f->count[k] - at) * sizeof *list);
}

/* Puts a residual at knot k into the lists it serves, or takes it out again. */
static void serve(struct follow *f, size_t k, float x,
                  void change(struct follow *, size_t, float))
{
    const size_t from = k > f->reach ? k - f->reach : 0;
    for (size_t at = from; at <= k + f->reach && at < f->knots; at++)
        change(f, at, x);
}

/* ---- the walk ---------------------------------------------------------------------- */

static float *residuals_of(const struct follow *f, size_t origin)
{
    return f->residuals + origin % f->kept * f->knots;
}

/* How much of the full rate an origin moves the widening by. */
static double share_of(const struct follow *f, size_t origin, int bucket, double seen)
{
    const double rows =
        origin == 0 ? (double)f->spacing
                    : (double)(f->row[origin % f->kept] - f->row[(origin - 1) % f->kept]);
    const double length = fmax((double)horizon_end(f->P, bucket), rows_least);
    return fmin(fmin(rows / length, seen / actuals_least), 1);
}

static void widen(double *widening, double *factor, double step)
{
    *widening = fmin(fmax(*widening + step, -widening_limit), widening_limit);
    *factor = exp(*widening);
}

static void learn_bucket(struct follow *f, size_t origin, int bucket)
{
    const float *const e = residuals_of(f, origin);
    double missed = 0, seen = 0;
    for (size_t k = 0; k < f->knots; k++) {
        if (f->bucket[k] != bucket || isnan(e[k]) || !follow_ready(f, k))
            continue;
        missed += (double)e[k] < follow_offset(f, k, BANDS_LOW) ||
                  (double)e[k] > follow_offset(f, k, BANDS_HIGH);
        seen += 1;
    }
    if (seen > 0) {
        const double step =
            rate * share_of(f, origin, bucket, seen) * (missed / seen - nominal_miss);
        widen(&f->widening[bucket], &f->factor[bucket], step);
        f->common->due[bucket] += step;
    }
    for (size_t k = 0; k < f->knots; k++)
        if (f->bucket[k] == bucket && !isnan(e[k]))
            serve(f, k, e[k], insert);
}

void follow_mature(struct follow *follow, size_t row)
{
    for (int b = 0; b < MODEL_BUCKETS; b++) {
        const size_t end = horizon_end(follow->P, b);
        size_t *const known = &follow->known[b];
        for (; *known < follow->begun && follow->row[*known % follow->kept] + end <= row;
             ++*known)
            learn_bucket(follow, *known, b);
    }
}

void follow_settle(struct follow_common *common)
{
    for (int b = 0; b < MODEL_BUCKETS; b++) {
        const double step = common->due[b] * fmin(1, series_most / common->series);
        widen(&common->widening[b], &common->factor[b], step);
        common->due[b] = 0;
    }
}

void follow_add(struct follow *follow, size_t row, const float *residuals)
{
    struct follow *const f = follow;
    if (f->begun && row < f->row[(f->begun - 1) % f->kept] + f->spacing)
        return;
    float *const own = residuals_of(f, f->begun);
    if (f->begun >= f->kept) {
        assert(f->known[MODEL_BUCKETS - 1] > f->begun - f->kept);
        for (size_t k = 0; k < f->knots; k++)
            if (!isnan(own[k]))
                serve(f, k, own[k], take_out);
    }
    memcpy(own, residuals, f->knots * sizeof *own);
    f->row[f->begun++ % f->kept] = (uint32_t)row;
}

/* ---- what it says ------------------------------------------------------------------ */

bool follow_ready(const struct follow *follow, size_t k)
{
    return follow->count[k] > 0;
}

double follow_offset(const struct follow *follow, size_t k, int level)
{
    const size_t n = follow->count[k];
    if (n == 0)
        return 0;
    const int bucket = follow->bucket[k];
    const double lengths =
        (double)(n * follow->spacing) /
        (double)(horizon_end(follow->P, bucket) * (2 * follow->reach + 1));
    const double independent = fmax(looks * lengths, 1);
    return (double)bands_order(list_of(follow, k), n, independent, level) *
           follow->factor[bucket] * follow->common->factor[bucket];
}

bool follow_bands(const struct follow *follow, struct bands *bands, size_t series,
                  double scale)
{
    for (size_t k = 0; k < follow->knots; k++)
        if (!follow_ready(follow, k))
            return false;
    float *out = bands->offset + series * follow->knots * BANDS_LEVELS;
    for (size_t k = 0; k < follow->knots; k++)
        for (int l = 0; l < BANDS_LEVELS; l++)
            *out++ = (float)(scale * follow_offset(follow, k, l));
    return true;
}
