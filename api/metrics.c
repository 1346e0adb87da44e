/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /metrics, in Prometheus' text format or OpenMetrics, as the reader prefers.
 */
#include "api/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "api/exposition.h"
#include "api/forecast_metrics.h"
#include "api/handlers.h"
#include "api/process.h"
#include "api/routes.h"
#include "api/server.h"
#include "base/mem.h"

enum { ROUTES_MAX = 128 };

static const char *const dialect_words[DIALECT_COUNT] = {
    "json", "csv", "remote_write", "influx", "collectd", "opentsdb"};
static const char *const reason_words[REJECT_COUNT] = {
    "invalid", "future",     "conflict",   "busy",     "store",
    "stale",   "not_finite", "not_number", "exemplar", "metadata"};
/* Statuses we answer with; 0 is a client that went away, the last any other. */
static const unsigned statuses[] = {0,   200, 201, 202, 204, 400, 401, 404,
                                    405, 409, 413, 415, 422, 500, 503, 999};
enum { STATUSES = sizeof statuses / sizeof *statuses };

static const double bounds_s[] = {.001, .0025, .005, .01, .025, .05, .1,
                                  .25,  .5,    1,    2.5, 5,    10,  30};
enum { BOUNDS = sizeof bounds_s / sizeof *bounds_s };

struct metrics {
    pthread_mutex_t lock;
    struct store_counts counts[DIALECT_COUNT];
    uint64_t rejected[DIALECT_COUNT][REJECT_COUNT];
    uint64_t requests[ROUTES_MAX + 1][STATUSES]; /* the last row: no route */
    uint64_t took[ROUTES_MAX + 1][BOUNDS + 1];   /* per bucket, not cumulative */
    double took_s[ROUTES_MAX + 1];
};

