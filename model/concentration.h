/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * concentration.h -- how close softmax attention over T tokens is to its linear limit.
 *
 * "Softmax as Linear Attention in the Large-Prompt Regime: a Measure-based Perspective":
 * for Gaussian tokens softmax tends to  mean(v) + Cov(v,k) q / sqrt(N)  as T grows, which
 * on a finite prompt is the mixer inline.  Of one head's queries, keys and values, for a
 * grid of T' tokens, DRAWS random subsets each:
 *
 *     gap(T') = mean |softmax - inline|^2 / mean |softmax - mean(v)|^2
 *
 * both over the subset; the mean is over its queries, at most QUERIES of them.  It is 0
 * where softmax says no more than the mean.
 * population: inline with the moments of all T tokens instead.  control: keys and values
 * drawn from the Gaussian of the same mean and covariance, where the gap must fall like
 * 1/T' -- if it does not, the code is wrong.  What sets the floor for other tokens is the
 * third cumulant: k3 is the mean square of the next term, over the same denominator.
 *
 * gradient_v, gradient_kq: relative difference between the two cores' gradients of the
 * value map, sum dv_i k_i', and of the key-query map, sum ds_ti k_i q_t', for the same
 * random gradient of the output (tokens stand in for what went into the maps).
 */
#ifndef CONCENTRATION_H
#define CONCENTRATION_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

enum { CONCENTRATION_DRAWS = 32, CONCENTRATION_QUERIES = 64 };

/* S samples of one head. */
struct concentration_data {
    size_t S, T, N;
    const double *q, *k, *v; /* (S,T,N) */
};

/* Fills everything but branch, layer and head.  T >= 2. */
void concentration_measure(const struct concentration_data *data, uint64_t seed,
                           struct model_concentration *out);

#endif
