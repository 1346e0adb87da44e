/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/zone.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/posix_tz.h"
#include "base/time.h"
#include "tests/check.h"

static struct zone *load(const char *name)
{
    struct err err = {0};
    struct zone *zone = zone_load(name, &err);
    if (!zone)
        print_error("%s\n", err.msg);
    assert_non_null(zone);
    return zone;
}

static int64_t at(const char *utc)
{
    struct err err = {0};
    int64_t ms = 0;
    assert_ok(time_parse(utc, strlen(utc), NULL, &ms, &err), &err);
    return ms;
}

static void offsets(void **state)
{
    (void)state;
    static const struct {
        const char *zone, *utc;
        int32_t want_s;
    } cases[] = {
        {"UTC", "2026-07-01T00:00:00Z", 0},
        {"+02:00", "2026-07-01T00:00:00Z", 7200},
        {"-09:30", "2026-07-01T00:00:00Z", -34200},
        /* both changes of a year, to the second */
        {"Europe/Berlin", "2026-03-29T00:59:59Z", 3600},
        {"Europe/Berlin", "2026-03-29T01:00:00Z", 7200},
        {"Europe/Berlin", "2026-10-25T00:59:59.999Z", 7200},
        {"Europe/Berlin", "2026-10-25T01:00:00Z", 3600},
        /* past the table: the rule at the file's end */
        {"America/New_York", "2050-03-13T06:59:59Z", -18000},
        {"America/New_York", "2050-03-13T07:00:00Z", -14400},
        {"America/New_York", "2050-11-06T05:59:59Z", -14400},
        {"America/New_York", "2050-11-06T06:00:00Z", -18000},
        /* daylight time over the new year; daylight time that subtracts */
        {"Australia/Sydney", "2050-01-01T00:00:00Z", 39600},
        {"Australia/Sydney", "2050-07-01T00:00:00Z", 36000},
        {"Europe/Dublin", "2050-01-01T00:00:00Z", 0},
        {"Europe/Dublin", "2050-07-01T00:00:00Z", 3600},
        /* before the table: local mean time */
        {"America/New_York", "1850-01-01T00:00:00Z", -17762},
        {"Asia/Kolkata", "2026-01-01T00:00:00Z", 19800},
        {"America/St_Johns", "2026-01-01T00:00:00Z", -12600},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct zone *zone = load(cases[i].zone);
        assert_string_equal(zone_name(zone), cases[i].zone);
        assert_int_equal(zone_offset_s(zone, at(cases[i].utc)), cases[i].want_s);
        zone_free(zone);
    }
    assert_int_equal(zone_offset_s(NULL, 0), 0);
    assert_string_equal(zone_name(NULL), "UTC");
}

static void wall_clock_to_utc(void **state)
{
    (void)state;
    static const struct {
        const char *zone, *local, *utc; /* local written as if it were UTC */
    } cases[] = {
        {"Europe/Berlin", "2026-01-15T12:00:00Z", "2026-01-15T11:00:00Z"},
        {"Europe/Berlin", "2026-07-15T12:00:00Z", "2026-07-15T10:00:00Z"},
        /* skipped: forward by the jump */
        {"Europe/Berlin", "2026-03-29T01:59:59Z", "2026-03-29T00:59:59Z"},
        {"Europe/Berlin", "2026-03-29T02:30:00Z", "2026-03-29T01:30:00Z"},
        {"Europe/Berlin", "2026-03-29T03:00:00Z", "2026-03-29T01:00:00Z"},
        /* twice: the first */
        {"Europe/Berlin", "2026-10-25T02:30:00Z", "2026-10-25T00:30:00Z"},
        {"Europe/Berlin", "2026-10-25T03:00:00Z", "2026-10-25T02:00:00Z"},
        {"America/New_York", "2026-03-08T02:30:00Z", "2026-03-08T07:30:00Z"},
        {"America/New_York", "2026-11-01T01:30:00Z", "2026-11-01T05:30:00Z"},
        {"America/New_York", "2050-11-06T01:30:00Z", "2050-11-06T05:30:00Z"},
        /* a day that was never there */
        {"Pacific/Apia", "2011-12-30T12:00:00Z", "2011-12-30T22:00:00Z"},
        {"+05:45", "2026-01-01T00:00:00Z", "2025-12-31T18:15:00Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct zone *zone = load(cases[i].zone);
        assert_int_equal(zone_to_utc(zone, at(cases[i].local)), at(cases[i].utc));
        zone_free(zone);
    }
    assert_int_equal(zone_to_utc(NULL, 5), 5);
}

/* Every wall-clock reading that exists leads back to itself, and to the first one. */
static void there_and_back(void **state)
{
    (void)state;
    static const char *const names[] = {"Europe/Berlin", "America/New_York",
                                        "Australia/Lord_Howe", "Asia/Tehran"};
    const int64_t end = at("2060-01-01");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct zone *zone = load(names[i]);
        for (int64_t utc = at("1990-01-01"); utc < end; utc += 47 * 60000) {
            const int64_t local = utc + zone_offset_s(zone, utc) * INT64_C(1000);
            const int64_t back = zone_to_utc(zone, local);
            assert_true(back <= utc);
            assert_true(back + zone_offset_s(zone, back) * INT64_C(1000) == local);
        }
        zone_free(zone);
    }
}

