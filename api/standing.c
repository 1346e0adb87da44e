/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/standing.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/accuracy_sums.h"
#include "api/anomalies.h"
#include "base/mem.h"

enum {
    ISSUES_MOST = 96,
    ISSUES_LEAST = 8,
    VALUES_MOST = 2 << 20, /* of the median; a look is to take a fraction of a second */
    HOUR_MS = 3600000,
};

struct standings {
    pthread_mutex_t lock;
    size_t count;
    struct standing *list;
};

struct standings *standings_new(void)
{
    struct standings *const cache = mem_new(1, sizeof *cache);
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void standings_free(struct standings *cache)
{
    if (!cache)
        return;
    pthread_mutex_destroy(&cache->lock);
    free(cache->list);
    free(cache);
}

/* Its place; NULL: there is none.  Under the lock. */
static struct standing *place(const struct standings *cache, const char *forecaster)
{
    for (size_t i = 0; i < cache->count; i++)
        if (!strcmp(cache->list[i].forecaster, forecaster))
            return &cache->list[i];
    return NULL;
}

static bool find(struct standings *cache, struct standing *out)
{
    pthread_mutex_lock(&cache->lock);
    const struct standing *const known = place(cache, out->forecaster);
    const bool same = known && known->revision == out->revision &&
                      known->issue_id == out->issue_id && known->step == out->step;
    if (same)
        *out = *known;
    pthread_mutex_unlock(&cache->lock);
    return same;
}

static void keep(struct standings *cache, const struct standing *fresh)
{
    pthread_mutex_lock(&cache->lock);
    struct standing *at = place(cache, fresh->forecaster);
    if (!at) {
        cache->list = mem_resize(cache->list, cache->count + 1, sizeof *cache->list);
        at = &cache->list[cache->count++];
    }
    *at = *fresh;
    pthread_mutex_unlock(&cache->lock);
}

/* ---- looking ------------------------------------------------------------------------- */

static int read_accuracy(struct serving *s, const struct served *served, int64_t now_ms,
                         struct standing *out, struct err *err)
{
    const struct forecaster *const f = &served->definition;
    const size_t each = f->spec.horizon * (model_series(served->model) + 1);
    const size_t room = VALUES_MOST / each;
    const struct matured_wish wish = {
        .forecaster = f->name,
        .from_ms = now_ms - STANDING_HORIZONS * (int64_t)f->spec.horizon * f->step_ms,
        .to_ms = now_ms,
        .as_of_ms = now_ms,
        .most = room > ISSUES_MOST    ? ISSUES_MOST
                : room < ISSUES_LEAST ? ISSUES_LEAST
                                      : room,
    };
    struct accuracy accuracy;
    if (accuracy_matured(serving_store(s), &wish, &accuracy, err))
        return -1;
    out->issues = accuracy.issues;
    for (size_t i = 0; i < accuracy.count; i++)
        if (!accuracy.rows[i].series)
            out->rows[1 + accuracy.rows[i].bucket] = accuracy.rows[i];
    accuracy_fini(&accuracy);
    return 0;
}

/* Fewer steps than a day has where series are many. */
static int read_anomalies(struct serving *s, const struct served *served, int64_t now_ms,
                          struct standing *out, struct err *err)
{
    const struct forecaster *const f = &served->definition;
    const int64_t day =
        (STANDING_ANOMALY_HOURS * (int64_t)HOUR_MS + f->step_ms - 1) / f->step_ms;
    const size_t room = VALUES_MOST / (model_series(served->model) + 1);
    const struct anomalies_wish wish = {.steps = (size_t)day < room ? (size_t)day : room,
                                        .as_of_ms = now_ms};
    struct anomalies found;
    if (anomalies_read(serving_store(s), f, &wish, &found, err))
        return -1;
    out->judged = found.judged;
    out->anomalies = found.count;
    anomalies_fini(&found);
    return 0;
}

int standing_read(struct standings *cache, struct serving *serving,
                  const struct served *served, int64_t issue_id, struct standing *out,
                  struct err *err)
{
    const struct forecaster *const f = &served->definition;
    const int64_t now_ms = serving_now_ms(serving);
    *out =
        (struct standing){.revision = served->revision,
                          .issue_id = issue_id,
                          .step = grid_floor_in(forecaster_zone(f), now_ms, f->step_ms)};
    memcpy(out->forecaster, f->name, sizeof out->forecaster);
    if (find(cache, out))
        return 0;
    if (read_accuracy(serving, served, now_ms, out, err) ||
        read_anomalies(serving, served, now_ms, out, err))
        return -1;
    keep(cache, out);
    return 0;
}
