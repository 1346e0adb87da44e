/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The regression behind effect.h: rows are differences to one season before, columns
 * are features, column k of the covariates times wave h.
 */
#include "model/effect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/student.h"

enum {
    FEATURES_MAX = COVARIATES_MAX * EFFECT_WAVES,
    CELLS_MAX = 1 << 21,       /* features x rows */
    SERIES_ROWS_MAX = 1 << 22, /* rows x series */
    ROWS_LEAST = 2048,         /* that are looked at all the same */
    STRETCHES_LEAST = 3,
    CROSSED_SEASON_LEAST = 8,
};

/* Of a feature's own square: keeps features apart that say nearly the same. */
static const double ridge = 0.01;

/* As windows_input() has it; a square still means something. */
static const double value_limit = 1e9;

static const double standard_errors = 2;

/* The differences of all features over the rows looked at. */
struct design {
    struct effect_view *view;
    const struct panel *panel;
    size_t lag, first, rows, half; /* row i is the panel's first + i */
    size_t features;
    double *own, *lead; /* (rows, features): as known at the time, a horizon before */
    bool *usable;       /* (rows) every group that may be used is known */
    bool eligible[COVARIATES_MAX];
    double *gram[2]; /* (features, features): of the first half, of all rows */
};

/* One series. */
struct fitting {
    const struct design *design;
    size_t series;
    double *dy;            /* (rows) NaN: not usable */
    const double *gram[2]; /* the design's, or own */
    double *own_gram[2];
    double *moment[2];     /* (features) */
    double *error, *trial; /* (rows of the second half) absolute */
    double *solved;        /* (features) */
    double *matrix;        /* (features, features) */
};

static size_t lag_of(const struct effects *e)
{
    return e->season > 1 ? e->season : 1;
}

/* ---- the design -------------------------------------------------------------------- */

/* One column: its features in every row, and in how many rows it is known a horizon
 * ahead. */
static void fill_column(struct design *d, size_t column, size_t P)
{
    struct effect_view *const v = d->view;
    const size_t place = v->place[column];
    const double *const past = effect_column(v, column);
    const enum covariate_gap gap = v->effects->gap;
    for (size_t i = 0; i < d->rows; i++) {
        const size_t row = d->first + i, back = row - d->lag;
        const size_t origin = row + 1 > P ? row + 1 - P : 0;
        const double x = past[row];
        const double early = covariates_at(v->covariates, place, row, origin, gap);
        const double before = past[back];
        const double *const now = effect_waves(v, row), *const then =
                                                            effect_waves(v, back);
        double *const own = d->own + i * d->features + column * EFFECT_WAVES;
        double *const lead = d->lead + i * d->features + column * EFFECT_WAVES;
        for (size_t h = 0; h < EFFECT_WAVES; h++) {
            own[h] = x * now[h] - before * then[h];
            lead[h] = early * now[h] - before * then[h];
        }
    }
}

/* Whether a column says something in a row, in advance and afterwards. */
static bool is_known(const struct design *d, size_t i, size_t column)
{
    const size_t f = i * d->features + column * EFFECT_WAVES;
    return !isnan(d->own[f]) && !isnan(d->lead[f]);
}

/* Groups known in half of the rows may be used; rows where one of them is not are left
 * out for all. */
static void find_usable(struct design *d, struct effects *e)
{
    for (size_t g = 0; g < e->groups; g++) {
        size_t known = 0;
        for (size_t i = 0; i < d->rows; i++) {
            bool all = true;
            for (size_t k = 0; k < e->columns; k++)
                all &= e->group_of[k] != g || is_known(d, i, k);
            known += all;
        }
        e->known[g] = d->rows ? (double)known / (double)d->rows : (double)NAN;
        d->eligible[g] = d->rows && 2 * known >= d->rows;
    }
    for (size_t i = 0; i < d->rows; i++) {
        d->usable[i] = true;
        for (size_t k = 0; k < e->columns; k++)
            d->usable[i] &= !d->eligible[e->group_of[k]] || is_known(d, i, k);
    }
}

/* gram (F,F) of rows [from, to), those where dy is a number (NULL: usable ones). */
static void add_gram(const struct design *d, const double *dy, size_t from, size_t to,
                     double *gram)
{
    const size_t F = d->features;
    for (size_t i = from; i < to; i++) {
        if (dy ? isnan(dy[i]) : !d->usable[i])
            continue;
        const double *const x = d->own + i * F;
        for (size_t a = 0; a < F; a++) {
            if (x[a] == 0 || isnan(x[a])) /* NaN: of a group that is not used */
                continue;
            for (size_t b = 0; b <= a; b++)
                gram[a * F + b] += x[a] * x[b];
        }
    }
}

