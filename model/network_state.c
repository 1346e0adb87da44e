/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a series leaves behind in a network that streams.
 *
 * Encoders begin anew every L/2 steps, and a window reads from a beginning that is more
 * than L/2 steps back.  So two of them are on their way at any time, the older one to
 * answer and the younger one to take its place: two lanes.  Their places follow from the
 * step's phase in L steps alone, lane i beginning where the phase is i L/2.
 */
#include "model/network_inner.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "model/revin.h"

enum { LANES = 2 };

/* Reals of a state, in this order: for how many more steps the last value stands in for
 * missing ones, L values by phase, the lanes.  Of a lane: what the branches carry, and
 * g (L,D) of its steps, from its beginning on. */
struct places {
    size_t carried, lane; /* reals of both branches; of a lane */
};

/* One token at a time. */
struct step_work {
    real *window, *p, *re, *im, *y[BRANCHES], *series, *fft, *step, *carried;
    real *windows; /* (max_batch,L) */
    uint32_t *phase;
};

static struct places places_of(const struct network *n)
{
    struct places at = {.carried = BRANCHES * branch_state_size(&n->branch_config)};
    at.lane = at.carried + n->config.L * n->config.D;
    return at;
}

size_t network_state_size(const struct network *n)
{
    return n->config.stream ? 1 + n->config.L + LANES * places_of(n).lane : 0;
}

struct step_work *step_work(const struct network *n, struct arena *arena)
{
    const size_t patch = n->config.patch, L = n->config.L;
    struct step_work w = {
        .window = arena_reals(arena, L),
        .p = arena_reals(arena, patch),
        .re = arena_reals(arena, n->lift.F),
        .im = arena_reals(arena, n->lift.F),
        .series = arena_reals(arena, patch),
        .fft = arena_reals(arena, fft_work(patch)),
        .step = arena_reals(arena, branch_step_work_size(&n->branch_config)),
        .carried = arena_reals(arena, places_of(n).carried),
        .windows = arena_reals(arena, n->max_batch * L),
        .phase = arena_bytes(arena, n->max_batch * sizeof(uint32_t)),
    };
    for (size_t i = 0; i < BRANCHES; i++)
        w.y[i] = arena_reals(arena, branch_out(&n->branch_config));
    void *const block = arena_bytes(arena, sizeof w);
    return block ? memcpy(block, &w, sizeof w) : NULL;
}

/* ---- one token --------------------------------------------------------------------- */

/* g (patch,D) of the token in w->p, the branches going on from carried. */
static void token(const struct network *n, const real *theta,
                  const struct network_fold *fold, real *g, real *carried)
{
    const struct step_work *const w = n->step_work;
    const size_t patch = n->config.patch, D = n->config.D, F = n->lift.F;
    const size_t one = branch_state_size(&n->branch_config);
    fft_forward(n->lift.plan, w->re, w->im, w->p, w->fft);
    for (size_t i = 0; i < BRANCHES; i++)
        branch_step(&n->branch_config, theta + n->at_branch[i], fold->fold.in[i],
                    i == REAL_BRANCH ? w->re : w->im, w->y[i], carried + i * one,
                    w->step);
    for (size_t d = 0; d < D; d++) {
        fft_inverse(n->lift.plan, w->series, w->y[REAL_BRANCH] + d * F,
                    w->y[IMAG_BRANCH] + d * F, w->fft);
        for (size_t t = 0; t < patch; t++)
            g[t * D + d] = w->series[t];
    }
}

/* The last L values of a state, oldest first; phase is that of the step after them. */
static void unroll(const struct network *n, real *x, const real *state, uint32_t phase)
{
    const size_t L = n->config.L;
    memcpy(x, state + 1 + phase, (L - phase) * sizeof *x);
    memcpy(x + L - phase, state + 1, phase * sizeof *x);
}

/* ---- values ------------------------------------------------------------------------ */

