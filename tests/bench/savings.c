/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * savings.c -- what each saving of the network is worth beside the plain form, at the sizes
 * of a preset's training step: 32 windows of 7 series, look-back and horizon 96.
 *
 * All are exact (their tests compare the two forms); here both run in turns on one thread,
 * and the median of each one's processor time is taken.
 */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "fft/fft.h"
#include "model/branch.h"
#include "model/linear.h"
#include "model/matrix.h"
#include "model/rwkv7_core.h"
#include "tests/bench/trainee.h"

enum { L = 96, P = 96, V = 7, BATCH = 32, ROWS = BATCH * V, TIMES = 15 };

static real *noise(size_t count)
{
    const struct rng_stream stream = {.seed = 5, .purpose = (uint32_t)count};
    real *const x = mem_new(count, sizeof *x);
    for (size_t i = 0; i < count; i++)
        x[i] = (real)(0.3 * rng_normal(stream, i));
    return x;
}

static void add(const char *preset, const char *name, const char *beside,
                void (*ours)(void *ctx), void (*plain)(void *ctx), void *ctx,
                size_t repeats)
{
    struct result_turn turns[] = {{.run = ours, .ctx = ctx}, {.run = plain, .ctx = ctx}};
    char text[80];
    result_turns(turns, 2, TIMES);
    snprintf(text, sizeof text, "%s: %s", preset, name);
    result_add(&(struct result){.name = text,
                                .value = 1e3 * turns[0].cpu_s / (double)repeats,
                                .unit = "ms of CPU",
                                .ratio = turns[0].cpu_s / turns[1].cpu_s,
                                .beside = beside});
}

/* ---- one transform a series -------------------------------------------------------- */

struct transform {
    const struct fft_plan *plan;
    size_t copies;
    real *x, *re, *im, *work;
};

/* Forward, and its adjoint. */
static void transform_rows(const struct transform *t, size_t rows)
{
    const size_t F = fft_bins(L);
    for (size_t r = 0; r < rows; r++) {
        fft_forward(t->plan, t->re + r * F, t->im + r * F, t->x + r * L, t->work);
        fft_forward_adjoint(t->plan, t->x + r * L, t->re + r * F, t->im + r * F, t->work);
    }
}

static void transform_series(void *ctx)
{
    transform_rows(ctx, ROWS);
}

static void transform_copies(void *ctx)
{
    const struct transform *const t = ctx;
    memset(t->x, 0, ROWS * t->copies * L * sizeof *t->x);
    transform_rows(t, ROWS * t->copies);
}

static void measure_transforms(const char *preset, size_t D)
{
    struct err err = {0};
    struct arena arena = arena_measure();
    arena_reals(&arena, fft_work(L));
    if (arena_open(&arena, &err))
        die("memory", &err);
    struct transform t = {.plan = fft_plan(L, &err),
                          .copies = D,
                          .x = noise(ROWS * D * L),
                          .re = noise(ROWS * D * fft_bins(L)),
                          .im = noise(ROWS * D * fft_bins(L)),
                          .work = arena_reals(&arena, fft_work(L))};
    if (!t.plan)
        die("plan", &err);
    add(preset, "one transform a series", "that for each of D copies", transform_series,
        transform_copies, &t, 1);
    free(t.x);
    free(t.re);
    free(t.im);
    arena_close(&arena);
}

/* ---- a branch's first map, folded over the lift ------------------------------------ */

struct first {
    struct branch_config config;
    real *theta, *e, *z, *lifted, *in, *y;
};

static void first_folded(void *ctx)
{
    const struct first *const f = ctx;
    const size_t C = f->config.encoder.mix.C, F = f->config.F;
    branch_fold(&f->config, NULL, f->theta, f->e, f->in);
    linear_forward(NULL, f->y, C, f->z, F, f->in, NULL, ROWS, F, C);
}

