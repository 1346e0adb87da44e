/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/grid.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/civil.h"
#include "base/covariates.h"
#include "base/mem.h"
#include "base/zone.h"

int grid_init(struct grid *grid, int64_t start_ms, int64_t step_ms, size_t rows,
              size_t cols, struct err *err)
{
    size_t cells;
    int64_t span_ms, end_ms;
    *grid = (struct grid){0};
    if (__builtin_mul_overflow(rows, cols, &cells) || cells > GRID_CELLS_MAX ||
        rows > GRID_CELLS_MAX || cols > GRID_CELLS_MAX)
        return err_set(err, ERR_INVALID,
                       "grid: must have at most %zu cells, got %zu steps of %zu series",
                       GRID_CELLS_MAX, rows, cols);
    if (step_ms <= 0 || __builtin_mul_overflow((int64_t)rows, step_ms, &span_ms) ||
        __builtin_add_overflow(start_ms, span_ms, &end_ms))
        return err_set(err, ERR_INVALID,
                       "grid: must have a step above 0 and end in time");
    double *values = mem_try(cells, sizeof *values);
    char **names = mem_try(cols, sizeof *names);
    if (!values || !names) {
        free(values);
        free(names);
        return err_set(err, ERR_NO_MEMORY,
                       "grid: cannot allocate %zu steps of %zu series", rows, cols);
    }
    for (size_t i = 0; i < cells; i++)
        values[i] = NAN;
    *grid = (struct grid){.start_ms = start_ms,
                          .step_ms = step_ms,
                          .rows = rows,
                          .cols = cols,
                          .values = values,
                          .names = names};
    return 0;
}

void grid_fini(struct grid *grid)
{
    for (size_t col = 0; grid->names && col < grid->cols; col++)
        free(grid->names[col]);
    free(grid->names);
    free(grid->values);
    covariates_free(grid->covariates);
    *grid = (struct grid){0};
}

void grid_name(struct grid *grid, size_t col, const char *name)
{
    assert(col < grid->cols);
    free(grid->names[col]);
    grid->names[col] = mem_text(name);
}

/* ---- filling ----------------------------------------------------------------------- */

/* Knuth's two-sum: what the addition rounds away goes to low. */
static void add_to(double *sum, double *low, double more)
{
    const double was = *sum;
    *sum = was + more;
    const double part = *sum - was;
    const double lost = (was - (*sum - part)) + (more - part);
    *low = isfinite(*sum) ? *low + lost : 0;
}

/* What a counter gains from one sample to the next: after a fall it began from zero. */
static void add_rise(double *rise, double *low, double before, double now)
{
    add_to(rise, low, now);
    if (now >= before)
        add_to(rise, low, -before);
}

void summary_add(struct summary *summary, struct sample sample)
{
    const double value = sample.value;
    if (isnan(value))
        return;
    if (summary->count == 0) {
        *summary = (struct summary){
            .first_ms = sample.time_ms,
            .last_ms = sample.time_ms,
            .count = 1,
            .first = value,
            .last = value,
            .least = value,
            .most = value,
            .sum = value,
        };
        return;
    }
    add_rise(&summary->rise, &summary->rise_low, summary->last, value);
    summary->least = value < summary->least ? value : summary->least;
    summary->most = value > summary->most ? value : summary->most;
    add_to(&summary->sum, &summary->sum_low, value);
    summary->last = value;
    summary->last_ms = sample.time_ms;
    summary->count++;
}

static double step_value(const struct grid_column *column)
{
    const struct summary *const step = &column->step;
    switch (column->how) {
    case AGGREGATE_MEAN:
        return (step->sum + step->sum_low) / (double)step->count;
    case AGGREGATE_LAST:
        return step->last;
    case AGGREGATE_MIN:
        return step->least;
    case AGGREGATE_MAX:
        return step->most;
    case AGGREGATE_SUM:
        return step->sum + step->sum_low;
    case AGGREGATE_RATE:
        break;
    }
    const double rise = column->rise + column->rise_low;
    return column->took_ms > 0 ? rise / ((double)column->took_ms / 1000) : (double)NAN;
}

void grid_column_begin(struct grid_column *column, struct grid *grid, size_t col,
                       enum aggregate how)
{
    assert(col < grid->cols);
    *column = (struct grid_column){
        .grid = grid, .col = col, .how = how, .before.time_ms = INT64_MIN};
}

