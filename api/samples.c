/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * POST /v1/samples and GET /v1/samples.
 *
 *     {"samples": [{"series": "cpu{host=\"a\"}", "time": "2026-03-29T02:30:00Z",
 *                   "value": 0.31}, ...]}
 *
 * time is RFC 3339 or an integer of milliseconds since 1970.  The whole body is checked
 * before anything is stored: one bad sample refuses all.  The same series and time
 * twice in one body is taken (and counted as duplicate) when the values agree and
 * refused when they do not, since there is no telling which was meant.
 */
#include "api/handlers.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/fields.h"
#include "api/query.h"
#include "api/rules.h"
#include "api/server.h"
#include "base/labels.h"
#include "base/mem.h"

enum { LIMIT_DEFAULT = 10000, LIMIT_MAX = 100000 };

struct item {
    uint32_t series;
    int64_t time_ms;
    double value;
    size_t index; /* in the request */
};

/* A body on its way into a batch. */
struct intake {
    struct api *api;
    struct store_batch *batch;
    struct item *items;
    size_t count;
    int64_t now_ms;
    const char *last_name; /* the samples of one series often stand together */
    uint32_t last_series;
    enum reject_reason reason;
};

/* ---- in -------------------------------------------------------------------------- */

static int read_series(struct intake *in, const json_t *sample, const char *place,
                       uint32_t *series, struct err *err)
{
    const char *name = NULL;
    if (field_text(sample, place, "series", true, &name, err))
        return -1;
    if (!in->last_name || strcmp(in->last_name, name)) {
        char canonical[LABELS_TEXT_MAX];
        if (rule_series(name, canonical, err)) {
            err_prefix(err, "%s.series", place);
            return -1;
        }
        in->last_name = name;
        in->last_series = store_batch_series(in->batch, canonical);
    }
    *series = in->last_series;
    return 0;
}

static int read_time(struct intake *in, const json_t *sample, const char *place,
                     int64_t *time_ms, struct err *err)
{
    const json_t *const value = json_object_get(sample, "time");
    if (!value)
        return err_set(err, ERR_INVALID, "%s.time: is missing", place);
    struct err why = {0};
    const char *const text = json_string_value(value);
    if (text && !time_parse(text, strlen(text), NULL, time_ms, &why))
        ;
    else if (json_is_integer(value) && json_integer_value(value) >= TIME_MIN_MS &&
             json_integer_value(value) <= TIME_MAX_MS)
        *time_ms = json_integer_value(value);
    else {
        char shown[FIELD_SHOWN_MAX];
        return err_set(err, ERR_INVALID,
                       "%s.time: must be RFC 3339 or integer milliseconds, got %s", place,
                       field_shown(value, shown));
    }
    if (rule_time_now(*time_ms, in->now_ms, in->api->config.future_max_ms, err)) {
        in->reason = REJECT_FUTURE;
        err_prefix(err, "%s.time", place);
        return -1;
    }
    return 0;
}

static int read_value(const json_t *sample, const char *place, double *value,
                      struct err *err)
{
    const json_t *const given = json_object_get(sample, "value");
    if (!given)
        return err_set(err, ERR_INVALID, "%s.value: is missing", place);
    *value = NAN;
    if (field_number(sample, place, "value", value, err))
        return -1;
    if (isfinite(*value))
        return 0;
    return err_set(err, ERR_INVALID, "%s.value: must be a number, got null", place);
}

static int read_sample(struct intake *in, const json_t *sample, size_t index,
                       struct item *item, struct err *err)
{
    static const char *const keys[] = {"series", "time", "value", NULL};
    char place[48];
    snprintf(place, sizeof place, "samples[%zu]", index);
    if (!json_is_object(sample)) {
        char shown[FIELD_SHOWN_MAX];
        return err_set(err, ERR_INVALID, "%s: must be an object, got %s", place,
                       field_shown(sample, shown));
    }
    item->index = index;
    if (fields_known(sample, place, keys, err) ||
        read_series(in, sample, place, &item->series, err) ||
        read_time(in, sample, place, &item->time_ms, err) ||
        read_value(sample, place, &item->value, err))
        return -1;
    return 0;
}

