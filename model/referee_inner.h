/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * referee_inner.h -- where a referee keeps what: for referee.c (hears), verdict.c (decides)
 * and judged.c (tells) alone.
 */
#ifndef REFEREE_INNER_H
#define REFEREE_INNER_H

#include "model/referee.h"

enum { PAIRS = CANDIDATES * (CANDIDATES - 1) / 2 };

/* Number of the pair (simple, complex), simple < complex. */
static inline size_t pair_of(int simple, int complex)
{
    return (size_t)(complex * (complex - 1) / 2 + simple);
}

static inline struct duel *duel_at(const struct referee *r, size_t pair, size_t series,
                                   int bucket)
{
    return &r->duels[(pair * r->series + series) * MODEL_BUCKETS + (size_t)bucket];
}

static inline struct fleet *fleet_at(const struct referee *r, size_t pair, int bucket)
{
    return &r->fleets[pair * MODEL_BUCKETS + (size_t)bucket];
}

static inline struct score *score_at(const struct referee *r, int candidate,
                                     size_t series, int bucket)
{
    return &r->scores[((size_t)candidate * r->series + series) * MODEL_BUCKETS +
                      (size_t)bucket];
}

static inline struct follow *follow_at(const struct referee *r, int candidate,
                                       size_t series)
{
    return &r->follow[(size_t)candidate * r->series + series];
}

/* Of the group that a series is in. */
static inline struct follow_common *common_at(const struct referee *r, int candidate,
                                              size_t series)
{
    const size_t W = r->panel->width;
    return &r->common[(size_t)candidate * (r->series / W) + series / W];
}

/* What all bands of those of mask know before the origin `row`, in the group of series that
 * begins at `col`. */
void referee_mature(struct referee *referee, unsigned mask, size_t col, size_t row);

#endif
