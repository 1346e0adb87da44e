/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/referee.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "model/student.h"

enum {
    PAIRS = CANDIDATES * (CANDIDATES - 1) / 2,
    BLOCK_CELLS = 1 << 18, /* forecast values of one candidate at a time */
    KEPT_CELLS = 1 << 23,  /* residuals of one candidate over all series */
    KEPT_MIN = 32,
    EVERYONE_KEPT = 512, /* residuals of a step that stand for all series */
};

static const double standard_errors = 2, least_observations = 3;

/* Neighbouring stretches share targets: where correlation falls linearly to nothing
 * over the horizon, the variance of a stretch's mean is two thirds of what counts. */
static const double shared = 1.5;

/* Number of the pair (simple, complex), simple < complex. */
static size_t pair_of(int simple, int complex)
{
    return (size_t)(complex * (complex - 1) / 2 + simple);
}

static struct duel *duel_at(const struct referee *r, size_t pair, size_t series,
                            int bucket)
{
    return &r->duels[(pair * r->series + series) * MODEL_BUCKETS + (size_t)bucket];
}

static struct score *score_at(const struct referee *r, int candidate, size_t series,
                              int bucket)
{
    return &r->scores[((size_t)candidate * r->series + series) * MODEL_BUCKETS +
                      (size_t)bucket];
}

static float *residuals_at(const struct referee *r, int candidate, size_t series)
{
    return r->residuals +
           ((size_t)candidate * r->series + series) * r->kept_max * r->knots;
}

const float *referee_residuals(const struct referee *referee, int candidate,
                               size_t series)
{
    return residuals_at(referee, candidate, series);
}

int referee_init(struct referee *referee, const struct panel *panel, size_t P,
                 struct err *err)
{
    const size_t S = panel->cols, knots = bands_knots(P);
    size_t kept = KEPT_CELLS / (S * knots);
    kept = kept < KEPT_MIN ? KEPT_MIN : kept > REFEREE_KEPT_MAX ? REFEREE_KEPT_MAX : kept;
    const size_t cells = CANDIDATES * S * kept * knots;
    *referee = (struct referee){
        .panel = panel,
        .P = P,
        .series = S,
        .knots = knots,
        .kept_max = kept,
        .duels = mem_try(PAIRS * S * MODEL_BUCKETS, sizeof *referee->duels),
        .scores = mem_try(CANDIDATES * S * MODEL_BUCKETS, sizeof *referee->scores),
        .residuals = mem_try(cells, sizeof *referee->residuals),
        .kept = mem_new(S, sizeof *referee->kept),
    };
    if (referee->duels && referee->scores && referee->residuals)
        return 0;
    referee_fini(referee);
    return err_set(err, ERR_NO_MEMORY, "referee: no memory for %zu series", S);
}

void referee_fini(struct referee *referee)
{
    free(referee->duels);
    free(referee->scores);
    free(referee->residuals);
    free(referee->kept);
    *referee = (struct referee){0};
}

/* ---- hearing ----------------------------------------------------------------------- */

/* One call of referee_hear(). */
struct hearing {
    struct referee *referee;
    const struct panel *panel;
    unsigned mask, what;
    double stride;         /* rows between origins */
    double *y[CANDIDATES]; /* (block, P, W) */
    double *offset;        /* (candidate, series, P, METRIC_QUANTILES) */
};

/* Point errors of one origin and series in one bucket. */
struct tally {
    double absolute, square, count;
};

/* What the bands of one candidate said of one actual. */
static void hear_band(const struct hearing *h, int c, size_t s, size_t j, double y,
                      double z, struct score *score)
{
    const struct referee *const r = h->referee;
    const double sd = h->panel->sd[s], mean = h->panel->mean[s];
    const double *const offset =
        h->offset + (((size_t)c * r->series + s) * r->P + j) * METRIC_QUANTILES;
    double quantiles[METRIC_QUANTILES];
    for (int k = 0; k < METRIC_QUANTILES; k++)
        quantiles[k] = (y + offset[k]) * sd + mean;
    score_band(score, quantiles, z * sd + mean);
}

/* Rows up to the end of a bucket: the length of a stretch. */
static size_t bucket_end(size_t P, int bucket)
{
    const size_t part = (size_t)8 >> bucket; /* cut at 1/8, 1/4, 1/2 and the end */
    return (P + part - 1) / part;
}

static void close_stretch(struct duel *d)
{
    d->count += d->open;
    d->sum += d->open_sum;
    d->squares += d->open_sum * d->open_sum;
    d->products += d->open_sum * d->open;
    d->sizes += d->open * d->open;
    d->open = d->open_sum = 0;
}

