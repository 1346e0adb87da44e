/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * featured.h -- attention whose kernel is a product of features, normalised.
 *
 * With features a_t = phi(q_t) and f_i = phi(k_i) of D reals (Katharopoulos et al.:
 * "Transformers are RNNs", 2020):
 *
 *     S = sum f_i v_i'    z = sum f_i    den_t = a_t . z + eps    o_t = S' a_t / den_t
 *
 * the sums over all tokens, or causal: over i <= t.  With `floored` den_t is
 * max(a_t . z, eps) instead.
 */
#ifndef FEATURED_H
#define FEATURED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/real.h"

struct featured {
    size_t T, N, D;
    bool causal, floored;
    real eps;
};

size_t featured_scratch(const struct featured *f, bool training);

/* o (T,N) from a, f (T,D) and v (T,N). */
void featured_forward(const struct featured *f, const real *a, const real *fk,
                      const real *v, real *o, real *scratch);
/* da, df (T,D) are set, dv added to. */
void featured_backward(const struct featured *f, const real *a, const real *fk,
                       const real *v, const real *d_o, real *da, real *df, real *dv,
                       real *scratch);

/* One token; state: S (D,N), then z (D). */
size_t featured_state(size_t D, size_t N);
void featured_step(const struct featured *f, const real *a, const real *fk, const real *v,
                   real *o, real *state);

#endif
