/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/in_context.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/attention.h"
#include "model/candidate.h"

enum {
    LAGS_LEAST = 16, /* a window of lags is two seasons, within these bounds */
    LAGS_MOST = 96,
    RIDGE_LAGS = 12,
    PAIR_ROWS = 512, /* rows in which pairs begin */
    PAIRS = 128,     /* of them, evenly spaced */
    LEAST = 8,
    LEVELS = 3,       /* features of the level */
    LEVEL_STEPS = 8,  /* steps of the horizon it is fitted on */
    POWER_EVERY = 4,  /* pairs whose spectrum is looked at */
    ORIGINS_MAX = 24, /* a series is tried at */
    ORIGINS_LEAST = 4,
    ORIGINS_ALL = 1 << 12, /* over all series */
};

/* Losses this close, in deviations of the series, are a tie. */
static const double tie = 1e-9;

/* Correlation, from one season to the next, of tasks that drift. */
static const double drift_per_season = 0.95;

/* Room for one series and what was read off it; sized by season and horizon. */
struct reading {
    size_t P, season, p, most; /* lags; rows of context at most */
    struct attention attention;
    double *cycle;             /* (seven seasons) */
    double *e;                 /* (most) context less its profile, in deviations */
    double *w, *score, *drift; /* (PAIRS) */
    double *feature;           /* (PAIRS, LEVELS) */
    double *row, *row_w;       /* (PAIRS, LEVEL_STEPS, LEVELS), and their weights */
    double *answer;            /* (P) */

    size_t rows, n, step; /* of e; pairs, and the rows between them */
    double middle, unit;  /* mean and deviation of the rest, in the panel's units */
    double least, range;  /* of what was seen */
    double level[LEVELS]; /* coefficients */
};

static size_t lags_of(size_t season)
{
    const size_t two = 2 * season;
    return two < LAGS_LEAST ? LAGS_LEAST : two > LAGS_MOST ? LAGS_MOST : two;
}

static size_t context_rows(size_t season, size_t P)
{
    return lags_of(season) + P + PAIR_ROWS - 1;
}

size_t in_context_reach(struct profile profile, size_t season, size_t horizon)
{
    const size_t rows = context_rows(season, horizon);
    const size_t reach = profile_reach(profile, season);
    return rows > reach ? rows : reach;
}

static void reading_init(struct reading *r, size_t P, size_t season)
{
    *r = (struct reading){.P = P, .season = season, .p = lags_of(season)};
    r->most = context_rows(season, P);
    r->cycle = mem_new(PROFILE_LONG * season, sizeof(double));
    r->e = mem_new(r->most, sizeof(double));
    r->w = mem_new(3 * PAIRS, sizeof(double));
    r->score = r->w + PAIRS;
    r->drift = r->score + PAIRS;
    r->feature = mem_new(PAIRS * LEVELS, sizeof(double));
    r->row = mem_new(PAIRS * LEVEL_STEPS * (LEVELS + 1), sizeof(double));
    r->row_w = r->row + PAIRS * LEVEL_STEPS * LEVELS;
    r->answer = mem_new(P, sizeof(double));
}

static void reading_fini(struct reading *r)
{
    attention_fini(&r->attention);
    free(r->cycle);
    free(r->e);
    free(r->w);
    free(r->feature);
    free(r->row);
    free(r->answer);
}

/* ---- the context --------------------------------------------------------------------
 */

/* Fills e, unit and the range; what is missing is the mean of the
 * rest.  False with
 * too few pairs. */
static bool read_context(struct reading *r, const struct panel *p, struct profile profile,
                         size_t row, size_t col)
{
    const size_t cycle = profile.seasons * r->season;
    r->rows = row < r->most ? row : r->most;
    if (r->rows < r->p + r->P + LEAST - 1)
        return false;
    const size_t starts = r->rows - r->p - r->P + 1;
    r->step = (starts + PAIRS - 1) / PAIRS;
    r->n = (starts - 1) / r->step + 1;
    profile_cycle(p, profile, r->season, row, col, r->cycle);

    double least = (double)INFINITY, most = (double)-INFINITY;
    for (size_t back = r->rows; back >= 1; back--) {
        const double z = p->z[(row - back) * p->cols + col];
        r->e[r->rows - back] = z - r->cycle[(cycle - back % cycle) % cycle];
        least = fmin(least, z); /* fmin() and fmax() skip what is missing */
        most = fmax(most, z);
    }
    r->least = least;
    r->range = most - least;
    panel_scale(r->e, r->rows, 1, &r->middle, &r->unit);
    for (size_t i = 0; i < r->rows; i++)
        r->e[i] = isfinite(r->e[i]) ? (r->e[i] - r->middle) / r->unit : 0;
    return isfinite(r->range);
}

/* The lags of pair i; the newest pair is the last one, the query comes as pair n. */
static const double *lags_at(const struct reading *r, size_t i)
{
    return i < r->n ? r->e + (r->rows - r->p - r->P) - (r->n - 1 - i) * r->step
                    : r->e + r->rows - r->p;
}

