/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * effect.h -- what is known in advance, as an effect on each series.
 *
 * As a season is taken out of a window before anything else and put back after
 * (model/rhythm.h), so is what covariates (base/covariates.h) do to a series: candidates
 * that look at more than a few last values see the series less the effect, and the
 * effect of what is known of the targets is added to what they answer.
 *
 *     effect[t] = sum over columns k, h of  beta[k,h] x_k[t] w_h[t]
 *
 * with w_0 = 1, and for columns that are "crossed" also the first two harmonics of the
 * season (cosine and sine), so that a holiday may empty the morning and not the night.
 * Coefficients are each series' own, in closed form: a series answers to a planned load
 * or does not, upwards or downwards.
 *
 * How they are found: of everything the difference to one season before is taken (one
 * step without a season), in which level and season are gone and a drifting level cannot
 * pass for an effect; then ridge regression.  Which groups of columns a series uses is
 * chosen on its own past: groups come forward, each time the one that helps most, fitted
 * on the first half of the rows and kept if on the second half the mean absolute error
 * fell by more than two standard errors, over stretches as long as the horizon in which
 * the group said anything.  There the covariate is read as it was known a horizon
 * earlier: one that always comes too late is never used.
 *
 * A row of the past is read as it was known when its step ended, a target as it was
 * known at the origin.
 */
#ifndef EFFECT_H
#define EFFECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/covariates.h"
#include "base/err.h"
#include "base/grid.h"
#include "model/panel.h"

enum { EFFECT_WAVES = 5 }; /* 1, and cosine and sine of two harmonics */

/* How a series uses a group. */
enum effect_use { EFFECT_UNUSED, EFFECT_PLAIN, EFFECT_CROSSED, EFFECT_USES };

struct effects {
    enum covariate_gap gap;
    size_t season, series, columns, groups;
    char *name[COVARIATES_MAX];             /* of the columns; owned, as all below */
    char *group[COVARIATES_MAX];            /* of the groups */
    unsigned char group_of[COVARIATES_MAX]; /* column to group */
    double known[COVARIATES_MAX]; /* share of the past known a horizon ahead, or NAN */
    unsigned char *use;           /* (series, groups) of effect_use */
    double *beta; /* (series, columns, EFFECT_WAVES), in the series' deviations */
};

/* Columns and groups of a grid's covariates, used by none of the series yet.  One
 * without columns where covariates is NULL. */
int effects_init(struct effects *effects, const struct covariates *covariates,
                 enum covariate_gap gap, size_t season, size_t series, struct err *err);
void effects_fini(struct effects *effects);

/* The groups that a series uses: bit g is group g. */
uint32_t effects_mask(const struct effects *effects, size_t series);

/* ---- reading ----------------------------------------------------------------------- */

/* Effects, and the grid whose covariates they are read from.  Of one thread at a time. */
struct effect_view {
    const struct effects *effects;       /* borrowed, as the next; NULL: there are none */
    const struct covariates *covariates; /* rows are the grid's */
    int64_t first_step;                  /* of row 0, in steps since 1970 */
    size_t place[COVARIATES_MAX];        /* where a column stands in covariates */
    double *wave;                        /* (season, EFFECT_WAVES) owned, as below */
    double *past; /* (columns, rows of the grid) as they passed, where it is asked for */
    bool there[COVARIATES_MAX];
    double *ahead;                              /* (columns, steps) from origins */
    size_t rows, steps, origin[COVARIATES_MAX]; /* the last: whose each column of it is */
    double *sum;                                /* (steps) */
};

/* steps: most that effect_ahead() will be asked for.  ERR_CONFLICT names a column that
 * the grid lacks and a series uses. */
int effect_view_init(struct effect_view *view, const struct effects *effects,
                     const struct grid *grid, size_t steps, struct err *err);
void effect_view_fini(struct effect_view *view);

/* The effect on a series at a row of the past; NaN where it is not known. */
double effect_past(struct effect_view *view, size_t series, size_t row);
/* The effects on `steps` targets from an origin on, borrowed until the next call. */
const double *effect_ahead(struct effect_view *view, size_t series, size_t origin,
                           size_t steps);
/* The first of `steps` targets whose effect is not known, and the column at fault; steps
 * where all are. */
size_t effect_missing(struct effect_view *view, size_t series, size_t origin,
                      size_t steps, const char **name);

/* out->z = panel's less the effect; the rest, and all of it where there are no effects,
 * is borrowed from panel. */
int effect_less(struct effect_view *view, const struct panel *panel, struct panel *out,
                struct err *err);
void effect_less_fini(struct panel *less, const struct panel *panel);
/* y (count,P,W) += the effect, from origins of panel. */
void effect_add(struct effect_view *view, const struct panel *panel,
                const struct origin *at, size_t count, size_t P, double *y);

/* ---- finding (effect_fit.c) --------------------------------------------------------- */

/* Which groups each series uses, and its coefficients, from rows [0, to) of a panel for
 * horizons of P steps. */
int effects_choose(struct effects *effects, struct effect_view *view,
                   const struct panel *panel, size_t P, size_t to, struct err *err);
/* All at once, for who judges: effects of a grid's covariates chosen from rows [0, to)
 * of its panel, a view of them, and the panel less them. */
int effects_begin(struct effects *effects, struct effect_view *view, struct panel *less,
                  const struct grid *grid, const struct panel *panel,
                  const struct model_spec *spec, size_t season, size_t to,
                  struct err *err);
/* The coefficients of what is used once more, from all rows. */
int effects_fit(struct effects *effects, struct effect_view *view,
                const struct panel *panel, size_t P, struct err *err);

/* A column in every row of the grid, as it was known when its step ended. */
const double *effect_column(struct effect_view *view, size_t column);

/* The values of the waves at a row. */
const double *effect_waves(const struct effect_view *view, size_t row);

#endif
