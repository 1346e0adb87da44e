/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * matured.h -- what was issued, laid beside what happened.
 *
 * Walks the ledger of a forecaster, oldest issue first, a UTC day of issues at a time,
 * each with the grid of what had arrived at `as_of`: complete steps only, as the models
 * see them.  An issue is read under the definition it was made with (its revision).
 */
#ifndef MATURED_H
#define MATURED_H

#include "api/api.h"

struct matured_issue {
    const struct store_issued
        *issued; /* of each series: the same issue, model, targets */
    size_t count;
    const struct grid *grid; /* what happened; NaN: nothing */
    const size_t *column;    /* (count) in the grid; SIZE_MAX: no such series any more */
    size_t origin;           /* the row of the first target, where it has come */
    size_t come;             /* targets that have come: rows from origin on */
    size_t season;           /* of the model, in steps; 0: the model is gone */
    const struct forecaster *definition;
};

struct matured_wish {
    const char *forecaster;
    const char *series;     /* one canonical name, or NULL: all */
    int64_t from_ms, to_ms; /* issued in [from, to) */
    int64_t as_of_ms;       /* nothing that came later counts, issues included */
    int64_t revision;       /* only issues of this one; 0: of any */
    int64_t model_id;       /* the same */
    bool whole;             /* only issues all of whose targets have come */
    size_t most;            /* thinned out evenly to at most so many; 0: all */
};

/* Non-zero ends the walk. */
typedef int matured_function(void *ctx, const struct matured_issue *issue,
                             struct err *err);

/* Calls each for every issue.  No issue is no error. */
int matured_each(struct store *store, const struct matured_wish *wish,
                 matured_function *each, void *ctx, struct err *err);

/* ERR_NOT_FOUND when there is no such forecaster, and none has issued anything. */
int matured_known(struct store *store, const char *forecaster, struct err *err);

#endif
