/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /v1/forecasters/{name}/forecast and POST /v1/forecasters/{name}/issue.
 *
 * Without as_of the forecast is computed now and kept nowhere.  With as_of it is what
 * the ledger holds: the newest issue at or before that instant, as it was issued.
 */
#include "api/handlers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/forecast_out.h"
#include "api/query.h"
#include "api/rules.h"
#include "api/server.h"
#include "base/log.h"
#include "base/mem.h"

struct wish {
    const char *series, *quantiles;
    int64_t horizon, as_of_ms;
    int format;
    bool observed;
    struct forecast_wish forecast;
    char name[LABELS_TEXT_MAX];
};

/* ---- the wish -------------------------------------------------------------------- */

static int bad_quantiles(const char *text, struct err *err)
{
    return err_set(err, ERR_INVALID,
                   "quantiles: must be 1..%d ascending numbers above 0 and below 1, with "
                   "commas between, got %.100s",
                   MODEL_QUANTILES_MAX, text);
}

static int read_quantiles(const char *text, struct forecast_wish *out, struct err *err)
{
    const char *at = text;
    for (;;) {
        char *end = NULL;
        const double quantile = strtod(at, &end);
        const size_t n = out->quantile_count;
        if (end == at || n == MODEL_QUANTILES_MAX || !(quantile > 0 && quantile < 1) ||
            (n && quantile <= out->quantiles[n - 1]) || (*end && *end != ','))
            return bad_quantiles(text, err);
        out->quantiles[out->quantile_count++] = quantile;
        if (!*end)
            return 0;
        at = end + 1;
    }
}

static int read_wish(const struct request *req, struct wish *wish, struct err *err)
{
    static const struct query_rule rules[] = {
        QUERY("horizon", QUERY_COUNT, struct wish, horizon, .most = MODEL_HORIZON_MAX),
        QUERY("quantiles", QUERY_TEXT, struct wish, quantiles),
        QUERY("series", QUERY_TEXT, struct wish, series),
        QUERY("as_of", QUERY_TIME, struct wish, as_of_ms),
        QUERY("format", QUERY_WORD, struct wish, format, .words = forecast_formats),
        QUERY("observed", QUERY_FLAG, struct wish, observed),
    };
    *wish = (struct wish){.as_of_ms = AS_OF_NOW};
    if (QUERY_READ(req, rules, wish, err) ||
        (wish->quantiles && read_quantiles(wish->quantiles, &wish->forecast, err)))
        return -1;
    if (wish->observed && wish->as_of_ms == AS_OF_NOW)
        return err_set(
            err, ERR_INVALID,
            "observed: must come with as_of, a time of the past; of what comes "
            "next nothing has been observed");
    wish->forecast.horizon = (size_t)wish->horizon;
    if (!wish->series)
        return 0;
    if (rule_series(wish->series, wish->name, err))
        return rule_field("series", err);
    wish->forecast.series = wish->name;
    return 0;
}

/* ---- from the ledger ------------------------------------------------------------- */

/* Which of the issued quantiles each wished one is. */
static int find_quantiles(const struct store_issued *issued,
                          const struct forecast_wish *wish, struct forecast *out,
                          size_t place[static MODEL_QUANTILES_MAX], struct err *err)
{
    const bool all = wish->quantile_count == 0;
    const double *const wanted = all ? issued->quantiles : wish->quantiles;
    out->quantile_count = all ? issued->quantile_count : wish->quantile_count;
    for (size_t q = 0; q < out->quantile_count; q++) {
        size_t i = 0;
        while (i < issued->quantile_count &&
               fabs(issued->quantiles[i] - wanted[q]) > 1e-9)
            i++;
        if (i == issued->quantile_count)
            return err_set(err, ERR_INVALID,
                           "quantiles: must be among those that were issued, got %g",
                           wanted[q]);
        place[q] = i;
        out->quantiles[q] = wanted[q];
    }
    return 0;
}

static void take_issued(const struct store_issued *issued, const struct forecast *f,
                        const size_t place[static MODEL_QUANTILES_MAX],
                        struct forecast_series *out)
{
    *out = (struct forecast_series){.name = mem_text(issued->series),
                                    .served = true,
                                    .missing = NAN,
                                    .skill = {NAN, NAN, NAN, NAN}};
    memcpy(out->input_hash, issued->input_hash, sizeof out->input_hash);
    out->values = mem_new(f->steps * f->quantile_count, sizeof *out->values);
    for (size_t step = 0; step < f->steps; step++)
        for (size_t q = 0; q < f->quantile_count; q++)
            out->values[step * f->quantile_count + q] =
                issued->values[step * issued->quantile_count + place[q]];
}

static void take_champions(const struct model *model, struct forecast_series *series)
{
    const struct model_report *const report = model_report(model);
    size_t m = 0;
    while (m < report->series_count && strcmp(series->name, model_series_name(model, m)))
        m++;
    if (m == report->series_count)
        return;
    const struct model_champion *const champion = &report->champions[m * MODEL_BUCKETS];
    for (size_t b = 0; b < MODEL_BUCKETS; b++) {
        memcpy(series->candidate[b], champion[b].candidate, sizeof series->candidate[b]);
        series->skill[b] = champion[b].skill;
    }
}

/* Who served and how it was judged, while the model of the issue is still the newest. */
static void add_champions(struct serving *serving, struct forecast *f)
{
    struct err gone = {0};
    struct served *const served = serving_get(serving, f->forecaster, &gone);
    if (served && served->model_id == f->model_id) {
        f->hash_known = true;
        memcpy(f->model_hash, served->hash, sizeof f->model_hash);
        f->horizon = served->definition.spec.horizon;
        for (size_t i = 0; i < f->count; i++)
            take_champions(served->model, &f->series[i]);
    }
    serving_put(serving, served);
}

