/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protocol of the literature: fit on the train part, stop on the validation part,
 * every window of the test part counted once, every value believed (model/leap.h).  Who
 * serves comes from the validation part (candidates without training: from everything
 * before the test part).  The test part is heard last and changes nothing but the bands,
 * which follow the candidates through it: at every origin they rest on what had come true
 * by then.
 */
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/candidate.h"
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

/* Forecasts of one batch while judging. */
enum { JUDGE_BATCH = 64 };

struct backtest {
    const struct model_spec *spec;
    const struct model_hooks *hooks;
    struct threads *pool;
    struct cut cut;
    unsigned mask; /* candidates that take part */
    size_t season;
    struct panel panel, less; /* the second: less what covariates do */
    struct effects effects;
    struct effect_view effect;
    struct fit fit;
    struct frwkv frwkv;
    struct referee referee;
    struct profile *profiles; /* (series + 1) */
    unsigned char *contexts;
    struct verdict *verdicts;
};

static int parse_mask(const char *const *names, size_t count, unsigned *mask,
                      struct err *err)
{
    *mask = names ? 0 : (1u << CANDIDATES) - 1;
    for (size_t i = 0; names && i < count; i++) {
        const int c = candidate_find(names[i], err);
        if (c < 0)
            return -1;
        *mask |= 1u << c;
    }
    return *mask ? 0 : err_set(err, ERR_INVALID, "model: no candidate is named");
}

static bool takes_part(const struct backtest *b, int candidate)
{
    return b->mask >> candidate & 1;
}

static int train_frwkv(struct backtest *b, const struct grid *grid, struct err *err)
{
    if (fit_init(&b->fit, &b->less, &b->cut, b->spec, b->season,
                 fit_fingerprint(grid, b->spec, &b->cut), b->hooks, b->pool, err))
        return -1;
    if (b->fit.windows.count == 0 || b->fit.stop.count == 0)
        return err_set(err, ERR_CONFLICT,
                       "max_missing: no window of the train part misses less than %g",
                       b->spec->settings.max_missing);
    if (fit_run(&b->fit, err))
        return -1;
    return frwkv_init(&b->frwkv, b->spec, b->season, b->panel.width, &b->fit.chain,
                      JUDGE_BATCH, b->fit.state.best, b->pool, err);
}

/* Windows with targets in [from, to), forecast by those of mask. */
static int hear(struct backtest *b, size_t from, size_t to, unsigned mask, unsigned what,
                size_t *count, struct err *err)
{
    const struct candidate_task task = {
        .panel = &b->panel,
        .P = b->spec->horizon,
        .season = b->season,
        .tail = candidate_tail(b->spec->lookback, b->season, b->spec->horizon),
        .profiles = b->profiles,
        .contexts = b->contexts,
        .frwkv = &b->frwkv,
        .less = &b->less,
        .effect = b->effect.effects ? &b->effect : NULL,
    };
    struct windows windows;
    if (windows_init(&windows, &b->panel, b->spec->lookback, b->spec->horizon, b->season,
                     from, to, 1, err))
        return -1;
    struct pulse pulse;
    pulse_start(&pulse, b->hooks, "judge", 0, windows.count);
    const int rc =
        referee_hear(&b->referee, &task, &windows, 1, mask & b->mask, what, &pulse, err);
    if (count)
        *count = windows.count;
    windows_fini(&windows);
    return rc;
}

static int choose(struct backtest *b, struct err *err)
{
    const struct cut *const cut = &b->cut;
    const unsigned what = HEAR_DUEL | HEAR_FOLLOW;
    if (hear(b, 0, cut->fit + b->spec->horizon - 1, candidate_untrained(), what, NULL,
             err) ||
        hear(b, cut->fit, cut->stop, ~0u, what, NULL, err))
        return -1;
    referee_decide(&b->referee, b->mask, b->verdicts);
    return 0;
}

static int fill_report(struct backtest *b, struct model_report *report, struct err *err)
{
    const size_t S = b->panel.cols;
    memset(b->referee.seconds, 0, sizeof b->referee.seconds);
    if (hear(b, b->cut.stop, b->cut.end, ~0u, HEAR_SCORE | HEAR_BANDS | HEAR_FOLLOW,
             &report->windows_judge, err))
        return -1;
    b->referee.seconds[CANDIDATE_FRWKV] += b->fit.seconds;
    referee_skills(&b->referee, b->verdicts);

    report->season = b->season;
    report_figures(report, &b->referee, b->mask, b->verdicts, b->cut.fit, b->season,
                   b->fit.params);
    report_champions(report, &b->referee, b->verdicts, S);
    report_epochs(report, &b->fit.state);
    report_covariates(report, &b->effects);
    report->windows_fit = b->fit.windows.count;
    report->windows_stop = b->fit.stop.count;
    return 0;
}

int model_backtest(const struct grid *grid, const struct model_spec *spec,
                   const struct model_split *split, const char *const *candidate_names,
                   size_t candidate_count, const struct model_hooks *hooks,
                   struct model_report *report, struct err *err)
{
    struct backtest b = {.spec = spec, .hooks = hooks};
    *report = (struct model_report){0};
    if (spec_check_grid(spec, grid, err) ||
        parse_mask(candidate_names, candidate_count, &b.mask, err) ||
        cut_split(split, grid->rows, spec->lookback, spec->horizon, &b.cut, err) ||
        panel_init(&b.panel, grid, spec->group, b.cut.fit, err))
        return -1;
    int rc = -1;
    b.pool = threads_start(hooks ? hooks->threads : 1);
    b.season = spec->season ? spec->season : panel_season(&b.panel, b.cut.fit);
    b.profiles = mem_new(grid->cols + 1, sizeof *b.profiles);
    if (effects_begin(&b.effects, &b.effect, &b.less, grid, &b.panel, spec, b.season,
                      b.cut.fit, err))
        goto out;
    profile_choose(&b.less, spec->horizon, b.season, b.cut.stop, b.profiles);
    b.contexts = mem_new(grid->cols + 1, 1);
    if (takes_part(&b, CANDIDATE_IN_CONTEXT))
        in_context_choose(&b.less, b.profiles, spec->horizon, b.season, b.cut.stop,
                          b.contexts);
    b.verdicts = mem_new((grid->cols + 1) * MODEL_BUCKETS, sizeof *b.verdicts);
    if ((takes_part(&b, CANDIDATE_FRWKV) && train_frwkv(&b, grid, err)) ||
        referee_init(&b.referee, &b.panel, spec->horizon, b.season, b.cut.fit, err) ||
        choose(&b, err) || fill_report(&b, report, err))
        goto out;
    rc = 0;
out:
    free(b.profiles);
    free(b.contexts);
    free(b.verdicts);
    referee_fini(&b.referee);
    frwkv_fini(&b.frwkv);
    fit_fini(&b.fit);
    effect_less_fini(&b.less, &b.panel);
    effect_view_fini(&b.effect);
    effects_fini(&b.effects);
    threads_stop(b.pool);
    panel_fini(&b.panel);
    if (rc)
        model_report_fini(report);
    return rc;
}
