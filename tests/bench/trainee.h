/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trainee.h -- a network of a preset, with windows to train on and steps that cost what
 * they cost in a training: gathering, forward, loss, backward, optimiser, average.
 */
#ifndef TESTS_BENCH_TRAINEE_H
#define TESTS_BENCH_TRAINEE_H

#include <math.h>

#include "model/frwkv.h"
#include "model/panel.h"
#include "model/threads.h"
#include "model/train.h"
#include "model/windows.h"
#include "tests/bench/result.h"

enum { TRAINEE_SEASON = 24 };

struct trainee {
    struct model_spec spec;
    struct network_config config;
    struct threads *pool;
    struct grid grid;
    struct panel panel;
    struct windows windows;
    struct network *network;
    struct train_state state;
    size_t steps; /* of one trainee_run() */
};

static inline struct model_spec trainee_spec(const char *preset, size_t L, size_t P)
{
    struct err err = {0};
    struct model_spec spec = {.group = GROUP_JOINT,
                              .lookback = L,
                              .horizon = P,
                              .min = (double)-INFINITY,
                              .max = (double)INFINITY};
    if (model_settings_preset(&spec.settings, preset, &err))
        die(preset, &err);
    return spec;
}

/* Daily waves of their own height and place, and noise that repeats. */
static inline void trainee_grid(struct grid *grid, size_t rows, size_t cols)
{
    struct err err = {0};
    if (grid_init(grid, 0, 3600000, rows, cols, &err))
        die("grid", &err);
    for (size_t c = 0; c < cols; c++) {
        char name[32];
        snprintf(name, sizeof name, "s%zu", c);
        grid_name(grid, c, name);
        for (size_t i = 0; i < rows; i++)
            grid->values[i * cols + c] =
                (double)(c + 1) * (20 + sin((double)(i + c) * M_PI / 12) +
                                   (double)((i + 1) * (c + 7) * 7919 % 101) / 100);
    }
}

/* V series, batches of B windows; steps of `steps` a run. */
static inline void trainee_init(struct trainee *t, const char *preset, size_t L, size_t V,
                                size_t P, size_t B, size_t steps, struct threads *pool)
{
    struct err err = {0};
    *t = (struct trainee){
        .spec = trainee_spec(preset, L, P), .pool = pool, .steps = steps};
    t->spec.settings.batch = (int)B;
    trainee_grid(&t->grid, L + P + 8 * B, V);
    if (panel_init(&t->panel, &t->grid, GROUP_JOINT, t->grid.rows, &err) ||
        windows_init(&t->windows, &t->panel, L, P, TRAINEE_SEASON, 0, t->grid.rows, 1,
                     &err) ||
        frwkv_config(&t->spec, TRAINEE_SEASON, V, NULL, &t->config, &err) ||
        !(t->network = network_new(&t->config, B, true, pool, &err)) ||
        train_state_init(&t->state, network_size(t->network), 1, &err))
        die(preset, &err);
    train_begin(&t->state, t->network, &t->spec.settings, PHASE_REFIT);
}

static inline void trainee_fini(struct trainee *t)
{
    train_state_fini(&t->state);
    network_free(t->network);
    windows_fini(&t->windows);
    panel_fini(&t->panel);
    grid_fini(&t->grid);
}

/* The same steps from the same weights, each time. */
static inline void trainee_run(void *trainee)
{
    struct trainee *const t = trainee;
    struct err err = {0};
    t->state.step = 0;
    t->state.best_epoch = 1; /* a refit takes the steps that the fit took */
    const struct train train = {
        .network = t->network,
        .settings = &t->spec.settings,
        .windows = &t->windows,
        .fit_pace = {.batch = (size_t)t->spec.settings.batch,
                     .per_epoch = t->steps,
                     .steps = t->steps},
        .state = &t->state,
        .pool = t->pool,
    };
    if (train_run(&train, &err))
        die("training", &err);
}

#endif
