/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reading.h -- a forecaster's series as a grid.
 */
#ifndef READING_H
#define READING_H

#include "api/api.h"

/* What there is of a forecaster's series. */
struct extent {
    struct store_names names;
    int64_t newest_ms; /* the newest sample at or before as_of_ms */
    int64_t end_ms;    /* of the last complete step */
    size_t rows;       /* steps from the first sample, or of `history`, to there */
};

void extent_fini(struct extent *extent);

/* ERR_CONFLICT when no series matches or none has a complete step. */
int extent_read(const struct forecaster *forecaster, struct store *store,
                int64_t as_of_ms, struct extent *out, struct err *err);

/* The last rows steps of the extent; what lies before the first sample is missing.  Only
 * the series called `only`, unless that is NULL; ERR_NOT_FOUND when it is not there. With
 * the forecaster's covariates, but for count that are supposed (known.h). */
struct known_override;
int extent_grid(const struct forecaster *forecaster, struct store *store,
                int64_t as_of_ms, const struct extent *extent, size_t rows,
                const char *only, const struct known_override *overrides, size_t count,
                struct grid *out, struct err *err);

#endif
