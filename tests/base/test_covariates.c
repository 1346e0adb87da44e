/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/covariates.h"

#include <stdio.h>

#include "base/calendar.h"
#include "base/grid.h"
#include "base/time.h"
#include "tests/check.h"

enum { STEP = 10, ROWS = 10 };

/* Ten steps of ten from 0 on. */
static const struct grid ten = {.step_ms = STEP, .rows = ROWS};

/* One statement about [from, to) with at most one span in it. */
static struct covariate_statement say(int64_t from, int64_t to, int64_t known,
                                      double otherwise, struct covariate_span *span)
{
    return (struct covariate_statement){from, to, known, otherwise, span ? 1 : 0, span};
}

static struct covariates *stated(const struct covariate_statement *list, size_t count)
{
    struct err err = {0};
    struct covariates *const c = covariates_new(&ten, 0);
    assert_ok(covariates_add(c, "load", "load", list, count, &err), &err);
    return c;
}

static double at(const struct covariates *c, size_t row, size_t origin)
{
    return covariates_at(c, 0, row, origin, GAP_ERROR);
}

static void a_step_is_a_mean_weighted_by_time(void **state)
{
    (void)state;
    /* [5, 45) is 1, but [22, 25) is 7 */
    struct covariate_span span = {22, 25, 7};
    const struct covariate_statement s = say(5, 45, KNOWN_ALWAYS, 1, &span);
    struct covariates *const c = stated(&s, 1);
    const double want[ROWS] = {NAN, 1, 1 + 0.3 * 6, 1, NAN, NAN, NAN, NAN, NAN, NAN};
    for (size_t row = 0; row < ROWS; row++)
        assert_close(at(c, row, 0), want[row], 1e-14);
    assert_true(isnan(at(c, ROWS, 0)));
    covariates_free(c);
}

static void what_is_not_given_is_missing(void **state)
{
    (void)state;
    struct covariate_span span = {20, 30, 3};
    const struct covariate_statement s = say(0, 100, KNOWN_ALWAYS, NAN, &span);
    struct covariates *const c = stated(&s, 1);
    for (size_t row = 0; row < ROWS; row++)
        assert_close(at(c, row, 0), row == 2 ? 3 : NAN, 0);
    /* what stands for it is what the policy says */
    assert_close(covariates_at(c, 0, 5, 0, GAP_HOLD), 3, 0);
    assert_close(covariates_at(c, 0, 1, 0, GAP_HOLD), NAN, 0);
    assert_close(covariates_at(c, 0, 5, 0, GAP_ZERO), 0, 0);
    double ahead[4];
    covariates_ahead(c, 0, 1, 4, GAP_ERROR, ahead);
    assert_true(isnan(ahead[0]) && ahead[1] == 3 && isnan(ahead[2]));
    covariates_ahead(c, 0, 1, 4, GAP_HOLD, ahead);
    assert_true(isnan(ahead[0]) && ahead[1] == 3 && ahead[3] == 3);
    covariates_ahead(c, 0, 8, 4, GAP_HOLD, ahead);
    assert_true(ahead[0] == 3 && ahead[3] == 3);
    covariates_ahead(c, 0, 1, 4, GAP_ZERO, ahead);
    assert_true(ahead[0] == 0 && ahead[1] == 3 && ahead[3] == 0);
    covariates_free(c);
}