/* The origins of a series come in order of time. */
static void add_difference(struct duel *d, double difference, size_t row, size_t end,
                           double stride)
{
    if (d->open > 0 && row >= d->open_row + end)
        close_stretch(d);
    if (d->open <= 0)
        d->open_row = row;
    d->open += 1;
    d->open_sum += difference;
    d->rows += stride;
}

static void add_duels(const struct hearing *h, size_t s, size_t row,
                      const struct tally tally[CANDIDATES][MODEL_BUCKETS])
{
    for (int c = 1; c < CANDIDATES; c++)
        for (int simple = 0; simple < c; simple++) {
            if (!(h->mask >> c & 1) || !(h->mask >> simple & 1))
                continue;
            for (int b = 0; b < MODEL_BUCKETS; b++) {
                const struct tally *const x = &tally[c][b], *const y = &tally[simple][b];
                if (x->count <= 0 || y->count <= 0)
                    continue;
                const double d = x->absolute / x->count - y->absolute / y->count;
                add_difference(duel_at(h->referee, pair_of(simple, c), s, b), d, row,
                               bucket_end(h->referee->P, b), h->stride);
            }
        }
}

/* Series s at the origin `row`: forecasts y[c] + at, W apart. */
static void hear_series(const struct hearing *h, size_t s, size_t row, size_t at,
                        size_t W)
{
    const struct referee *const r = h->referee;
    const double *const z = h->panel->z + row * h->panel->cols + s;
    struct tally tally[CANDIDATES][MODEL_BUCKETS] = {0};
    for (int c = 0; c < CANDIDATES; c++) {
        if (!(h->mask >> c & 1))
            continue;
        const double *const y = h->y[c] + at;
        for (size_t j = 0; j < r->P; j++) {
            const double actual = z[j * h->panel->cols], e = y[j * W] - actual;
            if (isnan(e))
                continue;
            const int bucket = horizon_bucket(j, r->P);
            struct tally *const t = &tally[c][bucket];
            t->absolute += fabs(e);
            t->square += e * e;
            t->count += 1;
            if (h->what & HEAR_BANDS)
                hear_band(h, c, s, j, y[j * W], actual, score_at(r, c, s, bucket));
        }
        for (int b = 0; h->what & HEAR_SCORE && b < MODEL_BUCKETS; b++) {
            const struct tally *const t = &tally[c][b];
            score_add(score_at(r, c, s, b), &(struct score){.count = t->count,
                                                            .absolute = t->absolute,
                                                            .square = t->square});
        }
    }
    if (h->what & HEAR_DUEL)
        add_duels(h, s, row, tally);
}

static void keep_series(const struct hearing *h, size_t s, size_t slot, size_t at,
                        size_t W, const double *z)
{
    const struct referee *const r = h->referee;
    for (int c = 0; c < CANDIDATES; c++) {
        float *const out = residuals_at(r, c, s) + slot * r->knots;
        for (size_t k = 0; k < r->knots; k++) {
            const size_t j = bands_step(k, r->P);
            out[k] = h->mask >> c & 1
                         ? (float)(z[j * h->panel->cols] - h->y[c][at + j * W])
                         : NAN;
        }
    }
}

/* The last of each of `kept` equal shares of n origins is kept, in its share's place. */
static bool kept_slot(size_t index, size_t n, size_t kept, size_t *slot)
{
    const size_t share = (index + 1) * kept / n;
    *slot = share - 1;
    return share != index * kept / n;
}

/* Origins [from, to) of one group of series, in blocks. */
static int hear_group(const struct hearing *h, const struct candidate_task *task,
                      const struct origin *at, size_t count, size_t block,
                      struct pulse *pulse, struct err *err)
{
    struct referee *const r = h->referee;
    const size_t W = h->panel->width, cols = h->panel->cols;
    const size_t kept = count < r->kept_max ? count : r->kept_max;
    for (size_t s = at->col; h->what & HEAR_KEEP && s < at->col + W; s++)
        r->kept[s] = kept;

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
            size_t slot;
            const bool keep =
                h->what & HEAR_KEEP && kept_slot(done + i, count, kept, &slot);
            const struct origin o = at[done + i];
            for (size_t c = 0; c < W; c++) {
                const double *const z = h->panel->z + o.row * cols + o.col + c;
                hear_series(h, o.col + c, o.row, i * r->P * W + c, W);
                if (keep)
                    keep_series(h, o.col + c, slot, i * r->P * W + c, W, z);
            }
        }
        pulse->now.step += n;
        if (pulse_beat(pulse, false, err))
            return -1;
    }
    return 0;
}

