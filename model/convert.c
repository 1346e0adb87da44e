/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A trained network's softmax is replaced layer by layer, tuned, and judged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/artifact.h"
#include "model/cut.h"
#include "model/digest.h"
#include "model/distil.h"
#include "model/effect.h"
#include "model/fit.h"
#include "model/frwkv.h"
#include "model/panel.h"
#include "model/spec.h"
#include "model/threads.h"
#include "model/windows.h"

enum { TUNED_SHARE = 4, JUDGED_MOST = 4096 }; /* of the epochs; windows */

static const double TUNED_RATE = 0.2; /* of the learning rate */
static const double CHANGE_MOST = 5e-3;

struct convert {
    const struct model *from;
    const struct model_hooks *hooks;
    struct threads *pool;
    struct cut cut;
    struct model_spec spec, tuned; /* of the model to come; of its fine-tuning */
    struct effect_view effect;
    struct panel panel, less; /* the second: less what covariates do */
    struct network_config softmax;
    struct fit fit;
    struct windows judge;
    real *theta;
};

/* ---- what can be converted, and into what ------------------------------------------ */

static int check_from(const struct model *from, const struct grid *grid, struct err *err)
{
    if (!from->theta)
        return err_set(err, ERR_CONFLICT,
                       "convert: the model has no network: it serves no series");
    if (strcmp(from->spec.settings.mixer, "softmax") != 0)
        return err_set(err, ERR_CONFLICT,
                       "convert: the model's mixer must be softmax, it is %s",
                       from->spec.settings.mixer);
    bool same = grid->cols == from->series && grid->step_ms == from->step_ms;
    for (size_t i = 0; same && i < grid->cols; i++)
        same = grid->names[i] && strcmp(grid->names[i], from->names[i]) == 0;
    if (!same)
        return err_set(err, ERR_CONFLICT,
                       "convert: the series are not those the model was trained on");
    return 0;
}

static int settle(struct convert *c, const char *mixer, struct err *err)
{
    struct model_settings *const s = &c->spec.settings;
    c->spec = c->from->spec;
    if (!model_can_convert(mixer))
        return err_set(err, ERR_INVALID, "mixer: must be inline or luna, got \"%.40s\"",
                       mixer);
    /* Both of inline's extras would be something else than softmax's first order. */
    if (model_settings_set(s, "mixer", mixer, err) ||
        model_settings_set(s, "inline_local", "none", err) ||
        model_settings_set(s, "inline_phi", "identity", err))
        return -1;
    c->tuned = c->spec;
    c->tuned.settings.epochs = (s->epochs + TUNED_SHARE - 1) / TUNED_SHARE;
    c->tuned.settings.learning_rate *= TUNED_RATE;
    return 0;
}

bool model_can_convert(const char *mixer)
{
    return strcmp(mixer, "inline") == 0 || strcmp(mixer, "luna") == 0;
}

/* ---- the data ---------------------------------------------------------------------- */

/* On the scale of the model's training, which its weights may know. */
static void rescale(struct panel *p, const struct model *m)
{
    for (size_t i = 0; i < p->rows * p->cols; i++) {
        const size_t s = i % p->cols;
        p->z[i] = (p->z[i] * p->sd[s] + p->mean[s] - m->mean[s]) / m->sd[s];
    }
    memcpy(p->mean, m->mean, p->cols * sizeof *p->mean);
    memcpy(p->sd, m->sd, p->cols * sizeof *p->sd);
}

static uint64_t fingerprint(const struct convert *c, const struct grid *grid)
{
    struct digest d = {.state = fit_fingerprint(grid, &c->tuned, &c->cut)};
    digest_bytes(&d, c->from->theta, c->from->size * sizeof *c->from->theta);
    return d.state;
}

/* The chain, where there is one, is the one that the model was trained with. */
static void keep_order(struct fit *fit, const struct chain *chain)
{
    if (fit->chain.V && chain->V == fit->chain.V)
        memcpy(fit->chain.order, chain->order, chain->V * sizeof *chain->order);
}

static int cut_parts(struct convert *c, const struct grid *grid, struct err *err)
{
    const struct model_spec *const spec = &c->spec;
    const size_t season = c->from->season;
    if (!cut_history(grid->rows, spec->lookback, spec->horizon, &c->cut))
        return err_set(err, ERR_CONFLICT, "history: %zu steps, converting needs %zu",
                       grid->rows, model_rows_for_training(spec));
    double *const limits = mem_new(grid->cols, sizeof *limits);
    const int rc = panel_believe(&c->panel, grid, spec->group, grid->rows, limits, err);
    free(limits);
    if (rc)
        return -1;
    rescale(&c->panel, c->from);
    if (effect_view_init(&c->effect, &c->from->effects, grid, spec->horizon, err) ||
        effect_less(&c->effect, &c->panel, &c->less, err) ||
        frwkv_config(&c->from->spec, season, c->panel.width, &c->from->chain, &c->softmax,
                     err) ||
        fit_init(&c->fit, &c->less, &c->cut, &c->tuned, season, fingerprint(c, grid),
                 c->hooks, c->pool, err) ||
        windows_init(&c->judge, &c->less, spec->lookback, spec->horizon, season,
                     c->cut.stop, c->cut.end, 1, err))
        return -1;
    keep_order(&c->fit, &c->from->chain);
    c->judge.rhythm = c->fit.stop.rhythm;
    windows_thin(&c->judge, JUDGED_MOST);
    if (c->fit.windows.count == 0 || c->fit.stop.count == 0 || c->judge.count == 0)
        return err_set(err, ERR_CONFLICT, "history: too much is missing to convert on");
    return 0;
}

