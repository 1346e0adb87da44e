/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * anomalies.h -- observations outside the band that was issued before them.
 *
 * A step's band is that of the newest issue made before the step had ended.  It cannot have
 * seen the step: forecasts read complete steps alone.  A forecaster with one quantile has
 * no band and so no anomalies.
 */
#ifndef ANOMALIES_H
#define ANOMALIES_H

#include "api/api.h"

struct anomaly {
    const char *series;
    int64_t time_ms; /* of the step */
    int64_t issue_id, issued_ms;
    double value, low, median, high;
    double score; /* distance from the median, in those of the band's edge: above 1;
                   * INFINITY where the band has no width */
};

struct anomalies {
    int64_t from_ms, to_ms;
    size_t judged; /* observations with a band */
    size_t count;  /* newest first, then by score */
    struct anomaly *list;
    char **names;
    size_t name_count;
};

struct anomalies_wish {
    const char *series; /* NULL: all */
    size_t steps;       /* newest complete steps to look at */
    int64_t as_of_ms;
};

/* ERR_TOO_LARGE for too many steps of too many series. */
int anomalies_read(struct store *store, const struct forecaster *definition,
                   const struct anomalies_wish *wish, struct anomalies *out,
                   struct err *err);
void anomalies_fini(struct anomalies *anomalies);

#endif
