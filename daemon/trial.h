/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trial.h -- two models on the newest steps, which the newer one was not trained on.
 *
 * A challenger is trained on everything but the last steps, at most a horizon of them,
 * and both forecast these from every origin in them (at most TRIAL_ORIGINS, spread
 * evenly), as far as they reach.  A series counts by (new - old) / (new + old) of its
 * absolute errors, which knows no scale; the challenger is better where the mean over
 * series is below zero.  Of steps that the champion was trained on its errors are too
 * small: a challenger that wins all the same is better indeed.
 */
#ifndef TRIAL_H
#define TRIAL_H

#include <stdbool.h>

#include "base/err.h"
#include "base/grid.h"
#include "model/model.h"

enum { TRIAL_ORIGINS = 48 };

struct trial {
    bool better;
    size_t steps, origins, series, values; /* held out; compared */
    double change;                         /* the mean above; NAN: nothing to compare */
};

/* Steps to hold out of so many of history: a horizon, or what can be spared of it. */
size_t trial_steps(const struct model_spec *spec, size_t rows);

/* Rows of a grid that ends with the steps held out. */
size_t trial_rows(const struct model *champion, const struct model *challenger,
                  size_t steps);

int trial_run(const struct model *champion, const struct model *challenger,
              const struct grid *grid, size_t steps, struct trial *out, struct err *err);

#endif
