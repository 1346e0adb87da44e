/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * luna_map.h -- a learned function of one number, in a net of two layers or as a table.
 *
 *     psi_l(u) = act(c2_l . relu(c1 u + d1) + d2_l)     l = 0..L-1, width Hd
 *
 * Before act it is linear between at most Hd knots, so without a backward pass to come
 * it is tabulated: one binary search instead of Hd (1 + L) products.
 */
#ifndef LUNA_MAP_H
#define LUNA_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/real.h"

struct luna_map {
    size_t L, Hd;
    bool relu;                     /* act: relu, else softplus */
    const real *c1, *d1, *c2, *d2; /* (Hd), (Hd), (L,Hd), (L) */
};

struct luna_table {
    real *knots;            /* (Hd), ascending */
    real *slope, *constant; /* (Hd + 1, L) */
};

size_t luna_table_size(const struct luna_map *map); /* reals */
struct luna_table luna_table(const struct luna_map *map, real *space);

/* psi (L) at u. */
void luna_look_up(const struct luna_map *map, const struct luna_table *table, real u,
                  real *psi);
/* The same by the net; hidden (Hd) becomes relu(c1 u + d1). */
void luna_map(const struct luna_map *map, real u, real *psi, real *hidden);

/* Gradients at dpsi (L): returns du; the others are added to.  hidden as above. */
real luna_map_backward(const struct luna_map *map, real u, const real *psi,
                       const real *dpsi, const real *hidden, real *dc1, real *dd1,
                       real *dc2, real *dd2);

#endif
