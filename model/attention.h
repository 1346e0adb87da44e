/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attention.h -- one layer of linear attention as an estimator, its weights in closed
 * form.
 *
 * Context pairs (x_i in R^p, y_i in R^P), i = 0..n-1, and a query x_q.  With a
 * key-query matrix W and sample weights w_i the layer answers
 *
 *     y = sum_i w_i (x_i . a) y_i,   a = W x_q
 *
 * which is one step of preconditioned gradient descent, from zero, on the weighted
 * squared error of y_i = B x_i; K steps of it are the same sum with
 * a = sum_{k<K} (I - W S)^k W x_q,  S = sum_i w_i x_i x_i', and K = infinity is
 * weighted least squares (Li, Rawat, Oymak 2024, for the setting).  W is circulant,
 * which is what windows of a stationary series ask for: an orthonormal rFFT and one
 * weight for each frequency.
 *
 * Pairs may be slices of one series: row i of x starts at x + i * ldx.
 */
#ifndef ATTENTION_H
#define ATTENTION_H

#include <stddef.h>

#include "base/arena.h"

struct fft_plan;

/* A circulant W of size p, and scratch.  One thread at a time. */
struct attention {
    size_t p, bins;
    double *weight; /* (bins) of W */
    double *swap;   /* (p) */
    const struct fft_plan *plan;
    real *x, *re, *im, *work;
    struct arena arena;
};

int attention_init(struct attention *attention, size_t p, struct err *err);
void attention_fini(struct attention *attention);

/* power (bins) += |rfft(x)|^2 of x (p). */
void attention_power(struct attention *attention, const double *x, double *power);

/*
 * The W with the least expected squared error for n independent pairs whose x have the
 * spectrum `power`, whose coefficients are drawn with variance `prior` each, and whose
 * noise has variance `noise`, times n: for weights w_i that sum to one.
 */
void attention_precondition(struct attention *attention, const double *power, double n,
                            double prior, double noise);

/* a (p) = W x (p). */
void attention_direction(struct attention *attention, const double *x, double *a);

/* a (p) after `steps` steps of descent over n pairs; score (n) is scratch. */
void attention_descend(struct attention *attention, const double *x, size_t ldx,
                       const double *w, size_t n, const double *query, int steps,
                       double *score, double *a);

/* a (p) of weighted least squares with a ridge, added to S's diagonal: (S + ridge I) a
 * = query.  p is small; matrix (p,p) is scratch. */
void attention_ridge(const double *x, size_t ldx, const double *w, size_t n, size_t p,
                     const double *query, double ridge, double *matrix, double *a);

/* score_i = w_i (x_i . a);  y_j += sum_i score_i y_ij. */
void attention_score(double *score, const double *x, size_t ldx, const double *w,
                     size_t n, const double *a, size_t p);
void attention_answer(double *y, const double *score, const double *v, size_t ldv,
                      size_t n, size_t P);

/*
 * The sample weights with the least expected squared error where the task drifts: the
 * coefficients of two pairs correlate as rho^|i-j|, the query's come one step after the
 * last pair's, x is isotropic and extra = p + 1 + noise variance:
 * w = (R + extra I)^-1 r.  rho in (0, 1).  scratch (n).
 */
void attention_drift(double *w, size_t n, double rho, double extra, double *scratch);

#endif
