/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * handlers.h -- one handler a route; the table is in routes.c.
 */
#ifndef HANDLERS_H
#define HANDLERS_H

#include "api/request.h"

/* samples.c, import.c, series.c */
request_handler samples_post, samples_get, import_post, series_get;
request_push import_push;

/* remote_write.c, influx.c, influx_query.c, collectd.c, opentsdb.c */
request_handler remote_write_post, collectd_post, opentsdb_post;
request_handler influx_write_post, influx_v2_write_post, influx_query;
request_handler influx_ping_get, influx_health_get;

/* remote_read.c */
request_handler remote_read_post;

/* prometheus_query.c, prometheus_names.c */
request_handler prometheus_query, prometheus_query_range;
request_handler prometheus_series, prometheus_labels, prometheus_values;
request_handler prometheus_metadata, prometheus_buildinfo;
request_handler prometheus_rules, prometheus_alerts, prometheus_exemplars;

/* forecasters.c, models.c */
request_handler forecasters_get, forecaster_get, forecaster_put, forecaster_delete;
request_handler models_get, restore_post;

/* covariates_route.c */
request_handler covariates_get, covariate_get, covariate_put, covariate_delete;

/* forecast_get.c, forecast_post.c, train_post.c, jobs.c, events.c */
request_handler forecast_get, forecast_post, issue_post, train_post, backtest_post;
request_handler convert_post;
request_handler jobs_get, job_get, job_delete, job_events;

/* accuracy_route.c, calibrations_route.c */
request_handler accuracy_get, calibrations_get, calibration_get;

/* replay_route.c */
request_handler replay_get;

/* crossings_route.c, anomalies_route.c */
request_handler crossings_get_one, crossings_get_all, anomalies_get;

/* operations.c, openapi.c, metrics.c */
request_handler openapi_get, index_get, healthy_get, ready_get, reload_post, metrics_get;

#endif
