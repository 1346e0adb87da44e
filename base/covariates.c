/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A column is a list of versions, by row and then by when each was known; a row seldom
 * has more than one.
 */
#include "base/covariates.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/grid.h"
#include "base/mem.h"
#include "base/time.h"

/* What a row's value was from an origin on. */
struct version {
    int32_t origin; /* the first that knows it; below 0 where it comes from a slice */
    double value;
};

struct column {
    char *name, *group;
    uint32_t *first;          /* (rows + 1) */
    struct version *versions; /* (first[rows]) */
};

struct covariates {
    size_t rows, count;
    int64_t *begin_ms; /* (rows + 1): of each row, and the end of the last */
    struct column column[COVARIATES_MAX];
};

/* ---- statements -------------------------------------------------------------------- */

/* "...: RULE, got INSTANT" about a member of the i-th span. */
static int refuse_time(size_t i, const char *member, const char *rule, int64_t time_ms,
                       struct err *err)
{
    char got[TIME_TEXT_SIZE];
    return err_set(err, ERR_INVALID, "values[%zu]%s: %s, got %s", i, member, rule,
                   time_format(time_ms, got));
}

static int check_span(const struct covariate_statement *s, size_t i, struct err *err)
{
    const struct covariate_span *const span = &s->spans[i];
    if (isinf(span->value))
        return err_set(err, ERR_INVALID, "values[%zu].value: must be finite, got %g", i,
                       span->value);
    if (span->from_ms >= span->to_ms)
        return refuse_time(i, ".to", "must be after from", span->to_ms, err);
    if (span->from_ms < s->from_ms || span->to_ms > s->to_ms)
        return refuse_time(i, "", "must lie within from and to",
                           span->from_ms < s->from_ms ? span->from_ms : span->to_ms, err);
    if (i > 0 && span->from_ms < span[-1].to_ms)
        return refuse_time(i, ".from", "must not be before the end of the one before it",
                           span->from_ms, err);
    return 0;
}

int covariate_check(const struct covariate_statement *s, struct err *err)
{
    char got[TIME_TEXT_SIZE];
    if (s->from_ms >= s->to_ms)
        return err_set(err, ERR_INVALID, "to: must be after from, got %s",
                       time_format(s->to_ms, got));
    if (isinf(s->otherwise))
        return err_set(err, ERR_INVALID, "otherwise: must be finite, got %g",
                       s->otherwise);
    for (size_t i = 0; i < s->count; i++)
        if (check_span(s, i, err))
            return -1;
    return 0;
}

static const char *const gaps[] = {
    [GAP_ERROR] = "error", [GAP_HOLD] = "hold", [GAP_ZERO] = "zero"};

int covariate_gap_parse(const char *word)
{
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++)
        if (strcmp(word, gaps[i]) == 0)
            return (int)i;
    return -1;
}

const char *covariate_gap_word(enum covariate_gap gap)
{
    return gaps[gap];
}

/* ---- columns ----------------------------------------------------------------------- */

static struct covariates *empty(size_t rows)
{
    struct covariates *const c = mem_new(1, sizeof *c);
    assert(rows < INT32_MAX);
    c->rows = rows;
    c->begin_ms = mem_new(rows + 1, sizeof *c->begin_ms);
    return c;
}

struct covariates *covariates_new(const struct grid *grid, size_t ahead)
{
    struct covariates *const c = empty(grid->rows + ahead);
    for (size_t row = 0; row <= c->rows; row++)
        c->begin_ms[row] = grid_time_ms(grid, row);
    return c;
}

static void column_fini(struct column *column)
{
    free(column->name);
    free(column->group);
    free(column->first);
    free(column->versions);
}

void covariates_free(struct covariates *covariates)
{
    if (!covariates)
        return;
    for (size_t i = 0; i < covariates->count; i++)
        column_fini(&covariates->column[i]);
    free(covariates->begin_ms);
    free(covariates);
}

/* The first row, the end among them, that begins at an instant or after it; one more
 * where none does. */
