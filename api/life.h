/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * life.h -- how a request changes hands.
 *
 *     READING --request_work()--> WORKING --an answer--> ANSWERED
 *        ^                           |
 *        +--- a block was taken -----+
 *
 * A request is held by its connection and, while somebody works for it, by that work;
 * the last to let go frees it.  Functions without another word run on the connection's
 * thread.
 */
#ifndef LIFE_H
#define LIFE_H

#include "api/request.h"

struct request *request_new(struct api *api, struct MHD_Connection *connection,
                            const char *path) __attribute__((warn_unused_result));

/* The connection lets go. */
void request_release(struct request *request);

enum phase request_phase(struct request *request);

/* Suspends the connection and hands the request to a worker, or answers 503. */
void request_work(struct request *request, bool body_ended);

/* Keeps the answer unless there is one already; takes reply over.  Any thread. */
void request_answer(struct request *request, struct reply *reply);
void request_refuse(struct request *request, const struct err *err);

/* The answer that says err in the way of the request's route. */
void request_refusal_make(const struct request *request, const struct err *err,
                          struct reply *reply);

/* A thread that tells those to come back whose work takes too long; the work itself
 * goes on, and its answer is dropped.  ctx is the struct api. */
void *request_watch(void *ctx);

#endif
