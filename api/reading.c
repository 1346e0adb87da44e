/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/reading.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void extent_fini(struct extent *extent)
{
    store_names_fini(&extent->names);
    *extent = (struct extent){0};
}

static int select_series(const struct forecaster *f, struct store *store,
                         struct store_names *names, struct err *err)
{
    if (store_select(store, f->select, MODEL_SERIES_MAX + 1, names, err))
        return -1;
    if (names->count == 0)
        return err_set(err, ERR_CONFLICT, "select: no series matches %.200s", f->select);
    if (names->count > MODEL_SERIES_MAX)
        return err_set(err, ERR_CONFLICT,
                       "select: must match at most %d series, more match %.200s",
                       MODEL_SERIES_MAX, f->select);
    return 0;
}

int extent_read(const struct forecaster *f, struct store *store, int64_t as_of_ms,
                struct extent *out, struct err *err)
{
    *out = (struct extent){.newest_ms = INT64_MIN};
    int64_t first_ms = INT64_MAX;
    if (select_series(f, store, &out->names, err))
        goto failed;
    for (size_t i = 0; i < out->names.count; i++) {
        struct store_series series;
        if (store_series(store, out->names.name[i], &series, err))
            goto failed;
        if (series.samples == 0)
            continue;
        if (series.first_ms < first_ms)
            first_ms = series.first_ms;
        if (series.last_ms > out->newest_ms)
            out->newest_ms = series.last_ms;
    }
    if (out->newest_ms > as_of_ms)
        out->newest_ms = as_of_ms;
    /* Where the data ends long before the clock, the forecast begins where it ends. */
    const int64_t clock_end_ms = grid_floor_ms(as_of_ms, f->step_ms);
    const int64_t data_end_ms = grid_floor_ms(out->newest_ms, f->step_ms) + f->step_ms;
    out->end_ms = clock_end_ms < data_end_ms ? clock_end_ms : data_end_ms;
    const int64_t begin_ms = grid_floor_ms(first_ms, f->step_ms);
    if (first_ms == INT64_MAX || begin_ms >= out->end_ms) {
        err_set(err, ERR_CONFLICT,
                "select: no complete step of data yet in series that match "
                "%.200s",
                f->select);
        goto failed;
    }
    out->rows = (size_t)((out->end_ms - begin_ms) / f->step_ms);
    const size_t most = (size_t)(f->history_ms / f->step_ms);
    if (most && out->rows > most)
        out->rows = most;
    return 0;
failed:
    extent_fini(out);
    return -1;
}

static int fill_column(const struct forecaster *f, struct store *store, int64_t as_of_ms,
                       struct grid *grid, size_t col, const char *name, struct err *err)
{
    struct sample *samples = NULL;
    size_t count = 0;
    /* A rate needs the counter's reading before the first step. */
    const int64_t before_ms = f->aggregate == AGGREGATE_RATE ? f->step_ms : 0;
    if (store_read(store, name, grid->start_ms - before_ms,
                   grid_time_ms(grid, grid->rows), as_of_ms, 0, &samples, &count, err))
        return -1;
    grid_name(grid, col, name);
    grid_fill(grid, col, samples, count, f->aggregate);
    free(samples);
    return 0;
}

int extent_grid(const struct forecaster *f, struct store *store, int64_t as_of_ms,
                const struct extent *extent, size_t rows, const char *only,
                struct grid *out, struct err *err)
{
    size_t from = 0, to = extent->names.count;
    if (only) {
        while (from < to && strcmp(extent->names.name[from], only))
            from++;
        if (from == to)
            return err_set(err, ERR_NOT_FOUND,
                           "series: must be one of the forecaster's, got %.200s", only);
        to = from + 1;
    }
    if (grid_init(out, extent->end_ms - (int64_t)rows * f->step_ms, f->step_ms, rows,
                  to - from, err))
        return -1;
    for (size_t i = from; i < to; i++)
        if (fill_column(f, store, as_of_ms, out, i - from, extent->names.name[i], err)) {
            grid_fini(out);
            return -1;
        }
    return 0;
}

int forecaster_grid(const struct forecaster *f, struct store *store, int64_t as_of_ms,
                    size_t rows, struct grid *out, struct err *err)
{
    struct extent extent;
    if (extent_read(f, store, as_of_ms, &extent, err))
        return -1;
    const int rc = extent_grid(f, store, as_of_ms, &extent, rows ? rows : extent.rows,
                               NULL, out, err);
    extent_fini(&extent);
    return rc;
}
