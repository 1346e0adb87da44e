/* SPDX-License-Identifier: GPL-2.0-or-later */
/* small.h -- a small network and grids for tests of training and of what follows. */
#ifndef SMALL_H
#define SMALL_H

#include "tests/check.h"

#include <stdio.h>

#include "base/grid.h"
#include "base/rng.h"
#include "model/model.h"

static inline void small_set(struct model_spec *spec, const char *key, const char *value)
{
    struct err err = {0};
    assert_ok(model_settings_set(&spec->settings, key, value, &err), &err);
}

static inline struct model_spec small_spec(enum model_group group)
{
    static const char *const settings[][2] = {
        {"width", "8"},
        {"ff", "8"},
        {"heads", "2"},
        {"lift", "1"},
        {"layers", "1"},
        {"rank", "4"},
        {"epochs", "6"},
        {"patience", "3"},
        {"batch", "16"},
        {"ema", "0.95"},
        {"learning_rate", "0.01"},
    };
    struct model_spec spec = {.group = group,
                              .lookback = 16,
                              .horizon = 8,
                              .min = (double)-INFINITY,
                              .max = (double)INFINITY};
    struct err err = {0};
    assert_ok(model_settings_preset(&spec.settings, "default", &err), &err);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        small_set(&spec, settings[i][0], settings[i][1]);
    return spec;
}

/* Series s0, s1, ... of a rhythm of 8 steps with noise, each at its own scale. */
static inline struct grid small_grid(size_t rows, size_t cols, double noise)
{
    const struct rng_stream stream = {17, 4, 0};
    struct grid grid;
    struct err err = {0};
    assert_ok(grid_init(&grid, 0, 3600000, rows, cols, &err), &err);
    for (size_t c = 0; c < cols; c++) {
        char name[32];
        snprintf(name, sizeof name, "s%zu", c);
        grid_name(&grid, c, name);
        for (size_t i = 0; i < rows; i++)
            grid.values[i * cols + c] =
                (double)(c + 1) * (20 + sin((double)(i + c) * M_PI / 4) +
                                   noise * rng_normal(stream, i * 1000 + c));
    }
    return grid;
}

/* Waves of 5.5 steps: no season of 8 repeats them, and now and then a spike throws least
 * squares off, but a network with an absolute loss learns them, so with waves_spec() it
 * serves. */
static inline struct grid small_waves(size_t rows, size_t cols)
{
    const struct rng_stream stream = {19, 4, 0};
    struct grid grid = small_grid(rows, cols, 0);
    for (size_t c = 0; c < cols; c++)
        for (size_t i = 0; i < rows; i++)
            grid.values[i * cols + c] =
                (double)(c + 1) * (20 + sin((double)i * 2 * M_PI / 5.5 + (double)c) +
                                   0.1 * rng_normal(stream, i * 1000 + c) +
                                   ((i * 7 + c * 13) % 31 == 0 ? 10 : 0));
    return grid;
}

static inline struct model_spec waves_spec(enum model_group group)
{
    struct model_spec spec = small_spec(group);
    spec.season = 8;
    return spec;
}

#endif
