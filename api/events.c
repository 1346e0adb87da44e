/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /v1/jobs/{id}/events: the job whenever it has changed ("event: progress"), and when
 * it has ended ("event: end").
 */
#include "api/events.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/handlers.h"
#include "api/jobs.h"
#include "api/query.h"
#include "api/server.h"
#include "api/stream.h"
#include "base/mem.h"

enum {
    LISTENERS_MAX = 64,
    LOOK_MS = 1000,
    ALIVE_LOOKS = 15, /* a word after so many looks without news: is anybody there? */
};

struct listener {
    struct listener *next;
    struct stream *stream;
    int64_t job;
    char *told; /* what it was told last */
    int quiet;  /* looks since then */
};

struct events {
    struct store *store;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct listener *first;
    size_t count;
    bool stop;
};

static void listener_free(struct listener *l)
{
    stream_end(l->stream);
    free(l->told);
    free(l);
}

/* ---- one look -------------------------------------------------------------------------- */

static char *job_text(const struct store_job *job)
{
    json_auto_t *json = job_json(job);
    return json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS_SHORT));
}

static bool has_ended(const struct store_job *job)
{
    return strcmp(job->state, "queued") != 0 && strcmp(job->state, "running") != 0;
}

static bool write_text(struct listener *l, char *text)
{
    const bool there = stream_write(l->stream, text, strlen(text));
    free(text);
    return there;
}

/* Whether to go on with it. */
static bool tell(struct listener *l, const struct store_job *job)
{
    const bool ended = has_ended(job);
    char *const text = job_text(job);
    bool there = true;
    if (ended || !l->told || strcmp(text, l->told) != 0) {
        if (ended || stream_drained(l->stream)) {
            there = write_text(l, mem_printf("event: %s\ndata: %s\n\n",
                                             ended ? "end" : "progress", text));
            free(l->told);
            l->told = mem_text(text);
            l->quiet = 0;
        }
    } else if (++l->quiet >= ALIVE_LOOKS && stream_drained(l->stream)) {
        there = write_text(l, mem_text(": nothing new\n\n"));
        l->quiet = 0;
    }
    free(text);
    return there && !ended;
}

static bool look(struct events *e, struct listener *l)
{
    struct store_job job = {0};
    struct err err = {0};
    if (store_job_get(e->store, l->job, &job, &err))
        return err.code != ERR_NOT_FOUND; /* its history was cut off; else it may pass */
    const bool go_on = tell(l, &job);
    store_job_fini(&job);
    return go_on;
}

/* Under the lock. */
static void look_at_all(struct events *e)
{
    for (struct listener **at = &e->first; *at;) {
        struct listener *const l = *at;
        if (look(e, l)) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        e->count--;
        listener_free(l);
    }
}

static void *events_main(void *ctx)
{
    struct events *const e = ctx;
    pthread_setname_np(pthread_self(), "frwkvd-events");
    pthread_mutex_lock(&e->lock);
    while (!e->stop) {
        struct timespec until;
        look_at_all(e);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += LOOK_MS / 1000;
        if (!e->first)
            pthread_cond_wait(&e->changed, &e->lock);
        else
            pthread_cond_clockwait(&e->changed, &e->lock, CLOCK_MONOTONIC, &until);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

/* ---- start, listen, stop --------------------------------------------------------------- */

struct events *events_start(struct store *store, struct err *err)
{
    struct events *const e = mem_new(1, sizeof *e);
    e->store = store;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->changed, NULL);
    if (pthread_create(&e->thread, NULL, events_main, e) == 0)
        return e;
    err_set(err, ERR_IO, "cannot start a thread");
    events_free(e);
    return NULL;
}

int events_listen(struct events *e, int64_t job, struct stream *stream, struct err *err)
{
    pthread_mutex_lock(&e->lock);
    const bool busy = e->stop || e->count >= LISTENERS_MAX;
    if (!busy) {
        struct listener *const l = mem_new(1, sizeof *l);
        *l = (struct listener){.next = e->first, .stream = stream, .job = job};
        e->first = l;
        e->count++;
        pthread_cond_signal(&e->changed);
    }
    pthread_mutex_unlock(&e->lock);
    if (!busy)
        return 0;
    stream_end(stream);
    return err_set(err, ERR_BUSY, "at most %d listen to jobs at a time", LISTENERS_MAX);
}

void events_stop(struct events *e)
{
    if (!e)
        return;
    pthread_mutex_lock(&e->lock);
    e->stop = true;
    pthread_cond_signal(&e->changed);
    while (e->first) {
        struct listener *const l = e->first;
        e->first = l->next;
        listener_free(l);
    }
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->thread, NULL);
}

void events_free(struct events *e)
{
    if (!e)
        return;
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

/* ---- the route --------------------------------------------------------------------------- */

int job_events(struct request *req, struct reply *reply, struct err *err)
{
    const struct api *const api = req->api;
    struct store_job job = {0};
    int64_t id = 0;
    if (query_none(req, err) || job_id(req, &id, err) ||
        store_job_get(api->config.store, id, &job, err))
        return -1;
    store_job_fini(&job);
    struct stream *const stream = stream_new();
    if (events_listen(api->events, id, stream, err)) {
        stream_drop(stream);
        return -1;
    }
    reply->status = 200;
    reply->type = "text/event-stream";
    reply->stream = stream;
    reply_header(reply, "Cache-Control", "no-store");
    reply_header(reply, "X-Accel-Buffering", "no");
    return HANDLED;
}
