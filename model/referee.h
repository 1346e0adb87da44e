/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * referee.h -- lets candidates forecast the same origins, and says who serves where.
 *
 * The rule, per series and bucket of the horizon: candidates come forward from the
 * simplest on, and one displaces the champion so far only if over the origins both
 * forecast the mean difference of their absolute errors is below minus two standard
 * errors, and if no simpler candidate at all did better than it.  (Of one that did not
 * displace the champion no more is asked: were it, every poor and erratic candidate in
 * the table would shield the simplest from a good one.)  Errors are counted in units of
 * the seasonal naive's on the fit part; the standard error, and what the other series of
 * a fleet contribute to the difference, stand in model/duel.h.
 *
 * A duel between candidates without training can be heard over all history, one with
 * a trained candidate only after its own fit and stop parts: call referee_hear() for
 * each part with those who may take part.
 *
 * One row after the last series speaks for series nobody judged: what the fleet says, or
 * of fewer than FLEET_LEAST series the mean difference against the mean of their margins.
 */
#ifndef REFEREE_H
#define REFEREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/candidate.h"
#include "model/conformal.h"
#include "model/duel.h"
#include "model/follow.h"
#include "model/score.h"
#include "model/model.h"
#include "model/pulse.h"
#include "model/windows.h"

/* What a hearing is for; any sum of them. */
enum {
    HEAR_DUEL = 1,   /* compare candidates */
    HEAR_SCORE = 2,  /* add point errors to the scores */
    HEAR_FOLLOW = 4, /* bands follow the candidates through the part */
    HEAR_BANDS = 8,  /* add coverage and pinball losses of these bands to the scores */
};

/* Who serves a series in a bucket, and who if the trained candidate cannot. */
struct verdict {
    unsigned char champion, fallback;
    double skill; /* 1 - MAE / MAE of seasonal_naive, NAN where unknown */
};

struct referee {
    const struct panel *panel;
    size_t P, series, knots;
    size_t spread_rows; /* model/spread.h */

    struct duel *duels;           /* (pair, series, bucket) */
    struct fleet *fleets;         /* (pair, bucket) */
    double *unit;                 /* (series) in which errors are compared */
    struct score *scores;         /* (candidate, series, bucket) */
    struct follow *follow;        /* (candidate, series) */
    struct follow_common *common; /* (candidate, group) */
    double seconds[CANDIDATES];   /* spent forecasting */
};

/* Candidates without training will be heard from row 0 on, trained ones from
 * trained_from, the parts in order of time. */
int referee_init(struct referee *referee, const struct panel *panel, size_t P,
                 size_t season, size_t trained_from, struct err *err);
void referee_fini(struct referee *referee);

/* Candidates of `mask` forecast the windows, whose neighbours are `stride` rows apart.
 * An unknown bit of the mask is a bug: bit i is candidate i.
 * ERR_CANCELLED through pulse, ERR_NO_MEMORY. */
int referee_hear(struct referee *referee, const struct candidate_task *task,
                 const struct windows *windows, size_t stride, unsigned mask,
                 unsigned what, struct pulse *pulse, struct err *err);

/* (series + 1, MODEL_BUCKETS) verdicts among the candidates of mask, without skill. */
void referee_decide(const struct referee *referee, unsigned mask, struct verdict *out);

/* Fills in their skill from the scores. */
void referee_skills(const struct referee *referee, struct verdict *verdicts);

/* Share of actuals inside the 80 % band; NAN where none was heard. */
double referee_coverage(const struct referee *referee, int candidate, size_t series,
                        int bucket);

/*
 * Bands of one candidate as they stand at the end, in units of the spread before an origin
 * (model/spread.h) times scale[series] (NULL: 1).  Row `series` is fitted on residuals of
 * all series; a series without residuals gets its offsets.
 */
int referee_bands(struct referee *referee, int candidate, const double *scale,
                  struct bands *bands, struct err *err);

/* Figures of every candidate of mask and of the champion: per bucket, then whole.
 * Returns their number; figures has room for (CANDIDATES + 1) x (MODEL_BUCKETS + 1). */
size_t referee_figures(const struct referee *referee, unsigned mask,
                       const struct verdict *verdicts, const double *scale,
                       struct model_figure *figures);

#endif
