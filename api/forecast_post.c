/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * POST /v1/forecast: a forecast that is kept nowhere.
 *
 *     {"forecaster": "web", "covariates": {"load": {...}}}      what if the load were so
 *     {"forecaster": "web", "start": .., "series": {..}}        its model on these values
 *     {"step": "1h", "start": .., "series": {..}, "horizon": 24}    no model: candidates
 *                                           without training, chosen on these values
 *
 * series is {name: [value or null, ...]}, of one length, from `start` on.  Covariates are
 * statements (known.h) about what the request supposes.
 */
#include "api/handlers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/fields.h"
#include "api/forecast_out.h"
#include "api/known.h"
#include "api/query.h"
#include "api/rules.h"
#include "api/server.h"
#include "api/serving.h"
#include "base/mem.h"

/* What a request wants, read as far as it can be without a model. */
struct wanted {
    json_t *body;
    struct forecaster definition; /* of a request without a forecaster; else its wishes */
    struct grid grid;             /* rows 0: no series were sent */
    struct known_override overrides[FORECASTER_COVARIATES_MAX];
    struct forecast_wish wish;
};

static void wanted_fini(struct wanted *w)
{
    for (size_t i = 0; i < w->wish.override_count; i++)
        free(w->overrides[i].statement.spans);
    grid_fini(&w->grid);
    forecaster_fini(&w->definition);
    json_decref(w->body);
}

/* ---- the definition ---------------------------------------------------------------- */

/* The members that a definition has too, read as one: select is not looked at. */
static int read_definition(struct wanted *w, int64_t step_ms, struct err *err)
{
    static const char *const keys[] = {
        "step", "lookback", "horizon", "quantiles", "season",   "min",
        "max",  "integer",  "zone",    "calendar",  "holidays", "covariates_missing"};
    char step[TIME_TEXT_SIZE];
    json_auto_t *definition = json_pack("{s:s}", "select", "request");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        json_object_set(definition, keys[i], json_object_get(w->body, keys[i]));
    if (step_ms)
        json_object_set_new(definition, "step",
                            json_string(duration_format(step_ms, step)));
    const json_t *const covariates = json_object_get(w->body, "covariates");
    json_t *const names = json_array();
    for (void *at = json_object_iter((json_t *)(uintptr_t)covariates); at && !step_ms;
         at = json_object_iter_next((json_t *)(uintptr_t)covariates, at))
        json_array_append_new(names, json_string(json_object_iter_key(at)));
    json_object_set_new(definition, "covariates", names);
    char *const text = json_dumps(definition, JSON_COMPACT);
    const int rc =
        forecaster_parse("request", text, strlen(text), &w->definition, NULL, err);
    free(text);
    return rc;
}

static int read_overrides(struct wanted *w, const struct forecaster *f, struct err *err)
{
    json_t *const all = json_object_get(w->body, "covariates");
    char shown[FIELD_SHOWN_MAX];
    const char *name;
    json_t *value;
    if (all && !json_is_object(all))
        return err_set(err, ERR_INVALID, "covariates: must be an object, got %s",
                       field_shown(all, shown));
    json_object_foreach(all, name, value)
    {
        char place[120];
        size_t i = 0;
        snprintf(place, sizeof place, "covariates.%.60s", name);
        while (i < f->covariate_count && strcmp(f->covariates[i], name))
            i++;
        if (i == f->covariate_count)
            return err_set(err, ERR_INVALID,
                           "%s: must be one of the forecaster's covariates", place);
        struct known_override *const o = &w->overrides[w->wish.override_count];
        o->name = f->covariates[i];
        if (known_statement_read(value, place, 0, &o->statement, err))
            return -1;
        w->wish.override_count++;
    }
    w->wish.overrides = w->overrides;
    return 0;
}

/* ---- the series -------------------------------------------------------------------- */

static int read_column(struct grid *grid, size_t col, const char *name,
                       const json_t *values, struct err *err)
{
    char canonical[LABELS_TEXT_MAX], shown[FIELD_SHOWN_MAX];
    if (rule_series(name, canonical, err))
        return rule_field("series", err);
    for (size_t c = 0; c < col; c++)
        if (!strcmp(grid->names[c], canonical))
            return err_set(err, ERR_INVALID, "series: must not hold %.120s twice",
                           canonical);
    if (!json_is_array(values) || json_array_size(values) != grid->rows)
        return err_set(err, ERR_INVALID,
                       "series.%.80s: must be a list of as many values as the others, "
                       "%zu, got %s",
                       name, grid->rows, field_shown(values, shown));
    grid_name(grid, col, canonical);
    for (size_t i = 0; i < grid->rows; i++) {
        const json_t *const value = json_array_get(values, i);
        if (json_is_number(value))
            grid->values[i * grid->cols + col] = json_number_value(value);
        else if (!json_is_null(value))
            return err_set(err, ERR_INVALID,
                           "series.%.80s[%zu]: must be a number or null, got %s", name, i,
                           field_shown(value, shown));
    }
    return 0;
}

static int read_start(const json_t *body, const struct zone *zone, int64_t *start_ms,
                      struct err *err)
{
    const json_t *const start = json_object_get(body, "start");
    const char *const text = json_string_value(start);
    struct err why = {0};
    char shown[FIELD_SHOWN_MAX];
    if (!start)
        return err_set(err, ERR_INVALID,
                       "start: is missing: the time of the first value");
    if (text && !time_parse(text, strlen(text), zone, start_ms, &why))
        return 0;
    *start_ms = json_integer_value(start);
    if (json_is_integer(start) && *start_ms >= TIME_MIN_MS && *start_ms <= TIME_MAX_MS)
        return 0;
    return err_set(err, ERR_INVALID,
                   "start: must be RFC 3339 or integer milliseconds, got %s",
                   field_shown(start, shown));
}

