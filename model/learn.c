/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * model_train(): fit | stop | judge, who serves where, then a refit on everything.
 *
 * Candidates without training are compared over all history, trained ones in the judge
 * part alone.  The figures come from the judge part, coverage and WQL from bands that
 * follow the candidates through it (a trained one from the stop part on).  Very long or very wide history is judged
 * at every n-th origin, which the rule's standard errors allow for.
 */
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/artifact.h"
#include "model/cut.h"
#include "model/effect.h"
#include "model/fit.h"
#include "model/frwkv.h"
#include "model/in_context.h"
#include "model/pulse.h"
#include "model/referee.h"
#include "model/report.h"
#include "model/spec.h"
#include "model/threads.h"
#include "model/windows.h"

enum {
    JUDGE_BATCH = 64,
    JUDGE_CELLS = 1 << 26, /* most forecast values of one candidate in one part */
};

struct learn {
    const struct grid *grid;
    const struct model_spec *spec;
    const struct model_hooks *hooks;
    struct threads *pool;
    struct cut cut;
    bool trained;
    unsigned mask;
    size_t season;
    struct panel panel, less; /* the second: less what covariates do */
    struct effect_view effect;
    struct fit fit;
    struct frwkv frwkv;
    struct referee referee;
    char note[sizeof((struct model_report *)0)->note];
};

static void decline(struct learn *l, const char *why)
{
    l->trained = false;
    l->mask = candidate_untrained();
    snprintf(l->note, sizeof l->note, "%s", why);
}

static int cut_grid(struct learn *l, struct err *err)
{
    const size_t rows = l->grid->rows, least = model_rows_for_candidates(l->spec);
    if (rows < least)
        return err_set(err, ERR_CONFLICT, "history: %zu steps, at least %zu are needed",
                       rows, least);
    l->mask = (1u << CANDIDATES) - 1;
    l->trained = cut_history(rows, l->spec->lookback, l->spec->horizon, &l->cut);
    if (l->spec->untrained)
        decline(l, "no training was asked for");
    else if (!l->trained) {
        char why[120];
        snprintf(why, sizeof why, "history: %zu steps, training needs %zu", rows,
                 model_rows_for_training(l->spec));
        decline(l, why);
    }
    return 0;
}

static int train_frwkv(struct learn *l, struct err *err)
{
    if (fit_init(&l->fit, &l->less, &l->cut, l->spec, l->season,
                 fit_fingerprint(l->grid, l->spec, &l->cut), l->hooks, l->pool, err))
        return -1;
    if (l->fit.windows.count == 0 || l->fit.stop.count == 0) {
        decline(l, "history: too much is missing to train on");
        return 0;
    }
    if (fit_run(&l->fit, err))
        return -1;
    return frwkv_init(&l->frwkv, l->spec, l->season, l->panel.width, &l->fit.chain,
                      JUDGE_BATCH, l->fit.state.best, l->pool, err);
}

/* Origins whose targets lie in rows [from, to), no earlier than row `first`. */
static int hear(struct learn *l, const struct model *m, size_t first, size_t from,
                size_t to, unsigned mask, unsigned what, size_t *count, struct err *err)
{
    const struct candidate_task task = {
        .panel = &l->panel,
        .P = l->spec->horizon,
        .season = l->season,
        .tail = candidate_tail(l->spec->lookback, l->season, l->spec->horizon),
        .profiles = m->profiles,
        .contexts = m->contexts,
        .frwkv = &l->frwkv,
        .less = &l->less,
        .effect = l->effect.effects ? &l->effect : NULL,
    };
    struct windows windows;
    if (windows_init(&windows, &l->panel, first, l->spec->horizon, l->season, from, to, 1,
                     err))
        return -1;
    const size_t stride = windows_space(&windows, JUDGE_CELLS);
    struct pulse pulse;
    pulse_start(&pulse, l->hooks, "judge", 0, windows.count);
    const int rc =
        referee_hear(&l->referee, &task, &windows, stride, mask, what, &pulse, err);
    if (count)
        *count = windows.count;
    windows_fini(&windows);
    return rc;
}

/* Strangers to a joint model have no place in its network. */
static void settle_strangers(struct model *m)
{
    for (int b = 0; b < MODEL_BUCKETS; b++) {
        struct verdict *const v = &m->verdicts[m->series * MODEL_BUCKETS + (size_t)b];
        if (m->spec.group == GROUP_JOINT)
            v->champion = v->fallback;
    }
}

static int judge(struct learn *l, struct model *m, struct err *err)
{
    const size_t P = l->spec->horizon, end = l->cut.end;
    /* A horizon of history is enough for a candidate that looks at its last values. */
    const size_t first = P < l->spec->lookback ? P : l->spec->lookback;
    const size_t from = l->trained ? l->cut.stop : first;
    const unsigned untrained = candidate_untrained(), follow = HEAR_DUEL | HEAR_FOLLOW;
    if (referee_init(&l->referee, &l->panel, P, l->season, l->cut.fit, err))
        return -1;
    if (l->trained && (hear(l, m, first, 0, from + P - 1, untrained, follow, NULL, err) ||
                       hear(l, m, first, l->cut.fit, from, l->mask & ~untrained,
                            HEAR_FOLLOW, NULL, err)))
        return -1;
    if (hear(l, m, first, from, end, l->mask, follow | HEAR_SCORE | HEAR_BANDS,
             &m->report.windows_judge, err))
        return -1;
    referee_decide(&l->referee, l->mask, m->verdicts);
    settle_strangers(m);
    referee_skills(&l->referee, m->verdicts);
    return 0;
}

