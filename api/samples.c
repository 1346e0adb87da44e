/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * POST /v1/samples and GET /v1/samples.
 */
#include "api/handlers.h"

#include <stdlib.h>

#include "api/query.h"
#include "api/rules.h"
#include "api/samples_in.h"
#include "api/server.h"
#include "base/labels.h"
#include "base/mem.h"

enum { LIMIT_DEFAULT = 10000, LIMIT_MAX = 100000 };

/* ---- in -------------------------------------------------------------------------- */

/* On the store's thread, after the commit. */
static void committed(void *ctx, const struct store_counts *counts, const struct err *err)
{
    struct request *const req = ctx;
    const uint64_t received = *(const uint64_t *)req->state;
    struct metrics *const metrics = req->api->metrics;
    if (err && err->code) {
        metrics_rejected(metrics, DIALECT_JSON, metrics_reason(err->code), received);
        request_fail(req, err);
        return;
    }
    metrics_stored(metrics, DIALECT_JSON, counts);
    struct reply reply = {0};
    reply_json(&reply, 200,
               json_pack("{s:I, s:I, s:I, s:I}", "received", (json_int_t)received,
                         "stored", (json_int_t)counts->stored, "replaced",
                         (json_int_t)counts->replaced, "duplicate",
                         (json_int_t)counts->duplicate),
               DIGITS_DOUBLE);
    request_finish(req, &reply);
}

int samples_post(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    const struct api_config *const config = &req->api->config;
    struct metrics *const metrics = req->api->metrics;
    struct samples_in in;
    if (query_none(req, err))
        return -1;
    struct store_batch *const batch = store_batch_new();
    if (samples_in_read(req->body, req->body_len, clock_now_ms(&config->clock),
                        config->future_max_ms, batch, &in, err)) {
        store_batch_free(batch);
        metrics_rejected(metrics, DIALECT_JSON, in.reason, in.count);
        return -1;
    }
    uint64_t *const received = mem_new(1, sizeof *received);
    *received = in.count;
    req->state = received;
    req->state_free = free;
    if (!store_append(config->store, batch, committed, req, err))
        return LATER;
    metrics_rejected(metrics, DIALECT_JSON, metrics_reason(err->code), in.count);
    return -1;
}

/* ---- out ------------------------------------------------------------------------- */

struct wish {
    const char *series;
    int64_t from_ms, to_ms, as_of_ms, limit;
    int format;
};

enum { FORMAT_JSON, FORMAT_CSV };

static void answer_json(struct reply *reply, const char *series,
                        const struct sample *samples, size_t count, bool more)
{
    char time[TIME_TEXT_SIZE];
    json_t *const list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:o}", "time",
                                              time_format(samples[i].time_ms, time),
                                              "value", json_number(samples[i].value)));
    reply_json(
        reply, 200,
        json_pack("{s:s, s:o, s:b}", "series", series, "samples", list, "more", more),
        DIGITS_DOUBLE);
}

/* The form `long` of csv.h: what comes out can go in again. */
static void answer_csv(struct reply *reply, const char *series,
                       const struct sample *samples, size_t count)
{
    char time[TIME_TEXT_SIZE];
    struct page page = {0};
    page_add(&page, "series,time,value\n");
    for (size_t i = 0; i < count; i++) {
        page_add_field(&page, series);
        page_add(&page, ",%s,", time_format(samples[i].time_ms, time));
        page_add_number(&page, samples[i].value);
        page_add(&page, "\n");
    }
    reply_text(reply, 200, "text/csv; charset=utf-8", page.bytes, page.len);
}

static int refuse_span(int64_t from_ms, int64_t to_ms, struct err *err)
{
    char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
    return err_set(err, ERR_INVALID, "from: must be at most to (%s), got %s",
                   time_format(to_ms, to), time_format(from_ms, from));
}

int samples_get(struct request *req, struct reply *reply, struct err *err)
{
    static const char *const formats[] = {"json", "csv", NULL};
    static const struct query_rule rules[] = {
        QUERY("series", QUERY_TEXT, struct wish, series),
        QUERY("from", QUERY_TIME, struct wish, from_ms),
        QUERY("to", QUERY_TIME, struct wish, to_ms),
        QUERY("as_of", QUERY_TIME, struct wish, as_of_ms),
        QUERY("limit", QUERY_COUNT, struct wish, limit, .most = LIMIT_MAX),
        QUERY("format", QUERY_WORD, struct wish, format, .words = formats),
    };
    struct wish wish = {.from_ms = TIME_MIN_MS,
                        .to_ms = TIME_MAX_MS,
                        .as_of_ms = AS_OF_NOW,
                        .limit = LIMIT_DEFAULT};
    char name[LABELS_TEXT_MAX];
    if (QUERY_READ(req, rules, &wish, err))
        return -1;
    if (!wish.series)
        return err_set(err, ERR_INVALID, "series: is missing");
    if (rule_series(wish.series, name, err))
        return rule_field("series", err);
    if (wish.from_ms > wish.to_ms)
        return refuse_span(wish.from_ms, wish.to_ms, err);
    struct sample *samples = NULL;
    size_t count = 0;
    const size_t limit = (size_t)wish.limit;
    if (store_read(req->api->config.store, name, wish.from_ms, wish.to_ms, wish.as_of_ms,
                   limit + 1, &samples, &count, err))
        return -1;
    const bool more = count > limit;
    if (wish.format == FORMAT_CSV)
        answer_csv(reply, name, samples, more ? limit : count);
    else
        answer_json(reply, name, samples, more ? limit : count, more);
    free(samples);
    return HANDLED;
}
