/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/retrain.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "storage/storage.h"

static const char row_kind[] = "drift";

/* How far off, in units of what is too far; NAN is not off. */
static double distance(const struct live *live)
{
    const double skill = (live->judged - live->skill) / RETRAIN_SKILL;
    const double coverage = fabs(live->coverage - live->nominal) / RETRAIN_COVERAGE;
    return fmax(isnan(skill) ? 0 : skill, isnan(coverage) ? 0 : coverage);
}

enum retrain_verdict retrain_judge(const struct retrain *state, const struct live *live,
                                   size_t horizon, int64_t horizon_ms, int64_t now_ms)
{
    if (live->steps < horizon)
        return RETRAIN_QUIET;
    const double off = distance(live);
    if (state->alarm && off < 0.5)
        return RETRAIN_CALM;
    if (off <= 1)
        return RETRAIN_QUIET;
    const int doublings =
        state->trainings < RETRAIN_DOUBLINGS ? state->trainings : RETRAIN_DOUBLINGS;
    const bool waited = now_ms - state->trained_ms >= horizon_ms << doublings;
    return !state->alarm || waited ? RETRAIN_TRAIN : RETRAIN_QUIET;
}

/* ---- in the store ---------------------------------------------------------------------- */

static int read_state(struct store *store, const char *forecaster, struct retrain *out,
                      struct err *err)
{
    struct store_schedule *rows = NULL;
    size_t count = 0;
    *out = (struct retrain){0};
    if (store_schedules(store, &rows, &count, err))
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].forecaster, forecaster) || strcmp(rows[i].kind, row_kind))
            continue;
        json_t *const memo = rows[i].memo ? json_loads(rows[i].memo, 0, NULL) : NULL;
        out->alarm = json_is_true(json_object_get(memo, "alarm"));
        out->trainings = (int)json_integer_value(json_object_get(memo, "trainings"));
        out->trained_ms = rows[i].fired_ms;
        json_decref(memo);
    }
    store_schedules_fini(rows, count);
    return 0;
}

static int write_state(struct store *store, const char *forecaster,
                       const struct retrain *state, const struct store_job_wish *wish,
                       struct err *err)
{
    char memo[80];
    int64_t job_id;
    snprintf(memo, sizeof memo, "{\"alarm\": %s, \"trainings\": %d}",
             state->alarm ? "true" : "false", state->trainings);
    return store_schedule_fire(store, forecaster, row_kind, state->trained_ms, memo, wish,
                               &job_id, err);
}

static int begin_training(struct store *store, const char *forecaster,
                          const struct retrain *before, const struct live *live,
                          int64_t now_ms, struct err *err)
{
    char reason[64];
    const bool skill = live->judged - live->skill > RETRAIN_SKILL;
    snprintf(reason, sizeof reason,
             skill ? "live skill is %.2f, was judged %.2f"
                   : "coverage is %.2f, should be %.2f",
             skill ? live->skill : live->coverage, skill ? live->judged : live->nominal);
    log_warn("forecasts do not come true forecaster=%s skill=%.3f judged=%.3f "
             "coverage=%.3f nominal=%.3f issues=%zu values=%zu: a training is queued",
             forecaster, live->skill, live->judged, live->coverage, live->nominal,
             live->issues, live->values);
    const struct retrain after = {.alarm = true,
                                  .trainings = before->alarm ? before->trainings + 1 : 1,
                                  .trained_ms = now_ms};
    const struct store_job_wish wish = {
        .kind = "train", .forecaster = forecaster, .reason = reason};
    return write_state(store, forecaster, &after, &wish, err);
}

static int act(struct store *store, const struct forecaster *f, const struct live *live,
               int64_t now_ms, bool *queued, struct err *err)
{
    struct retrain state;
    if (read_state(store, f->name, &state, err))
        return -1;
    const int64_t horizon_ms = (int64_t)f->spec.horizon * f->step_ms;
    switch (retrain_judge(&state, live, f->spec.horizon, horizon_ms, now_ms)) {
    case RETRAIN_TRAIN:
        *queued = true;
        return begin_training(store, f->name, &state, live, now_ms, err);
    case RETRAIN_CALM:
        log_info("forecasts come true again forecaster=%s skill=%.3f coverage=%.3f",
                 f->name, live->skill, live->coverage);
        state = (struct retrain){.trained_ms = state.trained_ms};
        return write_state(store, f->name, &state, NULL, err);
    case RETRAIN_QUIET:
        break;
    }
    return 0;
}

int retrain_look(struct store *store, const char *forecaster, int64_t now_ms,
                 bool *queued, struct err *err)
{
    struct store_model serving = {0};
    struct forecaster f = {0};
    struct model *model = NULL;
    struct live live;
    int rc = -1;
    *queued = false;
    if (forecaster_now(store, forecaster, &f, NULL, err))
        goto out;
    if (!f.schedules[SCHEDULE_TRAIN].set) {
        rc = 0;
        goto out;
    }
    if (store_model_serving(store, forecaster, &serving, err))
        goto out;
    model = model_load(serving.bytes, serving.len, err);
    if (model)
        rc = live_read(store, &f, model, serving.id, now_ms, &live, err);
    if (rc == 0)
        rc = act(store, &f, &live, now_ms, queued, err);
out:
    model_free(model);
    store_model_fini(&serving);
    forecaster_fini(&f);
    return rc;
}
