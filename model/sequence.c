/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/sequence.h"

#include <string.h>

#include "model/linear.h"
#include "model/threads.h"
#include "model/vector.h"

enum { PASSES = 2, INPUTS = 6 }; /* x, q, k, v, decay, rate */

/* One pass over the tokens in another order than they stand in. */
struct pass {
    real *in[INPUTS];
    real *o;
    void *core;
};

struct sequence_tape {
    void *core; /* of the order they stand in */
    struct pass pass[PASSES];
};

struct sequence_work {
    void *core;
    real *d_o, *d_in[INPUTS]; /* training only */
    real *d_bonus;            /* (B,C) sums by sample */
};

static bool is_straight(const struct mixer_config *config)
{
    return (config->dir == DIR_FWD && !config->order) ||
           config->mixer->flags(config) & MIXER_ORDER_FREE;
}

static size_t passes_of(const struct mixer_config *config)
{
    return config->dir == DIR_BI ? 2 : 1;
}

static size_t inputs_of(const struct mixer_config *config)
{
    return config->mixer->flags(config) & MIXER_MAPS ? INPUTS : INPUTS - 2;
}

void *sequence_tape(const struct mixer_config *config, size_t B, size_t T,
                    struct arena *arena)
{
    struct sequence_tape t = {0};
    const size_t reals = B * T * config->C;
    if (is_straight(config))
        t.core = core_tape(config, B, T, arena);
    else
        for (size_t p = 0; p < passes_of(config); p++) {
            for (size_t i = 0; i < inputs_of(config); i++)
                t.pass[p].in[i] = arena_reals(arena, reals);
            t.pass[p].o = arena_reals(arena, reals);
            t.pass[p].core = core_tape(config, B, T, arena);
        }
    return core_keep(arena, &t, sizeof t);
}

void *sequence_work(const struct mixer_config *config, size_t B, size_t T, bool training,
                    struct arena *arena)
{
    struct sequence_work w = {
        .core = core_work(config, B, T, training, arena),
        .d_bonus = training ? arena_reals(arena, B * config->C) : NULL,
    };
    if (training && !is_straight(config)) {
        const size_t reals = B * T * config->C;
        w.d_o = arena_reals(arena, reals);
        for (size_t i = 0; i < inputs_of(config); i++)
            w.d_in[i] = arena_reals(arena, reals);
    }
    return core_keep(arena, &w, sizeof w);
}

/* ---- rows in another order --------------------------------------------------------- */

struct reorder {
    const struct mixer_call *call;
    bool backwards;
    real *to;
    const real *from;
    real scale;
};

/* The token at place i of the pass. */
static size_t token_at(const struct reorder *j, size_t i)
{
    const size_t place = j->backwards ? j->call->T - 1 - i : i;
    return j->call->config->order ? j->call->config->order[place] : place;
}

static void gather_sample(void *ctx, size_t b)
{
    const struct reorder *const j = ctx;
    const size_t T = j->call->T, C = j->call->config->C;
    for (size_t i = 0; i < T; i++) {
        const real *const from = j->from + (b * T + token_at(j, i)) * C;
        real *const to = j->to + (b * T + i) * C;
        for (size_t c = 0; c < C; c++)
            to[c] = j->scale * from[c];
    }
}

static void scatter_sample(void *ctx, size_t b)
{
    const struct reorder *const j = ctx;
    const size_t T = j->call->T, C = j->call->config->C;
    for (size_t i = 0; i < T; i++)
        vector_add(j->to + (b * T + token_at(j, i)) * C, j->scale,
                   j->from + (b * T + i) * C, C);
}

static void reorder(const struct mixer_call *call, threads_job *job, size_t pass,
                    real *to, const real *from, real scale)
{
    struct reorder j = {.call = call,
                        .backwards = call->config->dir == DIR_BWD || pass == 1,
                        .to = to,
                        .from = from,
                        .scale = scale};
    threads_run(call->pool, call->B, job, &j);
}

static struct core_io io_of(const struct core_io *io, const struct pass *pass)
{
    struct core_io own = *io;
    own.x = pass->in[0];
    own.q = pass->in[1];
    own.k = pass->in[2];
    own.v = pass->in[3];
    own.decay = pass->in[4];
    own.rate = pass->in[5];
    own.o = pass->o;
    return own;
}

static void forward_passes(const struct mixer_call *call, const real *theta,
                           const struct core_io *io, const struct sequence_tape *t,
                           const struct sequence_work *w)
{
    const struct mixer_config *const config = call->config;
    const size_t n = passes_of(config), inputs = inputs_of(config);
    const real *const in[INPUTS] = {io->x, io->q, io->k, io->v, io->decay, io->rate};
    memset(io->o, 0, call->B * call->T * config->C * sizeof *io->o);
    for (size_t p = 0; p < n; p++) {
        for (size_t i = 0; i < inputs; i++)
            reorder(call, gather_sample, p, t->pass[p].in[i], in[i], 1);
        const struct core_io own = io_of(io, &t->pass[p]);
        core_forward(call, theta, &own, t->pass[p].core, w->core);
        reorder(call, scatter_sample, p, io->o, t->pass[p].o, 1 / (real)n);
    }
}

