/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * prometheus.h -- the part of Prometheus' HTTP API that Grafana's data source, promtool
 * and vmalert use: the same names as remote_read, past and future.
 *
 *     {"status":"success","data":{"resultType":"vector","result":[...]}}
 *     {"status":"error","errorType":"bad_data","error":"..."}
 *
 * Parameters come in the URL or as a form, whatever the content type says; those that
 * nobody knows are passed over.
 */
#ifndef PROMETHEUS_H
#define PROMETHEUS_H

#include "api/request.h"

/* 400 bad_data, 422 execution (for what is too large to answer), 503 timeout, ... */
void prometheus_refuse(struct reply *reply, const struct err *err);

/* After -1 of a handler that was at work: an answer too large is not a body too large. */
int prometheus_failed(struct reply *reply, const struct err *err);

/* Answers with the bytes of a JSON value, which are taken over. */
int prometheus_reply(struct reply *reply, struct page *data);
/* The same with a reference to one. */
int prometheus_reply_json(struct reply *reply, json_t *data);

/* An instant: seconds since 1970, with a fraction or not, or RFC 3339.  Absent: as it
 * was.  Clamped to what time.h takes.  ERR_INVALID. */
int prometheus_time(const struct request *request, const char *name, int64_t *time_ms,
                    struct err *err);

#endif
