/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * calibration.h -- by how much the bands of a model are stretched, as the ledger keeps it.
 *
 * The JSON text of a row (storage.h), and of an answer:
 *
 *     {"from": first target looked at, ms, "issues": how many,
 *      "series": [{"series": name, "below": [4 factors], "above": [4]}, ...]}
 *
 * one factor for each bucket of the horizon, series sorted by name; one that is not there
 * has its bands as they were judged.
 */
#ifndef CALIBRATION_H
#define CALIBRATION_H

#include <jansson.h>

#include "api/api.h"

struct calibration {
    int64_t number; /* 0: none, bands are as they were judged */
    int64_t made_ms;
    size_t count;
    char **names; /* sorted */
    struct band_stretch *stretch;
};
void calibration_fini(struct calibration *calibration);

/* ERR_CORRUPT for a body that is not one. */
int calibration_parse(const struct store_calibration *stored, struct calibration *out,
                      struct err *err);

/* The one in force for a model at an instant; number 0 where there is none. */
int calibration_in_force(struct store *store, const char *forecaster, int64_t model_id,
                         int64_t at_ms, struct calibration *out, struct err *err);

/* Of one series; NULL: as it was judged. */
const struct band_stretch *calibration_find(const struct calibration *calibration,
                                            const char *series);

/* Names and stretches as "series" above. */
json_t *calibration_series(const struct calibration *calibration);

#endif
