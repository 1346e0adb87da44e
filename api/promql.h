/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * promql.h -- the little of PromQL that a panel needs to plot a series and an alert to
 * watch one.
 *
 *     selector              cpu:predicted{host=~"web-.*",forecaster="web"}
 *     selector offset 1h    also negative: what is ahead
 *     selector > 0.9        a filter; also < >= <= == !=
 *     selector[5m]          the samples themselves
 *     1 + 2 * (3 - 4)       numbers
 *
 * Everything else is refused by name; who wants all of PromQL puts a Prometheus in front,
 * which reads here (remote_read.h).
 */
#ifndef PROMQL_H
#define PROMQL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum promql_kind {
    PROMQL_NUMBER,
    PROMQL_VECTOR, /* of each series the sample that counts */
    PROMQL_MATRIX, /* all samples of a time */
};

enum promql_filter {
    FILTER_NONE,
    FILTER_ABOVE,
    FILTER_BELOW,
    FILTER_AT_LEAST,
    FILTER_AT_MOST,
    FILTER_EQUAL,
    FILTER_OTHER,
};

struct promql {
    enum promql_kind kind;
    double number;  /* the value, or what the filter compares with */
    char *selector; /* of labels.h; owned */
    int64_t range_ms, offset_ms;
    enum promql_filter filter;
};

void promql_fini(struct promql *query);

/* ERR_INVALID names the construct. */
int promql_parse(const char *text, size_t len, struct promql *out, struct err *err);

/* Whether a value passes the filter. */
int promql_passes(const struct promql *query, double value);

/* "1h30m", "15s", "250ms"; also "1.5" and the like, in seconds.  ERR_INVALID. */
int promql_duration(const char *text, size_t len, int64_t *duration_ms, struct err *err);

#endif
