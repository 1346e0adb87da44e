/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exposition.h -- metrics as text: Prometheus' format 0.0.4, or OpenMetrics 1.0, where a
 * counter's family has its name without _total.
 *
 *     exposition_family(out, "frwkvd_requests_total", COUNTER, "Requests that ended.");
 *     page_add(&out->page, "frwkvd_requests_total{status=\"200\"} %d\n", 7);
 */
#ifndef EXPOSITION_H
#define EXPOSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "api/reply.h"

enum family { FAMILY_COUNTER, FAMILY_GAUGE, FAMILY_HISTOGRAM };

struct exposition {
    struct page page;
    bool openmetrics;
};

/* Begins a family: its samples follow, with their names in full. */
void exposition_family(struct exposition *out, const char *name, enum family family,
                       const char *help);

/* A family of one sample without labels. */
void exposition_one(struct exposition *out, const char *name, enum family family,
                    const char *help, double value);

/* A label's value with what must be escaped, between quotes. */
void exposition_label(struct exposition *out, const char *value);

/* A bound of a bucket, as both formats want it: "0.005", "1.0". */
void exposition_bound(struct exposition *out, double bound);

/* The end, and the whole as the body of an answer; packed with gzip where asked for. */
int exposition_reply(struct exposition *out, bool gzip, struct reply *reply,
                     struct err *err);

#endif
