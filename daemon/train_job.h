/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * train_job.h -- from a forecaster's definition to a published model and its first
 * forecast.
 *
 * The data are read as they were known when the job was made, so that a job that was
 * interrupted reads the same grid again and goes on from its checkpoint, to the same
 * weights.  The model is published, then the forecast issued; the job ends in the
 * transaction of the issue.  A process that dies between the two leaves checkpoint and a
 * model newer than the job: the next one sees both and only issues.
 */
#ifndef TRAIN_JOB_H
#define TRAIN_JOB_H

#include <stddef.h>

#include "base/err.h"
#include "model/model.h"

struct serving;
struct store;
struct store_job;

/* What a job gets from the runner. */
struct job_run {
    struct store *store;
    struct serving *serving;
    const struct store_job *job;
    const char *checkpoint_folder;
    int checkpoint_s;
    size_t threads;
    int (*progress)(void *ctx, const struct model_progress *progress); /* as in model.h */
    void *progress_ctx;
};

/* On success the job is done.  Else the caller ends it or gives it back. */
int train_job_run(const struct job_run *run, struct err *err);

/* Removes the checkpoint of a job that will not go on. */
void train_job_clean(const char *checkpoint_folder, const struct store_job *job);

#endif