static int read_series(struct wanted *w, const struct forecaster *f, struct err *err)
{
    json_t *const all = json_object_get(w->body, "series");
    char shown[FIELD_SHOWN_MAX];
    const size_t cols = json_object_size(all);
    const char *name;
    json_t *values;
    int64_t start_ms;
    size_t col = 0;
    if (!json_is_object(all) || cols == 0 || cols > MODEL_SERIES_MAX)
        return err_set(err, ERR_INVALID,
                       "series: must be an object of 1..%d lists of values, got %s",
                       MODEL_SERIES_MAX, all ? field_shown(all, shown) : "nothing");
    const size_t rows = json_array_size(json_object_iter_value(json_object_iter(all)));
    if (rows == 0)
        return err_set(err, ERR_INVALID, "series: must be lists of values, got none");
    if (read_start(w->body, f->zone, &start_ms, err) ||
        grid_init(&w->grid, start_ms, f->step_ms, rows, cols, err))
        return -1;
    w->grid.zone = forecaster_zone(f);
    json_object_foreach(all, name, values)
    {
        if (read_column(&w->grid, col++, name, values, err))
            return -1;
    }
    return 0;
}

/* ---- answering --------------------------------------------------------------------- */

/* A forecaster's model, on its own series or on those sent. */
static int from_forecaster(struct request *req, struct wanted *w, const char *name,
                           struct forecast *out, struct err *err)
{
    static const char *const keys[] = {"forecaster", "start",     "series", "covariates",
                                       "horizon",    "quantiles", NULL};
    struct serving *const serving = req->api->config.serving;
    if (fields_known(w->body, "", keys, err))
        return -1;
    if (json_object_get(w->body, "start") && !json_object_get(w->body, "series"))
        return err_set(err, ERR_INVALID, "start: goes with series, which are not there");
    struct served *const served = serving_get(serving, name, err);
    if (!served)
        return -1;
    const struct forecaster *const f = &served->definition;
    const bool sent = json_object_get(w->body, "series");
    int rc = read_definition(w, f->step_ms, err);
    if (rc == 0 && json_object_get(w->body, "horizon"))
        w->wish.horizon = w->definition.spec.horizon;
    if (rc == 0 && json_object_get(w->body, "quantiles")) {
        w->wish.quantile_count = w->definition.quantile_count;
        memcpy(w->wish.quantiles, w->definition.quantiles, sizeof w->wish.quantiles);
    }
    if (rc == 0)
        rc = read_overrides(w, f, err);
    if (rc == 0 && !sent)
        rc = serving_forecast(serving, served, &w->wish, out, err);
    else if (rc == 0 && (rc = read_series(w, f, err)) == 0 &&
             (rc = known_add(f, serving_store(serving), serving_now_ms(serving),
                             w->overrides, w->wish.override_count, &w->grid, err)) == 0)
        rc = serving_forecast_grid(serving, served, &w->wish, &w->grid, out, err);
    serving_put(serving, served);
    return rc;
}

/* Candidates without training, judged and calibrated on the values that were sent. */
static int from_values(struct request *req, struct wanted *w, struct forecast *out,
                       struct err *err)
{
    static const char *const keys[] = {
        "start",   "series", "covariates", "step",     "lookback",
        "horizon", "season", "quantiles",  "min",      "max",
        "integer", "zone",   "calendar",   "holidays", "covariates_missing",
        NULL};
    struct forecaster *const f = &w->definition;
    if (fields_known(w->body, "", keys, err) || read_definition(w, 0, err) ||
        read_overrides(w, f, err) || read_series(w, f, err))
        return -1;
    const size_t least = model_rows_for_candidates(&f->spec);
    if (w->grid.rows < least)
        return err_set(err, ERR_INVALID,
                       "series: must hold at least %zu values for a horizon of %zu, got "
                       "%zu",
                       least, f->spec.horizon, w->grid.rows);
    if (known_add(f, NULL, 0, w->overrides, w->wish.override_count, &w->grid, err))
        return -1;
    f->spec.untrained = true;
    if (f->spec.lookback > w->grid.rows && !json_object_get(w->body, "lookback"))
        f->spec.lookback = w->grid.rows; /* what was not sent is not missing */
    struct served served = {.model = model_train(&w->grid, &f->spec, NULL, err)};
    if (!served.model)
        return -1;
    served.definition = *f;
    *f = (struct forecaster){0};
    served.definition.name[0] = '\0';
    const int rc = serving_forecast_grid(req->api->config.serving, &served, &w->wish,
                                         &w->grid, out, err);
    served_fini(&served);
    return rc;
}

int forecast_post(struct request *req, struct reply *reply, struct err *err)
{
    struct wish {
        int format;
    } wish = {FORECAST_JSON};
    static const struct query_rule rules[] = {
        QUERY("format", QUERY_WORD, struct wish, format, .words = forecast_formats),
    };
    struct forecast *const forecast = mem_new(1, sizeof *forecast);
    struct wanted *const w = mem_new(1, sizeof *w);
    const char *name = NULL;
    int rc = QUERY_READ(req, rules, &wish, err);
    if (rc == 0 &&
        !(w->body = fields_parse(req->body ? req->body : "", req->body_len, err)))
        rc = -1;
    if (rc == 0)
        rc = field_text(w->body, "", "forecaster", false, &name, err);
    if (rc == 0)
        rc = name ? from_forecaster(req, w, name, forecast, err)
                  : from_values(req, w, forecast, err);
    if (rc == 0) {
        forecast_reply(forecast, (enum forecast_format)wish.format, reply);
        forecast_fini(forecast);
    }
    wanted_fini(w);
    free(w);
    free(forecast);
    return rc ? -1 : HANDLED;
}
