/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/life.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <time.h>

#include "api/body.h"
#include "api/login.h"
#include "api/problem.h"
#include "api/server.h"
#include "base/mem.h"

/* ---- life of a request ----------------------------------------------------------- */

struct request *request_new(struct api *api, struct MHD_Connection *connection,
                            const char *path)
{
    struct request *const req = mem_new(1, sizeof *req);
    req->api = api;
    req->connection = connection;
    req->path = mem_text(path);
    req->holds = 1;
    req->started_ms = time_monotonic_ms();
    pthread_mutex_lock(&api->lock);
    req->next = api->requests;
    req->link = &api->requests;
    if (req->next)
        req->next->link = &req->next;
    api->requests = req;
    pthread_mutex_unlock(&api->lock);
    return req;
}

static void request_free(struct request *req)
{
    if (req->state_free)
        req->state_free(req->state);
    atomic_fetch_sub(&req->api->body_bytes, req->body_room);
    for (size_t i = 0; i < req->parameter_count; i++) {
        free(req->parameter[i].name);
        free(req->parameter[i].value);
    }
    reply_fini(&req->reply);
    free(req->body);
    free(req->path);
    free(req->name);
    free(req->name2);
    free(req);
}

/* Gives up one hold.  Called without the lock. */
static void release(struct request *req, bool was_work)
{
    struct api *const api = req->api;
    pthread_mutex_lock(&api->lock);
    const bool last = --req->holds == 0;
    if (last) {
        *req->link = req->next;
        if (req->next)
            req->next->link = req->link;
    }
    pthread_mutex_unlock(&api->lock);
    if (last)
        request_free(req);
    /* Only now may api_stop() go on: nothing of the request is left behind it. */
    pthread_mutex_lock(&api->lock);
    if (was_work)
        api->working--;
    pthread_cond_broadcast(&api->ended);
    pthread_mutex_unlock(&api->lock);
}

void request_release(struct request *req)
{
    release(req, false);
}

enum phase request_phase(struct request *req)
{
    pthread_mutex_lock(&req->api->lock);
    const enum phase phase = req->phase;
    pthread_mutex_unlock(&req->api->lock);
    return phase;
}

void request_answer(struct request *req, struct reply *reply)
{
    pthread_mutex_lock(&req->api->lock);
    const bool first = req->phase != PHASE_ANSWERED;
    const bool suspended = req->phase == PHASE_WORKING;
    if (first) {
        req->reply = *reply;
        *reply = (struct reply){0};
        req->phase = PHASE_ANSWERED;
        if (suspended)
            MHD_resume_connection(req->connection);
    }
    pthread_mutex_unlock(&req->api->lock);
    reply_fini(reply);
}

void request_refusal_make(const struct request *req, const struct err *err,
                          struct reply *reply)
{
    reply_fini(reply);
    if (req->route && req->route->refuse)
        req->route->refuse(reply, err);
    else
        reply_problem(reply, err, req->path, NULL);
    reply->retry_after_s = problem_retry_after_s(err->code);
    if (err->code == ERR_DENIED)
        reply_header(reply, "WWW-Authenticate", login_challenge(req));
}

void request_refuse(struct request *req, const struct err *err)
{
    struct reply reply = {0};
    request_refusal_make(req, err, &reply);
    request_answer(req, &reply);
}

void request_finish(struct request *req, struct reply *reply)
{
    request_answer(req, reply);
    release(req, true);
}

void request_fail(struct request *req, const struct err *err)
{
    request_refuse(req, err);
    release(req, true);
}

/* ---- work ------------------------------------------------------------------------ */

static void block_done(struct request *req)
{
    pthread_mutex_lock(&req->api->lock);
    req->body_len = 0;
    if (req->phase == PHASE_WORKING) {
        req->phase = PHASE_READING;
        MHD_resume_connection(req->connection);
    }
    pthread_mutex_unlock(&req->api->lock);
    release(req, true);
}

static int64_t deadline_of(const struct api *api)
{
    return time_monotonic_ms() + INT64_C(1000) * api->config.work_timeout_s;
}

static bool still_wanted(struct request *req)
{
    pthread_mutex_lock(&req->api->lock);
    const bool wanted = req->phase == PHASE_WORKING;
    req->deadline_ms = deadline_of(req->api);
    pthread_mutex_unlock(&req->api->lock);
    return wanted;
}

/* On a worker: a block of the body, or the whole request. */
static void work(void *ctx)
{
    struct request *const req = ctx;
    struct reply reply = {0};
    struct err err = {0};
    int rc = HANDLED;
    if (!still_wanted(req)) {
        release(req, true);
        return;
    }
    if (req->route->push && req->body_len)
        rc = req->route->push(req, req->body, req->body_len, &err);
    if (rc == 0 && !req->body_ended) {
        block_done(req);
        return;
    }
    if (rc == 0 && req->route->push)
        req->body_len = 0;
    if (rc == 0 && !req->route->push && !req->unpacked) {
        rc = body_unpack(req, &err);
        req->unpacked = true;
    }
    if (rc == 0)
        rc = req->route->handle(req, &reply, &err);
    if (rc == LATER)
        return;
    if (rc < 0)
        request_refusal_make(req, &err, &reply);
    request_finish(req, &reply);
}

static struct workers *workers_of(const struct request *req)
{
    return req->route->samples ? req->api->intake : req->api->workers;
}

void request_again(struct request *req)
{
    workers_continue(workers_of(req), work, req);
}

void request_work(struct request *req, bool body_ended)
{
    struct api *const api = req->api;
    pthread_mutex_lock(&api->lock);
    const bool stopping = api->stopping;
    if (!stopping) {
        req->phase = PHASE_WORKING;
        req->body_ended = body_ended;
        req->deadline_ms = deadline_of(api);
        req->holds++;
        api->working++;
        MHD_suspend_connection(req->connection);
    }
    pthread_mutex_unlock(&api->lock);
    struct err err = {0};
    if (stopping) {
        err_set(&err, ERR_BUSY, "the server is shutting down");
        request_refuse(req, &err);
    } else if (!workers_push(workers_of(req), work, req)) {
        err_set(&err, ERR_BUSY, "all workers are busy and their queue is full");
        request_fail(req, &err);
    }
}

void *request_watch(void *ctx)
{
    struct api *const api = ctx;
    pthread_mutex_lock(&api->lock);
    while (!api->watch_stop) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        pthread_cond_clockwait(&api->watch_wake, &api->lock, CLOCK_MONOTONIC, &until);
        const int64_t now_ms = time_monotonic_ms();
        for (struct request *req = api->requests; req; req = req->next) {
            if (req->phase != PHASE_WORKING || req->deadline_ms > now_ms)
                continue;
            struct err err = {0};
            err_set(&err, ERR_BUSY, "not done within %d s", api->config.work_timeout_s);
            request_refusal_make(req, &err, &req->reply);
            req->phase = PHASE_ANSWERED;
            MHD_resume_connection(req->connection);
        }
    }
    pthread_mutex_unlock(&api->lock);
    return NULL;
}
