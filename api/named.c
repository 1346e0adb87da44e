/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/named.h"

#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/predicted.h"
#include "base/mem.h"
#include "base/names.h"

/* A forecast under one name, as it is put together from issues. */
struct entry {
    char *name; /* canonical; NULL: nobody asks for it */
    struct sample *samples;
    size_t count, room;
};

/* A forecaster as it was in the revision that is looked at. */
struct revision {
    int64_t number; /* 0: none yet */
    struct forecaster definition;
};

struct run {
    struct store *store;
    const struct named_wish *wish;
    struct store_selection *selection; /* NULL: takes all */
    named_each *each;
    void *ctx;
    bool names_only;
    size_t left; /* samples that may come */
    struct names ids;
    struct entry *entries;
    size_t entry_count, room;
    const char *forecaster;
    struct revision revision;
    struct labels labels, series; /* large, so here */
};

static int too_many(const struct run *run, struct err *err)
{
    return err_set(err, ERR_TOO_LARGE,
                   "more than %zu samples: ask for a shorter time or fewer series",
                   run->wish->samples_max);
}

/* What was there when its name was read may have been deleted since: then there is
 * nothing of it to show. */
static int unless_gone(const struct err *why, struct err *err)
{
    return why->code == ERR_NOT_FOUND ? 0 : err_copy(err, why);
}

/* ---- which names ----------------------------------------------------------------- */

/* Most readers ask for one metric, and of most the name alone says that no forecast is
 * meant. */
static bool may_be_predicted(const char *text)
{
    struct selector *const selector = mem_new(1, sizeof *selector);
    bool may = true;
    if (!selector_parse(text, strlen(text), selector, NULL))
        for (size_t i = 0; i < selector->count; i++) {
            const struct matcher *const matcher = &selector->matcher[i];
            const size_t len = strlen(matcher->value);
            const size_t suffix = sizeof PREDICTED_SUFFIX - 1;
            if (matcher->kind == MATCH_EQUAL && !strcmp(matcher->name, "__name__"))
                may = may && len >= suffix &&
                      !strcmp(matcher->value + len - suffix, PREDICTED_SUFFIX);
        }
    free(selector);
    return may;
}

/* The place of a forecast's series among the entries; *out NULL: nobody asks for it. */
static int find_entry(struct run *run, const struct store_issued *issued, size_t quantile,
                      struct entry **out, struct err *err)
{
    char name[LABELS_TEXT_MAX];
    bool is_new;
    *out = NULL;
    if (labels_parse(issued->series, strlen(issued->series), &run->series, err))
        return -1;
    /* One that is so long that nothing can be added has no forecast to be seen here. */
    if (predicted_labels(&run->series, run->forecaster,
                         run->revision.definition.aggregate, issued->quantiles,
                         issued->quantile_count, quantile, &run->labels, NULL) ||
        labels_format(&run->labels, name, NULL))
        return 0;
    const size_t id = names_id(&run->ids, name, &is_new);
    if (id >= run->room) {
        run->room = 2 * id + 16;
        run->entries = mem_resize(run->entries, run->room, sizeof *run->entries);
    }
    struct entry *const entry = &run->entries[id];
    if (is_new) {
        *entry = (struct entry){0};
        run->entry_count = id + 1;
        const int takes =
            run->selection ? store_selection_takes(run->selection, &run->labels, err) : 1;
        if (takes < 0)
            return -1;
        entry->name = takes ? mem_text(name) : NULL;
    }
    *out = entry->name ? entry : NULL;
    return 0;
}

/* ---- one issue ------------------------------------------------------------------- */

static int load_revision(struct run *run, int64_t number, struct err *err)
{
    struct revision *const revision = &run->revision;
    if (revision->number == number)
        return 0;
    if (revision->number)
        forecaster_fini(&revision->definition);
    revision->number = 0;
    if (forecaster_then(run->store, run->forecaster, number, &revision->definition, err))
        return -1;
    revision->number = number;
    return 0;
}

