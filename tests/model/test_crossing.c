/* SPDX-License-Identifier: GPL-2.0-or-later */
/* First passages from residual paths, against the law that simulation gives. */
#include "tests/check.h"

#include <stdlib.h>

#include "base/rng.h"
#include "model/model.h"

enum { STEPS = 500, LAW = 20000, PATHS = 100, TRIALS = 1000 };

/* The ramp of the design: it meets the threshold at step 301 and its noise has 43 times
 * the slope; what is known of it at the start is nothing but the ramp. */
static const double threshold = 301, noise = 43;

static void ramp(float *median)
{
    for (size_t j = 0; j < STEPS; j++)
        median[j] = (float)j;
}

/* A path of stationary noise; memory 0: independent. */
static void residual_path(double memory, uint64_t seed, uint32_t path, float *out)
{
    const struct rng_stream stream = {.seed = seed, .purpose = 8, .step = path};
    double e = noise * rng_normal(stream, 0);
    for (size_t j = 0; j < STEPS; j++) {
        out[j] = (float)e;
        e = memory * e + sqrt(1 - memory * memory) * noise * rng_normal(stream, j + 1);
    }
}

static int compare(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* The plain loop: simulated crossings, soonest first. */
static void simulate(double memory, size_t *law)
{
    float path[STEPS];
    for (uint32_t p = 0; p < LAW; p++) {
        residual_path(memory, 1, p, path);
        size_t j = 0;
        while (j < STEPS && (double)j + (double)path[j] < threshold)
            j++;
        law[p] = j;
    }
    qsort(law, LAW, sizeof *law, compare);
}

/* Where the median and the bands of 80 % cross: the wrong answer. */
static size_t band_crossing(double z)
{
    size_t j = 0;
    while ((double)j + z * noise < threshold)
        j++;
    return j;
}

static void agrees_with_the_law(double memory)
{
    static size_t law[LAW];
    static float residuals[PATHS * STEPS], median[STEPS], fresh[STEPS];
    size_t first[PATHS], inside = 0;
    double mean[3] = {0};
    const double p[] = {0.1, 0.5, 0.9};
    const struct crossing_task task = {.steps = STEPS,
                                       .paths = PATHS,
                                       .median = median,
                                       .residuals = residuals,
                                       .threshold = threshold,
                                       .above = true,
                                       .min = (double)-INFINITY,
                                       .max = (double)INFINITY};
    simulate(memory, law);
    ramp(median);
    for (uint32_t t = 0; t < TRIALS; t++) {
        for (uint32_t i = 0; i < PATHS; i++)
            residual_path(memory, 100 + t, i, residuals + i * STEPS);
        crossing_all(&task, first);
        for (int k = 0; k < 3; k++)
            mean[k] += (double)crossing_quantile(first, PATHS, STEPS, p[k]) / TRIALS;
        residual_path(memory, 100 + t, PATHS, fresh);
        for (size_t j = 0; j < STEPS; j++)
            fresh[j] += median[j];
        const size_t truth = crossing_first(fresh, STEPS, threshold, true);
        inside += truth >= crossing_quantile(first, PATHS, STEPS, 0.1) &&
                  truth <= crossing_quantile(first, PATHS, STEPS, 0.9);
    }
    print_message(
        "memory %.1f: from paths %.0f/%.0f/%.0f, the law %zu/%zu/%zu, where bands "
        "cross %zu/%zu/%zu; the 80 %% interval covers %.1f %%\n",
        memory, mean[0], mean[1], mean[2], law[LAW / 10], law[LAW / 2], law[LAW * 9 / 10],
        band_crossing(1.2816), band_crossing(0), band_crossing(-1.2816),
        100.0 * (double)inside / TRIALS);
    for (int k = 0; k < 3; k++)
        assert_close(mean[k], (double)law[(size_t)(p[k] * LAW)], 4);
    assert_true(inside >= TRIALS * 7 / 10 && inside <= TRIALS * 9 / 10);
    /* The bands would not have done. */
    assert_true(band_crossing(0) > law[LAW * 9 / 10]);
}

static void independent_noise(void **state)
{
    (void)state;
    agrees_with_the_law(0);
}

static void noise_that_remembers(void **state)
{
    (void)state;
    agrees_with_the_law(0.7);
}

/* ---- single answers ---------------------------------------------------------------------- */

static void quantiles_say_when_it_does_not_cross(void **state)
{
    (void)state;
    const size_t first[] = {2, 3, 5, 8, 8, 10, 10, 10, 10}; /* 5 of 9 cross within 10 */
    assert_close(crossing_probability(first, 9, 10), 5.0 / 9, 1e-15);
    assert_int_equal(crossing_quantile(first, 9, 10, 0.1), 2);
    assert_int_equal(crossing_quantile(first, 9, 10, 0.5), 8);
    assert_int_equal(crossing_quantile(first, 9, 10, 0.9), 10);
    assert_int_equal(crossing_quantile(first, 9, 10, 0.001), 2);
    assert_int_equal(crossing_quantile(first, 0, 10, 0.5), 10);
    assert_close(crossing_probability(first, 0, 10), 0, 0);
}

static void below_bounds_and_gaps(void **state)
{
    (void)state;
    const float median[] = {5, 4, 3, 2};
    const float residuals[] = {0, NAN, NAN, -3, -1, NAN, NAN, 2, 9, 9, 9, 9};
    size_t first[3];
    struct crossing_task task = {.steps = 4,
                                 .paths = 3,
                                 .median = median,
                                 .residuals = residuals,
                                 .threshold = 2,
                                 .min = 0,
                                 .max = 100};
    crossing_all(&task, first); /* 5 4 3 -1, and 4 3 2 4: the second holds its -1 */
    assert_int_equal(first[0], 2);
    assert_int_equal(first[1], 3);
    assert_int_equal(first[2], 4);
    task.threshold = -1; /* below what can be */
    crossing_all(&task, first);
    assert_int_equal(first[0], 4);
    const float path[] = {NAN, 1, NAN, 7};
    assert_int_equal(crossing_first(path, 4, 7, true), 3);
    assert_int_equal(crossing_first(path, 4, 1, false), 1);
    assert_int_equal(crossing_first(path, 4, 8, true), 4);
}

/* What was not known at an origin does not help its answer. */
static void the_record_uses_what_was_known(void **state)
{
    (void)state;
    enum { CASES = 40, S = 4 };
    static float median[CASES * S], actual[CASES * S];
    struct crossing_case cases[CASES];
    for (int i = 0; i < CASES; i++) {
        for (int j = 0; j < S; j++) {
            median[i * S + j] = 5;
            /* From case 20 on it jumps past 8. */
            actual[i * S + j] = i < 20 ? 5 : 9;
        }
        cases[i] = (struct crossing_case){.origin = i * S,
                                          .last = 5,
                                          .median = median + i * S,
                                          .actual = actual + i * S};
    }
    struct crossing_record record;
    crossing_backtest(cases, CASES, S, 8, true, (double)-INFINITY, (double)INFINITY,
                      &record);
    assert_int_equal(record.origins, CASES - CROSSING_PATHS_LEAST);
    assert_int_equal(record.crossed, 20);
    /* Half of the paths cross from case 40 on: never. */
    assert_int_equal(record.alarms, 0);
    assert_int_equal(record.missed, 20);
    for (int i = 0; i < CASES; i++)
        cases[i].last = 8.5F; /* past already: nothing to tell */
    crossing_backtest(cases, CASES, S, 8, true, (double)-INFINITY, (double)INFINITY,
                      &record);
    assert_int_equal(record.origins, 0);
    for (int i = 0; i < CASES; i++) {
        cases[i].last = 5;
        cases[i].origin = 0; /* all at once: none has come when another begins */
    }
    crossing_backtest(cases, CASES, S, 8, true, (double)-INFINITY, (double)INFINITY,
                      &record);
    assert_int_equal(record.origins, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(independent_noise),
        cmocka_unit_test(noise_that_remembers),
        cmocka_unit_test(quantiles_say_when_it_does_not_cross),
        cmocka_unit_test(below_bounds_and_gaps),
        cmocka_unit_test(the_record_uses_what_was_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
