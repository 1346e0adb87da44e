/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/time.h"

#include "base/civil.h"
#include "tests/check.h"

static void reads(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want_ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-03-29T02:30:00Z", 1774751400000},
        {"2026-03-29t02:30:00z", 1774751400000},
        {"2026-03-29 02:30:00Z", 1774751400000},
        {"2026-03-29T04:30:00+02:00", 1774751400000},
        {"2026-03-28T21:00:00-05:30", 1774751400000},
        {"2026-03-28T21:00:00-0530", 1774751400000},
        {"2026-03-29T02:30:00.5Z", 1774751400500},
        {"2026-03-29T02:30:00.123456789Z", 1774751400123},
        {"2026-03-29", 1774742400000},
        {"2026-03-29 02:30", 1774751400000},
        {"2026-03-29 02:30:01", 1774751401000},
        {"2026-03-29 02:30:01.25", 1774751401250},
        {"1990/1/1 0:00", 631152000000},
        {"1990/1/1", 631152000000},
        {"1990/12/31 23:59:58", 662687998000},
        {"2024-02-29", 1709164800000},
        {"2000-02-29", 951782400000},
        {"1969-12-31T23:59:59.999Z", -1},
        {"0", 0},
        {"1700000000", 1700000000000},
        {"99999999999", 99999999999000},
        {"100000000000", 100000000000},
        {"1700000000123", 1700000000123},
        {"-1", -1000},
        {"0001-01-01T00:00:00Z", TIME_MIN_MS},
        {"9999-12-31T23:59:59.999Z", TIME_MAX_MS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        int64_t got = 12345;
        const char *text = cases[i].text;
        assert_ok(time_parse(text, strlen(text), NULL, &got, &err), &err);
        assert_int_equal(got, cases[i].want_ms);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        " ",
        "now",

        "2026-3-29",
        "2026-03",
        "2026-03-29T",
        "2026-03-29 ",
        "2026-03-29T02",
        "2026-03-29T2:30",
        "2026-03-29T02:30:",
        "2026-03-29T02:30:00.",
        "2026-03-29T02:30:00.Z",
        "2026-03-29T02:30:00+02",
        "2026-03-29T02:30:00+2:00",
        "2026-03-29T02:30:00ZZ",
        "2026-03-29T02:30:00Z ",
        " 2026-03-29",
        "2026-13-01",
        "2026-00-01",
        "2026-01-00",
        "2026-04-31",
        "2026-02-29",
        "1900-02-29",
        "2026-03-29T24:00:00Z",
        "2026-03-29T02:60:00Z",
        "2026-03-29T02:30:60Z",
        "2026-03-29T02:30:00+24:00",
        "2026/03-29",
        "2026-03/29",
        "20260329T023000Z",
        "+1",
        "1e5",
        "1.5",
        "0x10",
        "-",
        "--1",
        "1234567890123456789",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err;
        int64_t got = 12345;
        const char *text = cases[i];
        assert_err(time_parse(text, strlen(text), NULL, &got, &err), &err, ERR_INVALID,
                   "time: must be RFC 3339");
        assert_int_equal(got, 12345);
    }
}

static void refuses_other_years(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "999999999999999999",
    };
    struct err err;
    int64_t got;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_err(time_parse(cases[i], strlen(cases[i]), NULL, &got, &err), &err,
                   ERR_INVALID, "years 1 to 9999");
    assert_err(time_parse("0000-01-01", 10, NULL, &got, &err), &err, ERR_INVALID,
               "time:");
}

static void quotes_what_it_refuses(void **state)
{
    (void)state;
    struct err err;
    int64_t got;
    assert_err(time_parse("a\x01\xff\0b", 5, NULL, &got, &err), &err, ERR_INVALID,
               "got \"a???b\"");
    assert_err(time_parse("2026-03-29\0", 11, NULL, &got, &err), &err, ERR_INVALID,
               "got \"2026-03-29?\"");
}

