/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/matured.h"
#include "base/mem.h"

/* What the issues at hand were made with. */
struct walk {
    struct serving *serving;
    struct store *store;
    const char *forecaster;
    bool loaded;          /* the following holds something */
    struct served served; /* our own: no cache knows it */
    struct replay *out;
};

void replay_fini(struct replay *replay)
{
    free(replay->first.series);
    *replay = (struct replay){0};
}

/* ---- what it was made with ------------------------------------------------------------ */

static void unload(struct walk *w)
{
    if (w->loaded)
        served_fini(&w->served);
    w->loaded = false;
}

static int load_model(struct walk *w, int64_t model_id, struct err *err)
{
    struct store_model stored = {0};
    if (store_model_get(w->store, w->forecaster, model_id, &stored, err))
        return -1;
    w->served.model = model_load(stored.bytes, stored.len, err);
    w->served.model_id = model_id;
    memcpy(w->served.hash, stored.hash, sizeof w->served.hash);
    store_model_fini(&stored);
    return w->served.model ? 0 : -1;
}

static int load_calibration(struct walk *w, int64_t number, struct err *err)
{
    struct store_calibration stored;
    calibration_fini(&w->served.calibration);
    if (number == 0)
        return 0;
    if (store_calibration_get(w->store, w->forecaster, number, &stored, err))
        return -1;
    const int rc = calibration_parse(&stored, &w->served.calibration, err);
    store_calibration_fini(&stored);
    return rc;
}

/* 1: the model is gone. */
static int load(struct walk *w, const struct store_issued *issued, struct err *err)
{
    struct err why = {0};
    if (!w->loaded || w->served.model_id != issued->model_id) {
        unload(w);
        w->served = (struct served){0};
        w->loaded = true;
        w->served.revision = issued->revision;
        if (forecaster_then(w->store, w->forecaster, issued->revision,
                            &w->served.definition, err))
            return -1;
        if (load_model(w, issued->model_id, &why)) {
            unload(w);
            return why.code == ERR_NOT_FOUND ? 1 : err_copy(err, &why);
        }
    }
    return w->served.calibration.number == issued->calibration
               ? 0
               : load_calibration(w, issued->calibration, err);
}

/* ---- the input ------------------------------------------------------------------------ */

/* Which series its window held.  A joint model reads all that there were, served or not;
 * of the others each has a window of its own. */
static int window_names(struct walk *w, const struct store_issued *issued, size_t count,
                        struct store_names *out, struct err *err)
{
    *out = (struct store_names){0};
    if (w->served.definition.spec.group == GROUP_EACH) {
        out->name = mem_new(count, sizeof *out->name);
        for (size_t i = 0; i < count; i++)
            out->name[out->count++] = mem_text(issued[i].series);
        return 0;
    }
    if (store_select(w->store, w->served.definition.select, MODEL_SERIES_MAX, out, err))
        return -1;
    struct store_series *const series = mem_new(out->count, sizeof *series);
    store_series_many(w->store, out->name, out->count, series);
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++)
        if (series[i].samples && series[i].first_ms <= issued->issued_ms)
            out->name[kept++] = out->name[i];
        else
            free(out->name[i]);
    out->count = kept;
    free(series);
    return 0;
}

/* ERR_NOT_FOUND: a series is gone. */
static int read_window(struct walk *w, const struct store_issued *issued, size_t count,
                       struct grid *out, struct err *err)
{
    const struct forecaster *const f = &w->served.definition;
    const struct zone *const zone = forecaster_zone(f);
    const size_t rows = model_tail_rows(w->served.model);
    struct store_names names;
    if (window_names(w, issued, count, &names, err))
        return -1;
    const struct store_grid_wish wish = {
        .names = names.name,
        .count = names.count,
        .start_ms = grid_step_from(zone, issued->first_ms, f->step_ms, -(int64_t)rows),
        .step_ms = f->step_ms,
        .zone = zone,
        .rows = rows,
        .how = f->aggregate,
        .as_of_ms = issued->issued_ms,
    };
    int rc = store_grid(w->store, &wish, out, err);
    store_names_fini(&names);
    if (rc == 0 && known_add(f, w->store, issued->issued_ms, NULL, 0, out, err)) {
        grid_fini(out);
        rc = -1;
    }
    return rc;
}