/* The offsets of every candidate, series and step at the metric's quantiles. */
static void fill_offsets(struct hearing *h)
{
    const struct referee *const r = h->referee;
    double *out = h->offset;
    for (int c = 0; c < CANDIDATES; c++)
        for (size_t s = 0; s < r->series; s++)
            for (size_t j = 0; j < r->P; j++)
                for (int k = 0; k < METRIC_QUANTILES; k++)
                    *out++ = h->mask >> c & 1
                                 ? bands_offset(&r->bands[c], s, j, metric_quantile(k))
                                 : 0;
}

static int hearing_init(struct hearing *h, size_t block, struct err *err)
{
    const struct referee *const r = h->referee;
    bool ok = true;
    for (int c = 0; c < CANDIDATES; c++)
        if (h->mask >> c & 1)
            ok &=
                (h->y[c] = mem_try(block * r->P * h->panel->width, sizeof(double))) != 0;
    if (h->what & HEAR_BANDS) {
        h->offset =
            mem_try(CANDIDATES * r->series * r->P, METRIC_QUANTILES * sizeof(double));
        ok &= h->offset != NULL;
        if (ok)
            fill_offsets(h);
    }
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
    free(h.offset);
    return rc;
}

/* ---- deciding ---------------------------------------------------------------------- */

/* Mean difference, and by how much it must be below zero; infinite when nothing can be
 * said. */
static void weigh(const struct referee *r, size_t pair, size_t series, int bucket,
                  double *mean, double *margin)
{
    struct duel d = *duel_at(r, pair, series, bucket);
    const double end = (double)bucket_end(r->P, bucket);
    close_stretch(&d);
    *mean = d.count > 0 ? d.sum / d.count : 0;
    *margin = (double)INFINITY;
    if (d.count <= 0 || (d.rows + end - 1) / end < least_observations)
        return;
    /* As many stretches of one size would say as much. */
    const double stretches = d.count * d.count / d.sizes, freedom = stretches - 1;
    if (freedom <= 0)
        return;
    const double spread = fmax(d.squares - *mean * (2 * d.products - *mean * d.sizes), 0);
    const double error = sqrt(shared * spread * stretches / freedom) / d.count;
    *margin = student(standard_errors, freedom) * error;
}

/* How a complex candidate did against a simple one. */
enum outcome { WORSE, BETTER, CLEARLY_BETTER };

static enum outcome outcome_of(double mean, double margin)
{
    return mean < -margin ? CLEARLY_BETTER : mean > 0 ? WORSE : BETTER;
}

/* series may be the row after the last, which speaks for all. */
static enum outcome compare(const struct referee *r, int simple, int complex,
                            size_t series, int bucket)
{
    const size_t pair = pair_of(simple, complex);
    double mean = 0, margin = 0;
    if (series < r->series) {
        weigh(r, pair, series, bucket, &mean, &margin);
        return outcome_of(mean, margin);
    }
    double heard = 0;
    for (size_t s = 0; s < r->series; s++) {
        double m, e;
        weigh(r, pair, s, bucket, &m, &e);
        if (isinf(e))
            continue;
        mean += m;
        margin += e;
        heard += 1;
    }
    return outcome_of(mean, heard > 0 ? margin : (double)INFINITY);
}

static unsigned char decide(const struct referee *r, unsigned mask, size_t series,
                            int bucket)
{
    int champion = -1;
    for (int c = 0; c < CANDIDATES; c++) {
        if (!(mask >> c & 1))
            continue;
        bool displaces = true;
        for (int simple = 0; simple < c; simple++)
            if (mask >> simple & 1)
                displaces &= compare(r, simple, c, series, bucket) >=
                             (simple == champion ? CLEARLY_BETTER : BETTER);
        if (champion < 0 || displaces)
            champion = c;
    }
    return (unsigned char)champion;
}

static double skill_of(const struct referee *r, int candidate, size_t series, int bucket)
{
    struct score own = {0}, seasonal = {0};
    const size_t first = series < r->series ? series : 0;
    const size_t past = series < r->series ? series + 1 : r->series;
    for (size_t s = first; s < past; s++) {
        score_add(&own, score_at(r, candidate, s, bucket));
        score_add(&seasonal, score_at(r, CANDIDATE_SEASONAL_NAIVE, s, bucket));
    }
    if (own.count <= 0 || seasonal.count <= 0 || seasonal.absolute <= 0)
        return (double)NAN;
    return 1 - (own.absolute / own.count) / (seasonal.absolute / seasonal.count);
}

void referee_decide(const struct referee *referee, unsigned mask, struct verdict *out)
{
    const unsigned untrained = mask & candidate_untrained();
    for (size_t s = 0; s <= referee->series; s++)
        for (int b = 0; b < MODEL_BUCKETS; b++) {
            struct verdict *const v = &out[s * MODEL_BUCKETS + (size_t)b];
            v->champion = decide(referee, mask, s, b);
            v->fallback = decide(referee, untrained ? untrained : mask, s, b);
        }
}

