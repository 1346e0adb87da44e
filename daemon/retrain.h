/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * retrain.h -- a training when forecasts stop coming true, and not in a loop.
 *
 * Of a forecaster with a schedule for trainings, once a horizon of targets has come:
 *
 *   alarm   its live skill is RETRAIN_SKILL below what was judged, or the band's coverage
 *           RETRAIN_COVERAGE off what it promises: a training is queued
 *   calm    both are back within half of that: the next alarm counts as the first
 *   else    nothing changes
 *
 * Only issues of the model that serves count, so a new one begins without a past.  While
 * the alarm lasts, another training waits for two horizons, then four, and so on: what
 * the newest data could not mend, more of them may.
 */
#ifndef RETRAIN_H
#define RETRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "daemon/live.h"

#define RETRAIN_SKILL 0.25
#define RETRAIN_COVERAGE 0.2
enum { RETRAIN_DOUBLINGS = 6 };

/* What stands in the store between two looks. */
struct retrain {
    bool alarm;
    int trainings;      /* since the alarm began */
    int64_t trained_ms; /* when the last was queued */
};

enum retrain_verdict { RETRAIN_QUIET, RETRAIN_TRAIN, RETRAIN_CALM };

/* The rule by itself; horizon_ms: of the forecaster. */
enum retrain_verdict retrain_judge(const struct retrain *state, const struct live *live,
                                   size_t horizon, int64_t horizon_ms, int64_t now_ms);

/* Looks at a forecaster, and queues a training where it is due.  *queued tells. */
int retrain_look(struct store *store, const char *forecaster, int64_t now_ms,
                 bool *queued, struct err *err);

#endif
