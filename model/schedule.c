/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/schedule.h"

#include <math.h>

double schedule_rate(enum model_schedule schedule, double rate, uint64_t t,
                     uint64_t steps, uint64_t per_epoch)
{
    const uint64_t epoch = t / per_epoch; /* from 0 */
    switch (schedule) {
    case SCHEDULE_COSINE:
        return 0.5 * rate * (1.0 + cos(M_PI * (double)t / (double)steps));
    case SCHEDULE_HALVING:
        return epoch < 2 ? rate : ldexp(rate, epoch < 1000 ? 1 - (int)epoch : -999);
    case SCHEDULE_CONSTANT:
        return rate;
    }
    return rate;
}