void referee_skills(const struct referee *referee, struct verdict *verdicts)
{
    for (size_t s = 0; s <= referee->series; s++)
        for (int b = 0; b < MODEL_BUCKETS; b++) {
            struct verdict *const v = &verdicts[s * MODEL_BUCKETS + (size_t)b];
            v->skill = skill_of(referee, v->champion, s, b);
        }
}

/* ---- bands and figures ------------------------------------------------------------- */

/* Residuals of all series, evenly thinned, as those of one. */
static void fit_everyone(const struct referee *r, int candidate, double from, double to,
                         struct bands *bands)
{
    size_t each = EVERYONE_KEPT / r->series;
    each = each ? each : 1;
    float *const pool = mem_new(r->series * each * r->knots, sizeof *pool);
    size_t n = 0;
    for (size_t s = 0; s < r->series; s++) {
        const size_t first = (size_t)(from * (double)r->kept[s]);
        const size_t past = (size_t)(to * (double)r->kept[s]);
        const size_t have = past - first, take = have < each ? have : each;
        for (size_t i = 0; i < take; i++, n++)
            memcpy(pool + n * r->knots,
                   residuals_at(r, candidate, s) +
                       (first + (i + 1) * have / take - 1) * r->knots,
                   r->knots * sizeof *pool);
    }
    bands_fit(bands, r->series, pool, n, 1);
    free(pool);
}

int referee_bands(const struct referee *referee, int candidate, double from, double to,
                  const double *scale, struct bands *bands, struct err *err)
{
    const struct referee *const r = referee;
    if (bands_init(bands, r->series + 1, r->P, err))
        return -1;
    fit_everyone(r, candidate, from, to, bands);
    const size_t row = bands->knots * BANDS_LEVELS;
    for (size_t s = 0; s < r->series; s++) {
        const size_t first = (size_t)(from * (double)r->kept[s]);
        const size_t past = (size_t)(to * (double)r->kept[s]);
        const double unit = scale ? scale[s] : 1;
        const float *const own = residuals_at(r, candidate, s) + first * r->knots;
        if (bands_fit(bands, s, own, past - first, unit) > 0)
            continue;
        for (size_t i = 0; i < row; i++)
            bands->offset[s * row + i] =
                (float)(unit * (double)bands->offset[r->series * row + i]);
    }
    return 0;
}

/* The champion's scores: of whoever serves each series and bucket. */
static struct score *champion_scores(const struct referee *r,
                                     const struct verdict *verdicts)
{
    struct score *const out = mem_new(r->series * MODEL_BUCKETS, sizeof *out);
    for (size_t i = 0; i < r->series * MODEL_BUCKETS; i++)
        out[i] = *score_at(r, verdicts[i].champion, i / MODEL_BUCKETS,
                           (int)(i % MODEL_BUCKETS));
    return out;
}

static size_t add_rows(const struct referee *r, const char *name,
                       const struct score *scores, const double *scale, double seconds,
                       struct model_figure *figures)
{
    size_t n = 0;
    struct score *const whole = mem_new(r->series, sizeof *whole);
    for (int b = 0; b <= MODEL_BUCKETS; b++) {
        struct model_figure figure = {.bucket = b < MODEL_BUCKETS ? b : -1,
                                      .seconds = seconds};
        snprintf(figure.candidate, sizeof figure.candidate, "%s", name);
        if (b < MODEL_BUCKETS)
            score_figure(&figure, scores + b, r->series, MODEL_BUCKETS, scale);
        else
            score_figure(&figure, whole, r->series, 1, scale);
        for (size_t s = 0; b < MODEL_BUCKETS && s < r->series; s++)
            score_add(&whole[s], &scores[s * MODEL_BUCKETS + (size_t)b]);
        if (!isnan(figure.mse))
            figures[n++] = figure; /* a short horizon has empty buckets */
    }
    free(whole);
    return n;
}

size_t referee_figures(const struct referee *referee, unsigned mask,
                       const struct verdict *verdicts, const double *scale,
                       struct model_figure *figures)
{
    size_t n = 0;
    double seconds = 0;
    for (int c = 0; c < CANDIDATES; c++)
        if (mask >> c & 1) {
            n += add_rows(referee, candidates[c].name, score_at(referee, c, 0, 0), scale,
                          referee->seconds[c], figures + n);
            seconds += referee->seconds[c];
        }
    struct score *const champion = champion_scores(referee, verdicts);
    n += add_rows(referee, "champion", champion, scale, seconds, figures + n);
    free(champion);
    return n;
}
