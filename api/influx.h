/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * influx.h -- how InfluxDB's two versions say a failure, and which databases there are.
 */
#ifndef INFLUX_H
#define INFLUX_H

#include "api/request.h"

/* {"error": "..."}, and the same text in X-Influxdb-Error */
void influx_refuse_v1(struct reply *reply, const struct err *err);
/* {"code": "invalid", "message": "..."} */
void influx_refuse_v2(struct reply *reply, const struct err *err);
/* X-Influxdb-Version, which clients look for. */
void influx_version(struct reply *reply);

/* Names that CREATE DATABASE gave: writing needs none, but the shell's USE does. */
struct influx_databases;
struct influx_databases *influx_databases_new(void) __attribute__((warn_unused_result));
void influx_databases_free(struct influx_databases *databases);

#endif
