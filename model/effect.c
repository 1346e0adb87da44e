/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/effect.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- effects ----------------------------------------------------------------------- */

static void add_column(struct effects *e, const char *name, const char *group)
{
    size_t g = 0;
    while (g < e->groups && strcmp(e->group[g], group) != 0)
        g++;
    if (g == e->groups)
        e->group[e->groups++] = mem_text(group);
    e->group_of[e->columns] = (unsigned char)g;
    e->name[e->columns++] = mem_text(name);
}

int effects_init(struct effects *e, const struct covariates *covariates,
                 enum covariate_gap gap, size_t season, size_t series, struct err *err)
{
    *e = (struct effects){.gap = gap, .season = season, .series = series};
    for (size_t k = 0; k < covariates_count(covariates); k++)
        add_column(e, covariates_name(covariates, k), covariates_group(covariates, k));
    e->use = mem_try(series * e->groups + 1, 1);
    e->beta = mem_try(series * e->columns * EFFECT_WAVES + 1, sizeof *e->beta);
    if (e->use && e->beta)
        return 0;
    effects_fini(e);
    return err_set(err, ERR_NO_MEMORY, "covariates: no memory for %zu series", series);
}

void effects_fini(struct effects *e)
{
    for (size_t k = 0; k < e->columns; k++)
        free(e->name[k]);
    for (size_t g = 0; g < e->groups; g++)
        free(e->group[g]);
    free(e->use);
    free(e->beta);
    *e = (struct effects){0};
}

uint32_t effects_mask(const struct effects *e, size_t series)
{
    uint32_t mask = 0;
    for (size_t g = 0; series < e->series && g < e->groups; g++)
        if (e->use[series * e->groups + g] != EFFECT_UNUSED)
            mask |= UINT32_C(1) << g;
    return mask;
}

/* Waves of a column that a series uses. */
static size_t waves_of(const struct effects *e, size_t series, size_t column)
{
    switch (e->use[series * e->groups + e->group_of[column]]) {
    case EFFECT_UNUSED:
        return 0;
    case EFFECT_PLAIN:
        return 1;
    default:
        return EFFECT_WAVES;
    }
}

static const double *beta_of(const struct effects *e, size_t series, size_t column)
{
    return e->beta + (series * e->columns + column) * EFFECT_WAVES;
}

/* ---- views ------------------------------------------------------------------------- */

static bool is_used(const struct effects *e, size_t column)
{
    bool used = false;
    for (size_t s = 0; s < e->series; s++)
        used |= waves_of(e, s, column) > 0;
    return used;
}

static double *wave_table(size_t season)
{
    double *const wave = mem_try(season * EFFECT_WAVES, sizeof *wave);
    for (size_t phase = 0; wave && phase < season; phase++) {
        const double angle = 2 * M_PI * (double)phase / (double)season;
        const double row[EFFECT_WAVES] = {1, cos(angle), sin(angle), cos(2 * angle),
                                          sin(2 * angle)};
        memcpy(wave + phase * EFFECT_WAVES, row, sizeof row);
    }
    return wave;
}

const double *effect_column(struct effect_view *view, size_t column)
{
    const size_t rows = view->rows, place = view->place[column];
    double *const past = view->past + column * rows;
    for (size_t row = 0; !view->there[column] && row < rows; row++)
        past[row] =
            covariates_at(view->covariates, place, row, row + 1, view->effects->gap);
    view->there[column] = true;
    return past;
}

int effect_view_init(struct effect_view *view, const struct effects *effects,
                     const struct grid *grid, size_t steps, struct err *err)
{
    const size_t columns = effects->columns, rows = grid->rows;
    *view = (struct effect_view){.rows = rows, .steps = steps};
    if (columns == 0)
        return 0;
    for (size_t k = 0; k < columns; k++) {
        view->place[k] = covariates_find(grid->covariates, effects->name[k]);
        view->origin[k] = SIZE_MAX;
        if (view->place[k] == covariates_count(grid->covariates) && is_used(effects, k))
            return err_set(err, ERR_CONFLICT, "covariates: %s is missing",
                           effects->name[k]);
    }
    view->covariates = grid->covariates;
    view->first_step = panel_first_step(grid);
    view->wave = wave_table(effects->season);
    view->past = mem_try(columns * rows + 1, sizeof *view->past);
    view->ahead = mem_try(columns * steps, sizeof *view->ahead);
    view->sum = mem_try(steps, sizeof *view->sum);
    if (!view->wave || !view->past || !view->ahead || !view->sum) {
        effect_view_fini(view);
        return err_set(err, ERR_NO_MEMORY, "covariates: no memory for %zu steps",
                       rows + steps);
    }
    view->effects = effects;
    return 0;
}

