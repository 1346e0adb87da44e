/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scheduler.h -- queues the jobs that the forecasters' schedules ask for.
 *
 * What was seen to stands in the store together with the job it led to, so a restart
 * neither skips an instant nor does it twice.  An instant that nobody saw for longer
 * than SCHEDULER_GRACE_MS was missed: of all that were, the last one is done late, once,
 * or none (catch_up).  A schedule counts from the last change of its definition.
 *
 * A forecaster with a schedule for trainings gets its first model as soon as there is
 * history enough, and is not asked for forecasts before.
 */
#ifndef SCHEDULER_H
#define SCHEDULER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"

struct store;
struct scheduler;

enum { SCHEDULER_GRACE_MS = 60000 };

/* What came of a look. */
struct scheduler_seen {
    size_t queued;   /* jobs it added */
    size_t failed;   /* forecasters it could not see to */
    int64_t next_ms; /* when the next look is due at the latest */
};

/*
 * One look at all schedules at the present time of clock.  A forecaster that cannot be
 * seen to is logged and counted, and the others are.
 */
int scheduler_look(struct store *store, struct clock clock, struct scheduler_seen *seen,
                   struct err *err);

/* Figures for /metrics (api.h). */
void scheduler_figures(const struct scheduler *scheduler,
                       void (*each)(void *ctx, const char *name, double value),
                       void *ctx);

/* A thread that looks when something is due, and when woken.  queued(ctx): there are new
 * jobs. */
struct scheduler *scheduler_start(struct store *store, struct clock clock,
                                  void (*queued)(void *ctx), void *ctx, struct err *err)
    __attribute__((warn_unused_result));
/* Ends the thread; then scheduler_wake() does nothing until it is freed.  NULL is fine for
 * both. */
void scheduler_stop(struct scheduler *scheduler);
void scheduler_free(struct scheduler *scheduler);

/* A definition may have changed.  Any thread. */
void scheduler_wake(struct scheduler *scheduler);

/* When it last showed that it works, on the monotonic clock. */
int64_t scheduler_beat_ms(const struct scheduler *scheduler);

#endif
