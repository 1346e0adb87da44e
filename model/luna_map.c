/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/luna_map.h"

#include <string.h>

#include "model/elementary.h"
#include "model/vector.h"

HOT static void softplus(real *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = elementary_softplus(x[i]);
}

void luna_act(const struct luna_map *m, real *x, size_t n)
{
    if (m->act == LUNA_SOFTPLUS)
        softplus(x, n);
    for (size_t i = 0; m->act == LUNA_RELU && i < n; i++)
        x[i] = x[i] > 0 ? x[i] : 0;
}

/* d *= d act / dx, from act(x): softplus' slope is 1 - exp(-softplus). */
HOT static void slopes(real *restrict d, const real *restrict y, enum luna_nonneg act,
                       size_t n)
{
    if (act == LUNA_RELU)
        for (size_t i = 0; i < n; i++)
            d[i] = y[i] > 0 ? d[i] : 0;
    else
        for (size_t i = 0; i < n; i++)
            d[i] *= 1 - elementary_exp(-y[i]);
}

void luna_map(const struct luna_map *m, real u, real *psi, real *hidden)
{
    for (size_t h = 0; h < m->Hd; h++) {
        const real x = m->c1[h] * u + m->d1[h];
        hidden[h] = x > 0 ? x : 0;
    }
    for (size_t l = 0; l < m->L; l++)
        psi[l] = m->d2[l] + vector_dot(m->c2 + l * m->Hd, hidden, m->Hd);
    luna_act(m, psi, m->L);
}

/* ---- the table --------------------------------------------------------------------- */

size_t luna_table_size(const struct luna_map *m)
{
    return 2 * m->Hd + 2 * (m->Hd + 1) * m->L;
}

/* Insertion sort: Hd is small, and nothing may allocate here.  A unit's knot is where it
 * turns on or off; infinite for one that never does. */
static void sort_knots(const struct luna_map *m, const struct luna_table *t)
{
    for (size_t h = 0; h < m->Hd; h++) {
        const real knot = m->c1[h] != 0 ? -m->d1[h] / m->c1[h] : (real)INFINITY;
        size_t at = h;
        for (; at > 0 && t->knots[at - 1] > knot; at--) {
            t->knots[at] = t->knots[at - 1];
            t->unit[at] = t->unit[at - 1];
        }
        t->knots[at] = knot;
        t->unit[at] = (real)h;
    }
}

/* From the left, where every falling unit is on, each knot turns one on or off. */
static void sweep(const struct luna_map *m, const struct luna_table *t, size_t l)
{
    const real *const c2 = m->c2 + l * m->Hd;
    double slope = 0, constant = (double)m->d2[l];
    for (size_t h = 0; h < m->Hd; h++)
        if (m->c1[h] < 0 || (m->c1[h] == 0 && m->d1[h] > 0)) {
            slope += (double)c2[h] * (double)m->c1[h];
            constant += (double)c2[h] * (double)m->d1[h];
        }
    for (size_t i = 0;; i++) {
        t->slope[i * m->L + l] = (real)slope;
        t->constant[i * m->L + l] = (real)constant;
        if (i == m->Hd)
            return;
        const size_t h = (size_t)t->unit[i];
        const double sign = m->c1[h] > 0 ? 1 : m->c1[h] < 0 ? -1 : 0;
        slope += sign * (double)c2[h] * (double)m->c1[h];
        constant += sign * (double)c2[h] * (double)m->d1[h];
    }
}

struct luna_table luna_table(const struct luna_map *m, real *space)
{
    const struct luna_table t = {.knots = space,
                                 .unit = space + m->Hd,
                                 .slope = space + 2 * m->Hd,
                                 .constant = space + 2 * m->Hd + (m->Hd + 1) * m->L};
    sort_knots(m, &t);
    for (size_t l = 0; l < m->L; l++)
        sweep(m, &t, l);
    return t;
}

/* The number of knots at or below u. */
static size_t interval(const struct luna_map *m, const struct luna_table *t, real u)
{
    size_t low = 0, high = m->Hd;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (t->knots[middle] <= u)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void luna_look_up(const struct luna_map *m, const struct luna_table *t, const real *u,
                  size_t n, real *out)
{
    const size_t L = m->L;
    for (size_t i = 0; i < n; i++) {
        const size_t at = interval(m, t, u[i]) * L;
        for (size_t l = 0; l < L; l++)
            out[i * L + l] = t->slope[at + l] * u[i] + t->constant[at + l];
    }
}

/* ---- backward ---------------------------------------------------------------------- */

size_t luna_sums_size(const struct luna_map *m)
{
    return 2 * (m->Hd + 1) * m->L;
}

void luna_look_up_backward(const struct luna_map *m, const struct luna_table *t, real *u,
                           const real *psi, real *dpsi, size_t n, real *sums)
{
    const size_t L = m->L;
    real *const with_u = sums, *const plain = sums + (m->Hd + 1) * L;
    slopes(dpsi, psi, m->act, n * L);
    for (size_t i = 0; i < n; i++) {
        const size_t at = interval(m, t, u[i]) * L;
        const real *const d = dpsi + i * L;
        vector_add(with_u + at, u[i], d, L);
        vector_add(plain + at, 1, d, L);
        u[i] = vector_dot(d, t->slope + at, L);
    }
}

void luna_table_backward(const struct luna_map *m, const struct luna_table *t, real *sums,
                         real *dc1, real *dd1, real *dc2, real *dd2)
{
    const size_t L = m->L, Hd = m->Hd;
    real *const with_u = sums, *const plain = sums + (Hd + 1) * L;
    for (size_t i = Hd; i-- > 0;) { /* each becomes the sum from there on */
        vector_add(with_u + i * L, 1, with_u + (i + 1) * L, L);
        vector_add(plain + i * L, 1, plain + (i + 1) * L, L);
    }
    vector_add(dd2, 1, plain, L);
    for (size_t i = 0; i < Hd; i++) {
        const size_t h = (size_t)t->unit[i], from = (i + 1) * L;
        const bool falls = m->c1[h] < 0, always = m->c1[h] == 0 && m->d1[h] > 0;
        if (m->c1[h] == 0 && !always)
            continue;
        for (size_t l = 0; l < L; l++) { /* where it is on */
            const real a = always  ? with_u[l]
                           : falls ? with_u[l] - with_u[from + l]
                                   : with_u[from + l];
            const real b = always  ? plain[l]
                           : falls ? plain[l] - plain[from + l]
                                   : plain[from + l];
            dc2[l * Hd + h] += m->c1[h] * a + m->d1[h] * b;
            dc1[h] += m->c2[l * Hd + h] * a;
            dd1[h] += m->c2[l * Hd + h] * b;
        }
    }
}
