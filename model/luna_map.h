/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * luna_map.h -- a learned function of one number, in a net of two layers or as a table.
 *
 *     psi_l(u) = act(c2_l . relu(c1 u + d1) + d2_l)     l = 0..L-1, width Hd
 *
 * Before act it is linear between at most Hd knots, so it is tabulated: one binary search
 * instead of Hd (1 + L) products.  Backward needs the net no more than forward: within an
 * interval the units that are on stay the same, so that sums over each interval of the
 * gradient, and of the gradient times u, say all that theirs is made of.
 */
#ifndef LUNA_MAP_H
#define LUNA_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "model/mixer.h"

struct luna_map {
    size_t L, Hd;
    enum luna_nonneg act;          /* softplus or relu */
    const real *c1, *d1, *c2, *d2; /* (Hd), (Hd), (L,Hd), (L) */
};

struct luna_table {
    real *knots, *unit;     /* (Hd), ascending; whose each is */
    real *slope, *constant; /* (Hd + 1, L) */
};

size_t luna_table_size(const struct luna_map *map); /* reals */
struct luna_table luna_table(const struct luna_map *map, real *space);

/* What act is given: out (n,L) at u (n). */
void luna_look_up(const struct luna_map *map, const struct luna_table *table,
                  const real *u, size_t n, real *out);
/* x (n) becomes act(x). */
void luna_act(const struct luna_map *map, real *x, size_t n);

/* psi (L) at one u, by the net itself; hidden (Hd) becomes relu(c1 u + d1). */
void luna_map(const struct luna_map *map, real u, real *psi, real *hidden);

/* dpsi (n,L) becomes the gradient before act, from psi; u (n) becomes du; sums
 * (luna_sums_size()) are added to. */
size_t luna_sums_size(const struct luna_map *map);
void luna_look_up_backward(const struct luna_map *map, const struct luna_table *table,
                           real *u, const real *psi, real *dpsi, size_t n, real *sums);
/* From the sums, which are used up, to the parameters; added to. */
void luna_table_backward(const struct luna_map *map, const struct luna_table *table,
                         real *sums, real *dc1, real *dd1, real *dc2, real *dd2);

#endif
