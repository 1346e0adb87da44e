/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/fit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "model/digest.h"
#include "model/frwkv.h"
#include "model/loss.h"
#include "model/pulse.h"

enum { LOSS_BATCH = 32 };

static void digest_setting(void *ctx, const char *key, const char *value,
                           const char *help)
{
    (void)help;
    digest_text(ctx, key);
    digest_text(ctx, value);
}

static void digest_take(void *ctx, const void *bytes, size_t len)
{
    digest_bytes(ctx, bytes, len);
}

uint64_t fit_fingerprint(const struct grid *grid, const struct model_spec *spec,
                         const struct cut *cut)
{
    struct digest d = {0};
    const uint64_t numbers[] = {(uint64_t)grid->start_ms,
                                (uint64_t)grid->step_ms,
                                grid->rows,
                                grid->cols,
                                spec->group,
                                spec->lookback,
                                spec->horizon,
                                spec->season,
                                cut->fit,
                                cut->stop,
                                cut->end};
    digest_bytes(&d, numbers, sizeof numbers);
    model_settings_each(&spec->settings, digest_setting, &d);
    for (size_t c = 0; c < grid->cols; c++)
        digest_text(&d, grid->names[c] ? grid->names[c] : "");
    if (grid->covariates) {
        digest_number(&d, spec->gap);
        covariates_each_byte(grid->covariates, digest_take, &d);
    }
    digest_bytes(&d, grid->values, grid->rows * grid->cols * sizeof *grid->values);
    return d.state;
}

/*
 * An epoch of group = each is as many windows as there are values: hundreds of series
 * would train for hours on what a few thousand steps have learnt.  Of one joint model it
 * is as many as rows, which published protocols go through (1,150 steps at most).
 */
enum { STEPS_EACH = 400, STEPS_JOINT = 2000 };

static struct model_settings decide(const struct model_spec *spec)
{
    struct model_settings settings = spec->settings;
    if (settings.steps_per_epoch == 0)
        settings.steps_per_epoch = spec->group == GROUP_EACH ? STEPS_EACH : STEPS_JOINT;
    return settings;
}

static struct rhythm *rhythm_of(struct fit *fit)
{
    return fit->rhythm.season ? &fit->rhythm : NULL;
}

static int cut_windows(struct fit *fit, const struct panel *panel, const struct cut *cut,
                       struct err *err)
{
    const struct model_spec *const spec = fit->spec;
    if (windows_init(&fit->windows, panel, spec->lookback, spec->horizon, fit->season, 0,
                     cut->fit, spec->settings.max_missing, err) ||
        windows_init(&fit->stop, panel, spec->lookback, spec->horizon, fit->season,
                     cut->fit, cut->stop, 1, err))
        return -1;
    fit->windows.rhythm = fit->stop.rhythm = rhythm_of(fit);
    fit->windows.stream = fit->stop.stream = spec->settings.stream;
    fit->pace = train_pace(&fit->settings, fit->windows.count);
    /* Where an epoch is capped, validating costs no more windows than training. */
    if (fit->pace.per_epoch == (uint64_t)fit->settings.steps_per_epoch)
        windows_thin(&fit->stop, fit->pace.per_epoch * fit->pace.batch);
    return 0;
}

int fit_init(struct fit *fit, const struct panel *panel, const struct cut *cut,
             const struct model_spec *spec, size_t season, uint64_t fingerprint,
             const struct model_hooks *hooks, struct threads *pool, struct err *err)
{
    *fit = (struct fit){.spec = spec,
                        .settings = decide(spec),
                        .hooks = hooks,
                        .pool = pool,
                        .season = season,
                        .fingerprint = fingerprint};
    struct network *shape = NULL;
    int rc = -1;
    if ((chain_wanted(spec) && chain_init(&fit->chain, panel, cut->fit, err)) ||
        frwkv_config(spec, season, panel->width, &fit->chain, &fit->config, err) ||
        !(shape = network_new(&fit->config, 1, false, NULL, err)) ||
        train_state_init(&fit->state, network_size(shape), spec->settings.epochs, err) ||
        rhythm_init(&fit->rhythm, rhythm_season(spec, season), err) ||
        cut_windows(fit, panel, cut, err))
        goto out;
    fit->params = network_params(shape);
    rc = 0;
out:
    network_free(shape);
    if (rc)
        fit_fini(fit);
    return rc;
}

void fit_fini(struct fit *fit)
{
    chain_fini(&fit->chain);
    train_state_fini(&fit->state);
    windows_fini(&fit->windows);
    windows_fini(&fit->stop);
    rhythm_fini(&fit->rhythm);
}

/* Tells once whether the checkpoint was used. */
static int note(const struct fit *fit, const char *text, struct err *err)
{
    struct pulse pulse;
    pulse_start(&pulse, fit->hooks, "fit", 0, fit->pace.steps);
    return pulse_note(&pulse, text, err);
}

