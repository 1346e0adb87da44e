/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reference is the plain loop over every minute that passes, which knows what the
 * clock shows at each and what it skipped since the one before.
 */
#include "base/timetable.h"

#include <stdio.h>

#include "base/civil.h"
#include "base/rng.h"
#include "base/time.h"
#include "tests/check.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static int64_t at(const char *utc)
{
    struct err err = {0};
    int64_t ms = 0;
    assert_ok(time_parse(utc, strlen(utc), NULL, &ms, &err), &err);
    return ms;
}

static struct timetable cron(const char *text, const char *zone)
{
    struct err err = {0};
    struct timetable table = {0};
    struct zone *const z = zone ? zone_load(zone, &err) : NULL;
    assert_true(!zone || z);
    assert_ok(timetable_cron(text, z, &table, &err), &err);
    return table;
}

/* ---- the plain loop ------------------------------------------------------------------ */

static bool shows(const struct timetable *t, int64_t local_ms)
{
    const int64_t days = floor_div(local_ms, DAY);
    const int64_t minute = floor_div(local_ms, MINUTE) - days * 1440;
    const struct civil date = civil_from_days(days);
    const bool by_date = t->days >> date.day & 1;
    const bool by_weekday = t->weekdays >> civil_weekday(days) & 1;
    return t->minutes >> minute % 60 & 1 && t->hours >> minute / 60 & 1 &&
           t->months >> date.month & 1 &&
           (t->either_day ? by_date || by_weekday : by_date && by_weekday);
}

static int64_t local_at(const struct timetable *t, int64_t utc_ms)
{
    return utc_ms + zone_offset_s(t->zone, utc_ms) * INT64_C(1000);
}

/* Due at a whole minute?  shown_ms is the latest reading there has been so far. */
static bool due(const struct timetable *t, int64_t utc_ms, int64_t *shown_ms)
{
    const int64_t local_ms = local_at(t, utc_ms);
    bool is = false;
    if (t->hours == (1 << 24) - 1) {
        is = shows(t, local_ms);
    } else if (local_ms > *shown_ms) { /* else the clock was set back: seen already */
        for (int64_t l = *shown_ms + MINUTE; l <= local_ms; l += MINUTE)
            is = is || shows(t, l);
    }
    if (local_ms > *shown_ms)
        *shown_ms = local_ms;
    return is;
}

static void assert_like_plain(const struct timetable *t, const char *name,
                              int64_t from_ms, int64_t to_ms)
{
    int64_t next = timetable_next(t, from_ms - 1);
    int64_t shown = local_at(t, from_ms - 2 * DAY);
    for (int64_t ms = from_ms - 2 * DAY + MINUTE; ms < from_ms; ms += MINUTE)
        due(t, ms, &shown);
    for (int64_t ms = from_ms; ms < to_ms; ms += MINUTE) {
        const bool is = due(t, ms, &shown);
        if (is != (ms == next)) {
            char plain[TIME_TEXT_SIZE], fast[TIME_TEXT_SIZE];
            print_error("%s: plain %s at %s, next says %s\n", name,
                        is ? "fires" : "rests", time_format(ms, plain),
                        time_format(next, fast));
            fail();
        }
        if (is)
            next = timetable_next(t, ms);
    }
}

