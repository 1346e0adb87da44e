/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who serves: the rule of referee.h.
 */
#include "model/referee_inner.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

/* What the fleet says of a pair in a bucket, and how much its series spread. */
struct common {
    struct evidence evidence;
    double spread;
};

/* (PAIRS, MODEL_BUCKETS) of it; infinite margins where there are too few series. */
static void weigh_fleet(const struct referee *r, struct common *out)
{
    struct evidence *const own = mem_new(r->series, sizeof *own);
    for (size_t pair = 0; pair < PAIRS; pair++)
        for (int b = 0; b < MODEL_BUCKETS; b++) {
            const size_t end = horizon_end(r->P, b);
            double rows = 0, heard = 0;
            for (size_t s = 0; s < r->series; s++) {
                const struct duel *const d = duel_at(r, pair, s, b);
                own[s] = duel_weigh(d, end);
                rows = fmax(rows, d->rows);
                heard += isfinite(own[s].margin);
            }
            struct common *const c = &out[pair * MODEL_BUCKETS + (size_t)b];
            c->evidence = fleet_weigh(fleet_at(r, pair, b), rows, end);
            c->spread = fleet_spread(own, r->series, c->evidence.error);
            if (heard < FLEET_LEAST)
                c->evidence.margin = (double)INFINITY;
        }
    free(own);
}

/* How a complex candidate did against a simple one. */
enum outcome { WORSE, BETTER, CLEARLY_BETTER };

static enum outcome outcome_of(struct evidence e)
{
    return e.mean < -e.margin ? CLEARLY_BETTER : e.mean > 0 ? WORSE : BETTER;
}

/* A stranger to a fleet that is too small to speak: as the mean series, supposing that
 * series err together. */
static struct evidence weigh_stranger(const struct referee *r, size_t pair, int bucket)
{
    struct evidence all = {0};
    double heard = 0;
    for (size_t s = 0; s < r->series; s++) {
        const struct evidence e =
            duel_weigh(duel_at(r, pair, s, bucket), horizon_end(r->P, bucket));
        if (isinf(e.margin))
            continue;
        all.mean += e.mean;
        all.margin += e.margin;
        heard += 1;
    }
    if (heard <= 0)
        all.margin = (double)INFINITY;
    return all;
}

/* series may be the row after the last, which speaks for all. */
static enum outcome compare(const struct referee *r, const struct common *fleet,
                            int simple, int complex, size_t series, int bucket)
{
    const size_t pair = pair_of(simple, complex);
    const struct common *const c = &fleet[pair * MODEL_BUCKETS + (size_t)bucket];
    if (series < r->series) {
        const struct evidence own =
            duel_weigh(duel_at(r, pair, series, bucket), horizon_end(r->P, bucket));
        return outcome_of(fleet_share(own, c->evidence, c->spread));
    }
    return outcome_of(isinf(c->evidence.margin) ? weigh_stranger(r, pair, bucket)
                                                : c->evidence);
}

static unsigned char decide(const struct referee *r, const struct common *fleet,
                            unsigned mask, size_t series, int bucket)
{
    int champion = -1;
    for (int c = 0; c < CANDIDATES; c++) {
        if (!(mask >> c & 1))
            continue;
        bool displaces = true;
        for (int simple = 0; simple < c; simple++)
            if (mask >> simple & 1)
                displaces &= compare(r, fleet, simple, c, series, bucket) >=
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
    struct common fleet[PAIRS * MODEL_BUCKETS];
    weigh_fleet(referee, fleet);
    for (size_t s = 0; s <= referee->series; s++)
        for (int b = 0; b < MODEL_BUCKETS; b++) {
            struct verdict *const v = &out[s * MODEL_BUCKETS + (size_t)b];
            v->champion = decide(referee, fleet, mask, s, b);
            v->fallback = decide(referee, fleet, untrained ? untrained : mask, s, b);
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
