/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/distil.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/adamw.h"
#include "model/core.h"
#include "model/pulse.h"

/* Windows at a time, steps, and batches of `held` that are measured on. */
enum { BATCH = 32, STEPS = 300, MEASURED = 8, PURPOSE_ORDER = 0x44495354 };

static const double RATE = 1e-2;

/* What happens at a mixer. */
struct pupil {
    const struct network_config *config; /* of `to` */
    size_t count, passes,
        calls;  /* mixers of a network; cores a mixer asks; of this run */
    size_t *at; /* (count) where each core's own tensors begin */
    const real *theta;
    real *gradient; /* NULL: to measure */
    double error, power;

    struct arena arena; /* the rest, carved at the first call: all are of one size */
    bool failed;
    real *want, *got, *d_o, *dx, *dq, *dk, *dv;
    void *teacher_tape, *teacher_work, *tape, *work;
};

struct work {
    const struct distil *d;
    struct network *teacher, *shape; /* of `from`, with the tap; of `to`, for its list */
    struct mixer_tap tap;
    struct network_config tapped;
    struct pupil pupil;
    real *x, *y, *moments; /* moments: m and v */
    real *gradient;
    uint32_t *order;
    uint32_t phase[BATCH];
    size_t batch;
};

/* ---- at a mixer -------------------------------------------------------------------- */

static void carve(struct pupil *p, const struct mixer_call *teacher,
                  const struct mixer_call *own, struct arena *arena)
{
    const size_t B = teacher->B, T = teacher->T, n = B * T * teacher->config->C;
    real **const rows[] = {&p->want, &p->got, &p->d_o, &p->dx, &p->dq, &p->dk, &p->dv};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        *rows[i] = arena_reals(arena, n);
    p->teacher_tape = core_tape(teacher->config, B, T, arena);
    p->teacher_work = core_work(teacher->config, B, T, false, arena);
    p->tape = core_tape(own->config, B, T, arena);
    p->work = core_work(own->config, B, T, true, arena);
}

static bool carved(struct pupil *p, const struct mixer_call *teacher,
                   const struct mixer_call *own)
{
    if (p->arena.base || p->failed)
        return !p->failed;
    struct arena arena = arena_measure();
    carve(p, teacher, own, &arena);
    p->failed = arena_open(&arena, NULL);
    if (p->failed)
        return false;
    carve(p, teacher, own, &arena);
    p->arena = arena;
    return true;
}

/* got is the answer, want what it should be: adds to the sums, and to the gradient. */
static void compare(struct pupil *p, const struct mixer_call *own, size_t at,
                    const struct core_io *io)
{
    const size_t n = own->B * own->T * own->config->C;
    double error = 0, power = 0;
    for (size_t i = 0; i < n; i++) {
        const real off = p->got[i] - p->want[i];
        error += (double)(off * off);
        power += (double)(p->want[i] * p->want[i]);
        p->d_o[i] = 2 * off;
    }
    p->error += error;
    p->power += power;
    if (!p->gradient || !(power > 0))
        return;
    for (size_t i = 0; i < n; i++)
        p->d_o[i] /= (real)power;
    memset(p->dx, 0, n * sizeof *p->dx);
    const struct core_grad grad = {
        .d_o = p->d_o, .dx = p->dx, .dq = p->dq, .dk = p->dk, .dv = p->dv};
    core_backward(own, p->theta + at, p->gradient + at, io, &grad, p->tape, p->work);
}

static void see(void *ctx, const struct mixer_call *call, const struct core_io *io)
{
    struct pupil *const p = ctx;
    const size_t at = p->at[p->calls++ / p->passes % p->count];
    struct mixer_config asked = *call->config;
    asked.tap = NULL;
    struct mixer_config other = asked;
    other.mixer = p->config->mixer;
    other.options = p->config->options;
    other.near = p->config->near;
    struct mixer_call teacher = *call, own = *call;
    teacher.config = &asked;
    own.config = &other;
    if (!carved(p, &teacher, &own))
        return;
    struct core_io its = *io;
    its.o = p->want;
    core_forward(&teacher, NULL, &its, p->teacher_tape, p->teacher_work);
    its.o = p->got;
    core_forward(&own, p->theta + at, &its, p->tape, p->work);
    compare(p, &own, at, &its);
}

/* ---- over windows ------------------------------------------------------------------ */

static int forward(struct work *w, const struct windows *windows, const uint32_t *order,
                   size_t first, size_t B, struct err *err)
{
    windows_gather(windows, order, first, B, w->x, w->phase, NULL);
    w->pupil.calls = 0;
    network_forward(w->teacher, w->d->theta, w->x, w->phase, B, w->y, NULL);
    if (w->pupil.failed)
        return err_set(err, ERR_NO_MEMORY, "distil: no memory for batches of %zu", B);
    return 0;
}

