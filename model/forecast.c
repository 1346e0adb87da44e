/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * model_forecast(): tail in, quantiles out.
 *
 * Candidates without training see one series at a time in the data's own units; the
 * network sees standardised windows, a batch of series at a time (GROUP_EACH) or all
 * of the model's at once (GROUP_JOINT, absent ones all missing).  Nothing of one
 * series' answer depends on which others were asked for.
 */
#include "model/model.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/leap.h"
#include "model/level.h"
#include "model/spread.h"
#include "model/windows.h"
#include "model/work.h"

/* What is known of one column of the request. */
struct column {
    size_t index;  /* in the request */
    size_t series; /* in the model, or its count for a stranger */
    double mean, sd, missing;
    double unit; /* of bands */
    bool effect; /* of covariates: the series uses some */
    bool seen;   /* any value in the part of the tail that every candidate reads */
};

/* ---- work space -------------------------------------------------------------------- */

static int panel_space(struct panel *p, size_t rows, size_t cols, size_t width)
{
    *p = (struct panel){.cols = cols, .width = width};
    p->z = mem_try(rows * cols, sizeof *p->z);
    return p->z ? 0 : -1;
}

struct forecaster_work *forecaster_work_new(const struct model *model, struct err *err)
{
    struct forecaster_work *const w = mem_new(1, sizeof *w);
    const bool joint = model->spec.group == GROUP_JOINT;
    const size_t width = joint ? model->series : 1;
    const size_t P = model->spec.horizon;
    w->rows = model_tail_rows(model);
    w->season = model->season;
    w->tail = candidate_tail(model->spec.lookback, model->season, P);
    w->newcomer = newcomer_of(model->mean, model->sd, model->series);
    bool ok = panel_space(&w->raw, w->rows, CHUNK, 1) == 0;
    if (model->effects.columns)
        ok &= panel_space(&w->less, w->rows, CHUNK, 1) == 0;
    if (model->theta)
        ok &= panel_space(&w->z, w->rows, joint ? width : CHUNK, width) == 0;
    for (int c = 0; c < CANDIDATES; c++) {
        const size_t cols = candidates[c].trained && joint ? width : CHUNK;
        w->serves[c] = artifact_serves(model, c);
        ok &= (w->y[c] = mem_try(cols * P, sizeof(double))) != NULL;
    }
    w->has_network = model->theta != NULL;
    if (!ok)
        err_set(err, ERR_NO_MEMORY, "forecast: no memory for %zu rows", w->rows);
    else if (!w->has_network ||
             frwkv_init(&w->frwkv, &model->spec, model->season, width, &model->chain,
                        joint ? 1 : CHUNK, model->theta, NULL, err) == 0) {
        w->frwkv.fold = model->fold;
        w->streams = model->spec.settings.stream;
        w->state_reals = w->has_network ? network_state_size(w->frwkv.network) : 0;
        w->gone_on = mem_try(CHUNK * w->state_reals + 1, sizeof *w->gone_on);
        if (w->gone_on)
            return w;
        err_set(err, ERR_NO_MEMORY, "forecast: no memory for %d states", (int)CHUNK);
    }
    forecaster_work_free(w);
    return NULL;
}

void forecaster_work_free(struct forecaster_work *work)
{
    if (!work)
        return;
    panel_fini(&work->raw);
    panel_fini(&work->less);
    panel_fini(&work->z);
    for (int c = 0; c < CANDIDATES; c++)
        free(work->y[c]);
    frwkv_fini(&work->frwkv);
    free(work->gone_on);
    free(work);
}

/* ---- reading the tail -------------------------------------------------------------- */

/* What is believed of a tail; of strangers by its last rows. */
static int believe(const struct model *m, const struct grid *tail, size_t rows,
                   struct grid *out, struct err *err)
{
    double *const limits = mem_try(tail->cols, sizeof *limits);
    if (!limits)
        return err_set(err, ERR_NO_MEMORY, "forecast: no memory for %zu series",
                       tail->cols);
    for (size_t i = 0; i < tail->cols; i++) {
        const size_t s = artifact_find(m, tail->names[i]);
        limits[i] = s < m->series
                        ? m->leap[s]
                        : leap_limit(tail->values + (tail->rows - rows) * tail->cols + i,
                                     rows, tail->cols);
    }
    const int rc = leap_grid(tail, limits, out, err);
    free(limits);
    return rc;
}

