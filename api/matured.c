/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/matured.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { DAY_MS = 86400000 };

/* Seasons of the models met so far; loading one for each issue would cost. */
struct season {
    int64_t model_id;
    size_t steps;
};

struct walk {
    struct store *store;
    const struct matured_wish *wish;
    matured_function *each;
    void *ctx;
    struct season *seasons;
    size_t season_count;
    struct forecaster definition; /* of this revision */
    int64_t revision;             /* 0: none yet */
    struct store_names names;
};

size_t issued_median(const struct store_issued *issued)
{
    size_t best = 0;
    for (size_t q = 1; q < issued->quantile_count; q++)
        if (fabs(issued->quantiles[q] - 0.5) < fabs(issued->quantiles[best] - 0.5))
            best = q;
    return best;
}

/* ---- what an issue was made with --------------------------------------------------- */

static void definition_fini(struct walk *w)
{
    store_names_fini(&w->names);
    forecaster_fini(&w->definition);
    w->names = (struct store_names){0};
    w->revision = 0;
}

static int take_definition(struct walk *w, int64_t revision, struct err *err)
{
    if (w->revision == revision)
        return 0;
    definition_fini(w);
    if (forecaster_then(w->store, w->wish->forecaster, revision, &w->definition, err))
        return -1;
    w->revision = revision;
    return store_select(w->store, w->definition.select, MODEL_SERIES_MAX, &w->names, err);
}

/* A model that is gone takes its season with it. */
static int season_of(struct walk *w, int64_t model_id, size_t *out, struct err *err)
{
    for (size_t i = 0; i < w->season_count; i++)
        if (w->seasons[i].model_id == model_id) {
            *out = w->seasons[i].steps;
            return 0;
        }
    struct store_model stored = {0};
    struct err none = {0};
    *out = 0;
    if (store_model_get(w->store, w->wish->forecaster, model_id, &stored, &none) == 0) {
        struct model *const model = model_load(stored.bytes, stored.len, &none);
        if (model)
            *out = model_report(model)->season ? model_report(model)->season : 1;
        model_free(model);
    }
    store_model_fini(&stored);
    if (none.code && none.code != ERR_NOT_FOUND)
        return err_copy(err, &none);
    w->seasons = mem_resize(w->seasons, w->season_count + 1, sizeof *w->seasons);
    w->seasons[w->season_count++] = (struct season){model_id, *out};
    return 0;
}

/* ---- a day of issues ---------------------------------------------------------------- */

/* Its grid, from what the first of them could look back on to its last target; without
 * rows where nothing of that has come. */
static int read_grid(struct walk *w, const struct store_issue_line *lines, size_t count,
                     struct grid *out, struct err *err)
{
    const struct forecaster *const f = &w->definition;
    const struct zone *const zone = forecaster_zone(f);
    int64_t first_ms = lines[0].first_ms, end_ms = INT64_MIN;
    size_t past = 1;
    for (size_t i = 0; i < count; i++) {
        size_t season;
        if (season_of(w, lines[i].model_id, &season, err))
            return -1;
        past = season > past ? season : past;
        const int64_t last_ms =
            grid_step_from(zone, lines[i].first_ms, f->step_ms, (int64_t)lines[i].steps);
        first_ms = lines[i].first_ms < first_ms ? lines[i].first_ms : first_ms;
        end_ms = last_ms > end_ms ? last_ms : end_ms;
    }
    const int64_t now_ms = grid_floor_in(zone, w->wish->as_of_ms, f->step_ms);
    end_ms = now_ms < end_ms ? now_ms : end_ms;
    const int64_t start_ms =
        grid_step_from(zone, first_ms, f->step_ms, -(int64_t)(f->spec.lookback + past));
    *out = (struct grid){.start_ms = start_ms, .step_ms = f->step_ms, .zone = zone};
    if (end_ms <= first_ms || w->names.count == 0)
        return 0;
    const struct store_grid_wish wish = {
        .names = w->names.name,
        .count = w->names.count,
        .start_ms = start_ms,
        .step_ms = f->step_ms,
        .zone = zone,
        .rows = (size_t)grid_steps_between(zone, start_ms, end_ms, f->step_ms),
        .how = f->aggregate,
        .as_of_ms = w->wish->as_of_ms,
    };
    return store_grid(w->store, &wish, out, err);
}

static int compare_names(const void *name, const void *at)
{
    return strcmp(name, *(char *const *)at);
}

/* Columns are sorted by name. */
static size_t find_column(const struct grid *grid, const char *name)
{
    char **const found = grid->cols ? bsearch(name, grid->names, grid->cols,
                                              sizeof *grid->names, compare_names)
                                    : NULL;
    return found ? (size_t)(found - grid->names) : SIZE_MAX;
}

