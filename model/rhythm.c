/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/rhythm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { SEASONS_LEAST = 4, SEASONS_MOST = 28, ROWS = 1024 };

/* As windows_input() has it; a square still means something. */
static const double value_limit = 1e9;

size_t rhythm_season(const struct model_spec *spec, size_t season)
{
    return spec->group == GROUP_EACH && spec->settings.cycle && season > 1 ? season : 0;
}

static size_t seasons_of(size_t season)
{
    const size_t wish = season ? ROWS / season : 0;
    return wish < SEASONS_LEAST  ? SEASONS_LEAST
           : wish > SEASONS_MOST ? SEASONS_MOST
                                 : wish;
}

size_t rhythm_rows(size_t season)
{
    return season * seasons_of(season);
}

int rhythm_init(struct rhythm *rhythm, size_t season, struct err *err)
{
    *rhythm = (struct rhythm){.season = season, .seasons = seasons_of(season)};
    rhythm->step = mem_try(season + 1, sizeof *rhythm->step);
    rhythm->seen = mem_try(season + 1, sizeof *rhythm->seen);
    rhythm->level = mem_try(rhythm->seasons, sizeof *rhythm->level);
    if (rhythm->step && rhythm->seen && rhythm->level)
        return 0;
    rhythm_fini(rhythm);
    return err_set(err, ERR_NO_MEMORY, "season: no memory for %zu steps", season);
}

void rhythm_fini(struct rhythm *rhythm)
{
    free(rhythm->step);
    free(rhythm->seen);
    free(rhythm->level);
    *rhythm = (struct rhythm){0};
}

/* Step k of the s-th season before the origin, s = 0 the newest; NaN missing. */
static double value_at(const struct rhythm *r, const struct panel *panel, struct origin o,
                       size_t s, size_t k)
{
    const size_t row = o.row - (s + 1) * r->season + k;
    const double z = panel->z[row * panel->cols + o.col];
    return fabs(z) > value_limit ? copysign(value_limit, z) : z;
}

/* The level of each of count seasons; NaN where less than half of one is there.
 * Returns the change of level a step, between the oldest and the newest. */
static double find_levels(struct rhythm *r, const struct panel *panel, struct origin o,
                          size_t count)
{
    size_t newest = count, oldest = count;
    for (size_t s = 0; s < count; s++) {
        double sum = 0;
        size_t seen = 0;
        for (size_t k = 0; k < r->season; k++) {
            const double z = value_at(r, panel, o, s, k);
            sum += isnan(z) ? 0 : z;
            seen += !isnan(z);
        }
        const bool enough = 2 * seen >= r->season;
        r->level[s] = enough ? sum / (double)seen : (double)NAN;
        newest = enough && newest == count ? s : newest;
        oldest = enough ? s : oldest;
    }
    if (newest == oldest)
        return 0;
    return (r->level[newest] - r->level[oldest]) /
           (double)((oldest - newest) * r->season);
}

/* What is left of the means, given their sums in step, and all squares. */
static void shrink(struct rhythm *r, double squares)
{
    size_t total = 0, phases = 0;
    double between = 0, middle = 0;
    for (size_t k = 0; k < r->season; k++) {
        if (r->seen[k] == 0)
            continue;
        r->step[k] /= (double)r->seen[k];
        between += (double)r->seen[k] * r->step[k] * r->step[k];
        middle += r->step[k];
        total += r->seen[k];
        phases++;
    }
    double keep = 0;
    if (total > phases && between > 0) {
        const double within = fmax(0, squares - between) / (double)(total - phases);
        keep = fmax(0, 1 - within * (double)phases / between);
        middle /= (double)phases;
    }
    for (size_t k = 0; k < r->season; k++)
        r->step[k] = r->seen[k] ? keep * (r->step[k] - middle) : 0;
}

void rhythm_find(struct rhythm *rhythm, const struct panel *panel, struct origin origin)
{
    struct rhythm *const r = rhythm;
    if (r->season == 0)
        return;
    const size_t there = origin.row / r->season;
    const size_t count = there < r->seasons ? there : r->seasons;
    const double slope = find_levels(r, panel, origin, count);
    const double middle = ((double)r->season - 1) / 2;
    double squares = 0;
    memset(r->step, 0, r->season * sizeof *r->step);
    memset(r->seen, 0, r->season * sizeof *r->seen);
    for (size_t s = 0; s < count; s++)
        for (size_t k = 0; k < r->season; k++) {
            const double z = value_at(r, panel, origin, s, k);
            const double d = z - r->level[s] - slope * ((double)k - middle);
            if (isnan(d))
                continue;
            r->step[k] += d;
            r->seen[k]++;
            squares += d * d;
        }
    shrink(r, squares);
}

void rhythm_remove_before(const struct rhythm *rhythm, real *x, size_t L)
{
    const size_t S = rhythm->season;
    for (size_t i = 0; S && i < L; i++)
        x[i] -= (real)rhythm->step[(S - (L - i) % S) % S];
}

void rhythm_remove_after(const struct rhythm *rhythm, real *target, size_t P)
{
    for (size_t j = 0; rhythm->season && j < P; j++)
        target[j] -= (real)rhythm->step[j % rhythm->season];
}

void rhythm_restore(const struct rhythm *rhythm, double *y, size_t P)
{
    for (size_t j = 0; rhythm->season && j < P; j++)
        y[j] += rhythm->step[j % rhythm->season];
}