static void refuses_names(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",       "../x",    "Europe/../UTC", "/etc/passwd",     "Europe/Atlantis",
        "Europe", "Europe/", "utc ",          "+2:00",           "+24:00",
        "+02:60", "+0200",   "zone.tab",      "Europe/Berlin\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        assert_null(zone_load(cases[i], &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_int_equal(strncmp(err.msg, "zone: ", 6), 0);
    }
}

/* A file cut anywhere, or with any one byte turned over, is read or refused. */
static void survives_damage(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_zone.XXXXXX", path[64];
    unsigned char good[8192];
    FILE *file = fopen("/usr/share/zoneinfo/America/Sao_Paulo", "rb");
    assert_non_null(file);
    const size_t len = fread(good, 1, sizeof good, file);
    fclose(file);
    assert_in_range(len, 500, sizeof good - 1);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/Zone", folder);
    setenv("TZDIR", folder, 1);
    size_t refused = 0;
    for (size_t i = 0; i < 2 * len; i++) {
        const size_t spot = i % len;
        good[spot] ^= 0xFF;
        file = fopen(path, "wb");
        fwrite(good, 1, i < len ? spot : len, file);
        fclose(file);
        good[spot] ^= 0xFF;
        struct err err = {0};
        struct zone *zone = zone_load("Zone", &err);
        if (zone)
            assert_in_range(zone_offset_s(zone, 0) + 100000, 0, 200000);
        else
            assert_int_equal(err.code, ERR_CORRUPT);
        refused += zone == NULL;
        zone_free(zone);
    }
    assert_true(refused >= len); /* every cut one */
    unsetenv("TZDIR");
    unlink(path);
    rmdir(folder);
}

static void rules(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "E5",
        "EST",
        "EST5EDT",
        "EST25",
        "EST5EDT,M3.2.0",
        "EST5EDT,M13.1.0,M11.1.0",
        "EST5EDT,M3.6.0,M11.1.0",
        "EST5EDT,M3.2.7,M11.1.0",
        "EST5EDT,J0,J1",
        "EST5EDT,366,1",
        "EST5 ",
        "EST5EDT,M3.2.0/168,M11.1.0",
        "<+3>",
        "<+03",
        "EST5EDT,M3.2.0,M11.1.0,",
    };
    struct posix_tz tz;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(posix_tz_parse(bad[i], &tz));

    assert_true(posix_tz_parse("<-0330>3:30", &tz));
    assert_int_equal(posix_tz_offset_s(&tz, 0), -12600);

    /* Jn never counts February 29, n does; hours may pass midnight. */
    assert_true(posix_tz_parse("AAA0BBB,J60/0,J61/1", &tz)); /* March 1 to 2 */
    assert_int_equal(posix_tz_offset_s(&tz, at("2024-03-01") / 1000 - 1), 0);
    assert_int_equal(posix_tz_offset_s(&tz, at("2024-03-01") / 1000), 3600);
    assert_int_equal(posix_tz_offset_s(&tz, at("2023-03-01") / 1000), 3600);
    assert_int_equal(posix_tz_offset_s(&tz, at("2023-03-02") / 1000), 0);
    assert_true(posix_tz_parse("AAA0BBB,59/-1,59/25", &tz)); /* February 29 in 2024 */
    assert_int_equal(posix_tz_offset_s(&tz, at("2024-02-28T22:59:59Z") / 1000), 0);
    assert_int_equal(posix_tz_offset_s(&tz, at("2024-02-28T23:00:00Z") / 1000), 3600);
    assert_int_equal(posix_tz_offset_s(&tz, at("2024-03-01T00:00:00Z") / 1000), 0);

    /* RFC 8536's example of daylight time all the year. */
    assert_true(posix_tz_parse("XXX3EDT4,0/0,J365/23", &tz));
    for (int64_t s = at("2023-01-01") / 1000; s < at("2025-01-02") / 1000; s += 3600)
        assert_int_equal(posix_tz_offset_s(&tz, s), -14400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets),         cmocka_unit_test(wall_clock_to_utc),
        cmocka_unit_test(there_and_back),  cmocka_unit_test(refuses_names),
        cmocka_unit_test(survives_damage), cmocka_unit_test(rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
