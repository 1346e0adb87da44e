/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * schedules.h -- the part of a forecaster's definition that says when its jobs run.
 *
 *     "train": {"every": "1d"},
 *     "forecast": {"cron": "5 * * * *", "zone": "Europe/Berlin", "jitter": "2m",
 *                  "catch_up": "skip"}
 */
#ifndef SCHEDULES_H
#define SCHEDULES_H

#include <jansson.h>

#include "api/api.h"

int schedules_read(const json_t *body, struct forecaster *forecaster, struct err *err);
void schedules_fini(struct forecaster *forecaster);

/* Adds "train", "forecast" and "backtest" as they are, null where there is none. */
void schedules_write(const struct forecaster *forecaster, json_t *policy);

#endif