static void find_gram(const struct design *d, const double *dy, double *const gram[2])
{
    const size_t cells = d->features * d->features;
    memset(gram[0], 0, cells * sizeof(double));
    add_gram(d, dy, 0, d->half, gram[0]);
    memcpy(gram[1], gram[0], cells * sizeof(double));
    add_gram(d, dy, d->half, d->rows, gram[1]);
}

static void design_fini(struct design *d)
{
    free(d->own);
    free(d->lead);
    free(d->usable);
    free(d->gram[0]);
    free(d->gram[1]);
}

static size_t rows_of(const struct design *d, size_t to)
{
    const size_t there = to > d->lag ? to - d->lag : 0;
    const size_t shared = SERIES_ROWS_MAX / d->panel->cols;
    size_t most = CELLS_MAX / d->features;
    if (shared < most)
        most = shared > ROWS_LEAST ? shared : ROWS_LEAST;
    return there < most ? there : most;
}

static int design_init(struct design *d, struct effects *e, struct effect_view *view,
                       const struct panel *panel, size_t P, size_t to, struct err *err)
{
    *d = (struct design){.view = view,
                         .panel = panel,
                         .lag = lag_of(e),
                         .features = e->columns * EFFECT_WAVES};
    d->rows = rows_of(d, to);
    d->first = to - d->rows;
    d->half = d->rows / 2;
    const size_t cells = d->rows * d->features;
    d->own = mem_try(cells + 1, sizeof *d->own);
    d->lead = mem_try(cells + 1, sizeof *d->lead);
    d->usable = mem_new(d->rows + 1, sizeof *d->usable);
    for (int i = 0; i < 2; i++)
        d->gram[i] = mem_new(d->features * d->features, sizeof(double));
    if (!d->own || !d->lead) {
        design_fini(d);
        return err_set(err, ERR_NO_MEMORY, "covariates: no memory for %zu steps",
                       d->rows);
    }
    for (size_t k = 0; k < e->columns; k++)
        fill_column(d, k, P);
    find_usable(d, e);
    find_gram(d, NULL, d->gram);
    return 0;
}

/* ---- one series -------------------------------------------------------------------- */

static void fitting_init(struct fitting *f, const struct design *d)
{
    const size_t F = d->features;
    *f = (struct fitting){.design = d,
                          .dy = mem_new(d->rows + 1, sizeof(double)),
                          .error = mem_new(d->rows + 1, sizeof(double)),
                          .trial = mem_new(d->rows + 1, sizeof(double)),
                          .solved = mem_new(F, sizeof(double)),
                          .matrix = mem_new(F * F, sizeof(double))};
    for (int i = 0; i < 2; i++) {
        f->own_gram[i] = mem_new(F * F, sizeof(double));
        f->moment[i] = mem_new(F, sizeof(double));
    }
}

static void fitting_fini(struct fitting *f)
{
    free(f->dy);
    free(f->error);
    free(f->trial);
    free(f->solved);
    free(f->matrix);
    for (int i = 0; i < 2; i++) {
        free(f->own_gram[i]);
        free(f->moment[i]);
    }
}

static double limited(double z)
{
    return fabs(z) > value_limit ? copysign(value_limit, z) : z;
}

static void add_moment(struct fitting *f, size_t from, size_t to, double *moment)
{
    const struct design *const d = f->design;
    for (size_t i = from; i < to; i++) {
        const double *const x = d->own + i * d->features;
        for (size_t a = 0; !isnan(f->dy[i]) && a < d->features; a++)
            moment[a] += isnan(x[a]) ? 0 : x[a] * f->dy[i];
    }
}