/* Leaves the state where the checkpoint was, or at the beginning of the fit. */
static int resume(struct fit *fit, const struct network *network, struct err *err)
{
    struct err why = {0};
    train_begin(&fit->state, network, &fit->settings, PHASE_FIT);
    if (fit->begin) {
        struct train_state *const s = &fit->state;
        real *const all[] = {s->theta, s->shadow, s->best};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            memcpy(all[i], fit->begin, s->size * sizeof(real));
        s->best_loss = fit->begin_loss;
    }
    if (!fit->hooks || !fit->hooks->checkpoint_path)
        return 0;
    if (checkpoint_read(&fit->state, fit->hooks->checkpoint_path, fit->fingerprint,
                        &why) == 0)
        return note(fit, "going on from the checkpoint", err);
    if (why.code == ERR_NOT_FOUND)
        return 0;
    char text[sizeof why.msg + 32];
    snprintf(text, sizeof text, "%s: ignored, starting afresh", why.msg);
    return note(fit, text, err);
}

static int run(struct fit *fit, const struct windows *windows, const struct windows *stop,
               struct network *network, struct err *err)
{
    const struct train train = {
        .network = network,
        .settings = &fit->settings,
        .windows = windows,
        .stop = stop,
        .fit_pace = fit->pace,
        .state = &fit->state,
        .hooks = fit->hooks,
        .fingerprint = fit->fingerprint,
        .pool = fit->pool,
    };
    const int64_t start = time_monotonic_ms();
    const int rc = train_run(&train, err);
    fit->seconds += (double)(time_monotonic_ms() - start) / 1000.0;
    return rc;
}

/* Checks what the hooks allow first. */
static struct network *training_network(const struct fit *fit, size_t batch,
                                        struct err *err)
{
    /* Weights, gradients, two moments, the average and the best so far. */
    enum { COPIES = 6 };
    const size_t limit = fit->hooks ? fit->hooks->memory_max : 0;
    const size_t work = network_bytes(&fit->config, batch, true, err);
    const size_t needed = work + COPIES * fit->params * sizeof(real);
    if (work == 0)
        return NULL;
    if (limit && needed > limit) {
        err_set(err, ERR_TOO_LARGE,
                "memory: a training may take %zu MiB, this one needs %zu: a smaller "
                "batch, width or lookback, or fewer series of a joint model",
                limit >> 20, (needed >> 20) + 1);
        return NULL;
    }
    return network_new(&fit->config, batch, true, fit->pool, err);
}

int fit_loss(const struct fit *fit, const struct network_config *config,
             const real *theta, const struct windows *windows, size_t count, double *loss,
             struct err *err)
{
    const size_t in = config->L * config->V, out = config->P * config->V;
    struct network *const network =
        network_new(config, LOSS_BATCH, false, fit->pool, err);
    if (!network)
        return -1;
    real *const x = mem_new(LOSS_BATCH * in, sizeof *x);
    real *const y = mem_new(2 * LOSS_BATCH * out, sizeof *y);
    real *const target = y + LOSS_BATCH * out;
    real *const weight = mem_new(config->P, sizeof *weight);
    uint32_t phase[LOSS_BATCH];
    struct loss_sum total = {0};
    loss_weights(weight, config->P, fit->settings.loss_alpha);
    for (size_t at = 0; at < count; at += LOSS_BATCH) {
        const size_t B = count - at < LOSS_BATCH ? count - at : LOSS_BATCH;
        windows_gather(windows, NULL, at, B, x, phase, target);
        network_forward(network, theta, x, phase, B, y, NULL);
        const struct loss_sum part =
            loss_forward(fit->settings.loss, weight, y, target, B, config->P, config->V);
        total.sum += part.sum;
        total.count += part.count;
    }
    *loss = loss_mean(total);
    free(weight);
    free(y);
    free(x);
    network_free(network);
    return 0;
}

int fit_run(struct fit *fit, struct err *err)
{
    struct network *const network = training_network(fit, fit->pace.batch, err);
    if (!network)
        return -1;
    int rc = resume(fit, network, err);
    if (rc == 0 && fit->state.phase == PHASE_FIT)
        rc = run(fit, &fit->windows, &fit->stop, network, err);
    network_free(network);
    return rc;
}

static int all_windows(const struct fit *fit, const struct panel *panel,
                       double max_missing, struct windows *out, struct err *err)
{
    return windows_init(out, panel, fit->spec->lookback, fit->spec->horizon, fit->season,
                        0, panel->rows, max_missing, err);
}

int fit_again(struct fit *fit, const struct panel *panel, struct err *err)
{
    const struct model_spec *const spec = fit->spec;
    struct windows all;
    if (all_windows(fit, panel, spec->settings.max_missing, &all, err))
        return -1;
    /* A series that begins after the fit part can make every window look gappy. */
    if (all.count == 0) {
        windows_fini(&all);
        if (all_windows(fit, panel, 1, &all, err))
            return -1;
    }
    all.rhythm = rhythm_of(fit);
    all.stream = spec->settings.stream;
    const size_t batch = train_pace(&fit->settings, all.count).batch;
    struct network *const network = training_network(fit, batch, err);
    int rc = -1;
    if (network) {
        if (fit->state.phase == PHASE_FIT)
            train_begin(&fit->state, network, &fit->settings, PHASE_REFIT);
        rc = run(fit, &all, NULL, network, err);
    }
    network_free(network);
    windows_fini(&all);
    return rc;
}
