/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mixers.h -- every mixer in every mode, for the tests of mixers.md, section 8.
 */
#ifndef MIXERS_H
#define MIXERS_H

#include "model/linear.h"
#include "model/mixer.h"
#include "model/threads.h"
#include "tests/model/gradient.h"

#include <stdio.h>

#define USUAL                                                                            \
    .taylor2_shortcut = true, .luna_m = 3, .luna_lc = 2, .luna_hidden = 5,               \
    .gdn_window = 4, .gdn_sinks = 1, .gdn_chunk = 16, .h3_head = 4, .h3_shift_len = 5,   \
    .h3_state = 3

struct variant {
    const char *label, *mixer;
    bool causal;
    size_t layer;
    struct mixer_options options;
};

static const struct variant variants[] = {
    {"rwkv7", "rwkv7", false, 0, {USUAL}},
    {"rwkv7x", "rwkv7x", false, 0, {USUAL}},
    {"rwkv7x wide", "rwkv7x", false, 0, {USUAL, .rwkv7x_wide = true}},
    {"softmax", "softmax", false, 0, {USUAL}},
    {"softmax causal", "softmax", true, 0, {USUAL}},
    {"linear", "linear", false, 0, {USUAL}},
    {"linear causal", "linear", true, 0, {USUAL}},
    {"inline", "inline", false, 0, {USUAL}},
    {"inline causal", "inline", true, 0, {USUAL}},
    {"inline relu", "inline", false, 0, {USUAL, .inline_phi = PHI_RELU}},
    {"inline leaky", "inline", true, 0, {USUAL, .inline_phi = PHI_LEAKY}},
    {"inline exp", "inline", false, 0, {USUAL, .inline_phi = PHI_EXP}},
    {"inline order3", "inline", false, 0, {USUAL, .inline_local = LOCAL_ORDER3}},
    {"inline knn", "inline", false, 0, {USUAL, .inline_local = LOCAL_KNN}},
    {"taylor2 norm2", "taylor2", false, 0, {USUAL, .taylor2_mode = TAYLOR_NORM2}},
    {"taylor2 norm2 causal", "taylor2", true, 0, {USUAL, .taylor2_mode = TAYLOR_NORM2}},
    {"taylor2 diag", "taylor2", false, 0, {USUAL, .taylor2_mode = TAYLOR_DIAG}},
    {"taylor2 beta",
     "taylor2",
     false,
     0,
     {USUAL, .taylor2_mode = TAYLOR_DIAG, .taylor2_beta = true}},
    {"taylor2 pos", "taylor2", false, 0, {USUAL, .taylor2_pos = true}},
    {"taylor2 pos causal", "taylor2", true, 0, {USUAL, .taylor2_pos = true}},
    {"taylor2 sym", "taylor2", false, 0, {USUAL, .taylor2_mode = TAYLOR_SYM}},
    {"taylor2 full", "taylor2", true, 0, {USUAL, .taylor2_mode = TAYLOR_FULL}},
    {"luna", "luna", false, 0, {USUAL}},
    {"luna causal", "luna", true, 0, {USUAL}},
    {"luna relu", "luna", false, 0, {USUAL, .luna_nonneg = LUNA_RELU}},
    {"luna env", "luna", true, 0, {USUAL, .luna_env = LUNA_EXP}},
    {"luna per_head",
     "luna",
     false,
     0,
     {USUAL, .luna_env = LUNA_EXP, .luna_per_head = true}},
    {"luna chrms", "luna", false, 0, {USUAL, .luna_chrms = true}},
    {"swa", "gdn_swa", false, 0, {USUAL}},
    {"swa rope", "gdn_swa", false, 0, {USUAL, .gdn_rope = true}},
    {"gdn", "gdn_swa", false, 1, {USUAL}},
    {"gdn neg_eig", "gdn_swa", false, 1, {USUAL, .gdn_neg_eig = true}},
    {"gdn fuse", "gdn_swa", false, 0, {USUAL, .gdn_pattern = GDN_FUSE}},
    {"h3", "h3", false, 0, {USUAL}},
    {"none", "none", false, 0, {USUAL}},
};
enum { VARIANTS = sizeof variants / sizeof *variants, TRUNKS = 2 };

/* Random but fixed neighbours, and an order, of up to this many tokens. */
enum { TOKENS_MAX = 128 };
static uint32_t near_tokens[2 * TOKENS_MAX], token_order[TOKENS_MAX];

