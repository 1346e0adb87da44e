/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * artifact.h -- what a struct model is inside.  Read-only once made.
 */
#ifndef ARTIFACT_H
#define ARTIFACT_H

#include "base/real.h"
#include "model/chain.h"
#include "model/candidate.h"
#include "model/conformal.h"
#include "model/effect.h"
#include "model/model.h"
#include "model/network.h"
#include "model/referee.h"

/* What a file of one says it is. */
#define MODEL_FORMAT "frwkvd model 4"
#define MODEL_FORMAT_3 "frwkvd model 3" /* bands in the series' deviations */
#define MODEL_FORMAT_2 "frwkvd model 2" /* bands in the data's units */

struct model {
    struct model_spec spec;
    int64_t step_ms;
    size_t season; /* found or given */
    size_t series; /* in the training's order */
    char **names;
    size_t *by_name;   /* indices of names in strcmp() order */
    double *mean, *sd; /* of each series, of all rows */
    double *leap;      /* (series) limits of what is believed: model/leap.h */

    struct effects effects; /* of covariates; without columns where there are none */

    struct profile *profiles; /* (series + 1); the last for strangers */
    unsigned char *contexts;  /* (series + 1) kinds of in_context.h; as profiles */
    struct verdict *verdicts; /* (series + 1, MODEL_BUCKETS); the last for strangers */
    /* Of a candidate that may serve somebody, else empty.  (series + 1) rows: offsets in
     * the series' own deviations, times the spread before the origin. */
    struct bands bands[CANDIDATES];
    size_t spread_rows; /* that this is taken over: model/spread.h; 0: it is 1 */

    struct chain chain;        /* of a mixer that wants one, else empty */
    real *theta;               /* NULL where nothing was trained */
    struct network_fold *fold; /* of theta, for forecasts */
    size_t size, params;
    struct model_report report;
};

/* An empty model for `series` names, which it copies. */
struct model *artifact_new(const struct model_spec *spec, int64_t step_ms, size_t series,
                           char *const *names);

/* Multiplies theta out into fold.  After this theta stays as it is. */
int artifact_fold(struct model *model, struct err *err);

/* Fills by_name; -1 when a name stands twice. */
int artifact_index(struct model *model);

/* Index of a series, or model->series for a stranger. */
size_t artifact_find(const struct model *model, const char *name);

/* Whether a candidate may be asked to serve: by a champion or a fallback entry. */
bool artifact_serves(const struct model *model, int candidate);

#endif