void effect_view_fini(struct effect_view *view)
{
    free(view->wave);
    free(view->past);
    free(view->ahead);
    free(view->sum);
    *view = (struct effect_view){0};
}

const double *effect_waves(const struct effect_view *view, size_t row)
{
    const int64_t season = (int64_t)view->effects->season;
    const int64_t phase = (view->first_step + (int64_t)row) % season;
    return view->wave + (phase < 0 ? phase + season : phase) * EFFECT_WAVES;
}

/* What one column of x does at a row. */
static double part(const struct effect_view *view, size_t series, size_t column,
                   size_t row, double x)
{
    const double *const beta = beta_of(view->effects, series, column);
    const double *const wave = effect_waves(view, row);
    const size_t waves = waves_of(view->effects, series, column);
    double sum = 0;
    for (size_t h = 0; h < waves; h++)
        sum += beta[h] * wave[h];
    return sum * x;
}

/* So many deviations are no effect but a covariate gone wild; squares and floats still
 * hold as much.  Not known, then. */
static double believed(double effect)
{
    return fabs(effect) <= 1e30 ? effect : (double)NAN;
}

double effect_past(struct effect_view *view, size_t series, size_t row)
{
    const struct effects *const e = view->effects;
    double sum = 0;
    for (size_t k = 0; k < e->columns; k++)
        if (waves_of(e, series, k))
            sum += part(view, series, k, row, effect_column(view, k)[row]);
    return believed(sum);
}

/* A column's values ahead of an origin: series after series asks for the same. */
static const double *column_ahead(struct effect_view *view, size_t column, size_t origin)
{
    double *const ahead = view->ahead + column * view->steps;
    if (view->origin[column] != origin)
        covariates_ahead(view->covariates, view->place[column], origin, view->steps,
                         view->effects->gap, ahead);
    view->origin[column] = origin;
    return ahead;
}

const double *effect_ahead(struct effect_view *view, size_t series, size_t origin,
                           size_t steps)
{
    const struct effects *const e = view->effects;
    assert(steps <= view->steps);
    memset(view->sum, 0, steps * sizeof *view->sum);
    for (size_t k = 0; k < e->columns; k++) {
        if (waves_of(e, series, k) == 0)
            continue;
        const double *const ahead = column_ahead(view, k, origin);
        for (size_t j = 0; j < steps; j++)
            view->sum[j] += part(view, series, k, origin + j, ahead[j]);
    }
    for (size_t j = 0; j < steps; j++)
        view->sum[j] = believed(view->sum[j]);
    return view->sum;
}

size_t effect_missing(struct effect_view *view, size_t series, size_t origin,
                      size_t steps, const char **name)
{
    const struct effects *const e = view->effects;
    size_t first = steps;
    for (size_t k = 0; e && k < e->columns; k++) {
        if (series >= e->series || waves_of(e, series, k) == 0)
            continue;
        const double *const ahead = column_ahead(view, k, origin);
        for (size_t j = 0; j < first; j++)
            if (isnan(ahead[j])) {
                first = j;
                *name = e->group[e->group_of[k]];
            }
    }
    return first;
}

int effect_less(struct effect_view *view, const struct panel *panel, struct panel *out,
                struct err *err)
{
    *out = *panel;
    if (!view->effects)
        return 0;
    out->z = mem_try(panel->rows * panel->cols, sizeof *out->z);
    if (!out->z)
        return err_set(err, ERR_NO_MEMORY, "panel: no memory for %zu x %zu values",
                       panel->rows, panel->cols);
    for (size_t s = 0; s < panel->cols; s++) {
        const bool any = effects_mask(view->effects, s) != 0;
        for (size_t row = 0; row < panel->rows; row++) {
            const size_t i = row * panel->cols + s;
            out->z[i] = panel->z[i] - (any ? effect_past(view, s, row) : 0);
        }
    }
    return 0;
}

void effect_less_fini(struct panel *less, const struct panel *panel)
{
    if (less->z != panel->z)
        free(less->z);
    *less = (struct panel){0};
}

void effect_add(struct effect_view *view, const struct panel *panel,
                const struct origin *at, size_t count, size_t P, double *y)
{
    const size_t W = panel->width;
    for (size_t i = 0; i < count; i++)
        for (size_t c = 0; c < W; c++) {
            if (effects_mask(view->effects, at[i].col + c) == 0)
                continue;
            const double *const effect = effect_ahead(view, at[i].col + c, at[i].row, P);
            for (size_t j = 0; j < P; j++)
                y[(i * P + j) * W + c] += effect[j];
        }
}
