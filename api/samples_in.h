/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * samples_in.h -- the body of POST /v1/samples.
 *
 *     {"samples": [{"series": "cpu{host=\"a\"}", "time": "2026-03-29T02:30:00Z",
 *                   "value": 0.31}, ...]}
 *
 * time is RFC 3339 or an integer of milliseconds since 1970.  One bad sample refuses
 * all.  The same series and time twice in one body is taken (and counted as duplicate)
 * when the values agree and refused when they do not, since there is no telling which
 * was meant.
 */
#ifndef SAMPLES_IN_H
#define SAMPLES_IN_H

#include <stddef.h>
#include <stdint.h>

#include "api/metrics.h"

struct samples_in {
    size_t count;              /* samples the body holds, refused or not */
    enum reject_reason reason; /* of a refusal */
};

/*
 * Reads text into batch.  ERR_INVALID names the sample, its field, the value and the
 * rule; the batch is then of no use.  now_ms and future_max_ms as in rules.h.
 */
int samples_in_read(const char *text, size_t len, int64_t now_ms, int64_t future_max_ms,
                    struct store_batch *batch, struct samples_in *out, struct err *err);

#endif