/* Around both changes of every zone with an odd habit. */
static void it_is_what_the_plain_loop_says(void **state)
{
    (void)state;
    static const char *const expressions[] = {
        "* * * * *",       "*/7 * * * *",    "30 2 * * *",    "0 3 * * *",
        "15,45 1-3 * * *", "0 0 * * *",      "59 23 * * sun", "*/20 0-3,23 * * *",
        "5 */2 * * *",     "30 * 1-7 * mon", "0 12 29 2 *",   "*/15 2 * mar,oct 0",
        "0 0 30 12 *",     "7 * 31 * *",
    };
    static const struct {
        const char *zone, *change;
    } places[] = {
        {NULL, "2026-02-27T00:00:00Z"},
        {"Europe/Berlin", "2026-03-29T01:00:00Z"},
        {"Europe/Berlin", "2026-10-25T01:00:00Z"},
        {"America/New_York", "2050-03-13T07:00:00Z"},
        {"America/New_York", "2050-11-06T06:00:00Z"},
        {"Australia/Lord_Howe", "2026-10-03T15:30:00Z"}, /* half an hour */
        {"Australia/Lord_Howe", "2026-04-04T15:00:00Z"},
        {"America/Havana", "2026-03-08T05:00:00Z"}, /* at midnight */
        {"America/Havana", "2026-11-01T05:00:00Z"},
        {"America/Sao_Paulo", "2018-02-18T02:00:00Z"}, /* back over midnight */
        {"America/Sao_Paulo", "2018-11-04T03:00:00Z"},
        {"Pacific/Apia", "2011-12-30T10:00:00Z"}, /* a day that never was */
    };
    for (size_t p = 0; p < sizeof places / sizeof *places; p++)
        for (size_t e = 0; e < sizeof expressions / sizeof *expressions; e++) {
            struct timetable t = cron(expressions[e], places[p].zone);
            char name[80];
            snprintf(name, sizeof name, "\"%s\" in %s", expressions[e],
                     places[p].zone ? places[p].zone : "UTC");
            const int64_t change = at(places[p].change);
            assert_like_plain(&t, name, change - 2 * DAY, change + 2 * DAY);
            timetable_fini(&t);
        }
}

/* Below n, at random: draw counts up. */
static int below(uint64_t *draw, int n)
{
    return (int)(rng_uniform((struct rng_stream){6, 1, 0}, (*draw)++) * n);
}

static uint64_t some_bits(uint64_t *draw, int least, int most)
{
    uint64_t bits = 0;
    if (below(draw, 3) == 0)
        return ((UINT64_C(1) << (most + 1)) - 1) & ~((UINT64_C(1) << least) - 1);
    for (int n = below(draw, 4); n < 4; n++)
        bits |= UINT64_C(1) << (least + below(draw, most - least + 1));
    return bits;
}

/* Random expressions over a month with a change. */
static void random_ones_are_too(void **state)
{
    (void)state;
    uint64_t draw = 0;
    struct err err = {0};
    for (int i = 0; i < 40; i++) {
        struct timetable t = {
            .minutes = some_bits(&draw, 0, 59),
            .hours = (uint32_t)some_bits(&draw, 0, 23),
            .days = (uint32_t)some_bits(&draw, 1, 31),
            .months = 0x1ffe,
            .weekdays = (uint32_t)some_bits(&draw, 0, 6),
            .either_day = below(&draw, 2) == 0,
            .zone = zone_load(i % 2 ? "Europe/Berlin" : "America/New_York", &err),
        };
        const int64_t from =
            at(i % 4 < 2 ? "2026-03-01T00:00:00Z" : "2026-10-15T00:00:00Z");
        assert_like_plain(&t, "a random one", from, from + 30 * DAY);
        timetable_fini(&t);
    }
}

