/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET and POST /api/v1/series and /api/v1/labels, GET /api/v1/label/{name}/values: which
 * names there are; and what Grafana asks besides.
 */
#include "api/prometheus.h"

#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/crossings_named.h"
#include "api/named.h"
#include "api/promql.h"
#include "api/query.h"
#include "api/server.h"
#include "base/mem.h"
#include "base/names.h"

enum { SERIES_MAX = 100000 };

/* ---- what is asked --------------------------------------------------------------- */

struct listing {
    const char *label; /* whose values are asked for, or NULL */
    bool series;       /* whole label sets are; else names of labels */
    struct names seen;
    json_t *list;
};

/* Whether it is seen for the first time. */
static bool is_new(struct listing *listing, const char *text)
{
    bool fresh;
    names_id(&listing->seen, text, &fresh);
    return fresh;
}

static int take_series(struct listing *listing, const struct labels *labels,
                       struct err *err)
{
    char name[LABELS_TEXT_MAX];
    if (labels_format(labels, name, err))
        return -1;
    if (!is_new(listing, name))
        return 0;
    if (json_array_size(listing->list) == SERIES_MAX)
        return err_set(err, ERR_TOO_LARGE, "more than %d series", SERIES_MAX);
    json_t *const object = json_object();
    for (size_t i = 0; i < labels->count; i++)
        json_object_set_new(object, labels->label[i].name,
                            json_text(labels->label[i].value));
    json_array_append_new(listing->list, object);
    return 0;
}

static int take_named(void *ctx, const struct named *named, struct err *err)
{
    struct listing *const listing = ctx;
    const struct labels *const labels = named->labels;
    if (listing->series)
        return take_series(listing, labels, err);
    for (size_t i = 0; i < labels->count; i++) {
        const struct label *const label = &labels->label[i];
        if (listing->label && strcmp(listing->label, label->name) != 0)
            continue;
        const char *const text = listing->label ? label->value : label->name;
        if (is_new(listing, text))
            json_array_append_new(listing->list, json_text(text));
    }
    return 0;
}

static int list_wish(struct api *api, const struct named_wish *wish,
                     struct listing *listing, struct err *err)
{
    if (named_list(api->config.store, wish, take_named, listing, err))
        return -1;
    return crossings_named(api, wish, true, take_named, listing, err);
}

/* One match[]: a selector and nothing else. */
static int list_match(struct api *api, struct named_wish *wish, const char *match,
                      struct listing *listing, struct err *err)
{
    struct promql query;
    struct err why = {0};
    if (promql_parse(match, strlen(match), &query, &why))
        return err_set(err, why.code, "invalid parameter \"match[]\": %s", why.msg);
    int rc = 0;
    if (query.kind != PROMQL_VECTOR || query.filter || query.offset_ms)
        rc = err_set(err, ERR_INVALID,
                     "invalid parameter \"match[]\": must be a selector, got %.100s",
                     match);
    wish->selector = query.selector;
    if (rc == 0)
        rc = list_wish(api, wish, listing, err);
    promql_fini(&query);
    return rc;
}

static int by_text(const void *left, const void *right)
{
    json_t *const *const a = left, *const *const b = right;
    return strcmp(json_string_value(*a), json_string_value(*b));
}

/* Sorted, but for label sets; cut to limit, and then it says so. */
static json_t *sorted(const struct listing *listing, size_t limit)
{
    const size_t count = json_array_size(listing->list);
    json_t **const items = mem_new(count, sizeof *items);
    for (size_t i = 0; i < count; i++)
        items[i] = json_array_get(listing->list, i);
    if (!listing->series && count)
        qsort(items, count, sizeof *items, by_text);
    json_t *const out = json_array();
    for (size_t i = 0; i < count && i < limit; i++)
        json_array_append(out, items[i]);
    free(items);
    return out;
}

