/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/routes.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "api/collectd.h"
#include "api/handlers.h"
#include "api/influx.h"
#include "api/opentsdb.h"
#include "api/problem.h"
#include "api/prometheus.h"
#include "api/remote_write.h"
#include "base/mem.h"

#define REMOTE_WRITE                                                                     \
    .body = BODY_COLLECTED, .samples = true, .snappy = true,                             \
    .type = "application/x-protobuf", .refuse = remote_write_refuse,                     \
    .help = "Prometheus remote_write 1.0"

#define INFLUX_V1 .body = BODY_COLLECTED, .refuse = influx_refuse_v1

#define PROMETHEUS .body = BODY_COLLECTED, .refuse = prometheus_refuse

/* Each is described in api/openapi.yaml, too (tests/api/test_openapi.c). */
static const struct route table[] = {
    {"GET", "/", index_get, .help = "this text"},
    {"GET", "/v1/openapi.yaml", openapi_get,
     .help = "the same for programs: OpenAPI 3.1"},
    {"POST", "/v1/samples", samples_post, .body = BODY_COLLECTED, .samples = true,
     .help = "store samples"},
    {"GET", "/v1/samples", samples_get,
     .help = "read one series: series, from, to, as_of, limit, format=json|csv"},
    {"POST", "/v1/import", import_post, import_push, BODY_IMPORT, .samples = true,
     .help = "store a CSV stream: format=wide|long, zone, time_column, prefix, history"},
    {"POST", "/api/v1/write", remote_write_post, REMOTE_WRITE},
    {"POST", "/api/v1/push", remote_write_post, REMOTE_WRITE},
    {"POST", "/api/v1/read", remote_read_post, .body = BODY_COLLECTED, .snappy = true,
     .type = "application/x-protobuf", .refuse = remote_write_refuse,
     .help = "Prometheus remote_read: series, and what was forecast, at its own time"},
    {"GET", "/api/v1/query", prometheus_query, PROMETHEUS,
     .help = "for Grafana and others: a selector, offset, one comparison; query, time"},
    {"POST", "/api/v1/query", prometheus_query, PROMETHEUS, .help = "the same"},
    {"GET", "/api/v1/query_range", prometheus_query_range, PROMETHEUS,
     .help = "the same at many instants: query, start, end, step"},
    {"POST", "/api/v1/query_range", prometheus_query_range, PROMETHEUS,
     .help = "the same"},
    {"GET", "/api/v1/series", prometheus_series, PROMETHEUS,
     .help = "label sets: match[], start, end, limit"},
    {"POST", "/api/v1/series", prometheus_series, PROMETHEUS, .help = "the same"},
    {"GET", "/api/v1/labels", prometheus_labels, PROMETHEUS,
     .help = "names of labels: match[], start, end, limit"},
    {"POST", "/api/v1/labels", prometheus_labels, PROMETHEUS, .help = "the same"},
    {"GET", "/api/v1/label/{name}/values", prometheus_values, PROMETHEUS,
     .help = "values of one label"},
    {"GET", "/api/v1/metadata", prometheus_metadata, PROMETHEUS,
     .help = "types and help of metrics: none are kept"},
    {"GET", "/api/v1/status/buildinfo", prometheus_buildinfo, PROMETHEUS,
     .help = "which Prometheus this is like"},
    {"GET", "/api/v1/rules", prometheus_rules, PROMETHEUS, .help = "none"},
    {"GET", "/api/v1/alerts", prometheus_alerts, PROMETHEUS, .help = "none"},
    {"GET", "/api/v1/query_exemplars", prometheus_exemplars, PROMETHEUS, .help = "none"},
    {"POST", "/api/v1/query_exemplars", prometheus_exemplars, PROMETHEUS, .help = "none"},
    {"POST", "/write", influx_write_post, INFLUX_V1, .samples = true,
     .help = "InfluxDB line protocol, version 1: db, precision"},
    {"POST", "/api/v2/write", influx_v2_write_post, .body = BODY_COLLECTED,
     .samples = true, .refuse = influx_refuse_v2,
     .help = "InfluxDB line protocol, version 2: bucket, precision"},
    {"GET", "/query", influx_query, INFLUX_V1,
     .help = "databases, for clients of InfluxDB"},
    {"POST", "/query", influx_query, INFLUX_V1, .help = "the same; CREATE DATABASE"},
    {"GET", "/ping", influx_ping_get, .open = true,
     .help = "204, for clients of InfluxDB"},
    {"GET", "/health", influx_health_get, .open = true,
     .help = "whether samples can be stored, for clients of InfluxDB"},
    {"POST", "/collectd", collectd_post, .body = BODY_COLLECTED, .samples = true,
     .refuse = collectd_refuse, .help = "collectd's plugin write_http, Format JSON"},
    {"POST", "/api/put", opentsdb_post, .body = BODY_COLLECTED, .samples = true,
     .refuse = opentsdb_refuse, .help = "OpenTSDB: points as JSON; summary, details"},
    {"GET", "/v1/series", series_get, .help = "find series: select, limit"},
    {"GET", "/v1/covariates", covariates_get, .help = "what is known in advance"},
    {"GET", "/v1/covariates/{name}", covariate_get,
     .help = "what was said of one, and when: from, to, as_of"},
    {"PUT", "/v1/covariates/{name}", covariate_put, .body = BODY_COLLECTED,
     .help = "say what it is from one time to another"},
    {"DELETE", "/v1/covariates/{name}", covariate_delete,
     .help = "forget all that was said of one"},
    {"GET", "/v1/forecasters", forecasters_get, .help = "all definitions"},
    {"GET", "/v1/forecasters/{name}", forecaster_get, .help = "one definition"},
    {"PUT", "/v1/forecasters/{name}", forecaster_put, .body = BODY_COLLECTED,
     .help = "define or change"},
    {"DELETE", "/v1/forecasters/{name}", forecaster_delete,
     .help = "delete with its models"},
    {"GET", "/v1/forecasters/{name}/models", models_get,
     .help = "its versions, and how the one that serves was judged"},
    {"POST", "/v1/forecasters/{name}/models/{id}/restore", restore_post,
     .help = "that version serves from now on"},
    {"POST", "/v1/forecasters/{name}/train", train_post, .help = "train: a job"},
    {"POST", "/v1/forecasters/{name}/backtest", backtest_post, .body = BODY_COLLECTED,
     .help = "judge the candidates on its history: a job"},
    {"POST", "/v1/forecasters/{name}/convert", convert_post, .body = BODY_COLLECTED,
     .help = "a softmax model to mixer=inline|luna: a job"},
    {"GET", "/v1/forecasters/{name}/forecast", forecast_get,
     .help = "what comes next: horizon, quantiles, series, as_of, observed, "
             "format=json|rows|csv"},
    {"GET", "/v1/forecasters/{name}/accuracy", accuracy_get,
     .help = "how what was issued came true: series, days, as_of, format=json|csv"},
    {"GET", "/v1/forecasters/{name}/calibrations", calibrations_get,
     .help = "how often its bands were stretched: as_of, limit"},
    {"GET", "/v1/forecasters/{name}/calibrations/{id}", calibration_get,
     .help = "one of them: by how much, for each series"},
    {"GET", "/v1/forecasters/{name}/replay", replay_get,
     .help = "whether what was issued comes out again: as_of, limit"},
    {"GET", "/v1/forecasters/{name}/crossings", crossings_get_one,
     .help = "when thresholds are crossed, soonest first: series, limit"},
    {"GET", "/v1/forecasters/{name}/anomalies", anomalies_get,
     .help = "what lay outside its band: series, hours, as_of, limit"},
    {"GET", "/v1/crossings", crossings_get_all,
     .help = "the same of all forecasters with thresholds: limit"},
    {"POST", "/v1/forecast", forecast_post, .body = BODY_COLLECTED,
     .help = "what comes after these values, or what if: kept nowhere"},
    {"POST", "/v1/forecasters/{name}/issue", issue_post,
     .help = "forecast now, into the ledger"},
    {"GET", "/v1/jobs", jobs_get, .help = "newest first: kind, forecaster, state, limit"},
    {"GET", "/v1/jobs/{id}", job_get, .help = "state and progress of one"},
    {"DELETE", "/v1/jobs/{id}", job_delete, .help = "cancel it"},
    {"GET", "/v1/jobs/{id}/events", job_events,
     .help = "its progress as it comes, as server-sent events"},
    {"GET", "/metrics", metrics_get, .help = "for Prometheus"},
    {"GET", "/-/healthy", healthy_get, .open = true,
     .help = "200 while the process answers"},
    {"GET", "/-/ready", ready_get, .open = true,
     .help = "200 while samples can be stored"},
    {"POST", "/-/reload", reload_post,
     .help = "read the configuration and the files of forecasters again"},
};

