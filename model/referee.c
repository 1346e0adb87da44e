/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/referee_inner.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/time.h"
#include "model/spread.h"

enum {
    BLOCK_CELLS = 1 << 18, /* forecast values of one candidate at a time */
    KEPT_CELLS = 1 << 21,  /* residuals of one candidate over all series */
    KEPT_MIN = 32,
    KEPT_MAX = 256,
};

static bool follow_all(struct referee *r, size_t season, size_t trained_from)
{
    const size_t rows = r->panel->rows;
    size_t kept = KEPT_CELLS / (r->series * r->knots);
    kept = kept < KEPT_MIN ? KEPT_MIN : kept > KEPT_MAX ? KEPT_MAX : kept;
    for (int c = 0; c < CANDIDATES; c++) {
        const size_t span = candidates[c].trained ? rows - trained_from : rows;
        const size_t spacing = follow_spacing(span, r->P, season, kept);
        for (size_t s = 0; s < r->series; s += r->panel->width)
            follow_common_init(common_at(r, c, s), r->panel->width);
        for (size_t s = 0; s < r->series; s++)
            if (!follow_init(follow_at(r, c, s), common_at(r, c, s), r->P, kept, spacing))
                return false;
    }
    return true;
}

int referee_init(struct referee *referee, const struct panel *panel, size_t P,
                 size_t season, size_t trained_from, struct err *err)
{
    const size_t S = panel->cols;
    *referee = (struct referee){
        .panel = panel,
        .P = P,
        .series = S,
        .knots = bands_knots(P),
        .spread_rows = spread_rows(season, P),
        .duels = mem_try(PAIRS * S * MODEL_BUCKETS, sizeof *referee->duels),
        .fleets = mem_try(PAIRS * MODEL_BUCKETS, sizeof *referee->fleets),
        .unit = mem_new(S, sizeof *referee->unit),
        .scores = mem_try(CANDIDATES * S * MODEL_BUCKETS, sizeof *referee->scores),
        .follow = mem_try(CANDIDATES * S, sizeof *referee->follow),
        .common = mem_new(CANDIDATES * S / panel->width, sizeof *referee->common),
    };
    for (size_t s = 0; s < S; s++) {
        const double error = seasonal_error(panel, s, trained_from, season);
        referee->unit[s] = error > 0 ? error : 1;
    }
    if (referee->duels && referee->fleets && referee->scores && referee->follow &&
        follow_all(referee, season, trained_from))
        return 0;
    referee_fini(referee);
    return err_set(err, ERR_NO_MEMORY, "referee: no memory for %zu series", S);
}

void referee_fini(struct referee *referee)
{
    for (size_t i = 0; referee->follow && i < CANDIDATES * referee->series; i++)
        follow_fini(&referee->follow[i]);
    free(referee->duels);
    free(referee->fleets);
    free(referee->unit);
    free(referee->scores);
    free(referee->follow);
    free(referee->common);
    *referee = (struct referee){0};
}

/* ---- hearing ----------------------------------------------------------------------- */

/* Where a step of the horizon lies between two knots. */
struct place {
    size_t left, right;
    double share; /* of the right one */
};

/* One call of referee_hear(). */
struct hearing {
    struct referee *referee;
    const struct panel *panel;
    unsigned mask, what;
    double stride;         /* rows between origins */
    double *y[CANDIDATES]; /* (block, P, W) */
    struct place *place;   /* (P) */
    int level[METRIC_QUANTILES];
    /* Of one origin: */
    double spread;
    double offset[BANDS_KNOTS_MAX][METRIC_QUANTILES];
};

/* Point errors of one origin and series in one bucket. */
struct tally {
    double absolute, square, count;
};

/* What the bands of one candidate said of one actual. */
static void hear_band(const struct hearing *h, size_t s, size_t j, double y, double z,
                      struct score *score)
{
    const double sd = h->panel->sd[s], mean = h->panel->mean[s];
    const struct place *const p = &h->place[j];
    double quantiles[METRIC_QUANTILES];
    for (int k = 0; k < METRIC_QUANTILES; k++) {
        const double left = h->offset[p->left][k], right = h->offset[p->right][k];
        quantiles[k] = (y + left + p->share * (right - left)) * sd + mean;
    }
    score_band(score, quantiles, z * sd + mean);
}

