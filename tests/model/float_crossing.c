/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * False alarms on the demo's disk, which fills with the traffic and is cleaned on Sunday
 * mornings, mostly: a model trained on the beginning forecasts the rest every six hours,
 * and whether a crossing was more likely than not is laid beside Prometheus'
 * predict_linear over the six hours before, at the same instants, for several thresholds.
 */
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/time.h"
#include "model/model.h"

enum {
    HOUR_MS = 3600000,
    WEEKS = 30,
    ROWS = WEEKS * 168,
    HORIZON = 48,
    EVERY = 6,
    FIT = 13 * 168,
    CASES = (ROWS - FIT - HORIZON) / EVERY,
    BEFORE = HORIZON / EVERY, /* cases until the targets of one have come */
    WINDOW = 60 * 24 / EVERY, /* cases whose residuals make the paths: 60 days */
    FIRST = WINDOW / 4,       /* case that is answered: a fortnight has gone by */
};
#define END "2026-03-01T00:00:00Z"

static const double thresholds[] = {0.6, 0.65, 0.7, 0.75, 0.8, 0.9};
enum { COUNT = sizeof thresholds / sizeof *thresholds };

/* The last column of the fleet's CSV. */
static void read_disk(int seed, struct grid *grid)
{
    struct err err = {0};
    const char *const build = getenv("BUILD") ? getenv("BUILD") : "build";
    char *const command =
        mem_printf("%s/fleet --weeks %d --end " END " --seed %d", build, WEEKS, seed);
    int64_t end_ms, time_ms;
    char line[1024];
    assert_ok(time_parse(END, strlen(END), NULL, &end_ms, &err), &err);
    assert_ok(grid_init(grid, end_ms - (int64_t)ROWS * HOUR_MS, HOUR_MS, ROWS, 1, &err),
              &err);
    grid_name(grid, 0, "disk_used_ratio");
    FILE *const in = popen(command, "r");
    assert_non_null(in);
    assert_non_null(fgets(line, sizeof line, in));
    while (fgets(line, sizeof line, in)) {
        const char *const value = strrchr(line, ',') + 1;
        assert_ok(time_parse(line, strcspn(line, ","), NULL, &time_ms, &err), &err);
        if (*value != '\n')
            grid->values[(time_ms - grid->start_ms) / HOUR_MS] = strtod(value, NULL);
    }
    assert_int_equal(pclose(in), 0);
    free(command);
}

static struct model *train(const struct grid *grid)
{
    struct err err = {0};
    struct grid begin;
    struct model_spec spec = {.lookback = 336, .horizon = HORIZON, .min = 0, .max = 1};
    assert_ok(model_settings_preset(&spec.settings, "default", &err), &err);
    assert_ok(grid_slice(grid, 0, FIT, &begin, &err), &err);
    struct model *const model = model_train(&begin, &spec, NULL, &err);
    if (!model)
        fail_msg("%s", err.msg);
    grid_fini(&begin);
    return model;
}

/* Least squares over the hours before, as Prometheus does it, HORIZON hours on. */
static double predict_linear(const struct grid *grid, size_t origin)
{
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (size_t i = origin - 6; i < origin; i++) {
        const double t = (double)i - (double)(origin - 1), v = grid->values[i];
        if (isnan(v))
            continue;
        n++, x += t, y += v, xx += t * t, xy += t * v;
    }
    const double slope = (n * xy - x * y) / (n * xx - x * x);
    return (y - slope * x) / n + slope * HORIZON;
}

struct tally {
    struct crossing_record ours, linear;
};

static void count(struct crossing_record *r, bool alarm, bool crossed)
{
    r->origins++;
    r->crossed += crossed;
    r->alarms += alarm;
    r->false_alarms += alarm && !crossed;
    r->missed += !alarm && crossed;
}

static void add(struct crossing_record *to, const struct crossing_record *r)
{
    to->origins += r->origins;
    to->crossed += r->crossed;
    to->alarms += r->alarms;
    to->false_alarms += r->false_alarms;
    to->missed += r->missed;
}

