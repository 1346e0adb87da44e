/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * accuracy_sums.h -- how forecasts came true, as sums that can be added up.
 *
 * Per series, sorted by name, and bucket of the horizon.  What the figures mean stands in
 * api.h.
 */
#ifndef ACCURACY_SUMS_H
#define ACCURACY_SUMS_H

#include "api/matured.h"

struct accuracy_sum {
    double values, absolute, error; /* of the median */
    double scaled, scaled_values;   /* over the season's error before the issue */
    double banded, inside, below, above, nominal;
    double pinball, size;
};

struct accuracy_sums {
    size_t issues, count, room;
    struct accuracy_series {
        char *name;
        struct accuracy_sum bucket[MODEL_BUCKETS];
    } * series;
};

void accuracy_sum_add(struct accuracy_sum *sum, const struct accuracy_sum *more);

void accuracy_sums_fini(struct accuracy_sums *sums);

/* Adds what has come of an issue. */
void accuracy_sums_issue(struct accuracy_sums *sums, const struct matured_issue *issue);

/* accuracy_read() of whatever issues are wished for (accuracy.c). */
int accuracy_matured(struct store *store, const struct matured_wish *wish,
                     struct accuracy *out, struct err *err);

#endif
