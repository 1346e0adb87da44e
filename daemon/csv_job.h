/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * csv_job.h -- what `backtest` and `forecast --csv` share: a file, and what to do with
 * it.
 *
 * Options are collected first and applied at the end, so that their order on the command
 * line does not matter: preset, then --mixer and --seed, then every --set.
 */
#ifndef CSV_JOB_H
#define CSV_JOB_H

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>

#include "base/csv.h"
#include "base/err.h"
#include "base/grid.h"
#include "base/zone.h"
#include "daemon/csv_covariates.h"
#include "model/model.h"

enum { CSV_JOB_SETS_MAX = 64 };

struct csv_job {
    const char *file;
    struct csv_options csv;
    struct zone *zone;
    struct csv_covariates covariates;
    bool calendar; /* its parts were asked for */
    const char *preset, *mixer, *seed;
    const char *sets[CSV_JOB_SETS_MAX];
    size_t set_count;
    struct model_spec spec;
    size_t threads;
    const char *checkpoint;
    bool json;
};

void csv_job_init(struct csv_job *job);
void csv_job_fini(struct csv_job *job);

/* The rows of these options for getopt_long(), which csv_job_option() takes. */
#define CSV_JOB_OPTIONS                                                                  \
    {"csv", required_argument, NULL, 'C'}, {"format", required_argument, NULL, 'F'},     \
        {"time-column", required_argument, NULL, 'T'},                                   \
        {"zone", required_argument, NULL, 'Z'}, {"group", required_argument, NULL, 'G'}, \
        {"lookback", required_argument, NULL, 'L'},                                      \
        {"horizon", required_argument, NULL, 'H'},                                       \
        {"season", required_argument, NULL, 'S'},                                        \
        {"covariates", required_argument, NULL, 'O'},                                    \
        {"calendar", required_argument, NULL, 'D'},                                      \
        {"holidays", required_argument, NULL, 'Y'},                                      \
        {"missing", required_argument, NULL, 'I'},                                       \
        {"preset", required_argument, NULL, 'P'},                                        \
        {"mixer", required_argument, NULL, 'M'}, {"seed", required_argument, NULL, 'R'}, \
        {"set", required_argument, NULL, 'V'},                                           \
        {"threads", required_argument, NULL, 'N'},                                       \
        {"checkpoint", required_argument, NULL, 'K'},                                    \
    {                                                                                    \
        "json", no_argument, NULL, 'J'                                                   \
    }

/* Their part of --help. */
extern const char csv_job_help[];

/* Takes one option.  1: taken; 0: not one of these; -1: ERR_INVALID. */
int csv_job_option(struct csv_job *job, int option, const char *value, struct err *err);

/* Applies what was collected: checks settings and ranges. */
int csv_job_settle(struct csv_job *job, struct err *err);

/* Reads the file, and what is known in advance of its steps and a horizon more. */
int csv_job_grid(const struct csv_job *job, struct grid *out, struct err *err);

/* A line for each covariate. */
void csv_job_covariates_print(const struct model_report *report);

/* {"file","rows","series","step_s","first","last","missing"} of what was read. */
json_t *csv_job_data_json(const struct csv_job *job, const struct grid *grid);
/* Look-back, horizon, group, season, threads and every setting of the model. */
json_t *csv_job_settings_json(const struct csv_job *job);

#endif
