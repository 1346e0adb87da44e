/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /v1/forecasters/{name}/models: every version, and of the one that serves how it was
 * judged.  POST .../models/{id}/restore: another one serves from now on.
 */
#include "api/handlers.h"

#include <errno.h>
#include <stdlib.h>

#include "api/query.h"
#include "api/server.h"
#include "api/serving.h"

static json_t *version_json(const struct store_model *model)
{
    json_t *const trial = model->trial ? json_loads(model->trial, 0, NULL) : NULL;
    return json_pack(
        "{s:I, s:o, s:I, s:o, s:o, s:o, s:b, s:I, s:o}", "id", (json_int_t)model->id,
        "hash", json_hex(model->hash, sizeof model->hash), "revision",
        (json_int_t)model->forecaster_revision, "published",
        json_time(model->published_ms), "watermark", json_time(model->watermark_ms),
        "served", json_time(model->served_ms), "serves", (int)model->serves, "job",
        (json_int_t)model->job_id, "trial", trial ? trial : json_null());
}

/* What takes loading the model; it may have changed since the list was read. */
static int add_report(struct serving *serving, const char *forecaster, json_t *versions,
                      struct err *err)
{
    struct served *const served = serving_get(serving, forecaster, err);
    if (!served)
        return -1;
    size_t i;
    json_t *version;
    json_array_foreach(versions, i, version)
    {
        if (json_integer_value(json_object_get(version, "id")) != served->model_id)
            continue;
        json_object_set_new(version, "params",
                            json_integer((json_int_t)model_params(served->model)));
        json_object_set_new(version, "series",
                            json_integer((json_int_t)model_series(served->model)));
        json_object_set_new(version, "report", report_json(served->model));
    }
    serving_put(serving, served);
    return 0;
}

static int answer_models(struct request *req, struct reply *reply, struct err *err)
{
    const struct api_config *const config = &req->api->config;
    struct store_model *models = NULL;
    size_t count = 0;
    bool serves = false;
    if (store_models(config->store, req->name, &models, &count, err))
        return -1;
    json_t *const list = json_array();
    for (size_t i = 0; i < count; i++) {
        serves = serves || models[i].serves;
        json_array_append_new(list, version_json(&models[i]));
        store_model_fini(&models[i]);
    }
    free(models);
    /* Without one that serves, the error says what to do; old versions are no answer. */
    if ((serves || count == 0) && add_report(config->serving, req->name, list, err)) {
        json_decref(list);
        return -1;
    }
    reply_json(reply, 200, json_pack("{s:o}", "models", list), DIGITS_SHORT);
    return HANDLED;
}

int models_get(struct request *req, struct reply *reply, struct err *err)
{
    return query_none(req, err) ? -1 : answer_models(req, reply, err);
}

int restore_post(struct request *req, struct reply *reply, struct err *err)
{
    const struct api_config *const config = &req->api->config;
    char *end = NULL;
    errno = 0;
    const int64_t id = strtoll(req->name2, &end, 10);
    if (query_none(req, err))
        return -1;
    if (*end || errno || id < 1)
        return err_set(err, ERR_NOT_FOUND, "model: %s has none of number %.40s",
                       req->name, req->name2);
    if (store_model_restore(config->store, req->name, id, err))
        return -1;
    serving_changed(config->serving, req->name);
    return answer_models(req, reply, err);
}
