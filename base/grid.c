/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/grid.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/civil.h"
#include "base/mem.h"

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
    *grid = (struct grid){start_ms, step_ms, rows, cols, values, names};
    return 0;
}

void grid_fini(struct grid *grid)
{
    for (size_t col = 0; grid->names && col < grid->cols; col++)
        free(grid->names[col]);
    free(grid->names);
    free(grid->values);
    *grid = (struct grid){0};
}

void grid_name(struct grid *grid, size_t col, const char *name)
{
    assert(col < grid->cols);
    free(grid->names[col]);
    grid->names[col] = mem_text(name);
}

/* ---- filling ----------------------------------------------------------------------- */

/* What the samples of one step amount to so far. */
struct step_sum {
    size_t count;
    double sum, least, most, last;
};

static void step_add(struct step_sum *step, double value)
{
    step->least = step->count == 0 || value < step->least ? value : step->least;
    step->most = step->count == 0 || value > step->most ? value : step->most;
    step->sum += value;
    step->last = value;
    step->count++;
}

static double step_value(const struct step_sum *step, enum aggregate how)
{
    switch (how) {
    case AGGREGATE_MEAN:
        return step->sum / (double)step->count;
    case AGGREGATE_LAST:
        return step->last;
    case AGGREGATE_MIN:
        return step->least;
    case AGGREGATE_MAX:
        return step->most;
    case AGGREGATE_SUM:
    case AGGREGATE_RATE:
        break;
    }
    return step->sum;
}

/* Whether time_ms lies in the grid, and in which row. */
static bool row_of(const struct grid *grid, int64_t time_ms, size_t *row)
{
    if (time_ms < grid->start_ms || time_ms >= grid_time_ms(grid, grid->rows))
        return false;
    *row = (size_t)((time_ms - grid->start_ms) / grid->step_ms);
    return true;
}

static void fill_plain(struct grid *grid, size_t col, const struct sample *samples,
                       size_t count, enum aggregate how)
{
    for (size_t i = 0; i < count;) {
        size_t row, next;
        struct step_sum step = {0};
        if (!row_of(grid, samples[i].time_ms, &row)) {
            i++;
            continue;
        }
        for (; i < count && row_of(grid, samples[i].time_ms, &next) && next == row; i++)
            if (!isnan(samples[i].value))
                step_add(&step, samples[i].value);
        if (step.count)
            grid->values[row * grid->cols + col] = step_value(&step, how);
    }
}

/*
 * A counter's rise between two samples belongs to the step of the later one, and the
 * step's rate is its rises over the time they took.  So a step after a gap shows the
 * mean rate since the gap began, not a spike.
 */
static void fill_rate(struct grid *grid, size_t col, const struct sample *samples,
                      size_t count)
{
    const struct sample *before = NULL;
    size_t row_now = SIZE_MAX;
    double rise = 0, seconds = 0;
    for (size_t i = 0; i < count; i++) {
        const struct sample *const now = &samples[i];
        size_t row;
        if (isnan(now->value))
            continue;
        if (before && now->time_ms > before->time_ms &&
            row_of(grid, now->time_ms, &row)) {
            if (row != row_now)
                rise = seconds = 0;
            row_now = row;
            /* A fall is a restart from zero. */
            rise += now->value - (now->value < before->value ? 0 : before->value);
            seconds += (double)(now->time_ms - before->time_ms) / 1000;
            grid->values[row * grid->cols + col] = rise / seconds;
        }
        before = now;
    }
}

void grid_fill(struct grid *grid, size_t col, const struct sample *samples, size_t count,
               enum aggregate how)
{
    assert(col < grid->cols);
    for (size_t row = 0; row < grid->rows; row++)
        grid->values[row * grid->cols + col] = NAN;
    if (how == AGGREGATE_RATE)
        fill_rate(grid, col, samples, count);
    else
        fill_plain(grid, col, samples, count, how);
}

int grid_slice(const struct grid *grid, size_t from, size_t to, struct grid *out,
               struct err *err)
{
    assert(from <= to && to <= grid->rows);
    if (grid_init(out, grid_time_ms(grid, from), grid->step_ms, to - from, grid->cols,
                  err))
        return -1;
    if (to > from && grid->cols > 0)
        memcpy(out->values, grid->values + from * grid->cols,
               (to - from) * grid->cols * sizeof *out->values);
    for (size_t col = 0; col < grid->cols; col++)
        if (grid->names[col])
            grid_name(out, col, grid->names[col]);
    return 0;
}

/* ---- time -------------------------------------------------------------------------- */

int64_t grid_time_ms(const struct grid *grid, size_t row)
{
    return grid->start_ms + (int64_t)row * grid->step_ms;
}

int64_t grid_floor_ms(int64_t time_ms, int64_t step_ms)
{
    return floor_div(time_ms, step_ms) * step_ms;
}

static int compare_int64(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
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
