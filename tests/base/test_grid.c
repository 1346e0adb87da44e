/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/grid.h"

#include "base/time.h"
#include "base/zone.h"

#include "tests/check.h"

static struct grid grid_of(int64_t start_ms, int64_t step_ms, size_t rows, size_t cols)
{
    struct err err = {0};
    struct grid grid;
    assert_ok(grid_init(&grid, start_ms, step_ms, rows, cols, &err), &err);
    return grid;
}

static void begins_missing(void **state)
{
    (void)state;
    struct grid grid = grid_of(-100, 10, 3, 2);
    for (size_t i = 0; i < 6; i++)
        assert_true(isnan(grid.values[i]));
    assert_int_equal(grid_time_ms(&grid, 2), -80);
    grid_name(&grid, 1, "cpu");
    grid_name(&grid, 1, "mem");
    assert_string_equal(grid.names[1], "mem");
    grid_fini(&grid);
    grid_fini(&grid);
}

static void refuses_sizes(void **state)
{
    (void)state;
    struct err err;
    struct grid grid;
    assert_err(grid_init(&grid, 0, 10, GRID_CELLS_MAX, 2, &err), &err, ERR_INVALID,
               "cells");
    assert_err(grid_init(&grid, 0, 10, SIZE_MAX / 2, 4, &err), &err, ERR_INVALID,
               "cells");
    assert_err(grid_init(&grid, 0, 10, 0, SIZE_MAX, &err), &err, ERR_INVALID, "cells");
    assert_err(grid_init(&grid, 0, 0, 1, 1, &err), &err, ERR_INVALID, "step");
    assert_err(grid_init(&grid, 0, -1, 1, 1, &err), &err, ERR_INVALID, "step");
    assert_err(grid_init(&grid, 0, INT64_MAX, 2, 1, &err), &err, ERR_INVALID, "time");
    assert_err(grid_init(&grid, INT64_MAX, 1, 2, 1, &err), &err, ERR_INVALID, "time");
}

static void aggregates(void **state)
{
    (void)state;
    /* rows: [0,10) two samples, [10,20) none, [20,30) one and a missing one,
     * [30,40) a missing one only */
    static const struct sample samples[] = {
        {-1, 1000}, {0, 3}, {9, 1}, {20, -5}, {21, NAN}, {35, NAN}, {40, 1000},
    };
    static const struct {
        enum aggregate how;
        double want[4];
    } cases[] = {
        {AGGREGATE_MEAN, {2, NAN, -5, NAN}}, {AGGREGATE_LAST, {1, NAN, -5, NAN}},
        {AGGREGATE_MIN, {1, NAN, -5, NAN}},  {AGGREGATE_MAX, {3, NAN, -5, NAN}},
        {AGGREGATE_SUM, {4, NAN, -5, NAN}},
    };
    struct grid grid = grid_of(0, 10, 4, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        grid_fill(&grid, 1, samples, sizeof samples / sizeof *samples, cases[i].how);
        for (size_t row = 0; row < 4; row++) {
            assert_close(grid.values[row * 3 + 1], cases[i].want[row], 0);
            assert_true(isnan(grid.values[row * 3]));
            assert_true(isnan(grid.values[row * 3 + 2]));
        }
    }
    grid_fill(&grid, 1, NULL, 0, AGGREGATE_MEAN); /* fills with nothing */
    assert_true(isnan(grid.values[1]));
    grid_fini(&grid);
}

static void rates(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {-5000, 100},              /* before the grid: still the first rise's base */
        {5000, 120},               /* row 0: 20 in 10 s */
        {15000, 130}, {18000, 10}, /* row 1: 10 in 10 s, reset to 10 in 3 s */
        {45000, 64},               /* row 4: 54 in 27 s, over the gap */
        {46000, NAN}, {49000, 64}, /* 0 in 4 s */
        {50000, 99},               /* past the grid */
    };
    static const double want[] = {2, 20.0 / 13, NAN, NAN, 54.0 / 31};
    struct grid grid = grid_of(0, 10000, 5, 1);
    grid_fill(&grid, 0, samples, sizeof samples / sizeof *samples, AGGREGATE_RATE);
    for (size_t row = 0; row < 5; row++)
        assert_close(grid.values[row], want[row], 1e-15);
    /* the first sample of all has nothing to rise from */
    grid_fill(&grid, 0, samples + 1, 1, AGGREGATE_RATE);
    assert_true(isnan(grid.values[0]));
    grid_fini(&grid);
}

