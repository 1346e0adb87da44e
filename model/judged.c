/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a referee heard, as bands and as figures.
 */
#include "model/referee_inner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { EVERYONE_KEPT = 512 }; /* residuals of a step that stand for all series */

double referee_coverage(const struct referee *referee, int candidate, size_t series,
                        int bucket)
{
    const struct score *const s = score_at(referee, candidate, series, bucket);
    return s->band_count > 0 ? s->covered / s->band_count : (double)NAN;
}

/* Residuals of all series, evenly thinned, as those of one, with the mean of what the
 * series' bands were widened by. */
static void fit_everyone(const struct referee *r, int candidate, struct bands *bands)
{
    size_t each = EVERYONE_KEPT / r->series;
    each = each ? each : 1;
    float *const pool = mem_new(r->series * each * r->knots, sizeof *pool);
    double widening[MODEL_BUCKETS] = {0}, heard = 0;
    size_t n = 0;
    for (size_t s = 0; s < r->series; s++) {
        const struct follow *const f = follow_at(r, candidate, s);
        const size_t have = f->begun < f->kept ? f->begun : f->kept;
        const size_t take = have < each ? have : each;
        for (size_t i = 0; i < take; i++, n++)
            memcpy(pool + n * r->knots,
                   f->residuals + ((i + 1) * have / take - 1) * r->knots,
                   r->knots * sizeof *pool);
        for (int b = 0; have && b < MODEL_BUCKETS; b++)
            widening[b] += f->widening[b] + f->common->widening[b];
        heard += have > 0;
    }
    bands_fit(bands, r->series, pool, n, 1);
    free(pool);
    float *out = bands->offset + r->series * r->knots * BANDS_LEVELS;
    for (size_t k = 0; heard > 0 && k < r->knots; k++) {
        const int b = horizon_bucket(bands_step(k, r->P), r->P);
        for (int l = 0; l < BANDS_LEVELS; l++)
            *out++ *= (float)exp(widening[b] / heard);
    }
}

int referee_bands(struct referee *referee, int candidate, const double *scale,
                  struct bands *bands, struct err *err)
{
    struct referee *const r = referee;
    if (bands_init(bands, r->series + 1, r->P, err))
        return -1;
    for (size_t s = 0; s < r->series; s += r->panel->width)
        referee_mature(r, 1u << candidate, s, r->panel->rows);
    fit_everyone(r, candidate, bands);
    const size_t row = bands->knots * BANDS_LEVELS;
    for (size_t s = 0; s < r->series; s++) {
        const double unit = scale ? scale[s] : 1;
        if (follow_bands(follow_at(r, candidate, s), bands, s, unit))
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
