/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * runner.h -- one thread that does the jobs of some kinds, one after another.
 *
 * There are two: one for long work, at low priority, as are the threads it starts, and
 * one for forecasts, which no training must hold up.
 *
 * It claims a job with a lease, extends the lease while it works, and writes progress
 * into the job's row at most once a second.  A job whose failure may pass (the disk is
 * full, memory is short) is tried again later, at most RUNNER_RETRIES times and each time
 * after twice the wait; one that fails otherwise, or runs longer than its timeout, is
 * marked failed with the reason.  Either way the next one is taken.  When the runner is
 * stopped, the job it works on goes back to the queue and goes on from its last
 * checkpoint in the next process; after a kill, the same happens because the owner's name
 * is the same.
 */
#ifndef RUNNER_H
#define RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"
#include "daemon/train_job.h"

struct store;
struct serving;

enum { RUNNER_RETRIES = 5, RUNNER_WAIT_MS = 30000 /* before the first retry */ };

/* The kinds of jobs there are, as two lanes. */
#define RUNNER_LONG "train backtest convert"
#define RUNNER_SHORT "forecast"

struct runner_config {
    struct store *store;
    struct serving *serving;
    struct clock clock;
    const char *kinds; /* one of the lanes */
    bool low_priority;
    int64_t timeout_ms;            /* of a job; 0: none */
    const char *checkpoint_folder; /* copied */
    int checkpoint_s;
    size_t threads;
    size_t memory_max; /* bytes, as in model.h */
    /* Or NULL: what it does, for people, about once a second; NULL: nothing any more. */
    void (*doing)(void *ctx, const char *text);
    void *doing_ctx;
    void (*queued)(void *ctx); /* or NULL: a job of it added another */
    void *queued_ctx;
};

struct runner;

struct runner *runner_start(const struct runner_config *config, struct err *err)
    __attribute__((warn_unused_result));
/* Waits until the job is given back; then runner_wake() does nothing until it is freed.
 * NULL is fine for both. */
void runner_stop(struct runner *runner);
void runner_free(struct runner *runner);

/* Takes one job that waits and does it, on this thread; false when there is none.  For
 * tests, in place of runner_start(). */
bool runner_once(const struct runner_config *config);

/* There may be a job to take or to cancel.  Any thread, never blocks for long. */
void runner_wake(struct runner *runner);

/* When the runner last showed that it works, on the monotonic clock: for a watchdog. */
int64_t runner_beat_ms(const struct runner *runner);

#endif