static void slices(void **state)
{
    (void)state;
    struct err err = {0};
    struct grid grid = grid_of(1000, 10, 4, 2), part;
    for (size_t i = 0; i < 8; i++)
        grid.values[i] = (double)i;
    grid_name(&grid, 0, "a");
    grid_name(&grid, 1, "b");
    assert_ok(grid_slice(&grid, 1, 3, &part, &err), &err);
    grid_fini(&grid);
    assert_int_equal(part.start_ms, 1010);
    assert_int_equal(part.rows, 2);
    assert_string_equal(part.names[1], "b");
    for (size_t i = 0; i < 4; i++)
        assert_close(part.values[i], (double)i + 2, 0);
    struct grid none;
    assert_ok(grid_slice(&part, 2, 2, &none, &err), &err);
    assert_int_equal(none.rows, 0);
    grid_fini(&none);
    grid_fini(&part);
}

/* Days and weeks of a calendar, over both changes of the clocks. */
static void days_of_a_zone(void **state)
{
    (void)state;
    static const struct {
        const char *start;
        int64_t step_days;
        double hours[3];
    } CASE[] = {
        {"2026-03-27T23:00:00Z", 1, {24, 23, 24}},
        {"2026-10-23T22:00:00Z", 1, {24, 25, 24}},
        {"2026-10-18T22:00:00Z", 7, {169, 168, 168}},
        {"2026-03-27T06:00:00Z", 1, {24, 23, 24}}, /* a day may begin at 7 */
    };
    struct err err = {0};
    struct zone *const zone = zone_load("Europe/Berlin", &err);
    assert_non_null(zone);
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        enum { HOUR_MS = 3600000, SAMPLES = 22 * 24 };
        int64_t start_ms;
        assert_ok(time_parse(CASE[i].start, strlen(CASE[i].start), NULL, &start_ms, &err),
                  &err);
        struct grid grid = grid_of(start_ms, CASE[i].step_days * 24 * HOUR_MS, 3, 1),
                    part;
        grid.zone = zone;
        /* One in the middle of each hour: so many are in each row. */
        struct sample samples[SAMPLES];
        for (int k = 0; k < SAMPLES; k++)
            samples[k] = (struct sample){start_ms + k * HOUR_MS + HOUR_MS / 2, 1};
        grid_fill(&grid, 0, samples, SAMPLES, AGGREGATE_SUM);
        for (size_t row = 0; row < 3; row++) {
            assert_close(grid.values[row], CASE[i].hours[row], 0);
            assert_int_equal(grid_time_ms(&grid, row + 1) - grid_time_ms(&grid, row),
                             (int64_t)CASE[i].hours[row] * HOUR_MS);
        }
        assert_ok(grid_slice(&grid, 1, 3, &part, &err), &err);
        assert_int_equal(grid_time_ms(&part, 1), grid_time_ms(&grid, 2));
        grid_fini(&part);
        grid_fini(&grid);
    }
    zone_free(zone);
}

/* Summaries of the parts of a column fill it as the samples themselves do. */
static void summaries_fill_as_samples_do(void **state)
{
    (void)state;
    enum { SAMPLES = 60 };
    struct sample samples[SAMPLES];
    for (int i = 0; i < SAMPLES; i++)
        samples[i] = (struct sample){i * 7, i % 11 == 3 ? (double)NAN : i * 5 % 13};
    for (enum aggregate how = AGGREGATE_MEAN; how <= AGGREGATE_RATE; how++) {
        struct grid grid = grid_of(40, 40, 9, 2);
        grid_fill(&grid, 0, samples, SAMPLES, how);
        struct grid_column column;
        grid_column_begin(&column, &grid, 1, how);
        struct summary part = {0};
        for (int i = 0; i < SAMPLES; i++) {
            if (i > 0 && samples[i].time_ms / 20 != samples[i - 1].time_ms / 20) {
                grid_column_summary(&column, &part);
                part = (struct summary){0};
            }
            if (samples[i].time_ms < 100) /* both kinds, one after the other */
                grid_column_sample(&column, samples[i]);
            else
                summary_add(&part, samples[i]);
        }
        grid_column_summary(&column, &part);
        grid_column_end(&column);
        for (size_t row = 0; row < 9; row++)
            assert_close(grid.values[2 * row + 1], grid.values[2 * row], 1e-15);
        grid_fini(&grid);
    }
}

