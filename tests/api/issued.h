/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * issued.h -- forecasters with forecasts in the ledger, whose values a test can tell.
 */
#ifndef ISSUED_H
#define ISSUED_H

#include "tests/api/fixture.h"

enum { MINUTE_MS = 60000, HOUR_MS = 3600000, DAY_MS = 24 * HOUR_MS };

struct issuing {
    const char *forecaster;
    int64_t issued_ms, first_ms, step_ms;
    size_t steps;
    const double *quantiles; /* NULL: 0.1, 0.5, 0.9 */
    size_t quantile_count;
    float base;
    int64_t revision;          /* 0: 1 */
    const char *const *series; /* ends in NULL */
};

/* What an issue says: base + 10 * series + step + quantile. */
static inline float issued_value(const struct issuing *issuing, size_t series,
                                 size_t step, double quantile)
{
    return (float)((double)issuing->base + 10.0 * (double)series + (double)step +
                   quantile);
}

static inline void issue_put(const struct fixture *f, struct issuing issuing)
{
    static const double usual[] = {0.1, 0.5, 0.9};
    struct err err = {0};
    int64_t id;
    size_t count = 0;
    if (!issuing.quantiles) {
        issuing.quantiles = usual;
        issuing.quantile_count = 3;
    }
    while (issuing.series[count])
        count++;
    const size_t numbers = issuing.steps * issuing.quantile_count;
    float *const values = mem_new(count * numbers, sizeof *values);
    struct store_forecast *const forecasts = mem_new(count, sizeof *forecasts);
    for (size_t s = 0; s < count; s++) {
        forecasts[s] = (struct store_forecast){.series = issuing.series[s],
                                               .values = values + s * numbers};
        for (size_t i = 0; i < numbers; i++)
            values[s * numbers + i] =
                issued_value(&issuing, s, i / issuing.quantile_count,
                             issuing.quantiles[i % issuing.quantile_count]);
    }
    const struct store_issue issue = {
        .forecaster = issuing.forecaster,
        .revision = issuing.revision ? issuing.revision : 1,
        .model_id = 1,
        .issued_ms = issuing.issued_ms,
        .first_ms = issuing.first_ms,
        .step_ms = issuing.step_ms,
        .steps = issuing.steps,
        .quantile_count = issuing.quantile_count,
        .quantiles = issuing.quantiles,
        .count = count,
        .forecasts = forecasts,
    };
    assert_ok(store_issue_append(f->store, &issue, 0, NULL, &id, &err), &err);
    free(forecasts);
    free(values);
}

static inline void forecaster_make(const struct fixture *f, const char *name,
                                   const char *definition)
{
    char *const path = mem_printf("/v1/forecasters/%s", name);
    struct answer a = put(f, path, definition);
    if (a.status != 200)
        assert_status(a, 201);
    answer_fini(&a);
    free(path);
}

/* One sample. */
static inline void sample_put(const struct fixture *f, const char *series,
                              int64_t time_ms, double value)
{
    struct store_batch *const batch = store_batch_new();
    struct store_counts counts;
    struct err err = {0};
    store_batch_add(batch, store_batch_series(batch, series), time_ms, value);
    assert_ok(store_append_wait(f->store, batch, &counts, &err), &err);
}

#endif
