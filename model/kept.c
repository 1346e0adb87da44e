/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a model keeps of a series: the last rows in the data's own units, a ring by absolute
 * step, then the network's state.
 *
 * The network takes standardised values, which it may keep only where mean and deviation are
 * the model's and no covariate is taken out: both of those know more at each origin.  Other
 * series are forecast from the ring by the whole network.
 */
#include "model/work.h"

#include <math.h>
#include <string.h>

#include "model/leap.h"
#include "model/windows.h"

bool kept_goes_on(const struct model *model, size_t series)
{
    return series < model->series && !effects_mask(&model->effects, series);
}

real *kept_network(const struct forecaster_work *w, const void *state)
{
    return (real *)((char *)(uintptr_t)state + w->rows * sizeof(double));
}

size_t forecaster_state_size(const struct forecaster_work *w)
{
    return w->streams ? w->rows * sizeof(double) + w->state_reals * sizeof(real) : 0;
}

void forecaster_state_begin(const struct forecaster_work *w, void *state)
{
    double *const ring = state;
    for (size_t i = 0; i < w->rows; i++)
        ring[i] = (double)NAN;
    memset(kept_network(w, state), 0, w->state_reals * sizeof(real));
}

static size_t place_of(int64_t step, size_t rows)
{
    const int64_t place = step % (int64_t)rows;
    return (size_t)(place < 0 ? place + (int64_t)rows : place);
}

/* As it stands before the step `first`, by the values in the ring. */
static struct leap leap_before(const double *ring, size_t rows, int64_t first,
                               double limit)
{
    double newest[2];
    size_t n = 0;
    for (size_t back = 1; back <= rows && n < 2; back++) {
        const double x = ring[place_of(first - (int64_t)back, rows)];
        if (isfinite(x))
            newest[n++] = x;
    }
    struct leap leap = {limit, (double)NAN, false};
    while (n > 0)
        leap_take(&leap, newest[--n]);
    return leap;
}

/* Of the rows a state is given, only the last L are worth more than a note. */
static void push_network(struct forecaster_work *w, real *state, const struct grid *rows,
                         size_t col, struct leap leap, double mean, double sd)
{
    const struct frwkv *const f = &w->frwkv;
    const size_t L = network_config(f->network)->L;
    const struct panel clock = {.first_step = panel_first_step(rows)};
    for (size_t row = 0; row < rows->rows; row++) {
        const double x = leap_take(&leap, rows->values[row * rows->cols + col]);
        const double z = windows_value((x - mean) / sd);
        const uint32_t phase = panel_phase(&clock, row, L);
        if (row + L < rows->rows)
            network_state_note(f->network, state, phase, (real)z);
        else
            network_state_push(f->network, f->theta, f->fold, state, phase, (real)z);
    }
}

void forecaster_states_push(const struct model *model, struct forecaster_work *w,
                            const struct grid *rows, void *const *states)
{
    const int64_t first = panel_first_step(rows);
    for (size_t c = 0; c < rows->cols; c++) {
        if (!states[c])
            continue;
        double *const ring = states[c];
        const size_t series = artifact_find(model, rows->names[c]);
        if (w->state_reals && kept_goes_on(model, series))
            push_network(w, kept_network(w, states[c]), rows, c,
                         leap_before(ring, w->rows, first, model->leap[series]),
                         model->mean[series], model->sd[series]);
        for (size_t row = 0; row < rows->rows; row++)
            ring[place_of(first + (int64_t)row, w->rows)] =
                rows->values[row * rows->cols + c];
    }
}

void forecaster_states_tail(const struct forecaster_work *w, const void *const *states,
                            size_t behind, struct grid *tail)
{
    const int64_t first = panel_first_step(tail);
    for (size_t c = 0; c < tail->cols; c++) {
        const double *const ring = states[c];
        for (size_t row = 0; ring && row + behind < tail->rows; row++)
            tail->values[row * tail->cols + c] =
                ring[place_of(first + (int64_t)row, w->rows)];
    }
}