static int read_limit(const struct request *req, size_t *limit, struct err *err)
{
    const char *const text = query_text(req, "limit");
    *limit = SIZE_MAX;
    if (!text || !*text)
        return 0;
    char *end = NULL;
    const long long count = strtoll(text, &end, 10);
    if (*end || count < 0)
        return err_set(err, ERR_INVALID,
                       "invalid parameter \"limit\": must be a number of 0 or more, got "
                       "\"%.40s\"",
                       text);
    *limit = count ? (size_t)count : SIZE_MAX; /* 0: none */
    return 0;
}

static int list_all(struct request *req, struct listing *listing, struct err *err)
{
    struct named_wish wish = {.from_ms = TIME_MIN_MS, .to_ms = TIME_MAX_MS};
    size_t matches = 0;
    if (prometheus_time(req, "start", &wish.from_ms, err) ||
        prometheus_time(req, "end", &wish.to_ms, err))
        return -1;
    for (size_t p = 0; p < req->parameter_count; p++) {
        if (strcmp(req->parameter[p].name, "match[]") != 0)
            continue;
        matches++;
        if (list_match(req->api, &wish, req->parameter[p].value, listing, err))
            return -1;
    }
    if (matches)
        return 0;
    if (listing->series)
        return err_set(err, ERR_INVALID, "no match[] parameter provided");
    return list_wish(req->api, &wish, listing, err);
}

static int answer_listing(struct request *req, struct listing *listing,
                          struct reply *reply, struct err *err)
{
    size_t limit;
    if (query_form(req, err) || read_limit(req, &limit, err))
        return -1;
    listing->list = json_array();
    int rc = list_all(req, listing, err);
    if (rc == 0) {
        json_t *const answer =
            json_pack("{s:s, s:o}", "status", "success", "data", sorted(listing, limit));
        if (json_array_size(listing->list) > limit)
            json_object_set_new(answer, "warnings",
                                json_pack("[s]", "results truncated due to limit"));
        reply_json(reply, 200, answer, DIGITS_DOUBLE);
    }
    json_decref(listing->list);
    names_fini(&listing->seen);
    return rc ? prometheus_failed(reply, err) : HANDLED;
}

int prometheus_series(struct request *req, struct reply *reply, struct err *err)
{
    struct listing listing = {.series = true};
    return answer_listing(req, &listing, reply, err);
}

int prometheus_labels(struct request *req, struct reply *reply, struct err *err)
{
    struct listing listing = {0};
    return answer_listing(req, &listing, reply, err);
}

int prometheus_values(struct request *req, struct reply *reply, struct err *err)
{
    struct listing listing = {.label = req->name};
    return answer_listing(req, &listing, reply, err);
}

/* ---- what Grafana asks besides ---------------------------------------------------- */

/* The version says which calls a reader makes: 2.24 has label values with match[], and
 * none that is not here.  Ours stands beside it; a key "features" would mean Mimir. */
int prometheus_buildinfo(struct request *req, struct reply *reply, struct err *err)
{
    (void)err;
    return prometheus_reply_json(
        reply, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "version", "2.24.0",
                         "revision", "", "branch", "", "buildUser", "", "buildDate", "",
                         "goVersion", "", "frwkvd", req->api->config.version));
}

/* Types and help of metrics do not come with samples, so there are none here. */
int prometheus_metadata(struct request *req, struct reply *reply, struct err *err)
{
    (void)req, (void)err;
    return prometheus_reply_json(reply, json_object());
}

/* Rules and alerts belong to a Prometheus or vmalert that reads here. */
int prometheus_rules(struct request *req, struct reply *reply, struct err *err)
{
    (void)req, (void)err;
    return prometheus_reply_json(reply, json_pack("{s:[]}", "groups"));
}

int prometheus_alerts(struct request *req, struct reply *reply, struct err *err)
{
    (void)req, (void)err;
    return prometheus_reply_json(reply, json_pack("{s:[]}", "alerts"));
}

int prometheus_exemplars(struct request *req, struct reply *reply, struct err *err)
{
    (void)req, (void)err;
    return prometheus_reply_json(reply, json_array());
}
