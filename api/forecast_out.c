/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json: one object; values of a series by quantile, in the order of `times`.
 * rows: a flat list at the root, {"time","series","candidate","q0.1",...}, which
 *       Grafana's Infinity data source reads as it is.
 * csv:  the same as rows.
 *
 * Where what happened was asked for, it stands under "observed".
 */
#include "api/forecast_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const forecast_formats[] = {"json", "rows", "csv", NULL};

enum { QUANTILE_TEXT = 32 };

/* The name of a quantile's column: the shortest text that reads back the same. */
static const char *quantile_text(double quantile, char out[static QUANTILE_TEXT])
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, QUANTILE_TEXT, "%.*g", digits, quantile);
        if (strtod(out, NULL) == quantile)
            break;
    }
    return out;
}

static float value_at(const struct forecast *f, const struct forecast_series *series,
                      size_t step, size_t q)
{
    return series->values[step * f->quantile_count + q];
}

static json_t *word_json(const char *word)
{
    return *word ? json_string(word) : json_null();
}

/* ---- json ------------------------------------------------------------------------ */

/* Who serves which steps, counted from 1; a bucket without a step is left out. */
static json_t *candidates_json(const struct forecast *f,
                               const struct forecast_series *series)
{
    json_t *const list = json_array();
    size_t from = 0;
    for (int b = 0; b < MODEL_BUCKETS && from < f->steps; b++) {
        size_t to = horizon_end(f->horizon, b);
        to = to < f->steps ? to : f->steps;
        if (to <= from)
            continue;
        json_array_append_new(list,
                              json_pack("{s:I, s:I, s:o, s:o}", "from_step",
                                        (json_int_t)from + 1, "to_step", (json_int_t)to,
                                        "candidate", word_json(series->candidate[b]),
                                        "skill", json_number(series->skill[b])));
        from = to;
    }
    return list;
}

static json_t *values_json(const struct forecast *f, const struct forecast_series *series)
{
    json_t *const all = json_object();
    char name[QUANTILE_TEXT];
    for (size_t q = 0; q < f->quantile_count; q++) {
        json_t *const list = json_array();
        for (size_t step = 0; step < f->steps; step++)
            json_array_append_new(list,
                                  json_number((double)value_at(f, series, step, q)));
        json_object_set_new(all, quantile_text(f->quantiles[q], name), list);
    }
    return all;
}

/* The covariates a series rests on, or all that are supposed where that is NULL. */
static json_t *names_json(const struct forecast *f, const struct forecast_series *series)
{
    json_t *const list = json_array();
    for (size_t i = 0; i < f->covariate_count; i++)
        if (series ? series->covariates >> i & 1 : f->covariates[i].supposed)
            json_array_append_new(list, json_string(f->covariates[i].name));
    return list;
}

static json_t *series_json(const struct forecast *f, const struct forecast_series *series)
{
    if (!series->served)
        return json_pack("{s:s, s:b, s:o, s:o}", "series", series->name, "served", 0,
                         "why", json_text(series->why), "missing",
                         json_number(series->missing));
    json_t *const json = json_pack(
        "{s:s, s:b, s:o, s:o, s:o, s:o}", "series", series->name, "served", 1,
        "candidates", candidates_json(f, series), "covariates", names_json(f, series),
        "missing", json_number(series->missing), "values", values_json(f, series));
    if (series->observed) {
        json_t *const list = json_array();
        for (size_t step = 0; step < f->steps; step++)
            json_array_append_new(list, json_number(series->observed[step]));
        json_object_set_new(json, "observed", list);
    }
    return json;
}

static json_t *model_json(const struct forecast *f)
{
    if (!f->model_id)
        return json_null();
    return json_pack("{s:I, s:o}", "id", (json_int_t)f->model_id, "hash",
                     f->hash_known ? json_hex(f->model_hash, STORE_HASH_SIZE)
                                   : json_null());
}

