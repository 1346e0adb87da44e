/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /v1/forecasters/{name}/anomalies: what lay outside the band that was issued before it.
 */
#include "api/handlers.h"

#include <stdlib.h>

#include "api/anomalies.h"
#include "api/query.h"
#include "api/rules.h"
#include "api/server.h"
#include "api/serving.h"
#include "base/labels.h"

enum { HOURS_DEFAULT = 24, HOURS_MAX = 24 * 366, LIMIT_DEFAULT = 100, LIMIT_MAX = 10000 };

struct wish {
    const char *series;
    int64_t as_of_ms, hours, limit;
    char name[LABELS_TEXT_MAX];
};

static json_t *anomaly_json(const struct anomaly *a)
{
    return json_pack("{s:s, s:o, s:f, s:f, s:f, s:f, s:s, s:o, s:I, s:o}", "series",
                     a->series, "time", json_time(a->time_ms), "value", a->value, "low",
                     a->low, "median", a->median, "high", a->high, "direction",
                     a->value > a->high ? "above" : "below", "score",
                     json_number(a->score), "issue", (json_int_t)a->issue_id, "issued",
                     json_time(a->issued_ms));
}

static int read_wish(const struct request *req, struct wish *wish, struct err *err)
{
    static const struct query_rule rules[] = {
        QUERY("series", QUERY_TEXT, struct wish, series),
        QUERY("as_of", QUERY_TIME, struct wish, as_of_ms),
        QUERY("hours", QUERY_COUNT, struct wish, hours, .most = HOURS_MAX),
        QUERY("limit", QUERY_COUNT, struct wish, limit, .most = LIMIT_MAX),
    };
    *wish = (struct wish){.as_of_ms = serving_now_ms(req->api->config.serving),
                          .hours = HOURS_DEFAULT,
                          .limit = LIMIT_DEFAULT};
    if (QUERY_READ(req, rules, wish, err))
        return -1;
    if (wish->series && rule_series(wish->series, wish->name, err))
        return rule_field("series", err);
    return 0;
}

static int read_anomalies(struct request *req, const struct wish *wish,
                          struct anomalies *out, struct err *err)
{
    struct store *const store = req->api->config.store;
    struct forecaster f;
    if (forecaster_now(store, req->name, &f, NULL, err))
        return -1;
    const int64_t steps = (wish->hours * 3600000 + f.step_ms - 1) / f.step_ms;
    const struct anomalies_wish what = {.series = wish->series ? wish->name : NULL,
                                        .steps = (size_t)steps,
                                        .as_of_ms = wish->as_of_ms};
    const int rc = anomalies_read(store, &f, &what, out, err);
    forecaster_fini(&f);
    return rc;
}

int anomalies_get(struct request *req, struct reply *reply, struct err *err)
{
    struct wish wish;
    struct anomalies found;
    if (read_wish(req, &wish, err) || read_anomalies(req, &wish, &found, err))
        return -1;
    json_t *const list = json_array();
    for (size_t i = 0; i < found.count && (int64_t)i < wish.limit; i++)
        json_array_append_new(list, anomaly_json(&found.list[i]));
    reply_json(reply, 200,
               json_pack("{s:s, s:o, s:o, s:I, s:I, s:o}", "forecaster", req->name,
                         "from", json_time(found.from_ms), "to", json_time(found.to_ms),
                         "judged", (json_int_t)found.judged, "of",
                         (json_int_t)found.count, "anomalies", list),
               DIGITS_SHORT);
    anomalies_fini(&found);
    return HANDLED;
}
