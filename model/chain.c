/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/chain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/real.h"
#include "model/matrix.h"
#include "model/mixer.h"

enum { ROWS_MOST = 4096, NEAR = 2 };

bool chain_wanted(const struct model_spec *spec)
{
    return spec->group == GROUP_JOINT && spec->settings.axis == AXIS_VARIATE &&
           (spec->settings.order == ORDER_CORR ||
            strcmp(spec->settings.mixer, "inline") == 0);
}

static int allocate(struct chain *chain, size_t V, struct err *err)
{
    *chain = (struct chain){.V = V,
                            .order = mem_try(V, sizeof *chain->order),
                            .near = mem_try(V * NEAR, sizeof *chain->near)};
    if (chain->order && chain->near)
        return 0;
    chain_fini(chain);
    return err_set(err, ERR_NO_MEMORY, "order: no memory for %zu series", V);
}

void chain_fini(struct chain *chain)
{
    free(chain->order);
    free(chain->near);
    *chain = (struct chain){0};
}

int chain_copy(struct chain *to, const struct chain *from, struct err *err)
{
    *to = (struct chain){0};
    if (from->V == 0)
        return 0;
    if (allocate(to, from->V, err))
        return -1;
    memcpy(to->order, from->order, from->V * sizeof *to->order);
    memcpy(to->near, from->near, from->V * NEAR * sizeof *to->near);
    return 0;
}

bool chain_is_whole(const struct chain *chain)
{
    bool whole = true;
    bool *const seen = mem_new(chain->V, sizeof *seen);
    for (size_t v = 0; v < chain->V; v++) {
        const size_t next = chain->order[v];
        whole &= next < chain->V && !seen[next];
        if (next < chain->V)
            seen[next] = true;
        for (size_t i = 0; i < NEAR; i++)
            whole &= chain->near[v * NEAR + i] < chain->V;
    }
    free(seen);
    return whole;
}

/* |correlation| (V,V), 0 on the diagonal, of up to ROWS_MOST rows evenly spread. */
static real *likeness(const struct panel *panel, size_t rows, struct err *err)
{
    const size_t V = panel->cols, step = rows / ROWS_MOST + 1,
                 n = (rows + step - 1) / step;
    real *const x = mem_try(n * V, sizeof *x), *const c = mem_try(V * V, sizeof *c);
    if (!x || !c) {
        free(x);
        free(c);
        err_set(err, ERR_NO_MEMORY, "order: no memory for %zu series", V);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t v = 0; v < V; v++) {
            const double z = panel->z[i * step * V + v];
            x[i * V + v] = (real)(isfinite(z) ? z : 0);
        }
    matrix_tn(c, x, x, V, n, V, 1 / (real)n, 0);
    for (size_t i = 0; i < V * V; i++)
        c[i] = i % (V + 1) == 0 ? 0 : (real)fabs((double)c[i]);
    free(x);
    return c;
}

/* The most like series `to`, the earlier on a tie, of those `allowed`. */
static size_t most_like(const real *to, const bool *allowed, size_t V)
{
    size_t best = V;
    for (size_t v = 0; v < V; v++)
        if (allowed[v] && (best == V || to[v] > to[best]))
            best = v;
    return best;
}

static void link_up(struct chain *chain, const real *like, bool *unused)
{
    const size_t V = chain->V;
    size_t first = 0;
    double most = -1;
    for (size_t v = 0; v < V; v++) {
        double sum = 0;
        for (size_t w = 0; w < V; w++)
            sum += (double)like[v * V + w];
        if (sum > most) {
            most = sum;
            first = v;
        }
        unused[v] = true;
    }
    for (size_t i = 0, next = first; i < V; i++) {
        chain->order[i] = (uint32_t)next;
        unused[next] = false;
        next = most_like(like + next * V, unused, V);
    }
}

static void find_neighbours(struct chain *chain, const real *like, bool *allowed)
{
    const size_t V = chain->V;
    for (size_t v = 0; v < V; v++)
        allowed[v] = true;
    for (size_t v = 0; v < V; v++) {
        allowed[v] = false;
        size_t found[NEAR];
        for (size_t i = 0; i < NEAR; i++) {
            found[i] = most_like(like + v * V, allowed, V);
            chain->near[v * NEAR + i] = (uint32_t)(found[i] < V ? found[i] : v);
            if (found[i] < V)
                allowed[found[i]] = false;
        }
        for (size_t i = 0; i < NEAR; i++)
            if (found[i] < V)
                allowed[found[i]] = true;
        allowed[v] = true;
    }
}

int chain_init(struct chain *chain, const struct panel *panel, size_t rows,
               struct err *err)
{
    *chain = (struct chain){0};
    real *const like = likeness(panel, rows, err);
    if (!like)
        return -1;
    if (allocate(chain, panel->cols, err)) {
        free(like);
        return -1;
    }
    bool *const flags = mem_new(panel->cols, sizeof *flags);
    link_up(chain, like, flags);
    find_neighbours(chain, like, flags);
    free(flags);
    free(like);
    return 0;
}
