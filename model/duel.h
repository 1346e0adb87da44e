/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * duel.h -- how much better one candidate is than a simpler one, and how sure that is.
 *
 * A difference is that of their mean absolute errors at one origin in one bucket of the
 * horizon: below zero where the complex one was better.
 *
 * Windows overlap, so the observations counted are not origins but stretches of them as
 * long as `end`, the steps to the end of the bucket: targets further apart than that are
 * not shared.  The standard error is that of the stretches' means (batch means: Law,
 * Carson 1979), in which what differs from hour to hour has averaged out, with an
 * allowance for the targets that neighbouring stretches share.  It is itself known from
 * few stretches, so two of them are widened as Student's t asks, to the same chance of
 * error.  With fewer than three observations, rows over end, nothing is said.
 *
 * Series of a fleet say something about one another.  Differences over all series of a
 * stretch of time make one observation of the fleet (so errors that series make together
 * count once).  What its series differ by beyond chance is the spread among them (random
 * effects: DerSimonian, Laird 1986), where chance is a series' variance less the fleet's,
 * which all have in common.  A series is then judged by the fleet's difference and a share
 * of its own distance from it, spread over spread plus chance (empirical Bayes: Efron,
 * Morris 1975): among series that behave alike the fleet decides, among unlike ones each
 * for itself.  That takes FLEET_LEAST series; with fewer each speaks for itself alone.
 */
#ifndef DUEL_H
#define DUEL_H

#include <stdbool.h>
#include <stddef.h>

enum { FLEET_LEAST = 4, FLEET_STRETCHES = 512 };

/* Of one series: in stretches; of one, the sum is s and the number of origins n. */
struct duel {
    double count, sum, squares, products, sizes; /* of n, s, s s, s n, n n */
    double rows;           /* from the first origin to the last: count x stride */
    double open, open_sum; /* n and s of the stretch that goes on */
    size_t open_row;       /* where it began */
};

/* A mean difference, its standard error, and two of them as Student asks: infinite where
 * nothing can be said. */
struct evidence {
    double mean, error, margin;
};

/* The origins of a series come in order of time. */
void duel_add(struct duel *duel, double difference, size_t row, size_t end,
              double stride);

struct evidence duel_weigh(const struct duel *duel, size_t end);

/* Of all series together, by stretches of time. */
struct fleet {
    double count[FLEET_STRETCHES], sum[FLEET_STRETCHES];
};

/* Rows of a stretch: end, or more so that there are no more of them than fit. */
size_t fleet_stretch(size_t rows, size_t end);

void fleet_add(struct fleet *fleet, double difference, size_t row, size_t stretch);

/* What the fleet says; `rows` as those of the series with the most. */
struct evidence fleet_weigh(const struct fleet *fleet, double rows, size_t end);

/* The spread among count series: the variance of what they really differ by. */
double fleet_spread(const struct evidence *series, size_t count, double fleet_error);

/* A series' evidence with that of a fleet whose series spread by so much. */
struct evidence fleet_share(struct evidence own, struct evidence fleet, double spread);

#endif
