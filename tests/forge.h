/* SPDX-License-Identifier: GPL-2.0-or-later */
/* forge.h -- an entry of the ledger that no model would have made. */
#ifndef FORGE_H
#define FORGE_H

#include "tests/check.h"

#include <string.h>

#include "storage/storage.h"

/* Appends a forecaster's newest issue again, one value of its second series (of two) moved;
 * the number of the issue. */
static inline int64_t forge_issue(struct store *store, const char *forecaster,
                                  size_t place, float by)
{
    enum { SERIES = 2 };
    struct store_issued *was;
    struct store_forecast forecasts[SERIES];
    struct err err = {0};
    size_t count;
    int64_t id;
    assert_ok(store_issue_newest(store, forecaster, INT64_MAX, &was, &count, &err), &err);
    assert_int_equal(count, SERIES);
    for (size_t s = 0; s < SERIES; s++) {
        forecasts[s] =
            (struct store_forecast){.series = was[s].series, .values = was[s].values};
        memcpy(forecasts[s].input_hash, was[s].input_hash, STORE_HASH_SIZE);
    }
    was[1].values[place] += by;
    const struct store_issue issue = {
        .forecaster = forecaster,
        .revision = was->revision,
        .model_id = was->model_id,
        .calibration = was->calibration,
        .issued_ms = was->issued_ms,
        .first_ms = was->first_ms,
        .step_ms = was->step_ms,
        .steps = was->steps,
        .quantile_count = was->quantile_count,
        .quantiles = was->quantiles,
        .count = SERIES,
        .forecasts = forecasts,
    };
    assert_ok(store_issue_append(store, &issue, 0, NULL, &id, &err), &err);
    store_issued_fini(was, count);
    return id;
}

#endif