static inline void fill_neighbours(size_t T)
{
    for (size_t t = 0; t < T; t++) {
        near_tokens[2 * t] = (uint32_t)((t * 5 + 1) % T);
        near_tokens[2 * t + 1] = (uint32_t)((t * 7 + 3) % T);
    }
    rng_shuffle((struct rng_stream){.seed = 3}, token_order, T);
}

/* A mixer with random parameters, all of them in play. */
struct fixture {
    const char *label;
    struct mixer_config config;
    struct mixer_call call;
    struct dropout dropout;
    struct tensors tensors;
    struct arena arena;
    void *tape, *work;
    size_t n; /* reals in x and y */
    real *theta, *dtheta, *x, *dx, *y, *weight;
};

static inline struct mixer_config variant_config(const struct variant *v, size_t T,
                                                 size_t H, size_t N)
{
    fill_neighbours(T);
    return (struct mixer_config){.mixer = mixer_find(v->mixer, NULL),
                                 .C = H * N,
                                 .H = H,
                                 .rank = 5,
                                 .places = T,
                                 .layer = v->layer,
                                 .causal = v->causal,
                                 .options = v->options,
                                 .near = near_tokens};
}

static inline void fixture_carve(struct fixture *f, bool training, struct arena *arena)
{
    const size_t rows = (f->call.B * f->call.T) * f->config.C;
    f->tape = mixer_tape(&f->config, f->call.B, f->call.T, arena);
    f->work = mixer_work(&f->config, f->call.B, f->call.T, training, arena);
    f->theta = arena_reals(arena, f->tensors.size);
    f->dtheta = arena_reals(arena, f->tensors.size);
    f->x = arena_reals(arena, rows);
    f->dx = arena_reals(arena, rows);
    f->y = arena_reals(arena, rows);
    f->weight = arena_reals(arena, rows);
}

static inline void fixture_open(struct fixture *f, const struct mixer_config *config,
                                size_t B, size_t T, bool training)
{
    struct err err = {0};
    *f = (struct fixture){.config = *config};
    f->call =
        (struct mixer_call){.config = &f->config, .B = B, .T = T, .dropout = &f->dropout};
    f->n = B * T * config->C;
    assert_ok(mixer_check(config, &err), &err);
    mixer_params(&f->config, &f->tensors, "mixer");
    assert_int_equal(f->tensors.size, mixer_size(&f->config));
    struct arena arena = arena_measure();
    fixture_carve(f, training, &arena);
    assert_int_equal(arena_open(&arena, NULL), 0);
    fixture_carve(f, training, &arena);
    f->arena = arena;
    fill_normal(f->theta, f->tensors.size, 1, 0.4);
    for (size_t k = 0; k < f->tensors.count; k++) /* near where it begins: not 1/0 */
        if (strstr(f->tensors.list[k].name, "alpha") ||
            strstr(f->tensors.list[k].name, "gamma"))
            f->theta[f->tensors.list[k].offset] += 1;
    fill_normal(f->x, f->n, 2, 1);
    fill_normal(f->weight, f->n, 3, 1);
}

static inline void fixture_close(struct fixture *f)
{
    assert_true(arena_check(&f->arena)); /* nobody wrote past an end */
    arena_close(&f->arena);
    tensors_fini(&f->tensors);
}

static inline double fixture_value(void *ctx)
{
    struct fixture *const f = ctx;
    mixer_forward(&f->call, f->theta, f->x, f->y, f->tape, f->work);
    return weigh(f->y, f->weight, f->n);
}

static inline void fixture_backward(struct fixture *f)
{
    fixture_value(f);
    mixer_backward(&f->call, f->theta, f->x, f->weight, f->dx, f->dtheta, f->tape,
                   f->work);
}

static const struct {
    size_t B, T, H, N;
} mixer_sizes[] = {{2, 9, 2, 4}, {2, 1, 2, 4}, {2, 2, 2, 4}, {1, 70, 2, 16}};
enum { SMALL_SIZES = 3, SIZES = sizeof mixer_sizes / sizeof *mixer_sizes };

typedef void mixer_case(const struct variant *variant, struct mixer_config *config,
                        size_t B, size_t T);

/* Every variant under both trunks at `count` sizes. */
static inline void each(mixer_case *f, size_t count)
{
    for (size_t v = 0; v < VARIANTS; v++)
        for (size_t i = 0; i < count; i++)
            for (size_t trunk = 0; trunk < TRUNKS; trunk++) {
                struct mixer_config config = variant_config(
                    &variants[v], mixer_sizes[i].T, mixer_sizes[i].H, mixer_sizes[i].N);
                config.trunk = (enum mixer_trunk)trunk;
                f(&variants[v], &config, mixer_sizes[i].B, mixer_sizes[i].T);
            }
}

#endif
