/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * csv_grid.h -- a CSV file as a grid, without a store between.
 *
 * The step is the usual distance between the samples of the longest series; several
 * samples within a step become their mean, and a step without any is missing.
 * Steps of whole days and weeks begin when they do in the zone of the options.
 * Rows without times (CSV_ROWS) end together, each with its last value.
 */
#ifndef CSV_GRID_H
#define CSV_GRID_H

#include "base/csv.h"
#include "base/err.h"
#include "base/grid.h"

/* Step of a file without times (CSV_ROWS), whose longest row starts at 1970. */
#define CSV_GRID_STEP_MS INT64_C(3600000)

/*
 * Reads path ("-": standard input) into *out, which the caller frees with grid_fini().
 * ERR_INVALID names file, line and reason, or says that no step can be seen;
 * ERR_TOO_LARGE past GRID_CELLS_MAX samples.
 */
int csv_grid_read(const char *path, const struct csv_options *options, struct grid *out,
                  struct err *err);

#endif
