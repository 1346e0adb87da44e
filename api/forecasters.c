/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The definitions: GET /v1/forecasters, GET, PUT and DELETE of one.
 */
#include "api/handlers.h"

#include <inttypes.h>
#include <stdlib.h>

#include "api/query.h"
#include "api/server.h"
#include "base/mem.h"

/* A stored definition with its name, revision and time. */
static json_t *definition_json(const struct store_forecaster *stored, struct err *err)
{
    json_t *const body = json_loads(stored->body, 0, NULL);
    json_t *const policy = json_loads(stored->policy, 0, NULL);
    if (!body || !policy) {
        json_decref(body);
        json_decref(policy);
        err_set(err, ERR_CORRUPT, "forecaster %s: its stored definition is not JSON",
                stored->name);
        return NULL;
    }
    json_t *const whole =
        json_pack("{s:s, s:I, s:o, s:o}", "name", stored->name, "revision",
                  (json_int_t)stored->revision, "changed", json_time(stored->changed_ms),
                  "file", stored->origin[0] ? json_text(stored->origin) : json_null());
    json_object_update_new(whole, body);
    json_object_update_new(whole, policy);
    return whole;
}

static int answer_one(struct request *req, unsigned status, struct reply *reply,
                      struct err *err)
{
    struct store_forecaster stored = {0};
    if (store_forecaster_get(req->api->config.store, req->name, &stored, err))
        return -1;
    json_t *const whole = definition_json(&stored, err);
    store_forecaster_fini(&stored);
    if (!whole)
        return -1;
    reply_json(reply, status, whole, DIGITS_SHORT);
    return HANDLED;
}

int forecasters_get(struct request *req, struct reply *reply, struct err *err)
{
    struct store_forecaster *all = NULL;
    size_t count = 0;
    if (query_none(req, err) ||
        store_forecasters(req->api->config.store, &all, &count, err))
        return -1;
    json_t *const list = json_array();
    int rc = HANDLED;
    for (size_t i = 0; i < count; i++) {
        json_t *const one = rc == HANDLED ? definition_json(&all[i], err) : NULL;
        rc = one ? HANDLED : -1;
        if (one)
            json_array_append_new(list, one);
        store_forecaster_fini(&all[i]);
    }
    free(all);
    if (rc == HANDLED)
        reply_json(reply, 200, json_pack("{s:o}", "forecasters", list), DIGITS_SHORT);
    else
        json_decref(list);
    return rc;
}

int forecaster_get(struct request *req, struct reply *reply, struct err *err)
{
    return query_none(req, err) ? -1 : answer_one(req, 200, reply, err);
}

int forecaster_put(struct request *req, struct reply *reply, struct err *err)
{
    struct forecaster definition;
    struct forecaster_text text = {0};
    int64_t revision = 0;
    bool created = false;
    if (query_none(req, err) || forecaster_parse(req->name, req->body ? req->body : "",
                                                 req->body_len, &definition, &text, err))
        return -1;
    const int rc = store_forecaster_put(req->api->config.store, req->name, text.body,
                                        text.policy, &revision, &created, err);
    forecaster_text_fini(&text);
    forecaster_fini(&definition);
    if (rc)
        return -1;
    const struct api_config *const config = &req->api->config;
    serving_changed(config->serving, req->name);
    config->wake(config->wake_ctx);
    return answer_one(req, created ? 201 : 200, reply, err);
}

int forecaster_delete(struct request *req, struct reply *reply, struct err *err)
{
    if (query_none(req, err) ||
        store_forecaster_delete(req->api->config.store, req->name, err))
        return -1;
    serving_changed(req->api->config.serving, req->name);
    reply->status = 204;
    return HANDLED;
}
