/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * runner.h -- one thread that does the jobs that wait, one after another.
 *
 * It claims a job with a lease, extends the lease while it works, and writes progress
 * into the job's row at most once a second.  A job that fails is marked failed with the
 * reason and the next one is taken.  When the runner is stopped, the job it works on
 * goes back to the queue and goes on from its last checkpoint in the next process;
 * after a kill, the same happens because the owner's name is the same.
 *
 * The thread runs at low priority, and so do the threads it starts.
 */
#ifndef RUNNER_H
#define RUNNER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "daemon/train_job.h"

struct store;
struct serving;

struct runner_config {
    struct store *store;
    struct serving *serving;
    const char *checkpoint_folder; /* copied */
    int checkpoint_s;
    size_t threads;
};

struct runner;

struct runner *runner_start(const struct runner_config *config, struct err *err)
    __attribute__((warn_unused_result));
/* Waits until the job is given back.  NULL is fine. */
void runner_stop(struct runner *runner);

/* There may be a job to take or to cancel.  Any thread, never blocks for long. */
void runner_wake(struct runner *runner);

/* When the runner last showed that it works, on the monotonic clock: for a watchdog. */
int64_t runner_beat_ms(const struct runner *runner);

#endif
