/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * serving_calibrate(): bands that adapt by the residuals of issued forecasts.
 *
 * Issues of the model that serves, of the last HORIZONS horizons, are laid beside what
 * has come.  In each bucket of the horizon and on each side of the median the factor is
 * that of band_stretch_fit() at the outermost quantile of which so much can be told.
 * Nothing but the ledger and samples goes in: whoever has both can work it out again.
 *
 * Targets that overlap say little new.  How little is found on the data: each horizon of
 * issues is checked by the factor from all others, over many series, and the least
 * cautious rank that would have held its share is taken (looks below).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/calibration.h"
#include "api/matured.h"
#include "api/serving.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    HORIZONS = 10,
    ISSUES_MOST = 96,
    ISSUES_LEAST = 8,
    RATIOS_MOST = 4 << 20, /* of one side; more are thinned out by whole issues */
    SERIES_CHECKED = 64,
    PAUSES = 2, /* calibrations within a horizon */
};

/* How many targets are independent in a length of the bucket's end: all of them, or fewer,
 * down to what the judgement of a model supposes (model/follow.h). */
static const double looks[] = {1e9, 64, 32, 16, 8, 4};
enum { LOOKS = sizeof looks / sizeof *looks };

/* By less than this a factor is not worth a new calibration. */
static const float change_least = 1.1F;

enum { BELOW, ABOVE, SIDES };

struct ratios {
    struct band_ratio *at;
    size_t count, room;
};

struct line {
    char *name;
    struct ratios ratios[MODEL_BUCKETS][SIDES];
};

struct fit {
    struct store *store;
    const struct served *served;
    int64_t now_ms;
    size_t issues, quantile_count, steps;
    int64_t first_ms;
    size_t blocks;                 /* horizons that issues lie in */
    double lengths[MODEL_BUCKETS]; /* of the bucket's end, that have passed */
    double independent[MODEL_BUCKETS][SIDES];
    size_t edge[MODEL_BUCKETS][SIDES]; /* which quantile; SIZE_MAX: none */
    size_t count;
    struct line *lines;       /* sorted by name */
    struct calibration older; /* that the issue at hand names */
};

static void fit_fini(struct fit *fit)
{
    for (size_t i = 0; i < fit->count; i++) {
        free(fit->lines[i].name);
        for (size_t b = 0; b < MODEL_BUCKETS; b++)
            for (size_t side = 0; side < SIDES; side++)
                free(fit->lines[i].ratios[b][side].at);
    }
    free(fit->lines);
    calibration_fini(&fit->older);
}

/* ---- collecting ---------------------------------------------------------------------- */

/* The share that should lie on the inner side of a quantile. */
static double inner_share(double quantile, size_t side)
{
    return side == BELOW ? 1 - quantile : quantile;
}

/* The first issue says how much can be told of what. */
static void begin(struct fit *fit, const struct matured_issue *issue)
{
    const struct store_issued *const one = issue->issued;
    const size_t Q = one->quantile_count;
    fit->quantile_count = Q;
    fit->steps = one->steps;
    fit->first_ms = one->first_ms;
    for (int b = 0; b < MODEL_BUCKETS; b++) {
        const double lengths =
            (double)(fit->now_ms - one->first_ms) /
            (double)(one->step_ms * (int64_t)horizon_end(one->steps, b));
        fit->lengths[b] = lengths;
        for (size_t side = 0; side < SIDES; side++) {
            fit->edge[b][side] = SIZE_MAX;
            for (size_t i = 0; i < Q && fit->edge[b][side] == SIZE_MAX; i++) {
                const size_t q = side == BELOW ? i : Q - 1 - i;
                const double p = inner_share(one->quantiles[q], side);
                if (p > 0.5 && q != issued_median(one) &&
                    band_stretch_knows(looks[LOOKS - 1] * lengths, p))
                    fit->edge[b][side] = q;
            }
        }
    }
}

static struct line *line_of(struct fit *fit, const char *name)
{
    size_t from = 0, to = fit->count;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        const int order = strcmp(fit->lines[middle].name, name);
        if (order == 0)
            return &fit->lines[middle];
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    fit->lines = mem_resize(fit->lines, fit->count + 1, sizeof *fit->lines);
    memmove(fit->lines + from + 1, fit->lines + from,
            (fit->count++ - from) * sizeof *fit->lines);
    fit->lines[from] = (struct line){.name = mem_text(name)};
    return &fit->lines[from];
}

