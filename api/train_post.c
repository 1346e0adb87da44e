/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * POST /v1/forecasters/{name}/train, .../backtest and .../convert: queues the job, if
 * there is enough to learn from.
 */
#include "api/handlers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/fields.h"
#include "api/jobs.h"
#include "api/problem.h"
#include "api/query.h"
#include "api/reading.h"
#include "api/server.h"
#include "base/mem.h"

/* Says what there is, what is needed, and when that will be there at the usual pace; of
 * nothing at all, why. */
static void reply_too_little(const struct forecaster *f, size_t there, size_t needed,
                             int64_t from_ms, const char *why, const char *instance,
                             struct reply *reply)
{
    char step[TIME_TEXT_SIZE], ready[TIME_TEXT_SIZE];
    const int64_t ready_ms = from_ms + (int64_t)(needed - there) * f->step_ms;
    struct err err = {0};
    err_set(&err, ERR_CONFLICT,
            "history: must be at least %zu steps of %s, will be at %s%s%.90s, got %zu",
            needed, duration_format(f->step_ms, step), time_format(ready_ms, ready),
            *why ? "; " : "", why, there);
    reply_problem(reply, &err, instance,
                  json_pack("{s:I, s:I, s:s, s:s}", "there", (json_int_t)there, "needed",
                            (json_int_t)needed, "step", step, "ready", ready));
}

/* Whether the history suffices for a model without training.  Fills reply where not. */
static bool enough(struct request *req, const struct forecaster *f, struct reply *reply)
{
    const struct api_config *const config = &req->api->config;
    const int64_t now_ms = clock_now_ms(&config->clock);
    const int64_t now_step_ms = grid_floor_in(forecaster_zone(f), now_ms, f->step_ms);
    const size_t needed = model_rows_for_candidates(&f->spec);
    struct extent extent = {0};
    struct err none = {0};
    const int rc = extent_read(f, config->store, now_ms, &extent, &none);
    const size_t there = extent.rows;
    /* Data that ended long ago grows, if at all, from now on. */
    const int64_t from_ms =
        rc == 0 && extent.end_ms > now_step_ms ? extent.end_ms : now_step_ms;
    extent_fini(&extent);
    if (rc && none.code != ERR_CONFLICT)
        reply_problem(reply, &none, req->path, NULL);
    else if (there < needed)
        reply_too_little(f, there, needed, from_ms, none.msg, req->path, reply);
    return reply->status == 0;
}

/* 202 with the job, or what is missing. */
static int add_job(struct request *req, const struct store_job_wish *wish,
                   struct reply *reply, struct err *err)
{
    const struct api_config *const config = &req->api->config;
    struct forecaster definition;
    if (forecaster_now(config->store, req->name, &definition, NULL, err))
        return -1;
    const bool go = enough(req, &definition, reply);
    forecaster_fini(&definition);
    if (!go)
        return HANDLED;
    int64_t id = 0;
    bool created = false;
    struct store_job job = {0};
    if (store_job_add(config->store, wish, &id, &created, err) ||
        store_job_get(config->store, id, &job, err))
        return -1;
    config->wake(config->wake_ctx);
    reply_json(reply, 202, job_json(&job), DIGITS_SHORT);
    reply->location = mem_printf("/v1/jobs/%" PRId64, id);
    store_job_fini(&job);
    return HANDLED;
}

int train_post(struct request *req, struct reply *reply, struct err *err)
{
    const struct store_job_wish wish = {.kind = "train", .forecaster = req->name};
    return query_none(req, err) ? -1 : add_job(req, &wish, reply, err);
}

/* {"split": "0.7,0.1,0.2"}, or no body. */
static int read_split(const struct request *req, char **text, struct err *err)
{
    struct model_split split;
    static const char *const keys[] = {"split", NULL};
    const char *given = BACKTEST_SPLIT;
    json_auto_t *body = NULL;
    if (req->body_len > 0) {
        body = fields_parse(req->body, req->body_len, err);
        if (!body || fields_known(body, "", keys, err) ||
            field_text(body, "", "split", false, &given, err))
            return -1;
    }
    if (model_split_parse(given, &split, err))
        return -1;
    *text = mem_text(given);
    return 0;
}

int backtest_post(struct request *req, struct reply *reply, struct err *err)
{
    char *split = NULL;
    if (query_none(req, err) || read_split(req, &split, err))
        return -1;
    json_auto_t *json = json_pack("{s:s}", "split", split);
    char *const params = json_dumps(json, JSON_COMPACT);
    free(split);
    const struct store_job_wish wish = {
        .kind = "backtest", .forecaster = req->name, .params = params};
    const int rc = add_job(req, &wish, reply, err);
    free(params);
    return rc;
}

/* {"mixer": "luna"}; mixer is borrowed from the body. */
static int read_mixer(const struct request *req, const char **mixer, json_t **body,
                      struct err *err)
{
    static const char *const keys[] = {"mixer", NULL};
    *body = fields_parse(req->body, req->body_len, err);
    if (!*body || fields_known(*body, "", keys, err) ||
        field_text(*body, "", "mixer", true, mixer, err))
        return -1;
    if (!model_can_convert(*mixer))
        return err_set(err, ERR_INVALID, "mixer: must be inline or luna, got \"%.40s\"",
                       *mixer);
    return 0;
}

int convert_post(struct request *req, struct reply *reply, struct err *err)
{
    const char *mixer = NULL;
    json_auto_t *body = NULL;
    if (query_none(req, err) || read_mixer(req, &mixer, &body, err))
        return -1;
    char *const params = json_dumps(body, JSON_COMPACT);
    const struct store_job_wish wish = {
        .kind = "convert", .forecaster = req->name, .params = params};
    const int rc = add_job(req, &wish, reply, err);
    free(params);
    return rc;
}
