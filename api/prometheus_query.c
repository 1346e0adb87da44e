/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET and POST /api/v1/query and /api/v1/query_range.
 */
#include "api/prometheus.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/crossings_named.h"
#include "api/named.h"
#include "api/promql.h"
#include "api/query.h"
#include "api/server.h"

enum {
    STEPS_MAX = 11000,     /* as Prometheus has it */
    SAMPLES_MAX = 2 << 20, /* that are read */
    RESULT_MAX = 64 << 20, /* bytes of an answer */
    FIRST_DIGITS = 15,     /* which most numbers that people wrote fit */
};

/* ---- writing --------------------------------------------------------------------- */

static void put_time(struct page *page, int64_t time_ms)
{
    if (time_ms % 1000)
        page_add(page, "%.3f", (double)time_ms / 1e3);
    else
        page_add(page, "%" PRId64, time_ms / 1000);
}

/* [1774785600.5,"0.25"]: numbers alone, that need no escaping. */
static void put_pair(struct page *page, int64_t time_ms, double value)
{
    char text[32] = "NaN";
    page_add(page, "[");
    put_time(page, time_ms);
    if (isinf(value))
        memcpy(text, value > 0 ? "+Inf" : "-Inf", 5);
    for (int digits = FIRST_DIGITS; isfinite(value) && digits <= DIGITS_DOUBLE;
         digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    page_add(page, ",\"%s\"]", text);
}

static void put_labels(struct page *page, const struct labels *labels)
{
    json_t *const object = json_object();
    for (size_t i = 0; i < labels->count; i++)
        json_object_set_new(object, labels->label[i].name,
                            json_text(labels->label[i].value));
    char *const text = json_dumps(object, JSON_COMPACT);
    page_add_bytes(page, text, strlen(text));
    free(text);
    json_decref(object);
}

/* ---- evaluating ------------------------------------------------------------------ */

struct evaluation {
    struct promql query;
    int64_t start_ms, end_ms, step_ms;
    bool range; /* many instants, not one */
    struct page page;
    size_t series;
};

static void begin_series(struct evaluation *e, const struct labels *labels)
{
    page_add(&e->page, "%s{\"metric\":", e->series++ ? "," : "");
    put_labels(&e->page, labels);
}

static int check_size(const struct evaluation *e, struct err *err)
{
    if (e->page.len <= RESULT_MAX)
        return 0;
    return err_set(err, ERR_TOO_LARGE,
                   "more than %d bytes: ask for a shorter time, a longer step or fewer "
                   "series",
                   RESULT_MAX);
}

/* The samples of a range, as they are. */
static int take_range(void *ctx, const struct named *named, struct err *err)
{
    struct evaluation *const e = ctx;
    begin_series(e, named->labels);
    page_add(&e->page, ",\"values\":[");
    for (size_t i = 0; i < named->count; i++) {
        if (i)
            page_add(&e->page, ",");
        put_pair(&e->page, named->samples[i].time_ms, named->samples[i].value);
    }
    page_add(&e->page, "]}");
    return check_size(e, err);
}

/* For each instant the newest sample that is not too old, where the filter lets it. */
static int take_instants(void *ctx, const struct named *named, struct err *err)
{
    struct evaluation *const e = ctx;
    size_t next = 0, shown = 0;
    for (int64_t at = e->start_ms; at <= e->end_ms; at += e->step_ms) {
        const int64_t sample_ms = at - e->query.offset_ms;
        while (next < named->count && named->samples[next].time_ms <= sample_ms)
            next++;
        if (next == 0)
            continue;
        const struct sample *const sample = &named->samples[next - 1];
        if (sample->time_ms <= sample_ms - named->lookback_ms ||
            !promql_passes(&e->query, sample->value))
            continue;
        if (shown == 0) {
            begin_series(e, named->labels);
            page_add(&e->page, e->range ? ",\"values\":[" : ",\"value\":");
        }
        page_add(&e->page, "%s", shown++ ? "," : "");
        put_pair(&e->page, at, sample->value);
    }
    if (shown)
        page_add(&e->page, e->range ? "]}" : "}");
    return check_size(e, err);
}

static int read_series(struct evaluation *e, struct api *api, struct err *err)
{
    const bool matrix = e->query.kind == PROMQL_MATRIX;
    const struct named_wish wish = {
        .selector = e->query.selector,
        /* A range leaves out its beginning, as a look back does. */
        .from_ms =
            e->start_ms - e->query.offset_ms - (matrix ? e->query.range_ms - 1 : 0),
        .to_ms = e->end_ms - e->query.offset_ms,
        .look_back = !matrix,
        .samples_max = SAMPLES_MAX,
    };
    page_add(&e->page, "{\"resultType\":\"%s\",\"result\":[",
             e->range || matrix ? "matrix" : "vector");
    named_each *const each = matrix ? take_range : take_instants;
    if (named_read(api->config.store, &wish, each, e, err) ||
        crossings_named(api, &wish, false, each, e, err))
        return -1;
    page_add(&e->page, "]}");
    return 0;
}

static void put_number(struct evaluation *e)
{
    const double number = e->query.number;
    if (!e->range) {
        page_add(&e->page, "{\"resultType\":\"scalar\",\"result\":");
        put_pair(&e->page, e->start_ms, number);
        page_add(&e->page, "}");
        return;
    }
    page_add(&e->page,
             "{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[");
    for (int64_t at = e->start_ms; at <= e->end_ms; at += e->step_ms) {
        page_add(&e->page, "%s", at > e->start_ms ? "," : "");
        put_pair(&e->page, at, number);
    }
    page_add(&e->page, "]}]}");
}

static int evaluate(struct request *req, struct evaluation *e, struct reply *reply,
                    struct err *err)
{
    int rc = 0;
    if (e->query.kind == PROMQL_NUMBER)
        put_number(e);
    else
        rc = read_series(e, req->api, err);
    promql_fini(&e->query);
    if (rc == 0)
        return prometheus_reply(reply, &e->page);
    free(e->page.bytes);
    return prometheus_failed(reply, err);
}

/* ---- requests -------------------------------------------------------------------- */

static int read_query(struct request *req, struct promql *out, struct err *err)
{
    if (query_form(req, err))
        return -1;
    const char *const text = query_text(req, "query");
    if (!text)
        return err_set(err, ERR_INVALID, "query: is missing");
    return promql_parse(text, strlen(text), out, err);
}

int prometheus_query(struct request *req, struct reply *reply, struct err *err)
{
    struct evaluation e = {.step_ms = 1};
    if (read_query(req, &e.query, err))
        return -1;
    e.start_ms = clock_now_ms(&req->api->config.clock);
    if (prometheus_time(req, "time", &e.start_ms, err)) {
        promql_fini(&e.query);
        return -1;
    }
    e.end_ms = e.start_ms;
    return evaluate(req, &e, reply, err);
}

static int read_span(const struct request *req, struct evaluation *e, struct err *err)
{
    static const char *const needed[] = {"start", "end", "step"};
    for (size_t i = 0; i < 3; i++)
        if (!query_text(req, needed[i]))
            return err_set(err, ERR_INVALID, "invalid parameter \"%s\": is missing",
                           needed[i]);
    const char *const step = query_text(req, "step");
    if (prometheus_time(req, "start", &e->start_ms, err) ||
        prometheus_time(req, "end", &e->end_ms, err))
        return -1;
    if (e->end_ms < e->start_ms)
        return err_set(
            err, ERR_INVALID,
            "invalid parameter \"end\": end timestamp must not be before start time");
    if (promql_duration(step, strlen(step), &e->step_ms, NULL))
        return err_set(err, ERR_INVALID,
                       "invalid parameter \"step\": cannot parse \"%.60s\" to a valid "
                       "duration",
                       step);
    if (e->step_ms <= 0)
        return err_set(err, ERR_INVALID,
                       "invalid parameter \"step\": zero or negative query resolution "
                       "step widths are not accepted. Try a positive integer");
    if ((e->end_ms - e->start_ms) / e->step_ms > STEPS_MAX)
        return err_set(err, ERR_INVALID,
                       "exceeded maximum resolution of 11,000 points per timeseries. Try "
                       "decreasing the query resolution (?step=XX)");
    if (e->query.kind == PROMQL_MATRIX)
        return err_set(err, ERR_INVALID,
                       "invalid expression type \"range vector\" for range query, must "
                       "be Scalar or instant Vector");
    return 0;
}

int prometheus_query_range(struct request *req, struct reply *reply, struct err *err)
{
    struct evaluation e = {.range = true};
    if (read_query(req, &e.query, err))
        return -1;
    if (read_span(req, &e, err)) {
        promql_fini(&e.query);
        return -1;
    }
    return evaluate(req, &e, reply, err);
}
