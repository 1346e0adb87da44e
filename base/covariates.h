/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * covariates.h -- what is known in advance of the steps of a grid.
 *
 * A covariate is a number for every step, past and to come: a planned load, whether a
 * day is a holiday.  It is no observation: it arrives before its time, as statements,
 * each about a stretch of time and known from some instant on.  What a step's value was
 * is therefore asked as of an *origin*, the step at whose beginning a forecast is made:
 *
 *     statement              about [from, to), known since known_ms
 *     value of a step        mean over the step, weighted by time, by the newest
 *                            statement about each part of it; NaN where a part of the
 *                            step has none
 *     value as of an origin  the same without statements that came after its beginning
 *
 * Columns of one group (the seven days of a week) are used together or not at all.  Row
 * i of the columns is row i of the grid they belong to, and they go on past its end.
 * Read-only once made; any thread may read.
 */
#ifndef COVARIATES_H
#define COVARIATES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    COVARIATES_MAX = 32, /* columns */
    COVARIATE_NAME_MAX = 64,
    COVARIATE_SPANS_MAX = 1 << 16, /* of a statement */
};

/* A value past this, either way, is no plan: its square would be no number.  It counts as
 * missing. */
#define COVARIATE_VALUE_MOST 1e100

/* Known before everything: a calendar's facts. */
#define KNOWN_ALWAYS INT64_MIN

struct covariate_span {
    int64_t from_ms, to_ms;
    double value; /* NaN: not known */
};

struct covariate_statement {
    int64_t from_ms, to_ms; /* what it is about */
    int64_t known_ms;
    double otherwise; /* where no span is; NaN: not known */
    size_t count;
    struct covariate_span *spans; /* ascending, apart, inside [from, to) */
};

/* ERR_INVALID names the member that breaks a rule: "spans[3].to: ...". */
int covariate_check(const struct covariate_statement *statement, struct err *err);

/* What stands for a value that is missing. */
enum covariate_gap {
    GAP_ERROR, /* nothing: NaN */
    GAP_HOLD,  /* the last value before it that is known */
    GAP_ZERO,
};
/* "error", "hold", "zero"; -1 for any other word. */
int covariate_gap_parse(const char *word);
const char *covariate_gap_word(enum covariate_gap gap);

struct covariates;

/* None yet, for the rows of a grid and `ahead` more. */
struct grid;
struct covariates *covariates_new(const struct grid *grid, size_t ahead)
    __attribute__((warn_unused_result));
void covariates_free(struct covariates *covariates);

/*
 * Adds a column made of count statements, which may overlap; of two that were known at
 * the same instant the later in the list is the newer.  ERR_INVALID past COVARIATES_MAX
 * columns or for a name that is taken, ERR_NO_MEMORY.
 */
int covariates_add(struct covariates *covariates, const char *name, const char *group,
                   const struct covariate_statement *statements, size_t count,
                   struct err *err);
/* Adds a column that was always known: values of all rows, NaN missing. */
int covariates_add_always(struct covariates *covariates, const char *name,
                          const char *group, const double *values, struct err *err);

/* Those of the rows from `from` on, as a grid's slice wants them. */
struct covariates *covariates_slice(const struct covariates *covariates, size_t from)
    __attribute__((warn_unused_result));

size_t covariates_count(const struct covariates *covariates); /* 0 for NULL */
size_t covariates_rows(const struct covariates *covariates);
/* The instant in the middle of a row. */
int64_t covariates_middle_ms(const struct covariates *covariates, size_t row);
const char *covariates_name(const struct covariates *covariates, size_t column);
const char *covariates_group(const struct covariates *covariates, size_t column);
/* Index of a name, or the count. */
size_t covariates_find(const struct covariates *covariates, const char *name);

/* A row's value as of an origin; rows past the end are missing, and so is everything
 * before the first row. */
double covariates_at(const struct covariates *covariates, size_t column, size_t row,
                     size_t origin, enum covariate_gap gap);
/* The values of `steps` rows from an origin on, as of that origin. */
void covariates_ahead(const struct covariates *covariates, size_t column, size_t origin,
                      size_t steps, enum covariate_gap gap, double *out);

/* Feeds everything they are to a hash. */
void covariates_each_byte(const struct covariates *covariates,
                          void (*take)(void *ctx, const void *bytes, size_t len),
                          void *ctx);

#endif
