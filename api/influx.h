/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * influx.h -- how InfluxDB's two versions say a failure.
 */
#ifndef INFLUX_H
#define INFLUX_H

#include "api/request.h"

/* {"error": "..."}, and the same text in X-Influxdb-Error */
void influx_refuse_v1(struct reply *reply, const struct err *err);
/* {"code": "invalid", "message": "..."} */
void influx_refuse_v2(struct reply *reply, const struct err *err);

#endif
