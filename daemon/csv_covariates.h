/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * csv_covariates.h -- what is known in advance, for a grid that came out of a file.
 *
 * The file has the form `wide` (base/csv.h), a column a covariate; a value holds until
 * the next, but no longer than one and a half of the usual distance between them.  All
 * of it counts as always known.
 */
#ifndef CSV_COVARIATES_H
#define CSV_COVARIATES_H

#include "base/csv.h"
#include "base/err.h"
#include "base/grid.h"
#include "base/holidays.h"
#include "base/zone.h"

struct csv_covariates {
    const char *file; /* NULL: none */
    unsigned parts;   /* of calendar.h */
    const struct holidays *holidays;
    const struct zone *zone;
};

/* Gives grid its covariates, for its rows and `ahead` steps after them; none where
 * nothing is asked for. */
int csv_covariates_read(const struct csv_covariates *from, size_t ahead,
                        struct grid *grid, struct err *err);

#endif