static void first_lifted(void *ctx)
{
    const struct first *const f = ctx;
    const size_t C = f->config.encoder.mix.C, F = f->config.F, D = f->config.D;
    for (size_t r = 0; r < ROWS; r++)
        for (size_t d = 0; d < D; d++)
            for (size_t i = 0; i < F; i++)
                f->lifted[(r * D + d) * F + i] = f->e[d] * f->z[r * F + i];
    linear_forward(NULL, f->y, C, f->lifted, D * F, f->theta, NULL, ROWS, D * F, C);
}

static void measure_first(const char *preset, const struct network_config *c)
{
    const size_t F = fft_bins(L);
    struct first f = {
        .config = {.encoder =
                       {.mix = {.mixer = c->mixer, .C = c->C, .H = c->H, .rank = c->rank},
                        .Fd = c->Fd},
                   .layers = 1,
                   .D = c->D,
                   .F = F},
        .e = noise(c->D),
        .z = noise(ROWS * F),
        .lifted = noise(ROWS * c->D * F),
        .in = noise(c->C * F),
        .y = noise(ROWS * c->C)};
    f.theta = noise(branch_size(&f.config));
    add(preset, "first map folded over the lift", "that of the lifted spectrum",
        first_folded, first_lifted, &f, 1);
    free(f.theta);
    free(f.e);
    free(f.z);
    free(f.lifted);
    free(f.in);
    free(f.y);
}

/* ---- the mixer's first maps as one ------------------------------------------------- */

enum { MLPS = 3, LOW = 3 };

struct maps {
    size_t C, E, Q, M;
    real *x, *w, *y, *dy, *dx, *dw;
};

/* Forward and backward of rows [from, from + O) of the maps above each other. */
static void maps_part(const struct maps *m, size_t from, size_t O)
{
    linear_forward(NULL, m->y + from, m->M, m->x, m->C, m->w + from * m->C, NULL, ROWS,
                   m->C, O);
    linear_backward_input(NULL, m->dx, m->C, m->dy + from, m->M, m->w + from * m->C, ROWS,
                          m->C, O);
    linear_backward_weights(NULL, m->dw + from * m->C, NULL, m->dy + from, m->M, m->x,
                            m->C, ROWS, m->C, O);
}

static void maps_one(void *ctx)
{
    const struct maps *const m = ctx;
    maps_part(m, 0, m->M);
}

static void maps_apart(void *ctx)
{
    const struct maps *const m = ctx;
    for (size_t i = 0; i < MLPS; i++)
        maps_part(m, i * m->E, m->E);
    for (size_t i = 0; i < LOW; i++)
        maps_part(m, MLPS * m->E + i * m->Q, m->Q);
}

/* r, k and v of 1.2 C rows each, decay, rate and gate of the rank (model/trunk_shape.c). */
static void measure_maps(const char *preset, const struct network_config *c)
{
    const size_t rank = c->rank ? c->rank : c->C / 8 > 64 ? c->C / 8 : 64;
    struct maps m = {.C = c->C, .E = (size_t)(1.2 * (double)c->C), .Q = rank};
    m.M = MLPS * m.E + LOW * m.Q;
    m.x = noise(ROWS * m.C);
    m.w = noise(m.M * m.C);
    m.y = noise(ROWS * m.M);
    m.dy = noise(ROWS * m.M);
    m.dx = noise(ROWS * m.C);
    m.dw = noise(m.M * m.C);
    add(preset, "six first maps in one product", "one by one", maps_one, maps_apart, &m,
        1);
    free(m.x);
    free(m.w);
    free(m.y);
    free(m.dy);
    free(m.dx);
    free(m.dw);
}

/* ---- the core without a state ------------------------------------------------------- */

enum { R_, W_, KAPPA_, B_, V_, K_, INPUTS };

struct cores {
    struct rwkv7_core core;
    struct rwkv7_core_grad grad;
    size_t heads;
    real *in[INPUTS], *d_in[INPUTS], *o, *d_o, *states, *work;
};

static void core_without(void *ctx)
{
    const struct cores *const c = ctx;
    for (size_t h = 0; h < c->heads; h++) {
        rwkv7_dual_forward(&c->core, c->o, c->work);
        rwkv7_dual_backward(&c->core, &c->grad, c->d_o, c->work);
    }
}