/* An edge on the median says nothing of how far it should lie from it. */
static void add_ratio(struct ratios *ratios, size_t block, double actual, double median,
                      double edge, float stretch)
{
    const double width = edge - median;
    if (width == 0)
        return;
    if (ratios->count == ratios->room) {
        ratios->room = ratios->room ? 2 * ratios->room : 64;
        ratios->at = mem_resize(ratios->at, ratios->room, sizeof *ratios->at);
    }
    ratios->at[ratios->count++] = (struct band_ratio){
        stretch * (float)((actual - median) / width), (uint16_t)block};
}

static void add_series(struct fit *fit, const struct matured_issue *issue, size_t i)
{
    static const struct band_stretch none = {.below = {1, 1, 1, 1},
                                             .above = {1, 1, 1, 1}};
    const struct store_issued *const one = &issue->issued[i];
    const struct grid *const grid = issue->grid;
    const struct band_stretch *const own = calibration_find(&fit->older, one->series);
    const struct band_stretch *const stretch = own ? own : &none;
    const size_t Q = one->quantile_count, middle = issued_median(one);
    struct line *const line = line_of(fit, one->series);
    for (size_t j = 0; j < issue->come; j++) {
        const float *const values = one->values + j * Q;
        const double actual =
            grid->values[(issue->origin + j) * grid->cols + issue->column[i]];
        const int b = horizon_bucket(j, one->steps);
        for (size_t side = 0; !isnan(actual) && side < SIDES; side++)
            if (fit->edge[b][side] != SIZE_MAX)
                add_ratio(&line->ratios[b][side], fit->blocks - 1, actual,
                          (double)values[middle], (double)values[fit->edge[b][side]],
                          (side == BELOW ? stretch->below : stretch->above)[b]);
    }
}

static int take_older(struct fit *fit, const struct matured_issue *issue, struct err *err)
{
    const int64_t number = issue->issued[0].calibration;
    struct store_calibration stored;
    if (number == fit->older.number)
        return 0;
    calibration_fini(&fit->older);
    if (number == 0)
        return 0;
    if (store_calibration_get(fit->store, fit->served->definition.name, number, &stored,
                              err))
        return -1;
    const int rc = calibration_parse(&stored, &fit->older, err);
    store_calibration_fini(&stored);
    return rc;
}

static int add_issue(void *ctx, const struct matured_issue *issue, struct err *err)
{
    struct fit *const fit = ctx;
    if (issue->come == 0)
        return 0;
    if (fit->issues == 0)
        begin(fit, issue);
    if (issue->issued[0].quantile_count != fit->quantile_count ||
        issue->issued[0].steps != fit->steps)
        return 0;
    if (take_older(fit, issue, err))
        return -1;
    const struct store_issued *const one = issue->issued;
    fit->issues++;
    fit->blocks =
        (size_t)((one->first_ms - fit->first_ms) / (one->step_ms * (int64_t)one->steps)) +
        1;
    for (size_t i = 0; i < issue->count; i++)
        if (issue->column[i] != SIZE_MAX)
            add_series(fit, issue, i);
    return 0;
}

/* ---- the factors ---------------------------------------------------------------------- */

static double share_of(const struct fit *fit, size_t b, size_t side)
{
    return inner_share(fit->served->definition.quantiles[fit->edge[b][side]], side);
}

/* Whether these looks would have held their share: block by block, over many series. */
static bool holds(const struct fit *fit, size_t b, size_t side, double independent)
{
    const size_t stride = (fit->count + SERIES_CHECKED - 1) / SERIES_CHECKED;
    double inside = 0, all = 0;
    for (size_t i = 0; i < fit->count; i += stride) {
        const struct ratios *const r = &fit->lines[i].ratios[b][side];
        band_stretch_check(r->at, r->count, fit->blocks, independent,
                           share_of(fit, b, side), &inside, &all);
    }
    return all > 0 && inside >= share_of(fit, b, side) * all;
}

/* Sorts the ratios on the way. */
static void choose_looks(struct fit *fit)
{
    for (size_t b = 0; b < MODEL_BUCKETS; b++)
        for (size_t side = 0; side < SIDES; side++) {
            if (fit->edge[b][side] == SIZE_MAX)
                continue;
            for (size_t i = 0; i < fit->count; i++)
                band_stretch_sort(fit->lines[i].ratios[b][side].at,
                                  fit->lines[i].ratios[b][side].count);
            size_t l = 0;
            while (l + 1 < LOOKS && !holds(fit, b, side, looks[l] * fit->lengths[b]))
                l++;
            fit->independent[b][side] = looks[l] * fit->lengths[b];
        }
}

/* In thousandths: what is stored is to be short. */
static float factor_of(const struct fit *fit, struct line *line, size_t b, size_t side)
{
    struct ratios *const ratios = &line->ratios[b][side];
    if (fit->edge[b][side] == SIZE_MAX || ratios->count == 0)
        return 1;
    const float factor = band_stretch_fit(
        ratios->at, ratios->count, fit->independent[b][side], share_of(fit, b, side));
    return roundf(1000 * factor) / 1000;
}