static int by_series_and_time(const void *a, const void *b)
{
    const struct item *const x = a;
    const struct item *const y = b;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static int check_conflicts(struct intake *in, struct err *err)
{
    qsort(in->items, in->count, sizeof *in->items, by_series_and_time);
    for (size_t i = 1; i < in->count; i++) {
        const struct item *const a = &in->items[i - 1];
        const struct item *const b = &in->items[i];
        if (a->series != b->series || a->time_ms != b->time_ms || a->value == b->value)
            continue;
        char time[TIME_TEXT_SIZE];
        in->reason = REJECT_CONFLICT;
        return err_set(
            err, ERR_INVALID,
            "samples[%zu].value: must agree with samples[%zu] of the same series "
            "and time %s (%.17g), got %.17g",
            b->index, a->index, time_format(a->time_ms, time), a->value, b->value);
    }
    return 0;
}

static int read_samples(struct intake *in, const json_t *list, struct err *err)
{
    for (size_t i = 0; i < in->count; i++) {
        if (read_sample(in, json_array_get(list, i), i, &in->items[i], err))
            return -1;
        store_batch_add(in->batch, in->items[i].series, in->items[i].time_ms,
                        in->items[i].value);
    }
    return check_conflicts(in, err);
}

/* The array of a body; borrowed from it. */
static const json_t *samples_of(const json_t *body, struct err *err)
{
    static const char *const keys[] = {"samples", NULL};
    if (fields_known(body, "", keys, err))
        return NULL;
    const json_t *const list = json_object_get(body, "samples");
    if (json_is_array(list) && json_array_size(list) > 0)
        return list;
    char shown[FIELD_SHOWN_MAX];
    if (!list)
        err_set(err, ERR_INVALID, "samples: is missing");
    else
        err_set(err, ERR_INVALID,
                "samples: must be a list with at least one sample, got %s",
                field_shown(list, shown));
    return NULL;
}

/* On the store's thread, after the commit. */
static void committed(void *ctx, const struct store_counts *counts, const struct err *err)
{
    struct request *const req = ctx;
    const uint64_t received = *(const uint64_t *)req->state;
    struct metrics *const metrics = req->api->metrics;
    if (err && err->code) {
        metrics_rejected(metrics, DIALECT_JSON, REJECT_STORE, received);
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
    struct api *const api = req->api;
    if (query_none(req, err))
        return -1;
    json_auto_t *body = fields_parse(req->body, req->body_len, err);
    const json_t *const list = body ? samples_of(body, err) : NULL;
    if (!list)
        return -1;
    struct intake in = {.api = api,
                        .batch = store_batch_new(),
                        .count = json_array_size(list),
                        .now_ms = clock_now_ms(&api->config.clock),
                        .reason = REJECT_INVALID};
    in.items = mem_new(in.count, sizeof *in.items);
    const int rc = read_samples(&in, list, err);
    free(in.items);
    if (rc) {
        store_batch_free(in.batch);
        metrics_rejected(api->metrics, DIALECT_JSON, in.reason, in.count);
        return -1;
    }
    uint64_t *const received = mem_new(1, sizeof *received);
    *received = in.count;
    req->state = received;
    req->state_free = free;
    if (!store_append(api->config.store, in.batch, committed, req, err))
        return LATER;
    metrics_rejected(api->metrics, DIALECT_JSON,
                     err->code == ERR_BUSY ? REJECT_BUSY : REJECT_STORE, in.count);
    return -1;
}

/* ---- out -------------------------------------------------------------------------- */

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
    if (rule_series(wish.series, name, err)) {
        err_prefix(err, "series");
        return -1;
    }
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
