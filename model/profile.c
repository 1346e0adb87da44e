/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/profile.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/candidate.h"

enum {
    ORIGINS_MAX = 128, /* a series is tried at */
    ORIGINS_MIN = 8,
    ORIGINS_ALL = 1 << 16, /* over all series */
};

/* The lengths tried, by reach. */
static const struct profile options[] = {
    {2, 1},
    {3, 1},
    {4, 1},
    {7, 1},
    {10, 1},
    {14, 1},
    {2, PROFILE_LONG},
    {21, 1},
    {3, PROFILE_LONG},
    {28, 1},
    {4, PROFILE_LONG},
    {35, 1},
    {6, PROFILE_LONG},
};
enum { OPTIONS = sizeof options / sizeof *options };

const struct profile profile_default = {4, 1};

bool profile_is_valid(struct profile profile)
{
    return profile.cycles >= 1 &&
           (profile.seasons == 1 || profile.seasons == PROFILE_LONG);
}

size_t profile_reach(struct profile profile, size_t season)
{
    return (size_t)profile.cycles * profile.seasons * season;
}

/* Mean of what the last cycles hold at `back` rows before the origin (at most one cycle)
 * and further back; NAN where they hold nothing. */
static double position_mean(const struct panel *p, struct profile profile, size_t cycle,
                            size_t row, size_t col, size_t back)
{
    double mean = 0, seen = 0;
    for (size_t i = 0; i < profile.cycles && back <= row; i++, back += cycle) {
        const double z = p->z[(row - back) * p->cols + col];
        if (!isnan(z))
            mean += (z - mean) / ++seen;
    }
    return seen > 0 ? mean : (double)NAN;
}

void profile_cycle(const struct panel *panel, struct profile profile, size_t season,
                   size_t row, size_t col, double *out)
{
    const size_t cycle = profile.seasons * season;
    for (size_t j = 0; j < cycle; j++)
        out[j] = position_mean(panel, profile, cycle, row, col, cycle - j);
}

/* y (P), W apart: overwritten where the profile has something to say. */
static void forecast_column(const struct candidate_task *task, struct profile profile,
                            size_t row, size_t col, size_t W, double *y)
{
    const size_t cycle = profile.seasons * task->season;
    for (size_t j = 0; j < task->P; j++) {
        const double z =
            j < cycle ? position_mean(task->panel, profile, cycle, row, col, cycle - j)
                      : y[(j - cycle) * W];
        if (isfinite(z))
            y[j * W] = z;
    }
}

void profile_forecast(const struct candidate_task *task, const struct origin *at,
                      size_t count, double *y)
{
    const size_t W = task->panel->width;
    seasonal_forecast(task, at, count, y);
    for (size_t i = 0; i < count; i++, y += task->P * W)
        for (size_t c = 0; c < W; c++) {
            const size_t col = at[i].col + c;
            forecast_column(task, task->profiles ? task->profiles[col] : profile_default,
                            at[i].row, col, W, y + c);
        }
}

/* ---- choosing ---------------------------------------------------------------------- */

static double absolute_error(const struct panel *p, size_t row, size_t col, size_t P,
                             const double *y, double *count)
{
    double sum = 0;
    for (size_t j = 0; j < P; j++) {
        const double e = y[j] - p->z[(row + j) * p->cols + col];
        if (!isnan(e)) {
            sum += fabs(e);
            *count += 1;
        }
    }
    return sum;
}

/* The first of the least. */
static struct profile least(const double loss[OPTIONS])
{
    int best = -1;
    for (int o = 0; o < OPTIONS; o++)
        if (!isnan(loss[o]) && (best < 0 || loss[o] < loss[best]))
            best = o;
    return best < 0 ? profile_default : options[best];
}

/* Mean absolute errors of every option for one series, NAN where one was not tried. */
static void try_series(const struct candidate_task *task, size_t col, size_t from,
                       size_t to, size_t stride, double *y, double loss[OPTIONS])
{
    for (int o = 0; o < OPTIONS; o++) {
        double sum = 0, count = 0;
        for (size_t row = from; row + task->P <= to; row += stride) {
            if (profile_reach(options[o], task->season) > from)
                break;
            const struct origin at = {(uint32_t)row, (uint32_t)col};
            seasonal_forecast(task, &at, 1, y);
            forecast_column(task, options[o], row, col, 1, y);
            sum += absolute_error(task->panel, row, col, task->P, y, &count);
        }
        loss[o] = count > 0 ? sum / count : (double)NAN;
    }
}

void profile_choose(const struct panel *panel, size_t P, size_t season, size_t to,
                    struct profile *chosen)
{
    struct panel single = *panel; /* forecasts of one column at a time */
    single.width = 1;
    const struct candidate_task task = {
        .panel = &single, .P = P, .season = season, .tail = candidate_tail(0, season, P)};
    size_t most = ORIGINS_ALL / panel->cols;
    most = most < ORIGINS_MIN ? ORIGINS_MIN : most > ORIGINS_MAX ? ORIGINS_MAX : most;
    const size_t from = to / 2, origins = to >= from + P ? to - from - P + 1 : 0;
    const size_t stride = origins > most ? (origins + most - 1) / most : 1;
    double *const y = mem_new(P, sizeof *y);
    double all[OPTIONS] = {0};
    bool heard = false;
    for (size_t s = 0; s < panel->cols; s++) {
        double loss[OPTIONS];
        try_series(&task, s, from, to, stride, y, loss);
        chosen[s] = least(loss);
        for (int o = 0; o < OPTIONS; o++)
            all[o] += isnan(loss[0]) ? 0 : loss[o];
        heard |= !isnan(loss[0]);
    }
    chosen[panel->cols] = heard ? least(all) : profile_default;
    free(y);
}
