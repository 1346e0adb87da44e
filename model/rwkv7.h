/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rwkv7.h -- FRWKV's core and RWKV-7's own: what stands before and after the recurrence
 * of model/rwkv7_core.h.
 *
 * For each token, from the trunk's k, decay and rate, sg the logistic function:
 *
 *     w = exp(-exp(-0.3) sg(tanh(decay)))    or wide: exp(-exp(-0.5) sg(decay))
 *     a = sg(rate)
 *     kr = k xi     kappa = kr / max(|kr|, 1e-12), by head
 *     kt = k (1 + (a - 1) alpha)
 *     o = the recurrence over r, w, kappa, b = a kappa, v, kt
 *       + 0.2 (r . kt) bonus v, the dot product by head
 *
 * rwkv7 is FRWKV's recurrence, rwkv7x that of RWKV-7 (model/rwkv7x.c).  The same trunk.
 */
#ifndef RWKV7_H
#define RWKV7_H

#include "model/core.h"
#include "model/rwkv7_core.h"

extern const struct mixer rwkv7_mixer, rwkv7x_mixer;

/* The functions of one channel; w_slope = dw / d(decay). */
struct rwkv7_gates {
    real w, w_slope, a, kt;
};
struct rwkv7_gates rwkv7_gates(real decay, real rate, real k, real alpha);

#endif
