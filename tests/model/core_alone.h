/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * core_alone.h -- one head of a core without its trunk: queries, keys and values in,
 * outputs out, for tests of what the core computes.
 */
#ifndef CORE_ALONE_H
#define CORE_ALONE_H

#include "model/core.h"
#include "tests/model/mixers.h"

struct core_alone {
    struct mixer_config config;
    struct mixer_call call;
    struct arena arena;
    void *tape, *work;
    size_t T, N, n, size; /* n = T N; reals of theta */
    size_t at[CORE_TENSORS_MAX];
    real *theta, *dtheta;
    real *x, *q, *k, *v, *o; /* (T,N) */
    real *dx, *dq, *dk, *dv, *d_o;
    real *state, *step_work;
};

static inline void core_alone_carve(struct core_alone *c, struct arena *arena)
{
    c->tape = core_tape(&c->config, 1, c->T, arena);
    c->work = core_work(&c->config, 1, c->T, true, arena);
    c->theta = arena_reals(arena, c->size + 1);
    c->dtheta = arena_reals(arena, c->size + 1);
    real **const arrays[] = {&c->x,  &c->q,  &c->k,  &c->v,  &c->o,
                             &c->dx, &c->dq, &c->dk, &c->dv, &c->d_o};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        *arrays[i] = arena_reals(arena, c->n);
    if (mixer_flags(&c->config) & MIXER_STEP) {
        c->state = arena_reals(arena, mixer_state_size(&c->config));
        c->step_work = arena_reals(arena, mixer_step_work_size(&c->config));
    }
}

/* With T tokens of N channels, all numbers random but fixed. */
static inline void core_alone_open(struct core_alone *c, const char *mixer, size_t T,
                                   size_t N, bool causal, size_t layer,
                                   struct mixer_options options)
{
    *c = (struct core_alone){.T = T, .N = N, .n = T * N};
    c->config = (struct mixer_config){.mixer = mixer_find(mixer, NULL),
                                      .C = N,
                                      .H = 1,
                                      .rank = 5,
                                      .places = T,
                                      .layer = layer,
                                      .causal = causal,
                                      .options = options};
    assert_int_equal(mixer_check(&c->config, NULL), 0);
    c->call = (struct mixer_call){.config = &c->config, .B = 1, .T = T};
    c->size = core_layout(&c->config, c->at);
    struct arena arena = arena_measure();
    core_alone_carve(c, &arena);
    assert_int_equal(arena_open(&arena, NULL), 0);
    core_alone_carve(c, &arena);
    c->arena = arena;
    fill_normal(c->theta, c->size, 1, 0.4);
    real *const inputs[] = {c->x, c->q, c->k, c->v, c->d_o};
    for (uint32_t i = 0; i < 5; i++)
        fill_normal(inputs[i], c->n, 10 + i, 1);
}

static inline void core_alone_close(struct core_alone *c)
{
    assert_true(arena_check(&c->arena));
    arena_close(&c->arena);
}

static inline struct core_io core_alone_io(const struct core_alone *c)
{
    return (struct core_io){.x = c->x, .q = c->q, .k = c->k, .v = c->v, .o = c->o};
}

static inline void core_alone_forward(struct core_alone *c)
{
    const struct core_io io = core_alone_io(c);
    core_forward(&c->call, c->theta, &io, c->tape, c->work);
}

static inline void core_alone_backward(struct core_alone *c)
{
    const struct core_io io = core_alone_io(c);
    const struct core_grad grad = {
        .d_o = c->d_o, .dx = c->dx, .dq = c->dq, .dk = c->dk, .dv = c->dv};
    core_backward(&c->call, c->theta, c->dtheta, &io, &grad, c->tape, c->work);
}

/* o (N): token t by a step from the state so far. */
static inline void core_alone_step(struct core_alone *c, size_t t, real *o)
{
    const size_t at = t * c->N;
    const struct core_token token = {
        .x = c->x + at, .q = c->q + at, .k = c->k + at, .v = c->v + at, .o = o};
    core_step(&c->config, c->theta, &token, c->state, c->step_work);
}

/* With as many channels as tokens: values that show the weights, o_t[i] = A_ti. */
static inline void core_alone_show_weights(struct core_alone *c)
{
    assert_int_equal(c->T, c->N);
    memset(c->v, 0, c->n * sizeof *c->v);
    for (size_t t = 0; t < c->T; t++)
        c->v[t * c->N + t] = 1;
}

static inline double dot(const real *a, const real *b, size_t n)
{
    return weigh(a, b, n);
}

#endif
