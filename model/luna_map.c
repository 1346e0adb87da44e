/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/luna_map.h"

#include "model/elementary.h"
#include "model/vector.h"

static real act(const struct luna_map *m, real x)
{
    if (m->relu)
        return x > 0 ? x : 0;
    return (x > 0 ? x : 0) + log1p(elementary_exp(-fabs(x)));
}

/* d act / dx, from act(x): softplus' slope is 1 - exp(-softplus). */
static real act_slope(const struct luna_map *m, real y)
{
    return m->relu ? (real)(y > 0) : -expm1(-y);
}

void luna_map(const struct luna_map *m, real u, real *psi, real *hidden)
{
    for (size_t h = 0; h < m->Hd; h++) {
        const real x = m->c1[h] * u + m->d1[h];
        hidden[h] = x > 0 ? x : 0;
    }
    for (size_t l = 0; l < m->L; l++)
        psi[l] = act(m, m->d2[l] + vector_dot(m->c2 + l * m->Hd, hidden, m->Hd));
}

real luna_map_backward(const struct luna_map *m, real u, const real *psi,
                       const real *dpsi, const real *hidden, real *dc1, real *dd1,
                       real *dc2, real *dd2)
{
    real du = 0;
    for (size_t l = 0; l < m->L; l++) {
        const real d = dpsi[l] * act_slope(m, psi[l]);
        dd2[l] += d;
        vector_add(dc2 + l * m->Hd, d, hidden, m->Hd);
    }
    for (size_t h = 0; h < m->Hd; h++) {
        if (!(hidden[h] > 0))
            continue;
        real d = 0;
        for (size_t l = 0; l < m->L; l++)
            d += dpsi[l] * act_slope(m, psi[l]) * m->c2[l * m->Hd + h];
        dc1[h] += d * u;
        dd1[h] += d;
        du += d * m->c1[h];
    }
    return du;
}

/* ---- the table --------------------------------------------------------------------- */

size_t luna_table_size(const struct luna_map *m)
{
    return m->Hd + 2 * (m->Hd + 1) * m->L;
}

/* Where unit h turns on or off; infinite for one that never does. */
static real knot_of(const struct luna_map *m, size_t h)
{
    return m->c1[h] != 0 ? -m->d1[h] / m->c1[h] : (real)INFINITY;
}

/* Insertion sort: Hd is small, and nothing may allocate here. */
static void sort_knots(const struct luna_map *m, real *knots)
{
    for (size_t h = 0; h < m->Hd; h++) {
        const real knot = knot_of(m, h);
        size_t at = h;
        for (; at > 0 && knots[at - 1] > knot; at--)
            knots[at] = knots[at - 1];
        knots[at] = knot;
    }
}

/* Whether unit h is on between two neighbouring knots. */
static bool is_on(const struct luna_map *m, size_t h, real below, real above)
{
    if (m->c1[h] == 0)
        return m->d1[h] > 0;
    const real knot = knot_of(m, h);
    return m->c1[h] > 0 ? knot <= below : knot >= above;
}

struct luna_table luna_table(const struct luna_map *m, real *space)
{
    const struct luna_table t = {.knots = space,
                                 .slope = space + m->Hd,
                                 .constant = space + m->Hd + (m->Hd + 1) * m->L};
    sort_knots(m, t.knots);
    for (size_t i = 0; i <= m->Hd; i++) {
        const real below = i > 0 ? t.knots[i - 1] : -(real)INFINITY;
        const real above = i < m->Hd ? t.knots[i] : (real)INFINITY;
        for (size_t l = 0; l < m->L; l++) {
            double slope = 0, constant = (double)m->d2[l];
            for (size_t h = 0; h < m->Hd; h++)
                if (is_on(m, h, below, above)) {
                    slope += (double)m->c2[l * m->Hd + h] * (double)m->c1[h];
                    constant += (double)m->c2[l * m->Hd + h] * (double)m->d1[h];
                }
            t.slope[i * m->L + l] = (real)slope;
            t.constant[i * m->L + l] = (real)constant;
        }
    }
    return t;
}

void luna_look_up(const struct luna_map *m, const struct luna_table *t, real u, real *psi)
{
    size_t low = 0, high = m->Hd; /* the number of knots at or below u */
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (t->knots[middle] <= u)
            low = middle + 1;
        else
            high = middle;
    }
    const real *const slope = t->slope + low * m->L;
    const real *const constant = t->constant + low * m->L;
    for (size_t l = 0; l < m->L; l++)
        psi[l] = act(m, slope[l] * u + constant[l]);
}
