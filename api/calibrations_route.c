/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /v1/forecasters/{name}/calibrations and …/calibrations/{id}: how bands were
 * stretched, and since when.
 */
#include "api/handlers.h"

#include <errno.h>
#include <stdlib.h>

#include "api/matured.h"
#include "api/query.h"
#include "api/server.h"
#include "base/mem.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 10000 };

static json_t *row_json(const struct store_calibration *c)
{
    return json_pack("{s:I, s:I, s:I, s:o}", "number", (json_int_t)c->number, "revision",
                     (json_int_t)c->revision, "model", (json_int_t)c->model_id, "made",
                     json_time(c->made_ms));
}

int calibrations_get(struct request *req, struct reply *reply, struct err *err)
{
    struct wish {
        int64_t as_of_ms, limit;
    } wish = {.as_of_ms = AS_OF_NOW, .limit = LIMIT_DEFAULT};
    static const struct query_rule rules[] = {
        QUERY("as_of", QUERY_TIME, struct wish, as_of_ms),
        QUERY("limit", QUERY_COUNT, struct wish, limit, .most = LIMIT_MAX),
    };
    struct store *const store = req->api->config.store;
    struct store_calibration *rows = NULL;
    size_t count = 0;
    if (QUERY_READ(req, rules, &wish, err) || matured_known(store, req->name, err) ||
        store_calibrations(store, req->name, wish.as_of_ms, (size_t)wish.limit, &rows,
                           &count, err))
        return -1;
    json_t *const list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, row_json(&rows[i]));
    free(rows);
    reply_json(reply, 200,
               json_pack("{s:s, s:o}", "forecaster", req->name, "calibrations", list),
               DIGITS_SHORT);
    return HANDLED;
}

int calibration_get(struct request *req, struct reply *reply, struct err *err)
{
    struct store_calibration stored;
    char *end = NULL;
    errno = 0;
    const int64_t number = strtoll(req->name2, &end, 10);
    if (query_none(req, err))
        return -1;
    if (*end || errno || number < 1)
        return err_set(err, ERR_NOT_FOUND, "calibration: %s has none of number %.40s",
                       req->name, req->name2);
    if (store_calibration_get(req->api->config.store, req->name, number, &stored, err))
        return -1;
    json_t *const json = row_json(&stored);
    json_t *const body = json_loads(stored.body, 0, NULL);
    json_object_set_new(json, "from",
                        json_time(json_integer_value(json_object_get(body, "from"))));
    json_object_set(json, "issues", json_object_get(body, "issues"));
    json_object_set(json, "series", json_object_get(body, "series"));
    json_decref(body);
    store_calibration_fini(&stored);
    reply_json(reply, 200, json, DIGITS_FLOAT);
    return HANDLED;
}
