/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/intake.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/problem.h"
#include "api/rules.h"
#include "api/server.h"
#include "base/mem.h"
#include "base/text.h"

void intake_init(struct intake *in, int64_t now_ms, int64_t future_max_ms)
{
    *in = (struct intake){
        .batch = store_batch_new(), .now_ms = now_ms, .future_max_ms = future_max_ms};
}

void intake_fini(struct intake *in)
{
    store_batch_free(in->batch);
    in->batch = NULL;
}

static void state_free(void *state)
{
    intake_fini(state);
    free(state);
}

struct intake *intake_new(struct request *req, enum dialect dialect)
{
    const struct api_config *const config = &req->api->config;
    struct intake *const in = mem_new(1, sizeof *in);
    intake_init(in, clock_now_ms(&config->clock), config->future_max_ms);
    in->dialect = dialect;
    req->state = in;
    req->state_free = state_free;
    return in;
}

void intake_refuse(struct intake *in, enum reject_reason reason, uint64_t samples,
                   const struct err *why)
{
    in->rejected[reason] += samples;
    in->refused += samples;
    err_set(&in->why, why->code, "%s", why->msg);
}

void intake_pass_over(struct intake *in, enum reject_reason reason, uint64_t samples)
{
    in->rejected[reason] += samples;
}

static void refuse_time(struct intake *in, int64_t time_ms, const char *place)
{
    struct err why = {0};
    const bool future = time_ms <= TIME_MAX_MS &&
                        rule_time_now(time_ms, in->now_ms, in->future_max_ms, &why);
    if (!future)
        err_set(&why, ERR_INVALID, "must be in the years 1 to 9999");
    char shown[TEXT_QUOTE_SIZE];
    err_prefix(&why, "%s: time", text_quote(place, strlen(place), shown));
    intake_refuse(in, future ? REJECT_FUTURE : REJECT_INVALID, 1, &why);
}

void intake_add(struct intake *in, uint32_t series, int64_t time_ms, double value,
                const char *place)
{
    if (!isfinite(value))
        intake_pass_over(in, REJECT_NOT_FINITE, 1);
    else if (time_ms < TIME_MIN_MS || time_ms > TIME_MAX_MS ||
             time_ms > in->now_ms + in->future_max_ms)
        refuse_time(in, time_ms, place);
    else
        store_batch_add(in->batch, series, time_ms, value);
}

uint64_t intake_received(const struct intake *in)
{
    uint64_t sum = in->batch ? store_batch_size(in->batch) : 0;
    for (size_t r = 0; r < REJECT_COUNT; r++)
        sum += in->rejected[r];
    return sum;
}

unsigned intake_status(enum err_code code)
{
    const unsigned status = problem_status(code);
    return status == 404 || status == 409 ? 500 : status;
}

/* ---- the end of a request -------------------------------------------------------- */

static void count_rejected(struct request *req, const struct intake *in)
{
    for (enum reject_reason r = 0; r < REJECT_COUNT; r++)
        if (in->rejected[r])
            metrics_rejected(req->api->metrics, in->dialect, r, in->rejected[r]);
}

/* On the store's thread, after the commit. */
static void committed(void *ctx, const struct store_counts *counts, const struct err *err)
{
    struct request *const req = ctx;
    struct intake *const in = req->state;
    struct metrics *const metrics = req->api->metrics;
    count_rejected(req, in);
    if (err && err->code) {
        metrics_rejected(metrics, in->dialect, metrics_reason(err->code), in->taken);
        request_fail(req, err);
        return;
    }
    metrics_stored(metrics, in->dialect, counts);
    struct reply reply = {0};
    in->answer(in, &reply);
    request_finish(req, &reply);
}

int intake_store(struct request *req, struct intake *in, intake_answer *answer,
                 struct reply *reply, struct err *err)
{
    struct store_batch *const batch = in->batch;
    in->answer = answer;
    in->taken = store_batch_size(batch);
    if (in->taken == 0) {
        count_rejected(req, in);
        answer(in, reply);
        return HANDLED;
    }
    in->batch = NULL; /* the store's now */
    if (!store_append(req->api->config.store, batch, committed, req, err))
        return LATER;
    count_rejected(req, in);
    metrics_rejected(req->api->metrics, in->dialect, metrics_reason(err->code),
                     in->taken);
    return -1;
}

int intake_drop(struct request *req, struct intake *in)
{
    in->rejected[REJECT_INVALID] += store_batch_size(in->batch);
    intake_fini(in);
    count_rejected(req, in);
    return -1;
}
