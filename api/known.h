/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * known.h -- what a forecaster knows in advance: its part of the definition, statements as
 * clients send them, and both as the covariates of a grid.
 *
 *     "zone": "Europe/Berlin", "calendar": ["hour", "weekday"], "holidays": "DE",
 *     "covariates": ["load"], "covariates_missing": "hold"
 */
#ifndef KNOWN_H
#define KNOWN_H

#include <jansson.h>

#include "api/api.h"

/* ---- in the definition ------------------------------------------------------------- */

int known_read(const json_t *body, struct forecaster *forecaster, struct err *err);
void known_fini(struct forecaster *forecaster);
void known_write(const struct forecaster *forecaster, json_t *body);

/* The rule for a covariate's name: as a forecaster's, and not "calendar....". */
int known_name_check(const char *name, struct err *err);

/* ---- statements -------------------------------------------------------------------- */

/*
 * {"from", "to", "otherwise", "known", "zone", "values": [{"from", "to", "value"}]}, or
 * with "step" and "values": [1, 2, null] from `from` on; steps of whole days are days of
 * the zone.  Refusals say place.field; known
 * is taken from a statement that is to be stored (now_ms where it does not say), and is
 * no field of another (now_ms 0).  Free out->spans.
 */
int known_statement_read(const json_t *object, const char *place, int64_t now_ms,
                         struct covariate_statement *out, struct err *err);
/* The same fields, known as a time or "always". */
json_t *known_statement_json(const struct covariate_statement *statement);

/* ---- for a grid -------------------------------------------------------------------- */

/* What a request supposes instead of what is known. */
struct known_override {
    const char *name; /* of the definition's covariates */
    struct covariate_statement statement;
};

/*
 * Gives a grid the covariates of a definition, for its rows and a horizon after them, of
 * what had arrived at as_of_ms; all of that counts as known at the grid's end.
 * ERR_CONFLICT names a covariate that is not there.  store NULL: overrides alone, which
 * then were always known.
 */
int known_add(const struct forecaster *forecaster, struct store *store, int64_t as_of_ms,
              const struct known_override *overrides, size_t count, struct grid *grid,
              struct err *err);

#endif