/* Differences, normal equations of half and of all rows. */
static void take_series(struct fitting *f, size_t series)
{
    const struct design *const d = f->design;
    const double *const z = d->panel->z + series;
    const size_t cols = d->panel->cols, bytes = d->features * sizeof(double);
    bool whole = true;
    f->series = series;
    for (size_t i = 0; i < d->rows; i++) {
        const size_t row = d->first + i;
        const double dy = limited(z[row * cols]) - limited(z[(row - d->lag) * cols]);
        f->dy[i] = d->usable[i] ? dy : (double)NAN;
        whole &= !d->usable[i] || !isnan(dy);
    }
    if (!whole)
        find_gram(d, f->dy, f->own_gram);
    for (int i = 0; i < 2; i++)
        f->gram[i] = whole ? d->gram[i] : f->own_gram[i];
    memset(f->moment[0], 0, bytes);
    add_moment(f, 0, d->half, f->moment[0]);
    memcpy(f->moment[1], f->moment[0], bytes);
    add_moment(f, d->half, d->rows, f->moment[1]);
}

/* Features of the groups in use, in order; their number. */
static size_t list_features(const struct effects *e, const unsigned char *use,
                            size_t list[static FEATURES_MAX])
{
    size_t n = 0;
    for (size_t k = 0; k < e->columns; k++) {
        const unsigned char how = use[e->group_of[k]];
        const size_t waves = how == EFFECT_UNUSED  ? 0
                             : how == EFFECT_PLAIN ? 1
                                                   : EFFECT_WAVES;
        for (size_t h = 0; h < waves; h++)
            list[n++] = k * EFFECT_WAVES + h;
    }
    return n;
}

/* The lower triangle of a (n,n), positive definite, to its Cholesky factor; then
 * a x = b, in place of b. */
static void solve_cholesky(double *a, double *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (size_t k = 0; k < j; k++)
                sum -= a[i * n + k] * a[j * n + k];
            a[i * n + j] = i == j ? sqrt(fmax(sum, 1e-300)) : sum / a[j * n + j];
        }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            b[i] -= a[i * n + k] * b[k];
        b[i] /= a[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            b[i] -= a[k * n + i] * b[k];
        b[i] /= a[i * n + i];
    }
}

/* Coefficients of n features from half (0) or all rows (1). */
static void solve(struct fitting *f, int which, const size_t *list, size_t n, double *out)
{
    const size_t F = f->design->features;
    const double *const gram = f->gram[which];
    for (size_t i = 0; i < n; i++) {
        const double square = gram[list[i] * F + list[i]];
        for (size_t j = 0; j <= i; j++) {
            const size_t a = list[i], b = list[j];
            f->matrix[i * n + j] = gram[(a > b ? a : b) * F + (a > b ? b : a)];
        }
        /* One that never moves has nothing to be known of it. */
        f->matrix[i * n + i] = square > 0 ? square * (1 + ridge) : 1;
        out[i] = f->moment[which][list[i]];
    }
    solve_cholesky(f->matrix, out, n);
}

static double predict(const double *x, const size_t *list, const double *beta, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += beta[i] * x[list[i]];
    return sum;
}

/* ---- choosing ---------------------------------------------------------------------- */

/* Absolute errors of the second half with coefficients of the first. */
static void try_use(struct fitting *f, const struct effects *e, const unsigned char *use,
                    double *error)
{
    const struct design *const d = f->design;
    size_t list[FEATURES_MAX];
    const size_t n = list_features(e, use, list);
    solve(f, 0, list, n, f->solved);
    for (size_t i = d->half; i < d->rows; i++)
        error[i] =
            fabs(f->dy[i] - predict(d->lead + i * d->features, list, f->solved, n));
}

static bool is_active(const struct design *d, const struct effects *e, size_t group,
                      size_t i)
{
    bool active = false;
    for (size_t k = 0; k < e->columns; k++)
        active |=
            e->group_of[k] == group && d->lead[i * d->features + k * EFFECT_WAVES] != 0;
    return active;
}

/* By how much the errors fell where a group said anything; 0 where chance could have
 * done it. */
static double gain_of(const struct fitting *f, const struct effects *e, size_t group,
                      size_t stretch)
{
    const struct design *const d = f->design;
    double count = 0, total = 0, squares = 0;
    for (size_t from = d->half; from < d->rows; from += stretch) {
        const size_t to = from + stretch < d->rows ? from + stretch : d->rows;
        double gain = 0;
        size_t active = 0;
        for (size_t i = from; i < to; i++)
            if (!isnan(f->dy[i]) && is_active(d, e, group, i)) {
                gain += f->error[i] - f->trial[i];
                active++;
            }
        if (active == 0)
            continue;
        count += 1;
        total += gain;
        squares += gain * gain;
    }
    if (count < STRETCHES_LEAST)
        return 0;
    const double mean = total / count;
    const double spread = fmax(squares / count - mean * mean, 0) / (count - 1);
    return mean > student(standard_errors, count - 1) * sqrt(spread) ? total : 0;
}