static void add_duels(const struct hearing *h, size_t s, size_t row,
                      const struct tally tally[CANDIDATES][MODEL_BUCKETS])
{
    const struct referee *const r = h->referee;
    for (int c = 1; c < CANDIDATES; c++)
        for (int simple = 0; simple < c; simple++) {
            if (!(h->mask >> c & 1) || !(h->mask >> simple & 1))
                continue;
            for (int b = 0; b < MODEL_BUCKETS; b++) {
                const struct tally *const x = &tally[c][b], *const y = &tally[simple][b];
                if (x->count <= 0 || y->count <= 0)
                    continue;
                const double d =
                    (x->absolute / x->count - y->absolute / y->count) / r->unit[s];
                const size_t pair = pair_of(simple, c), end = horizon_end(r->P, b);
                duel_add(duel_at(r, pair, s, b), d, row, end, h->stride);
                fleet_add(fleet_at(r, pair, b), d, row,
                          fleet_stretch(r->panel->rows, end));
            }
        }
}

/* The bands of a candidate before the origin `row`. */
static void set_offsets(struct hearing *h, const struct follow *f)
{
    for (size_t k = 0; k < f->knots; k++)
        for (int q = 0; q < METRIC_QUANTILES; q++)
            h->offset[k][q] = h->spread * follow_offset(f, k, h->level[q]);
}

static bool is_ready(const struct hearing *h, const struct follow *f, size_t j)
{
    return follow_ready(f, h->place[j].left) && follow_ready(f, h->place[j].right);
}

/* Candidate c: forecasts y, W apart, actuals z, cols apart. */
static void hear_candidate(struct hearing *h, int c, size_t s, const double *y, size_t W,
                           const double *z, const struct follow *f,
                           struct tally tally[MODEL_BUCKETS])
{
    const struct referee *const r = h->referee;
    for (size_t j = 0; j < r->P; j++) {
        const double actual = z[j * h->panel->cols], e = y[j * W] - actual;
        if (isnan(e))
            continue;
        const int bucket = horizon_bucket(j, r->P);
        struct tally *const t = &tally[bucket];
        t->absolute += fabs(e);
        t->square += e * e;
        t->count += 1;
        if (h->what & HEAR_BANDS && is_ready(h, f, j))
            hear_band(h, s, j, y[j * W], actual, score_at(r, c, s, bucket));
    }
    for (int b = 0; h->what & HEAR_SCORE && b < MODEL_BUCKETS; b++)
        score_add(score_at(r, c, s, b), &(struct score){.count = tally[b].count,
                                                        .absolute = tally[b].absolute,
                                                        .square = tally[b].square});
}

/* The residuals of an origin, to be learnt from once they are known. */
static void put_aside(const struct hearing *h, struct follow *f, size_t row,
                      const double *y, size_t W, const double *z)
{
    float residuals[BANDS_KNOTS_MAX];
    for (size_t k = 0; k < f->knots; k++) {
        const size_t j = bands_step(k, f->P);
        residuals[k] = (float)((z[j * h->panel->cols] - y[j * W]) / h->spread);
    }
    follow_add(f, row, residuals);
}

/* In the panel's units. */
static double spread_before(const struct referee *r, size_t s, size_t row)
{
    const size_t cols = r->panel->cols;
    const size_t rows = row < r->spread_rows ? row : r->spread_rows;
    return spread_of(r->panel->z + (row - rows) * cols + s, rows, cols, 1);
}

/* Series s at the origin `row`: forecasts y[c] + at, W apart. */
static void hear_series(struct hearing *h, size_t s, size_t row, size_t at, size_t W)
{
    const struct referee *const r = h->referee;
    const double *const z = h->panel->z + row * h->panel->cols + s;
    struct tally tally[CANDIDATES][MODEL_BUCKETS] = {0};
    if (h->what & (HEAR_FOLLOW | HEAR_BANDS))
        h->spread = spread_before(r, s, row);
    for (int c = 0; c < CANDIDATES; c++) {
        if (!(h->mask >> c & 1))
            continue;
        struct follow *const f = follow_at(r, c, s);
        if (h->what & HEAR_BANDS)
            set_offsets(h, f);
        hear_candidate(h, c, s, h->y[c] + at, W, z, f, tally[c]);
        if (h->what & HEAR_FOLLOW)
            put_aside(h, f, row, h->y[c] + at, W, z);
    }
    if (h->what & HEAR_DUEL)
        add_duels(h, s, row, tally);
}

