/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rhythm.h -- the season a series showed before an origin, taken out of its window.
 *
 * What a learnt table (model/cycle.h) is to a joint model, computed: one model for many
 * series can hold no table of each.  The mean of every phase over the last seasons, each
 * season less its own level and the slope from the first to the last of them; then made
 * smaller by the share of it that noise alone would show (positive-part James-Stein), so
 * that a series without this season keeps its window as it is:
 *
 *     step[k] = max(0, 1 - noise/signal) mean over seasons of phase k,   k = 0..season-1
 *
 * with signal the mean square of those means, noise the variance within the phases over
 * the seasons there are.  Phase 0 is that of the first target.  Only rows before the
 * origin are read, and no more than rhythm_rows() of them.
 */
#ifndef RHYTHM_H
#define RHYTHM_H

#include "base/err.h"
#include "base/real.h"
#include "model/model.h"
#include "model/panel.h"

struct rhythm {
    size_t season, seasons; /* steps; most that are looked at */
    double *step, *level;   /* (season) the result, (seasons); owned */
    size_t *seen;           /* (season), owned */
};

/* The season that is computed for a model's windows: 0 where none is. */
size_t rhythm_season(const struct model_spec *spec, size_t season);

/* Rows before an origin that are read: about a thousand, 4 to 28 seasons. */
size_t rhythm_rows(size_t season);

/* Used by one thread at a time.  A season of 0 makes one that changes nothing. */
int rhythm_init(struct rhythm *rhythm, size_t season, struct err *err);
void rhythm_fini(struct rhythm *rhythm);

/* Finds the rhythm of one series before an origin. */
void rhythm_find(struct rhythm *rhythm, const struct panel *panel, struct origin origin);

/* x (L), which ends before the origin, and target (P), which begins there, less it. */
void rhythm_remove_before(const struct rhythm *rhythm, real *x, size_t L);
void rhythm_remove_after(const struct rhythm *rhythm, real *target, size_t P);
/* y (P) with it again. */
void rhythm_restore(const struct rhythm *rhythm, double *y, size_t P);

#endif
