/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A network with softmax is fitted, looked into, and asked again with inline instead. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/concentration.h"
#include "model/core.h"
#include "model/fit.h"
#include "model/network.h"
#include "model/panel.h"
#include "model/spec.h"
#include "model/threads.h"

enum { SAMPLES = 8 }; /* windows whose tokens are looked at */

static const double FLOOR_MOST = 1e-2, CHANGE_MOST = 5e-3;
static const char *const branches[] = {"real", "imag"};

struct diagnose {
    struct panel panel;
    struct cut cut;
    struct fit fit;
    struct threads *pool;
    size_t season;

    size_t S, T, H, N, layers, calls; /* samples, tokens, heads, their size */
    double *q, *k, *v;                /* (calls,H,S,T,N) */
};

void model_diagnosis_fini(struct model_diagnosis *diagnosis)
{
    free(diagnosis->heads);
    *diagnosis = (struct model_diagnosis){0};
}

static void keep(const struct diagnose *d, double *to, const real *from, size_t B)
{
    const size_t T = d->T, N = d->N, C = d->H * N;
    for (size_t h = 0; h < d->H; h++)
        for (size_t s = 0; s < d->S; s++)
            for (size_t t = 0; t < T; t++)
                for (size_t n = 0; n < N; n++)
                    *to++ = (double)from[(s * B / d->S * T + t) * C + h * N + n];
}

/* The real branch's layers come first, then the imaginary one's. */
static void see(void *ctx, const struct mixer_call *call, const struct core_io *io)
{
    struct diagnose *const d = ctx;
    const size_t at = d->calls * d->H * d->S * d->T * d->N;
    if (d->calls++ >= 2 * d->layers)
        return;
    keep(d, d->q + at, io->q, call->B);
    keep(d, d->k + at, io->k, call->B);
    keep(d, d->v + at, io->v, call->B);
}

/* Runs the stop part through a network; with a tap only the first windows. */
static int answer(const struct diagnose *d, const struct network_config *config,
                  size_t windows, double *loss, struct err *err)
{
    return fit_loss(&d->fit, config, d->fit.state.best, &d->fit.stop, windows, loss, err);
}

static int look(struct diagnose *d, struct model_diagnosis *out, struct err *err)
{
    const struct mixer_tap tap = {see, d};
    struct network_config config = d->fit.config;
    const size_t stop = d->fit.stop.count, windows = stop < SAMPLES ? stop : SAMPLES;
    const size_t one = d->S * d->T * d->N, all = 2 * d->layers * d->H * one;
    double unused;
    d->q = mem_try(3 * all, sizeof *d->q);
    if (!d->q)
        return err_set(err, ERR_NO_MEMORY, "diagnose: no memory for %zu tokens", d->T);
    d->k = d->q + all;
    d->v = d->k + all;
    config.tap = &tap;
    if (answer(d, &config, windows, &unused, err))
        return -1;
    out->count = 2 * d->layers * d->H;
    out->heads = mem_new(out->count, sizeof *out->heads);
    for (size_t i = 0; i < out->count; i++) {
        const struct concentration_data data = {.S = d->S,
                                                .T = d->T,
                                                .N = d->N,
                                                .q = d->q + i * one,
                                                .k = d->k + i * one,
                                                .v = d->v + i * one};
        struct model_concentration *const head = &out->heads[i];
        concentration_measure(&data, (uint64_t)d->fit.settings.seed, head);
        head->branch = branches[i / (d->layers * d->H)];
        head->layer = i / d->H % d->layers;
        head->head = i % d->H;
    }
    return 0;
}

/* The same weights with inline in softmax's place: neither has tensors of its own. */
static int swap(struct diagnose *d, struct model_diagnosis *out, struct err *err)
{
    struct network_config config = d->fit.config;
    const size_t stop = d->fit.stop.count;
    if (answer(d, &config, stop, &out->loss_softmax, err))
        return -1;
    config.mixer = mixer_find("inline", err);
    config.options.inline_local = LOCAL_NONE;
    config.options.inline_phi = PHI_IDENTITY;
    if (!config.mixer || answer(d, &config, stop, &out->loss_inline, err))
        return -1;
    out->convertible = fabs(out->loss_inline / out->loss_softmax - 1) < CHANGE_MOST;
    for (size_t i = 0; i < out->count; i++)
        out->convertible = out->convertible && out->heads[i].floor < FLOOR_MOST;
    return 0;
}

static int check(const struct model_spec *spec, size_t tokens, struct err *err)
{
    const struct model_settings *const s = &spec->settings;
    if (strcmp(s->mixer, "softmax") != 0)
        return err_set(err, ERR_INVALID, "mixer: must be softmax to diagnose it, got %s",
                       s->mixer);
    if (s->causal)
        return err_set(err, ERR_INVALID, "causal: must be false to diagnose softmax");
    if (tokens < 2)
        return err_set(err, ERR_CONFLICT,
                       "diagnose: one token has nothing to attend to: axis = patch, or "
                       "group = joint with more series");
    return 0;
}

/* Samples of tokens in the windows looked at; those of the tap's call. */
static void shape(struct diagnose *d)
{
    const struct network_config *const c = &d->fit.config;
    d->T = c->axis == AXIS_VARIATE ? c->V
           : c->axis == AXIS_EMBED ? c->D
                                   : c->L / c->patch;
    d->S = d->fit.stop.count < SAMPLES ? d->fit.stop.count : SAMPLES;
    d->H = c->H;
    d->N = c->C / c->H;
    d->layers = c->layers;
}

int model_diagnose(const struct grid *grid, const struct model_spec *spec,
                   const struct model_split *split, const struct model_hooks *hooks,
                   struct model_diagnosis *out, struct err *err)
{
    struct diagnose d = {0};
    *out = (struct model_diagnosis){0};
    if (spec_check_grid(spec, grid, err) ||
        cut_split(split, grid->rows, spec->lookback, spec->horizon, &d.cut, err) ||
        panel_init(&d.panel, grid, spec->group, d.cut.fit, err))
        return -1;
    int rc = -1;
    d.pool = threads_start(hooks ? hooks->threads : 1);
    d.season = spec->season ? spec->season : panel_season(&d.panel, d.cut.fit);
    if (fit_init(&d.fit, &d.panel, &d.cut, spec, d.season,
                 fit_fingerprint(grid, spec, &d.cut), hooks, d.pool, err))
        goto out;
    shape(&d);
    if (check(spec, d.T, err))
        goto out;
    if (d.fit.windows.count == 0 || d.fit.stop.count == 0) {
        err_set(err, ERR_CONFLICT, "max_missing: no window misses less than %g",
                spec->settings.max_missing);
        goto out;
    }
    out->samples = d.S;
    if (fit_run(&d.fit, err) || look(&d, out, err) || swap(&d, out, err))
        goto out;
    rc = 0;
out:
    free(d.q);
    fit_fini(&d.fit);
    threads_stop(d.pool);
    panel_fini(&d.panel);
    if (rc)
        model_diagnosis_fini(out);
    return rc;
}