static struct column look_up(const struct model *m, const struct forecaster_work *w,
                             const struct grid *tail, size_t index, size_t rows)
{
    struct column c = {.index = index, .series = artifact_find(m, tail->names[index])};
    const double *const values = tail->values + (tail->rows - rows) * tail->cols + index;
    size_t recent = 0, seen = 0;
    for (size_t i = 0; i < rows; i++) {
        const bool here = isfinite(values[i * tail->cols]);
        seen += here;
        c.seen |= here && rows - i <= w->tail;
        recent += here && rows - i <= m->spec.lookback;
    }
    c.effect = effects_mask(&m->effects, c.series) != 0;
    c.missing = 1 - (double)recent / (double)m->spec.lookback;
    const size_t lately = rows < m->spread_rows ? rows : m->spread_rows;
    const double *const newest = values + (rows - lately) * tail->cols;
    if (c.series < m->series) {
        c.mean = m->mean[c.series];
        c.sd = m->sd[c.series];
        c.unit = c.sd * spread_of(newest, lately, tail->cols, c.sd);
        return c;
    }
    const size_t wish = m->season + m->spec.horizon;
    const size_t enough = wish < w->rows ? wish : w->rows;
    const double deviation = panel_deviation(values, rows, tail->cols, &c.mean);
    c.sd = deviation > 0 ? deviation : 1;
    c.unit = seen < enough || deviation == 0
                 ? newcomer_unit(&w->newcomer, c.mean, deviation, seen, enough)
                 : c.sd * spread_of(newest, lately, tail->cols, c.sd);
    return c;
}

/* Column `to` of p = (column - mean) / sd, missing where not finite, less so many effects of
 * its covariates; a level that has just moved is followed, then true. */
static bool fill_column(struct forecaster_work *w, struct panel *p, size_t to,
                        const struct grid *tail, const struct column *c, double mean,
                        double sd, double effects)
{
    const size_t first = tail->rows - p->rows;
    const double *const values = tail->values + first * tail->cols + c->index;
    double *const z = p->z + to;
    for (size_t i = 0; i < p->rows; i++) {
        const double x = values[i * tail->cols];
        z[i * p->cols] = isfinite(x) ? (x - mean) / sd : (double)NAN;
        if (c->effect && effects > 0)
            z[i * p->cols] -= effects * effect_past(&w->view, c->series, first + i);
    }
    return level_follow(z, p->rows, p->cols, w->season);
}

/* ---- who serves -------------------------------------------------------------------- */

static int server(const struct model *m, const struct column *c, int bucket)
{
    const struct verdict *const v =
        &m->verdicts[c->series * MODEL_BUCKETS + (size_t)bucket];
    const bool gappy = c->missing > m->spec.settings.max_missing;
    return candidates[v->champion].trained && gappy ? v->fallback : v->champion;
}

static bool needs_network(const struct model *m, const struct column *c)
{
    bool needs = false;
    for (int b = 0; c->seen && b < MODEL_BUCKETS; b++)
        needs |= candidates[server(m, c, b)].trained;
    return needs;
}

static void run_simple(const struct model *m, struct forecaster_work *w,
                       const struct grid *tail, const struct column *columns,
                       size_t count)
{
    struct origin at[CHUNK];
    struct profile profiles[CHUNK];
    unsigned char contexts[CHUNK];
    w->raw.cols = w->less.cols = count;
    for (size_t i = 0; i < count; i++) {
        profiles[i] = m->profiles[columns[i].series];
        contexts[i] = m->contexts[columns[i].series];
        fill_column(w, &w->raw, i, tail, &columns[i], 0, 1, 0);
        if (w->less.z)
            fill_column(w, &w->less, i, tail, &columns[i], 0, 1, columns[i].sd);
        at[i] = (struct origin){(uint32_t)w->raw.rows, (uint32_t)i};
    }
    const struct candidate_task plain = {
        .panel = &w->raw,
        .P = m->spec.horizon,
        .season = m->season,
        .tail = w->tail,
        .profiles = profiles,
        .contexts = contexts,
    };
    struct candidate_task less = plain;
    less.panel = w->less.z ? &w->less : &w->raw;
    for (int c = 0; c < CANDIDATES; c++)
        if (!candidates[c].trained && w->serves[c])
            candidates[c].forecast(candidates[c].covariates ? &less : &plain, at, count,
                                   w->y[c]);
}

