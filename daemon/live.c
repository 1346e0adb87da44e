/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/live.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/storage.h"

/* A series whose last season is almost always right says little by being missed. */
static const double error_ratio_most = 5;

struct sums {
    const struct forecaster *forecaster;
    struct grid grid;
    size_t season;
    double *error, *reference;     /* (cols) absolute, of median and last season */
    double buckets[MODEL_BUCKETS]; /* values compared */
    double inside, banded;
    size_t first_row, last_row; /* of the targets that have come */
    double nominal;
    size_t issues, values;
};

static int compare_names(const void *name, const void *at)
{
    return strcmp(name, *(char *const *)at);
}

/* Columns are sorted by name. */
static bool find_column(const struct grid *grid, const char *name, size_t *col)
{
    char **const found =
        bsearch(name, grid->names, grid->cols, sizeof *grid->names, compare_names);
    if (found)
        *col = (size_t)(found - grid->names);
    return found;
}

/* One target that has come. */
static void add_value(struct sums *s, const struct store_issued *issued, size_t col,
                      size_t origin, size_t j)
{
    const struct grid *const grid = &s->grid;
    const size_t Q = issued->quantile_count, row = origin + j;
    const double actual = grid->values[row * grid->cols + col];
    const size_t past = origin - s->season + j % s->season;
    const double last = grid->values[past * grid->cols + col];
    const float *const values = issued->values + j * Q;
    if (isnan(actual))
        return;
    if (row < s->first_row)
        s->first_row = row;
    if (row > s->last_row)
        s->last_row = row;
    s->values++;
    if (Q > 1) {
        s->banded++;
        s->inside += actual >= (double)values[0] && actual <= (double)values[Q - 1];
        s->nominal = issued->quantiles[Q - 1] - issued->quantiles[0];
    }
    if (isnan(last))
        return;
    s->error[col] += fabs((double)values[issued_median(issued)] - actual);
    s->reference[col] += fabs(last - actual);
    s->buckets[horizon_bucket(j, s->forecaster->spec.horizon)]++;
}

static void add_issue(struct sums *s, const struct store_issued *issued, size_t count)
{
    const struct grid *const grid = &s->grid;
    const int64_t ahead =
        grid_steps_between(grid->zone, grid->start_ms, issued[0].first_ms, grid->step_ms);
    if (ahead < (int64_t)s->season || ahead >= (int64_t)grid->rows)
        return;
    const size_t origin = (size_t)ahead;
    for (size_t i = 0; i < count; i++) {
        size_t col;
        if (!find_column(grid, issued[i].series, &col))
            continue;
        for (size_t j = 0; j < issued[i].steps && origin + j < grid->rows; j++)
            add_value(s, &issued[i], col, origin, j);
    }
    s->issues++;
}

/* Takes out those of other models, and thins the rest out. */
static size_t choose(struct store_issue_line *lines, size_t count, int64_t model_id,
                     int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (lines[i].model_id == model_id && lines[i].first_ms < now_ms)
            lines[kept++] = lines[i];
    const size_t stride = (kept + LIVE_ISSUES - 1) / LIVE_ISSUES;
    size_t thin = 0;
    for (size_t i = 0; stride && i < kept; i += stride)
        lines[thin++] = lines[i];
    return thin;
}

/* What happened, from a season before the first of them on. */
static int read_grid(struct sums *s, struct store *store, int64_t first_ms,
                     int64_t now_ms, struct err *err)
{
    const struct forecaster *const f = s->forecaster;
    const int64_t steps =
        grid_steps_between(forecaster_zone(f), first_ms, now_ms, f->step_ms);
    const size_t rows = (size_t)steps + 1 + s->season;
    if (forecaster_grid(f, store, now_ms, rows, &s->grid, err))
        return -1;
    s->first_row = s->grid.rows;
    s->error = mem_new(s->grid.cols, sizeof *s->error);
    s->reference = mem_new(s->grid.cols, sizeof *s->reference);
    return 0;
}

/* The judged skill at the leads that were compared. */
static double judged_skill(const struct sums *s, const struct model_report *report)
{
    double sum = 0, weights = 0;
    for (size_t c = 0; c < report->series_count; c++)
        for (size_t b = 0; b < MODEL_BUCKETS; b++) {
            const double skill = report->champions[c * MODEL_BUCKETS + b].skill;
            if (isnan(skill))
                continue;
            sum += s->buckets[b] * fmax(skill, 1 - error_ratio_most);
            weights += s->buckets[b];
        }
    return weights > 0 ? sum / weights : (double)NAN;
}

static struct live figures(const struct sums *s, const struct model_report *report)
{
    double sum = 0, series = 0;
    for (size_t c = 0; c < s->grid.cols; c++)
        if (s->reference[c] > 0) {
            sum += 1 - fmin(s->error[c] / s->reference[c], error_ratio_most);
            series++;
        }
    return (struct live){
        .issues = s->issues,
        .values = s->values,
        .steps = s->values ? s->last_row - s->first_row + 1 : 0,
        .skill = series > 0 ? sum / series : (double)NAN,
        .judged = judged_skill(s, report),
        .coverage = s->banded > 0 ? s->inside / s->banded : (double)NAN,
        .nominal = s->banded > 0 ? s->nominal : (double)NAN,
    };
}

static int add_issues(struct sums *s, struct store *store,
                      const struct store_issue_line *lines, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        struct store_issued *issued = NULL;
        size_t series = 0;
        if (store_issue_get(store, s->forecaster->name, lines[i].issue_id, NULL, &issued,
                            &series, err))
            return -1;
        if (series > 0)
            add_issue(s, issued, series);
        store_issued_fini(issued, series);
    }
    return 0;
}

int live_read(struct store *store, const struct forecaster *f, const struct model *model,
              int64_t model_id, int64_t now_ms, struct live *out, struct err *err)
{
    struct store_issue_line *lines = NULL;
    const struct model_report *const report = model_report(model);
    struct sums s = {.forecaster = f, .season = report->season ? report->season : 1};
    const int64_t window_ms = LIVE_HORIZONS * (int64_t)f->spec.horizon * f->step_ms;
    size_t count = 0;
    *out = (struct live){.skill = (double)NAN,
                         .judged = (double)NAN,
                         .coverage = (double)NAN,
                         .nominal = (double)NAN};
    int rc =
        store_issues(store, f->name, now_ms - window_ms, now_ms, 0, &lines, &count, err);
    count = rc == 0 ? choose(lines, count, model_id, now_ms) : 0;
    if (count > 0) {
        rc = read_grid(&s, store, lines[0].first_ms, now_ms, err);
        if (rc == 0)
            rc = add_issues(&s, store, lines, count, err);
        if (rc == 0)
            *out = figures(&s, report);
    }
    grid_fini(&s.grid);
    free(s.error);
    free(s.reference);
    free(lines);
    return rc;
}
