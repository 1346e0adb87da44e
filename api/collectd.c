/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/collectd.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "api/handlers.h"
#include "api/label_set.h"
#include "base/time.h"

/* ---- names --------------------------------------------------------------------------- */

/* One value list; the texts are borrowed from it. */
struct value_list {
    const char *host, *plugin, *plugin_instance, *type, *type_instance;
    const json_t *values, *dstypes, *dsnames;
    int64_t time_ms;
};

static void add_label(struct label_set *set, const char *name, const char *value)
{
    label_set_add(set, name, strlen(name), value, strlen(value));
}

static int name_of(const struct value_list *list, size_t i,
                   char out[static LABELS_TEXT_MAX], struct err *why)
{
    char metric[LABELS_TEXT_MAX];
    const char *const source = json_string_value(json_array_get(list->dsnames, i));
    const char *const kind = json_string_value(json_array_get(list->dstypes, i));
    const bool counts = kind && (!strcmp(kind, "counter") || !strcmp(kind, "derive"));
    const bool named = source && strcmp(source, "value") != 0;
    const bool typed = strcmp(list->plugin, list->type) != 0;
    const int len = snprintf(metric, sizeof metric, "collectd_%s%s%s%s%s%s", list->plugin,
                             typed ? "_" : "", typed ? list->type : "", named ? "_" : "",
                             named ? source : "", counts ? "_total" : "");
    if ((size_t)len >= sizeof metric)
        return err_set(why, ERR_INVALID, "series: must be below %d bytes",
                       LABELS_TEXT_MAX);
    struct label_set set;
    set.count = 0;
    add_label(&set, "__name__", metric);
    add_label(&set, "instance", list->host);
    if (*list->plugin_instance)
        add_label(&set, list->plugin, list->plugin_instance);
    if (*list->type_instance)
        add_label(&set, *list->plugin_instance ? "type" : list->plugin,
                  list->type_instance);
    return label_set_name(&set, out, why);
}

/* ---- reading ------------------------------------------------------------------------- */

static int read_text(const json_t *object, const char *key, bool needed, const char **out,
                     struct err *why)
{
    const json_t *const value = json_object_get(object, key);
    const char *const text = json_string_value(value);
    *out = text ? text : "";
    if (value && !text)
        return err_set(why, ERR_INVALID, "%s: must be a text", key);
    if (needed && !**out)
        return err_set(why, ERR_INVALID, "%s: is missing", key);
    return 0;
}

static int read_list(const json_t *object, struct value_list *list, struct err *why)
{
    const json_t *const time = json_object_get(object, "time");
    list->values = json_object_get(object, "values");
    list->dstypes = json_object_get(object, "dstypes");
    list->dsnames = json_object_get(object, "dsnames");
    if (!json_is_array(list->values))
        return err_set(why, ERR_INVALID, "values: must be a list");
    if (!json_is_number(time) || fabs(json_number_value(time)) > TIME_MAX_MS / 1000)
        return err_set(why, ERR_INVALID, "time: must be a number of seconds since 1970");
    list->time_ms = llrint(json_number_value(time) * 1000);
    return read_text(object, "host", true, &list->host, why) ||
                   read_text(object, "plugin", true, &list->plugin, why) ||
                   read_text(object, "type", true, &list->type, why) ||
                   read_text(object, "plugin_instance", false, &list->plugin_instance,
                             why) ||
                   read_text(object, "type_instance", false, &list->type_instance, why)
               ? -1
               : 0;
}

static void read_value(const struct value_list *list, size_t i, const char *place,
                       struct intake *in)
{
    char name[LABELS_TEXT_MAX];
    struct err why = {0};
    const json_t *const value = json_array_get(list->values, i);
    if (json_is_null(value))
        intake_pass_over(in, REJECT_NOT_FINITE, 1);
    else if (!json_is_number(value))
        err_set(&why, ERR_INVALID, "values[%zu]: must be a number or null", i);
    else if (name_of(list, i, name, &why) == 0)
        intake_add(in, store_batch_series(in->batch, name), list->time_ms,
                   json_number_value(value), place);
    if (!why.code)
        return;
    err_prefix(&why, "%s", place);
    intake_refuse(in, REJECT_INVALID, 1, &why);
}

int collectd_read(const char *text, size_t len, struct intake *in, struct err *err)
{
    json_error_t where;
    json_auto_t *body = json_loadb(text ? text : "", len, 0, &where);
    if (!body)
        return err_set(err, ERR_INVALID, "body: is not JSON at line %d column %d",
                       where.line, where.column);
    if (!json_is_array(body))
        return err_set(err, ERR_INVALID, "body: must be a list of value lists");
    for (size_t i = 0; i < json_array_size(body); i++) {
        const json_t *const object = json_array_get(body, i);
        struct value_list list = {0};
        struct err why = {0};
        char place[32];
        snprintf(place, sizeof place, "[%zu]", i);
        if (read_list(object, &list, &why)) {
            const size_t values = json_array_size(list.values);
            err_prefix(&why, "%s", place);
            intake_refuse(in, REJECT_INVALID, values ? values : 1, &why);
            continue;
        }
        for (size_t v = 0; v < json_array_size(list.values); v++)
            read_value(&list, v, place, in);
    }
    return 0;
}

/* ---- answering ----------------------------------------------------------------------- */

static void say(struct reply *reply, unsigned status, struct page *page)
{
    reply_text(reply, status, "text/plain; charset=utf-8", page->bytes, page->len);
}

void collectd_refuse(struct reply *reply, const struct err *err)
{
    /* None is tried again: it is for the log of collectd. */
    struct page page = {0};
    page_add(&page, "%s\n", err->msg);
    say(reply, intake_status(err->code), &page);
}

static void answer(const struct intake *in, struct reply *reply)
{
    struct page page = {0};
    if (in->refused)
        page_add(&page,
                 "%s; %" PRIu64 " of %" PRIu64
                 " values were refused, the rest is stored\n",
                 in->why.msg, in->refused, in->refused + in->taken);
    else
        page_add(&page, "stored\n");
    say(reply, in->refused ? 400 : 200, &page);
}

int collectd_post(struct request *req, struct reply *reply, struct err *err)
{
    struct intake *const in = intake_new(req, DIALECT_COLLECTD);
    if (collectd_read(req->body, req->body_len, in, err))
        return intake_drop(req, in);
    return intake_store(req, in, answer, reply, err);
}