static void run_network(const struct model *m, struct forecaster_work *w,
                        const struct origin *at, size_t count)
{
    const struct candidate_task task = {
        .panel = &w->z,
        .P = m->spec.horizon,
        .season = m->season,
        .tail = w->tail,
        .frwkv = &w->frwkv,
    };
    candidates[CANDIDATE_FRWKV].forecast(&task, at, count, w->y[CANDIDATE_FRWKV]);
}

/* A copy of a column's state that has seen the rest of the tail, for place i. */
static const real *go_on(struct forecaster_work *w, const struct column *c, size_t i)
{
    const struct network *const network = w->frwkv.network;
    const size_t L = network_config(network)->L;
    real *const state = w->gone_on + i * w->state_reals;
    memcpy(state, kept_network(w, w->states[c->index]), w->state_reals * sizeof *state);
    for (size_t row = w->z.rows - w->behind; row < w->z.rows; row++)
        network_state_push(w->frwkv.network, w->frwkv.theta, w->frwkv.fold, state,
                           panel_phase(&w->z, row, L),
                           (real)windows_value(w->z.z[row * w->z.cols + i]));
    return state;
}

/* Those of a chunk from their states; answers in their places. */
static void run_states(struct forecaster_work *w, const real *const *states,
                       const size_t *place, size_t n)
{
    struct frwkv *const f = &w->frwkv;
    const struct network_config *const config = network_config(f->network);
    network_state_forward(f->network, f->theta, f->fold, states,
                          panel_phase(&w->z, w->z.rows, config->L), n, f->y);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < config->P; j++)
            w->y[CANDIDATE_FRWKV][place[i] * config->P + j] =
                (double)f->y[i * config->P + j];
}

/* Those of a chunk that need the network, each by itself; answers in their places. */
static void run_network_each(const struct model *m, struct forecaster_work *w,
                             const struct grid *tail, const struct column *columns,
                             size_t count)
{
    struct origin at[CHUNK];
    const real *states[CHUNK];
    size_t place[CHUNK], n = 0, kept[CHUNK], kept_n = 0;
    w->z.cols = count;
    for (size_t i = 0; i < count; i++)
        if (needs_network(m, &columns[i])) {
            const bool moved = fill_column(w, &w->z, i, tail, &columns[i],
                                           columns[i].mean, columns[i].sd, 1);
            if (!moved && w->states && w->states[columns[i].index] && w->state_reals &&
                kept_goes_on(m, columns[i].series)) {
                states[kept_n] = go_on(w, &columns[i], i);
                kept[kept_n++] = i;
                continue;
            }
            place[n] = i;
            at[n++] = (struct origin){(uint32_t)w->z.rows, (uint32_t)i};
        }
    if (n > 0)
        run_network(m, w, at, n);
    const size_t P = m->spec.horizon;
    double *const y = w->y[CANDIDATE_FRWKV];
    for (size_t i = n; i-- > 0;) /* backwards: a place is never before its answer */
        memmove(y + place[i] * P, y + i * P, P * sizeof *y);
    if (kept_n > 0)
        run_states(w, states, kept, kept_n);
}

static void run_network_joint(const struct model *m, struct forecaster_work *w,
                              const struct grid *tail, const struct column *columns)
{
    for (size_t i = 0; i < w->z.rows * m->series; i++)
        w->z.z[i] = (double)NAN;
    bool needed = false;
    for (size_t i = 0; i < tail->cols; i++)
        if (columns[i].series < m->series) {
            const struct column *const c = &columns[i];
            fill_column(w, &w->z, c->series, tail, c, c->mean, c->sd, 1);
            needed |= needs_network(m, c);
        }
    const struct origin at = {(uint32_t)w->z.rows, 0};
    if (needed)
        run_network(m, w, &at, 1);
}