/* Writes the row that is full. */
static void row_end(struct grid_column *column)
{
    struct grid *const grid = column->grid;
    if (column->step.count > 0)
        grid->values[column->row * grid->cols + column->col] = step_value(column);
    column->step.count = 0;
    column->rise = column->rise_low = 0;
    column->took_ms = 0;
}

static int64_t row_at(const struct grid *grid, int64_t time_ms)
{
    const int64_t ahead_s = grid->zone ? zone_offset_s(grid->zone, time_ms) -
                                             zone_offset_s(grid->zone, grid->start_ms)
                                       : 0;
    const int64_t row =
        floor_div(time_ms + ahead_s * 1000 - grid->start_ms, grid->step_ms);
    /* Around a change of the clocks the reading may be that of the neighbour. */
    if (grid->zone && row > 0 && time_ms < grid_time_ms(grid, (size_t)row))
        return row - 1;
    if (grid->zone && row >= 0 && time_ms >= grid_time_ms(grid, (size_t)row + 1))
        return row + 1;
    return row;
}

/* Whether the instant lies in the grid; its row is then the present one. */
static bool row_begin(struct grid_column *column, int64_t time_ms)
{
    const struct grid *const grid = column->grid;
    if (time_ms >= column->begin_ms && time_ms < column->end_ms)
        return true;
    row_end(column);
    column->begin_ms = column->end_ms = 0;
    if (time_ms < grid->start_ms || time_ms >= grid_time_ms(grid, grid->rows))
        return false;
    column->row = (size_t)row_at(grid, time_ms);
    column->begin_ms = grid_time_ms(grid, column->row);
    column->end_ms = grid_time_ms(grid, column->row + 1);
    return true;
}

/*
 * A counter's rise between two samples belongs to the step of the later one, and the
 * step's rate is its rises over the time they took.  So a step after a gap shows the
 * mean rate since the gap began, not a spike.
 */
static void rise_since(struct grid_column *column, struct sample now)
{
    const struct sample before = column->before;
    if (before.time_ms == INT64_MIN || now.time_ms <= before.time_ms)
        return;
    add_rise(&column->rise, &column->rise_low, before.value, now.value);
    column->took_ms += now.time_ms - before.time_ms;
}

void grid_column_sample(struct grid_column *column, struct sample sample)
{
    if (isnan(sample.value))
        return;
    if (row_begin(column, sample.time_ms)) {
        rise_since(column, sample);
        summary_add(&column->step, sample);
    }
    column->before = sample;
}

void grid_column_summary(struct grid_column *column, const struct summary *summary)
{
    if (summary->count == 0)
        return;
    if (row_begin(column, summary->first_ms)) {
        struct summary *const step = &column->step;
        rise_since(column, (struct sample){summary->first_ms, summary->first});
        add_to(&column->rise, &column->rise_low, summary->rise);
        column->rise_low += summary->rise_low;
        column->took_ms += summary->last_ms - summary->first_ms;
        if (step->count == 0) {
            *step = *summary;
        } else {
            step->least = summary->least < step->least ? summary->least : step->least;
            step->most = summary->most > step->most ? summary->most : step->most;
            add_to(&step->sum, &step->sum_low, summary->sum);
            step->sum_low += summary->sum_low;
            step->last = summary->last;
            step->count += summary->count;
        }
    }
    column->before = (struct sample){summary->last_ms, summary->last};
}

void grid_column_end(struct grid_column *column)
{
    row_end(column);
}

void grid_fill(struct grid *grid, size_t col, const struct sample *samples, size_t count,
               enum aggregate how)
{
    struct grid_column column;
    grid_column_begin(&column, grid, col, how);
    for (size_t row = 0; row < grid->rows; row++)
        grid->values[row * grid->cols + col] = NAN;
    for (size_t i = 0; i < count; i++)
        grid_column_sample(&column, samples[i]);
    grid_column_end(&column);
}

int grid_slice(const struct grid *grid, size_t from, size_t to, struct grid *out,
               struct err *err)
{
    assert(from <= to && to <= grid->rows);
    if (grid_init(out, grid_time_ms(grid, from), grid->step_ms, to - from, grid->cols,
                  err))
        return -1;
    out->zone = grid->zone;
    if (to > from && grid->cols > 0)
        memcpy(out->values, grid->values + from * grid->cols,
               (to - from) * grid->cols * sizeof *out->values);
    for (size_t col = 0; col < grid->cols; col++)
        if (grid->names[col])
            grid_name(out, col, grid->names[col]);
    out->covariates = covariates_slice(grid->covariates, from);
    return 0;
}