static void backward_passes(const struct mixer_call *call, const real *theta,
                            real *dtheta, const struct core_io *io,
                            const struct core_grad *grad, const struct sequence_tape *t,
                            const struct sequence_work *w)
{
    const struct mixer_config *const config = call->config;
    const size_t n = passes_of(config), inputs = inputs_of(config);
    const size_t bytes = call->B * call->T * config->C * sizeof(real);
    real *const out[INPUTS] = {grad->dx, grad->dq,      grad->dk,
                               grad->dv, grad->d_decay, grad->d_rate};
    for (size_t i = 1; i < inputs; i++)
        memset(out[i], 0, bytes);
    for (size_t p = 0; p < n; p++) {
        const struct core_io own = io_of(io, &t->pass[p]);
        const struct core_grad d = {
            .d_o = w->d_o,
            .dx = w->d_in[0],
            .dq = w->d_in[1],
            .dk = w->d_in[2],
            .dv = w->d_in[3],
            .d_decay = w->d_in[4],
            .d_rate = w->d_in[5],
            .dxi = grad->dxi,
            .dalpha = grad->dalpha,
            .dbonus = grad->dbonus,
        };
        reorder(call, gather_sample, p, w->d_o, grad->d_o, 1 / (real)n);
        memset(w->d_in[0], 0, bytes);
        core_backward(call, theta, dtheta, &own, &d, t->pass[p].core, w->core);
        for (size_t i = 0; i < inputs; i++)
            reorder(call, scatter_sample, p, out[i], w->d_in[i], 1);
    }
}

/* ---- the bonus --------------------------------------------------------------------- */

struct bonus {
    const struct mixer_call *call;
    const struct core_io *io;
    const struct core_grad *grad;
    real *d_bonus;
};

/* o += 0.2 (q . k) bonus v */
static void bonus_sample(void *ctx, size_t b)
{
    const struct bonus *const j = ctx;
    const size_t T = j->call->T, C = j->call->config->C, H = j->call->config->H;
    const size_t N = C / H;
    for (size_t at = b * T * C; at < (b + 1) * T * C; at += N) {
        const real *const bonus = j->io->bonus + at % C, *const v = j->io->v + at;
        const real match = SEQUENCE_BONUS * vector_dot(j->io->q + at, j->io->k + at, N);
        for (size_t n = 0; n < N; n++)
            j->io->o[at + n] += match * bonus[n] * v[n];
    }
}

static void bonus_backward_sample(void *ctx, size_t b)
{
    const struct bonus *const j = ctx;
    const size_t T = j->call->T, C = j->call->config->C, H = j->call->config->H;
    const size_t N = C / H;
    real *const sum = j->d_bonus + b * C;
    memset(sum, 0, C * sizeof *sum);
    for (size_t at = b * T * C; at < (b + 1) * T * C; at += N) {
        const real *const bonus = j->io->bonus + at % C, *const d_o = j->grad->d_o + at;
        const real *const q = j->io->q + at, *const k = j->io->k + at;
        const real *const v = j->io->v + at;
        const real match = SEQUENCE_BONUS * vector_dot(q, k, N);
        real d_match = 0;
        for (size_t n = 0; n < N; n++) {
            d_match += d_o[n] * bonus[n] * v[n];
            j->grad->dv[at + n] += d_o[n] * match * bonus[n];
            sum[at % C + n] += d_o[n] * match * v[n];
        }
        vector_add(j->grad->dq + at, SEQUENCE_BONUS * d_match, k, N);
        vector_add(j->grad->dk + at, SEQUENCE_BONUS * d_match, q, N);
    }
}

static bool gives_bonus(const struct mixer_call *call, const struct core_io *io)
{
    return io->bonus && !(call->config->mixer->flags(call->config) & MIXER_MAPS);
}

/* ---- the whole --------------------------------------------------------------------- */

void sequence_forward(const struct mixer_call *call, const real *theta,
                      const struct core_io *io, void *tape, void *work)
{
    const struct sequence_tape *const t = tape;
    const struct sequence_work *const w = work;
    if (is_straight(call->config))
        core_forward(call, theta, io, t->core, w->core);
    else
        forward_passes(call, theta, io, t, w);
    struct bonus bonus = {.call = call, .io = io};
    if (gives_bonus(call, io))
        threads_run(call->pool, call->B, bonus_sample, &bonus);
}

void sequence_backward(const struct mixer_call *call, const real *theta, real *dtheta,
                       const struct core_io *io, const struct core_grad *grad, void *tape,
                       void *work)
{
    const struct sequence_tape *const t = tape;
    const struct sequence_work *const w = work;
    if (is_straight(call->config))
        core_backward(call, theta, dtheta, io, grad, t->core, w->core);
    else
        backward_passes(call, theta, dtheta, io, grad, t, w);
    struct bonus bonus = {.call = call, .io = io, .grad = grad, .d_bonus = w->d_bonus};
    if (!gives_bonus(call, io))
        return;
    threads_run(call->pool, call->B, bonus_backward_sample, &bonus);
    for (size_t b = 0; b < call->B; b++) /* in order: no thread decides */
        vector_add(grad->dbonus, 1, w->d_bonus + b * call->config->C, call->config->C);
}
