/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /v1/series: the series that match a selector, and what there is of each.
 */
#include "api/handlers.h"

#include "api/query.h"
#include "api/rules.h"
#include "api/server.h"

enum { LIMIT_DEFAULT = 1000, LIMIT_MAX = 100000 };

struct wish {
    const char *select;
    int64_t limit;
};

static json_t *series_json(struct store *store, const char *name, struct err *err)
{
    struct store_series found;
    if (store_series(store, name, &found, err))
        return NULL;
    json_t *const first = found.samples ? json_time(found.first_ms) : json_null();
    json_t *const last = found.samples ? json_time(found.last_ms) : json_null();
    return json_pack("{s:s, s:I, s:o, s:o, s:o}", "series", name, "samples",
                     (json_int_t)found.samples, "first", first, "last", last,
                     "last_value", json_number(found.last_value));
}

int series_get(struct request *req, struct reply *reply, struct err *err)
{
    static const struct query_rule rules[] = {
        QUERY("select", QUERY_TEXT, struct wish, select),
        QUERY("limit", QUERY_COUNT, struct wish, limit, .most = LIMIT_MAX),
    };
    struct wish wish = {.limit = LIMIT_DEFAULT};
    struct store *const store = req->api->config.store;
    struct store_names names = {0};
    if (QUERY_READ(req, rules, &wish, err))
        return -1;
    if (store_select(store, wish.select, (size_t)wish.limit + 1, &names, err))
        return rule_field("select", err);
    const bool more = names.count > (size_t)wish.limit;
    const size_t count = more ? (size_t)wish.limit : names.count;
    json_t *const list = json_array();
    int rc = HANDLED;
    for (size_t i = 0; i < count && rc == HANDLED; i++) {
        json_t *const one = series_json(store, names.name[i], err);
        rc = one ? HANDLED : -1;
        if (one)
            json_array_append_new(list, one);
    }
    store_names_fini(&names);
    if (rc == HANDLED)
        reply_json(reply, 200, json_pack("{s:o, s:b}", "series", list, "more", more),
                   DIGITS_DOUBLE);
    else
        json_decref(list);
    return rc;
}
