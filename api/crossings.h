/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crossings.h -- when series cross the thresholds of their forecaster, by the forecast of
 * now (model.h: from sample paths).
 */
#ifndef CROSSINGS_H
#define CROSSINGS_H

#include "api/serving.h"

enum { CROSSING_QUANTILES = 3 };

/* 0.1, 0.5, 0.9. */
extern const double crossing_quantiles[CROSSING_QUANTILES];

struct series_crossing {
    const char *series;
    size_t threshold; /* THRESHOLD_BELOW or THRESHOLD_ABOVE */
    double value;     /* of the threshold */
    bool crossed; /* it lies past it already: since from_ms, as far as is known here */
    double probability;                /* of crossing within the horizon */
    int64_t at_ms[CROSSING_QUANTILES]; /* when; 0: not within the horizon */
    size_t paths;                      /* that say so */
    struct crossing_record record;     /* how earlier answers came true */
};

/* Immutable once made. */
struct crossings {
    char forecaster[FORECASTER_NAME_MAX];
    int64_t model_id, from_ms, to_ms; /* of the targets */
    bool issued; /* the paths are of issued forecasts, else of the model on its history */
    struct threshold thresholds[THRESHOLDS];
    size_t count; /* crossed first, then soonest first */
    struct series_crossing *list;
    size_t unserved; /* series of which nothing can be said now */
    char why[160];   /* of the first of them */
    char **names;
    size_t name_count;

    int holds;
    struct crossings *next;
};

/* What was worked out last of each forecaster, as long as no new step has come. */
struct crossings_cache;
struct crossings_cache *crossings_cache_new(void) __attribute__((warn_unused_result));
void crossings_cache_free(struct crossings_cache *cache);

/* Held until crossings_put().  Without thresholds the list is empty.  NULL as
 * serving_get(); ERR_TOO_LARGE. */
const struct crossings *crossings_get(struct crossings_cache *cache,
                                      struct serving *serving, const char *forecaster,
                                      struct err *err)
    __attribute__((warn_unused_result));
void crossings_put(struct crossings_cache *cache, const struct crossings *crossings);

/* Calls each for every forecaster with thresholds that is wanted (wants NULL: all), by
 * name: with its crossings, or NULL and why there are none.  -1 only when there is no list
 * of forecasters. */
struct api;
typedef bool crossings_wanted(void *ctx, const char *forecaster);
typedef void crossings_function(void *ctx, const char *forecaster,
                                const struct crossings *crossings, const struct err *why);
int crossings_each(struct api *api, crossings_wanted *wants, crossings_function *each,
                   void *ctx, struct err *err);

/* The order of a list, over forecasters too. */
int crossing_compare(const struct series_crossing *a, const struct series_crossing *b);

#endif
