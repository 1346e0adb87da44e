/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * windows.h -- cuts a panel into windows of look-back and horizon.
 *
 * L look-back, P horizon, W width of a window in series, B windows of a batch.
 * What is missing in the input is filled, in this order: the value a season earlier
 * in the same window, the value before it, the first one after it, 0 (the mean).
 * Missing targets stay NaN; the loss skips them.
 *
 * For a network that streams (model/raster.h) what stands for a missing value must be known
 * when it is missed: the value before it, up to L rows back, or else 0.
 */
#ifndef WINDOWS_H
#define WINDOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/real.h"
#include "model/panel.h"

struct rhythm;

struct windows {
    const struct panel *panel; /* borrowed */
    size_t L, P, season;
    struct rhythm *rhythm; /* borrowed; taken out of every window.  NULL after init */
    bool stream;           /* filled for one, and phases modulo L.  False after init */
    struct origin *at;     /* owned; by column, then by time */
    size_t count;
};

/*
 * Every window whose targets lie in rows [from, to); its look-back may reach before
 * from.  Left out: one whose input misses more than max_missing (a share of its
 * values; a series without any value before `to` does not count), and one without any
 * target.  max_missing 1 leaves every window in, even without targets.
 */
int windows_init(struct windows *windows, const struct panel *panel, size_t L, size_t P,
                 size_t season, size_t from, size_t to, double max_missing,
                 struct err *err);
void windows_fini(struct windows *windows);

/* Keeps at most `most` windows, evenly spread, the last among them. */
void windows_thin(struct windows *windows, size_t most);

/*
 * Keeps every stride-th window of a series, the last among them, so that no more than
 * `cells` targets are left in all.  Returns the stride, in rows.
 */
size_t windows_space(struct windows *windows, size_t cells);

/* A batch: x (B,L,W), phase (B; of the first target, panel_phase()) and target (B,P,W;
 * NULL: none) of the windows at origins order[0..B-1] of the list, or of the first B
 * after `first` where order is NULL. */
void windows_gather(const struct windows *windows, const uint32_t *order, size_t first,
                    size_t B, real *x, uint32_t *phase, real *target);

/* x (L,W): the input of one window, filled; season 0: for a network that streams.  row may
 * be less than L: what lies before the panel is missing. */
void windows_input(const struct panel *panel, struct origin origin, size_t L,
                   size_t season, real *x);

/* A standardised value as networks are given it: within bounds; NaN stays. */
double windows_value(double z);

#endif
