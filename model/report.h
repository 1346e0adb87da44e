/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report.h -- fills the figures that model.h shows. */
#ifndef REPORT_H
#define REPORT_H

#include "model/checkpoint.h"
#include "model/effect.h"
#include "model/model.h"
#include "model/referee.h"

/* Figures of the referee's scores; MASE is scaled by rows [0, rows). */
void report_figures(struct model_report *report, const struct referee *referee,
                    unsigned mask, const struct verdict *verdicts, size_t rows,
                    size_t season, size_t params);

/* referee: who judged them; NULL in a model that was loaded. */
void report_champions(struct model_report *report, const struct referee *referee,
                      const struct verdict *verdicts, size_t series);

void report_epochs(struct model_report *report, const struct train_state *state);

void report_covariates(struct model_report *report, const struct effects *effects);

#endif
