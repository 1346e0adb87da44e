/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crossing_cases.h -- forecasts of the past and what happened, for all series of a
 * forecaster: what crossings are told from.
 *
 * Those that were issued under the present definition in the last CASES_DAYS days, evenly
 * thinned.  While fewer than CASES_LEAST of them have come to pass, those that the present
 * model would have issued, at origins spread over the newest history; it has seen that
 * history, so they flatter it.
 */
#ifndef CROSSING_CASES_H
#define CROSSING_CASES_H

#include "api/serving.h"

enum { CASES_DAYS = 60, CASES_LEAST = 20, CASES_MOST = 96 };

struct cases {
    size_t series, steps, count;
    bool issued;     /* or from history */
    int64_t *origin; /* (count) first target, in steps */
    float *last;     /* (count, series) the value before it; NAN: missing */
    float *median;   /* (count, series, steps); NAN: not forecast */
    float *actual;   /* the same */
};

/* names: sorted.  ERR_TOO_LARGE for too many numbers.  Too little history leaves few cases,
 * or none. */
int cases_read(struct serving *serving, struct served *served, char *const *names,
               size_t series, int64_t now_ms, struct cases *out, struct err *err);
void cases_fini(struct cases *cases);

#endif