static void core_with(void *ctx)
{
    const struct cores *const c = ctx;
    for (size_t h = 0; h < c->heads; h++) {
        rwkv7_state_forward(&c->core, c->o, c->states, c->work);
        rwkv7_state_backward(&c->core, &c->grad, c->d_o, c->states, c->work);
    }
}

static void measure_core(const char *preset, const struct network_config *config)
{
    const size_t N = config->C / config->H;
    struct cores c = {.heads = BATCH * config->H};
    for (size_t i = 0; i < INPUTS; i++) {
        c.in[i] = noise(V * N);
        c.d_in[i] = noise(V * N);
    }
    for (size_t i = 0; i < V * N; i++) /* within (0, 1), as the gates give it */
        c.in[W_][i] = REAL_C(0.7);
    c.core = (struct rwkv7_core){.T = V,
                                 .N = N,
                                 .stride = N,
                                 .r = c.in[R_],
                                 .w = c.in[W_],
                                 .kappa = c.in[KAPPA_],
                                 .b = c.in[B_],
                                 .v = c.in[V_],
                                 .k = c.in[K_]};
    c.grad = (struct rwkv7_core_grad){c.d_in[R_], c.d_in[W_], c.d_in[KAPPA_],
                                      c.d_in[B_], c.d_in[V_], c.d_in[K_]};
    const size_t dual = rwkv7_dual_work(V, N), state = rwkv7_state_work(N);
    c.work = noise(dual > state ? dual : state);
    c.states = noise(rwkv7_state_states(V, N));
    c.o = noise(V * N);
    c.d_o = noise(V * N);
    add(preset, "the core without a state", "with it", core_without, core_with, &c, 1);
    for (size_t i = 0; i < INPUTS; i++) {
        free(c.in[i]);
        free(c.d_in[i]);
    }
    free(c.work);
    free(c.states);
    free(c.o);
    free(c.d_o);
}

/* ---- a forecast from what was multiplied out ---------------------------------------- */

struct forecast {
    struct network *network;
    struct network_fold *fold;
    real *theta, *x, *y;
    uint32_t phase;
};
enum { FORECASTS = 20 };

static void forecast_folded(void *ctx)
{
    const struct forecast *const f = ctx;
    for (size_t i = 0; i < FORECASTS; i++)
        network_forward_folded(f->network, f->theta, f->fold, f->x, &f->phase, 1, f->y);
}

static void forecast_whole(void *ctx)
{
    const struct forecast *const f = ctx;
    for (size_t i = 0; i < FORECASTS; i++)
        network_forward(f->network, f->theta, f->x, &f->phase, 1, f->y, NULL);
}

static void measure_forecast(const char *preset, const struct network_config *config)
{
    struct err err = {0};
    struct forecast f = {.network = network_new(config, 1, false, NULL, &err)};
    if (!f.network)
        die("network", &err);
    f.theta = mem_new(network_size(f.network), sizeof *f.theta);
    network_init(f.network, f.theta, 1);
    if (!(f.fold = network_fold_new(f.network, f.theta, &err)))
        die("fold", &err);
    f.x = noise(L * V);
    f.y = noise(P * V);
    add(preset, "a forecast, maps multiplied out", "map by map", forecast_folded,
        forecast_whole, &f, FORECASTS);
    network_fold_free(f.fold);
    network_free(f.network);
    free(f.theta);
    free(f.x);
    free(f.y);
}

int main(void)
{
    static const char *const presets[] = {"default", "paper"};
    model_start();
    matrix_start();
    for (size_t i = 0; i < 2; i++) {
        struct err err = {0};
        struct network_config config;
        const struct model_spec spec = trainee_spec(presets[i], L, P);
        if (frwkv_config(&spec, TRAINEE_SEASON, V, NULL, &config, &err))
            die(presets[i], &err);
        measure_transforms(presets[i], config.D);
        measure_first(presets[i], &config);
        measure_maps(presets[i], &config);
        measure_core(presets[i], &config);
        measure_forecast(presets[i], &config);
    }
    return 0;
}
