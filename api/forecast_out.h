/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * forecast_out.h -- a forecast as JSON, as flat rows, and as CSV.
 */
#ifndef FORECAST_OUT_H
#define FORECAST_OUT_H

#include "api/reply.h"
#include "api/serving.h"

enum forecast_format { FORECAST_JSON, FORECAST_ROWS, FORECAST_CSV };

/* Words for enum forecast_format, ending in NULL. */
extern const char *const forecast_formats[];

void forecast_reply(const struct forecast *forecast, enum forecast_format format,
                    struct reply *reply);

#endif
