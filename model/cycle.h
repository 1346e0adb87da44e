/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cycle.h -- a season learnt as a table, taken out before the network and put back after.
 *
 * Lin, Lin, Hu, Wu, Mo, Zhong: "CycleNet: Enhancing Time Series Forecasting through
 * Modeling Periodic Patterns", NeurIPS 2024.  The table has S rows, one for each phase
 * of the season, and a column for each of the V series:
 *
 *     x'[t] = x[t] - table[(phase - L + t) mod S]        y[j] += table[(phase + j) mod S]
 *
 * phase[b] is the absolute step number of window b's first target modulo S, so that the
 * same hour of the day reads the same row whichever window it stands in.
 */
#ifndef CYCLE_H
#define CYCLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/real.h"

struct threads;

struct cycle {
    const uint32_t *phase; /* (B), below S */
    size_t B, L, P, V, S;
};

/* out (B,L,V) = x (B,L,V) less the table. */
void cycle_remove(const struct cycle *cycle, struct threads *pool, real *out,
                  const real *x, const real *table);
/* y (B,P,V) += the table. */
void cycle_restore(const struct cycle *cycle, struct threads *pool, real *y,
                   const real *table);
/* dtable (S,V) += dy (B,P,V) through cycle_restore(), and dx (B,L,V), the gradient of
 * cycle_remove()'s output, through it. */
void cycle_backward(const struct cycle *cycle, struct threads *pool, real *dtable,
                    const real *dy, const real *dx);

#endif
