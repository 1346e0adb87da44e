/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /v1/forecasters/{name}/crossings, GET /v1/crossings: when thresholds are crossed,
 * soonest first.
 */
#include "api/handlers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/crossings.h"
#include "api/query.h"
#include "api/rules.h"
#include "api/server.h"
#include "base/labels.h"
#include "base/mem.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 10000 };

struct wish {
    const char *series;
    int64_t limit;
    char name[LABELS_TEXT_MAX];
};

static double ratio(size_t over, size_t under)
{
    return under ? (double)over / (double)under : (double)NAN;
}

/* How earlier answers came true; the rate is of those after which it did not cross. */
static json_t *record_json(const struct crossing_record *r)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "answers", (json_int_t)r->origins,
                     "crossed", (json_int_t)r->crossed, "alarms", (json_int_t)r->alarms,
                     "false_alarms", (json_int_t)r->false_alarms, "missed",
                     (json_int_t)r->missed, "false_alarm_rate",
                     json_number(ratio(r->false_alarms, r->origins - r->crossed)));
}

/* In words, for who reads one line. */
static json_t *words_json(const struct crossings *c, const struct series_crossing *one)
{
    char until[TIME_TEXT_SIZE], at[TIME_TEXT_SIZE];
    char *text;
    time_format(c->to_ms, until);
    if (one->crossed)
        text = mem_printf("lies %s %g", threshold_word(one->threshold), one->value);
    else if (one->at_ms[1])
        text = mem_printf("probably %s %g by %s; until %s with probability %.2f",
                          threshold_word(one->threshold), one->value,
                          time_format(one->at_ms[1], at), until, one->probability);
    else
        text = mem_printf("not %s %g within the horizon, until %s, with probability %.2f",
                          threshold_word(one->threshold), one->value, until,
                          1 - one->probability);
    json_t *const json = json_string(text);
    free(text);
    return json;
}

static json_t *crossing_json(const struct crossings *c, const struct series_crossing *one)
{
    static const char *const names[CROSSING_QUANTILES] = {"0.1", "0.5", "0.9"};
    json_t *const at = json_object();
    for (size_t q = 0; q < CROSSING_QUANTILES; q++)
        json_object_set_new(at, names[q], json_time(one->at_ms[q]));
    return json_pack("{s:s, s:f, s:b, s:f, s:o, s:o, s:I, s:s, s:o}", "series",
                     one->series, threshold_word(one->threshold), one->value, "crossed",
                     (int)one->crossed, "probability", one->probability, "at", at, "says",
                     words_json(c, one), "paths", (json_int_t)one->paths, "paths_of",
                     c->issued ? "issues" : "history", "record",
                     record_json(&one->record));
}

static int read_wish(const struct request *req, bool fleet, struct wish *wish,
                     struct err *err)
{
    static const struct query_rule rules[] = {
        QUERY("limit", QUERY_COUNT, struct wish, limit, .most = LIMIT_MAX),
        QUERY("series", QUERY_TEXT, struct wish, series),
    };
    *wish = (struct wish){.limit = fleet ? LIMIT_DEFAULT : LIMIT_MAX};
    if (query_read(req, rules, fleet ? 1 : 2, wish, err))
        return -1;
    if (wish->series && rule_series(wish->series, wish->name, err))
        return rule_field("series", err);
    return 0;
}

int crossings_get_one(struct request *req, struct reply *reply, struct err *err)
{
    struct wish wish;
    if (read_wish(req, false, &wish, err))
        return -1;
    const struct crossings *const c =
        crossings_get(req->api->crossings, req->api->config.serving, req->name, err);
    if (!c)
        return -1;
    json_t *const list = json_array();
    for (size_t i = 0; i < c->count; i++)
        if ((int64_t)json_array_size(list) < wish.limit &&
            (!wish.series || !strcmp(wish.name, c->list[i].series)))
            json_array_append_new(list, crossing_json(c, &c->list[i]));
    reply_json(reply, 200,
               json_pack("{s:s, s:I, s:o, s:o, s:o, s:I, s:o}", "forecaster",
                         c->forecaster, "model", (json_int_t)c->model_id, "from",
                         json_time(c->from_ms), "until", json_time(c->to_ms), "crossings",
                         list, "unserved", (json_int_t)c->unserved, "why",
                         c->unserved ? json_text(c->why) : json_null()),
               DIGITS_SHORT);
    crossings_put(req->api->crossings, c);
    return HANDLED;
}

/* ---- the fleet ---------------------------------------------------------------------------- */

int crossings_each(struct api *api, crossings_wanted *wants, crossings_function *each,
                   void *ctx, struct err *err)
{
    struct store_forecaster *all = NULL;
    size_t count = 0;
    if (store_forecasters(api->config.store, &all, &count, err))
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct forecaster f;
        struct err why = {0};
        const struct crossings *c = NULL;
        const int loaded = forecaster_load(&all[i], &f, &why);
        const bool wanted = (loaded || f.thresholds[THRESHOLD_BELOW].set ||
                             f.thresholds[THRESHOLD_ABOVE].set) &&
                            (!wants || wants(ctx, all[i].name));
        if (loaded == 0) {
            forecaster_fini(&f);
            if (wanted)
                c = crossings_get(api->crossings, api->config.serving, all[i].name, &why);
        }
        if (wanted)
            each(ctx, all[i].name, c, &why);
        crossings_put(api->crossings, c);
        store_forecaster_fini(&all[i]);
    }
    free(all);
    return 0;
}

struct entry {
    struct series_crossing crossing; /* for its order; the name is gone */
    json_t *json;
};

struct fleet {
    struct entry *list;
    size_t count;
    json_t *problems;
};

static void add_forecaster(void *ctx, const char *forecaster, const struct crossings *c,
                           const struct err *why)
{
    struct fleet *const fleet = ctx;
    if (!c) {
        json_array_append_new(fleet->problems,
                              json_pack("{s:s, s:o}", "forecaster", forecaster, "why",
                                        json_text(why->msg)));
        return;
    }
    if (c->count == 0)
        return;
    fleet->list = mem_resize(fleet->list, fleet->count + c->count, sizeof *fleet->list);
    for (size_t i = 0; i < c->count; i++) {
        struct entry *const entry = &fleet->list[fleet->count++];
        entry->crossing = c->list[i];
        entry->json = crossing_json(c, &c->list[i]);
        entry->crossing.series =
            json_string_value(json_object_get(entry->json, "series"));
        json_object_set_new(entry->json, "forecaster", json_string(forecaster));
    }
}

static int compare(const void *a, const void *b)
{
    const struct entry *const x = a, *const y = b;
    return crossing_compare(&x->crossing, &y->crossing);
}

int crossings_get_all(struct request *req, struct reply *reply, struct err *err)
{
    struct wish wish;
    struct fleet fleet = {0};
    if (read_wish(req, true, &wish, err))
        return -1;
    fleet.problems = json_array();
    if (crossings_each(req->api, NULL, add_forecaster, &fleet, err)) {
        json_decref(fleet.problems);
        return -1;
    }
    json_t *const list = json_array();
    if (fleet.count)
        qsort(fleet.list, fleet.count, sizeof *fleet.list, compare);
    for (size_t i = 0; i < fleet.count; i++)
        if ((int64_t)i < wish.limit)
            json_array_append_new(list, fleet.list[i].json);
        else
            json_decref(fleet.list[i].json);
    free(fleet.list);
    reply_json(reply, 200,
               json_pack("{s:o, s:I, s:o}", "crossings", list, "of",
                         (json_int_t)fleet.count, "problems", fleet.problems),
               DIGITS_SHORT);
    return HANDLED;
}