/* Series whose bands are as judged are left out.  Names are taken over. */
static void work_out(struct fit *fit, struct calibration *out)
{
    out->names = mem_new(fit->count, sizeof *out->names);
    out->stretch = mem_new(fit->count, sizeof *out->stretch);
    for (size_t i = 0; i < fit->count; i++) {
        struct band_stretch *const stretch = &out->stretch[out->count];
        bool any = false;
        for (size_t b = 0; b < MODEL_BUCKETS; b++) {
            stretch->below[b] = factor_of(fit, &fit->lines[i], b, BELOW);
            stretch->above[b] = factor_of(fit, &fit->lines[i], b, ABOVE);
            any = any || stretch->below[b] != 1 || stretch->above[b] != 1;
        }
        if (!any)
            continue;
        out->names[out->count++] = fit->lines[i].name;
        fit->lines[i].name = NULL;
    }
}

static bool apart(float a, float b)
{
    return a > b * change_least || b > a * change_least;
}

static bool differs(const struct calibration *a, const struct calibration *b)
{
    static const struct band_stretch none = {.below = {1, 1, 1, 1},
                                             .above = {1, 1, 1, 1}};
    for (size_t i = 0; i < a->count; i++) {
        const struct band_stretch *const x = &a->stretch[i],
                                         *const found = calibration_find(b, a->names[i]),
                                         *const y = found ? found : &none;
        for (size_t k = 0; k < MODEL_BUCKETS; k++)
            if (apart(x->below[k], y->below[k]) || apart(x->above[k], y->above[k]))
                return true;
    }
    return false;
}

static int append(const struct fit *fit, const struct calibration *c, struct err *err)
{
    const struct served *const served = fit->served;
    json_t *const json =
        json_pack("{s:I, s:I, s:o}", "from", (json_int_t)fit->first_ms, "issues",
                  (json_int_t)fit->issues, "series", calibration_series(c));
    int64_t number = 0;
    const struct store_calibration row = {
        .revision = served->revision,
        .model_id = served->model_id,
        .made_ms = fit->now_ms,
        .body = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(5)),
    };
    const int rc =
        store_calibration_append(fit->store, served->definition.name, &row, &number, err);
    if (rc == 0)
        log_debug("bands adapt forecaster=%s calibration=%lld model=%lld series=%zu "
                  "issues=%zu",
                  served->definition.name, (long long)number, (long long)served->model_id,
                  c->count, fit->issues);
    free(row.body);
    json_decref(json);
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------ */

static size_t issues_most(const struct served *served)
{
    const size_t series = model_series(served->model);
    const size_t each = served->definition.spec.horizon * (series ? series : 1);
    const size_t room = RATIOS_MOST / each;
    return room > ISSUES_MOST ? ISSUES_MOST : room < ISSUES_LEAST ? ISSUES_LEAST : room;
}

static int calibrate(struct serving *s, const struct served *served, struct err *err)
{
    const struct forecaster *const f = &served->definition;
    const int64_t horizon_ms = (int64_t)f->spec.horizon * f->step_ms;
    struct fit fit = {
        .store = serving_store(s), .served = served, .now_ms = serving_now_ms(s)};
    if (served->calibration.number &&
        fit.now_ms < served->calibration.made_ms + horizon_ms / PAUSES)
        return 0;
    const struct matured_wish wish = {
        .forecaster = f->name,
        .from_ms = fit.now_ms - HORIZONS * horizon_ms,
        .to_ms = fit.now_ms,
        .as_of_ms = fit.now_ms,
        .revision = served->revision,
        .model_id = served->model_id,
        .most = issues_most(served),
    };
    struct calibration fresh = {0};
    int rc = matured_each(fit.store, &wish, add_issue, &fit, err);
    if (rc == 0) {
        choose_looks(&fit);
        work_out(&fit, &fresh);
    }
    if (rc == 0 && (differs(&fresh, &served->calibration) ||
                    differs(&served->calibration, &fresh))) {
        rc = append(&fit, &fresh, err);
        serving_changed(s, f->name);
    }
    calibration_fini(&fresh);
    fit_fini(&fit);
    return rc;
}

int serving_calibrate(struct serving *s, const char *forecaster, struct err *err)
{
    struct err why = {0};
    struct served *const served = serving_get(s, forecaster, &why);
    if (!served)
        return why.code == ERR_NOT_FOUND || why.code == ERR_CONFLICT
                   ? 0
                   : err_copy(err, &why);
    const int rc = calibrate(s, served, err);
    serving_put(s, served);
    return rc;
}
