/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay.h -- issued forecasts, made again.
 *
 * What an issue names is taken as it was: the definition of its revision, its model and
 * calibration, and the samples and covariates that had arrived when it was issued.  The
 * fingerprint of the input says whether these are still the same; if so, values must be.
 */
#ifndef REPLAY_H
#define REPLAY_H

#include "api/serving.h"

enum { REPLAY_ISSUES = 100, REPLAY_ISSUES_MAX = 1000 };

struct replay_wish {
    const char *forecaster;
    int64_t as_of_ms; /* issues at or before it, */
    size_t limit;     /* the newest of them */
};

/* Counted in forecasts: an issue has one of each series. */
struct replay {
    size_t issues, forecasts;
    int64_t oldest_ms; /* of the issues; 0: none */
    size_t same;       /* to the last bit */
    size_t near;       /* within REPLAY_NEAR of its largest value, as another processor or
                          library may make it */
    size_t differ;     /* though the input is the same */
    size_t changed; /* the input is not what it was: samples came late by less than what
                          leaves a revision, or are gone */
    size_t gone;    /* its model is past its time */
    /* The first in order of issue that differs, issue_id 0: none. */
    struct replay_difference {
        int64_t issue_id, issued_ms, target_ms;
        char *series;
        double quantile, was, is;
    } first;
};

#define REPLAY_NEAR 1e-5

void replay_fini(struct replay *replay);

/* Issues in order.  No issue is no error; ERR_CORRUPT where the ledger is damaged. */
int replay_read(struct serving *serving, const struct replay_wish *wish,
                struct replay *out, struct err *err);

#endif
