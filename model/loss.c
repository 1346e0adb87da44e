/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/loss.h"

#include <tgmath.h>

double loss_mean(struct loss_sum total)
{
    return total.count > 0 ? total.sum / total.count : 0.0;
}

void loss_weights(real *weight, size_t P, double alpha)
{
    for (size_t j = 0; j < P; j++)
        weight[j] = (real)pow((double)(j + 1), -alpha);
}

static double error_size(enum model_loss kind, double e)
{
    switch (kind) {
    case LOSS_L1:
        return fabs(e);
    case LOSS_L2:
        return e * e;
    case LOSS_L1_L2:
        return fabs(e) + e * e;
    }
    return 0;
}

static real error_slope(enum model_loss kind, real e)
{
    const real sign = (real)((e > 0) - (e < 0));
    switch (kind) {
    case LOSS_L1:
        return sign;
    case LOSS_L2:
        return 2 * e;
    case LOSS_L1_L2:
        return sign + 2 * e;
    }
    return 0;
}

struct loss_sum loss_forward(enum model_loss kind, const real *weight, const real *y,
                             const real *target, size_t B, size_t P, size_t V)
{
    struct loss_sum total = {0};
    for (size_t b = 0; b < B; b++)
        for (size_t j = 0; j < P; j++)
            for (size_t v = 0; v < V; v++, y++, target++) {
                if (isnan(*target))
                    continue;
                total.sum +=
                    (double)weight[j] * error_size(kind, (double)*y - (double)*target);
                total.count += 1;
            }
    return total;
}

void loss_backward(enum model_loss kind, const real *weight, real *dy, const real *y,
                   const real *target, size_t B, size_t P, size_t V, double count)
{
    const real scale = (real)(count > 0 ? 1.0 / count : 0.0);
    for (size_t b = 0; b < B; b++)
        for (size_t j = 0; j < P; j++)
            for (size_t v = 0; v < V; v++, y++, target++)
                *dy++ = isnan(*target)
                            ? 0
                            : scale * weight[j] * error_slope(kind, *y - *target);
}
