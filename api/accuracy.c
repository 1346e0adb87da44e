/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From sums to figures.
 */
#include "api/api.h"

#include <math.h>
#include <stdlib.h>

#include "api/accuracy_sums.h"
#include "base/mem.h"

enum { DAY_MS = 86400000 };

static double ratio(double over, double under)
{
    return under > 0 ? over / under : (double)NAN;
}

static struct accuracy_row figures(const struct accuracy_sum *s, const char *series,
                                   int bucket)
{
    return (struct accuracy_row){
        .series = series,
        .bucket = bucket,
        .values = s->values,
        .mae = ratio(s->absolute, s->values),
        .bias = ratio(s->error, s->values),
        .mase = ratio(s->scaled, s->scaled_values),
        .wql = ratio(2 * s->pinball, s->size),
        .coverage = ratio(s->inside, s->banded),
        .nominal = ratio(s->nominal, s->banded),
        .below = ratio(s->below, s->banded),
        .above = ratio(s->above, s->banded),
    };
}

/* A bucket of one series, or all its buckets. */
static struct accuracy_sum cell(const struct accuracy_series *series, int bucket)
{
    struct accuracy_sum sum = {0};
    for (int b = 0; b < MODEL_BUCKETS; b++)
        if (bucket < 0 || bucket == b)
            accuracy_sum_add(&sum, &series->bucket[b]);
    return sum;
}

static void add_row(struct accuracy *out, struct accuracy_row row)
{
    if (row.values > 0)
        out->rows[out->count++] = row;
}

static struct accuracy_row together(const struct accuracy_sums *sums, int bucket)
{
    struct accuracy_sum all = {0};
    double mase = 0, scaled = 0;
    for (size_t i = 0; i < sums->count; i++) {
        const struct accuracy_sum one = cell(&sums->series[i], bucket);
        accuracy_sum_add(&all, &one);
        if (one.scaled_values > 0) {
            mase += one.scaled / one.scaled_values;
            scaled += 1;
        }
    }
    struct accuracy_row row = figures(&all, NULL, bucket);
    row.mae = row.bias = (double)NAN;
    row.mase = ratio(mase, scaled);
    return row;
}

/* Takes the names over. */
static void fill(struct accuracy *out, struct accuracy_sums *sums)
{
    out->issues = sums->issues;
    out->rows = mem_new((sums->count + 1) * (MODEL_BUCKETS + 1), sizeof *out->rows);
    out->names = mem_new(sums->count, sizeof *out->names);
    for (int b = -1; b < MODEL_BUCKETS; b++)
        add_row(out, together(sums, b));
    for (size_t i = 0; i < sums->count; i++) {
        char *const name = sums->series[i].name;
        out->names[out->name_count++] = name;
        sums->series[i].name = NULL;
        for (int b = -1; b < MODEL_BUCKETS; b++) {
            const struct accuracy_sum sum = cell(&sums->series[i], b);
            add_row(out, figures(&sum, name, b));
        }
    }
}

void accuracy_fini(struct accuracy *accuracy)
{
    for (size_t i = 0; i < accuracy->name_count; i++)
        free(accuracy->names[i]);
    free(accuracy->names);
    free(accuracy->rows);
    *accuracy = (struct accuracy){0};
}

static int add_issue(void *ctx, const struct matured_issue *issue, struct err *err)
{
    (void)err;
    accuracy_sums_issue(ctx, issue);
    return 0;
}

int accuracy_read(struct store *store, const struct accuracy_wish *wish,
                  struct accuracy *out, struct err *err)
{
    const int64_t day_ms = grid_floor_ms(wish->as_of_ms, DAY_MS);
    const struct matured_wish all = {.forecaster = wish->forecaster,
                                     .series = wish->series,
                                     .from_ms = day_ms - (wish->days - 1) * DAY_MS,
                                     .to_ms = day_ms + DAY_MS,
                                     .as_of_ms = wish->as_of_ms};
    return accuracy_matured(store, &all, out, err);
}

int accuracy_matured(struct store *store, const struct matured_wish *wish,
                     struct accuracy *out, struct err *err)
{
    struct accuracy_sums sums = {0};
    *out = (struct accuracy){.from_ms = wish->from_ms, .as_of_ms = wish->as_of_ms};
    const int rc = matured_each(store, wish, add_issue, &sums, err);
    if (rc == 0)
        fill(out, &sums);
    accuracy_sums_fini(&sums);
    return rc;
}
