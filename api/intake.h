/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * intake.h -- the samples of one request on their way into the store, for the dialects
 * that keep the good part of a request and count the rest.
 *
 *     struct intake *in = intake_new(req, DIALECT_X);
 *     uint32_t series = store_batch_series(in->batch, name);
 *     intake_add(in, series, time_ms, value, name);
 *     intake_refuse(in, REJECT_INVALID, 1, &why);
 *     return intake_store(req, in, answer, reply, err);
 *
 * Every sample that arrived is added, refused or passed over: so the books close.
 */
#ifndef INTAKE_H
#define INTAKE_H

#include "api/metrics.h"
#include "api/request.h"

struct intake {
    struct store_batch *batch;
    int64_t now_ms, future_max_ms; /* as in rules.h */
    uint64_t rejected[REJECT_COUNT];
    uint64_t refused; /* of them, those that break a rule of ours */
    struct err why;   /* the first of these */
    uint64_t taken;   /* handed to the store; known when answering */
    enum dialect dialect;
    void (*answer)(const struct intake *in, struct reply *reply);
};

/* What the answer to a request is once its good part is stored. */
typedef void intake_answer(const struct intake *in, struct reply *reply);

void intake_init(struct intake *in, int64_t now_ms, int64_t future_max_ms);
void intake_fini(struct intake *in);

/* The same for a request, which owns it as its state. */
struct intake *intake_new(struct request *request, enum dialect dialect);

/* Takes a sample of a series of the batch.  One that is not finite is passed over, since
 * that is how protocols say "no value"; one at a time that cannot be is refused, place
 * before the message. */
void intake_add(struct intake *in, uint32_t series, int64_t time_ms, double value,
                const char *place);

/* Samples that break a rule. */
void intake_refuse(struct intake *in, enum reject_reason reason, uint64_t samples,
                   const struct err *why);
/* What is no sample, for a reason that is the protocol's own. */
void intake_pass_over(struct intake *in, enum reject_reason reason, uint64_t samples);

/* The HTTP status of a failure, in the dialects of samples.  Samples cannot be missing or
 * conflict: such a failure is ours, and the sender must come again. */
unsigned intake_status(enum err_code code);

/* What arrived so far. */
uint64_t intake_received(const struct intake *in);

/*
 * Stores what was taken and answers after the commit; a handler's last word.  When
 * nothing was taken it answers at once.
 */
int intake_store(struct request *request, struct intake *in, intake_answer *answer,
                 struct reply *reply, struct err *err);

/* A request that is refused as a whole: what arrived of it is counted.  -1. */
int intake_drop(struct request *request, struct intake *in);

#endif
