/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/fold.h"

#include <string.h>

#include "model/linear.h"

/* What folding itself needs; the head's Fd outputs are its rows. */
struct work {
    struct lift lift;
    real *z, *none;            /* (Fd,L): Z; zeros */
    real *de;                  /* (D), not wanted */
    real *back[FOLD_BRANCHES]; /* (Fd pieces, D F): w1 as seen by a branch's output */
};

size_t fold_width(const struct branch_config *branch, const struct lift *lift,
                  struct fold_shape shape)
{
    return shape.pieces * lift->L + FOLD_BRANCHES * shape.tokens * branch->encoder.mix.C;
}

static void carve_in(struct fold *fold, const struct branch_config *branch,
                     struct arena *arena)
{
    for (size_t i = 0; i < FOLD_BRANCHES; i++)
        fold->in[i] = arena_reals(arena, branch->encoder.mix.C * branch->F);
}

static void carve(struct fold *fold, const struct branch_config *branch,
                  const struct head_config *head, const struct lift *lift,
                  struct fold_shape shape, struct arena *arena)
{
    carve_in(fold, branch, arena);
    fold->first = arena_reals(arena, head->Fd * fold_width(branch, lift, shape));
    fold->bias = arena_reals(arena, head->Fd);
}

static void carve_work(struct work *w, const struct head_config *head,
                       const struct lift *lift, struct fold_shape shape,
                       struct arena *arena)
{
    const size_t R = head->Fd * shape.pieces;
    w->lift = (struct lift){.plan = lift->plan, .L = lift->L, .F = lift->F, .D = lift->D};
    lift_carve(&w->lift, R, true, arena);
    w->z = arena_reals(arena, R * lift->L);
    w->none = arena_reals(arena, R * lift->L);
    w->de = arena_reals(arena, lift->D);
    for (size_t i = 0; i < FOLD_BRANCHES; i++)
        w->back[i] = arena_reals(arena, R * lift->D * lift->F);
}

static double dot(const real *a, const real *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void fold_first(struct fold *fold, struct work *w,
                       const struct branch_config *branch, const struct head_config *head,
                       struct fold_shape shape, const real *e,
                       const real *const theta_branch[FOLD_BRANCHES],
                       const real *theta_head)
{
    const size_t Fd = head->Fd, L = shape.pieces * w->lift.L;
    const size_t C = branch->encoder.mix.C, KC = shape.tokens * C;
    const size_t width = fold_width(branch, &w->lift, shape), out = branch_out(branch);
    const struct linear_map first = head_first_map(head, theta_head);
    /* Backward through lift_join() is its transpose: what rows of w1 ask of z and y. */
    lift_join_backward(&w->lift, NULL, w->z, w->de, w->back[0], w->back[1], first.w,
                       w->none, e, Fd * shape.pieces);
    for (size_t o = 0; o < Fd; o++) {
        memcpy(fold->first + o * width, w->z + o * L, L * sizeof(real));
        fold->bias[o] = first.b[o];
    }
    for (size_t i = 0; i < FOLD_BRANCHES; i++) {
        const struct linear_map last = branch_last_map(branch, theta_branch[i]);
        for (size_t k = 0; k < shape.tokens; k++)
            linear_backward_input(NULL, fold->first + L + i * KC + k * C, width,
                                  w->back[i] + k * out, shape.tokens * out, last.w, Fd, C,
                                  out);
        for (size_t o = 0; o < Fd * shape.tokens; o++)
            fold->bias[o / shape.tokens] += (real)dot(w->back[i] + o * out, last.b, out);
    }
}

int fold_init(struct fold *fold, const struct branch_config *branch,
              const struct head_config *head, const struct lift *lift,
              struct fold_shape shape, const real *e,
              const real *const theta_branch[FOLD_BRANCHES], const real *theta_head,
              struct err *err)
{
    struct work work = {0};
    struct arena kept = arena_measure(), passing = arena_measure();
    *fold = (struct fold){0};
    carve(fold, branch, head, lift, shape, &kept);
    carve_work(&work, head, lift, shape, &passing);
    if (arena_open(&kept, err))
        return -1;
    if (arena_open(&passing, err)) {
        arena_close(&kept);
        return -1;
    }
    carve(fold, branch, head, lift, shape, &kept);
    carve_work(&work, head, lift, shape, &passing);
    fold->arena = kept;
    for (size_t i = 0; i < FOLD_BRANCHES; i++)
        branch_fold(branch, NULL, theta_branch[i], e, fold->in[i]);
    fold_first(fold, &work, branch, head, shape, e, theta_branch, theta_head);
    arena_close(&passing);
    return 0;
}

int fold_init_in(struct fold *fold, const struct branch_config *branch, const real *e,
                 const real *const theta_branch[FOLD_BRANCHES], struct err *err)
{
    struct arena kept = arena_measure();
    *fold = (struct fold){0};
    carve_in(fold, branch, &kept);
    if (arena_open(&kept, err))
        return -1;
    carve_in(fold, branch, &kept);
    fold->arena = kept;
    for (size_t i = 0; i < FOLD_BRANCHES; i++)
        branch_fold(branch, NULL, theta_branch[i], e, fold->in[i]);
    return 0;
}

void fold_fini(struct fold *fold)
{
    arena_close(&fold->arena);
    *fold = (struct fold){0};
}