static struct predicted_span span_of(const struct run *run,
                                     const struct store_issue_line *line)
{
    const struct forecaster *const definition = &run->revision.definition;
    return (struct predicted_span){
        .first_ms = line->first_ms,
        .step_ms = line->step_ms,
        .steps = line->steps,
        .zone = forecaster_zone(definition),
        .held = definition->spec.integer || definition->aggregate == AGGREGATE_RATE ||
                definition->aggregate == AGGREGATE_SUM,
    };
}

static int add_samples(struct run *run, struct entry *entry,
                       const struct predicted_point *points, size_t count,
                       const float *values, size_t stride, struct err *err)
{
    if (count > run->left)
        return too_many(run, err);
    run->left -= count;
    if (entry->count + count > entry->room) {
        entry->room = 2 * entry->count + count;
        entry->samples = mem_resize(entry->samples, entry->room, sizeof *entry->samples);
    }
    for (size_t i = 0; i < count; i++)
        entry->samples[entry->count++] = (struct sample){
            points[i].time_ms, predicted_value(&points[i], values, stride)};
    return 0;
}

static int take_series(struct run *run, const struct store_issued *issued,
                       const struct predicted_point *points, size_t count,
                       struct err *err)
{
    for (size_t q = 0; q < issued->quantile_count; q++) {
        struct entry *entry;
        if (find_entry(run, issued, q, &entry, err))
            return -1;
        if (entry && add_samples(run, entry, points, count, issued->values + q,
                                 issued->quantile_count, err))
            return -1;
    }
    return 0;
}

/* What one issue says of [from_ms, to_ms), from asked_ms on. */
static int take_issue(struct run *run, const struct store_issue_line *line,
                      int64_t from_ms, int64_t to_ms, int64_t asked_ms, struct err *err)
{
    struct predicted_point *points = NULL;
    struct store_issued *issued = NULL;
    size_t point_count = 0, count = 0;
    if (from_ms >= to_ms || asked_ms >= to_ms)
        return 0;
    struct err why = {0};
    if (load_revision(run, line->revision, &why))
        return unless_gone(&why, err);
    struct predicted_span span = span_of(run, line);
    span.from_ms = from_ms;
    span.to_ms = to_ms;
    span.asked_ms = asked_ms;
    const int64_t end_ms = predicted_end_ms(&span);
    if (from_ms >= end_ms || asked_ms >= end_ms)
        return 0;
    if (!run->names_only &&
        predicted_points(&span, run->left + 1, &points, &point_count, NULL))
        return too_many(run, err);
    int rc = 0;
    if (store_issue_get(run->store, run->forecaster, line->issue_id, NULL, &issued,
                        &count, &why))
        rc = unless_gone(&why, err);
    for (size_t s = 0; rc == 0 && s < count; s++)
        rc = take_series(run, &issued[s], points, point_count, err);
    store_issued_fini(issued, count);
    free(points);
    return rc;
}

/* ---- one forecaster -------------------------------------------------------------- */

/* From when an issue is shown: once it is there, from where it begins. */
static int64_t shown_from(const struct store_issue_line *line)
{
    return line->issued_ms > line->first_ms ? line->issued_ms : line->first_ms;
}

static int take_forecaster(struct run *run, struct err *err)
{
    struct store_issue_line *lines = NULL;
    size_t count = 0;
    const int64_t back = run->wish->look_back ? NAMED_LOOKBACK_MS : 0;
    const int64_t begin = run->wish->from_ms - back, end = run->wish->to_ms + 1;
    /* No more issues than samples: each that is shown has one at least. */
    if (store_issues(run->store, run->forecaster, begin, run->wish->to_ms,
                     run->names_only ? 1 : run->left + 1, &lines, &count, err))
        return -1;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        const int64_t next = i + 1 < count ? shown_from(&lines[i + 1]) : INT64_MAX;
        rc = take_issue(run, &lines[i], shown_from(&lines[i]), next < end ? next : end,
                        begin, err);
    }
    free(lines);
    return rc;
}

