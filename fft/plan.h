/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan.h -- inside fft/: a plan of the caller's, for lengths used once.
 *
 * fft_plan() keeps what it makes for good.  A daemon meets a new length with every
 * grid it looks for a season in, so those plans must go away again.
 */
#ifndef PLAN_H
#define PLAN_H

#include <fftw3.h>

#include "base/err.h"
#include "base/real.h"

struct fft_plan {
    size_t L, F;
    real scale; /* 1/sqrt(L) */
    FFTW(plan) forward, inverse;
};

/* Takes the one lock of the FFTW planner, which is not thread-safe. */
int plan_init(struct fft_plan *plan, size_t L, struct err *err);
void plan_fini(struct fft_plan *plan);

#endif
