/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * work.h -- what a forecaster_work is inside: for forecast.c and kept.c alone.
 */
#ifndef WORK_H
#define WORK_H

#include "model/artifact.h"
#include "model/effect.h"
#include "model/frwkv.h"
#include "model/newcomer.h"

enum { CHUNK = 32 }; /* series at a time */

struct forecaster_work {
    size_t rows, origin; /* of the tail looked at; the row after its last */
    size_t tail;         /* of them, by most candidates */
    size_t season;       /* the model's */
    struct newcomer newcomer;
    struct panel raw;  /* (rows, CHUNK), one series a window */
    struct panel less; /* the same less the effect of covariates, where some have any */
    struct panel z;    /* (rows, CHUNK), or (rows, series) for GROUP_JOINT */
    double *y[CANDIDATES]; /* (CHUNK, P); the network's of a joint model (P, series) */
    struct frwkv frwkv;
    struct effect_view view; /* of this tail's covariates */
    bool has_network;
    bool streams;              /* states are kept */
    size_t state_reals;        /* of the network, of one series; 0: it keeps none */
    const void *const *states; /* of the next forecast's columns, or NULL; borrowed */
    size_t behind;             /* rows of its tail that they have not seen */
    real *gone_on;             /* (CHUNK, state_reals) */
    bool serves[CANDIDATES];   /* anybody */
};

/* The network's part of a kept state. */
real *kept_network(const struct forecaster_work *work, const void *state);

/* Whether a network's state can be kept of a series (model->series: a stranger): what it is
 * given must not change with the origin. */
bool kept_goes_on(const struct model *model, size_t series);

#endif
