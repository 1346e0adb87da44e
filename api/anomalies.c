/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/anomalies.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/matured.h"
#include "base/mem.h"

enum { CELLS_MAX = 4 << 20 };

/* The newest band of one series and step, and whether the value lay outside. */
struct cell {
    int64_t issue_id, issued_ms;
    double value;
    float low, median, high;
    bool judged;
};

/* One series. */
struct line {
    char *name;
    struct cell *cells; /* (steps) */
};

struct search {
    int64_t from_ms, to_ms, step_ms;
    const struct zone *zone;
    size_t steps, count;
    struct line *lines; /* sorted by name */
};

static void search_fini(struct search *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->lines[i].name);
        free(s->lines[i].cells);
    }
    free(s->lines);
}

static int line_of(struct search *s, const char *name, struct line **out, struct err *err)
{
    size_t from = 0, to = s->count;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        const int order = strcmp(s->lines[middle].name, name);
        if (order == 0) {
            *out = &s->lines[middle];
            return 0;
        }
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    if ((s->count + 1) * s->steps > CELLS_MAX)
        return err_set(
            err, ERR_TOO_LARGE,
            "hours: must leave at most %d steps of all series, got %zu of more "
            "than %zu series",
            CELLS_MAX, s->steps, s->count);
    s->lines = mem_resize(s->lines, s->count + 1, sizeof *s->lines);
    memmove(s->lines + from + 1, s->lines + from, (s->count++ - from) * sizeof *s->lines);
    s->lines[from] = (struct line){.name = mem_text(name),
                                   .cells = mem_new(s->steps, sizeof(struct cell))};
    *out = &s->lines[from];
    return 0;
}

/* Its band covers what has come since; an older one gives way. */
static int take(void *ctx, const struct matured_issue *issue, struct err *err)
{
    struct search *const s = ctx;
    const struct grid *const grid = issue->grid;
    for (size_t i = 0; i < issue->count; i++) {
        const struct store_issued *const one = &issue->issued[i];
        const size_t Q = one->quantile_count, middle = issued_median(one);
        struct line *line = NULL;
        if (issue->column[i] == SIZE_MAX || Q < 2 || one->step_ms != s->step_ms)
            continue;
        if (line_of(s, one->series, &line, err))
            return -1;
        for (size_t j = 0; j < issue->come; j++) {
            const int64_t at_ms = grid_time_ms(grid, issue->origin + j);
            const double value =
                grid->values[(issue->origin + j) * grid->cols + issue->column[i]];
            const float *const band = one->values + j * Q;
            if (at_ms < s->from_ms || at_ms >= s->to_ms)
                continue;
            const int64_t step =
                grid_steps_between(s->zone, s->from_ms, at_ms, s->step_ms);
            line->cells[step] = (struct cell){
                .issue_id = one->issue_id,
                .issued_ms = one->issued_ms,
                .value = value,
                .low = band[0],
                .median = band[middle],
                .high = band[Q - 1],
                .judged = !isnan(value),
            };
        }
    }
    return 0;
}

/* Distance from the median in those of the edge: 1 at the edge; infinite where the band
 * has no width. */
static double score_of(const struct cell *cell)
{
    const double median = (double)cell->median;
    const double edge = cell->value > median ? (double)cell->high : (double)cell->low;
    const double width = fabs(edge - median);
    return width > 0 ? fabs(cell->value - median) / width : (double)INFINITY;
}

static int newest_first(const void *a, const void *b)
{
    const struct anomaly *const x = a, *const y = b;
    if (x->time_ms != y->time_ms)
        return x->time_ms > y->time_ms ? -1 : 1;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return strcmp(x->series, y->series);
}

static void collect(struct search *s, struct anomalies *out)
{
    size_t room = 0;
    out->names = mem_new(s->count, sizeof *out->names);
    for (size_t i = 0; i < s->count; i++) {
        out->names[out->name_count++] = s->lines[i].name;
        for (size_t j = 0; j < s->steps; j++) {
            const struct cell *const cell = &s->lines[i].cells[j];
            out->judged += cell->judged;
            if (!cell->judged ||
                (cell->value >= (double)cell->low && cell->value <= (double)cell->high))
                continue;
            if (out->count == room) {
                room = room ? 2 * room : 64;
                out->list = mem_resize(out->list, room, sizeof *out->list);
            }
            out->list[out->count++] = (struct anomaly){
                .series = s->lines[i].name,
                .time_ms = grid_step_from(s->zone, s->from_ms, s->step_ms, (int64_t)j),
                .issue_id = cell->issue_id,
                .issued_ms = cell->issued_ms,
                .value = cell->value,
                .low = (double)cell->low,
                .median = (double)cell->median,
                .high = (double)cell->high,
                .score = score_of(cell),
            };
        }
        s->lines[i].name = NULL; /* taken over */
    }
    if (out->count)
        qsort(out->list, out->count, sizeof *out->list, newest_first);
}

void anomalies_fini(struct anomalies *anomalies)
{
    for (size_t i = 0; i < anomalies->name_count; i++)
        free(anomalies->names[i]);
    free(anomalies->names);
    free(anomalies->list);
    *anomalies = (struct anomalies){0};
}

int anomalies_read(struct store *store, const struct forecaster *definition,
                   const struct anomalies_wish *wish, struct anomalies *out,
                   struct err *err)
{
    const struct zone *const zone = forecaster_zone(definition);
    const int64_t step_ms = definition->step_ms;
    struct search s = {.step_ms = step_ms, .zone = zone, .steps = wish->steps};
    s.to_ms = grid_floor_in(zone, wish->as_of_ms, step_ms);
    s.from_ms = grid_step_from(zone, s.to_ms, step_ms, -(int64_t)wish->steps);
    *out = (struct anomalies){.from_ms = s.from_ms, .to_ms = s.to_ms};
    const struct matured_wish issues = {
        .forecaster = definition->name,
        .series = wish->series,
        .from_ms =
            grid_step_from(zone, s.from_ms, step_ms, -(int64_t)definition->spec.horizon),
        .to_ms = wish->as_of_ms,
        .as_of_ms = wish->as_of_ms,
    };
    const int rc = matured_each(store, &issues, take, &s, err);
    if (rc == 0)
        collect(&s, out);
    search_fini(&s);
    return rc;
}
