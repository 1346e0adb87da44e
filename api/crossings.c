/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/crossings.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/crossing_cases.h"
#include "api/reading.h"
#include "base/mem.h"

const double crossing_quantiles[CROSSING_QUANTILES] = {0.1, 0.5, 0.9};

static void crossings_free(struct crossings *c)
{
    for (size_t i = 0; i < c->name_count; i++)
        free(c->names[i]);
    free(c->names);
    free(c->list);
    free(c);
}

/* ---- order -------------------------------------------------------------------------- */

static int64_t later(int64_t at_ms)
{
    return at_ms ? at_ms : INT64_MAX;
}

int crossing_compare(const struct series_crossing *a, const struct series_crossing *b)
{
    static const size_t order[CROSSING_QUANTILES] = {1, 0, 2};
    if (a->crossed != b->crossed)
        return a->crossed ? -1 : 1;
    for (size_t i = 0; i < CROSSING_QUANTILES; i++) {
        const int64_t x = later(a->at_ms[order[i]]), y = later(b->at_ms[order[i]]);
        if (x != y)
            return x < y ? -1 : 1;
    }
    if (a->probability != b->probability)
        return a->probability > b->probability ? -1 : 1;
    const int names = strcmp(a->series, b->series);
    return names ? names : (int)a->threshold - (int)b->threshold;
}

static int compare(const void *a, const void *b)
{
    return crossing_compare(a, b);
}

/* ---- one series ------------------------------------------------------------------------ */

/* What is common to all series. */
struct working {
    struct crossings *out;
    const struct forecaster *definition;
    const struct forecast *forecast; /* medians alone */
    const struct grid *present;      /* its last row: the newest step */
    struct cases cases;
    float *residuals; /* (cases, steps) */
    size_t *first;    /* (cases) */
    struct crossing_case *past;
};

/* A path that lacks half of its steps says too little. */
static bool usable(const float *residual, size_t steps)
{
    size_t there = 0;
    for (size_t j = 0; j < steps; j++)
        there += !isnan(residual[j]);
    return there > 0 && 2 * there >= steps;
}

/* The usable cases of a series into w->past and w->residuals; returns their number. */
static size_t gather(struct working *w, size_t series)
{
    const struct cases *const c = &w->cases;
    const size_t P = c->steps;
    size_t count = 0;
    for (size_t k = 0; k < c->count; k++) {
        const size_t at = (k * c->series + series) * P;
        float *const residual = w->residuals + count * P;
        for (size_t j = 0; j < P; j++)
            residual[j] = c->actual[at + j] - c->median[at + j];
        if (!usable(residual, P))
            continue;
        w->past[count++] = (struct crossing_case){
            .origin = c->origin[k],
            .last = c->last[k * c->series + series],
            .median = c->median + at,
            .actual = c->actual + at,
        };
    }
    return count;
}

static bool lies_past(double value, const struct threshold *t, size_t which)
{
    return which == THRESHOLD_ABOVE ? value >= t->value : value <= t->value;
}

static void answer(struct working *w, size_t series, size_t which, size_t paths)
{
    const struct forecast *const f = w->forecast;
    const struct model_spec *const spec = &w->definition->spec;
    const struct threshold *const t = &w->definition->thresholds[which];
    const struct grid *const now = w->present;
    const size_t steps = w->cases.steps;
    struct series_crossing *const out = &w->out->list[w->out->count++];
    *out = (struct series_crossing){.series = w->out->names[series],
                                    .threshold = which,
                                    .value = t->value,
                                    .paths = paths};
    crossing_backtest(w->past, paths, steps, t->value, which == THRESHOLD_ABOVE,
                      spec->min, spec->max, &out->record);
    const double last = now->values[(now->rows - 1) * now->cols + series];
    if (lies_past(last, t, which)) {
        out->crossed = true;
        out->probability = 1;
        for (size_t q = 0; q < CROSSING_QUANTILES; q++)
            out->at_ms[q] = grid_time_ms(now, now->rows - 1);
        return;
    }
    const struct crossing_task task = {.steps = steps,
                                       .paths = paths,
                                       .median = f->series[series].values,
                                       .residuals = w->residuals,
                                       .threshold = t->value,
                                       .above = which == THRESHOLD_ABOVE,
                                       .min = spec->min,
                                       .max = spec->max};
    crossing_all(&task, w->first);
    out->probability = crossing_probability(w->first, paths, steps);
    for (size_t q = 0; q < CROSSING_QUANTILES; q++) {
        const size_t step =
            crossing_quantile(w->first, paths, steps, crossing_quantiles[q]);
        out->at_ms[q] = step < steps ? forecast_target_ms(f, step) : 0;
    }
}

static void unserved(struct crossings *out, const char *series, const char *why)
{
    if (out->unserved++ == 0)
        snprintf(out->why, sizeof out->why, "%.60s: %.90s", series, why);
}

/* ---- all of them ------------------------------------------------------------------------ */

static void answer_all(struct working *w)
{
    struct crossings *const out = w->out;
    const struct forecast *const f = w->forecast;
    out->names = mem_new(f->count, sizeof *out->names);
    out->list = mem_new(f->count * THRESHOLDS, sizeof *out->list);
    for (size_t s = 0; s < f->count; s++) {
        out->names[out->name_count++] = mem_text(f->series[s].name);
        const size_t paths = f->series[s].served ? gather(w, s) : 0;
        if (!f->series[s].served)
            unserved(out, f->series[s].name, f->series[s].why);
        else if (paths < CROSSING_PATHS_LEAST)
            unserved(out, f->series[s].name, "too few forecasts have come to pass");
        for (size_t t = 0; t < THRESHOLDS && paths >= CROSSING_PATHS_LEAST; t++)
            if (w->definition->thresholds[t].set)
                answer(w, s, t, paths);
    }
    qsort(out->list, out->count, sizeof *out->list, compare);
}

