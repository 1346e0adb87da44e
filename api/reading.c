/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/reading.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "api/known.h"
#include "base/mem.h"

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
        return err_set(err, ERR_INVALID,
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
    struct store_series *const series = mem_new(out->names.count, sizeof *series);
    store_series_many(store, out->names.name, out->names.count, series);
    for (size_t i = 0; i < out->names.count; i++) {
        if (series[i].samples == 0)
            continue;
        if (series[i].first_ms < first_ms)
            first_ms = series[i].first_ms;
        if (series[i].last_ms > out->newest_ms)
            out->newest_ms = series[i].last_ms;
    }
    free(series);
    if (out->newest_ms > as_of_ms)
        out->newest_ms = as_of_ms;
    /* Where the data ends long before the clock, the forecast begins where it ends. */
    const struct zone *const zone = forecaster_zone(f);
    const int64_t clock_end_ms = grid_floor_in(zone, as_of_ms, f->step_ms);
    const int64_t data_end_ms = grid_step_from(zone, out->newest_ms, f->step_ms, 1);
    out->end_ms = clock_end_ms < data_end_ms ? clock_end_ms : data_end_ms;
    const int64_t begin_ms = grid_floor_in(zone, first_ms, f->step_ms);
    if (first_ms == INT64_MAX || begin_ms >= out->end_ms) {
        err_set(err, ERR_CONFLICT,
                "select: no complete step of data yet in series that match "
                "%.200s",
                f->select);
        goto failed;
    }
    out->rows = (size_t)grid_steps_between(zone, begin_ms, out->end_ms, f->step_ms);
    const size_t most = (size_t)(f->history_ms / f->step_ms);
    if (most && out->rows > most)
        out->rows = most;
    return 0;
failed:
    extent_fini(out);
    return -1;
}

int extent_grid(const struct forecaster *f, struct store *store, int64_t as_of_ms,
                const struct extent *extent, size_t rows, const char *only,
                const struct known_override *overrides, size_t count, struct grid *out,
                struct err *err)
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
    const struct zone *const zone = forecaster_zone(f);
    const struct store_grid_wish wish = {
        .names = (extent->names.name + from),
        .count = to - from,
        .start_ms = grid_step_from(zone, extent->end_ms, f->step_ms, -(int64_t)rows),
        .step_ms = f->step_ms,
        .zone = zone,
        .rows = rows,
        .how = f->aggregate,
        .as_of_ms = as_of_ms,
    };
    if (store_grid(store, &wish, out, err))
        return -1;
    if (known_add(f, store, as_of_ms, overrides, count, out, err) == 0)
        return 0;
    grid_fini(out);
    return -1;
}

int forecaster_grid(const struct forecaster *f, struct store *store, int64_t as_of_ms,
                    size_t rows, struct grid *out, struct err *err)
{
    struct extent extent;
    if (extent_read(f, store, as_of_ms, &extent, err))
        return -1;
    const int rc = extent_grid(f, store, as_of_ms, &extent, rows ? rows : extent.rows,
                               NULL, NULL, 0, out, err);
    extent_fini(&extent);
    return rc;
}

int forecaster_rows(const struct forecaster *f, struct store *store, int64_t as_of_ms,
                    size_t *rows, struct err *err)
{
    struct extent extent;
    if (extent_read(f, store, as_of_ms, &extent, err))
        return -1;
    *rows = extent.rows;
    extent_fini(&extent);
    return 0;
}
