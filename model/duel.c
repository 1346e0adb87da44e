/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/duel.h"

#include <math.h>

#include "model/student.h"

static const double standard_errors = 2, least_observations = 3;

/* Neighbouring stretches share targets: where correlation falls linearly to nothing
 * over the horizon, the variance of a stretch's mean is two thirds of what counts. */
static const double shared = 1.5;

static void close_stretch(struct duel *d)
{
    d->count += d->open;
    d->sum += d->open_sum;
    d->squares += d->open_sum * d->open_sum;
    d->products += d->open_sum * d->open;
    d->sizes += d->open * d->open;
    d->open = d->open_sum = 0;
}

void duel_add(struct duel *duel, double difference, size_t row, size_t end, double stride)
{
    if (duel->open > 0 && row >= duel->open_row + end)
        close_stretch(duel);
    if (duel->open <= 0)
        duel->open_row = row;
    duel->open += 1;
    duel->open_sum += difference;
    duel->rows += stride;
}

struct evidence duel_weigh(const struct duel *duel, size_t end)
{
    struct duel d = *duel;
    close_stretch(&d);
    struct evidence e = {d.count > 0 ? d.sum / d.count : 0, (double)INFINITY,
                         (double)INFINITY};
    const double observations = ceil(d.rows / (double)end);
    if (d.count <= 0 || observations < least_observations)
        return e;
    /* As many stretches of one size would say as much. */
    const double stretches = d.count * d.count / d.sizes, freedom = stretches - 1;
    if (freedom <= 0)
        return e;
    const double spread =
        fmax(d.squares - e.mean * (2 * d.products - e.mean * d.sizes), 0);
    e.error = sqrt(shared * spread * stretches / freedom) / d.count;
    e.margin = student(standard_errors, freedom) * e.error;
    return e;
}

/* ---- the fleet --------------------------------------------------------------------- */

size_t fleet_stretch(size_t rows, size_t end)
{
    const size_t least = rows / FLEET_STRETCHES + 1;
    return end > least ? end : least;
}

void fleet_add(struct fleet *fleet, double difference, size_t row, size_t stretch)
{
    fleet->count[row / stretch] += 1;
    fleet->sum[row / stretch] += difference;
}

struct evidence fleet_weigh(const struct fleet *fleet, double rows, size_t end)
{
    struct duel d = {.rows = rows};
    for (size_t i = 0; i < FLEET_STRETCHES; i++) {
        d.open = fleet->count[i];
        d.open_sum = fleet->sum[i];
        close_stretch(&d);
    }
    return duel_weigh(&d, end);
}

/* What of a series' variance is its own: the fleet's is in it, too. */
static double own_variance(double error, double fleet)
{
    return fmax(error * error - fleet * fleet, 0);
}

double fleet_spread(const struct evidence *series, size_t count, double fleet_error)
{
    double n = 0, mean = 0, within = 0, squares = 0;
    for (size_t s = 0; s < count; s++)
        if (isfinite(series[s].error)) {
            n += 1;
            mean += series[s].mean;
            within += own_variance(series[s].error, fleet_error);
        }
    if (n < 2)
        return 0;
    mean /= n;
    for (size_t s = 0; s < count; s++)
        if (isfinite(series[s].error))
            squares += (series[s].mean - mean) * (series[s].mean - mean);
    return fmax(squares / (n - 1) - within / n, 0);
}

struct evidence fleet_share(struct evidence own, struct evidence fleet, double spread)
{
    if (own.margin <= fleet.margin)
        return own; /* it is surer by itself */
    const double e = fleet.margin / standard_errors;
    double share = 0, variance = spread; /* of a series that says nothing itself */
    if (isfinite(own.margin)) {
        const double v = own_variance(own.margin / standard_errors, e);
        share = spread / (spread + v);
        variance = share * v;
    }
    const double error = sqrt(e * e + variance);
    return (struct evidence){fleet.mean +
                                 (share > 0 ? share * (own.mean - fleet.mean) : 0),
                             error, standard_errors * error};
}