static int from_issued(const struct store_issued *issued, size_t count,
                       const struct forecast_wish *wish, struct forecast *out,
                       struct err *err)
{
    size_t place[MODEL_QUANTILES_MAX];
    out->issue_id = issued->issue_id;
    out->revision = issued->revision;
    out->model_id = issued->model_id;
    out->calibration = issued->calibration;
    out->issued_ms = issued->issued_ms;
    out->first_ms = issued->first_ms;
    out->step_ms = issued->step_ms;
    out->horizon = issued->steps;
    out->steps = wish->horizon ? wish->horizon : issued->steps;
    if (out->steps > issued->steps)
        return err_set(err, ERR_INVALID, "horizon: must be 1..%zu as issued, got %zu",
                       issued->steps, out->steps);
    if (find_quantiles(issued, wish, out, place, err))
        return -1;
    out->series = mem_new(count, sizeof *out->series);
    for (size_t i = 0; i < count; i++)
        if (!wish->series || !strcmp(wish->series, issued[i].series))
            take_issued(&issued[i], out, place, &out->series[out->count++]);
    return out->count
               ? 0
               : err_set(err, ERR_NOT_FOUND,
                         "series: must be one that was issued, got %.200s", wish->series);
}

/* What happened at the targets, as far as their steps have ended. */
static int observe(struct store *store, int64_t now_ms,
                   const struct forecaster *definition, struct forecast *f,
                   struct err *err)
{
    size_t rows = 0;
    while (rows < f->steps && forecast_target_ms(f, rows + 1) <= now_ms)
        rows++;
    for (size_t i = 0; i < f->count; i++) {
        struct forecast_series *const series = &f->series[i];
        struct err gone = {0};
        struct grid grid = {0};
        const struct store_grid_wish wish = {.names = &series->name,
                                             .count = 1,
                                             .start_ms = f->first_ms,
                                             .step_ms = f->step_ms,
                                             .rows = rows,
                                             .how = definition->aggregate,
                                             .as_of_ms = now_ms,
                                             .zone = forecaster_zone(definition)};
        series->observed = mem_new(f->steps, sizeof *series->observed);
        for (size_t j = 0; j < f->steps; j++)
            series->observed[j] = (double)NAN;
        if (rows && store_grid(store, &wish, &grid, &gone) == 0)
            memcpy(series->observed, grid.values, rows * sizeof *series->observed);
        grid_fini(&grid);
        if (gone.code && gone.code != ERR_NOT_FOUND)
            return err_copy(err, &gone);
    }
    return 0;
}

/* Steps of days follow the calendar of the definition they were issued under. */
static int add_definition(struct request *req, const struct wish *wish,
                          struct forecast *f, struct err *err)
{
    enum { DAY_MS = 86400000 };
    struct store *const store = req->api->config.store;
    struct forecaster definition;
    if (f->step_ms % DAY_MS && !wish->observed)
        return 0;
    if (forecaster_then(store, f->forecaster, f->revision, &definition, err))
        return -1;
    int rc = forecast_zone(f, &definition, err);
    if (rc == 0 && wish->observed)
        rc =
            observe(store, serving_now_ms(req->api->config.serving), &definition, f, err);
    forecaster_fini(&definition);
    return rc;
}

static int from_ledger(struct request *req, const struct wish *wish, struct forecast *out,
                       struct err *err)
{
    struct store_issued *issued = NULL;
    size_t count = 0;
    *out = (struct forecast){0};
    if (store_issue_newest(req->api->config.store, req->name, wish->as_of_ms, &issued,
                           &count, err))
        return -1;
    snprintf(out->forecaster, sizeof out->forecaster, "%s", req->name);
    int rc = from_issued(issued, count, &wish->forecast, out, err);
    store_issued_fini(issued, count);
    if (rc == 0)
        rc = add_definition(req, wish, out, err);
    if (rc)
        forecast_fini(out);
    else
        add_champions(req->api->config.serving, out);
    return rc;
}

/* ---- answers --------------------------------------------------------------------- */

/* Computes, and appends to the ledger where wanted. */
static int compute(struct request *req, const struct forecast_wish *wish, bool issue,
                   struct forecast *out, struct err *err)
{
    struct serving *const serving = req->api->config.serving;
    struct served *const served = serving_get(serving, req->name, err);
    if (!served)
        return -1;
    int rc = serving_forecast(serving, served, wish, out, err);
    serving_put(serving, served);
    if (rc == 0 && issue && (rc = serving_append(serving, out, 0, NULL, err)))
        forecast_fini(out);
    return rc;
}

int forecast_get(struct request *req, struct reply *reply, struct err *err)
{
    struct forecast forecast;
    struct wish *const wish = mem_new(1, sizeof *wish);
    int rc = read_wish(req, wish, err);
    if (rc == 0)
        rc = wish->as_of_ms == AS_OF_NOW
                 ? compute(req, &wish->forecast, false, &forecast, err)
                 : from_ledger(req, wish, &forecast, err);
    if (rc == 0) {
        forecast_reply(&forecast, (enum forecast_format)wish->format, reply);
        forecast_fini(&forecast);
    }
    free(wish);
    return rc;
}

int issue_post(struct request *req, struct reply *reply, struct err *err)
{
    const struct forecast_wish everything = {0};
    struct forecast forecast;
    struct err why = {0};
    if (query_none(req, err))
        return -1;
    if (serving_calibrate(req->api->config.serving, req->name, &why))
        log_warn("bands stay as they are forecaster=%s: %s", req->name, why.msg);
    if (compute(req, &everything, true, &forecast, err))
        return -1;
    forecast_reply(&forecast, FORECAST_JSON, reply);
    forecast_fini(&forecast);
    return HANDLED;
}
