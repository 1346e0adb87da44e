/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fit.h -- the trained candidate's life: fit on one part, refit on everything.
 *
 * Goes on from the hooks' checkpoint where that is of the same data and settings:
 * in the fit, between the two, or in the refit.  A damaged or foreign checkpoint is
 * ignored, with a note through the progress hook.
 */
#ifndef FIT_H
#define FIT_H

#include <stdint.h>

#include "base/err.h"
#include "model/chain.h"
#include "model/checkpoint.h"
#include "model/cut.h"
#include "model/model.h"
#include "model/network.h"
#include "model/panel.h"
#include "model/rhythm.h"
#include "model/train.h"
#include "model/windows.h"

struct threads;

struct fit {
    const struct model_spec *spec;
    const struct model_hooks *hooks; /* may be NULL */
    struct threads *pool;            /* borrowed */
    size_t season;
    uint64_t fingerprint;
    struct chain chain; /* of the fit part; owned */
    struct network_config config;
    struct model_settings settings; /* of spec, with what is automatic decided */
    struct train_pace pace;
    struct train_state state;
    size_t params;
    const real *begin; /* weights to fit on from, borrowed; NULL: initial values */
    double begin_loss; /* theirs in the stop part */
    struct windows windows, stop; /* of the fit */
    struct rhythm rhythm;         /* what their gathering works in */
    double seconds;
};

/* A fingerprint of everything the weights are a function of. */
uint64_t fit_fingerprint(const struct grid *grid, const struct model_spec *spec,
                         const struct cut *cut);

/*
 * Cuts the windows of the fit and stop parts.  panel is borrowed until fit_fini().
 * ERR_INVALID for settings that make no network, ERR_NO_MEMORY.  windows.count or
 * stop.count may be 0: then nothing can be trained and fit_run() must not be called.
 */
int fit_init(struct fit *fit, const struct panel *panel, const struct cut *cut,
             const struct model_spec *spec, size_t season, uint64_t fingerprint,
             const struct model_hooks *hooks, struct threads *pool, struct err *err);
void fit_fini(struct fit *fit);

/* The loss of any weights for a network like the fit's on the first `count` of windows. */
int fit_loss(const struct fit *fit, const struct network_config *config,
             const real *theta, const struct windows *windows, size_t count, double *loss,
             struct err *err);

/* Fits to the early stop; state.best are the weights to judge. */
int fit_run(struct fit *fit, struct err *err);

/* Trains once more on all of a panel, for as many steps as the best weights had seen.
 * The weights to serve are train_result(). */
int fit_again(struct fit *fit, const struct panel *panel, struct err *err);

#endif
