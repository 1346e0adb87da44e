/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/predicted.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/reply.h"
#include "base/mem.h"

/* ---- names ----------------------------------------------------------------------- */

/* What we call ours, NULL at the end. */
static const char *const forecast_own[] = {"forecaster", "ml_forecast", "quantile", NULL};
static const char *const crossing_own[] = {"forecaster", "threshold", "p", NULL};

static bool is_own(const char *name, const char *const *own)
{
    while (*own && strcmp(name, *own))
        own++;
    return *own;
}

static int add_of_series(const struct labels *series, const char *const *own,
                         struct labels *out, struct err *err)
{
    for (size_t i = 0; i < series->count; i++) {
        const struct label *const label = &series->label[i];
        char renamed[32];
        if (!strcmp(label->name, "__name__"))
            continue;
        snprintf(renamed, sizeof renamed, "exported_%.20s", label->name);
        if (labels_add(out, is_own(label->name, own) ? renamed : label->name,
                       label->value, err))
            return -1;
    }
    return 0;
}

static int add_metric(const char *metric, enum aggregate aggregate, struct labels *out,
                      struct err *err)
{
    const char *const how = aggregate == AGGREGATE_RATE  ? ":rate"
                            : aggregate == AGGREGATE_SUM ? ":sum"
                                                         : "";
    char *const name = mem_printf("%s%s" PREDICTED_SUFFIX, metric, how);
    const int rc = labels_add(out, "__name__", name, err);
    free(name);
    return rc;
}

static int add_quantile(double quantile, struct labels *out, struct err *err)
{
    struct page text = {0};
    page_add_number(&text, quantile);
    int rc = labels_add(out, "ml_forecast", "quantile", err);
    if (rc == 0)
        rc = labels_add(out, "quantile", text.bytes, err);
    free(text.bytes);
    return rc;
}

int predicted_labels(const struct labels *series, const char *forecaster,
                     enum aggregate aggregate, const double *quantiles, size_t count,
                     size_t which, struct labels *out, struct err *err)
{
    const double quantile = quantiles[which];
    const char *const word = fabs(quantile - 0.5) < 1e-9            ? "yhat"
                             : which == 0 && quantile < 0.5         ? "yhat_lower"
                             : which == count - 1 && quantile > 0.5 ? "yhat_upper"
                                                                    : NULL;
    out->count = out->used = 0;
    if (add_metric(labels_get(series, "__name__"), aggregate, out, err) ||
        add_of_series(series, forecast_own, out, err) ||
        labels_add(out, "forecaster", forecaster, err))
        return -1;
    return word ? labels_add(out, "ml_forecast", word, err)
                : add_quantile(quantile, out, err);
}

int crossing_labels(const struct labels *series, const char *suffix,
                    const char *forecaster, const char *threshold, const char *p,
                    struct labels *out, struct err *err)
{
    out->count = out->used = 0;
    char *const name = mem_printf("%s%s", labels_get(series, "__name__"), suffix);
    int rc = labels_add(out, "__name__", name, err);
    free(name);
    if (rc || add_of_series(series, crossing_own, out, err) ||
        labels_add(out, "forecaster", forecaster, err) ||
        labels_add(out, "threshold", threshold, err))
        return -1;
    return p ? labels_add(out, "p", p, err) : 0;
}

/* ---- time ------------------------------------------------------------------------ */

static int64_t begin_ms(const struct predicted_span *span, size_t step)
{
    const struct grid targets = {
        .start_ms = span->first_ms, .step_ms = span->step_ms, .zone = span->zone};
    return grid_time_ms(&targets, step);
}

int64_t predicted_end_ms(const struct predicted_span *span)
{
    return begin_ms(span, span->steps);
}

struct points {
    struct predicted_point *at;
    size_t count, room, most;
};

static int add_point(const struct predicted_span *span, size_t step, double weight,
                     int64_t time_ms, struct points *points, struct err *err)
{
    const bool flat = span->held || step + 1 == span->steps;
    if (time_ms < span->asked_ms)
        return 0;
    if (points->count == points->most)
        return err_set(err, ERR_TOO_LARGE, "more than %zu samples", points->most);
    if (points->count == points->room) {
        points->room = points->room ? 2 * points->room : 64;
        points->at = mem_resize(points->at, points->room, sizeof *points->at);
    }
    points->at[points->count++] =
        (struct predicted_point){time_ms, step, flat ? 0 : weight};
    return 0;
}

/* A step in equal parts, none longer than the gap; of them those inside the span, and its
 * beginning. */
static int add_step(const struct predicted_span *span, size_t step, int64_t begin,
                    int64_t end, struct points *points, struct err *err)
{
    const int64_t length = end - begin;
    const int64_t parts = (length + PREDICTED_GAP_MS - 1) / PREDICTED_GAP_MS;
    const int64_t inside = span->from_ms - begin;
    if (inside > 0 && add_point(span, step, (double)inside / (double)length,
                                span->from_ms, points, err))
        return -1;
    for (int64_t part = 0; part < parts; part++) {
        const int64_t after = length * part / parts;
        if (begin + after >= span->to_ms)
            break;
        if ((inside <= 0 || after > inside) &&
            add_point(span, step, (double)after / (double)length, begin + after, points,
                      err))
            return -1;
    }
    return 0;
}

int predicted_points(const struct predicted_span *span, size_t most,
                     struct predicted_point **out, size_t *count, struct err *err)
{
    struct points points = {.most = most};
    int rc = 0;
    size_t step = 0;
    const int64_t least = span->from_ms > span->asked_ms ? span->from_ms : span->asked_ms;
    /* Days of the calendar may be an hour longer or shorter: from the step before. */
    if (least > span->first_ms)
        step = (size_t)((least - span->first_ms) / span->step_ms);
    step -= step > 0;
    int64_t begin = begin_ms(span, step);
    for (; rc == 0 && step < span->steps && begin < span->to_ms; step++) {
        const int64_t end = begin_ms(span, step + 1);
        if (end > least)
            rc = add_step(span, step, begin, end, &points, err);
        begin = end;
    }
    *out = points.at;
    *count = points.count;
    if (rc == 0)
        return 0;
    free(points.at);
    *out = NULL;
    *count = 0;
    return -1;
}

double predicted_value(const struct predicted_point *point, const float *values,
                       size_t stride)
{
    const double here = (double)values[point->step * stride];
    if (point->weight == 0)
        return here;
    return here + point->weight * ((double)values[(point->step + 1) * stride] - here);
}
