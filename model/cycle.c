/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/cycle.h"

#include "model/threads.h"

struct cycle_job {
    const struct cycle *cycle;
    real *out;
    const real *x, *table, *dy, *dx;
};

/* The phase of the first of a window's L inputs. */
static size_t first_phase(const struct cycle *c, size_t b)
{
    return (c->phase[b] + c->S - c->L % c->S) % c->S;
}

static void remove_window(void *ctx, size_t b)
{
    const struct cycle_job *const j = ctx;
    const struct cycle *const c = j->cycle;
    const real *x = j->x + b * c->L * c->V;
    real *out = j->out + b * c->L * c->V;
    size_t s = first_phase(c, b);
    for (size_t t = 0; t < c->L; t++, x += c->V, out += c->V) {
        for (size_t v = 0; v < c->V; v++)
            out[v] = x[v] - j->table[s * c->V + v];
        s = s + 1 == c->S ? 0 : s + 1;
    }
}

void cycle_remove(const struct cycle *cycle, struct threads *pool, real *out,
                  const real *x, const real *table)
{
    struct cycle_job j = {.cycle = cycle, .out = out, .x = x, .table = table};
    threads_run(pool, cycle->B, remove_window, &j);
}

static void restore_window(void *ctx, size_t b)
{
    const struct cycle_job *const j = ctx;
    const struct cycle *const c = j->cycle;
    real *y = j->out + b * c->P * c->V;
    size_t s = c->phase[b];
    for (size_t t = 0; t < c->P; t++, y += c->V) {
        for (size_t v = 0; v < c->V; v++)
            y[v] += j->table[s * c->V + v];
        s = s + 1 == c->S ? 0 : s + 1;
    }
}

void cycle_restore(const struct cycle *cycle, struct threads *pool, real *y,
                   const real *table)
{
    struct cycle_job j = {.cycle = cycle, .out = y, .table = table};
    threads_run(pool, cycle->B, restore_window, &j);
}

/* Steps from phase `from` to phase `to`, forwards. */
static size_t steps_to(const struct cycle *c, size_t from, size_t to)
{
    return to >= from ? to - from : to + c->S - from;
}

/* One row of the table by one thread, over the windows in their order. */
static void backward_row(void *ctx, size_t s)
{
    const struct cycle_job *const j = ctx;
    const struct cycle *const c = j->cycle;
    real *const out = j->out + s * c->V;
    for (size_t b = 0; b < c->B; b++) {
        const real *const dy = j->dy + b * c->P * c->V, *const dx =
                                                            j->dx + b * c->L * c->V;
        for (size_t t = steps_to(c, c->phase[b], s); t < c->P; t += c->S)
            for (size_t v = 0; v < c->V; v++)
                out[v] += dy[t * c->V + v];
        for (size_t t = steps_to(c, first_phase(c, b), s); t < c->L; t += c->S)
            for (size_t v = 0; v < c->V; v++)
                out[v] -= dx[t * c->V + v];
    }
}

void cycle_backward(const struct cycle *cycle, struct threads *pool, real *dtable,
                    const real *dy, const real *dx)
{
    struct cycle_job j = {.cycle = cycle, .out = dtable, .dy = dy, .dx = dx};
    threads_run(pool, cycle->S, backward_row, &j);
}
