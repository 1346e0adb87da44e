/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fold.h -- a network's linear stretches multiplied out, once for many forecasts.
 *
 * From the last norm u of either branch to the head's first GELU everything is linear:
 * the branches' last maps, the inverse transform, the residual of the lifted window
 * (which counts twice, model/lift.h), the head's first map w1.  So
 *
 *     w1 h + b1 = Z z + U_re u_re + U_im u_im + b
 *
 * with Z (Fd,L), U (Fd,K C) for the K tokens of a series (model/network.h): the rows of w1 are taken back through lift_join() and then
 * through the last maps.  The branches' first maps are folded over the lift (C,F), as in
 * every forward pass.  Exact but for rounding; no inverse transform is left.
 */
#ifndef FOLD_H
#define FOLD_H

#include "base/arena.h"
#include "base/err.h"
#include "model/branch.h"
#include "model/head.h"
#include "model/lift.h"

enum { FOLD_BRANCHES = 2 }; /* real, imaginary */

struct fold {
    real *in[FOLD_BRANCHES]; /* (C,F) */
    real *first;             /* (Fd, L + 2 K C): Z, U_re, U_im side by side */
    real *bias;              /* (Fd) */
    struct arena arena;
};

/* pieces of `lift` length in a window, and K. */
struct fold_shape {
    size_t pieces, tokens;
};

/* Columns of first. */
size_t fold_width(const struct branch_config *branch, const struct lift *lift,
                  struct fold_shape shape);

/* theta_branch and theta_head: where the parts' parameters begin; e (D), the lift. */
int fold_init(struct fold *fold, const struct branch_config *branch,
              const struct head_config *head, const struct lift *lift,
              struct fold_shape shape, const real *e,
              const real *const theta_branch[FOLD_BRANCHES], const real *theta_head,
              struct err *err);
/* The first maps alone: first and bias are NULL. */
int fold_init_in(struct fold *fold, const struct branch_config *branch, const real *e,
                 const real *const theta_branch[FOLD_BRANCHES], struct err *err);
void fold_fini(struct fold *fold);

#endif