static void wall_clock_times_take_the_zone(void **state)
{
    (void)state;
    struct err err = {0};
    struct zone *zone = zone_load("+02:00", &err);
    assert_non_null(zone);
    int64_t got;
    assert_ok(time_parse("2026-03-29", 10, zone, &got, &err), &err);
    assert_int_equal(got, 1774735200000);
    assert_ok(time_parse("2026-03-29T00:00Z", 17, zone, &got, &err), &err);
    assert_int_equal(got, 1774742400000);
    assert_ok(time_parse("1774742400", 10, zone, &got, &err), &err);
    assert_int_equal(got, 1774742400000);
    zone_free(zone);
}

static void formats(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *want;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {1774751400500, "2026-03-29T02:30:00.500Z"},
        {TIME_MIN_MS, "0001-01-01T00:00:00Z"},
        {TIME_MAX_MS, "9999-12-31T23:59:59.999Z"},
        {INT64_MAX, "292278994-08-17T07:12:55.807Z"},
    };
    char text[TIME_TEXT_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(time_format(cases[i].ms, text), cases[i].want);
}

static void formatting_and_reading_agree(void **state)
{
    (void)state;
    struct err err = {0};
    const int64_t step = INT64_C(86400000) * 37 + 3661001; /* odd, to reach every field */
    for (int64_t ms = TIME_MIN_MS; ms <= TIME_MAX_MS; ms += step) {
        char text[TIME_TEXT_SIZE];
        int64_t back;
        time_format(ms, text);
        assert_ok(time_parse(text, strlen(text), NULL, &back, &err), &err);
        assert_int_equal(back, ms);
    }
}

/* The calendar against counting: one day after the other, years 1 to 4000. */
static void every_day_follows_the_one_before(void **state)
{
    (void)state;
    struct civil date = {1, 1, 1};
    int weekday = 1; /* 0001-01-01 was a Monday */
    for (int64_t days = civil_to_days(date); date.year <= 4000; days++) {
        const struct civil back = civil_from_days(days);
        assert_true(civil_to_days(date) == days && back.year == date.year &&
                    back.month == date.month && back.day == date.day);
        assert_true(civil_weekday(days) == weekday);
        weekday = (weekday + 1) % 7;
        if (++date.day <= civil_month_length(date.year, date.month))
            continue;
        date.day = 1;
        if (++date.month > 12) {
            date.month = 1;
            date.year++;
        }
    }
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"1500ms", 1500}, {"15s", 15000},     {"5m", 300000}, {"1h", 3600000},
        {"1d", 86400000}, {"2w", 1209600000}, {"90s", 90000},
    };
    static const char *const bad[] = {"",    "h",   "1",   "0s",   "-1h", "1.5h",
                                      " 1h", "1 h", "1hh", "1h5m", "1y"};
    char text[TIME_TEXT_SIZE];
    struct err err = {0};
    int64_t ms;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_ok(duration_parse(good[i].text, &ms, &err), &err);
        assert_int_equal(ms, good[i].ms);
        assert_string_equal(duration_format(ms, text), good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(duration_parse(bad[i], &ms, &err), &err, ERR_INVALID,
                   "duration: must");
    assert_err(duration_parse("999999999999999999w", &ms, &err), &err, ERR_INVALID,
               "10000 years");
    assert_err(duration_parse("521723w", &ms, &err), &err, ERR_INVALID, "10000 years");
    assert_string_equal(duration_format(0, text), "0ms");
    assert_string_equal(duration_format(120000, text), "2m");
}

static int64_t fixed_now(void *ctx)
{
    return *(int64_t *)ctx;
}

static void clocks(void **state)
{
    (void)state;
    int64_t now = 42;
    const struct clock fixed = {fixed_now, &now}, real = clock_real();
    assert_int_equal(clock_now_ms(&fixed), 42);
    assert_true(clock_now_ms(&real) > 1700000000000);
    const int64_t before = time_monotonic_ms();
    assert_true(time_monotonic_ms() >= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_other_years),
        cmocka_unit_test(quotes_what_it_refuses),
        cmocka_unit_test(wall_clock_times_take_the_zone),
        cmocka_unit_test(formats),
        cmocka_unit_test(formatting_and_reading_agree),
        cmocka_unit_test(every_day_follows_the_one_before),
        cmocka_unit_test(durations),
        cmocka_unit_test(clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
