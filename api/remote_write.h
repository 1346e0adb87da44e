/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * remote_write.h -- Prometheus remote_write 1.0
 * (prometheus.io/docs/specs/prw/remote_write_spec), as Prometheus and vmagent send it.
 *
 *     message Label        { string name = 1; string value = 2; }
 *     message Sample       { double value = 1; int64 timestamp = 2; }      milliseconds
 *     message TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; }
 *     message WriteRequest { repeated TimeSeries timeseries = 1; }
 *
 * Metadata, exemplars and histograms are passed over.  A sender drops a request for good
 * on 400, 413 and 415 and sends it again on 503, so all that may pass is a 503.
 */
#ifndef REMOTE_WRITE_H
#define REMOTE_WRITE_H

#include <stddef.h>

#include "api/intake.h"

/*
 * Reads a WriteRequest (not packed).  A series with a bad label set is refused with its
 * samples, the others are taken; -1 (ERR_INVALID) when it is no WriteRequest.
 */
int remote_write_read(const char *bytes, size_t len, struct intake *in, struct err *err);

/* For all that is not about one series, here and in remote_read: status and a line of
 * text. */
void remote_write_refuse(struct reply *reply, const struct err *err);

#endif