void referee_mature(struct referee *referee, unsigned mask, size_t col, size_t row)
{
    struct referee *const r = referee;
    for (int c = 0; c < CANDIDATES; c++) {
        if (!(mask >> c & 1))
            continue;
        for (size_t s = col; s < col + r->panel->width; s++)
            follow_mature(follow_at(r, c, s), row);
        follow_settle(common_at(r, c, col));
    }
}

/* Origins of one group of series, in blocks. */
static int hear_group(struct hearing *h, const struct candidate_task *task,
                      const struct origin *at, size_t count, size_t block,
                      struct pulse *pulse, struct err *err)
{
    struct referee *const r = h->referee;
    const size_t W = h->panel->width;
    for (size_t done = 0; done < count; done += block) {
        const size_t n = count - done < block ? count - done : block;
        for (int c = 0; c < CANDIDATES; c++) {
            if (!(h->mask >> c & 1))
                continue;
            const int64_t start = time_monotonic_ms();
            candidate_forecast(c, task, at + done, n, h->y[c]);
            r->seconds[c] += (double)(time_monotonic_ms() - start) / 1000.0;
        }
        for (size_t i = 0; i < n; i++) {
            const struct origin o = at[done + i];
            if (h->what & (HEAR_FOLLOW | HEAR_BANDS))
                referee_mature(r, h->mask, o.col, o.row);
            for (size_t c = 0; c < W; c++)
                hear_series(h, o.col + c, o.row, i * r->P * W + c, W);
        }
        pulse->now.step += n;
        if (pulse_beat(pulse, false, err))
            return -1;
    }
    return 0;
}

static void find_places(struct hearing *h)
{
    const size_t P = h->referee->P, knots = h->referee->knots;
    for (size_t j = 0, k = 0; j < P; j++) {
        while (k + 1 < knots && bands_step(k + 1, P) <= j)
            k++;
        const size_t from = bands_step(k, P);
        h->place[j] = (struct place){k, k, 0};
        if (from < j)
            h->place[j] = (struct place){
                k, k + 1, (double)(j - from) / (double)(bands_step(k + 1, P) - from)};
    }
    for (int q = 0; q < METRIC_QUANTILES; q++)
        h->level[q] = bands_level(metric_quantile(q));
}

static int hearing_init(struct hearing *h, size_t block, struct err *err)
{
    const struct referee *const r = h->referee;
    bool ok = (h->place = mem_try(r->P, sizeof *h->place)) != NULL;
    for (int c = 0; c < CANDIDATES; c++)
        if (h->mask >> c & 1)
            ok &=
                (h->y[c] = mem_try(block * r->P * h->panel->width, sizeof(double))) != 0;
    if (ok)
        find_places(h);
    return ok ? 0 : err_set(err, ERR_NO_MEMORY, "referee: no memory for a hearing");
}

int referee_hear(struct referee *referee, const struct candidate_task *task,
                 const struct windows *windows, size_t stride, unsigned mask,
                 unsigned what, struct pulse *pulse, struct err *err)
{
    struct hearing h = {.referee = referee,
                        .panel = referee->panel,
                        .mask = mask,
                        .what = what,
                        .stride = (double)stride};
    const size_t cells = referee->P * referee->panel->width;
    const size_t block = BLOCK_CELLS / cells ? BLOCK_CELLS / cells : 1;
    int rc = hearing_init(&h, block, err);
    for (size_t from = 0, to; rc == 0 && from < windows->count; from = to) {
        to = from + 1;
        while (to < windows->count && windows->at[to].col == windows->at[from].col)
            to++;
        rc = hear_group(&h, task, windows->at + from, to - from, block, pulse, err);
    }
    for (int c = 0; c < CANDIDATES; c++)
        free(h.y[c]);
    free(h.place);
    return rc;
}