/* A forecast every six hours. */
static void forecast_all(const struct model *model, const struct grid *grid,
                         float *median, float *actual)
{
    struct err err = {0};
    struct forecaster_work *const work = forecaster_work_new(model, &err);
    const double half = 0.5;
    for (size_t k = 0; k < CASES; k++) {
        const size_t origin = FIT + k * EVERY;
        double values[HORIZON];
        struct model_answer answer = {.values = values};
        struct grid tail;
        assert_ok(grid_slice(grid, origin - model_tail_rows(model), origin, &tail, &err),
                  &err);
        assert_ok(model_forecast(model, work, &tail, HORIZON, &half, 1, &answer, &err),
                  &err);
        for (size_t j = 0; j < HORIZON; j++) {
            median[k * HORIZON + j] = answer.served ? (float)values[j] : NAN;
            actual[k * HORIZON + j] = (float)grid->values[origin + j];
        }
        grid_fini(&tail);
    }
    forecaster_work_free(work);
}

/* Whether a crossing is more likely than not, by the residuals of the last 60 days. */
static bool alarm_at(size_t k, const float *median, const float *residuals,
                     double threshold)
{
    size_t first[WINDOW];
    const size_t past = k - BEFORE + 1, from = past > WINDOW ? past - WINDOW : 0;
    const struct crossing_task task = {.steps = HORIZON,
                                       .paths = past - from,
                                       .median = median + k * HORIZON,
                                       .residuals = residuals + from * HORIZON,
                                       .threshold = threshold,
                                       .above = true,
                                       .min = 0,
                                       .max = 1};
    crossing_all(&task, first);
    return crossing_probability(first, task.paths, HORIZON) >= 0.5;
}

static void backtest(int seed, struct tally tally[static COUNT])
{
    static float median[CASES * HORIZON], actual[CASES * HORIZON],
        residuals[CASES * HORIZON];
    struct grid grid;
    read_disk(seed, &grid);
    struct model *const model = train(&grid);
    forecast_all(model, &grid, median, actual);
    for (size_t i = 0; i < (size_t)CASES * HORIZON; i++)
        residuals[i] = actual[i] - median[i];
    for (size_t t = 0; t < COUNT; t++)
        for (size_t k = FIRST; k < CASES; k++) {
            const size_t origin = FIT + k * EVERY;
            const bool crossed = crossing_first(actual + k * HORIZON, HORIZON,
                                                thresholds[t], true) < HORIZON;
            if (!(grid.values[origin - 1] < thresholds[t])) /* missing, or past already */
                continue;
            count(&tally[t].ours, alarm_at(k, median, residuals, thresholds[t]), crossed);
            count(&tally[t].linear, predict_linear(&grid, origin) >= thresholds[t],
                  crossed);
        }
    model_free(model);
    grid_fini(&grid);
}

static double rate(const struct crossing_record *r)
{
    return (double)r->false_alarms / (double)(r->origins - r->crossed);
}

static void print(const char *who, const struct crossing_record *r)
{
    print_message("  %s: %zu alarms, %zu false (%.2f %% of the quiet ones), %zu missed\n",
                  who, r->alarms, r->false_alarms, 100 * rate(r), r->missed);
}

static void cleaned_disks_do_not_cry_wolf(void **state)
{
    (void)state;
    struct tally tally[COUNT] = {0}, all = {0};
    for (int seed = 1; seed <= 3; seed++)
        backtest(seed, tally);
    for (size_t t = 0; t < COUNT; t++) {
        print_message("above %.2f: %zu answers, %zu crossings\n", thresholds[t],
                      tally[t].ours.origins, tally[t].ours.crossed);
        print("sample paths", &tally[t].ours);
        print("predict_linear", &tally[t].linear);
        add(&all.ours, &tally[t].ours);
        add(&all.linear, &tally[t].linear);
    }
    print_message("all: %zu answers, %zu crossings\n", all.ours.origins,
                  all.ours.crossed);
    print("sample paths", &all.ours);
    print("predict_linear", &all.linear);
    assert_true(all.ours.crossed > 100 && all.linear.false_alarms > 50);
    assert_true(rate(&all.ours) < rate(&all.linear));
    /* And not by keeping quiet. */
    assert_true(all.ours.missed <= all.linear.missed);
}

int main(void)
{
    model_start();
    const struct CMUnitTest tests[] = {cmocka_unit_test(cleaned_disks_do_not_cry_wolf)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
