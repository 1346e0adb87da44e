/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * workers.h -- a few threads and a bounded queue of short jobs for them.
 *
 * Any thread may push.  A job runs once, on one worker, in the order of arrival.
 */
#ifndef WORKERS_H
#define WORKERS_H

#include <stdbool.h>
#include <stddef.h>

struct workers;

typedef void worker_job(void *ctx);

/* The threads yield to others by nice (0..19). */
struct workers *workers_start(size_t count, size_t queue_max, int nice)
    __attribute__((warn_unused_result));

/* Runs what is queued, then ends the threads.  NULL is fine. */
void workers_stop(struct workers *workers);

/* false: the queue is full, and the job is not taken. */
bool workers_push(struct workers *workers, worker_job *run, void *ctx);

/* The next part of work that was admitted already: taken even past the bound. */
void workers_continue(struct workers *workers, worker_job *run, void *ctx);

/* Jobs that wait. */
size_t workers_waiting(struct workers *workers);

#endif
