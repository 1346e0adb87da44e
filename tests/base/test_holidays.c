/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/holidays.h"

#include <stdio.h>

#include "tests/check.h"

static int64_t day(const char *text)
{
    int year, month, day_of_month;
    assert_int_equal(sscanf(text, "%d-%d-%d", &year, &month, &day_of_month), 3);
    return civil_to_days((struct civil){year, month, day_of_month});
}

static void easter_is_when_it_was(void **state)
{
    (void)state;
    static const char *const sundays[] = {
        "1818-03-22", "1886-04-25", "1943-04-25", "1961-04-02", "1981-04-19",
        "2000-04-23", "2008-03-23", "2024-03-31", "2025-04-20", "2026-04-05",
        "2027-03-28", "2038-04-25", "2285-03-22",
    };
    for (size_t i = 0; i < sizeof sundays / sizeof *sundays; i++) {
        const int64_t want = day(sundays[i]);
        assert_int_equal(civil_to_days(holidays_easter(civil_from_days(want).year)),
                         want);
    }
}

/* From 1900 to 2099, as python-dateutil has it: a is 22 March, b the 23rd, ... A is 17 April. */
static void easter_is_where_others_have_it(void **state)
{
    (void)state;
    static const char days[] = "yqivmGyjCufzqbvnGrjDnfzkDvnArjDofzkEvgAscwoIskEpgA"
                               "sdwoBtkEphAlFxhBtexphulFxiBteypCumFqiCmeyjCumzqivn"
                               "GyjDufzrbvnHrjDofzkEvnAsjDogzkEwgAsdwoItkEphAsdxoB"
                               "tlEphBlFxiBteyphumFxiCteyqCumGqiCneyjDumzrivnHyjDv";
    for (int year = 1900; year < 2100; year++) {
        const char c = days[year - 1900];
        const int after = c >= 'a' ? c - 'a' : c - 'A' + 26;
        const int64_t first = civil_to_days((struct civil){year, 3, 22});
        assert_int_equal(civil_to_days(holidays_easter(year)), first + after);
    }
}

static void days_off_are_those_of_the_country(void **state)
{
    (void)state;
    static const struct {
        const char *country, *date;
        bool want;
    } cases[] = {
        {"DE", "2026-04-03", true},  {"DE", "2026-04-05", false},
        {"DE", "2026-05-14", true},  {"DE", "2026-10-03", true},
        {"DE", "1989-10-03", false}, {"DE", "2026-11-01", false},
        {"AT", "2026-06-04", true},  {"FR", "2026-07-14", true},
        {"NL", "2025-04-26", true},  {"NL", "2025-04-27", false}, /* a Sunday */
        {"NL", "2026-04-27", true},  {"DK", "2023-05-05", true},
        {"DK", "2024-04-26", false}, {"PL", "2024-12-24", false},
        {"PL", "2025-12-24", true},  {"SE", "2026-06-20", true},
        {"SE", "2026-10-31", true},  {"FI", "2025-06-21", true},
        {"US", "2026-01-19", true},  {"US", "2026-11-26", true},
        {"US", "2026-07-03", true}, /* the fourth is a Saturday */
        {"US", "2021-12-31", true}, /* for a New Year's Day on a Saturday */
        {"US", "2020-06-19", false}, {"US", "2026-05-25", true},
        {"US", "2026-10-12", true},  {"GB", "2026-05-04", true},
        {"GB", "2026-05-25", true},  {"GB", "2026-08-31", true},
        {"GB", "2026-12-28", true}, /* Boxing Day is a Saturday */
        {"GB", "2021-12-27", true},  {"GB", "2021-12-28", true},
        {"GB", "2022-01-03", true},  {"GB", "2022-12-27", true},
        {"GB", "2026-12-29", false}, {"CH", "2026-08-01", true},
        {"NO", "2026-04-02", true},  {"PT", "2026-06-04", true},
        {"CZ", "2015-04-03", false}, {"CZ", "2016-03-25", true},
        {"ES", "2026-10-12", true},  {"IT", "2026-06-02", true},
        {"BE", "2026-07-21", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct holidays *const h = holidays_find(cases[i].country);
        assert_non_null(h);
        if (holidays_is(h, day(cases[i].date)) != cases[i].want)
            fail_msg("%s %s", cases[i].country, cases[i].date);
    }
    assert_null(holidays_find("de"));
    assert_null(holidays_find("XX"));
}

/* The list is what can be found, and no country's rules fill its table. */
static void countries_are_listed(void **state)
{
    (void)state;
    const char *at = holidays_countries();
    for (; *at; at += at[2] ? 4 : 2) {
        const char code[3] = {at[0], at[1], '\0'};
        const struct holidays *const h = holidays_find(code);
        assert_non_null(h);
        assert_string_equal(holidays_country(h), code);
        int count = 0;
        for (int64_t d = day("2026-01-01"); d < day("2027-01-01"); d++)
            count += holidays_is(h, d);
        assert_true(count >= 4 && count <= 15);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(easter_is_when_it_was),
        cmocka_unit_test(easter_is_where_others_have_it),
        cmocka_unit_test(days_off_are_those_of_the_country),
        cmocka_unit_test(countries_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