static int visit(struct walk *w, const struct store_issue_line *line,
                 const struct grid *grid, struct err *err)
{
    struct store_issued *issued = NULL;
    size_t count = 0;
    struct err none = {0};
    if (store_issue_get(w->store, w->wish->forecaster, line->issue_id, w->wish->series,
                        &issued, &count, &none))
        return none.code == ERR_NOT_FOUND && w->wish->series
                   ? 0 /* this issue says nothing of that series */
                   : err_copy(err, &none);
    size_t *const column = mem_new(count, sizeof *column);
    for (size_t i = 0; i < count; i++)
        column[i] = find_column(grid, issued[i].series);
    struct matured_issue issue = {
        .issued = issued,
        .count = count,
        .grid = grid,
        .column = column,
        .origin = (size_t)grid_steps_between(grid->zone, grid->start_ms, line->first_ms,
                                             grid->step_ms),
        .definition = &w->definition,
    };
    if (grid->rows > issue.origin)
        issue.come = grid->rows - issue.origin;
    if (issue.come > line->steps)
        issue.come = line->steps;
    int rc = season_of(w, line->model_id, &issue.season, err);
    if (rc == 0)
        rc = w->each(w->ctx, &issue, err);
    free(column);
    store_issued_fini(issued, count);
    return rc;
}

/* Those of one day and one revision. */
static int walk_day(struct walk *w, const struct store_issue_line *lines, size_t count,
                    struct err *err)
{
    struct grid grid = {0};
    if (take_definition(w, lines[0].revision, err) ||
        read_grid(w, lines, count, &grid, err))
        return -1;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = visit(w, &lines[i], &grid, err);
    grid_fini(&grid);
    return rc;
}

/* ---- all of them ---------------------------------------------------------------------- */

static bool same_day(const struct store_issue_line *a, const struct store_issue_line *b)
{
    return a->revision == b->revision &&
           grid_floor_ms(a->issued_ms, DAY_MS) == grid_floor_ms(b->issued_ms, DAY_MS);
}

/* Takes out what is not wished for, and thins the rest out. */
static size_t choose(const struct matured_wish *wish, struct store_issue_line *lines,
                     size_t count)
{
    size_t kept = 0, thin = 0;
    for (size_t i = 0; i < count; i++) {
        const struct store_issue_line *const line = &lines[i];
        const int64_t end_ms = line->first_ms + (int64_t)line->steps * line->step_ms;
        if (line->issued_ms >= wish->from_ms &&
            (!wish->revision || line->revision == wish->revision) &&
            (!wish->model_id || line->model_id == wish->model_id) &&
            (!wish->whole || end_ms <= wish->as_of_ms))
            lines[kept++] = *line;
    }
    const size_t stride = wish->most ? (kept + wish->most - 1) / wish->most : 1;
    for (size_t i = 0; stride && i < kept; i += stride)
        lines[thin++] = lines[i];
    return thin;
}

int matured_each(struct store *store, const struct matured_wish *wish,
                 matured_function *each, void *ctx, struct err *err)
{
    struct walk w = {.store = store, .wish = wish, .each = each, .ctx = ctx};
    struct store_issue_line *lines = NULL;
    size_t count = 0;
    int64_t to_ms = wish->to_ms - 1;
    if (to_ms > wish->as_of_ms)
        to_ms = wish->as_of_ms;
    int rc = store_issues(store, wish->forecaster, wish->from_ms, to_ms, 0, &lines,
                          &count, err);
    count = rc == 0 ? choose(wish, lines, count) : 0;
    for (size_t at = 0; rc == 0 && at < count;) {
        size_t past = at + 1;
        while (past < count && same_day(&lines[at], &lines[past]))
            past++;
        rc = walk_day(&w, lines + at, past - at, err);
        at = past;
    }
    definition_fini(&w);
    free(w.seasons);
    free(lines);
    return rc;
}

int matured_known(struct store *store, const char *forecaster, struct err *err)
{
    struct store_forecaster stored = {0};
    struct store_issue_line *lines = NULL;
    struct err none = {0};
    size_t count = 0;
    const int rc = store_forecaster_get(store, forecaster, &stored, &none);
    store_forecaster_fini(&stored);
    if (rc == 0)
        return 0;
    if (none.code == ERR_NOT_FOUND &&
        store_issues(store, forecaster, INT64_MIN, INT64_MAX, 1, &lines, &count, err))
        return -1;
    free(lines);
    return count ? 0 : err_copy(err, &none);
}
