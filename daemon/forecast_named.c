/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/forecast_named.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/grid.h"
#include "base/mem.h"
#include "base/time.h"
#include "daemon/outlook.h"
#include "model/model.h"

static int time_of(const json_t *json, int64_t *time_ms, struct err *err)
{
    const char *const text = json_string_value(json);
    if (!text)
        return err_set(err, ERR_IO, "the daemon's answer lacks a time");
    return time_parse(text, strlen(text), NULL, time_ms, err);
}

/* ---- the past, for the plot -------------------------------------------------------- */

/* The samples of a series in [from, to). */
static json_t *samples_get(struct client *client, const char *series, int64_t from_ms,
                           int64_t to_ms, struct err *err)
{
    char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
    time_format(from_ms, from);
    time_format(to_ms, to);
    char *const escaped = client_escape(client, series);
    char *const path =
        mem_printf("/v1/samples?series=%s&from=%s&to=%s&limit=100000", escaped, from, to);
    json_t *const answer = client_get(client, path, err);
    free(path);
    client_text_free(escaped);
    return answer;
}

/* Fills o->past with the steps before the forecast. */
static int past_read(struct client *client, struct outlook *o, enum aggregate aggregate,
                     struct err *err)
{
    const int64_t from_ms =
        grid_step_from(o->zone, o->first_ms, o->step_ms, -(int64_t)o->past_count);
    json_t *const answer = samples_get(client, o->series, from_ms, o->first_ms, err);
    const json_t *const list = json_object_get(answer, "samples");
    struct sample *const samples = mem_new(json_array_size(list), sizeof *samples);
    struct grid grid = {0};
    int result = answer ? 0 : -1;
    size_t i;
    const json_t *row;
    json_array_foreach(list, i, row)
    {
        samples[i].value = client_number(row, "value");
        if (time_of(json_object_get(row, "time"), &samples[i].time_ms, err))
            result = -1;
    }
    if (result == 0)
        result = grid_init(&grid, from_ms, o->step_ms, o->past_count, 1, err);
    if (result == 0) {
        grid.zone = o->zone;
        grid_fill(&grid, 0, samples, json_array_size(list), aggregate);
        memcpy(o->past, grid.values, o->past_count * sizeof *o->past);
    }
    grid_fini(&grid);
    free(samples);
    json_decref(answer);
    return result;
}

/* ---- the forecast ------------------------------------------------------------------ */

static double *values_read(const json_t *values, const char *quantile, size_t steps)
{
    const json_t *const list = json_object_get(values, quantile);
    double *const out = mem_new(steps, sizeof *out);
    for (size_t i = 0; i < steps; i++) {
        const json_t *const value = json_array_get(list, i);
        out[i] = json_is_number(value) ? json_number_value(value) : (double)NAN;
    }
    return out;
}

/* Who serves which part, and how good that was judged to be. */
static void judgement_read(const json_t *candidates, struct outlook *o)
{
    const char *names[MODEL_BUCKETS];
    double skills[MODEL_BUCKETS];
    size_t count = 0, i;
    const json_t *part;
    json_array_foreach(candidates, i, part)
    {
        if (count == MODEL_BUCKETS)
            break;
        names[count] = client_text(part, "candidate");
        skills[count++] = client_number(part, "skill");
    }
    o->served_by = outlook_served_by(count, names);
    o->skill = outlook_skill(count, skills);
}

static struct outlook outlook_read(const json_t *forecast, const json_t *one)
{
    const size_t steps = json_array_size(json_object_get(forecast, "times"));
    const json_t *const values = json_object_get(one, "values");
    struct outlook o = {
        .series = mem_text(client_text(one, "series")),
        .steps = steps,
        .low = values_read(values, "0.1", steps),
        .mid = values_read(values, "0.5", steps),
        .high = values_read(values, "0.9", steps),
        .past_count = outlook_past_steps(steps),
    };
    o.past = mem_new(o.past_count, sizeof *o.past);
    if (!json_is_true(json_object_get(one, "served")))
        o.why = mem_text(client_text(one, "why"));
    judgement_read(json_object_get(one, "candidates"), &o);
    return o;
}

/* What of a definition says how to read the past and the clock. */
struct reading {
    enum aggregate aggregate; /* what one value of a step stands for */
    struct zone *zone;        /* NULL: UTC; owned */
};

static int print_one(struct client *client, const json_t *forecast, const json_t *one,
                     const struct reading *reading, struct err *err)
{
    struct outlook o = outlook_read(forecast, one);
    o.zone = reading->zone;
    const json_t *const times = json_object_get(forecast, "times");
    int result = duration_parse(client_text(forecast, "step"), &o.step_ms, err);
    if (result == 0)
        result = time_of(json_array_get(times, 0), &o.first_ms, err);
    if (result == 0 && !o.why)
        result = past_read(client, &o, reading->aggregate, err);
    if (result == 0) {
        outlook_print(&o, stdout);
        putchar('\n');
    }
    outlook_fini(&o);
    return result;
}

/* Means and UTC where the definition is gone. */
static struct reading reading_of(struct client *client, const char *path)
{
    json_t *const definition = client_get(client, path, NULL);
    const int found = aggregate_parse(client_text(definition, "aggregate"));
    const char *const zone = client_text(definition, "zone");
    const struct reading reading = {
        .aggregate = found < 0 ? AGGREGATE_MEAN : (enum aggregate)found,
        .zone = zone[0] && strcmp(zone, "UTC") != 0 ? zone_load(zone, NULL) : NULL};
    json_decref(definition);
    return reading;
}

static int print_all(struct client *client, const char *path, const json_t *forecast,
                     struct err *err)
{
    struct reading reading = reading_of(client, path);
    int result = 0;
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(forecast, "forecasts"), i, one)
    {
        if (result == 0)
            result = print_one(client, forecast, one, &reading, err);
    }
    zone_free(reading.zone);
    return result;
}

static json_t *forecast_get(struct client *client, const char *path,
                            const struct forecast_wish *wish, struct err *err)
{
    char *const series = wish->series ? client_escape(client, wish->series) : NULL;
    char *const query =
        mem_printf("%s/forecast?quantiles=0.1,0.5,0.9%s%s%s%s", path,
                   wish->horizon ? "&horizon=" : "", wish->horizon ? wish->horizon : "",
                   series ? "&series=" : "", series ? series : "");
    json_t *const forecast = client_get(client, query, err);
    free(query);
    client_text_free(series);
    return forecast;
}

int forecast_named(struct client *client, const struct forecast_wish *wish,
                   struct err *err)
{
    char *const name = client_escape(client, wish->name);
    char *const path = mem_printf("/v1/forecasters/%s", name);
    client_text_free(name);
    json_t *const forecast = forecast_get(client, path, wish, err);
    int result = forecast ? 0 : -1;
    if (forecast && wish->json)
        client_print(forecast, 9);
    else if (forecast)
        result = print_all(client, path, forecast, err);
    json_decref(forecast);
    free(path);
    return result;
}
