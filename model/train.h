/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * train.h -- the loop that makes weights out of windows.
 *
 * Every draw is a function of (seed, phase, epoch or step), so a run that was killed
 * and goes on from its checkpoint ends with the same bits as one that was not.  An
 * epoch is a fresh random order of the windows in full batches; what does not fill
 * the last batch is left out and has its chance in the next order.
 *
 * A share of the loss may be of the error's spectrum (model/spectral.h); validation goes
 * by the error in time alone, which is what is judged.
 *
 * A fit validates after every epoch what would be served (the averaged weights where
 * ema > 0), keeps the best, and ends after `patience` epochs without a better one.  A
 * refit has no validation: it takes as many steps as the best weights had seen, at
 * the same learning rates.
 */
#ifndef TRAIN_H
#define TRAIN_H

#include <stdint.h>

#include "base/err.h"
#include "model/checkpoint.h"
#include "model/model.h"
#include "model/network.h"
#include "model/windows.h"

struct threads;

/* How an epoch is cut; a function of the settings and the number of windows. */
struct train_pace {
    size_t batch;
    uint64_t per_epoch, steps;
};

struct train {
    struct network *network; /* made with `training`, for batches of pace.batch */
    const struct model_settings *settings;
    const struct windows *windows; /* at least one */
    const struct windows *stop;    /* of a fit; NULL for a refit */
    struct train_pace fit_pace;    /* of the fit, also in a refit */
    struct train_state *state;
    const struct model_hooks *hooks; /* may be NULL */
    uint64_t fingerprint;            /* of data and settings, for the checkpoint */
    struct threads *pool;            /* borrowed; may be NULL */
};

struct train_pace train_pace(const struct model_settings *settings, size_t windows);

/* Sets the first weights of a phase; the history and the best weights stay. */
void train_begin(struct train_state *state, const struct network *network,
                 const struct model_settings *settings, enum train_phase phase);

/* Runs the state's phase to its end.  ERR_CANCELLED (a checkpoint is written first),
 * ERR_NO_MEMORY, ERR_IO when a checkpoint cannot be written. */
int train_run(const struct train *train, struct err *err);

/* The weights a finished phase serves: best of a fit, last of a refit. */
const real *train_result(const struct train_state *state,
                         const struct model_settings *settings);

#endif
