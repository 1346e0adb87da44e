/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/accuracy_sums.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/serving.h"
#include "base/mem.h"

void accuracy_sums_fini(struct accuracy_sums *sums)
{
    for (size_t i = 0; i < sums->count; i++)
        free(sums->series[i].name);
    free(sums->series);
    *sums = (struct accuracy_sums){0};
}

/* Its place, made where there is none.  They come in order, so the place after the last
 * one found is tried first. */
static struct accuracy_series *place(struct accuracy_sums *sums, const char *name,
                                     size_t *hint)
{
    size_t from = 0, to = sums->count;
    if (*hint < to && !strcmp(sums->series[*hint].name, name))
        return &sums->series[(*hint)++];
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        const int order = strcmp(sums->series[middle].name, name);
        if (order == 0) {
            *hint = middle + 1;
            return &sums->series[middle];
        }
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    if (sums->count == sums->room) {
        sums->room = sums->room ? 2 * sums->room : 16;
        sums->series = mem_resize(sums->series, sums->room, sizeof *sums->series);
    }
    memmove(sums->series + from + 1, sums->series + from,
            (sums->count++ - from) * sizeof *sums->series);
    sums->series[from] = (struct accuracy_series){.name = mem_text(name)};
    *hint = from + 1;
    return &sums->series[from];
}

void accuracy_sum_add(struct accuracy_sum *sum, const struct accuracy_sum *more)
{
    sum->values += more->values;
    sum->absolute += more->absolute;
    sum->error += more->error;
    sum->scaled += more->scaled;
    sum->scaled_values += more->scaled_values;
    sum->banded += more->banded;
    sum->inside += more->inside;
    sum->below += more->below;
    sum->above += more->above;
    sum->nominal += more->nominal;
    sum->pinball += more->pinball;
    sum->size += more->size;
}

/* Mean error of repeating the season over the look-back before the issue; 0: unknown. */
static double season_error(const struct matured_issue *issue, size_t col)
{
    const struct grid *const grid = issue->grid;
    const size_t lookback = issue->definition->spec.lookback, season = issue->season;
    double sum = 0, count = 0;
    if (season == 0)
        return 0;
    for (size_t row = issue->origin - lookback; row < issue->origin; row++) {
        const double e = grid->values[row * grid->cols + col] -
                         grid->values[(row - season) * grid->cols + col];
        if (isnan(e))
            continue;
        sum += fabs(e);
        count += 1;
    }
    return count > 0 ? sum / count : 0;
}

static void add_value(struct accuracy_sum *sum, const struct store_issued *issued,
                      const float *values, double actual, double scale)
{
    const size_t Q = issued->quantile_count;
    const double error = (double)values[issued_median(issued)] - actual;
    double pinball = 0;
    sum->values += 1;
    sum->absolute += fabs(error);
    sum->error += error;
    if (scale > 0) {
        sum->scaled += fabs(error) / scale;
        sum->scaled_values += 1;
    }
    for (size_t q = 0; q < Q; q++) {
        const double p = issued->quantiles[q], e = actual - (double)values[q];
        pinball += e >= 0 ? p * e : (p - 1) * e;
    }
    sum->pinball += pinball / (double)Q;
    sum->size += fabs(actual);
    if (Q == 1)
        return;
    const bool below = actual<(double)values[0], above = actual>(double) values[Q - 1];
    sum->banded += 1;
    sum->below += below;
    sum->above += above;
    sum->inside += !below && !above;
    sum->nominal += issued->quantiles[Q - 1] - issued->quantiles[0];
}

void accuracy_sums_issue(struct accuracy_sums *sums, const struct matured_issue *issue)
{
    const struct grid *const grid = issue->grid;
    size_t hint = 0;
    if (issue->come == 0)
        return;
    sums->issues++;
    for (size_t i = 0; i < issue->count; i++) {
        const struct store_issued *const issued = &issue->issued[i];
        const size_t col = issue->column[i];
        if (col == SIZE_MAX)
            continue;
        const double scale = season_error(issue, col);
        struct accuracy_series *const series = place(sums, issued->series, &hint);
        for (size_t j = 0; j < issue->come; j++) {
            const double actual = grid->values[(issue->origin + j) * grid->cols + col];
            if (!isnan(actual))
                add_value(&series->bucket[horizon_bucket(j, issued->steps)], issued,
                          issued->values + j * issued->quantile_count, actual, scale);
        }
    }
}
