/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jobs: GET /v1/jobs, GET and DELETE of one.
 */
#include "api/jobs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/query.h"
#include "api/server.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 10000 };

/* Stored JSON text as a value; null when there is none. */
static json_t *stored_json(const char *text)
{
    json_t *const value = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    return value ? value : json_null();
}

/* What was last written lags by up to a second: of a job that is done it would tell of
 * work that has long been finished. */
static json_t *progress_json(const struct store_job *job)
{
    return strcmp(job->state, "done") ? stored_json(job->progress) : json_null();
}

json_t *job_json(const struct store_job *job)
{
    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:i, s:i, s:b, s:o, "
                     "s:o, s:o, s:o}",
                     "id", (json_int_t)job->id, "kind", job->kind, "forecaster",
                     job->forecaster, "reason", job->reason, "state", job->state,
                     "created", json_time(job->created_ms), "not_before",
                     json_time(job->not_before_ms), "started", json_time(job->started_ms),
                     "finished", json_time(job->finished_ms), "attempts", job->attempts,
                     "retries", job->retries, "cancel", (int)job->cancel, "params",
                     stored_json(job->params), "progress", progress_json(job), "result",
                     stored_json(job->result), "error",
                     job->error ? json_text(job->error) : json_null());
}

int jobs_get(struct request *req, struct reply *reply, struct err *err)
{
    struct wish {
        int64_t limit;
        const char *forecaster;
        int kind, state;
    } wish = {.limit = LIMIT_DEFAULT, .kind = -1, .state = -1};
    static const char *const kinds[] = {"train", "forecast", "backtest", "convert", NULL};
    static const char *const states[] = {"queued", "running",   "done",
                                         "failed", "cancelled", NULL};
    static const struct query_rule rules[] = {
        QUERY("kind", QUERY_WORD, struct wish, kind, .words = kinds),
        QUERY("forecaster", QUERY_TEXT, struct wish, forecaster),
        QUERY("state", QUERY_WORD, struct wish, state, .words = states),
        QUERY("limit", QUERY_COUNT, struct wish, limit, .most = LIMIT_MAX),
    };
    struct store_job *jobs = NULL;
    size_t count = 0;
    if (QUERY_READ(req, rules, &wish, err))
        return -1;
    const struct store_job_filter filter = {
        .forecaster = wish.forecaster,
        .kind = wish.kind >= 0 ? kinds[wish.kind] : NULL,
        .state = wish.state >= 0 ? states[wish.state] : NULL,
    };
    if (store_jobs(req->api->config.store, &filter, (size_t)wish.limit, &jobs, &count,
                   err))
        return -1;
    json_t *const list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, job_json(&jobs[i]));
        store_job_fini(&jobs[i]);
    }
    free(jobs);
    reply_json(reply, 200, json_pack("{s:o}", "jobs", list), DIGITS_SHORT);
    return HANDLED;
}

int job_id(const struct request *req, int64_t *id, struct err *err)
{
    char *end = NULL;
    errno = 0;
    *id = strtoll(req->name, &end, 10);
    if (*end || errno || *id < 1)
        return err_set(err, ERR_NOT_FOUND, "job %.40s: there is none of this number",
                       req->name);
    return 0;
}

static int answer_job(struct request *req, int64_t id, struct reply *reply,
                      struct err *err)
{
    struct store_job job = {0};
    if (store_job_get(req->api->config.store, id, &job, err))
        return -1;
    reply_json(reply, 200, job_json(&job), DIGITS_SHORT);
    store_job_fini(&job);
    return HANDLED;
}

int job_get(struct request *req, struct reply *reply, struct err *err)
{
    int64_t id = 0;
    return query_none(req, err) || job_id(req, &id, err)
               ? -1
               : answer_job(req, id, reply, err);
}

int job_delete(struct request *req, struct reply *reply, struct err *err)
{
    int64_t id = 0;
    const struct api_config *const config = &req->api->config;
    if (query_none(req, err) || job_id(req, &id, err) ||
        store_job_cancel(config->store, id, err))
        return -1;
    config->wake(config->wake_ctx);
    return answer_job(req, id, reply, err);
}