static void floors(void **state)
{
    (void)state;
    assert_int_equal(grid_floor_ms(0, 10), 0);
    assert_int_equal(grid_floor_ms(19, 10), 10);
    assert_int_equal(grid_floor_ms(-1, 10), -10);
    assert_int_equal(grid_floor_ms(-10, 10), -10);
    assert_int_equal(grid_floor_ms(-11, 10), -20);
}

static void usual_steps(void **state)
{
    (void)state;
    static const struct sample samples[] = {{0, 0},  {10, 0}, {20, 0}, {20, 0},
                                            {40, 0}, {50, 0}, {70, 0}, {90, 0}};
    assert_int_equal(grid_step_of(samples, 8), 10); /* 10 and 20 three times each */
    assert_int_equal(grid_step_of(samples + 2, 6), 20);
    assert_int_equal(grid_step_of(samples + 2, 2), 0); /* one instant twice */
    assert_int_equal(grid_step_of(samples, 1), 0);
    assert_int_equal(grid_step_of(NULL, 0), 0);

    /* Once an hour, give or take ten minutes; then once in 47. */
    struct sample inexact[200];
    for (size_t minutes = 60; minutes >= 47; minutes -= 13) {
        for (size_t i = 0; i < 200; i++)
            inexact[i].time_ms = (int64_t)(i * minutes * 60000 + i * i * 7919 % 600000);
        const int64_t step_ms = grid_step_of(inexact, 200);
        if (minutes == 60)
            assert_int_equal(step_ms, 3600000);
        else
            assert_true(llabs(step_ms - 47 * 60000) < 60000);
    }
}

static void words(void **state)
{
    (void)state;
    for (enum aggregate how = AGGREGATE_MEAN; how <= AGGREGATE_RATE; how++)
        assert_int_equal(aggregate_parse(aggregate_word(how)), how);
    assert_int_equal(aggregate_parse("median"), -1);
}

/* Clocks of Berlin: forward on 29 March 2026 at 01:00 UTC, back on 25 October. */
static void days_begin_at_midnight_there(void **state)
{
    (void)state;
    enum { HOUR = 3600000, DAY = 24 * HOUR };
    struct err err = {0};
    struct zone *const berlin = zone_load("Europe/Berlin", &err);
    assert_non_null(berlin);
    static const struct {
        const char *time, *day, *next, *week;
    } cases[] = {
        {"2026-03-28T22:59:59Z", "2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z",
         "2026-03-22T23:00:00Z"},
        {"2026-03-28T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z",
         "2026-03-22T23:00:00Z"},
        {"2026-03-29T22:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z",
         "2026-03-29T22:00:00Z"},
        {"2026-10-25T22:30:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z",
         "2026-10-18T22:00:00Z"},
        {"2026-10-25T23:00:00Z", "2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z",
         "2026-10-25T23:00:00Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[TIME_TEXT_SIZE];
        int64_t ms;
        assert_ok(time_parse(cases[i].time, strlen(cases[i].time), NULL, &ms, &err),
                  &err);
        assert_string_equal(time_format(grid_floor_in(berlin, ms, DAY), text),
                            cases[i].day);
        assert_string_equal(time_format(grid_step_from(berlin, ms, DAY, 1), text),
                            cases[i].next);
        assert_string_equal(time_format(grid_floor_in(berlin, ms, 7 * DAY), text),
                            cases[i].week);
        assert_int_equal(grid_floor_in(NULL, ms, DAY), grid_floor_ms(ms, DAY));
        assert_int_equal(grid_floor_in(berlin, ms, HOUR), grid_floor_ms(ms, HOUR));
        /* a year on, and as far back */
        const int64_t day = grid_floor_in(berlin, ms, DAY);
        const int64_t later = grid_step_from(berlin, day, DAY, 365);
        assert_int_equal(grid_steps_between(berlin, day, later, DAY), 365);
        assert_int_equal(grid_step_from(berlin, later, DAY, -365), day);
    }
    zone_free(berlin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_begin_at_midnight_there),
        cmocka_unit_test(begins_missing),
        cmocka_unit_test(refuses_sizes),
        cmocka_unit_test(aggregates),
        cmocka_unit_test(rates),
        cmocka_unit_test(slices),
        cmocka_unit_test(days_of_a_zone),
        cmocka_unit_test(summaries_fill_as_samples_do),
        cmocka_unit_test(floors),
        cmocka_unit_test(usual_steps),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
