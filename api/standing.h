/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * standing.h -- how forecasts come true just now, for whoever looks every few seconds.
 *
 * Issues of the last STANDING_HORIZONS horizons (thinned out evenly where they are many)
 * laid beside what has come, and observations of the last day (of fewer steps where series
 * are many) outside their bands.  Worked out once for each step and issue; in between, what
 * was worked out last is said again.
 */
#ifndef STANDING_H
#define STANDING_H

#include "api/serving.h"

enum { STANDING_HORIZONS = 10, STANDING_ANOMALY_HOURS = 24 };

struct standing {
    char forecaster[FORECASTER_NAME_MAX];
    int64_t revision, issue_id,
        step;      /* what it is of: the newest issue, the step of now */
    size_t issues; /* looked at */
    /* Of all series together: the whole horizon, then each bucket; values 0: nothing. */
    struct accuracy_row rows[1 + MODEL_BUCKETS];
    size_t judged, anomalies; /* observations with a band, and of them outside it */
};

/* Any thread may call. */
struct standings;
struct standings *standings_new(void) __attribute__((warn_unused_result));
void standings_free(struct standings *cache);

/* issue_id: the forecaster's newest issue. */
int standing_read(struct standings *cache, struct serving *serving,
                  const struct served *served, int64_t issue_id, struct standing *out,
                  struct err *err);

#endif
