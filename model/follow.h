/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * follow.h -- bands that follow one forecaster of one series through time.
 *
 * The walk: at every origin, oldest first, follow_mature() takes in what has become
 * known before it, then follow_settle() what this says of all series that share bands,
 * then follow_offset() says how wide the bands are now, then follow_add() puts the
 * origin's own residuals (actual - forecast) aside until their targets have passed.  So
 * a band at row t rests on targets in rows before t, whatever is handed in.  A bucket of
 * the horizon matures as a whole.
 *
 * Residuals are in whatever unit the caller keeps to: the referee's is the spread before
 * the origin (model/spread.h).
 *
 * An offset is an order statistic of the matured residuals at its step (conformal.h)
 * times exp(widening) of its bucket, the series' own and that of all it was forecast with.
 * The widening follows what the bands miss, which is what makes them hold where errors
 * grow or shrink, or where there are few of them: for every origin that matures, before
 * its residuals are taken in,
 *
 *     own    += RATE x share x (missed - 0.2)
 *     common += RATE x share x (missed - 0.2), over its series, summed
 *
 * where missed is the part of its actuals outside the 80 % band as it stands, and share
 * is the least of 1, the rows since the origin before over those to the end of the
 * bucket (or 24, if that is more), and an eighth of the number of actuals: as much as is
 * new in them.  Of more than SERIES_MOST series the sum counts as if of so many.
 * A long horizon matures so seldom that one series alone learns late that the times have
 * changed; several that live through them together learn it sooner.
 * (Adaptive conformal inference: Gibbs, Candes 2021; on the scale itself, as the
 * quantile tracking of Angelopoulos, Candes, Tibshirani 2023, because with few
 * residuals there is no higher rank to go to.)
 *
 * Origins whose targets overlap say little new: LOOKS of them for each length of the
 * bucket's end are counted in the finite-sample correction of the rank.
 *
 * Owned by one thread.  Kept are the newest `kept` origins, `spacing` rows apart.
 */
#ifndef FOLLOW_H
#define FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/conformal.h"
#include "model/model.h"

/* What the series of one group (of a joint model all, else one) have in common. */
struct follow_common {
    double series;             /* how many */
    double due[MODEL_BUCKETS]; /* matured, not yet settled */
    double widening[MODEL_BUCKETS];
    double factor[MODEL_BUCKETS]; /* exp(widening) */
};

struct follow {
    size_t P, knots, kept, spacing;
    size_t reach;                /* a residual serves so many knots on both sides, too */
    size_t begun;                /* origins put aside so far */
    size_t known[MODEL_BUCKETS]; /* of them matured */
    double widening[MODEL_BUCKETS]; /* its own */
    double factor[MODEL_BUCKETS];   /* exp(widening) */
    struct follow_common *common;   /* borrowed */
    unsigned char *bucket;          /* (knots); owned, and all below */
    size_t *count;                  /* (knots) numbers in the lists */
    uint32_t *row;                  /* (kept) */
    float *residuals;               /* (kept, knots), NaN missing */
    float *sorted;                  /* (knots, kept (2 reach + 1)) */
};

/*
 * Rows between the origins to keep so that `kept` of them span `rows` (all of them if
 * there are fewer), and that none is dropped before it matured; no divisor in common
 * with the season, lest they always stand at the same hours.
 */
size_t follow_spacing(size_t rows, size_t P, size_t season, size_t kept);

void follow_common_init(struct follow_common *common, size_t series);

/* `common` is that of its group.  false: no memory. */
bool follow_init(struct follow *follow, struct follow_common *common, size_t P,
                 size_t kept, size_t spacing);
void follow_fini(struct follow *follow);

/* Takes in what was known before `row`. */
void follow_mature(struct follow *follow, size_t row);

/* Once all series of a group matured: no band depends on their order. */
void follow_settle(struct follow_common *common);

/* Puts the residuals (knots) of the origin `row` aside.  follow_mature(row) went before.
 * Does nothing for an origin that is too near to the last one. */
void follow_add(struct follow *follow, size_t row, const float *residuals);

/* Whether anything is known of knot k; before that offsets are 0. */
bool follow_ready(const struct follow *follow, size_t k);

/* What to add to the point forecast at knot k for one of the levels of conformal.h. */
double follow_offset(const struct follow *follow, size_t k, int level);

/* The bands as they stand, times scale, as one row; returns whether anything is known of
 * every knot.  If not, the row is as it was. */
bool follow_bands(const struct follow *follow, struct bands *bands, size_t series,
                  double scale);

#endif
