/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/csv_covariates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/covariates.h"
#include "base/mem.h"

struct column {
    char *name;
    struct sample *samples;
    size_t count, room;
};

struct columns {
    struct column column[COVARIATES_MAX];
    size_t count;
};

static int on_series(void *ctx, size_t id, const char *name, struct err *err)
{
    struct columns *const all = ctx;
    if (id >= COVARIATES_MAX)
        return err_set(err, ERR_INVALID, "must have at most %d columns", COVARIATES_MAX);
    if (strlen(name) >= COVARIATE_NAME_MAX)
        return err_set(err, ERR_INVALID, "a name must be shorter than %d, got %.80s",
                       COVARIATE_NAME_MAX, name);
    all->column[id].name = mem_text(name);
    all->count = id + 1;
    return 0;
}

static int on_sample(void *ctx, size_t id, int64_t time_ms, double value, struct err *err)
{
    struct columns *const all = ctx;
    struct column *const c = &all->column[id];
    if (c->count > 0 && time_ms <= c->samples[c->count - 1].time_ms)
        return err_set(err, ERR_INVALID, "times must ascend");
    if (c->count == c->room) {
        c->room = 2 * c->room + 256;
        c->samples = mem_resize(c->samples, c->room, sizeof *c->samples);
    }
    c->samples[c->count++] = (struct sample){time_ms, value};
    return 0;
}

/* Each sample as a span; their number is the column's. */
static int add_column(struct covariates *covariates, const struct column *c,
                      struct err *err)
{
    const int64_t usual_ms = grid_step_of(c->samples, c->count);
    if (usual_ms == 0)
        return err_set(err, ERR_INVALID, "%s: must have at least two values", c->name);
    struct covariate_span *const spans = mem_new(c->count, sizeof *spans);
    for (size_t i = 0; i < c->count; i++) {
        const int64_t from_ms = c->samples[i].time_ms;
        const int64_t next_ms =
            i + 1 < c->count ? c->samples[i + 1].time_ms : from_ms + usual_ms;
        const bool near = next_ms - from_ms <= usual_ms + usual_ms / 2;
        spans[i] = (struct covariate_span){from_ms, near ? next_ms : from_ms + usual_ms,
                                           c->samples[i].value};
    }
    const struct covariate_statement statement = {.from_ms = spans[0].from_ms,
                                                  .to_ms = spans[c->count - 1].to_ms,
                                                  .known_ms = KNOWN_ALWAYS,
                                                  .otherwise = NAN,
                                                  .count = c->count,
                                                  .spans = spans};
    const int rc = covariates_add(covariates, c->name, c->name, &statement, 1, err);
    free(spans);
    return rc;
}

static int add_file(const struct csv_covariates *from, struct covariates *out,
                    struct err *err)
{
    struct columns *const all = mem_new(1, sizeof *all);
    const struct csv_options options = {.form = CSV_WIDE, .zone = from->zone};
    const struct csv_sink sink = {on_series, on_sample, all};
    int rc = csv_read_file(from->file, &options, &sink, err);
    for (size_t k = 0; rc == 0 && k < all->count; k++) {
        rc = add_column(out, &all->column[k], err);
        if (rc)
            err_prefix(err, "%s", from->file);
    }
    for (size_t k = 0; k < all->count; k++) {
        free(all->column[k].name);
        free(all->column[k].samples);
    }
    free(all);
    return rc;
}

int csv_covariates_read(const struct csv_covariates *from, size_t ahead,
                        struct grid *grid, struct err *err)
{
    if (!from->file && from->parts == 0 && !from->holidays)
        return 0;
    grid->covariates = covariates_new(grid, ahead);
    return calendar_add(grid->covariates, from->zone, from->parts, from->holidays, err) ||
                   (from->file && add_file(from, grid->covariates, err))
               ? -1
               : 0;
}