struct metrics *metrics_new(void)
{
    struct metrics *const m = mem_new(1, sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
    return m;
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    pthread_mutex_destroy(&m->lock);
    free(m);
}

/* ---- counting -------------------------------------------------------------------- */

enum reject_reason metrics_reason(enum err_code code)
{
    return code == ERR_BUSY || code == ERR_NO_MEMORY ? REJECT_BUSY : REJECT_STORE;
}

void metrics_stored(struct metrics *m, enum dialect dialect,
                    const struct store_counts *counts)
{
    pthread_mutex_lock(&m->lock);
    m->counts[dialect].stored += counts->stored;
    m->counts[dialect].replaced += counts->replaced;
    m->counts[dialect].duplicate += counts->duplicate;
    pthread_mutex_unlock(&m->lock);
}

void metrics_rejected(struct metrics *m, enum dialect dialect, enum reject_reason reason,
                      uint64_t samples)
{
    pthread_mutex_lock(&m->lock);
    m->rejected[dialect][reason] += samples;
    pthread_mutex_unlock(&m->lock);
}

void metrics_request(struct metrics *m, const struct route *route, unsigned status,
                     double seconds)
{
    const size_t row = route ? routes_index(route) : ROUTES_MAX;
    assert(routes_count() <= ROUTES_MAX);
    size_t s = 0;
    while (s < STATUSES - 1 && statuses[s] != status)
        s++;
    size_t b = 0;
    while (b < BOUNDS && seconds > bounds_s[b])
        b++;
    pthread_mutex_lock(&m->lock);
    m->requests[row][s]++;
    m->took[row][b]++;
    m->took_s[row] += seconds;
    pthread_mutex_unlock(&m->lock);
}

/* ---- writing ----------------------------------------------------------------------- */

static uint64_t rejected_all(const struct metrics *m, size_t dialect)
{
    uint64_t sum = 0;
    for (size_t r = 0; r < REJECT_COUNT; r++)
        sum += m->rejected[dialect][r];
    return sum;
}

static void write_samples(struct exposition *out, const struct metrics *m)
{
    exposition_family(out, "frwkvd_samples_received_total", FAMILY_COUNTER,
                      "Samples, and what came beside them: stored, replaced, duplicate "
                      "and rejected together.");
    for (size_t d = 0; d < DIALECT_COUNT; d++) {
        const struct store_counts *const c = &m->counts[d];
        page_add(&out->page,
                 "frwkvd_samples_received_total{dialect=\"%s\"} %" PRIu64 "\n",
                 dialect_words[d],
                 c->stored + c->replaced + c->duplicate + rejected_all(m, d));
    }
    exposition_family(out, "frwkvd_samples_accepted_total", FAMILY_COUNTER,
                      "Samples that were committed, by what happened to them.");
    for (size_t d = 0; d < DIALECT_COUNT; d++) {
        const struct store_counts *const c = &m->counts[d];
        const uint64_t values[] = {c->stored, c->replaced, c->duplicate};
        static const char *const words[] = {"stored", "replaced", "duplicate"};
        for (size_t i = 0; i < 3; i++)
            page_add(
                &out->page,
                "frwkvd_samples_accepted_total{dialect=\"%s\",result=\"%s\"} %" PRIu64
                "\n",
                dialect_words[d], words[i], values[i]);
    }
    exposition_family(
        out, "frwkvd_samples_rejected_total", FAMILY_COUNTER,
        "Samples that were refused, by the reason of their request's refusal.");
    for (size_t d = 0; d < DIALECT_COUNT; d++)
        for (size_t r = 0; r < REJECT_COUNT; r++)
            page_add(
                &out->page,
                "frwkvd_samples_rejected_total{dialect=\"%s\",reason=\"%s\"} %" PRIu64
                "\n",
                dialect_words[d], reason_words[r], m->rejected[d][r]);
}

/* route="/v1/jobs/{id}",method="GET" of a row. */
static void write_route(struct exposition *out, size_t row)
{
    const struct route *const route = row < routes_count() ? routes_at(row) : NULL;
    page_add(&out->page, "route=\"%s\",method=\"%s\"", route ? route->pattern : "none",
             route ? route->method : "none");
}

static void write_status(struct exposition *out, unsigned status)
{
    if (status == 0)
        page_add(&out->page, "gone");
    else if (status == 999)
        page_add(&out->page, "other");
    else
        page_add(&out->page, "%u", status);
}

static void write_requests(struct exposition *out, const struct metrics *m)
{
    exposition_family(
        out, "frwkvd_http_requests_total", FAMILY_COUNTER,
        "Requests that ended; status gone: the client went away before its answer.");
    for (size_t row = 0; row <= ROUTES_MAX; row++)
        for (size_t s = 0; s < STATUSES; s++) {
            if (!m->requests[row][s])
                continue;
            page_add(&out->page, "frwkvd_http_requests_total{");
            write_route(out, row);
            page_add(&out->page, ",status=\"");
            write_status(out, statuses[s]);
            page_add(&out->page, "\"} %" PRIu64 "\n", m->requests[row][s]);
        }
}

static void write_duration(struct exposition *out, const struct metrics *m, size_t row)
{
    static const char name[] = "frwkvd_http_request_duration_seconds";
    uint64_t sum = 0;
    for (size_t b = 0; b <= BOUNDS; b++) {
        sum += m->took[row][b];
        page_add(&out->page, "%s_bucket{", name);
        write_route(out, row);
        page_add(&out->page, ",le=\"");
        if (b < BOUNDS)
            exposition_bound(out, bounds_s[b]);
        else
            page_add(&out->page, "+Inf");
        page_add(&out->page, "\"} %" PRIu64 "\n", sum);
    }
    page_add(&out->page, "%s_sum{", name);
    write_route(out, row);
    page_add(&out->page, "} %.9g\n%s_count{", m->took_s[row], name);
    write_route(out, row);
    page_add(&out->page, "} %" PRIu64 "\n", sum);
}

static void write_durations(struct exposition *out, const struct metrics *m)
{
    exposition_family(out, "frwkvd_http_request_duration_seconds", FAMILY_HISTOGRAM,
                      "From the first byte of a request to the last of its answer.");
    for (size_t row = 0; row <= ROUTES_MAX; row++) {
        uint64_t any = 0;
        for (size_t b = 0; b <= BOUNDS; b++)
            any += m->took[row][b];
        if (any)
            write_duration(out, m, row);
    }
}

static void write_process(struct exposition *out, struct api *api)
{
    exposition_family(out, "frwkvd_build_info", FAMILY_GAUGE,
                      "Constant 1, labelled with the version.");
    page_add(&out->page, "frwkvd_build_info{version=\"%s\"} 1\n", api->config.version);
    exposition_family(out, "frwkvd_start_time_seconds", FAMILY_GAUGE,
                      "When the server started, since 1970.");
    page_add(&out->page, "frwkvd_start_time_seconds %.3f\n",
             (double)api->started_ms / 1e3);
    exposition_family(out, "frwkvd_http_work_waiting", FAMILY_GAUGE,
                      "Requests that wait for a worker.");
    page_add(&out->page, "frwkvd_http_work_waiting %zu\n",
             workers_waiting(api->workers) + workers_waiting(api->intake));
    exposition_family(out, "frwkvd_http_body_bytes", FAMILY_GAUGE,
                      "Memory that request bodies hold.");
    page_add(&out->page, "frwkvd_http_body_bytes %zu\n", atomic_load(&api->body_bytes));
}

int metrics_get(struct request *req, struct reply *reply, struct err *err)
{
    struct api *const api = req->api;
    struct store *const store = api->config.store;
    struct exposition out = {.openmetrics = req->takes_openmetrics};
    write_process(&out, api);
    process_write(&out);
    pthread_mutex_lock(&api->metrics->lock);
    write_samples(&out, api->metrics);
    write_requests(&out, api->metrics);
    write_durations(&out, api->metrics);
    pthread_mutex_unlock(&api->metrics->lock);
    metrics_write_figures(&out, &api->config);
    if (metrics_write_jobs(&out, store, err) || metrics_write_models(&out, api, err) ||
        forecast_metrics(&out.page, api, err)) {
        free(out.page.bytes);
        return -1;
    }
    return exposition_reply(&out, req->takes_gzip, reply, err);
}
