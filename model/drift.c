/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last observed value, going on by the mean slope of the tail (Hyndman,
 * Athanasopoulos 2021, 5.2): the straight line through its first and last value.
 * A slope seen for a shorter time than it would have to hold says nothing: there, and
 * where the line leaves the range of numbers, the last value stands.
 */
#include <math.h>

#include "model/candidate.h"

/* What the tail of one column says. */
struct line {
    double last, slope;
    double since; /* steps from the last observed row to the one before the targets */
};

static struct line line_of(const struct candidate_task *task, size_t row, size_t col)
{
    const struct panel *const p = task->panel;
    const size_t from = row > task->tail ? row - task->tail : 0;
    const double *const z = p->z + col;
    size_t last = row, first = from;
    while (last > from && isnan(z[(last - 1) * p->cols]))
        last--;
    if (last == from)
        return (struct line){.last = (double)NAN};
    last--;
    while (isnan(z[first * p->cols]))
        first++;
    struct line line = {.last = z[last * p->cols], .since = (double)(row - 1 - last)};
    if (last - first >= task->P)
        line.slope = line.last / (double)(last - first) -
                     z[first * p->cols] / (double)(last - first);
    return line;
}

void drift_forecast(const struct candidate_task *task, const struct origin *at,
                    size_t count, double *y)
{
    const size_t W = task->panel->width;
    for (size_t i = 0; i < count; i++, y += task->P * W)
        for (size_t c = 0; c < W; c++) {
            const struct line line = line_of(task, at[i].row, at[i].col + c);
            for (size_t j = 0; j < task->P; j++) {
                const double z = line.last + line.slope * (line.since + 1 + (double)j);
                y[j * W + c] = isfinite(z) ? z : line.last;
            }
        }
}