/* ---- laid beside each other ----------------------------------------------------------- */

static const struct forecast_series *find(const struct forecast *f, const char *series)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->series[i].served && !strcmp(f->series[i].name, series))
            return &f->series[i];
    return NULL;
}

static void note_first(struct replay *out, const struct store_issued *was, size_t place,
                       double is, int64_t target_ms)
{
    if (out->first.issue_id)
        return;
    out->first = (struct replay_difference){
        .issue_id = was->issue_id,
        .issued_ms = was->issued_ms,
        .target_ms = target_ms,
        .series = mem_text(was->series),
        .quantile = was->quantiles[place % was->quantile_count],
        .was = (double)was->values[place],
        .is = is,
    };
}

static void compare(struct replay *out, const struct store_issued *was,
                    const struct forecast *f)
{
    const struct forecast_series *const is = find(f, was->series);
    const size_t numbers = was->steps * was->quantile_count;
    double size = 0, worst = -1;
    size_t place = 0;
    if (!is || memcmp(is->input_hash, was->input_hash, STORE_HASH_SIZE) != 0) {
        out->changed++;
        return;
    }
    if (!memcmp(is->values, was->values, numbers * sizeof *was->values)) {
        out->same++;
        return;
    }
    for (size_t i = 0; i < numbers; i++) {
        const double apart = fabs((double)is->values[i] - (double)was->values[i]);
        size = fmax(size, fabs((double)was->values[i]));
        if (!(apart <= worst)) {
            worst = apart;
            place = i;
        }
    }
    if (worst <= REPLAY_NEAR * size) {
        out->near++;
        return;
    }
    out->differ++;
    note_first(out, was, place, (double)is->values[place],
               forecast_target_ms(f, place / was->quantile_count));
}

static int replay_issue(struct walk *w, const struct store_issued *issued, size_t count,
                        struct err *err)
{
    struct grid tail = {0};
    struct forecast forecast;
    struct err why = {0};
    struct forecast_wish wish = {.horizon = issued->steps,
                                 .quantile_count = issued->quantile_count};
    w->out->forecasts += count;
    const int gone = load(w, issued, err);
    if (gone) {
        w->out->gone += gone > 0 ? count : 0;
        return gone > 0 ? 0 : -1;
    }
    if (issued->quantile_count > MODEL_QUANTILES_MAX)
        return err_set(err, ERR_CORRUPT, "forecast: issue %lld has %zu quantiles",
                       (long long)issued->issue_id, issued->quantile_count);
    memcpy(wish.quantiles, issued->quantiles, issued->quantile_count * sizeof(double));
    /* Series that are gone, and covariates that were deleted, are an input that changed. */
    if (read_window(w, issued, count, &tail, &why) ||
        serving_forecast_grid(w->serving, &w->served, &wish, &tail, &forecast, &why)) {
        grid_fini(&tail);
        w->out->changed += count;
        return why.code == ERR_NOT_FOUND || why.code == ERR_CONFLICT
                   ? 0
                   : err_copy(err, &why);
    }
    for (size_t i = 0; i < count; i++)
        compare(w->out, &issued[i], &forecast);
    forecast_fini(&forecast);
    grid_fini(&tail);
    return 0;
}

int replay_read(struct serving *serving, const struct replay_wish *wish,
                struct replay *out, struct err *err)
{
    struct walk w = {.serving = serving,
                     .store = serving_store(serving),
                     .forecaster = wish->forecaster,
                     .out = out};
    struct store_issue_line *lines = NULL;
    size_t count = 0;
    *out = (struct replay){0};
    int rc = store_issues(w.store, wish->forecaster, INT64_MIN, wish->as_of_ms,
                          wish->limit, &lines, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct store_issued *issued = NULL;
        size_t series = 0;
        rc = store_issue_get(w.store, wish->forecaster, lines[i].issue_id, NULL, &issued,
                             &series, err);
        if (rc == 0 && series)
            rc = replay_issue(&w, issued, series, err);
        store_issued_fini(issued, series);
        out->issues++;
    }
    out->oldest_ms = count ? lines[0].issued_ms : 0;
    unload(&w);
    free(lines);
    if (rc)
        replay_fini(out);
    return rc;
}