/* Every method a path may have, for Allow. */
static const char *const method_sets[] = {
    "GET, HEAD", "POST", "GET, HEAD, POST", "GET, HEAD, DELETE", "GET, HEAD, PUT, DELETE",
};

size_t routes_count(void)
{
    return sizeof table / sizeof *table;
}

const struct route *routes_at(size_t index)
{
    return &table[index];
}

size_t routes_index(const struct route *route)
{
    return (size_t)(route - table);
}

/* What stood in the path for each {} of its pattern. */
struct parts {
    const char *at[2];
    size_t len[2], count;
};

static bool matches(const char *pattern, const char *path, struct parts *parts)
{
    parts->count = 0;
    while (*pattern && (*pattern == '{' || *pattern == *path)) {
        if (*pattern != '{') {
            pattern++;
            path++;
            continue;
        }
        const size_t len = strcspn(path, "/");
        if (len == 0)
            return false;
        parts->at[parts->count] = path;
        parts->len[parts->count++] = len;
        path += len;
        pattern = strchr(pattern, '}') + 1;
    }
    return !*pattern && !*path;
}

/* The set that holds exactly the methods of path. */
static const char *allowed(const char *path)
{
    struct parts parts;
    size_t got = 0;
    const char *best = NULL;
    for (size_t s = 0; s < sizeof method_sets / sizeof *method_sets; s++) {
        size_t inside = 0;
        for (size_t r = 0; r < routes_count(); r++)
            inside += matches(table[r].pattern, path, &parts) &&
                      strstr(method_sets[s], table[r].method);
        if (inside > got) {
            got = inside;
            best = method_sets[s];
        }
    }
    return best;
}

const struct route *routes_find(const char *method, const char *path, char **name,
                                char **name2, struct reply *reply)
{
    const char *const wanted = strcmp(method, "HEAD") ? method : "GET";
    for (size_t r = 0; r < routes_count(); r++) {
        struct parts parts;
        if (strcmp(table[r].method, wanted) || !matches(table[r].pattern, path, &parts))
            continue;
        if (parts.count > 0)
            *name = mem_text_n(parts.at[0], parts.len[0]);
        if (parts.count > 1)
            *name2 = mem_text_n(parts.at[1], parts.len[1]);
        return &table[r];
    }
    const char *const allow = allowed(path);
    if (allow) {
        char *const detail =
            mem_printf("method: must be one of %s, got %s", allow, method);
        reply_problem_status(reply, 405, "method", "This route has no such method",
                             detail, path);
        reply->allow = allow;
        free(detail);
    } else {
        struct err err = {0};
        err_set(&err, ERR_NOT_FOUND, "there is no route %.200s; GET / lists them", path);
        reply_problem(reply, &err, path, NULL);
    }
    return NULL;
}