static int measure(struct work *w, double *out, struct err *err)
{
    const struct windows *const held = w->d->held;
    const size_t B = w->batch;
    w->pupil.gradient = NULL;
    w->pupil.error = w->pupil.power = 0;
    for (size_t i = 0; i < MEASURED; i++)
        if (forward(w, held, NULL, (held->count - B) * i / (MEASURED - 1), B, err))
            return -1;
    *out = w->pupil.power > 0 ? w->pupil.error / w->pupil.power : 0;
    return 0;
}

static int learn(struct work *w, real *theta, struct err *err)
{
    const struct distil *const d = w->d;
    const size_t size = network_size(w->shape), per_epoch = d->windows->count / w->batch;
    const struct adamw adamw = {.learning_rate = RATE,
                                .beta1 = 0.9,
                                .beta2 = 0.999,
                                .epsilon = 1e-8,
                                .pool = d->pool};
    struct pulse pulse;
    pulse_start(&pulse, d->hooks, "layers", 0, STEPS);
    w->pupil.gradient = w->gradient;
    for (size_t s = 0; s < STEPS; s++) {
        if (s % per_epoch == 0)
            rng_shuffle(
                (struct rng_stream){d->seed, PURPOSE_ORDER, (uint32_t)(s / per_epoch)},
                w->order, d->windows->count);
        memset(w->gradient, 0, size * sizeof *w->gradient);
        if (forward(w, d->windows, w->order + s % per_epoch * w->batch, 0, w->batch, err))
            return -1;
        /* What has no gradient has no moments either, and stays. */
        adamw_step(&adamw, w->shape, theta, w->gradient, w->moments, w->moments + size,
                   s + 1);
        pulse.now.step = s + 1;
        if (pulse_beat(&pulse, false, err))
            return -1;
    }
    return 0;
}

/* ---- the tensors ------------------------------------------------------------------- */

static const struct tensor *find(const struct network *n, const char *name)
{
    for (size_t i = 0; i < network_tensors(n); i++)
        if (strcmp(network_tensor(n, i)->name, name) == 0)
            return network_tensor(n, i);
    return NULL;
}

/* Copies what both have; what follows one of those begins a core.  Returns their number. */
static size_t adopt(const struct work *w, real *theta, size_t *at)
{
    size_t cores = 0;
    bool common = true;
    for (size_t i = 0; i < network_tensors(w->shape); i++) {
        const struct tensor *const own = network_tensor(w->shape, i);
        const struct tensor *const its = find(w->teacher, own->name);
        if (its)
            memcpy(theta + own->offset, w->d->theta + its->offset,
                   own->shape[0] * own->shape[1] * sizeof *theta);
        else if (common)
            at[cores++] = own->offset;
        common = its != NULL;
    }
    return cores;
}

/* ---- the whole --------------------------------------------------------------------- */

static int work_init(struct work *w, const struct distil *d, struct err *err)
{
    const struct network_config *const c = d->from;
    *w = (struct work){.d = d, .tapped = *c, .tap = {see, &w->pupil}};
    w->batch = d->windows->count < BATCH ? d->windows->count : BATCH;
    w->batch = d->held->count < w->batch ? d->held->count : w->batch;
    w->tapped.tap = &w->tap;
    if (!(w->teacher = network_new(&w->tapped, w->batch, false, d->pool, err)) ||
        !(w->shape = network_new(d->to, 1, false, NULL, err)))
        return -1;
    const size_t size = network_size(w->shape);
    w->pupil.config = d->to;
    w->pupil.count = 2 * c->layers;
    w->pupil.passes = c->causal && c->dir == DIR_BI ? 2 : 1;
    w->pupil.at = mem_try(w->pupil.count, sizeof *w->pupil.at);
    w->x = mem_try(w->batch * c->L * c->V, sizeof *w->x);
    w->y = mem_try(w->batch * c->P * c->V, sizeof *w->y);
    w->moments = mem_try(2 * size, sizeof *w->moments);
    w->gradient = mem_try(size, sizeof *w->gradient);
    w->order = mem_try(d->windows->count, sizeof *w->order);
    if (!w->pupil.at || !w->x || !w->y || !w->moments || !w->gradient || !w->order)
        return err_set(err, ERR_NO_MEMORY, "distil: no memory for %zu parameters", size);
    return 0;
}

static void work_fini(struct work *w)
{
    network_free(w->teacher);
    network_free(w->shape);
    arena_close(&w->pupil.arena);
    free(w->pupil.at);
    free(w->x);
    free(w->y);
    free(w->moments);
    free(w->gradient);
    free(w->order);
}

int distil(const struct distil *d, real *theta, double *before, double *after,
           struct err *err)
{
    struct work w;
    int rc = work_init(&w, d, err);
    if (rc == 0) {
        network_init(w.shape, theta, d->seed);
        w.pupil.theta = theta;
        const size_t cores = adopt(&w, theta, w.pupil.at);
        rc = measure(&w, before, err);
        *after = *before;
        if (rc == 0 && cores > 0 && (learn(&w, theta, err) || measure(&w, after, err)))
            rc = -1;
    }
    work_fini(&w);
    return rc;
}
