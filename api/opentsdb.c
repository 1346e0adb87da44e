/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/opentsdb.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "api/handlers.h"
#include "api/label_set.h"
#include "api/query.h"
#include "base/mem.h"

/* ---- reading ------------------------------------------------------------------------- */

static const double SECONDS_MAX = 9999999999.0; /* of ten digits */

static int read_time(const json_t *point, int64_t *time_ms, struct err *why)
{
    const json_t *const value = json_object_get(point, "timestamp");
    const double number = json_is_number(value) ? json_number_value(value) : (double)NAN;
    const bool seconds = fabs(number) <= SECONDS_MAX;
    if (!(fabs(number) < 1e15))
        return err_set(why, ERR_INVALID,
                       "timestamp: must be a number of seconds or milliseconds");
    *time_ms = llrint(seconds ? number * 1000 : number);
    return 0;
}

static int read_value(const json_t *point, double *out, struct err *why)
{
    const json_t *const value = json_object_get(point, "value");
    const char *const text = json_string_value(value);
    char *end = NULL;
    *out = text ? strtod(text, &end) : json_number_value(value);
    if (json_is_number(value) || (text && end != text && !*end))
        return 0;
    return err_set(why, ERR_INVALID, "value: must be a number");
}

/* Copies of the tags' names, mended; the set points to them. */
struct names {
    size_t count;
    char *name[LABELS_COUNT_MAX];
};

static int add_tags(const json_t *tags, struct label_set *set, struct names *names,
                    struct err *why)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)tags, key, value)
    {
        const char *const text = json_string_value(value);
        if (!text)
            return err_set(why, ERR_INVALID, "tags: must have texts");
        if (names->count == LABELS_COUNT_MAX)
            return err_set(why, ERR_INVALID, "tags: at most %d are taken, got %zu",
                           LABELS_COUNT_MAX, json_object_size(tags));
        char *const name = names->name[names->count++] = mem_text(key);
        label_name_mend(name, strlen(name));
        label_set_add(set, name, strlen(name), text, strlen(text));
    }
    return 0;
}

static int name_of(const json_t *point, char out[static LABELS_TEXT_MAX], struct err *why)
{
    const char *const metric = json_string_value(json_object_get(point, "metric"));
    const json_t *const tags = json_object_get(point, "tags");
    struct label_set set;
    struct names names = {0};
    if (!metric || !*metric)
        return err_set(why, ERR_INVALID, "metric: is missing");
    if (tags && !json_is_object(tags))
        return err_set(why, ERR_INVALID, "tags: must be an object");
    set.count = 0;
    label_set_add(&set, "__name__", 8, metric, strlen(metric));
    const int rc = add_tags(tags, &set, &names, why) || label_set_name(&set, out, why);
    for (size_t i = 0; i < names.count; i++)
        free(names.name[i]);
    return rc ? -1 : 0;
}

static void read_point(const json_t *point, size_t number, struct intake *in)
{
    char name[LABELS_TEXT_MAX], place[32];
    int64_t time_ms = 0;
    double value = 0;
    struct err why = {0};
    snprintf(place, sizeof place, "[%zu]", number);
    if (read_time(point, &time_ms, &why) == 0 && read_value(point, &value, &why) == 0 &&
        name_of(point, name, &why) == 0) {
        intake_add(in, store_batch_series(in->batch, name), time_ms, value, place);
        return;
    }
    err_prefix(&why, "%s", place);
    intake_refuse(in, REJECT_INVALID, 1, &why);
}

int opentsdb_read(const char *text, size_t len, struct intake *in, struct err *err)
{
    json_error_t where;
    json_auto_t *body = json_loadb(text ? text : "", len, 0, &where);
    if (!body)
        return err_set(err, ERR_INVALID, "body: is not JSON at line %d column %d",
                       where.line, where.column);
    if (json_is_object(body))
        read_point(body, 0, in);
    else if (!json_is_array(body))
        return err_set(err, ERR_INVALID, "body: must be a point or a list of points");
    for (size_t i = 0; i < json_array_size(body); i++)
        read_point(json_array_get(body, i), i, in);
    return 0;
}

/* ---- answering ----------------------------------------------------------------------- */

static void say(struct reply *reply, unsigned status, const char *text)
{
    reply_json(reply, status,
               json_pack("{s:{s:i, s:o}}", "error", "code", (int)status, "message",
                         json_text(text)),
               DIGITS_DOUBLE);
}

void opentsdb_refuse(struct reply *reply, const struct err *err)
{
    say(reply, intake_status(err->code), err->msg);
}

static void answer(const struct intake *in, struct reply *reply)
{
    if (!in->refused) {
        reply->status = 204;
        return;
    }
    char *const text = mem_printf("%s; %" PRIu64 " of %" PRIu64
                                  " points were refused, the rest is stored",
                                  in->why.msg, in->refused, in->refused + in->taken);
    say(reply, 400, text);
    free(text);
}

/* With ?summary or ?details. */
static void answer_summary(const struct intake *in, struct reply *reply)
{
    json_t *const summary = json_pack("{s:I, s:I}", "success", (json_int_t)in->taken,
                                      "failed", (json_int_t)in->refused);
    if (in->refused)
        json_object_set_new(summary, "errors",
                            json_pack("[{s:o}]", "error", json_text(in->why.msg)));
    reply_json(reply, in->refused ? 400 : 200, summary, DIGITS_DOUBLE);
}

int opentsdb_post(struct request *req, struct reply *reply, struct err *err)
{
    const bool summary = query_text(req, "summary") || query_text(req, "details");
    struct intake *const in = intake_new(req, DIALECT_OPENTSDB);
    if (opentsdb_read(req->body, req->body_len, in, err))
        return intake_drop(req, in);
    return intake_store(req, in, summary ? answer_summary : answer, reply, err);
}
