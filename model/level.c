/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/level.h"

#include <math.h>

enum {
    IN_A_ROW = 3,
    SPANS = 4,  /* so many lags of history, at least */
    LEAST = 24, /* differences before the move */
};

static const double times_mean = 2.5, times_agreed = 1.5;

/* Values, and how they compare with those a lag before. */
struct lagged {
    const double *values;
    size_t rows, stride, lag;
};

struct move {
    size_t first; /* row of the new level */
    double size;
};

/* NAN or infinite where there is none. */
static double difference(const struct lagged *c, size_t row)
{
    return c->values[row * c->stride] - c->values[(row - c->lag) * c->stride];
}

/* By how much all three lie to one side at least; 0 where they do not. */
static double agreed(const double x[IN_A_ROW])
{
    const double least = fmin(x[0], fmin(x[1], x[2])),
                 most = fmax(x[0], fmax(x[1], x[2]));
    return least > 0 ? least : most < 0 ? -most : 0;
}

static double middle(const double x[IN_A_ROW])
{
    return fmax(fmin(x[0], x[1]), fmin(fmax(x[0], x[1]), x[2]));
}

/* Half of what the newest three differ by in the middle; 0 unless all differ by more. */
static double half_of_newest(const struct lagged *c)
{
    double x[IN_A_ROW];
    size_t n = 0;
    for (size_t row = c->rows; row-- > c->rows - c->lag && n < IN_A_ROW;) {
        x[n] = difference(c, row);
        n += isfinite(x[n]);
    }
    if (n < IN_A_ROW)
        return 0;
    const double half = middle(x) / 2;
    return agreed(x) > fabs(half) ? half : 0;
}

/* The move that began within the newest lag; none: size 0. */
static struct move newest_move(const struct lagged *c)
{
    struct move move = {c->rows, 0};
    const double half = half_of_newest(c);
    double sum = 0, excess = 0, most = 0, n = 0;
    for (size_t row = c->rows; half != 0 && row-- > c->rows - c->lag;) {
        const double x = difference(c, row);
        if (!isfinite(x))
            continue;
        sum += x;
        n++;
        excess += fmin(x / half - 1, 1); /* no more for being further */
        if (excess > most) {
            most = excess;
            move = (struct move){row, sum / n};
        }
    }
    if (move.first == c->rows - c->lag) /* it may have begun earlier */
        move.size = 0;
    return move;
}

/* Whether nothing like it happened before. */
static bool is_new(const struct lagged *c, const struct move *move)
{
    const size_t span = c->rows - move->first;
    double last[IN_A_ROW] = {0}, sum = 0, mean = 0, any = 0;
    size_t seen = 0;
    for (size_t row = c->lag; row < move->first; row++) {
        const double x = difference(c, row);
        const double old = row >= c->lag + span ? difference(c, row - span) : 0;
        sum += (isfinite(x) ? x : 0) - (isfinite(old) ? old : 0);
        mean = fmax(mean, fabs(sum) / (double)span);
        if (isfinite(x)) {
            last[seen++ % IN_A_ROW] = x;
            any = fmax(any, agreed(last));
        }
    }
    const double size = fabs(move->size);
    return seen >= LEAST && seen >= 2 * c->lag && size > times_mean * mean &&
           size > times_agreed * any;
}

bool level_follow(double *values, size_t rows, size_t stride, size_t season)
{
    struct lagged c = {values, rows, stride, season};
    while (c.lag <= IN_A_ROW)
        c.lag *= 2;
    for (; c.lag <= rows / SPANS; c.lag *= 2) {
        const struct move move = newest_move(&c);
        if (move.size == 0 || !is_new(&c, &move))
            continue;
        for (size_t row = 0; row < move.first; row++)
            values[row * stride] += move.size;
        return true;
    }
    return false;
}
