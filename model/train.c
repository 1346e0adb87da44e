/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/train.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/time.h"
#include "model/adamw.h"
#include "model/ema.h"
#include "model/loss.h"
#include "model/pulse.h"
#include "model/schedule.h"
#include "model/spectral.h"

enum { PURPOSE_ORDER = 0x4f524452 };

/* A refit draws other dropout masks and another order than the fit. */
static const uint64_t refit_seed = 0x9E3779B97F4A7C15u;

/* Everything a step needs, allocated once. */
struct work {
    size_t batch; /* of this phase: no more than there are windows */
    real *x, *target, *y, *dy, *gradient;
    real *weight, *step_weight; /* of validating; of training, less the spectral share */
    struct spectral spectral;
    uint32_t *phase, *order;
    uint64_t order_epoch;
    uint64_t per_epoch;
    struct pulse pulse;
    int64_t epoch_ms, checkpoint_ms; /* when the epoch, the last checkpoint began */
};

struct train_pace train_pace(const struct model_settings *settings, size_t windows)
{
    const size_t wish = (size_t)settings->batch;
    const size_t batch = windows < wish ? windows : wish;
    uint64_t per_epoch = batch ? windows / batch : 0;
    const uint64_t most = (uint64_t)settings->steps_per_epoch;
    if (most && per_epoch > most)
        per_epoch = most;
    return (struct train_pace){batch, per_epoch, per_epoch * (uint64_t)settings->epochs};
}

void train_begin(struct train_state *state, const struct network *network,
                 const struct model_settings *settings, enum train_phase phase)
{
    const size_t bytes = state->size * sizeof(real);
    network_init(network, state->theta, (uint64_t)settings->seed);
    memcpy(state->shadow, state->theta, bytes);
    memset(state->m, 0, bytes);
    memset(state->v, 0, bytes);
    if (phase == PHASE_FIT)
        memcpy(state->best, state->theta, bytes);
    state->phase = phase;
    state->step = 0;
    state->epoch_loss = (struct loss_sum){0};
}

static const real *served(const struct train_state *state,
                          const struct model_settings *settings)
{
    return settings->ema > 0 ? state->shadow : state->theta;
}

const real *train_result(const struct train_state *state,
                         const struct model_settings *settings)
{
    return state->phase == PHASE_FIT ? state->best : served(state, settings);
}

static uint64_t phase_seed(const struct train *t)
{
    const uint64_t seed = (uint64_t)t->settings->seed;
    return t->state->phase == PHASE_FIT ? seed : seed ^ refit_seed;
}

static uint64_t last_step(const struct train *t)
{
    return t->state->phase == PHASE_FIT
               ? t->fit_pace.steps
               : (uint64_t)t->state->best_epoch * t->fit_pace.per_epoch;
}

static void order_windows(const struct train *t, struct work *w, uint64_t epoch)
{
    const struct rng_stream stream = {phase_seed(t), PURPOSE_ORDER, (uint32_t)epoch};
    rng_shuffle(stream, w->order, t->windows->count);
    w->order_epoch = epoch;
}

/* The loss of the batch in w, and its gradient in w->dy. */
static struct loss_sum judge_step(const struct train *t, struct work *w)
{
    const struct model_settings *const set = t->settings;
    const struct network_config *const c = network_config(t->network);
    const size_t B = w->batch;
    struct loss_sum loss =
        loss_forward(set->loss, w->step_weight, w->y, w->target, B, c->P, c->V);
    loss_backward(set->loss, w->step_weight, w->dy, w->y, w->target, B, c->P, c->V,
                  loss.count);
    if (set->frequency_loss > 0)
        loss.sum += spectral_loss(&w->spectral, t->pool, w->dy, w->y, w->target, B, c->V,
                                  loss.count);
    return loss;
}

