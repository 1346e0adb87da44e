/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * remote_read.h -- Prometheus remote_read, answered from what named.h shows.
 *
 *     message LabelMatcher { Type type = 1; string name = 2; string value = 3; }
 *         EQ = 0, NEQ = 1, RE = 2, NRE = 3
 *     message Query        { int64 start_ms = 1; int64 end_ms = 2;
 *                            repeated LabelMatcher matchers = 3; ReadHints hints = 4; }
 *     message ReadRequest  { repeated Query queries = 1;
 *                            repeated ResponseType accepted_response_types = 2; }
 *     message QueryResult  { repeated TimeSeries timeseries = 1; }
 *     message ReadResponse { repeated QueryResult results = 1; }   one a query, in order
 *
 * Start and end belong to the answer.  It is always of samples, which every reader takes
 * whatever else it would accept; hints are passed over.
 */
#ifndef REMOTE_READ_H
#define REMOTE_READ_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { REMOTE_READ_QUERIES_MAX = 64 };

struct remote_query {
    int64_t start_ms, end_ms;
    char *selector; /* NULL: all series */
};

struct remote_read {
    size_t count;
    struct remote_query query[REMOTE_READ_QUERIES_MAX];
};

void remote_read_fini(struct remote_read *read);

/* Reads a ReadRequest (not packed).  ERR_INVALID, for too many queries, too. */
int remote_read_parse(const char *bytes, size_t len, struct remote_read *out,
                      struct err *err);

#endif
