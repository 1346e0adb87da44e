/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/score.h"

#include <math.h>

double metric_quantile(int k)
{
    return (double)(k + 1) / (METRIC_QUANTILES + 1);
}

void score_add(struct score *score, const struct score *more)
{
    score->count += more->count;
    score->absolute += more->absolute;
    score->square += more->square;
    score->band_count += more->band_count;
    score->covered += more->covered;
    score->pinball += more->pinball;
    score->size += more->size;
}

void score_band(struct score *score, const double quantiles[METRIC_QUANTILES],
                double actual)
{
    for (int k = 0; k < METRIC_QUANTILES; k++) {
        const double q = metric_quantile(k), e = actual - quantiles[k];
        score->pinball += e >= 0 ? q * e : (q - 1) * e;
    }
    score->size += fabs(actual);
    score->covered += actual >= quantiles[0] && actual <= quantiles[METRIC_QUANTILES - 1];
    score->band_count += 1;
}

int horizon_bucket(size_t j, size_t P)
{
    return 8 * j < P ? 0 : 4 * j < P ? 1 : 2 * j < P ? 2 : 3;
}

size_t horizon_end(size_t P, int bucket)
{
    const size_t part = (size_t)8 >> bucket;
    return (P + part - 1) / part;
}

double seasonal_error(const struct panel *panel, size_t col, size_t rows, size_t season)
{
    double sum = 0, count = 0;
    for (size_t i = season; i < rows; i++) {
        const double e =
            panel->z[i * panel->cols + col] - panel->z[(i - season) * panel->cols + col];
        if (isnan(e))
            continue;
        sum += fabs(e);
        count += 1;
    }
    return count > 0 ? sum / count : 0;
}

static double ratio(double over, double under)
{
    return under > 0 ? over / under : (double)NAN;
}

void score_figure(struct model_figure *figure, const struct score *scores, size_t count,
                  size_t stride, const double *scale)
{
    struct score total = {0};
    double mase = 0, scaled = 0;
    for (size_t s = 0; s < count; s++) {
        const struct score *const one = &scores[s * stride];
        score_add(&total, one);
        if (one->count > 0 && scale[s] > 0) {
            mase += one->absolute / one->count / scale[s];
            scaled += 1;
        }
    }
    figure->mse = ratio(total.square, total.count);
    figure->mae = ratio(total.absolute, total.count);
    figure->mase = ratio(mase, scaled);
    figure->wql = ratio(2 * total.pinball / METRIC_QUANTILES, total.size);
    figure->coverage80 = ratio(total.covered, total.band_count);
}
