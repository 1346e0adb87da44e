/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/read.h"

#include <stdlib.h>

#include "base/zone.h"

static int fill_column(struct reader *reader, const struct store_grid_wish *wish,
                       const char *name, struct grid *grid, size_t col, struct err *err)
{
    uint32_t id;
    if (series_id(reader->store, name, &id, err))
        return -1;
    /* A rate needs the counter's reading before the first step. */
    const int64_t before_ms = wish->how == AGGREGATE_RATE ? wish->step_ms : 0;
    const struct samples *samples;
    if (reader_read(reader, id, wish->start_ms - before_ms,
                    grid_time_ms(grid, grid->rows), wish->as_of_ms, 0, &samples, err))
        return -1;
    grid_name(grid, col, name);
    grid_fill(grid, col, samples->at, samples->count, wish->how);
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
    reader_begin(&reader, store);
    int status = 0;
    for (size_t col = 0; status == 0 && col < wish->count; col++)
        status = fill_column(&reader, wish, wish->names[col], out, col, err);
    reader_end(&reader);
    if (status)
        grid_fini(out);
    return status;
}
