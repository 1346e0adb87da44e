/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void report_figures(struct model_report *report, const struct referee *referee,
                    unsigned mask, const struct verdict *verdicts, size_t rows,
                    size_t season, size_t params)
{
    const struct panel *const panel = referee->panel;
    double *const scale = mem_new(panel->cols, sizeof *scale);
    for (size_t c = 0; c < panel->cols; c++)
        scale[c] = seasonal_error(panel, c, rows, season);
    report->figures =
        mem_new((CANDIDATES + 1) * (MODEL_BUCKETS + 1), sizeof *report->figures);
    report->figure_count =
        referee_figures(referee, mask, verdicts, scale, report->figures);
    for (size_t i = 0; i < report->figure_count; i++) {
        const int c = candidate_find(report->figures[i].candidate, NULL);
        if (c >= 0 && candidates[c].trained)
            report->figures[i].params = params;
    }
    free(scale);
}

void report_champions(struct model_report *report, const struct referee *referee,
                      const struct verdict *verdicts, size_t series)
{
    const size_t count = series * MODEL_BUCKETS;
    report->series_count = series;
    report->champions = mem_new(count, sizeof *report->champions);
    for (size_t i = 0; i < count; i++) {
        struct model_champion *const out = &report->champions[i];
        snprintf(out->candidate, sizeof out->candidate, "%s",
                 candidates[verdicts[i].champion].name);
        out->skill = verdicts[i].skill;
        out->coverage80 =
            referee ? referee_coverage(referee, verdicts[i].champion, i / MODEL_BUCKETS,
                                       (int)(i % MODEL_BUCKETS))
                    : (double)NAN;
    }
}

void report_epochs(struct model_report *report, const struct train_state *state)
{
    report->epoch_count = (size_t)state->epoch_count;
    report->epochs = mem_new(report->epoch_count, sizeof *report->epochs);
    if (report->epoch_count)
        memcpy(report->epochs, state->epochs,
               report->epoch_count * sizeof *report->epochs);
}

void report_covariates(struct model_report *report, const struct effects *effects)
{
    report->covariate_count = effects->groups;
    report->covariates = mem_new(effects->groups, sizeof *report->covariates);
    for (size_t g = 0; g < effects->groups; g++) {
        struct model_covariate *const out = &report->covariates[g];
        snprintf(out->name, sizeof out->name, "%s", effects->group[g]);
        out->known = effects->known[g];
        for (size_t s = 0; s < effects->series; s++)
            out->series += effects->use[s * effects->groups + g] != EFFECT_UNUSED;
    }
}

void model_report_fini(struct model_report *report)
{
    free(report->figures);
    free(report->epochs);
    free(report->champions);
    free(report->covariates);
    *report = (struct model_report){0};
}
