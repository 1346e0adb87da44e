/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cache of published models: one a forecaster, replaced whole, freed when the last
 * forecast from it has ended.
 */
#include "api/serving.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { IDLE_MAX = sizeof((struct served *)0)->idle / sizeof(void *) };

struct serving {
    struct store *store;
    struct clock clock;
    pthread_mutex_t lock;
    struct served *first;
    struct keeping *keeping;
    uint64_t changes; /* a model loaded before the newest change is not kept */
};

struct serving *serving_new(struct store *store, struct clock clock)
{
    struct serving *const s = mem_new(1, sizeof *s);
    s->store = store;
    s->clock = clock;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void served_fini(struct served *served)
{
    for (size_t i = 0; i < served->idle_count; i++)
        forecaster_work_free(served->idle[i]);
    model_free(served->model);
    calibration_fini(&served->calibration);
    forecaster_fini(&served->definition);
}

static void served_free(struct served *served)
{
    served_fini(served);
    free(served);
}

/* Lets go of one hold; the last one frees.  Under the lock. */
static void let_go(struct served *served)
{
    if (--served->holds == 0)
        served_free(served);
}

void serving_free(struct serving *s)
{
    if (!s)
        return;
    while (s->first) {
        struct served *const served = s->first;
        s->first = served->next;
        let_go(served);
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void serving_keep(struct serving *s, struct keeping *keeping)
{
    s->keeping = keeping;
}

struct keeping *serving_keeping(const struct serving *s)
{
    return s->keeping;
}

struct store *serving_store(const struct serving *s)
{
    return s->store;
}

int64_t serving_now_ms(const struct serving *s)
{
    return clock_now_ms(&s->clock);
}

/* Takes a forecaster's entry out of the cache.  Under the lock. */
static void drop(struct serving *s, const char *forecaster)
{
    for (struct served **at = &s->first; *at; at = &(*at)->next) {
        struct served *const served = *at;
        if (strcmp(served->definition.name, forecaster))
            continue;
        *at = served->next;
        let_go(served);
        return;
    }
}

void serving_changed(struct serving *s, const char *forecaster)
{
    pthread_mutex_lock(&s->lock);
    s->changes++;
    if (forecaster)
        drop(s, forecaster);
    while (!forecaster && s->first)
        drop(s, s->first->definition.name);
    pthread_mutex_unlock(&s->lock);
}

/* ---- loading --------------------------------------------------------------------- */

/* Says what to do about a forecaster without a model. */
static int no_model(struct serving *s, const char *forecaster, struct err *err)
{
    struct store_job *jobs = NULL;
    size_t count = 0;
    int64_t busy = 0;
    const char *failed = NULL;
    const struct store_job_filter filter = {.kind = "train", .forecaster = forecaster};
    if (store_jobs(s->store, &filter, 1, &jobs, &count, err))
        return -1;
    if (count > 0) {
        if (!strcmp(jobs[0].state, "queued") || !strcmp(jobs[0].state, "running"))
            busy = jobs[0].id;
        else if (!strcmp(jobs[0].state, "failed"))
            failed = jobs[0].error ? jobs[0].error : "without a reason";
    }
    if (busy)
        err_set(err, ERR_CONFLICT,
                "forecaster %s has no model yet: job %" PRId64
                " is at it, see GET /v1/jobs/%" PRId64,
                forecaster, busy, busy);
    else if (failed)
        err_set(err, ERR_CONFLICT,
                "forecaster %s has no model yet: its last training failed (%.120s); POST "
                "/v1/forecasters/%s/train",
                forecaster, failed, forecaster);
    else
        err_set(err, ERR_CONFLICT,
                "forecaster %s has no model yet: POST /v1/forecasters/%s/train",
                forecaster, forecaster);
    for (size_t i = 0; i < count; i++)
        store_job_fini(&jobs[i]);
    free(jobs);
    return -1;
}

static int load_model(struct serving *s, const char *name, struct served *out,
                      struct err *err)
{
    struct store_model stored = {0};
    struct err why = {0};
    if (store_model_serving(s->store, name, &stored, &why))
        return why.code == ERR_NOT_FOUND ? no_model(s, name, err) : err_copy(err, &why);
    out->model = model_load(stored.bytes, stored.len, err);
    out->model_id = stored.id;
    out->published_ms = stored.published_ms;
    out->watermark_ms = stored.watermark_ms;
    memcpy(out->hash, stored.hash, sizeof out->hash);
    const bool other = stored.forecaster_revision != out->revision;
    store_model_fini(&stored);
    if (out->model && other) /* the definition changed between the two reads */
        return err_set(err, ERR_BUSY, "forecaster %s is being changed", name);
    if (!out->model)
        return -1;
    return calibration_in_force(s->store, name, out->model_id, INT64_MAX,
                                &out->calibration, err);
}

static struct served *cached(struct serving *s, const char *forecaster, uint64_t *changes)
{
    pthread_mutex_lock(&s->lock);
    struct served *at = s->first;
    while (at && strcmp(at->definition.name, forecaster))
        at = at->next;
    if (at)
        at->holds++;
    *changes = s->changes;
    pthread_mutex_unlock(&s->lock);
    return at;
}

struct served *serving_get(struct serving *s, const char *forecaster, struct err *err)
{
    uint64_t changes;
    struct served *const found = cached(s, forecaster, &changes);
    if (found)
        return found;
    struct served *const fresh = mem_new(1, sizeof *fresh);
    if (forecaster_now(s->store, forecaster, &fresh->definition, &fresh->revision, err) ||
        load_model(s, forecaster, fresh, err)) {
        served_free(fresh);
        return NULL;
    }
    pthread_mutex_lock(&s->lock);
    fresh->holds = 1;
    if (changes == s->changes) {
        drop(s, forecaster); /* of a thread that loaded the same meanwhile */
        fresh->holds++;
        fresh->next = s->first;
        s->first = fresh;
    }
    pthread_mutex_unlock(&s->lock);
    return fresh;
}

void serving_put(struct serving *s, struct served *served)
{
    if (!served)
        return;
    pthread_mutex_lock(&s->lock);
    let_go(served);
    pthread_mutex_unlock(&s->lock);
}

/* ---- work spaces ----------------------------------------------------------------- */

struct forecaster_work *serving_work(struct serving *s, struct served *served,
                                     struct err *err)
{
    pthread_mutex_lock(&s->lock);
    struct forecaster_work *const idle =
        served->idle_count ? served->idle[--served->idle_count] : NULL;
    pthread_mutex_unlock(&s->lock);
    return idle ? idle : forecaster_work_new(served->model, err);
}

void serving_work_done(struct serving *s, struct served *served,
                       struct forecaster_work *work)
{
    pthread_mutex_lock(&s->lock);
    const bool keep = served->idle_count < IDLE_MAX;
    if (keep)
        served->idle[served->idle_count++] = work;
    pthread_mutex_unlock(&s->lock);
    if (!keep)
        forecaster_work_free(work);
}
