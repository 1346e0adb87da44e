/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/windowed.h"

#include <string.h>

#include "model/elementary.h"
#include "model/matrix.h"
#include "model/vector.h"

enum { BLOCK = 32 }; /* queries at a time */

/* The keys that a block of queries can see: the sinks before the others, then a run. */
struct span {
    size_t sinks, first, count; /* of the run; count: sinks and run */
    const real *k, *v;
};

struct work {
    real *a, *da;          /* (BLOCK, keys) */
    real *k, *v, *dk, *dv; /* (keys, N), only with a window */
};

static size_t keys_of(const struct windowed *w)
{
    const size_t most = w->window + w->sinks + BLOCK;
    return w->window && most < w->T ? most : w->T;
}

size_t windowed_scratch(const struct windowed *w, bool training)
{
    const size_t keys = keys_of(w);
    return (training ? 2 : 1) * BLOCK * keys +
           (w->window ? (training ? 4 : 2) * keys * w->N : 0);
}

static struct work work_of(const struct windowed *w, real *scratch, bool training)
{
    const size_t keys = keys_of(w);
    struct work s = {.a = scratch};
    scratch += BLOCK * keys;
    if (training) {
        s.da = scratch;
        scratch += BLOCK * keys;
    }
    if (w->window) {
        s.k = scratch;
        s.v = scratch + keys * w->N;
        s.dk = scratch + 2 * keys * w->N;
        s.dv = scratch + 3 * keys * w->N;
    }
    return s;
}

static struct span span_of(const struct windowed *w, size_t first, size_t end,
                           const struct work *s, const real *k, const real *v)
{
    if (!w->window) /* all, so that a row's bits do not depend on its block */
        return (struct span){.count = w->T, .k = k, .v = v};
    const size_t N = w->N;
    struct span span = {.first = first + 1 > w->window ? first + 1 - w->window : 0};
    span.sinks = w->sinks < span.first ? w->sinks : span.first;
    span.count = span.sinks + end - span.first;
    span.k = s->k;
    span.v = s->v;
    memcpy(s->k, k, span.sinks * N * sizeof *k);
    memcpy(s->v, v, span.sinks * N * sizeof *v);
    const size_t run = (end - span.first) * N;
    memcpy(s->k + span.sinks * N, k + span.first * N, run * sizeof *k);
    memcpy(s->v + span.sinks * N, v + span.first * N, run * sizeof *v);
    return span;
}

static size_t token_of(const struct span *span, size_t place)
{
    return place < span->sinks ? place : span->first + place - span->sinks;
}

/* a (rows, count) = the scores, those not seen -infinity. */
static void scores(const struct windowed *w, const struct span *span, const real *q,
                   size_t first, size_t rows, real *a)
{
    matrix_nt(a, q + first * w->N, span->k, rows, w->N, span->count, 1 / sqrt((real)w->N),
              0);
    for (size_t r = 0; w->causal && r < rows; r++)
        for (size_t i = 0; i < span->count; i++)
            if (!windowed_sees(w, first + r, token_of(span, i)))
                a[r * span->count + i] = -(real)INFINITY;
}

HOT static real exponentials(real *restrict a, size_t n, real most)
{
    real sum = 0;
    for (size_t i = 0; i < n; i++)
        a[i] = isinf(a[i]) ? 0 : elementary_exp(a[i] - most);
    for (size_t i = 0; i < n; i++)
        sum += a[i];
    return sum;
}

void windowed_forward(const struct windowed *w, const real *q, const real *k,
                      const real *v, real *o, real *log_sum, real *scratch)
{
    const struct work s = work_of(w, scratch, false);
    for (size_t first = 0; first < w->T; first += BLOCK) {
        const size_t end = first + BLOCK < w->T ? first + BLOCK : w->T;
        const size_t rows = end - first;
        const struct span span = span_of(w, first, end, &s, k, v);
        scores(w, &span, q, first, rows, s.a);
        for (size_t r = 0; r < rows; r++) {
            real *const a = s.a + r * span.count, most = a[0];
            for (size_t i = 1; i < span.count; i++)
                most = a[i] > most ? a[i] : most;
            const real sum = exponentials(a, span.count, most);
            log_sum[first + r] = most + log(sum);
            for (size_t i = 0; i < span.count; i++)
                a[i] /= sum;
        }
        matrix_nn(o + first * w->N, s.a, span.v, rows, span.count, w->N, 1, 0);
    }
}

/* What a span's keys and values got goes back to their tokens. */
static void spread(const struct windowed *w, const struct span *span,
                   const struct work *s, real *dk, real *dv)
{
    for (size_t i = 0; w->window && i < span->count; i++) {
        vector_add(dk + token_of(span, i) * w->N, 1, s->dk + i * w->N, w->N);
        vector_add(dv + token_of(span, i) * w->N, 1, s->dv + i * w->N, w->N);
    }
}

void windowed_backward(const struct windowed *w, const real *q, const real *k,
                       const real *v, const real *d_o, const real *log_sum, real *dq,
                       real *dk, real *dv, real *scratch)
{
    const struct work s = work_of(w, scratch, true);
    const size_t N = w->N;
    const real scale = 1 / sqrt((real)N), keep = w->window ? 0 : 1;
    for (size_t first = 0; first < w->T; first += BLOCK) {
        const size_t end = first + BLOCK < w->T ? first + BLOCK : w->T;
        const size_t rows = end - first, at = first * N;
        const struct span span = span_of(w, first, end, &s, k, v);
        scores(w, &span, q, first, rows, s.a);
        matrix_nt(s.da, d_o + at, span.v, rows, N, span.count, 1, 0);
        for (size_t r = 0; r < rows; r++) {
            exponentials(s.a + r * span.count, span.count, log_sum[first + r]);
        }
        matrix_tn(w->window ? s.dv : dv, s.a, d_o + at, span.count, rows, N, 1, keep);
        for (size_t r = 0; r < rows; r++) { /* ds = A (dA - sum A dA) */
            const real *const a = s.a + r * span.count;
            real *const da = s.da + r * span.count;
            const real mean = vector_dot(a, da, span.count);
            for (size_t i = 0; i < span.count; i++)
                da[i] = a[i] * (da[i] - mean);
        }
        matrix_nn(dq + at, s.da, span.k, rows, span.count, N, scale, 1);
        matrix_tn(w->window ? s.dk : dk, s.da, q + at, span.count, rows, N, scale, keep);
        spread(w, &span, &s, dk, dv);
    }
}