static void an_origin_knows_what_had_come(void **state)
{
    (void)state;
    /* in the order they were known, which is not that of the list */
    const struct covariate_statement list[] = {
        say(30, 60, 41, 3, NULL), say(0, 100, KNOWN_ALWAYS, 1, NULL),
        say(20, 50, 20, 2, NULL),
        say(20, 30, 20, 9, NULL), /* of the same instant as the one before, and newer */
    };
    struct covariates *const c = stated(list, 4);
    const struct {
        size_t row, origin;
        double want;
    } cases[] = {
        {2, 0, 1}, {2, 1, 1}, {2, 2, 9}, {3, 1, 1}, {3, 2, 2}, {3, 4, 2},
        {3, 5, 3}, {4, 9, 3}, {5, 4, 1}, {5, 5, 3}, {6, 9, 1}, {0, 9, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_close(at(c, cases[i].row, cases[i].origin), cases[i].want, 0);

    struct covariates *const tail = covariates_slice(c, 2);
    assert_int_equal(covariates_rows(tail), ROWS - 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (cases[i].row >= 2 && cases[i].origin >= 2)
            assert_close(at(tail, cases[i].row - 2, cases[i].origin - 2), cases[i].want,
                         0);
    covariates_free(tail);
    covariates_free(c);
    assert_null(covariates_slice(NULL, 3));
}

static void a_part_of_a_step_keeps_what_was_known(void **state)
{
    (void)state;
    const struct covariate_statement list[] = {say(0, 100, KNOWN_ALWAYS, 1, NULL),
                                               say(25, 50, 0, 5, NULL)};
    struct covariates *const c = stated(list, 2);
    assert_close(at(c, 2, 0), 3, 1e-14);
    assert_close(at(c, 3, 0), 5, 1e-14);
    covariates_free(c);
}

static void refuses(void **state)
{
    (void)state;
    struct err err = {0};
    struct covariate_span spans[] = {{10, 20, 1}, {15, 30, 2}};
    struct covariate_statement s = {0, 40, 0, 0, 2, spans};
    assert_err(covariate_check(&s, &err), &err, ERR_INVALID, "values[1].from");
    spans[1] = (struct covariate_span){20, 50, 2};
    assert_err(covariate_check(&s, &err), &err, ERR_INVALID, "values[1]: must lie");
    spans[1] = (struct covariate_span){30, 30, 2};
    assert_err(covariate_check(&s, &err), &err, ERR_INVALID, "values[1].to");
    spans[1] = (struct covariate_span){20, 30, INFINITY};
    assert_err(covariate_check(&s, &err), &err, ERR_INVALID, "values[1].value");
    spans[1].value = NAN;
    assert_ok(covariate_check(&s, &err), &err);
    s.to_ms = 0;
    assert_err(covariate_check(&s, &err), &err, ERR_INVALID, "to: must be after");

    struct covariates *const c = covariates_new(&ten, 0);
    double values[ROWS] = {0};
    assert_ok(covariates_add_always(c, "a", "a", values, &err), &err);
    assert_err(covariates_add_always(c, "a", "b", values, &err), &err, ERR_INVALID,
               "twice: a");
    for (int i = 1; i < COVARIATES_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        assert_ok(covariates_add_always(c, name, "g", values, &err), &err);
    }
    assert_err(covariates_add_always(c, "z", "g", values, &err), &err, ERR_INVALID,
               "at most 32");
    covariates_free(c);
}

static void a_grid_takes_its_covariates_along(void **state)
{
    (void)state;
    struct err err = {0};
    struct grid grid, part;
    const struct covariate_statement s = say(30, 40, KNOWN_ALWAYS, 4, NULL);
    assert_ok(grid_init(&grid, 0, STEP, 5, 1, &err), &err);
    grid.covariates = stated(&s, 1);
    assert_ok(grid_slice(&grid, 3, 5, &part, &err), &err);
    assert_close(at(part.covariates, 0, 0), 4, 0);
    assert_int_equal(covariates_find(part.covariates, "load"), 0);
    grid_fini(&part);
    grid_fini(&grid);
}

/* Days of the calendar have 23 and 25 hours where the clocks change. */
static void steps_are_as_long_as_days(void **state)
{
    (void)state;
    struct err err = {0};
    struct zone *const berlin = zone_load("Europe/Berlin", &err);
    assert_non_null(berlin);
    enum { HOUR = 3600000 };
    int64_t ms;
    assert_ok(time_parse("2026-03-27T23:00:00Z", 20, NULL, &ms, &err), &err);
    const struct grid days = {
        .start_ms = ms, .step_ms = 24 * HOUR, .zone = berlin, .rows = 3};
    struct covariates *const c = covariates_new(&days, 0);
    /* the first 24 hours, and one more of the short day, known when that has begun */
    struct covariate_span span = {ms, ms + 25 * HOUR, 1};
    const struct covariate_statement s =
        say(ms, ms + 71 * HOUR, ms + 24 * HOUR, 0, &span);
    assert_ok(covariates_add(c, "load", "load", &s, 1, &err), &err);
    assert_close(at(c, 0, 1), 1, 0);
    assert_close(at(c, 1, 1), 1.0 / 23, 1e-14);
    assert_close(at(c, 2, 1), 0, 0);
    assert_close(at(c, 2, 0), NAN, 0);
    covariates_free(c);
    zone_free(berlin);
}

/* The clocks of Berlin went forward at 01:00 UTC of 29 March 2026, a Sunday, and back on
 * 25 October. */
static void the_calendar_is_that_of_a_zone(void **state)
{
    (void)state;
    struct err err = {0};
    struct zone *const berlin = zone_load("Europe/Berlin", &err);
    assert_non_null(berlin);
    static const struct {
        const char *utc;
        double hour;
        const char *day;
        double off;
    } cases[] = {
        {"2026-03-28T22:00:00Z", 23.5, "sat", 0},
        {"2026-03-28T23:00:00Z", 0.5, "sun", 0},
        {"2026-03-29T00:00:00Z", 1.5, "sun", 0},
        {"2026-03-29T01:00:00Z", 3.5, "sun", 0},
        {"2026-03-29T21:00:00Z", 23.5, "sun", 0},
        {"2026-03-29T22:00:00Z", 0.5, "mon", 0},
        {"2026-10-25T00:00:00Z", 2.5, "sun", 0},
        {"2026-10-25T01:00:00Z", 2.5, "sun", 0},
        {"2026-10-25T23:00:00Z", 0.5, "mon", 0},
        {"2026-04-02T21:00:00Z", 23.5, "thu", 0},
        {"2026-04-02T22:00:00Z", 0.5, "fri", 1}, /* Good Friday */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms;
        assert_ok(time_parse(cases[i].utc, strlen(cases[i].utc), NULL, &ms, &err), &err);
        struct covariates *const c =
            covariates_new(&(struct grid){.start_ms = ms, .step_ms = 3600000}, 1);
        assert_ok(calendar_add(c, berlin, 1u << CALENDAR_HOUR | 1u << CALENDAR_WEEKDAY,
                               holidays_find("DE"), &err),
                  &err);
        assert_int_equal(covariates_count(c), 12);
        const double angle = 2 * M_PI * cases[i].hour / 24;
        const double want[] = {cos(angle), sin(angle), cos(2 * angle), sin(2 * angle)};
        for (size_t k = 0; k < 4; k++)
            assert_close(covariates_at(c, k, 0, 0, GAP_ERROR), want[k], 1e-12);
        for (size_t k = 4; k < 11; k++)
            assert_close(covariates_at(c, k, 0, 0, GAP_ERROR),
                         strcmp(covariates_name(c, k) + strlen("calendar.weekday."),
                                cases[i].day) == 0,
                         0);
        assert_string_equal(covariates_group(c, 4), "calendar.weekday");
        assert_string_equal(covariates_name(c, 11), "calendar.holiday");
        assert_close(covariates_at(c, 11, 0, 0, GAP_ERROR), cases[i].off, 0);
        covariates_free(c);
    }
    zone_free(berlin);
    for (int p = 0; p < CALENDAR_PARTS; p++)
        assert_int_equal(calendar_part_parse(calendar_part_word((enum calendar_part)p)),
                         p);
    assert_int_equal(calendar_part_parse("month"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_is_a_mean_weighted_by_time),
        cmocka_unit_test(what_is_not_given_is_missing),
        cmocka_unit_test(an_origin_knows_what_had_come),
        cmocka_unit_test(a_part_of_a_step_keeps_what_was_known),
        cmocka_unit_test(refuses),
        cmocka_unit_test(a_grid_takes_its_covariates_along),
        cmocka_unit_test(steps_are_as_long_as_days),
        cmocka_unit_test(the_calendar_is_that_of_a_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