static int take_forecasts(struct run *run, struct err *err)
{
    struct store_forecaster *stored = NULL;
    size_t count = 0;
    if (run->wish->selector && !may_be_predicted(run->wish->selector))
        return 0;
    if (store_forecasters(run->store, &stored, &count, err))
        return -1;
    int rc = 0;
    for (size_t i = 0; i < count; i++) {
        run->forecaster = stored[i].name;
        if (rc == 0) {
            const int may = run->selection
                                ? store_selection_allows(run->selection, "forecaster",
                                                         stored[i].name, err)
                                : 1;
            rc = may > 0 ? take_forecaster(run, err) : may;
        }
        if (run->revision.number)
            forecaster_fini(&run->revision.definition);
        run->revision.number = 0;
        store_forecaster_fini(&stored[i]);
    }
    free(stored);
    return rc;
}

static int emit_forecasts(struct run *run, struct err *err)
{
    for (size_t i = 0; i < run->entry_count; i++) {
        const struct entry *const entry = &run->entries[i];
        if (!entry->name || (!entry->count && !run->names_only))
            continue;
        const struct named named = {
            .labels = &run->labels,
            .samples = entry->samples,
            .count = entry->count,
            .lookback_ms = run->wish->look_back ? NAMED_LOOKBACK_MS : 0,
        };
        if (labels_parse(entry->name, strlen(entry->name), &run->labels, err) ||
            run->each(run->ctx, &named, err))
            return -1;
    }
    return 0;
}

/* ---- stored series --------------------------------------------------------------- */

/* Who reads coarser steps than PromQL looks back. */
struct coarse {
    struct store_selection *select;
    int64_t step_ms;
};

static void coarse_free(struct coarse *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        store_selection_free(list[i].select);
    free(list);
}

static int coarse_find(struct store *store, struct coarse **out, size_t *count,
                       struct err *err)
{
    struct store_forecaster *stored = NULL;
    size_t all = 0;
    *out = NULL;
    *count = 0;
    if (store_forecasters(store, &stored, &all, err))
        return -1;
    int rc = 0;
    *out = mem_new(all, sizeof **out);
    for (size_t i = 0; i < all; i++) {
        struct forecaster definition = {0};
        if (rc == 0 && (rc = forecaster_load(&stored[i], &definition, err)) == 0) {
            struct coarse *const coarse = &(*out)[*count];
            if (definition.step_ms > NAMED_LOOKBACK_MS) {
                coarse->step_ms = definition.step_ms;
                coarse->select = store_selection_new(definition.select, err);
                rc = coarse->select ? 0 : -1;
                *count += rc == 0;
            }
            forecaster_fini(&definition);
        }
        store_forecaster_fini(&stored[i]);
    }
    free(stored);
    return rc;
}

/* How far to look back for a sample of this series. */
static int lookback_of(const struct labels *labels, const struct coarse *list,
                       size_t count, int64_t *out, struct err *err)
{
    *out = NAMED_LOOKBACK_MS;
    for (size_t i = 0; i < count; i++) {
        if (list[i].step_ms <= *out)
            continue;
        const int takes = store_selection_takes(list[i].select, labels, err);
        if (takes < 0)
            return -1;
        *out = takes ? list[i].step_ms : *out;
    }
    return 0;
}

static int64_t clamp(int64_t time_ms)
{
    return time_ms < TIME_MIN_MS ? TIME_MIN_MS
                                 : (time_ms > TIME_MAX_MS ? TIME_MAX_MS : time_ms);
}

