/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/panel.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/civil.h"
#include "base/mem.h"
#include "base/zone.h"
#include "fft/fft.h"
#include "model/leap.h"

enum { SEASON_SERIES_MAX = 64 };

/* Deviations below this share of the mean are rounding, not movement. */
static const double least_deviation = 1e-12;

/* A value past this many deviations says no more than the limit does; what anybody errs
 * by there still fits a float, and its square a double. */
static const double z_limit = 1e30;

/* In units of the largest value, so that nothing overflows. */
double panel_deviation(const double *values, size_t count, size_t stride, double *mean)
{
    double largest = 0, sum = 0, square = 0;
    size_t seen = 0;
    for (size_t i = 0; i < count; i++)
        largest =
            fmax(largest, isfinite(values[i * stride]) ? fabs(values[i * stride]) : 0);
    const double unit = largest > 0 ? largest : 1;
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i * stride])) {
            sum += values[i * stride] / unit;
            seen++;
        }
    const double middle = seen ? sum / (double)seen : 0;
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i * stride])) {
            const double d = values[i * stride] / unit - middle;
            square += d * d;
        }
    *mean = middle * unit;
    if (seen < 2)
        return (double)NAN;
    const double deviation = sqrt(square / (double)seen);
    return deviation > least_deviation ? deviation * unit : 0;
}

void panel_scale(const double *values, size_t count, size_t stride, double *mean,
                 double *sd)
{
    const double deviation = panel_deviation(values, count, stride, mean);
    *sd = deviation > 0 ? deviation : 1;
}

int panel_init(struct panel *panel, const struct grid *grid, enum model_group group,
               size_t scale_rows, struct err *err)
{
    assert(scale_rows <= grid->rows);
    const size_t rows = grid->rows, cols = grid->cols;
    *panel = (struct panel){.rows = rows,
                            .cols = cols,
                            .width = group == GROUP_JOINT ? cols : 1,
                            .first_step = panel_first_step(grid),
                            .z = mem_try(rows * cols, sizeof(double)),
                            .mean = mem_new(cols, sizeof(double)),
                            .sd = mem_new(cols, sizeof(double))};
    if (!panel->z) {
        panel_fini(panel);
        return err_set(err, ERR_NO_MEMORY, "panel: no memory for %zu x %zu values", rows,
                       cols);
    }
    for (size_t c = 0; c < cols; c++) {
        panel_scale(grid->values + c, scale_rows, cols, &panel->mean[c], &panel->sd[c]);
        for (size_t i = c; i < rows * cols; i += cols) {
            const double x = grid->values[i];
            const double z = (x - panel->mean[c]) / panel->sd[c];
            panel->z[i] = isfinite(x) ? fmax(fmin(z, z_limit), -z_limit) : (double)NAN;
        }
    }
    return 0;
}

int panel_believe(struct panel *panel, const struct grid *grid, enum model_group group,
                  size_t scale_rows, double *limits, struct err *err)
{
    struct grid believed;
    *panel = (struct panel){0};
    for (size_t c = 0; c < grid->cols; c++)
        limits[c] = leap_limit(grid->values + c, scale_rows, grid->cols);
    if (leap_grid(grid, limits, &believed, err))
        return -1;
    const int rc = panel_init(panel, &believed, group, scale_rows, err);
    free(believed.values);
    return rc;
}

void panel_fini(struct panel *panel)
{
    free(panel->z);
    free(panel->mean);
    free(panel->sd);
    *panel = (struct panel){0};
}

int64_t panel_first_step(const struct grid *grid)
{
    const int64_t offset_ms = 1000 * (int64_t)zone_offset_s(grid->zone, grid->start_ms);
    return floor_div(grid->start_ms + offset_ms, grid->step_ms);
}

uint32_t panel_phase(const struct panel *panel, size_t row, size_t season)
{
    const int64_t s = (int64_t)season;
    const int64_t phase = (panel->first_step + (int64_t)row) % s;
    return (uint32_t)(phase < 0 ? phase + s : phase);
}

static size_t season_of(const struct panel *panel, size_t col, size_t rows, double *work)
{
    for (size_t i = 0; i < rows; i++)
        work[i] = panel->z[i * panel->cols + col];
    const size_t period = fft_dominant_period(work, rows);
    return period <= rows / 4 && period <= MODEL_LOOKBACK_MAX ? period : 1;
}

static int compare_sizes(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

size_t panel_season(const struct panel *panel, size_t rows)
{
    if (rows < 8 || panel->cols == 0)
        return 1;
    const size_t looked =
        panel->cols < SEASON_SERIES_MAX ? panel->cols : SEASON_SERIES_MAX;
    size_t periods[SEASON_SERIES_MAX];
    double *const work = mem_new(rows, sizeof *work);
    for (size_t i = 0; i < looked; i++)
        periods[i] = season_of(panel, i * panel->cols / looked, rows, work);
    free(work);

    qsort(periods, looked, sizeof *periods, compare_sizes);
    size_t best = 1, best_votes = 0;
    for (size_t i = 0, votes = 0; i < looked; i++) {
        votes = i > 0 && periods[i] == periods[i - 1] ? votes + 1 : 1;
        if (periods[i] > 1 && votes > best_votes) {
            best = periods[i];
            best_votes = votes;
        }
    }
    return best;
}