/* ---- the level ----------------------------------------------------------------------
 */

static double mean_of(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum / (double)n;
}

static void level_features(const struct reading *r, const double *lags,
                           double out[LEVELS])
{
    const size_t season = r->season < r->p ? r->season : r->p;
    out[0] = lags[r->p - 1];
    out[1] = mean_of(lags + r->p - season, season);
    out[2] = mean_of(lags, r->p);
}

/* What the last value says fades over the season. */
static double fading(const struct reading *r, size_t j)
{
    const double span = r->season > 8 ? (double)r->season : 8;
    return exp(-(double)(j + 1) / span);
}

static double level_at(const struct reading *r, const double feature[LEVELS], size_t j)
{
    return r->level[0] * feature[0] * fading(r, j) + r->level[1] * feature[1] +
           r->level[2] * feature[2];
}

static void fit_level(struct reading *r)
{
    const size_t steps = r->P < LEVEL_STEPS ? r->P : LEVEL_STEPS;
    const size_t count = r->n * steps;
    double moment[LEVELS] = {0}, matrix[LEVELS * LEVELS], trace = 0;
    double *out = r->row;
    for (size_t i = 0; i < r->n; i++) {
        const double *const lags = lags_at(r, i);
        double *const f = r->feature + i * LEVELS;
        level_features(r, lags, f);
        for (size_t k = 0; k < steps; k++, out += LEVELS) {
            const size_t j = (2 * k + 1) * r->P / (2 * steps);
            out[0] = f[0] * fading(r, j);
            out[1] = f[1];
            out[2] = f[2];
            r->row_w[i * steps + k] = 1 / (double)count;
            for (int l = 0; l < LEVELS; l++) {
                moment[l] += out[l] * lags[r->p + j] / (double)count;
                trace += out[l] * out[l] / (double)count;
            }
        }
    }
    attention_ridge(r->row, LEVELS, r->row_w, count, LEVELS, moment,
                    1e-3 * (trace / LEVELS + 1e-6), matrix, r->level);
}

/* ---- what is left -------------------------------------------------------------------
 */

/* Sample weights that sum to one; returns of how many independent pairs. */
static double weigh_pairs(struct reading *r, enum in_context_kind kind)
{
    double sum = 0, square = 0;
    if (kind == IN_CONTEXT_WEIGHTED)
        attention_drift(r->w, r->n,
                        pow(drift_per_season, (double)r->step / (double)r->season),
                        (double)r->p + 2, r->drift);
    else
        for (size_t i = 0; i < r->n; i++)
            r->w[i] = 1;
    for (size_t i = 0; i < r->n; i++)
        sum += r->w[i];
    for (size_t i = 0; i < r->n; i++) {
        r->w[i] /= sum;
        square += r->w[i] * r->w[i];
    }
    /* Pairs overlap by their horizons. */
    const double share = (double)r->step / (double)r->P;
    return fmax((share < 1 ? share : 1) / square, 1);
}

/* One step of descent.  W leaves out the mean, so the lags need no centring. */
static void descend(struct reading *r, double pairs)
{
    struct attention *const t = &r->attention;
    double power[LAGS_MOST / 2 + 1] = {0}, a[LAGS_MOST], trace = 0, looked = 0;
    for (size_t i = r->n % POWER_EVERY; i < r->n; i += POWER_EVERY, looked++)
        attention_power(t, lags_at(r, i), power);
    power[0] = 0;
    for (size_t f = 1; f < t->bins; f++) {
        power[f] /= looked;
        trace += power[f] * (2 * f == r->p ? 1 : 2);
    }
    attention_precondition(t, power, pairs, 1, trace + 1e-9); /* half of it is noise */
    t->weight[0] = 0;
    attention_direction(t, lags_at(r, r->n), a);
    attention_score(r->score, lags_at(r, 0), r->step, r->w, r->n, a, r->p);
}

static void regress(struct reading *r, double pairs)
{
    const size_t from = r->p - RIDGE_LAGS;
    double matrix[RIDGE_LAGS * RIDGE_LAGS], a[RIDGE_LAGS], size = 0;
    for (size_t i = 0; i < r->n; i++)
        size += r->w[i] * lags_at(r, i)[r->p - 1] * lags_at(r, i)[r->p - 1];
    attention_ridge(lags_at(r, 0) + from, r->step, r->w, r->n, RIDGE_LAGS,
                    lags_at(r, r->n) + from, RIDGE_LAGS * (size + 1e-9) / pairs, matrix,
                    a);
    attention_score(r->score, lags_at(r, 0) + from, r->step, r->w, r->n, a, RIDGE_LAGS);
}