static json_t *forecast_json(const struct forecast *f)
{
    char step[TIME_TEXT_SIZE];
    json_t *const times = json_array();
    json_t *const quantiles = json_array();
    json_t *const list = json_array();
    for (size_t i = 0; i < f->steps; i++)
        json_array_append_new(times, json_time(forecast_target_ms(f, i)));
    for (size_t q = 0; q < f->quantile_count; q++)
        json_array_append_new(quantiles, json_real(f->quantiles[q]));
    for (size_t i = 0; i < f->count; i++)
        json_array_append_new(list, series_json(f, &f->series[i]));
    return json_pack(
        "{s:o, s:I, s:o, s:o, s:o, s:I, s:o, s:o, s:s, s:I, s:o, s:o, s:o}", "forecaster",
        word_json(f->forecaster), "revision", (json_int_t)f->revision, "issue",
        f->issue_id ? json_integer(f->issue_id) : json_null(), "issued",
        json_time(f->issued_ms), "model", model_json(f), "calibration",
        (json_int_t)f->calibration, "supposed", names_json(f, NULL), "watermark",
        json_time(f->watermark_ms), "step", duration_format(f->step_ms, step), "horizon",
        (json_int_t)f->steps, "quantiles", quantiles, "times", times, "forecasts", list);
}

/* ---- rows and csv ---------------------------------------------------------------- */

static json_t *rows_json(const struct forecast *f)
{
    json_t *const rows = json_array();
    char name[QUANTILE_TEXT + 1] = "q";
    for (size_t i = 0; i < f->count; i++) {
        const struct forecast_series *const series = &f->series[i];
        for (size_t step = 0; series->served && step < f->steps; step++) {
            json_t *const row = json_pack(
                "{s:o, s:s, s:o}", "time", json_time(forecast_target_ms(f, step)),
                "series", series->name, "candidate",
                word_json(series->candidate[horizon_bucket(step, f->horizon)]));
            for (size_t q = 0; q < f->quantile_count; q++) {
                quantile_text(f->quantiles[q], name + 1);
                json_object_set_new(row, name,
                                    json_number((double)value_at(f, series, step, q)));
            }
            if (series->observed)
                json_object_set_new(row, "observed", json_number(series->observed[step]));
            json_array_append_new(rows, row);
        }
    }
    return rows;
}

static void csv_row(struct page *page, const struct forecast *f,
                    const struct forecast_series *series, size_t step)
{
    char time[TIME_TEXT_SIZE];
    page_add(page, "%s,", time_format(forecast_target_ms(f, step), time));
    page_add_field(page, series->name);
    page_add(page, ",%s", series->candidate[horizon_bucket(step, f->horizon)]);
    for (size_t q = 0; q < f->quantile_count; q++) {
        const double value = (double)value_at(f, series, step, q);
        if (isfinite(value))
            page_add(page, ",%.9g", value);
        else
            page_add(page, ",");
    }
    if (series->observed) {
        page_add(page, ",");
        page_add_number(page, series->observed[step]);
    }
    page_add(page, "\n");
}

static void csv_reply(const struct forecast *f, struct reply *reply)
{
    struct page page = {0};
    char name[QUANTILE_TEXT];
    page_add(&page, "time,series,candidate");
    for (size_t q = 0; q < f->quantile_count; q++)
        page_add(&page, ",q%s", quantile_text(f->quantiles[q], name));
    page_add(&page, f->count && f->series[0].observed ? ",observed\n" : "\n");
    for (size_t i = 0; i < f->count; i++)
        for (size_t step = 0; f->series[i].served && step < f->steps; step++)
            csv_row(&page, f, &f->series[i], step);
    reply_text(reply, 200, "text/csv; charset=utf-8", page.bytes, page.len);
}

void forecast_reply(const struct forecast *f, enum forecast_format format,
                    struct reply *reply)
{
    if (format == FORECAST_CSV)
        csv_reply(f, reply);
    else
        reply_json(reply, 200, format == FORECAST_ROWS ? rows_json(f) : forecast_json(f),
                   DIGITS_FLOAT);
}
