/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * forecast_metrics.h -- what /metrics says of each forecaster.
 */
#ifndef FORECAST_METRICS_H
#define FORECAST_METRICS_H

#include "api/reply.h"
#include "api/server.h"

/* Those of which nothing can be said now are left out. */
int forecast_metrics(struct page *out, struct api *api, struct err *err);

#endif