static size_t row_from(const struct covariates *c, int64_t time_ms)
{
    size_t low = 0, high = c->rows + 1;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (c->begin_ms[middle] < time_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The row in which an instant lies, or the first. */
static size_t row_with(const struct covariates *c, int64_t time_ms)
{
    const size_t from = row_from(c, time_ms);
    const bool begins = from <= c->rows && c->begin_ms[from] == time_ms;
    return from > 0 && !begins ? from - 1 : from;
}

/* ---- from statements to versions --------------------------------------------------- */

/* Versions as they come: by when they were known, not by row. */
struct coming {
    struct arrival {
        uint32_t row;
        struct version version;
    } * list;
    size_t count, room;
    double *newest; /* (rows): the value after those so far */
};

static struct coming coming_new(size_t rows)
{
    struct coming coming = {.newest = mem_new(rows + 1, sizeof(double))};
    for (size_t row = 0; row < rows; row++)
        coming.newest[row] = NAN;
    return coming;
}

static int64_t overlap_ms(int64_t from, int64_t to, int64_t low, int64_t high)
{
    from = from > low ? from : low;
    to = to < high ? to : high;
    return to > from ? to - from : 0;
}

/* A version that says what the one before it said is none. */
static void come(struct coming *coming, size_t row, int32_t origin, double said)
{
    const double value = fabs(said) <= COVARIATE_VALUE_MOST ? said : (double)NAN;
    const double newest = coming->newest[row];
    if (value == newest || (isnan(value) && isnan(newest)))
        return;
    if (coming->count == coming->room) {
        coming->room = 2 * coming->room + 1024;
        coming->list = mem_resize(coming->list, coming->room, sizeof *coming->list);
    }
    coming->list[coming->count++] = (struct arrival){(uint32_t)row, {origin, value}};
    coming->newest[row] = value;
}

/* One statement on one step, whose first span that may touch it is *span. */
static double mean_of_step(const struct covariate_statement *s, int64_t low, int64_t high,
                           double before, size_t *span)
{
    const double length = (double)(high - low);
    int64_t stated = overlap_ms(s->from_ms, s->to_ms, low, high);
    double sum = stated < high - low ? before * (length - (double)stated) : 0;
    while (*span < s->count && s->spans[*span].to_ms <= low)
        ++*span;
    for (size_t i = *span; i < s->count && s->spans[i].from_ms < high; i++) {
        const int64_t part =
            overlap_ms(s->spans[i].from_ms, s->spans[i].to_ms, low, high);
        sum += s->spans[i].value * (double)part;
        stated -= part;
    }
    return stated > 0 ? (sum + s->otherwise * (double)stated) / length : sum / length;
}

static void state(const struct covariates *c, struct coming *coming,
                  const struct covariate_statement *s)
{
    const int32_t origin = (int32_t)row_from(c, s->known_ms);
    size_t span = 0;
    for (size_t row = row_with(c, s->from_ms); row < c->rows; row++) {
        const int64_t low = c->begin_ms[row], high = c->begin_ms[row + 1];
        if (low >= s->to_ms)
            break;
        come(coming, row, origin, mean_of_step(s, low, high, coming->newest[row], &span));
    }
}

static int by_known(const void *a, const void *b)
{
    const struct covariate_statement *const *const x = a, *const *const y = b;
    if ((*x)->known_ms != (*y)->known_ms)
        return (*x)->known_ms < (*y)->known_ms ? -1 : 1;
    return (*x > *y) - (*x < *y);
}

/* Versions in the order they came, sorted by row without changing it otherwise. */
static int settle(struct column *column, size_t rows, const struct coming *coming)
{
    column->first = mem_try(rows + 1, sizeof *column->first);
    column->versions = mem_try(coming->count + 1, sizeof *column->versions);
    if (!column->first || !column->versions || coming->count > UINT32_MAX)
        return -1;
    for (size_t i = 0; i < coming->count; i++)
        column->first[coming->list[i].row + 1]++;
    for (size_t row = 0; row < rows; row++)
        column->first[row + 1] += column->first[row];
    for (size_t i = coming->count; i-- > 0;) { /* from each row's end to its beginning */
        const struct arrival *const a = &coming->list[i];
        column->versions[--column->first[a->row + 1]] = a->version;
    }
    /* Now first[row + 1] is where row begins. */
    memmove(column->first, column->first + 1, rows * sizeof *column->first);
    column->first[rows] = (uint32_t)coming->count;
    return 0;
}

static struct column *column_new(struct covariates *c, const char *name,
                                 const char *group, struct err *err)
{
    if (c->count == COVARIATES_MAX) {
        err_set(err, ERR_INVALID, "covariates: must be at most %d columns",
                COVARIATES_MAX);
        return NULL;
    }
    if (covariates_find(c, name) < c->count) {
        err_set(err, ERR_INVALID, "covariates: must not be named twice: %s", name);
        return NULL;
    }
    struct column *const column = &c->column[c->count];
    *column = (struct column){.name = mem_text(name), .group = mem_text(group)};
    return column;
}

static int take_column(struct covariates *c, struct column *column,
                       const struct coming *coming, struct err *err)
{
    if (settle(column, c->rows, coming) == 0) {
        c->count++;
        return 0;
    }
    column_fini(column);
    return err_set(err, ERR_NO_MEMORY, "covariates: no memory for %zu steps", c->rows);
}

int covariates_add(struct covariates *c, const char *name, const char *group,
                   const struct covariate_statement *statements, size_t count,
                   struct err *err)
{
    struct column *const column = column_new(c, name, group, err);
    if (!column)
        return -1;
    const struct covariate_statement **const order = mem_new(count + 1, sizeof *order);
    struct coming coming = coming_new(c->rows);
    for (size_t i = 0; i < count; i++)
        order[i] = &statements[i];
    qsort(order, count, sizeof *order, by_known);
    for (size_t i = 0; i < count; i++)
        state(c, &coming, order[i]);
    const int rc = take_column(c, column, &coming, err);
    free(coming.list);
    free(coming.newest);
    free(order);
    return rc;
}

int covariates_add_always(struct covariates *c, const char *name, const char *group,
                          const double *values, struct err *err)
{
    struct column *const column = column_new(c, name, group, err);
    if (!column)
        return -1;
    struct coming coming = coming_new(c->rows);
    for (size_t row = 0; row < c->rows; row++)
        come(&coming, row, 0, values[row]);
    const int rc = take_column(c, column, &coming, err);
    free(coming.list);
    free(coming.newest);
    return rc;
}

struct covariates *covariates_slice(const struct covariates *c, size_t from)
{
    if (!c)
        return NULL;
    const size_t skip = from < c->rows ? from : c->rows;
    struct covariates *const out = empty(c->rows - skip);
    memcpy(out->begin_ms, c->begin_ms + skip, (out->rows + 1) * sizeof *out->begin_ms);
    out->count = c->count;
    for (size_t k = 0; k < c->count; k++) {
        const struct column *const in = &c->column[k];
        struct column *const to = &out->column[k];
        const uint32_t base = in->first[skip], count = in->first[c->rows] - base;
        *to = (struct column){.name = mem_text(in->name),
                              .group = mem_text(in->group),
                              .first = mem_new(out->rows + 1, sizeof *to->first),
                              .versions = mem_new(count + 1, sizeof *to->versions)};
        for (size_t row = 0; row <= out->rows; row++)
            to->first[row] = in->first[skip + row] - base;
        for (uint32_t i = 0; i < count; i++) {
            struct version version = in->versions[base + i];
            version.origin -= (int32_t)skip;
            to->versions[i] = version;
        }
    }
    return out;
}

/* ---- reading ----------------------------------------------------------------------- */

size_t covariates_count(const struct covariates *c)
{
    return c ? c->count : 0;
}

size_t covariates_rows(const struct covariates *c)
{
    return c ? c->rows : 0;
}

int64_t covariates_middle_ms(const struct covariates *c, size_t row)
{
    assert(row < c->rows);
    return c->begin_ms[row] + (c->begin_ms[row + 1] - c->begin_ms[row]) / 2;
}

const char *covariates_name(const struct covariates *c, size_t column)
{
    assert(column < c->count);
    return c->column[column].name;
}

const char *covariates_group(const struct covariates *c, size_t column)
{
    assert(column < c->count);
    return c->column[column].group;
}

size_t covariates_find(const struct covariates *c, const char *name)
{
    size_t k = 0;
    while (k < covariates_count(c) && strcmp(c->column[k].name, name))
        k++;
    return k;
}

/* The newest version that an origin knows. */
static double known(const struct covariates *c, size_t column, size_t row, size_t origin)
{
    if (row >= c->rows)
        return (double)NAN;
    const struct column *const k = &c->column[column];
    for (uint32_t i = k->first[row + 1]; i > k->first[row]; i--)
        if (k->versions[i - 1].origin <= (int64_t)origin)
            return k->versions[i - 1].value;
    return (double)NAN;
}

/* The last one before a row that is known; NaN where there is none. */
static double held(const struct covariates *c, size_t column, size_t row, size_t origin)
{
    double value = (double)NAN;
    while (isnan(value) && row-- > 0)
        value = known(c, column, row, origin);
    return value;
}

double covariates_at(const struct covariates *c, size_t column, size_t row, size_t origin,
                     enum covariate_gap gap)
{
    const double value = known(c, column, row, origin);
    if (!isnan(value) || gap == GAP_ERROR)
        return value;
    return gap == GAP_ZERO ? 0 : held(c, column, row, origin);
}

void covariates_ahead(const struct covariates *c, size_t column, size_t origin,
                      size_t steps, enum covariate_gap gap, double *out)
{
    for (size_t j = 0; j < steps; j++) {
        out[j] = known(c, column, origin + j, origin);
        if (isnan(out[j]) && gap == GAP_ZERO)
            out[j] = 0;
        else if (isnan(out[j]) && gap == GAP_HOLD)
            out[j] = j > 0 ? out[j - 1] : held(c, column, origin, origin);
    }
}

void covariates_each_byte(const struct covariates *c,
                          void (*take)(void *ctx, const void *bytes, size_t len),
                          void *ctx)
{
    take(ctx, c->begin_ms, (c->rows + 1) * sizeof *c->begin_ms);
    for (size_t k = 0; k < c->count; k++) {
        const struct column *const column = &c->column[k];
        take(ctx, column->name, strlen(column->name));
        take(ctx, column->group, strlen(column->group));
        take(ctx, column->first, (c->rows + 1) * sizeof *column->first);
        for (uint32_t i = 0; i < column->first[c->rows]; i++) {
            /* field by field: what pads them is no part of them */
            take(ctx, &column->versions[i].origin, sizeof column->versions[i].origin);
            take(ctx, &column->versions[i].value, sizeof column->versions[i].value);
        }
    }
}
