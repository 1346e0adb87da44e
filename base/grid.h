/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * grid.h -- series on a regular step, which is what a model reads.
 *
 *     rows 0..rows-1 are steps; row i covers [start_ms + i*step_ms, + step_ms)
 *     cols 0..cols-1 are series
 *     values[row * cols + col] is a double; NaN is missing
 */
#ifndef GRID_H
#define GRID_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct sample {
    int64_t time_ms;
    double value;
};

/* How the samples inside one step become one value. */
enum aggregate {
    AGGREGATE_MEAN,
    AGGREGATE_LAST,
    AGGREGATE_MIN,
    AGGREGATE_MAX,
    AGGREGATE_SUM,
    AGGREGATE_RATE, /* of a counter, per second; a fall is a reset */
};

struct grid {
    int64_t start_ms, step_ms;
    size_t rows, cols;
    double *values; /* rows x cols, owned */
    char **names;   /* cols canonical series names, owned */
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

/* A copy of rows [from, to). */
int grid_slice(const struct grid *grid, size_t from, size_t to, struct grid *out,
               struct err *err);

/* The instant at which row i begins. */
int64_t grid_time_ms(const struct grid *grid, size_t row);

/* Floors an instant to a multiple of step_ms since 1970, before 1970 too. */
int64_t grid_floor_ms(int64_t time_ms, int64_t step_ms);

/*
 * The usual distance between sorted samples: the most frequent positive difference,
 * the smaller one on a tie.  0 with fewer than two instants.
 */
int64_t grid_step_of(const struct sample *samples, size_t count);

/* "mean", "last", ...; -1 for any other word. */
int aggregate_parse(const char *word);
const char *aggregate_word(enum aggregate how);

#endif
