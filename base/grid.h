/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * grid.h -- series on a regular step, which is what a model reads.
 *
 *     rows 0..rows-1 are steps; row i covers [start_ms + i*step_ms, + step_ms)
 *     cols 0..cols-1 are series
 *     values[row * cols + col] is a double; NaN is missing
 *
 * With a zone, and a step of whole days, rows follow the calendar there: each begins at
 * the wall-clock time of the first, so that a day has 23 or 25 hours where the clocks
 * change.
 */
#ifndef GRID_H
#define GRID_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct covariates;

struct sample {
    int64_t time_ms;
    double value;
};

/* What some samples of one series amount to, in order of time. */
struct summary {
    int64_t first_ms, last_ms;
    uint32_t count; /* 0: there were none, and nothing else counts */
    double first, last, least, most;
    /* Each with what its rounding lost, so that the parts of a step give the same bits
     * however it was parted. */
    double sum, sum_low;
    double rise, rise_low; /* of a counter from first to last; a fall is a reset */
};

/* Adds a sample that comes after all so far.  A NaN is none. */
void summary_add(struct summary *summary, struct sample sample);

/* How the samples inside one step become one value. */
enum aggregate {
    AGGREGATE_MEAN,
    AGGREGATE_LAST,
    AGGREGATE_MIN,
    AGGREGATE_MAX,
    AGGREGATE_SUM,
    AGGREGATE_RATE, /* of a counter, per second; a fall is a reset */
};

struct zone;

struct grid {
    int64_t start_ms, step_ms;
    const struct zone *zone; /* borrowed, to be set after grid_init(); NULL: UTC */
    size_t rows, cols;
    double *values; /* rows x cols, owned */
    char **names;   /* cols canonical series names, owned */
    /* What is known in advance of its steps and those after them; owned, NULL: none. */
    struct covariates *covariates;
};

/* All values missing.  ERR_INVALID past GRID_CELLS_MAX cells, ERR_NO_MEMORY. */
#define GRID_CELLS_MAX ((size_t)1 << 28)
int grid_init(struct grid *grid, int64_t start_ms, int64_t step_ms, size_t rows,
              size_t cols, struct err *err);
void grid_fini(struct grid *grid);

/* Names a column; copies name. */
void grid_name(struct grid *grid, size_t col, const char *name);

/*
 * Fills one column from count samples sorted by time.  Samples outside the grid are
 * ignored, but for AGGREGATE_RATE, which uses the last one before it.
 */
void grid_fill(struct grid *grid, size_t col, const struct sample *samples, size_t count,
               enum aggregate how);

/*
 * The same, piece by piece in order of time: for what does not lie in one array.  A
 * summary counts for the row of its first sample, so its samples must lie in one row.
 * Rows without samples are left as they are.
 */
struct grid_column {
    struct grid *grid;
    size_t col, row;
    enum aggregate how;
    int64_t begin_ms, end_ms; /* of the row */
    struct summary step;      /* of the row so far */
    double rise, rise_low;    /* the same, from the sample before each */
    int64_t took_ms;          /* by that rise */
    struct sample before;     /* the last one; time INT64_MIN: none yet */
};
void grid_column_begin(struct grid_column *column, struct grid *grid, size_t col,
                       enum aggregate how);
void grid_column_sample(struct grid_column *column, struct sample sample);
void grid_column_summary(struct grid_column *column, const struct summary *summary);
void grid_column_end(struct grid_column *column);

/* A copy of rows [from, to), with all that is known in advance from there on. */
int grid_slice(const struct grid *grid, size_t from, size_t to, struct grid *out,
               struct err *err);

/* The instant at which row i begins. */
int64_t grid_time_ms(const struct grid *grid, size_t row);

/* Floors an instant to a multiple of step_ms since 1970, before 1970 too. */
int64_t grid_floor_ms(int64_t time_ms, int64_t step_ms);

/*
 * Where the step begins in which an instant lies, and the beginning of another step so
 * many on (or back) from one.  In a zone, with steps of whole days, that is midnight
 * there, and of whole weeks Monday's; else, or with NULL, as grid_floor_ms() has it.
 */
int64_t grid_floor_in(const struct zone *zone, int64_t time_ms, int64_t step_ms);
int64_t grid_step_from(const struct zone *zone, int64_t time_ms, int64_t step_ms,
                       int64_t steps);
/* Steps from the beginning of one to that of another. */
int64_t grid_steps_between(const struct zone *zone, int64_t from_ms, int64_t to_ms,
                           int64_t step_ms);

/*
 * The usual distance between sorted samples: the most frequent positive difference,
 * the smaller one on a tie.  Where none makes up a quarter, as times are not exact, the
 * median one, and if people's steps (1 min, 1 h, ..) have one within a tenth of it, that.
 * 0 with fewer than two instants.
 */
int64_t grid_step_of(const struct sample *samples, size_t count);

/* "mean", "last", ...; -1 for any other word. */
int aggregate_parse(const char *word);
const char *aggregate_word(enum aggregate how);

#endif
