/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * windowed.h -- softmax attention of one head over a mask, by blocks of queries.
 *
 *     A_ti = softmax over the i that t sees of q_t . k_i / sqrt(N)     o_t = sum A_ti v_i
 *
 * Without a mask t sees all (Vaswani et al.: "Attention is all you need", 2017); causal
 * means i <= t; a window of W means also t - W < i, or i < sinks (Xiao et al.:
 * "Efficient Streaming Language Models with Attention Sinks", 2023).  Of a row, the
 * logarithm of its sum of exponentials is all that is kept.
 */
#ifndef WINDOWED_H
#define WINDOWED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/real.h"

struct windowed {
    size_t T, N;
    bool causal;
    size_t window, sinks; /* 0: no window; with one, causal */
};

static inline bool windowed_sees(const struct windowed *w, size_t t, size_t i)
{
    if (!w->causal)
        return true;
    return i <= t && (w->window == 0 || i < w->sinks || t - i < w->window);
}

size_t windowed_scratch(const struct windowed *w, bool training);

/* o (T,N), log_sum (T). */
void windowed_forward(const struct windowed *w, const real *q, const real *k,
                      const real *v, real *o, real *log_sum, real *scratch);
/* dq, dk, dv are added to. */
void windowed_backward(const struct windowed *w, const real *q, const real *k,
                       const real *v, const real *d_o, const real *log_sum, real *dq,
                       real *dk, real *dv, real *scratch);

#endif