/* answer += what the pairs say of that which the level leaves. */
static void add_rest(struct reading *r, enum in_context_kind kind)
{
    const double pairs = weigh_pairs(r, kind);
    if (kind == IN_CONTEXT_RIDGE)
        regress(r, pairs);
    else
        descend(r, pairs);
    double feature[LEVELS] = {0};
    for (size_t i = 0; i < r->n; i++)
        for (int l = 0; l < LEVELS; l++)
            feature[l] += r->score[i] * r->feature[i * LEVELS + (size_t)l];
    attention_answer(r->answer, r->score, lags_at(r, 0) + r->p, r->step, r->n, r->P);
    for (size_t j = 0; j < r->P; j++)
        r->answer[j] -= level_at(r, feature, j);
}

/* y (P), W apart, holds the profile's forecast; kept unless the answer is sane. */
static void read_series(struct reading *r, const struct panel *panel,
                        struct profile profile, enum in_context_kind kind, size_t row,
                        size_t col, size_t W, double *y)
{
    if (kind == IN_CONTEXT_PROFILE || !read_context(r, panel, profile, row, col))
        return;
    double feature[LEVELS];
    fit_level(r);
    level_features(r, lags_at(r, r->n), feature);
    for (size_t j = 0; j < r->P; j++)
        r->answer[j] = level_at(r, feature, j);
    if (kind != IN_CONTEXT_LEVEL)
        add_rest(r, kind);
    for (size_t j = 0; j < r->P; j++) {
        r->answer[j] = y[j * W] + r->middle + r->unit * r->answer[j];
        const double z = r->answer[j];
        if (!(fabs(z - (r->least + r->range / 2)) <= 3.5 * r->range))
            return;
    }
    for (size_t j = 0; j < r->P; j++)
        y[j * W] = r->answer[j];
}

void in_context_forecast(const struct candidate_task *task, const struct origin *at,
                         size_t count, double *y)
{
    const size_t W = task->panel->width;
    struct reading r;
    profile_forecast(task, at, count, y);
    reading_init(&r, task->P, task->season);
    const bool ready = attention_init(&r.attention, r.p, NULL) == 0;
    for (size_t i = 0; ready && i < count; i++, y += task->P * W)
        for (size_t c = 0; c < W; c++) {
            const size_t col = at[i].col + c;
            read_series(&r, task->panel,
                        task->profiles ? task->profiles[col] : profile_default,
                        task->contexts ? task->contexts[col] : IN_CONTEXT_LEVEL,
                        at[i].row, col, W, y + c);
        }
    reading_fini(&r);
}

/* ---- choosing -----------------------------------------------------------------------
 */

static unsigned char least(const double loss[IN_CONTEXT_KINDS])
{
    unsigned char best = 0;
    for (unsigned char k = 1; k < IN_CONTEXT_KINDS; k++)
        if (loss[k] < loss[best] - tie)
            best = k;
    return best;
}

static double mean_error(const struct candidate_task *task, const struct origin *at,
                         size_t count, double *y)
{
    const struct panel *const p = task->panel;
    double sum = 0, seen = 0;
    in_context_forecast(task, at, count, y);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < task->P; j++) {
            const double e =
                y[i * task->P + j] - p->z[(at[i].row + j) * p->cols + at[i].col];
            if (!isnan(e)) {
                sum += fabs(e);
                seen += 1;
            }
        }
    return seen > 0 ? sum / seen : 0;
}

void in_context_choose(const struct panel *panel, const struct profile *profiles,
                       size_t P, size_t season, size_t to, unsigned char *chosen)
{
    struct panel single = *panel; /* forecasts of one column at a time */
    single.width = 1;
    unsigned char *const kinds = mem_new(panel->cols, 1);
    const struct candidate_task task = {.panel = &single,
                                        .P = P,
                                        .season = season,
                                        .tail = candidate_tail(0, season, P),
                                        .profiles = profiles,
                                        .contexts = kinds};
    size_t most = ORIGINS_ALL / panel->cols;
    most = most < ORIGINS_LEAST ? ORIGINS_LEAST : most > ORIGINS_MAX ? ORIGINS_MAX : most;
    const size_t from = to / 2, starts = to >= from + P ? to - from - P + 1 : 0;
    const size_t count = starts < most ? starts : most;
    struct origin at[ORIGINS_MAX];
    double *const y = mem_new(count * P, sizeof *y), all[IN_CONTEXT_KINDS] = {0};
    for (size_t s = 0; s < panel->cols; s++) {
        double loss[IN_CONTEXT_KINDS];
        for (size_t i = 0; i < count; i++)
            at[i] = (struct origin){(uint32_t)(from + (i + 1) * starts / count - 1),
                                    (uint32_t)s};
        for (unsigned char k = 0; k < IN_CONTEXT_KINDS; k++) {
            kinds[s] = k;
            all[k] += loss[k] = mean_error(&task, at, count, y);
        }
        chosen[s] = least(loss);
    }
    chosen[panel->cols] = least(all);
    free(kinds);
    free(y);
}