/* ---- time -------------------------------------------------------------------------- */

int64_t grid_time_ms(const struct grid *grid, size_t row)
{
    const int64_t along_ms = (int64_t)row * grid->step_ms;
    if (!grid->zone)
        return grid->start_ms + along_ms;
    const int64_t offset_ms = 1000 * (int64_t)zone_offset_s(grid->zone, grid->start_ms);
    return zone_to_utc(grid->zone, grid->start_ms + offset_ms + along_ms);
}

static const int64_t day_ms = INT64_C(86400000);

/* The first Monday of 1970, where steps are weeks. */
static int64_t monday_ms(int64_t step_ms)
{
    return step_ms % (7 * day_ms) ? 0 : 4 * day_ms;
}

int64_t grid_floor_ms(int64_t time_ms, int64_t step_ms)
{
    return floor_div(time_ms, step_ms) * step_ms;
}

/* Which step of the wall clock an instant lies in, counted from 1970. */
static int64_t step_at(const struct zone *zone, int64_t time_ms, int64_t step_ms)
{
    return floor_div(time_ms + 1000 * (int64_t)zone_offset_s(zone, time_ms) -
                         monday_ms(step_ms),
                     step_ms);
}

int64_t grid_step_from(const struct zone *zone, int64_t time_ms, int64_t step_ms,
                       int64_t steps)
{
    if (!zone || step_ms % day_ms)
        return grid_floor_ms(time_ms, step_ms) + steps * step_ms;
    const int64_t step = step_at(zone, time_ms, step_ms) + steps;
    return zone_to_utc(zone, step * step_ms + monday_ms(step_ms));
}

int64_t grid_floor_in(const struct zone *zone, int64_t time_ms, int64_t step_ms)
{
    return grid_step_from(zone, time_ms, step_ms, 0);
}

int64_t grid_steps_between(const struct zone *zone, int64_t from_ms, int64_t to_ms,
                           int64_t step_ms)
{
    if (!zone || step_ms % day_ms)
        return (to_ms - from_ms) / step_ms;
    return step_at(zone, to_ms, step_ms) - step_at(zone, from_ms, step_ms);
}

static int compare_int64(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The step of people's that a distance of inexact times most likely means. */
static int64_t rounded(int64_t distance_ms)
{
    static const int32_t steps_s[] = {1,    5,     10,    15,    30,    60,
                                      120,  300,   600,   900,   1800,  3600,
                                      7200, 10800, 21600, 43200, 86400, 604800};
    for (size_t i = 0; i < sizeof steps_s / sizeof *steps_s; i++) {
        const int64_t step_ms = INT64_C(1000) * steps_s[i];
        if (10 * llabs(distance_ms - step_ms) <= step_ms)
            return step_ms;
    }
    return distance_ms;
}

int64_t grid_step_of(const struct sample *samples, size_t count)
{
    enum { LOOKED_AT = 1 << 16 };
    if (count > LOOKED_AT) { /* the newest say what is usual now */
        samples += count - LOOKED_AT;
        count = LOOKED_AT;
    }
    int64_t *steps = mem_new(count, sizeof *steps);
    size_t n = 0;
    for (size_t i = 1; i < count; i++)
        if (samples[i].time_ms > samples[i - 1].time_ms)
            steps[n++] = samples[i].time_ms - samples[i - 1].time_ms;
    qsort(steps, n, sizeof *steps, compare_int64);
    int64_t usual = 0;
    size_t usual_times = 0, times = 0;
    for (size_t i = 0; i < n; i++) {
        times = i > 0 && steps[i] == steps[i - 1] ? times + 1 : 1;
        if (times > usual_times) { /* ascending, so a tie keeps the smaller */
            usual = steps[i];
            usual_times = times;
        }
    }
    if (4 * usual_times < n)
        usual = rounded(steps[n / 2]);
    free(steps);
    return usual;
}

/* ---- words ------------------------------------------------------------------------- */

static const char *const words[] = {
    [AGGREGATE_MEAN] = "mean", [AGGREGATE_LAST] = "last", [AGGREGATE_MIN] = "min",
    [AGGREGATE_MAX] = "max",   [AGGREGATE_SUM] = "sum",   [AGGREGATE_RATE] = "rate",
};

int aggregate_parse(const char *word)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0)
            return (int)i;
    return -1;
}

const char *aggregate_word(enum aggregate how)
{
    return words[how];
}
