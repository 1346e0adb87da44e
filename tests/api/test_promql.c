/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is read of PromQL, and what is refused by name. */
#include "tests/check.h"

#include "api/promql.h"

static void assert_number(const char *text, double want)
{
    struct promql query;
    struct err err = {0};
    assert_ok(promql_parse(text, strlen(text), &query, &err), &err);
    assert_int_equal(query.kind, PROMQL_NUMBER);
    assert_true(query.number == want || (isnan(want) && isnan(query.number)));
    promql_fini(&query);
}

static void test_numbers(void **state)
{
    (void)state;
    assert_number("1+1", 2);
    assert_number(" 1 + 2 * ( 3 - 4 ) / 8 # as ever", 0.75);
    assert_number("-2 - -3", 1);
    assert_number("8 / 4 / 2", 1);
    assert_number("1e3", 1000);
    assert_number("0x1F", 31);
    assert_number(".5", 0.5);
    assert_number("+Inf", INFINITY);
    assert_number("-inf", -INFINITY);
    assert_number("NaN", NAN);
}

static void assert_series(const char *text, struct promql want)
{
    struct promql query;
    struct err err = {0};
    assert_ok(promql_parse(text, strlen(text), &query, &err), &err);
    assert_int_equal(query.kind, want.kind);
    assert_string_equal(query.selector, want.selector);
    assert_int_equal(query.range_ms, want.range_ms);
    assert_int_equal(query.offset_ms, want.offset_ms);
    assert_int_equal(query.filter, want.filter);
    assert_true(query.number == want.number);
    promql_fini(&query);
}

static char up[] = "{__name__=\"up\"}";

static void test_series(void **state)
{
    (void)state;
    assert_series("up", (struct promql){PROMQL_VECTOR, .selector = up});
    assert_series("job:up:predicted{a='x',b!=`\\d\"`,c=~\"p.*\\\\.\\n\",d!~\"q\",}",
                  (struct promql){PROMQL_VECTOR,
                                  .selector = (char[]){
                                      "{__name__=\"job:up:predicted\",a=\"x\","
                                      "b!=\"\\\\d\\\"\",c=~\"p.*\\\\.\\n\",d!~\"q\"}"}});
    assert_series(
        "{ __name__ = \"a b\" }",
        (struct promql){PROMQL_VECTOR, .selector = (char[]){"{__name__=\"a b\"}"}});
    assert_series("up offset 1h30m",
                  (struct promql){PROMQL_VECTOR, .selector = up, .offset_ms = 5400000});
    assert_series("up offset -2d", (struct promql){PROMQL_VECTOR, .selector = up,
                                                   .offset_ms = INT64_C(-172800000)});
    assert_series("up[5m]",
                  (struct promql){PROMQL_MATRIX, .selector = up, .range_ms = 300000});
    assert_series("up [ 90s ] offset 1y",
                  (struct promql){PROMQL_MATRIX, .selector = up, .range_ms = 90000,
                                  .offset_ms = INT64_C(31536000000)});
    assert_series("up offset 5m >= 0.5 * 2",
                  (struct promql){PROMQL_VECTOR, 1, up, 0, 300000, FILTER_AT_LEAST});
    assert_series("up>-1", (struct promql){PROMQL_VECTOR, -1, up, 0, 0, FILTER_ABOVE});
    /* Words that are more elsewhere are names here. */
    assert_series(
        "by{a=\"\"}",
        (struct promql){PROMQL_VECTOR, .selector = (char[]){"{__name__=\"by\",a=\"\"}"}});
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"rate(up[5m])", "a function or aggregation"},
        {"sum by (job) (up)", "an aggregation"},
        {"sum without(job) (up)", "an aggregation"},
        {"up + 1", "arithmetic on series"},
        {"up and down", "the word \"and\""},
        {"up @ 123", "the modifier @"},
        {"up[5m:1m]", "a subquery"},
        {"up > bool 1", "the modifier bool"},
        {"up > down", "a series in this place"},
        {"up > max(x)", "a function"},
        {"1 > up", "a comparison in this place"},
        {"1 > 2", "a comparison in this place"},
        {"1 + up", "a series in this place"},
        {"2 % 3", "the operator %"},
        {"2 ^ 3", "the operator ^"},
        {"(up)", "a series in this place"},
        {"up[5m] > 1", "a comparison of a range"},
        {"up{a=\"x\"}{b=\"y\"}", "a second selector"},
        {"\"text\"", "a string"},
        {"1 + \"text\"", "a string"},
        {"", "must have a number or a series at byte 1"},
        {"{}", "must have a matcher"},
        {"up{", "must have the name of a label"},
        {"up{a}", "must have =, !=, =~ or !~"},
        {"up{a=x}", "must have a value in quotes"},
        {"up{a=\"x}", "must have a closing quote"},
        {"up{a=\"\\q\"}", "must have only"},
        {"up{a=\"x\" b=\"y\"}", "must have \",\""},
        {"up{a:b=\"x\"}", "matcher: name must be of"},
        {"up[5]", "must have a duration"},
        {"up[0s]", "must have a duration"},
        {"up[5m", "must have a closing bracket"},
        {"up offset", "must have a duration"},
        {"up offset 99999999999999y", "must have a duration"},
        {"up offset 2000y", "must have a duration"},
        {"(1", "must have a closing parenthesis"},
        {"1)", "a parenthesis"},
        {"1 +", "must have a number"},
        {"\xff", "must be UTF-8"},
        {"((((((((((((((((((((((((((((((((((1", "nested too deep"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct promql query;
        struct err err = {0};
        if (promql_parse(cases[i].text, strlen(cases[i].text), &query, &err) == 0)
            fail_msg("%s is taken", cases[i].text);
        assert_int_equal(err.code, ERR_INVALID);
        if (!strstr(err.msg, cases[i].want))
            fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].text, err.msg, cases[i].want);
        assert_null(query.selector);
    }
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {{"15", 15000},      {"0.25", 250},    {"1m", 60000}, {"1h1ms", 3600001},
                 {"2w", 1209600000}, {"", -1},         {"m", -1},     {"5x", -1},
                 {"-5s", -1},        {"1e3", 1000000}, {"inf", -1},   {"5m ", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t got = 0;
        struct err err = {0};
        const int rc = promql_duration(cases[i].text, strlen(cases[i].text), &got, &err);
        assert_int_equal(rc, cases[i].want < 0 ? -1 : 0);
        if (rc == 0)
            assert_int_equal(got, cases[i].want);
    }
}

static void test_filters(void **state)
{
    (void)state;
    static const struct {
        enum promql_filter filter;
        const char *passing; /* of 1, 2, 3 against 2 */
    } cases[] = {{FILTER_NONE, "123"},    {FILTER_ABOVE, "3"},    {FILTER_BELOW, "1"},
                 {FILTER_AT_LEAST, "23"}, {FILTER_AT_MOST, "12"}, {FILTER_EQUAL, "2"},
                 {FILTER_OTHER, "13"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int value = 1; value <= 3; value++) {
            const struct promql query = {.filter = cases[i].filter, .number = 2};
            assert_int_equal(promql_passes(&query, value),
                             strchr(cases[i].passing, '0' + value) != NULL);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_series),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_durations),
        cmocka_unit_test(test_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