static int read_stored(struct run *run, const char *name, int64_t lookback_ms,
                       struct err *err)
{
    struct sample *samples = NULL;
    struct named named = {.labels = &run->labels, .lookback_ms = lookback_ms};
    struct err why = {0};
    if (store_read(run->store, name, clamp(run->wish->from_ms - lookback_ms),
                   run->wish->to_ms + 1, AS_OF_NOW, run->left + 1, &samples, &named.count,
                   &why))
        return unless_gone(&why, err);
    named.samples = samples;
    int rc = 0;
    if (named.count > run->left)
        rc = too_many(run, err);
    else if (named.count)
        rc = run->each(run->ctx, &named, err);
    run->left -= rc == 0 ? named.count : 0;
    free(samples);
    return rc;
}

static int list_stored(struct run *run, const char *name, struct err *err)
{
    struct store_series series;
    struct err why = {0};
    if (store_series(run->store, name, &series, &why))
        return unless_gone(&why, err);
    const struct named named = {.labels = &run->labels};
    return series.samples && series.first_ms <= run->wish->to_ms &&
                   series.last_ms >= run->wish->from_ms
               ? run->each(run->ctx, &named, err)
               : 0;
}

static int take_stored(struct run *run, const char *name, const struct coarse *list,
                       size_t coarse_count, struct err *err)
{
    int64_t lookback_ms = 0;
    bool is_new;
    /* Somebody may have written back what was read here: then ours counts. */
    names_id(&run->ids, name, &is_new);
    if (!is_new)
        return 0;
    if (labels_parse(name, strlen(name), &run->labels, err))
        return -1;
    if (run->names_only)
        return list_stored(run, name, err);
    if (run->wish->look_back &&
        lookback_of(&run->labels, list, coarse_count, &lookback_ms, err))
        return -1;
    return read_stored(run, name, lookback_ms, err);
}

static int take_history(struct run *run, struct err *err)
{
    struct coarse *list = NULL;
    size_t coarse_count = 0;
    struct store_names names = {0};
    int rc = store_select(run->store, run->wish->selector, 0, &names, err);
    if (rc == 0 && names.count && run->wish->look_back)
        rc = coarse_find(run->store, &list, &coarse_count, err);
    for (size_t i = 0; rc == 0 && i < names.count; i++)
        rc = take_stored(run, names.name[i], list, coarse_count, err);
    coarse_free(list, coarse_count);
    store_names_fini(&names);
    return rc;
}

/* ---- both ------------------------------------------------------------------------ */

static int run_wish(struct run *run, struct err *err)
{
    const char *const selector = run->wish->selector;
    run->selection = selector ? store_selection_new(selector, err) : NULL;
    if (selector && !run->selection)
        return -1;
    if (take_forecasts(run, err) || emit_forecasts(run, err))
        return -1;
    return take_history(run, err);
}

static int run_all(struct store *store, const struct named_wish *wish, bool names_only,
                   named_each *each, void *ctx, struct err *err)
{
    struct named_wish bounded = *wish;
    bounded.from_ms = clamp(wish->from_ms);
    bounded.to_ms = clamp(wish->to_ms);
    struct run *const run = mem_new(1, sizeof *run);
    run->store = store;
    run->wish = &bounded;
    run->each = each;
    run->ctx = ctx;
    run->names_only = names_only;
    run->left = names_only ? SIZE_MAX / 2 : wish->samples_max;
    const int rc = run_wish(run, err);
    /* Behind the forecasts, stored series have ids, too, but no entries. */
    for (size_t i = 0; i < run->entry_count; i++) {
        free(run->entries[i].name);
        free(run->entries[i].samples);
    }
    free(run->entries);
    names_fini(&run->ids);
    store_selection_free(run->selection);
    free(run);
    return rc;
}

int named_read(struct store *store, const struct named_wish *wish, named_each *each,
               void *ctx, struct err *err)
{
    return run_all(store, wish, false, each, ctx, err);
}

int named_list(struct store *store, const struct named_wish *wish, named_each *each,
               void *ctx, struct err *err)
{
    return run_all(store, wish, true, each, ctx, err);
}
