/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * candidate.h -- everything that can forecast, behind one table.
 *
 * The table is ordered from the simplest: the referee lets a candidate serve only
 * where it beat those before it.  A candidate without training looks back at most
 * `tail` rows (profile and in_context: as far as they reach), so an answer never depends
 * on how much history a caller happens to hold.
 */
#ifndef CANDIDATE_H
#define CANDIDATE_H

#include <stdbool.h>
#include <stddef.h>

#include "model/panel.h"
#include "model/profile.h"

struct effect_view;
struct frwkv;

enum {
    CANDIDATE_NAIVE,
    CANDIDATE_SEASONAL_NAIVE,
    CANDIDATE_DRIFT,
    CANDIDATE_PROFILE,
    CANDIDATE_IN_CONTEXT,
    CANDIDATE_FRWKV,
    CANDIDATES
};

struct candidate_task {
    const struct panel *panel;
    size_t P, season, tail; /* steps; rows looked back at */
    /* One per column of the panel; NULL: profile_default for all. */
    const struct profile *profiles;
    const unsigned char *contexts; /* kinds of in_context.h; NULL: level for all */
    struct frwkv *frwkv;           /* NULL where nothing was trained */
    /* The panel less what covariates do to it, and where that is read; NULL: none. */
    const struct panel *less;
    struct effect_view *effect;
};

struct candidate {
    const char *name;
    bool trained, covariates; /* the second: it sees the panel less their effect */
    /* y (count,P,W), W = panel->width: forecasts from count origins; NaN where there
     * is nothing to forecast from. */
    void (*forecast)(const struct candidate_task *task, const struct origin *at,
                     size_t count, double *y);
};

extern const struct candidate candidates[CANDIDATES];

/* What a candidate answers, with the effect of covariates where it takes them. */
void candidate_forecast(int candidate, const struct candidate_task *task,
                        const struct origin *at, size_t count, double *y);

/* Index of a name, or -1; the message lists them. */
int candidate_find(const char *name, struct err *err);

/* The mask of candidates that need no training; bit i is candidate i. */
unsigned candidate_untrained(void);

/* Rows looked back at: a few seasons, so that gaps of whole seasons are bridged, and
 * one more than the horizon, so that drift has seen a slope for as long. */
size_t candidate_tail(size_t lookback, size_t season, size_t horizon);

/* The functions behind the table. */
void naive_forecast(const struct candidate_task *task, const struct origin *at,
                    size_t count, double *y);
void seasonal_forecast(const struct candidate_task *task, const struct origin *at,
                       size_t count, double *y);
void drift_forecast(const struct candidate_task *task, const struct origin *at,
                    size_t count, double *y);
void profile_forecast(const struct candidate_task *task, const struct origin *at,
                      size_t count, double *y);
void in_context_forecast(const struct candidate_task *task, const struct origin *at,
                         size_t count, double *y);
void frwkv_forecast(const struct candidate_task *task, const struct origin *at,
                    size_t count, double *y);

#endif
