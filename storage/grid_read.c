/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/read.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/zone.h"

/* Which samples the grid is made of. */
static int begin(struct reader *reader, struct store *store,
                 const struct store_grid_wish *wish, const struct grid *grid,
                 uint32_t *ids, struct err *err)
{
    *reader = (struct reader){.store = store};
    index_find_many(&store->index, wish->names, wish->count, ids);
    for (size_t col = 0; col < wish->count; col++)
        if (ids[col] == 0)
            return err_set(err, ERR_NOT_FOUND, "series: %s not found", wish->names[col]);
    /* A rate needs the counter's reading before the first step. */
    const int64_t before_ms = wish->how == AGGREGATE_RATE ? wish->step_ms : 0;
    const struct read_wish read = {
        .ids = ids,
        .count = wish->count,
        .from_ms = wish->start_ms - before_ms,
        .to_ms = grid_time_ms(grid, grid->rows),
        .as_of_ms = wish->as_of_ms,
    };
    return reader_begin(reader, store, &read, err);
}

/* Whether all rows begin at full hours. */
static bool of_hours(const struct grid *grid)
{
    bool full =
        grid->step_ms % ROLLUP_HOUR_MS == 0 && grid->start_ms % ROLLUP_HOUR_MS == 0;
    for (size_t row = 1; full && grid->zone && row <= grid->rows; row++)
        full = grid_time_ms(grid, row) % ROLLUP_HOUR_MS == 0;
    return full;
}

static int fill_hours(struct reader *reader, struct grid *grid, size_t col,
                      enum aggregate how, struct err *err)
{
    struct grid_column column;
    grid_column_begin(&column, grid, col, how);
    const int status = reader_hours(reader, col, &column, err);
    grid_column_end(&column);
    return status;
}

static int fill_samples(struct reader *reader, struct grid *grid, size_t col,
                        enum aggregate how, struct err *err)
{
    const struct sample *samples;
    size_t count;
    if (reader_read(reader, col, &samples, &count, err))
        return -1;
    grid_fill(grid, col, samples, count, how);
    return 0;
}

int store_grid(struct store *store, const struct store_grid_wish *wish, struct grid *out,
               struct err *err)
{
    enum { DAY_MS = 86400000 };
    if (wish->zone && wish->step_ms % DAY_MS != 0)
        return err_set(err, ERR_INVALID, "grid: only steps of whole days have a zone");
    if (grid_init(out, wish->start_ms, wish->step_ms, wish->rows, wish->count, err))
        return -1;
    out->zone = wish->zone;
    struct reader reader;
    uint32_t *const ids = mem_new(wish->count, sizeof *ids);
    const bool hours = of_hours(out);
    int status = begin(&reader, store, wish, out, ids, err);
    for (size_t col = 0; status == 0 && col < wish->count; col++) {
        grid_name(out, col, wish->names[col]);
        status = hours ? fill_hours(&reader, out, col, wish->how, err)
                       : fill_samples(&reader, out, col, wish->how, err);
    }
    reader_end(&reader);
    free(ids);
    if (status)
        grid_fini(out);
    return status;
}