/* The rules of the header, as a person would check them. */
static void daylight_saving(void **state)
{
    (void)state;
    static const struct {
        const char *text, *after, *want;
    } cases[] = {
        /* 29 March 2026, 02:00 becomes 03:00: skipped readings come at the jump, once */
        {"30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
        {"30 2 * * *", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
        {"*/15 2 * * *", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"},
        /* with every hour, what is skipped never happens */
        {"30 * * * *", "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"},
        /* 25 October 2026, 03:00 becomes 02:00: the first 02:30 counts */
        {"30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
        {"30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
        {"30 * * * *", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
        {"0 3 * * *", "2026-10-24T12:00:00Z", "2026-10-25T02:00:00Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct timetable t = cron(cases[i].text, "Europe/Berlin");
        char got[TIME_TEXT_SIZE];
        assert_string_equal(time_format(timetable_next(&t, at(cases[i].after)), got),
                            cases[i].want);
        timetable_fini(&t);
    }
}

static void intervals(void **state)
{
    (void)state;
    const struct timetable six = timetable_every(6 * HOUR, 0);
    assert_int_equal(timetable_next(&six, at("2026-03-29T00:00:00Z")),
                     at("2026-03-29T06:00:00Z"));
    assert_int_equal(timetable_next(&six, at("2026-03-29T05:59:59.999Z")),
                     at("2026-03-29T06:00:00Z"));
    assert_int_equal(timetable_next(&six, -1), 0);
    const struct timetable moved = timetable_every(DAY, 7 * HOUR);
    assert_int_equal(timetable_next(&moved, at("2026-03-29T06:59:59Z")),
                     at("2026-03-29T07:00:00Z"));
    assert_int_equal(timetable_next(&moved, at("2026-03-29T07:00:00Z")),
                     at("2026-03-30T07:00:00Z"));
}

/* The last of what was missed is the one before the next after it. */
static void the_last_one_missed(void **state)
{
    (void)state;
    static const char *const texts[] = {"* * * * *", "30 2 * * *", "0 0 1 1 *",
                                        "0 12 29 2 *", "* 0-22 * * *"};
    const int64_t from = at("2025-06-01T00:00:00Z"), to = at("2026-10-25T01:10:00Z");
    int64_t last = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct timetable t = cron(texts[i], "Europe/Berlin");
        const bool any = timetable_last(&t, from, to, &last);
        assert_int_equal(any, timetable_next(&t, from) <= to);
        if (any) {
            assert_true(last > from && last <= to);
            assert_true(timetable_next(&t, last) > to);
            assert_int_equal(timetable_next(&t, last - 1), last);
            assert_false(timetable_last(&t, last, to, &last));
        }
        timetable_fini(&t);
    }
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "cron: must have five fields"},
        {"60 * * * *", "minute must be a list of 0..59, ranges and steps, got \"60\""},
        {"0 24 * * *", "hour must be"},
        {"0 0 0 * *", "day of month must be a list of 1..31"},
        {"0 0 * foo *", "month must be a list of 1..12, ranges and steps, got \"foo\""},
        {"0 0 * * 8", "day of week must be"},
        {"0 0 * *", "must have five fields, got \"0 0 * *\""},
        {"0 0 * * * *", "must have five fields"},
        {"0 0 ", "must have five fields"},
        {"*/0 * * * *", "minute must be"},
        {"5-1 * * * *", "minute must be"},
        {"1, * * * *", "minute must be"},
        {"1-2-3 * * * *", "minute must be"},
        {"0 0 31 2,4,6 *", "no date ever matches"},
        {"99999999999999999999 * * * *", "minute must be"},
        {"@daily", "minute must be"},
    };
    struct err err;
    struct timetable t;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_err(timetable_cron(cases[i].text, NULL, &t, &err), &err, ERR_INVALID,
                   cases[i].says);
}

/* Several ways to write the same. */
static void spellings(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"0 0 * * 0", "0 0 * * 7"},          {"0 0 * jan-mar mon", "0  0\t* 1,2,3 1 "},
        {"5-59/10 * * * *", "5/10 * * * *"}, {"0 0 * * FRI-sat", "0 0 * * 5,6"},
        {"0 0 * * 5-7", "0 0 * * 5,6,0"},    {"0 */1 * * *", "0 0-23 * * *"},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        const struct timetable a = cron(same[i][0], NULL), b = cron(same[i][1], NULL);
        int64_t now = at("2026-01-01T00:00:00Z");
        for (int n = 0; n < 50; n++) {
            assert_int_equal(timetable_next(&a, now), timetable_next(&b, now));
            now = timetable_next(&a, now);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_what_the_plain_loop_says),
        cmocka_unit_test(random_ones_are_too),
        cmocka_unit_test(daylight_saving),
        cmocka_unit_test(intervals),
        cmocka_unit_test(the_last_one_missed),
        cmocka_unit_test(refusals),
        cmocka_unit_test(spellings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
