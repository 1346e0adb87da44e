/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events.h -- who is told of a job's progress as it comes.
 *
 * A thread looks at the jobs that somebody listens to, once a second, and writes what has
 * changed into their streams as server-sent events (WHATWG HTML, 9.2).
 */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdint.h>

#include "base/err.h"
#include "storage/storage.h"

struct events;
struct stream;

struct events *events_start(struct store *store, struct err *err)
    __attribute__((warn_unused_result));
/* Ends every stream, and those that come later; then the thread.  NULL is fine. */
void events_stop(struct events *events);
void events_free(struct events *events);

/* Tells the stream of this job until it has ended; takes the writer's hold over.  -1 with
 * ERR_BUSY when too many listen already: then the stream has been ended. */
int events_listen(struct events *events, int64_t job, struct stream *stream,
                  struct err *err);

#endif
