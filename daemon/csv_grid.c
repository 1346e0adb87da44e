/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/csv_grid.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { DAY_MS = 86400000 };

struct column {
    char *name;
    struct sample *samples;
    size_t count, room;
};

struct columns {
    struct column *column;
    size_t count, room, samples;
};

static void columns_fini(struct columns *all)
{
    for (size_t i = 0; i < all->count; i++) {
        free(all->column[i].name);
        free(all->column[i].samples);
    }
    free(all->column);
}

static int on_series(void *ctx, size_t id, const char *name, struct err *err)
{
    struct columns *const all = ctx;
    (void)err;
    if (id >= all->room) {
        all->room = 2 * id + 16;
        all->column = mem_resize(all->column, all->room, sizeof *all->column);
    }
    all->column[id] = (struct column){.name = mem_text(name)};
    all->count = id + 1;
    return 0;
}

static int on_sample(void *ctx, size_t id, int64_t time_ms, double value, struct err *err)
{
    struct columns *const all = ctx;
    struct column *const c = &all->column[id];
    if (++all->samples > GRID_CELLS_MAX)
        return err_set(err, ERR_TOO_LARGE, "more than %zu samples", GRID_CELLS_MAX);
    if (c->count == c->room) {
        c->room = 2 * c->room + 256;
        c->samples = mem_resize(c->samples, c->room, sizeof *c->samples);
    }
    c->samples[c->count++] = (struct sample){.time_ms = time_ms, .value = value};
    return 0;
}

static int by_time(const void *a, const void *b)
{
    const struct sample *const x = a, *const y = b;
    return (x->time_ms > y->time_ms) - (x->time_ms < y->time_ms);
}

/* Files are sorted nearly always, and sorting must not reorder equal times. */
static void column_sort(struct column *c)
{
    for (size_t i = 1; i < c->count; i++)
        if (c->samples[i].time_ms < c->samples[i - 1].time_ms) {
            qsort(c->samples, c->count, sizeof *c->samples, by_time);
            return;
        }
}

/* Moves each so that its last value stands where the last of all does. */
static void columns_end_together(struct columns *all)
{
    int64_t last_ms = INT64_MIN;
    for (size_t i = 0; i < all->count; i++) {
        const struct column *const c = &all->column[i];
        if (c->count && c->samples[c->count - 1].time_ms > last_ms)
            last_ms = c->samples[c->count - 1].time_ms;
    }
    for (size_t i = 0; i < all->count; i++) {
        struct column *const c = &all->column[i];
        const int64_t by_ms = c->count ? last_ms - c->samples[c->count - 1].time_ms : 0;
        for (size_t k = 0; k < c->count; k++)
            c->samples[k].time_ms += by_ms;
    }
}

/* step_ms of 0: found. */
static int grid_of(const struct columns *all, const struct zone *wanted, int64_t step_ms,
                   struct grid *out, struct err *err)
{
    const struct column *longest = NULL;
    int64_t first_ms = INT64_MAX, last_ms = INT64_MIN;
    for (size_t i = 0; i < all->count; i++) {
        const struct column *const c = &all->column[i];
        if (c->count == 0)
            continue;
        if (!longest || c->count > longest->count)
            longest = c;
        if (c->samples[0].time_ms < first_ms)
            first_ms = c->samples[0].time_ms;
        if (c->samples[c->count - 1].time_ms > last_ms)
            last_ms = c->samples[c->count - 1].time_ms;
    }
    if (longest && step_ms == 0)
        step_ms = grid_step_of(longest->samples, longest->count);
    if (!longest || step_ms == 0)
        return err_set(
            err, ERR_INVALID,
            "holds no step: at least two samples of a series at different times "
            "are needed");
    /* Days and weeks begin where they do in the zone. */
    const struct zone *const zone = step_ms % DAY_MS ? NULL : wanted;
    const int64_t start_ms = grid_floor_in(zone, first_ms, step_ms);
    const int64_t last_start_ms = grid_floor_in(zone, last_ms, step_ms);
    const size_t rows =
        (size_t)grid_steps_between(zone, start_ms, last_start_ms, step_ms) + 1;
    if (grid_init(out, start_ms, step_ms, rows, all->count, err))
        return -1;
    out->zone = zone;
    for (size_t i = 0; i < all->count; i++) {
        grid_name(out, i, all->column[i].name);
        grid_fill(out, i, all->column[i].samples, all->column[i].count, AGGREGATE_MEAN);
    }
    return 0;
}

int csv_grid_read(const char *path, const struct csv_options *options, struct grid *out,
                  struct err *err)
{
    struct columns all = {0};
    const struct csv_sink sink = {on_series, on_sample, &all};
    int result = -1;
    if (csv_read_file(strcmp(path, "-") == 0 ? "/dev/stdin" : path, options, &sink, err))
        goto out;
    for (size_t i = 0; i < all.count; i++)
        column_sort(&all.column[i]);
    if (options->form == CSV_ROWS)
        columns_end_together(&all);
    result = grid_of(&all, options->zone,
                     options->form == CSV_ROWS ? options->step_ms : 0, out, err);
    if (result)
        err_prefix(err, "%s", path);
out:
    columns_fini(&all);
    return result;
}
