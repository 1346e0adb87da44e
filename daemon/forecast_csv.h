/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * forecast_csv.h -- trains on a CSV file alone and says what comes after its end.
 */
#ifndef FORECAST_CSV_H
#define FORECAST_CSV_H

#include "base/err.h"
#include "daemon/csv_job.h"

/* Prints an outlook for each series, or with job->json one object: {"data","settings",
 * "results","champion","history","forecast":[{"series","candidate","skill","points":
 * [{"time","q10","q50","q90"}]}]}.  job is settled. */
int forecast_csv(const struct csv_job *job, struct err *err);

#endif