static void take_step(const struct train *t, struct work *w)
{
    struct train_state *const s = t->state;
    const struct model_settings *const set = t->settings;
    const size_t B = w->batch;
    const uint64_t step = s->step, epoch = step / w->per_epoch;
    if (epoch != w->order_epoch)
        order_windows(t, w, epoch);

    windows_gather(t->windows, w->order + (step % w->per_epoch) * B, 0, B, w->x, w->phase,
                   w->target);
    const struct dropout_step dropout = {phase_seed(t), (uint32_t)step};
    network_forward(t->network, s->theta, w->x, w->phase, B, w->y, &dropout);
    const struct loss_sum loss = judge_step(t, w);
    memset(w->gradient, 0, s->size * sizeof(real));
    network_backward(t->network, s->theta, w->dy, w->gradient, NULL);

    const struct adamw adamw = {
        .learning_rate = schedule_rate(set->schedule, set->learning_rate, step,
                                       t->fit_pace.steps, t->fit_pace.per_epoch),
        .beta1 = 0.9,
        .beta2 = 0.999,
        .epsilon = 1e-8,
        .weight_decay = set->weight_decay,
        .decay_all = set->decay_all,
        .pool = t->pool,
    };
    adamw_step(&adamw, t->network, s->theta, w->gradient, s->m, s->v, step + 1);
    network_clamp(t->network, s->theta);
    if (set->ema > 0)
        ema_step(t->pool, s->shadow, s->theta, s->size, set->ema, step + 1);
    s->epoch_loss.sum += loss.sum;
    s->epoch_loss.count += loss.count;
    s->step++;
}

static int validate(const struct train *t, struct work *w, double *loss, struct err *err)
{
    const struct network_config *const c = network_config(t->network);
    const real *const theta = served(t->state, t->settings);
    struct loss_sum total = {0};
    for (size_t at = 0; at < t->stop->count; at += w->batch) {
        const size_t rest = t->stop->count - at;
        const size_t B = rest < w->batch ? rest : w->batch;
        windows_gather(t->stop, NULL, at, B, w->x, w->phase, w->target);
        network_forward(t->network, theta, w->x, w->phase, B, w->y, NULL);
        const struct loss_sum part =
            loss_forward(t->settings->loss, w->weight, w->y, w->target, B, c->P, c->V);
        total.sum += part.sum;
        total.count += part.count;
        if (pulse_beat(&w->pulse, false, err))
            return -1;
    }
    *loss = total.count > 0 ? loss_mean(total) : (double)NAN;
    return 0;
}

static int save(const struct train *t, struct work *w, struct err *err)
{
    w->checkpoint_ms = time_monotonic_ms();
    if (!t->hooks || !t->hooks->checkpoint_path)
        return 0;
    return checkpoint_write(t->state, t->hooks->checkpoint_path, t->fingerprint, err);
}

/* After the last step of an epoch of a fit: judge it, keep it if it is the best. */
static int end_epoch(const struct train *t, struct work *w, struct err *err)
{
    struct train_state *const s = t->state;
    double loss_valid;
    if (validate(t, w, &loss_valid, err))
        return -1;
    const bool best = loss_valid < s->best_loss;
    if (best) {
        s->best_loss = loss_valid;
        s->best_epoch = s->epoch_count + 1;
        memcpy(s->best, served(s, t->settings), s->size * sizeof(real));
    }
    const int64_t now = time_monotonic_ms();
    s->epochs[s->epoch_count] = (struct model_epoch){
        .epoch = s->epoch_count + 1,
        .loss_train = loss_mean(s->epoch_loss),
        .loss_valid = loss_valid,
        .rate = schedule_rate(t->settings->schedule, t->settings->learning_rate, s->step,
                              t->fit_pace.steps, t->fit_pace.per_epoch),
        .seconds = (double)(now - w->epoch_ms) / 1000.0,
        .best = best,
    };
    s->epoch_count++;
    w->epoch_ms = now;
    w->pulse.now.loss_train = loss_mean(s->epoch_loss);
    w->pulse.now.loss_valid = loss_valid;
    s->epoch_loss = (struct loss_sum){0};
    if (save(t, w, err))
        return -1;
    return pulse_beat(&w->pulse, true, err);
}

static bool epoch_is_due(const struct train *t)
{
    const struct train_state *const s = t->state;
    return s->phase == PHASE_FIT &&
           s->step == (uint64_t)(s->epoch_count + 1) * t->fit_pace.per_epoch;
}