static enum effect_use most_use(const struct design *d, const struct effects *e,
                                size_t group)
{
    if (!d->eligible[group])
        return EFFECT_UNUSED;
    return e->season < CROSSED_SEASON_LEAST ? EFFECT_PLAIN : EFFECT_CROSSED;
}

/* The change that helps most, one group used further than now, and no further than
 * helps by itself; false where none does. */
static bool find_step(struct fitting *f, const struct effects *e, size_t stretch,
                      unsigned char *use, size_t *group, unsigned char *how)
{
    double most = 0;
    for (size_t g = 0; g < e->groups; g++) {
        const unsigned char now = use[g];
        const unsigned char last = (unsigned char)most_use(f->design, e, g);
        double gain = 0;
        for (use[g] = now; gain <= 0 && use[g] < last;) {
            use[g]++;
            try_use(f, e, use, f->trial);
            gain = gain_of(f, e, g, stretch);
        }
        if (gain > most) {
            most = gain;
            *group = g;
            *how = use[g];
        }
        use[g] = now;
    }
    return most > 0;
}

static void choose_series(struct fitting *f, const struct effects *e, size_t stretch,
                          unsigned char *use)
{
    size_t group = 0;
    unsigned char how = EFFECT_UNUSED;
    memset(use, EFFECT_UNUSED, e->groups);
    try_use(f, e, use, f->error);
    while (find_step(f, e, stretch, use, &group, &how)) {
        use[group] = how;
        try_use(f, e, use, f->error);
    }
}

/* ---- both -------------------------------------------------------------------------- */

/* Coefficients of what a series uses, of all rows; uses nothing where even these rows
 * are no better for it, as where one wild value made them. */
static void fit_series(struct fitting *f, struct effects *e)
{
    const struct design *const d = f->design;
    unsigned char *const use = e->use + f->series * e->groups;
    double *const beta = e->beta + f->series * d->features;
    size_t list[FEATURES_MAX];
    const size_t n = list_features(e, use, list);
    double with = 0, without = 0;
    memset(beta, 0, d->features * sizeof *beta);
    if (n == 0)
        return;
    solve(f, 1, list, n, f->solved);
    for (size_t i = 0; i < d->rows; i++)
        if (!isnan(f->dy[i])) {
            with +=
                fabs(f->dy[i] - predict(d->own + i * d->features, list, f->solved, n));
            without += fabs(f->dy[i]);
        }
    if (!(with < without))
        memset(use, EFFECT_UNUSED, e->groups);
    else
        for (size_t i = 0; i < n; i++)
            beta[list[i]] = f->solved[i];
}

static int fit_all(struct effects *e, struct effect_view *view, const struct panel *panel,
                   size_t P, size_t to, bool choose, struct err *err)
{
    struct design d;
    struct fitting f;
    if (e->columns == 0)
        return 0;
    if (design_init(&d, e, view, panel, P, to, err))
        return -1;
    fitting_init(&f, &d);
    for (size_t s = 0; s < panel->cols; s++) {
        take_series(&f, s);
        if (choose)
            choose_series(&f, e, P > d.lag ? P : d.lag, e->use + s * e->groups);
        fit_series(&f, e);
    }
    fitting_fini(&f);
    design_fini(&d);
    return 0;
}

int effects_choose(struct effects *e, struct effect_view *view, const struct panel *panel,
                   size_t P, size_t to, struct err *err)
{
    return fit_all(e, view, panel, P, to, true, err);
}

int effects_begin(struct effects *e, struct effect_view *view, struct panel *less,
                  const struct grid *grid, const struct panel *panel,
                  const struct model_spec *spec, size_t season, size_t to,
                  struct err *err)
{
    if (effects_init(e, grid->covariates, spec->gap, season, panel->cols, err) ||
        effect_view_init(view, e, grid, spec->horizon, err) ||
        effects_choose(e, view, panel, spec->horizon, to, err))
        return -1;
    return effect_less(view, panel, less, err);
}

int effects_fit(struct effects *e, struct effect_view *view, const struct panel *panel,
                size_t P, struct err *err)
{
    return fit_all(e, view, panel, P, panel->rows, false, err);
}
