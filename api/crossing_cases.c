/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/crossing_cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/matured.h"
#include "api/reading.h"
#include "base/mem.h"

enum {
    FLOATS_MAX = 16 << 20,    /* of all medians and actuals */
    HISTORY_FORECASTS = 8192, /* of one series each: bounds the time */
    CASES_OF_HISTORY = 64,
};
static const int64_t day_ms = INT64_C(86400) * 1000;

void cases_fini(struct cases *cases)
{
    free(cases->origin);
    free(cases->last);
    free(cases->median);
    free(cases->actual);
    *cases = (struct cases){0};
}

static void fill_nan(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = NAN;
}

static int cases_init(struct cases *c, size_t series, size_t steps, size_t count,
                      struct err *err)
{
    *c = (struct cases){.series = series, .steps = steps};
    c->origin = mem_try(count, sizeof *c->origin);
    c->last = mem_try(count * series, sizeof *c->last);
    c->median = mem_try(count * series * steps, sizeof *c->median);
    c->actual = mem_try(count * series * steps, sizeof *c->actual);
    if (!c->origin || !c->last || !c->median || !c->actual)
        return err_set(err, ERR_NO_MEMORY, "crossings: no memory for %zu series", series);
    fill_nan(c->last, count * series);
    fill_nan(c->median, count * series * steps);
    fill_nan(c->actual, count * series * steps);
    return 0;
}

/* What happened from row origin of a column on, and just before it. */
static void take_actual(struct cases *c, size_t series, const struct grid *grid,
                        size_t col, size_t origin)
{
    const double *const values = grid->values + col;
    float *const actual = c->actual + (c->count * c->series + series) * c->steps;
    c->last[c->count * c->series + series] =
        origin ? (float)values[(origin - 1) * grid->cols] : NAN;
    for (size_t j = 0; j < c->steps && origin + j < grid->rows; j++)
        actual[j] = (float)values[(origin + j) * grid->cols];
}

/* ---- what was issued -------------------------------------------------------------------- */

struct gathering {
    struct cases *cases;
    char *const *names;
};

static int compare_names(const void *name, const void *at)
{
    return strcmp(name, *(char *const *)at);
}

static int gather(void *ctx, const struct matured_issue *issue, struct err *err)
{
    (void)err;
    const struct gathering *const g = ctx;
    struct cases *const c = g->cases;
    const struct grid *const grid = issue->grid;
    if (issue->count == 0 || issue->come != c->steps ||
        issue->issued[0].steps != c->steps)
        return 0;
    for (size_t i = 0; i < issue->count; i++) {
        const struct store_issued *const one = &issue->issued[i];
        char *const *const found =
            bsearch(one->series, g->names, c->series, sizeof *g->names, compare_names);
        if (!found || issue->column[i] == SIZE_MAX)
            continue;
        const size_t s = (size_t)(found - g->names), middle = issued_median(one);
        for (size_t j = 0; j < c->steps; j++)
            c->median[(c->count * c->series + s) * c->steps + j] =
                one->values[j * one->quantile_count + middle];
        take_actual(c, s, grid, issue->column[i], issue->origin);
    }
    c->origin[c->count++] =
        grid_steps_between(grid->zone, grid_floor_in(grid->zone, 0, grid->step_ms),
                           issue->issued[0].first_ms, grid->step_ms);
    return 0;
}

/* ---- what would have been issued ---------------------------------------------------------- */

/* One forecast from the rows before origin. */
static int forecast_at(struct serving *serving, struct served *served,
                       const struct grid *grid, size_t origin, struct cases *c,
                       struct err *err)
{
    const struct forecast_wish median = {.quantile_count = 1, .quantiles = {0.5}};
    const size_t tail = model_tail_rows(served->model);
    struct grid slice = {0};
    struct forecast f = {0};
    if (grid_slice(grid, origin - tail, origin, &slice, err))
        return -1;
    const int rc = serving_forecast_grid(serving, served, &median, &slice, &f, err);
    for (size_t s = 0; rc == 0 && s < c->series; s++) {
        if (!f.series[s].served)
            continue;
        memcpy(c->median + (c->count * c->series + s) * c->steps, f.series[s].values,
               c->steps * sizeof *c->median);
        take_actual(c, s, grid, s, origin);
    }
    if (rc == 0)
        c->origin[c->count++] = (int64_t)origin;
    forecast_fini(&f);
    grid_fini(&slice);
    return rc;
}

static int from_history(struct serving *serving, struct served *served,
                        struct store *store, size_t most, int64_t now_ms, struct cases *c,
                        struct err *err)
{
    const struct forecaster *const f = &served->definition;
    const size_t tail = model_tail_rows(served->model);
    struct grid grid = {0};
    size_t there;
    if (forecaster_rows(f, store, now_ms, &there, err))
        return -1;
    /* Before the first sample there is nothing to forecast from. */
    if (there < f->spec.lookback + c->steps)
        return 0;
    const size_t origins = there - f->spec.lookback - c->steps + 1;
    size_t apart = origins / most;
    apart = apart > c->steps / 4 ? c->steps / 4 : apart;
    apart = apart ? apart : 1;
    const size_t count = (origins - 1) / apart + 1;
    const size_t span = ((count < most ? count : most) - 1) * apart;
    const size_t rows = tail + span + c->steps;
    if (forecaster_grid(f, store, now_ms, rows, &grid, err))
        return -1;
    int rc = 0;
    if (grid.cols == c->series)
        for (size_t at = tail; rc == 0 && at + c->steps <= rows; at += apart)
            rc = forecast_at(serving, served, &grid, at, c, err);
    grid_fini(&grid);
    return rc;
}

/* ---- both ---------------------------------------------------------------------------------- */

int cases_read(struct serving *serving, struct served *served, char *const *names,
               size_t series, int64_t now_ms, struct cases *out, struct err *err)
{
    struct store *const store = serving_store(serving);
    const size_t steps = served->definition.spec.horizon;
    size_t most = FLOATS_MAX / 2 / (series * steps);
    *out = (struct cases){0};
    if (most < CASES_LEAST)
        return err_set(err, ERR_TOO_LARGE,
                       "crossings: must be at most %d numbers a forecast, got %zu series "
                       "of %zu steps",
                       FLOATS_MAX / 2 / CASES_LEAST, series, steps);
    const size_t bound = most;
    most = most < CASES_MOST ? most : CASES_MOST;
    const struct matured_wish wish = {.forecaster = served->definition.name,
                                      .from_ms = now_ms - CASES_DAYS * day_ms,
                                      .to_ms = now_ms,
                                      .as_of_ms = now_ms,
                                      .revision = served->revision,
                                      .whole = true,
                                      .most = most};
    struct gathering gathering = {out, names};
    int rc = cases_init(out, series, steps, most, err);
    out->issued = true;
    if (rc == 0)
        rc = matured_each(store, &wish, gather, &gathering, err);
    if (rc == 0 && out->count < CASES_LEAST) {
        size_t origins = HISTORY_FORECASTS / series;
        origins = origins < CASES_LEAST ? CASES_LEAST : origins;
        origins = origins < CASES_OF_HISTORY ? origins : CASES_OF_HISTORY;
        origins = origins < bound ? origins : bound;
        cases_fini(out);
        rc = cases_init(out, series, steps, origins, err);
        if (rc == 0)
            rc = from_history(serving, served, store, origins, now_ms, out, err);
    }
    if (rc)
        cases_fini(out);
    return rc;
}
