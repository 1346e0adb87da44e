/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /v1/forecasters/{name}/replay: whether what was issued comes out again.
 */
#include "api/handlers.h"

#include "api/matured.h"
#include "api/query.h"
#include "api/replay.h"
#include "api/server.h"

static json_t *first_json(const struct replay_difference *first)
{
    if (!first->issue_id)
        return json_null();
    return json_pack("{s:I, s:o, s:s, s:o, s:f, s:o, s:o}", "issue",
                     (json_int_t)first->issue_id, "issued", json_time(first->issued_ms),
                     "series", first->series, "time", json_time(first->target_ms),
                     "quantile", first->quantile, "was", json_number(first->was), "is",
                     json_number(first->is));
}

int replay_get(struct request *req, struct reply *reply, struct err *err)
{
    struct wish {
        int64_t as_of_ms, limit;
    } wish = {.as_of_ms = AS_OF_NOW, .limit = REPLAY_ISSUES};
    static const struct query_rule rules[] = {
        QUERY("as_of", QUERY_TIME, struct wish, as_of_ms),
        QUERY("limit", QUERY_COUNT, struct wish, limit, .most = REPLAY_ISSUES_MAX),
    };
    const struct api_config *const config = &req->api->config;
    struct replay replay;
    if (QUERY_READ(req, rules, &wish, err) ||
        matured_known(config->store, req->name, err))
        return -1;
    const struct replay_wish what = {
        .forecaster = req->name, .as_of_ms = wish.as_of_ms, .limit = (size_t)wish.limit};
    if (replay_read(config->serving, &what, &replay, err))
        return -1;
    reply_json(reply, 200,
               json_pack("{s:s, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
                         "forecaster", req->name, "issues", (json_int_t)replay.issues,
                         "oldest", json_time(replay.oldest_ms), "forecasts",
                         (json_int_t)replay.forecasts, "same", (json_int_t)replay.same,
                         "near", (json_int_t)replay.near, "differ",
                         (json_int_t)replay.differ, "changed", (json_int_t)replay.changed,
                         "gone", (json_int_t)replay.gone, "first",
                         first_json(&replay.first)),
               DIGITS_FLOAT);
    replay_fini(&replay);
    return HANDLED;
}