static bool is_finished(const struct train *t)
{
    const struct train_state *const s = t->state;
    if (s->phase == PHASE_FIT && s->epoch_count - s->best_epoch >= t->settings->patience)
        return true;
    return s->step >= last_step(t);
}

static int report_step(const struct train *t, struct work *w, struct err *err)
{
    const struct train_state *const s = t->state;
    w->pulse.now.step = s->step;
    w->pulse.now.epoch = (int)((s->step - 1) / w->per_epoch) + 1;
    if (s->epoch_loss.count > 0)
        w->pulse.now.loss_train = loss_mean(s->epoch_loss);
    if (pulse_beat(&w->pulse, false, err))
        return -1;
    const bool due =
        t->hooks && t->hooks->checkpoint_s > 0 &&
        time_monotonic_ms() - w->checkpoint_ms >= (int64_t)t->hooks->checkpoint_s * 1000;
    return due ? save(t, w, err) : 0;
}

static void work_fini(struct work *w)
{
    free(w->x);
    free(w->target);
    free(w->y);
    free(w->dy);
    free(w->gradient);
    free(w->weight);
    free(w->step_weight);
    spectral_fini(&w->spectral);
    free(w->phase);
    free(w->order);
}

static int work_init(struct work *w, const struct train *t, struct err *err)
{
    const struct network_config *const c = network_config(t->network);
    const struct train_pace pace = train_pace(t->settings, t->windows->count);
    *w = (struct work){
        .batch = pace.batch,
        .x = mem_try(pace.batch * c->L * c->V, sizeof(real)),
        .target = mem_try(pace.batch * c->P * c->V, sizeof(real)),
        .y = mem_try(pace.batch * c->P * c->V, sizeof(real)),
        .dy = mem_try(pace.batch * c->P * c->V, sizeof(real)),
        .gradient = mem_try(t->state->size, sizeof(real)),
        .weight = mem_try(c->P, sizeof(real)),
        .step_weight = mem_try(c->P, sizeof(real)),
        .phase = mem_try(pace.batch, sizeof(uint32_t)),
        .order = mem_try(t->windows->count, sizeof(uint32_t)),
        .order_epoch = UINT64_MAX,
        .per_epoch = pace.per_epoch,
        .epoch_ms = time_monotonic_ms(),
        .checkpoint_ms = time_monotonic_ms(),
    };
    if (!w->x || !w->target || !w->y || !w->dy || !w->gradient || !w->weight ||
        !w->step_weight || !w->phase || !w->order) {
        work_fini(w);
        return err_set(err, ERR_NO_MEMORY, "training: no memory for batches of %zu",
                       pace.batch);
    }
    loss_weights(w->weight, c->P, t->settings->loss_alpha);
    const double share = t->settings->frequency_loss;
    for (size_t j = 0; j < c->P; j++)
        w->step_weight[j] = (real)((1 - share) * (double)w->weight[j]);
    if (share > 0 &&
        spectral_init(&w->spectral, c->P, pace.batch * c->V, share, w->weight, err)) {
        work_fini(w);
        return -1;
    }
    const bool fit = t->state->phase == PHASE_FIT;
    pulse_start(&w->pulse, t->hooks, fit ? "fit" : "refit", t->state->step, last_step(t));
    w->pulse.now.epochs =
        fit ? t->settings->epochs
            : (int)((last_step(t) + pace.per_epoch - 1) / pace.per_epoch);
    return 0;
}

int train_run(const struct train *train, struct err *err)
{
    assert(train->windows->count > 0);
    struct work work;
    if (work_init(&work, train, err))
        return -1;
    struct err failure = {0};
    int rc = 0;
    while (rc == 0) {
        if (epoch_is_due(train))
            rc = end_epoch(train, &work, &failure);
        if (rc || is_finished(train))
            break;
        take_step(train, &work);
        rc = report_step(train, &work, &failure);
    }
    if (rc && failure.code == ERR_CANCELLED && save(train, &work, err))
        rc = -1;
    if (rc)
        err_copy(err, &failure);
    work_fini(&work);
    return rc;
}
