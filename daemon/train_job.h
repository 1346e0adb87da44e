/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * train_job.h -- from a forecaster's definition to a published model and its first
 * forecast.
 *
 * The data are read as they were known when the job was made, so that a job that was
 * interrupted reads the same grid again and goes on from its checkpoint, to the same
 * weights.  Where a model of this revision serves already, the new one is a challenger:
 * it is trained on all but the newest steps, both are tried on these (trial.h), and the
 * challenger serves only if it was better; else it is kept for a restore.  Then a
 * forecast is issued by whoever serves, and the job ends in the transaction of the issue;
 * where nothing can be forecast now, it is done with an error that says why.
 * A process that dies between the two has published: the next one finds the job's model
 * and only issues.
 */
#ifndef TRAIN_JOB_H
#define TRAIN_JOB_H

#include <stddef.h>

#include "base/err.h"
#include "base/time.h"
#include "model/model.h"
#include "storage/storage.h"

struct forecaster;
struct serving;

/* What a job gets from the runner. */
struct job_run {
    struct store *store;
    struct serving *serving;
    const struct store_job *job;
    const char *checkpoint_folder;
    int checkpoint_s;
    size_t threads;
    size_t memory_max; /* bytes, as in model.h */
    struct clock clock;
    void (*queued)(void *ctx); /* or NULL: another job was added */
    void *queued_ctx;
    int (*progress)(void *ctx, const struct model_progress *progress); /* as in model.h */
    void *progress_ctx;
};

/* On success the job is done.  Else the caller ends it or gives it back. */
int train_job_run(const struct job_run *run, struct err *err);

/* ---- for jobs that train (backtest_job.c, convert_job.c) ---------------------------- */

/* Hooks with the job's progress and a checkpoint of its own.  path: freed by the
 * caller. */
struct model_hooks train_job_hooks(const struct job_run *run, char **path);

/* What serves when the job begins, if anything does. */
struct champion {
    struct store_model stored;
    struct model *model; /* NULL: there is none, or it is damaged */
};

int champion_load(const struct job_run *run, struct champion *out, struct err *err);
void champion_fini(struct champion *champion);

/* Publishes as the job's; of the publication, who it is for and the bytes are filled in
 * here. */
int train_job_publish(const struct job_run *run, const struct model *model,
                      struct store_publication *publication, struct err *err);

/* Calls publish_once, unless this job has published already; then issues, with which the
 * job ends. */
typedef int job_publish(const struct job_run *run, struct err *err);
int train_job_end(const struct job_run *run, job_publish *publish_once, struct err *err);

/* Removes the checkpoint of a job that will not go on. */
void train_job_clean(const char *checkpoint_folder, const struct store_job *job);

#endif