/* ---- the weights ------------------------------------------------------------------- */

static int judge(const struct convert *c, const struct network_config *config,
                 const real *theta, double *loss, struct err *err)
{
    return fit_loss(&c->fit, config, theta, &c->judge, c->judge.count, loss, err);
}

static int weigh(struct convert *c, struct model_conversion *out, struct err *err)
{
    struct fit *const fit = &c->fit;
    const struct distil layers = {.from = &c->softmax,
                                  .to = &fit->config,
                                  .theta = c->from->theta,
                                  .windows = &fit->windows,
                                  .held = &fit->stop,
                                  .seed = (uint64_t)c->spec.settings.seed,
                                  .hooks = c->hooks,
                                  .pool = c->pool};
    c->theta = mem_try(fit->state.size, sizeof *c->theta);
    if (!c->theta)
        return err_set(err, ERR_NO_MEMORY, "convert: no memory for %zu parameters",
                       fit->state.size);
    if (distil(&layers, c->theta, &out->layers_before, &out->layers_after, err) ||
        fit_loss(fit, &fit->config, c->theta, &fit->stop, fit->stop.count,
                 &fit->begin_loss, err))
        return -1;
    fit->begin = c->theta;
    if (fit_run(fit, err) ||
        judge(c, &c->softmax, c->from->theta, &out->loss_softmax, err) ||
        judge(c, &fit->config, c->theta, &out->loss_swapped, err) ||
        judge(c, &fit->config, fit->state.best, &out->loss_converted, err))
        return -1;
    out->windows = c->judge.count;
    out->accepted = out->loss_converted <= (1 + CHANGE_MOST) * out->loss_softmax;
    return 0;
}

/* ---- the model --------------------------------------------------------------------- */

static struct model *copy_of(const struct model *model, struct err *err)
{
    void *bytes = NULL;
    size_t len;
    if (model_save(model, &bytes, &len, err))
        return NULL;
    struct model *const copy = model_load(bytes, len, err);
    free(bytes);
    return copy;
}

/* All is the old model's but the network. */
static struct model *assemble(const struct convert *c, struct err *err)
{
    const struct fit *const fit = &c->fit;
    struct model *const m = copy_of(c->from, err);
    if (!m)
        return NULL;
    free(m->theta);
    network_fold_free(m->fold);
    m->fold = NULL;
    chain_fini(&m->chain);
    m->spec = c->spec;
    m->size = fit->state.size;
    m->params = fit->params;
    m->theta = mem_try(m->size, sizeof *m->theta);
    if (!m->theta)
        err_set(err, ERR_NO_MEMORY, "convert: no memory for %zu parameters", m->size);
    else if ((fit->chain.V == 0 || chain_copy(&m->chain, &fit->chain, err) == 0)) {
        memcpy(m->theta, fit->state.best, m->size * sizeof *m->theta);
        snprintf(m->report.note, sizeof m->report.note,
                 "converted from softmax to %s; the figures are those of softmax",
                 m->spec.settings.mixer);
        if (artifact_fold(m, err) == 0)
            return m;
    }
    model_free(m);
    return NULL;
}

struct model *model_convert(const struct model *from, const char *mixer,
                            const struct grid *grid, const struct model_hooks *hooks,
                            struct model_conversion *out, struct err *err)
{
    struct convert c = {.from = from, .hooks = hooks};
    struct model *m = NULL;
    *out = (struct model_conversion){0};
    if (check_from(from, grid, err) || settle(&c, mixer, err) ||
        spec_check_grid(&c.spec, grid, err))
        return NULL;
    c.pool = threads_start(hooks ? hooks->threads : 1);
    if (cut_parts(&c, grid, err) == 0 && weigh(&c, out, err) == 0)
        m = assemble(&c, err);
    free(c.theta);
    windows_fini(&c.judge);
    fit_fini(&c.fit);
    effect_less_fini(&c.less, &c.panel);
    effect_view_fini(&c.effect);
    panel_fini(&c.panel);
    threads_stop(c.pool);
    return m;
}
