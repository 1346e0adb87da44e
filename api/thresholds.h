/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * thresholds.h -- the part of a forecaster's definition that says what must not be crossed.
 *
 *     "thresholds": {"above": 0.9, "below": null}
 */
#ifndef THRESHOLDS_H
#define THRESHOLDS_H

#include <jansson.h>

#include "api/api.h"

/* After the bounds. */
int thresholds_read(const json_t *body, struct forecaster *forecaster, struct err *err);
/* Adds "thresholds", null where there is none. */
void thresholds_write(const struct forecaster *forecaster, json_t *policy);

#endif
