/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gate.h -- FRWKV+'s gate: each branch's spectrum, scaled by what the other one says.
 *
 * After "FRWKV+: Adaptive Periodic-Position Branch Interaction for Frequency-Space Linear
 * Time Series Forecasting".  Between the branches and the way back to time, for every row
 * (a series of a window) with R', I' (D,F) the spectra with what the branches added:
 *
 *     cr = mean over f of R'    ci = mean over f of I'    cp the period's (gate_router.h)
 *     g_re = sg(i2r(ci))        d_re = tanh(dre(ci, cp))     t_re = sg(tre(cr, ci, cp))
 *     g_im = sg(r2i(cr))        d_im = tanh(dim(cr, cp))     t_im = sg(tim(cr, ci, cp))
 *     R'' = R' (1 + g_re + al t_re d_re)       I'' = I' (1 + g_im + al t_im d_im)
 *
 * i2r and the others are maps of two layers, D of their outputs, which meet all bins f;
 * al is one learnt number within 0..0.20.  Kinds: base has g alone; phase has no t; full
 * neither, and d sees cr, ci and cp; adaptive is the above, and the paper's.
 *
 * With ctx = band cr = ci is D log-spaced bands of log(1e-6 + R'^2 + I'^2) instead, mean
 * over the bins of a band and over d.
 *
 * At first d is 0 and g about a half: both spectra begin 1.5 times as large.
 */
#ifndef GATE_H
#define GATE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/tensors.h"

struct threads;

enum gate_kind { GATE_NONE, GATE_BASE, GATE_PHASE, GATE_FULL, GATE_ADAPTIVE };
enum gate_ctx { GATE_MEAN, GATE_BAND };
enum gate_clamp { GATE_CLAMP_PARAM, GATE_CLAMP_FORWARD };

struct gate_config {
    enum gate_kind kind;
    enum gate_ctx ctx;
    enum gate_clamp clamp; /* of al: the parameter itself, or (parity) where it is read */
    size_t L, D, F, period, routers;
    double alpha0, trust_bias; /* where al, and the last bias of t, begin */
};

struct gate_tape;

struct gate_call {
    const struct gate_config *config;
    size_t R;
    struct threads *pool;
    const real *e, *z, *re, *im; /* lift (D), window (R,L), its spectrum (R,F) */
    const real *y_re, *y_im;     /* what the branches add to it (R, D F) */
};

int gate_check(const struct gate_config *config, struct err *err);
void gate_params(const struct gate_config *config, struct tensors *tensors);

/* For up to R rows.  NULL while measuring. */
struct gate_tape *gate_tape(const struct gate_config *config, size_t R, bool training,
                            struct arena *arena);

/* out_re, out_im (R, D F): what is to be added to the spectrum instead of y_re, y_im. */
void gate_forward(const struct gate_call *call, const real *theta, real *out_re,
                  real *out_im, struct gate_tape *tape);

/* d_re, d_im (R, D F), gradients at out, become those at y.  Added to: dz, d_spectrum_re,
 * d_spectrum_im, de, dtheta. */
struct gate_grad {
    real *d_re, *d_im;
    real *dz, *d_spectrum_re, *d_spectrum_im, *de, *dtheta;
};
void gate_backward(const struct gate_call *call, const real *theta,
                   const struct gate_grad *grad, struct gate_tape *tape);

/* Brings the stored al back into its range; after each update. */
void gate_clamp(const struct gate_config *config, real *theta);

#endif
