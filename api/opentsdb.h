/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * opentsdb.h -- OpenTSDB's POST /api/put (opentsdb.net/docs/build/html/api_http/put.html),
 * as Netdata, collectd and Icinga send it: one object or a list of them.
 *
 *     [{"metric": "sys.cpu.user", "timestamp": 1774785600, "value": 0.31,
 *       "tags": {"host": "web-1"}}]
 *
 * A time stamp of more than ten digits is in milliseconds; a value may be a text that
 * holds a number.  Characters that no label name may have become "_".
 */
#ifndef OPENTSDB_H
#define OPENTSDB_H

#include <stddef.h>

#include "api/intake.h"

/* A point that is not as above is refused, the others are taken; -1 (ERR_INVALID) when it
 * is no JSON of points. */
int opentsdb_read(const char *text, size_t len, struct intake *in, struct err *err);

/* {"error": {"code": 400, "message": "..."}} */
void opentsdb_refuse(struct reply *reply, const struct err *err);

#endif