/* ---- answers ----------------------------------------------------------------------- */

/* The least and the most that may be answered; finite. */
static double bounded(const struct model_spec *spec, double x)
{
    double least = fmax(spec->min, -DBL_MAX), most = fmin(spec->max, DBL_MAX);
    if (spec->integer) {
        least = ceil(least);
        most = floor(most);
        x = round(x);
    }
    return fmin(fmax(x, least), most);
}

/* Place i of the chunk: the point forecast of one candidate, in the data's units, without
 * the effect of covariates. */
static double point(const struct model *m, const struct forecaster_work *w,
                    const struct column *c, size_t i, int candidate, size_t j)
{
    const double *const y = w->y[candidate];
    if (!candidates[candidate].trained)
        return y[i * m->spec.horizon + j];
    const double z = m->spec.group == GROUP_JOINT ? y[j * m->series + c->series]
                                                  : y[i * m->spec.horizon + j];
    return z * c->sd + c->mean;
}

/* False where the network's answer is not finite. */
static bool fill_values(const struct model *m, struct forecaster_work *w,
                        const struct column *c, size_t i, size_t horizon,
                        const double *quantiles, size_t count,
                        struct model_answer *answer)
{
    const double *const effect =
        c->effect ? effect_ahead(&w->view, c->series, w->origin, horizon) : NULL;
    const struct band_stretch *const stretch = answer->stretch;
    for (size_t j = 0; j < horizon; j++) {
        const int bucket = horizon_bucket(j, m->spec.horizon);
        const int candidate = server(m, c, bucket);
        const double added =
            effect && candidates[candidate].covariates ? c->sd * effect[j] : 0;
        const double middle = point(m, w, c, i, candidate, j) + added;
        if (!isfinite(middle))
            return false;
        double below = -DBL_MAX;
        for (size_t q = 0; q < count; q++) {
            double offset =
                c->unit * bands_offset(&m->bands[candidate], c->series, j, quantiles[q]);
            if (stretch)
                offset *= (double)(offset < 0 ? stretch->below : stretch->above)[bucket];
            /* fmax: two offsets of one line may differ by rounding alone. */
            const double value = bounded(&m->spec, fmax(middle + offset, below));
            answer->values[j * count + q] = below = value;
        }
    }
    return true;
}

/* Whether all that is needed of covariates is known; else the answer says what is not. */
static bool covariates_known(const struct model *m, struct forecaster_work *w,
                             const struct column *c, size_t horizon,
                             struct model_answer *answer)
{
    const char *name = NULL;
    size_t steps = 0; /* that somebody who takes covariates serves */
    for (size_t j = 0; c->effect && j < horizon; j++)
        if (candidates[server(m, c, horizon_bucket(j, m->spec.horizon))].covariates)
            steps = j + 1;
    answer->covariates = steps ? effects_mask(&m->effects, c->series) : 0;
    const size_t first =
        steps ? effect_missing(&w->view, c->series, w->origin, steps, &name) : 0;
    if (first == steps)
        return true;
    snprintf(answer->why, sizeof answer->why,
             "covariate %.60s is not known for step %zu of %zu", name, first + 1,
             horizon);
    return false;
}

static void answer_one(const struct model *m, struct forecaster_work *w,
                       const struct column *c, size_t i, size_t horizon,
                       const double *quantiles, size_t count, struct model_answer *answer)
{
    answer->served = c->seen;
    answer->missing = c->missing;
    answer->covariates = 0;
    answer->why[0] = '\0';
    for (int b = 0; b < MODEL_BUCKETS; b++) {
        const int who = server(m, c, b);
        const struct verdict *const v =
            &m->verdicts[c->series * MODEL_BUCKETS + (size_t)b];
        snprintf(answer->candidate[b], sizeof answer->candidate[b], "%s",
                 candidates[who].name);
        answer->skill[b] = who == v->champion ? v->skill : (double)NAN;
    }
    if (!answer->served)
        snprintf(answer->why, sizeof answer->why,
                 "no value in the last %zu steps, one is needed", w->tail);
    else if (!covariates_known(m, w, c, horizon, answer))
        answer->served = false;
    else if (!fill_values(m, w, c, i, horizon, quantiles, count, answer)) {
        answer->served = false;
        snprintf(answer->why, sizeof answer->why, "the forecast is not a finite number");
    }
}

