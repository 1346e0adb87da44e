/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gate_router.h -- the periodic context of FRWKV+: one vector for a window's rhythm.
 *
 * The lifted window E[t,d] = e[d] z[t] is cut into periods of P steps (the first steps
 * come again at its end where they do not fit) and averaged over them:
 *
 *     phi[p] = mean over periods of E            xn = LayerNorm(phi)     (P,D)
 *     q, k, u = xn Wq', xn Wk', xn Wv'
 *     buf = softmax(rt k' / sqrt D) u            (R,D) for the R learnt routers rt
 *     tok = softmax(q buf' / sqrt D) buf         (P,D)
 *     cp  = Wo mean over p of tok                (D)
 *
 * No position enters: the order of a period's steps does not matter.
 */
#ifndef GATE_ROUTER_H
#define GATE_ROUTER_H

#include <stddef.h>

#include "base/real.h"

/* Sizes, and tensors in the order of their table (model/gate.c). */
enum {
    ROUTER_GAIN,
    ROUTER_BIAS,
    ROUTER_Q,
    ROUTER_K,
    ROUTER_V,
    ROUTER_O,
    ROUTER_RT,
    ROUTER_TENSORS
};

struct gate_router {
    size_t L, D, P, R;
    const real *theta[ROUTER_TENSORS];
};

size_t gate_router_scratch(const struct gate_router *router); /* reals, of both */

/* cp (D) from z (L) and e (D). */
void gate_router_forward(const struct gate_router *router, const real *e, const real *z,
                         real *cp, real *scratch);
/* From dcp: d[], de (D) and dz (L) are added to. */
void gate_router_backward(const struct gate_router *router, const real *e, const real *z,
                          const real *dcp, real *const d[ROUTER_TENSORS], real *de,
                          real *dz, real *scratch);

#endif
