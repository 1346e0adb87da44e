/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/windows.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/rhythm.h"

/* Running number of missing values of a column group in rows before i, i = 0..rows. */
static void count_missing(uint32_t *before, const struct panel *panel, size_t col,
                          size_t rows, const bool *live)
{
    before[0] = 0;
    for (size_t i = 0; i < rows; i++) {
        uint32_t missing = 0;
        for (size_t c = col; c < col + panel->width; c++)
            missing += live[c] && isnan(panel->z[i * panel->cols + c]);
        before[i + 1] = before[i] + missing;
    }
}

static void find_live(bool *live, const struct panel *panel, size_t rows)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t c = 0; c < panel->cols; c++)
            live[c] |= !isnan(panel->z[i * panel->cols + c]);
}

struct eligible {
    const uint32_t *before; /* missing values in rows before i */
    size_t live;            /* series of the group with any value */
    double max_missing;
};

static bool is_eligible(const struct eligible *e, size_t row, size_t L, size_t P)
{
    if (e->max_missing >= 1)
        return true;
    const uint32_t input = e->before[row] - e->before[row - L];
    const uint32_t target = e->before[row + P] - e->before[row];
    return (double)input <= e->max_missing * (double)(L * e->live) &&
           target < P * e->live;
}

/* Appends the eligible windows of one column group to an array with room for all. */
static void add_group(struct windows *w, size_t col, size_t from, size_t to,
                      const struct eligible *e)
{
    for (size_t row = from > w->L ? from : w->L; row + w->P <= to; row++)
        if (is_eligible(e, row, w->L, w->P))
            w->at[w->count++] = (struct origin){(uint32_t)row, (uint32_t)col};
}

int windows_init(struct windows *windows, const struct panel *panel, size_t L, size_t P,
                 size_t season, size_t from, size_t to, double max_missing,
                 struct err *err)
{
    assert(to <= panel->rows && panel->cols % panel->width == 0);
    const size_t groups = panel->cols / panel->width;
    const size_t first = from > L ? from : L;
    const size_t each = to >= first + P ? to - first - P + 1 : 0;
    *windows = (struct windows){.panel = panel, .L = L, .P = P, .season = season};
    windows->at = mem_try(groups * each, sizeof *windows->at);
    uint32_t *const before = mem_try(panel->rows + 1, sizeof *before);
    bool *const live = mem_new(panel->cols, sizeof *live);
    int rc = -1;
    if (!windows->at || !before || groups * each > UINT32_MAX) {
        err_set(err, ERR_NO_MEMORY, "windows: no memory for %zu", groups * each);
        goto out;
    }
    find_live(live, panel, to);
    for (size_t col = 0; each && col < panel->cols; col += panel->width) {
        struct eligible e = {.before = before, .max_missing = max_missing};
        for (size_t c = col; c < col + panel->width; c++)
            e.live += live[c];
        if (e.live == 0 && max_missing < 1)
            continue;
        count_missing(before, panel, col, to, live);
        add_group(windows, col, from, to, &e);
    }
    rc = 0;
out:
    free(before);
    free(live);
    if (rc)
        windows_fini(windows);
    return rc;
}

void windows_fini(struct windows *windows)
{
    free(windows->at);
    *windows = (struct windows){0};
}

void windows_thin(struct windows *windows, size_t most)
{
    if (windows->count <= most)
        return;
    for (size_t i = 0; i < most; i++) /* i+1 of `most` equal shares end at the last */
        windows->at[i] = windows->at[(uint64_t)(i + 1) * windows->count / most - 1];
    windows->count = most;
}

size_t windows_space(struct windows *windows, size_t cells)
{
    const size_t total = windows->count * windows->P * windows->panel->width;
    const size_t stride = (total + cells - 1) / cells;
    if (stride <= 1)
        return 1;
    const uint32_t last = windows->at[windows->count - 1].row;
    size_t kept = 0;
    for (size_t i = 0; i < windows->count; i++)
        if ((last - windows->at[i].row) % stride == 0)
            windows->at[kept++] = windows->at[i];
    windows->count = kept;
    return stride;
}

/* Fills one column of x (L,W) in place. */
static void fill_gaps(real *x, size_t L, size_t W, size_t season)
{
    size_t first = 0;
    while (first < L && isnan(x[first * W]))
        first++;
    const real lead = first < L ? x[first * W] : 0;
    for (size_t i = 0; i < first; i++)
        x[i * W] = lead;
    for (size_t i = first; i < L; i++)
        if (isnan(x[i * W]))
            x[i * W] =
                season > 1 && i >= first + season ? x[(i - season) * W] : x[(i - 1) * W];
}

/* A value past this many deviations says no more than the limit does, and its square
 * still fits a float: one wild series cannot poison the others of its window. */
static const double input_limit = 1e9;

double windows_value(double z)
{
    return fabs(z) > input_limit ? copysign(input_limit, z) : z;
}

/* The value of a column `back` rows before the origin; what lies before the panel is
 * missing. */
static double value_before(const struct panel *panel, struct origin o, size_t back,
                           size_t c)
{
    return back > o.row
               ? (double)NAN
               : windows_value(panel->z[(o.row - back) * panel->cols + o.col + c]);
}

/* Fills one column of x (L,W) in place by what came before. */
static void fill_forward(const struct panel *panel, struct origin o, size_t L, size_t c,
                         real *x)
{
    const size_t W = panel->width;
    double last = 0;
    size_t good = 0; /* rows for which last stands in */
    for (size_t back = 2 * L; back > 0; back--) {
        const double z = value_before(panel, o, back, c);
        if (!isnan(z)) {
            last = z;
            good = L;
        } else if (good > 0) {
            good--;
        } else {
            last = 0;
        }
        if (back <= L)
            x[(L - back) * W] = (real)last;
    }
}

void windows_input(const struct panel *panel, struct origin origin, size_t L,
                   size_t season, real *x)
{
    const size_t W = panel->width;
    for (size_t i = 0; season && i < L; i++)
        for (size_t c = 0; c < W; c++)
            x[i * W + c] = (real)value_before(panel, origin, L - i, c);
    for (size_t c = 0; c < W; c++)
        if (season)
            fill_gaps(x + c, L, W, season);
        else
            fill_forward(panel, origin, L, c, x + c);
}

/* Of a window of one series. */
static void take_rhythm(struct rhythm *rhythm, const struct panel *panel, struct origin o,
                        real *x, size_t L, real *target, size_t P)
{
    rhythm_find(rhythm, panel, o);
    rhythm_remove_before(rhythm, x, L);
    if (target)
        rhythm_remove_after(rhythm, target, P);
}

void windows_gather(const struct windows *windows, const uint32_t *order, size_t first,
                    size_t B, real *x, uint32_t *phase, real *target)
{
    const struct panel *const panel = windows->panel;
    const size_t L = windows->L, P = windows->P, W = panel->width;
    for (size_t b = 0; b < B; b++) {
        const size_t index = order ? order[b] : first + b;
        const struct origin o = windows->at[index];
        windows_input(panel, o, L, windows->stream ? 0 : windows->season, x + b * L * W);
        phase[b] = panel_phase(panel, o.row, windows->stream ? L : windows->season);
        for (size_t j = 0; target && j < P; j++)
            for (size_t c = 0; c < W; c++)
                target[(b * P + j) * W + c] =
                    (real)panel->z[(o.row + j) * panel->cols + o.col + c];
        if (windows->rhythm)
            take_rhythm(windows->rhythm, panel, o, x + b * L, L,
                        target ? target + b * P : NULL, P);
    }
}