static int check_request(const struct model *m, const struct grid *tail, size_t horizon,
                         const double *quantiles, size_t count, struct err *err)
{
    if (horizon < 1 || horizon > m->spec.horizon)
        return err_set(err, ERR_INVALID, "horizon: must be 1..%zu, got %zu",
                       m->spec.horizon, horizon);
    if (count < 1 || count > MODEL_QUANTILES_MAX)
        return err_set(err, ERR_INVALID, "quantiles: must be 1..%d of them, got %zu",
                       MODEL_QUANTILES_MAX, count);
    for (size_t q = 0; q < count; q++)
        if (!(quantiles[q] > 0) || !(quantiles[q] < 1) ||
            (q > 0 && !(quantiles[q] > quantiles[q - 1])))
            return err_set(err, ERR_INVALID,
                           "quantiles: must ascend inside (0, 1), got %g", quantiles[q]);
    if (tail->step_ms != m->step_ms)
        return err_set(err, ERR_INVALID, "step_ms: the model's is %lld, got %lld",
                       (long long)m->step_ms, (long long)tail->step_ms);
    return 0;
}

void forecaster_go_on(struct forecaster_work *work, const void *const *states,
                      size_t behind)
{
    work->states = states;
    work->behind = behind;
}

/* What a tail holds is believed. */
static int forecast(const struct model *model, struct forecaster_work *work,
                    const struct grid *tail, size_t rows, size_t horizon,
                    const double *quantiles, size_t quantile_count,
                    struct model_answer *answers, struct err *err)
{
    const bool joint = model->spec.group == GROUP_JOINT;
    if (effect_view_init(&work->view, &model->effects, tail, model->spec.horizon, err))
        return -1;
    struct column *const columns = mem_try(tail->cols, sizeof *columns);
    if (!columns) {
        effect_view_fini(&work->view);
        return err_set(err, ERR_NO_MEMORY, "forecast: no memory for %zu series",
                       tail->cols);
    }
    for (size_t i = 0; i < tail->cols; i++)
        columns[i] = look_up(model, work, tail, i, rows);
    work->raw.rows = work->less.rows = work->z.rows = rows;
    work->origin = tail->rows;
    work->z.first_step = panel_first_step(tail) + (int64_t)(tail->rows - rows);
    if (work->has_network && joint)
        run_network_joint(model, work, tail, columns);
    for (size_t from = 0; from < tail->cols; from += CHUNK) {
        const size_t rest = tail->cols - from, count = rest < CHUNK ? rest : CHUNK;
        run_simple(model, work, tail, columns + from, count);
        if (work->has_network && !joint)
            run_network_each(model, work, tail, columns + from, count);
        for (size_t i = 0; i < count; i++)
            answer_one(model, work, &columns[from + i], i, horizon, quantiles,
                       quantile_count, &answers[from + i]);
    }
    free(columns);
    effect_view_fini(&work->view);
    work->states = NULL;
    return 0;
}

int model_forecast(const struct model *model, struct forecaster_work *work,
                   const struct grid *tail, size_t horizon, const double *quantiles,
                   size_t quantile_count, struct model_answer *answers, struct err *err)
{
    const size_t rows = tail->rows < work->rows ? tail->rows : work->rows;
    struct grid believed;
    if (check_request(model, tail, horizon, quantiles, quantile_count, err) ||
        believe(model, tail, rows, &believed, err))
        return -1;
    const int rc = forecast(model, work, &believed, rows, horizon, quantiles,
                            quantile_count, answers, err);
    free(believed.values);
    return rc;
}
