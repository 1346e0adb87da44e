/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * serving.h -- published models in memory, and forecasts from them.
 */
#ifndef SERVING_H
#define SERVING_H

#include "api/api.h"
#include "api/calibration.h"
#include "api/known.h"

/* A published model with all that belongs to it.  Read-only while held. */
struct served {
    struct forecaster definition;
    struct model *model;
    int64_t revision, model_id, published_ms, watermark_ms;
    unsigned char hash[STORE_HASH_SIZE];
    struct calibration calibration; /* in force */

    /* serving.c's, under its lock */
    int holds;
    struct served *next;
    struct forecaster_work *idle[4]; /* work spaces nobody uses now */
    size_t idle_count;
};

/* The forecaster's newest model, held until serving_put().  NULL: ERR_NOT_FOUND (no such
 * forecaster), ERR_CONFLICT (no model yet: says what to do, or which job is at it). */
struct served *serving_get(struct serving *serving, const char *forecaster,
                           struct err *err) __attribute__((warn_unused_result));
void serving_put(struct serving *serving, struct served *served);

/* Frees a served of the caller's own, that no cache holds: definition, model, calibration,
 * work spaces. */
void served_fini(struct served *served);

/* A work space of a held model, made when none is idle, and back. */
struct forecaster_work *serving_work(struct serving *serving, struct served *served,
                                     struct err *err) __attribute__((warn_unused_result));
void serving_work_done(struct serving *serving, struct served *served,
                       struct forecaster_work *work);

/* Who keeps states, set once before anybody forecasts; NULL: nobody. */
struct keeping;
void serving_keep(struct serving *serving, struct keeping *keeping);
struct keeping *serving_keeping(const struct serving *serving);

struct store *serving_store(const struct serving *serving);
int64_t serving_now_ms(const struct serving *serving);

/* ---- one forecast (forecasting.c) -------------------------------------------------- */

struct forecast_series {
    char *name;
    bool served;
    char why[160];                        /* where it is not */
    char candidate[MODEL_BUCKETS][24];    /* "" where not known */
    double skill[MODEL_BUCKETS], missing; /* NAN where not known */
    uint32_t covariates; /* it rests on: bit i is number i of the forecast's */
    float *values;       /* steps x quantile_count */
    double *observed;    /* (steps) what happened, NAN: nothing; NULL: not asked for */
    unsigned char input_hash[STORE_HASH_SIZE];
};

struct forecast {
    char forecaster[FORECASTER_NAME_MAX];
    int64_t issue_id; /* 0: not in the ledger */
    int64_t revision, model_id, issued_ms;
    int64_t calibration;  /* 0: none */
    int64_t watermark_ms; /* the newest sample it could know; 0: not known */
    bool hash_known;
    unsigned char model_hash[STORE_HASH_SIZE];
    int64_t first_ms, step_ms;
    struct zone *zone; /* whose calendar the steps follow; owned, NULL: none */
    size_t steps;      /* of this forecast */
    size_t horizon;    /* of the model: its eighths bound the buckets */
    size_t quantile_count;
    double quantiles[MODEL_QUANTILES_MAX];
    size_t covariate_count;
    struct forecast_covariate {
        char name[COVARIATE_NAME_MAX];
        bool supposed;            /* by the request */
    } covariates[COVARIATES_MAX]; /* those of the model */
    size_t count;
    struct forecast_series *series;
};

void forecast_fini(struct forecast *forecast);

/* Takes over the zone of a definition. */
int forecast_zone(struct forecast *forecast, const struct forecaster *definition,
                  struct err *err);
/* When target `step` begins. */
int64_t forecast_target_ms(const struct forecast *forecast, size_t step);

/* What is asked.  Zeroed: everything the definition says. */
struct forecast_wish {
    size_t horizon;     /* 0: the forecaster's */
    const char *series; /* one canonical name, or NULL: all */
    size_t quantile_count;
    double quantiles[MODEL_QUANTILES_MAX];
    size_t override_count;
    const struct known_override *overrides; /* of the definition's covariates */
};

/* Forecasts of now from a held model. */
int serving_forecast(struct serving *serving, struct served *served,
                     const struct forecast_wish *wish, struct forecast *out,
                     struct err *err);

/* The same from a grid that the caller has, with its covariates. */
int serving_forecast_grid(struct serving *serving, struct served *served,
                          const struct forecast_wish *wish, const struct grid *tail,
                          struct forecast *out, struct err *err);

/* Appends to the ledger; job_id and result as in storage.h. */
int serving_append(struct serving *serving, struct forecast *forecast, int64_t job_id,
                   const char *result, struct err *err);

#endif
