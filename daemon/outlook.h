/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * outlook.h -- what comes next for some series, for people: who serves, a table, a plot.
 */
#ifndef OUTLOOK_H
#define OUTLOOK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/zone.h"

/* The forecast of one series.  All of it is owned; a missing value is NaN. */
struct outlook {
    char *series;
    char *served_by; /* "frwkv", or "frwkv, then seasonal_naive" */
    char *why;       /* not served: what is missing; else NULL */
    double skill;    /* judged against seasonal_naive; NaN where unknown */
    int64_t first_ms, step_ms;
    const struct zone *zone; /* of the clock that is shown; borrowed, NULL: UTC */
    size_t steps;
    double *low, *mid, *high; /* 10, 50 and 90 percent */
    size_t past_count;
    double *past; /* the steps before the first */
};

void outlook_fini(struct outlook *outlook);

/* Prints head, table and plot, as wide as the terminal. */
void outlook_print(const struct outlook *outlook, FILE *out);

/* How many steps of the past a plot shows well beside a forecast of so many. */
size_t outlook_past_steps(size_t steps);

/* Writes the candidates of the buckets as one phrase, each named once, in order. */
char *outlook_served_by(size_t count, const char *const *candidates);

/* One figure out of the skills of the buckets, each weighed by its share of the horizon.
 */
double outlook_skill(size_t count, const double *skills);

#endif