static int work_out(struct serving *serving, struct served *served,
                    const struct forecast *f, struct crossings *out, struct err *err)
{
    const struct forecaster *const definition = &served->definition;
    struct store *const store = serving_store(serving);
    struct grid present = {0};
    struct working w = {
        .out = out, .definition = definition, .forecast = f, .present = &present};
    char **const names = mem_new(f->count, sizeof *names);
    for (size_t s = 0; s < f->count; s++)
        names[s] = f->series[s].name;
    int rc = cases_read(serving, served, names, f->count, f->issued_ms, &w.cases, err);
    if (rc == 0)
        rc = forecaster_grid(definition, store, f->issued_ms, 1, &present, err);
    if (rc == 0 && present.cols != f->count)
        rc = err_set(err, ERR_BUSY, "crossings: series have come up meanwhile");
    if (rc == 0) {
        const size_t cases = w.cases.count ? w.cases.count : 1;
        w.residuals = mem_new(cases * w.cases.steps, sizeof *w.residuals);
        w.first = mem_new(cases, sizeof *w.first);
        w.past = mem_new(cases, sizeof *w.past);
        out->issued = w.cases.issued;
        answer_all(&w);
    }
    free(names);
    free(w.residuals);
    free(w.first);
    free(w.past);
    cases_fini(&w.cases);
    grid_fini(&present);
    return rc;
}

static bool any_threshold(const struct forecaster *f)
{
    return f->thresholds[THRESHOLD_BELOW].set || f->thresholds[THRESHOLD_ABOVE].set;
}

static struct crossings *make(struct serving *serving, struct served *served,
                              struct err *err)
{
    const struct forecast_wish median = {.quantile_count = 1, .quantiles = {0.5}};
    struct forecast f;
    if (serving_forecast(serving, served, &median, &f, err))
        return NULL;
    struct crossings *const out = mem_new(1, sizeof *out);
    memcpy(out->forecaster, served->definition.name, sizeof out->forecaster);
    memcpy(out->thresholds, served->definition.thresholds, sizeof out->thresholds);
    out->model_id = served->model_id;
    out->from_ms = f.first_ms;
    out->to_ms = forecast_target_ms(&f, f.steps);
    const int rc =
        any_threshold(&served->definition) ? work_out(serving, served, &f, out, err) : 0;
    forecast_fini(&f);
    if (rc == 0)
        return out;
    crossings_free(out);
    return NULL;
}

/* ---- the cache ---------------------------------------------------------------------------- */

struct crossings_cache {
    pthread_mutex_t lock;
    struct crossings *first;
};

struct crossings_cache *crossings_cache_new(void)
{
    struct crossings_cache *const cache = mem_new(1, sizeof *cache);
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

static void let_go(struct crossings *c)
{
    if (--c->holds == 0)
        crossings_free(c);
}

void crossings_cache_free(struct crossings_cache *cache)
{
    if (!cache)
        return;
    while (cache->first) {
        struct crossings *const c = cache->first;
        cache->first = c->next;
        let_go(c);
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

void crossings_put(struct crossings_cache *cache, const struct crossings *crossings)
{
    if (!crossings)
        return;
    pthread_mutex_lock(&cache->lock);
    let_go((struct crossings *)(uintptr_t)crossings);
    pthread_mutex_unlock(&cache->lock);
}

static bool same_thresholds(const struct threshold *a, const struct threshold *b)
{
    bool same = true;
    for (size_t t = 0; t < THRESHOLDS; t++)
        same &= a[t].set == b[t].set && (!a[t].set || a[t].value == b[t].value);
    return same;
}

/* Takes what is there, as long as it is about the same steps. */
static struct crossings *find(struct crossings_cache *cache, const struct served *served,
                              int64_t from_ms)
{
    struct crossings *found = NULL;
    pthread_mutex_lock(&cache->lock);
    for (struct crossings *c = cache->first; c && !found; c = c->next)
        if (!strcmp(c->forecaster, served->definition.name) &&
            c->model_id == served->model_id && c->from_ms == from_ms &&
            same_thresholds(c->thresholds, served->definition.thresholds)) {
            found = c;
            c->holds++;
        }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

/* Under the lock. */
static void drop(struct crossings_cache *cache, const char *forecaster)
{
    for (struct crossings **at = &cache->first; *at; at = &(*at)->next)
        if (!strcmp((*at)->forecaster, forecaster)) {
            struct crossings *const old = *at;
            *at = old->next;
            let_go(old);
            return;
        }
}

/* In place of the one before. */
static void keep(struct crossings_cache *cache, struct crossings *fresh)
{
    pthread_mutex_lock(&cache->lock);
    drop(cache, fresh->forecaster);
    fresh->holds = 2;
    fresh->next = cache->first;
    cache->first = fresh;
    pthread_mutex_unlock(&cache->lock);
}

const struct crossings *crossings_get(struct crossings_cache *cache,
                                      struct serving *serving, const char *forecaster,
                                      struct err *err)
{
    struct served *const served = serving_get(serving, forecaster, err);
    struct extent extent;
    struct crossings *got = NULL;
    if (!served) {
        pthread_mutex_lock(&cache->lock);
        drop(cache, forecaster);
        pthread_mutex_unlock(&cache->lock);
        return NULL;
    }
    if (extent_read(&served->definition, serving_store(serving), serving_now_ms(serving),
                    &extent, err) == 0) {
        got = find(cache, served, extent.end_ms);
        extent_fini(&extent);
        if (!got && (got = make(serving, served, err)))
            keep(cache, got);
    }
    serving_put(serving, served);
    return got;
}
