/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * live.h -- how the forecasts that a model issued have done by now.
 *
 * Every issue of the last LIVE_HORIZONS horizons (at most LIVE_ISSUES, spread evenly) is
 * laid beside what happened since: the median against the last season before it, and the
 * outermost band against the share it promises.
 */
#ifndef LIVE_H
#define LIVE_H

#include <stddef.h>
#include <stdint.h>

#include "api/api.h"
#include "base/err.h"

enum { LIVE_HORIZONS = 3, LIVE_ISSUES = 24 };

struct live {
    size_t issues, values; /* looked at */
    size_t steps;          /* from the first target that has come to the last */
    /* 1 - MAE / MAE of the last season, each series counting alike, and what it was
     * judged to be at the same mix of leads; NAN where unknown. */
    double skill, judged;
    double coverage, nominal; /* of the outermost band; NAN with one quantile */
};

/* Of this model, which serves the forecaster now.  Nothing issued or matured yet is no
 * error: values is 0. */
int live_read(struct store *store, const struct forecaster *forecaster,
              const struct model *model, int64_t model_id, int64_t now_ms,
              struct live *out, struct err *err);

#endif
