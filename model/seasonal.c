/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The value one season back; where that is missing, two seasons back, and so on to the
 * end of the tail; where all are missing, or without a season, the last observed one.
 */
#include <math.h>

#include "model/candidate.h"

static double season_value(const struct candidate_task *task, size_t row, size_t col,
                           size_t step)
{
    const struct panel *const p = task->panel;
    const size_t from = row > task->tail ? row - task->tail : 0;
    const size_t back = task->season - step % task->season; /* 1..season before row */
    for (size_t b = back; b <= row - from; b += task->season) {
        const double z = p->z[(row - b) * p->cols + col];
        if (!isnan(z))
            return z;
    }
    return (double)NAN;
}

void seasonal_forecast(const struct candidate_task *task, const struct origin *at,
                       size_t count, double *y)
{
    naive_forecast(task, at, count, y);
    if (task->season <= 1)
        return;
    const size_t W = task->panel->width;
    for (size_t i = 0; i < count; i++, y += task->P * W)
        for (size_t j = 0; j < task->P; j++)
            for (size_t c = 0; c < W; c++) {
                const double z = season_value(task, at[i].row, at[i].col + c, j);
                if (!isnan(z))
                    y[j * W + c] = z;
            }
}