/* The panel's unit is the deviation of the fit part, the model's that of all rows; of their
 * ratio the spread takes half, as a root. */
static int calibrate(struct learn *l, struct model *m, struct err *err)
{
    double *const unit = mem_new(m->series, sizeof *unit);
    for (size_t s = 0; s < m->series; s++)
        unit[s] = sqrt(l->panel.sd[s] / m->sd[s]);
    int rc = 0;
    for (int c = 0; c < CANDIDATES && rc == 0; c++)
        if (artifact_serves(m, c))
            rc = referee_bands(&l->referee, c, unit, &m->bands[c], err);
    m->spread_rows = l->referee.spread_rows;
    free(unit);
    return rc;
}

static void fill_report(const struct learn *l, struct model *m)
{
    struct model_report *const r = &m->report;
    r->season = l->season;
    report_figures(r, &l->referee, l->mask, m->verdicts, l->cut.fit, l->season,
                   l->fit.params);
    for (size_t i = 0; i < r->figure_count; i++)
        if (strcmp(r->figures[i].candidate, candidates[CANDIDATE_FRWKV].name) == 0)
            r->figures[i].seconds += l->fit.seconds;
    report_champions(r, &l->referee, m->verdicts, m->series);
    if (l->trained) {
        report_epochs(r, &l->fit.state);
        r->windows_fit = l->fit.windows.count;
        r->windows_stop = l->fit.stop.count;
    }
    memcpy(r->note, l->note, sizeof r->note);
}

static int refit_frwkv(struct learn *l, struct model *m, const struct panel *less,
                       struct err *err)
{
    if (chain_copy(&m->chain, &l->fit.chain, err) || fit_again(&l->fit, less, err))
        return -1;
    m->size = l->fit.state.size;
    m->params = l->fit.params;
    m->theta = mem_try(m->size, sizeof *m->theta);
    if (!m->theta)
        return err_set(err, ERR_NO_MEMORY, "model: no memory for %zu parameters",
                       m->size);
    memcpy(m->theta, train_result(&l->fit.state, &l->spec->settings),
           m->size * sizeof *m->theta);
    return artifact_fold(m, err);
}

/* Scales and effects of all rows, and weights that saw them all where the network
 * serves. */
static int refit(struct learn *l, struct model *m, struct err *err)
{
    struct panel all, less = {0};
    if (panel_believe(&all, l->grid, l->spec->group, l->grid->rows, m->leap, err))
        return -1;
    memcpy(m->mean, all.mean, m->series * sizeof *m->mean);
    memcpy(m->sd, all.sd, m->series * sizeof *m->sd);
    int rc = effects_fit(&m->effects, &l->effect, &all, l->spec->horizon, err);
    if (rc == 0)
        rc = effect_less(&l->effect, &all, &less, err);
    if (rc == 0 && l->trained && artifact_serves(m, CANDIDATE_FRWKV))
        rc = refit_frwkv(l, m, &less, err);
    effect_less_fini(&less, &all);
    panel_fini(&all);
    return rc;
}

static int learn(struct learn *l, struct model *m, struct err *err)
{
    if (artifact_index(m))
        return err_set(err, ERR_INVALID, "series: two columns have the same name");
    if (cut_grid(l, err) ||
        panel_believe(&l->panel, l->grid, l->spec->group, l->cut.fit, m->leap, err))
        return -1;
    l->season = l->spec->season ? l->spec->season : panel_season(&l->panel, l->cut.fit);
    m->season = l->season;
    if (effects_begin(&m->effects, &l->effect, &l->less, l->grid, &l->panel, l->spec,
                      l->season, l->cut.fit, err))
        return -1;
    profile_choose(&l->less, l->spec->horizon, l->season, l->cut.stop, m->profiles);
    in_context_choose(&l->less, m->profiles, l->spec->horizon, l->season, l->cut.stop,
                      m->contexts);
    if ((l->trained && train_frwkv(l, err)) || judge(l, m, err))
        return -1;
    fill_report(l, m);
    if (refit(l, m, err) || calibrate(l, m, err))
        return -1;
    report_covariates(&m->report, &m->effects);
    return 0;
}

struct model *model_train(const struct grid *grid, const struct model_spec *spec,
                          const struct model_hooks *hooks, struct err *err)
{
    if (spec_check_grid(spec, grid, err))
        return NULL;
    struct learn l = {.grid = grid,
                      .spec = spec,
                      .hooks = hooks,
                      .pool = threads_start(hooks ? hooks->threads : 1)};
    struct model *m = artifact_new(spec, grid->step_ms, grid->cols, grid->names);
    if (learn(&l, m, err)) {
        model_free(m);
        m = NULL;
    }
    referee_fini(&l.referee);
    frwkv_fini(&l.frwkv);
    fit_fini(&l.fit);
    effect_less_fini(&l.less, &l.panel);
    effect_view_fini(&l.effect);
    panel_fini(&l.panel);
    threads_stop(l.pool);
    return m;
}
