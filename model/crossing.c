/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool past(double value, double threshold, bool above)
{
    return above ? value >= threshold : value <= threshold;
}

size_t crossing_first(const float *path, size_t steps, double threshold, bool above)
{
    size_t j = 0;
    while (j < steps && !past((double)path[j], threshold, above)) /* false of a NaN */
        j++;
    return j;
}

static int compare_sizes(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

void crossing_all(const struct crossing_task *task, size_t *first)
{
    for (size_t p = 0; p < task->paths; p++) {
        const float *const residual = task->residuals + p * task->steps;
        double held = 0;
        size_t j = 0;
        for (; j < task->steps; j++) {
            if (!isnan(residual[j]))
                held = (double)residual[j];
            const double value =
                fmin(fmax((double)task->median[j] + held, task->min), task->max);
            if (past(value, task->threshold, task->above))
                break;
        }
        first[p] = j;
    }
    qsort(first, task->paths, sizeof *first, compare_sizes);
}

double crossing_probability(const size_t *first, size_t paths, size_t steps)
{
    size_t crossed = 0;
    while (crossed < paths && first[crossed] < steps)
        crossed++;
    return paths ? (double)crossed / (double)paths : 0;
}

size_t crossing_quantile(const size_t *first, size_t paths, size_t steps, double p)
{
    const double place = (double)(paths + 1) * p; /* counted from 1 */
    const double outward = p < 0.5 ? floor(place) : p > 0.5 ? ceil(place) : round(place);
    if (paths == 0)
        return steps;
    if (outward > (double)paths)
        return p > 0.5 && first[paths - 1] < steps ? first[paths - 1] : steps;
    return first[outward < 1 ? 0 : (size_t)outward - 1];
}

/* ---- the record of the past ------------------------------------------------------------ */

struct record_work {
    float *residuals;
    size_t *first;
};

/* Whether a crossing would have been told of at case i; -1: too little was known. */
static int told(const struct crossing_case *cases, size_t i, struct crossing_task *task,
                struct record_work *work)
{
    task->paths = 0;
    for (size_t k = 0; k < i; k++) {
        if (cases[k].origin + (int64_t)task->steps > cases[i].origin)
            continue;
        float *const to = work->residuals + task->paths++ * task->steps;
        for (size_t j = 0; j < task->steps; j++)
            to[j] = cases[k].actual[j] - cases[k].median[j];
    }
    if (task->paths < CROSSING_PATHS_LEAST)
        return -1;
    task->median = cases[i].median;
    crossing_all(task, work->first);
    return crossing_probability(work->first, task->paths, task->steps) >= 0.5;
}

void crossing_backtest(const struct crossing_case *cases, size_t count, size_t steps,
                       double threshold, bool above, double min, double max,
                       struct crossing_record *record)
{
    struct record_work work = {
        .residuals = mem_new(count * steps, sizeof *work.residuals),
        .first = mem_new(count, sizeof *work.first),
    };
    struct crossing_task task = {.steps = steps,
                                 .residuals = work.residuals,
                                 .threshold = threshold,
                                 .above = above,
                                 .min = min,
                                 .max = max};
    *record = (struct crossing_record){0};
    for (size_t i = 0; i < count; i++) {
        if (isnan(cases[i].last) || past((double)cases[i].last, threshold, above))
            continue;
        const int alarm = told(cases, i, &task, &work);
        if (alarm < 0)
            continue;
        const bool crossed =
            crossing_first(cases[i].actual, steps, threshold, above) < steps;
        record->origins++;
        record->crossed += crossed;
        record->alarms += alarm;
        record->false_alarms += alarm && !crossed;
        record->missed += !alarm && crossed;
    }
    free(work.first);
    free(work.residuals);
}