void network_state_note(const struct network *n, real *state, uint32_t phase, real value)
{
    const size_t L = n->config.L;
    assert(phase < L);
    if (isnan(value)) {
        value = state[0] > 0 ? state[1 + (phase + L - 1) % L] : 0;
        state[0] -= state[0] > 0 ? 1 : 0;
    } else {
        state[0] = (real)L;
    }
    state[1 + phase] = value;
}

void network_state_push(struct network *n, const real *theta,
                        const struct network_fold *fold, real *state, uint32_t phase,
                        real value)
{
    const struct places at = places_of(n);
    const size_t L = n->config.L, patch = n->config.patch, D = n->config.D;
    real *const window = n->step_work->window;
    network_state_note(n, state, phase, value);
    for (size_t i = 0; i < LANES; i++) {
        real *const lane = state + 1 + L + i * at.lane, *const g = lane + at.carried;
        const size_t seen = (phase + L - i * L / LANES) % L + 1;
        if (seen == 1)
            memset(lane, 0, at.lane * sizeof *lane);
        if (seen % patch)
            continue;
        unroll(n, window, state, (uint32_t)((phase + 1) % L));
        raster_token(n->step_work->p, window + L - seen, 1, seen, patch);
        token(n, theta, fold, g + (seen - patch) * D, lane);
    }
}

/* ---- answers ----------------------------------------------------------------------- */

/* What is left of the window's `seen` steps once `have` of them are read: rows of g. */
static void rest(const struct network *n, const real *theta,
                 const struct network_fold *fold, const real *window, size_t seen,
                 size_t have, real *carried, real *g)
{
    const size_t L = n->config.L, patch = n->config.patch, D = n->config.D;
    for (; have < seen; have += patch) {
        const size_t end = have + patch < seen ? have + patch : seen;
        raster_token(n->step_work->p, window + L - seen, 1, end, patch);
        token(n, theta, fold, g + have * D, carried);
    }
}

/* g of row b from a state, or (NULL) from the window alone: the same work either way. */
static void answer_tokens(struct network *n, const real *theta,
                          const struct network_fold *fold, const real *state,
                          uint32_t phase, const real *window, real *g)
{
    const struct places at = places_of(n);
    const size_t L = n->config.L, patch = n->config.patch;
    const size_t seen = L - raster_begin(&n->raster, phase);
    real *const carried = n->step_work->carried;
    if (!state) {
        memset(carried, 0, at.carried * sizeof *carried);
        rest(n, theta, fold, window, seen, 0, carried, g);
        return;
    }
    const size_t i = (phase + L - seen) % L == 0 ? 0 : 1;
    const size_t whole = seen / patch * patch;
    const real *const lane = state + 1 + L + i * at.lane;
    memcpy(carried, lane, at.carried * sizeof *carried);
    memcpy(g, lane + at.carried, whole * n->config.D * sizeof *g);
    rest(n, theta, fold, window, seen, whole, carried, g);
}

void network_forward_by_token(struct network *n, const real *theta,
                              const struct network_fold *fold, const real *const *state,
                              const real *x, const uint32_t *phase, size_t B, real *y)
{
    const size_t row = n->config.L * n->config.V, LD = n->config.L * n->config.D;
    assert(!n->training);
    n->p = 0;
    n->step = (struct dropout_step){0};
    network_begin(n, theta, x, phase, B);
    for (size_t b = 0; b < B; b++)
        answer_tokens(n, theta, fold, state ? state[b] : NULL, phase[b], x + b * row,
                      n->tokens_out + b * LD);
    raster_join(&n->raster, n->pool, n->h, n->z, network_lift(n, theta), n->tokens_out,
                B);
    network_finish(n, theta, y);
}

void network_state_forward(struct network *n, const real *theta,
                           const struct network_fold *fold, const real *const *state,
                           uint32_t phase, size_t B, real *y)
{
    const struct network_config *const c = &n->config;
    const struct step_work *const w = n->step_work;
    assert(c->stream && c->V == 1 && !n->training && phase < c->L);
    for (size_t b = 0; b < B; b++) {
        w->phase[b] = phase;
        unroll(n, w->windows + b * c->L, state[b], phase);
    }
    network_forward_by_token(n, theta, fold, state, w->windows, w->phase, B, y);
}
