/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The last observed value, for ever: what every other candidate must beat. */
#include <math.h>

#include "model/candidate.h"

static double last_value(const struct panel *panel, size_t row, size_t col, size_t tail)
{
    const size_t from = row > tail ? row - tail : 0;
    for (size_t i = row; i > from; i--) {
        const double z = panel->z[(i - 1) * panel->cols + col];
        if (!isnan(z))
            return z;
    }
    return (double)NAN;
}

void naive_forecast(const struct candidate_task *task, const struct origin *at,
                    size_t count, double *y)
{
    const size_t W = task->panel->width;
    for (size_t i = 0; i < count; i++, y += task->P * W)
        for (size_t c = 0; c < W; c++) {
            const double z =
                last_value(task->panel, at[i].row, at[i].col + c, task->tail);
            for (size_t j = 0; j < task->P; j++)
                y[j * W + c] = z;
        }
}
