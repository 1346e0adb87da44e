/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/labels.h"

#include "base/text.h"
#include "tests/check.h"

static void canonical_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"cpu", "cpu"},
        {" cpu ", "cpu"},
        {"cpu{}", "cpu"},
        {"node:cpu:rate5m", "node:cpu:rate5m"},
        {"cpu{host=\"a\"}", "cpu{host=\"a\"}"},
        {"cpu { job = \"x\" , host = \"a\" , }", "cpu{host=\"a\",job=\"x\"}"},
        {"cpu{host=\"\"}", "cpu"},
        {"{__name__=\"cpu\",host=\"a\"}", "cpu{host=\"a\"}"},
        {"{host=\"a\",__name__=\"disk used %\"}",
         "{__name__=\"disk used %\",host=\"a\"}"},
        {"{__name__=\"0\",HOST=\"a\"}", "{HOST=\"a\",__name__=\"0\"}"},
        {"cpu{a=\"q\\\"b\\\\n\\n\"}", "cpu{a=\"q\\\"b\\\\n\\n\"}"},
        {"cpu{a=\"x\ny\"}", "cpu{a=\"x\\ny\"}"},
        {"cpu{city=\"Köln 東京 🌍\"}", "cpu{city=\"Köln 東京 🌍\"}"},
        {"cpu{a=\"}\",b=\",\"}", "cpu{a=\"}\",b=\",\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        struct labels labels;
        char got[LABELS_TEXT_MAX];
        const char *text = cases[i].text;
        assert_ok(labels_parse(text, strlen(text), &labels, &err), &err);
        assert_ok(labels_format(&labels, got, &err), &err);
        assert_string_equal(got, cases[i].want);
        /* the canonical form is a fixed point */
        assert_ok(labels_parse(got, strlen(got), &labels, &err), &err);
        assert_ok(labels_format(&labels, got, &err), &err);
        assert_string_equal(got, cases[i].want);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "must have a name"},
        {"{}", "must have a name"},
        {"{host=\"a\"}", "must have a name"},
        {"{__name__=\"\"}", "must have a name"},
        {"0cpu", "must end"},
        {"cpu load", "must end"},
        {"cpu{host=\"a\"} x", "must end"},
        {"cpu{host=\"a\"", "must have \",\" or \"}\""},
        {"cpu{host=\"a\" job=\"b\"}", "must have \",\" or \"}\""},
        {"cpu{,}", "must have a label name"},
        {"cpu{a:b=\"x\"}", "must have \"=\""},
        {"cpu{host}", "must have \"=\""},
        {"cpu{host=a}", "double quotes"},
        {"cpu{host='a'}", "double quotes"},
        {"cpu{host=\"a}", "end with a double quote"},
        {"cpu{host=\"a\\", "escaped"},
        {"cpu{host=\"\\t\"}", "escaped"},
        {"cpu{a=\"1\",a=\"2\"}", "stands twice"},
        {"cpu{__name__=\"mem\"}", "stands twice"},
        {"cpu{a=\"\xC3\"}", "UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err;
        struct labels labels;
        const char *text = cases[i].text;
        assert_err(labels_parse(text, strlen(text), &labels, &err), &err, ERR_INVALID,
                   cases[i].why);
        assert_int_equal(strncmp(err.msg, "series: ", 8), 0);
    }
    struct err err;
    struct labels labels;
    assert_err(labels_parse("a\0b", 3, &labels, &err), &err, ERR_INVALID, "UTF-8");
}

static void limits_hold(void **state)
{
    (void)state;
    struct err err = {0};
    struct labels labels = {0};
    char name[] = "l00", got[LABELS_TEXT_MAX], big[3 * LABELS_TEXT_MAX];
    assert_ok(labels_add(&labels, "__name__", "cpu", &err), &err);
    for (int i = 1; i < LABELS_COUNT_MAX; i++) {
        name[1] = (char)('0' + i / 10);
        name[2] = (char)('0' + i % 10);
        assert_ok(labels_add(&labels, name, "x", &err), &err);
    }
    assert_err(labels_add(&labels, "one_more", "x", &err), &err, ERR_INVALID,
               "at most 64 labels");
    err = (struct err){0};
    assert_ok(labels_format(&labels, got, &err), &err);

    memset(big, 'a', sizeof big);
    assert_ok(labels_parse(big, LABELS_TEXT_MAX - 1, &labels, &err), &err);
    assert_err(labels_parse(big, LABELS_TEXT_MAX, &labels, &err), &err, ERR_INVALID,
               "below 4096 bytes");
    assert_err(labels_parse(big, sizeof big, &labels, &err), &err, ERR_INVALID,
               "too long");
    big[sizeof big - 1] = '\0';
    labels = (struct labels){0};
    assert_err(labels_add(&labels, "a", big, &err), &err, ERR_INVALID, "below 4096");
    assert_int_equal(labels.count, 0);
}

static void adding_and_getting(void **state)
{
    (void)state;
    struct err err = {0};
    struct labels labels = {0};
    char got[LABELS_TEXT_MAX];
    assert_err(labels_format(&labels, got, &err), &err, ERR_INVALID, "have a name");
    err = (struct err){0};
    assert_ok(labels_add(&labels, "job", "x", &err), &err);
    assert_ok(labels_add(&labels, "__name__", "disk used", &err), &err);
    assert_ok(labels_add(&labels, "gone", "", &err), &err);
    assert_ok(labels_add(&labels, "host", "a\"b", &err), &err);
    assert_err(labels_add(&labels, "host", "c", &err), &err, ERR_INVALID, "twice");
    assert_err(labels_add(&labels, "a b", "c", &err), &err, ERR_INVALID, "label: name");
    assert_err(labels_add(&labels, "a", "\xFF", &err), &err, ERR_INVALID, "UTF-8");
    err = (struct err){0};
    assert_ok(labels_format(&labels, got, &err), &err);
    assert_string_equal(got, "{__name__=\"disk used\",host=\"a\\\"b\",job=\"x\"}");
    assert_string_equal(labels_get(&labels, "host"), "a\"b");
    assert_null(labels_get(&labels, "gone"));
}

static void selectors(void **state)
{
    (void)state;
    struct err err = {0};
    struct selector s;
    const char text[] = "cpu{host=~\"web-.*\", job!=\"x\",zone=\"\",env !~ \"a|b\",}";
    static const struct matcher want[] = {
        {MATCH_EQUAL, "__name__", "cpu"}, {MATCH_REGEX, "host", "web-.*"},
        {MATCH_NOT_EQUAL, "job", "x"},    {MATCH_EQUAL, "zone", ""},
        {MATCH_NOT_REGEX, "env", "a|b"},
    };
    assert_ok(selector_parse(text, strlen(text), &s, &err), &err);
    assert_int_equal(s.count, sizeof want / sizeof *want);
    for (size_t i = 0; i < s.count; i++) {
        assert_int_equal(s.matcher[i].kind, want[i].kind);
        assert_string_equal(s.matcher[i].name, want[i].name);
        assert_string_equal(s.matcher[i].value, want[i].value);
    }
}

static void selectors_of_something(void **state)
{
    (void)state;
    static const char *const good[] = {"cpu",         "{a=\"x\"}",        "{a!=\"\"}",
                                       "{a=~\".+\"}", "{a=\"\",b=\"x\"}", "{a!~\".*\"}"};
    static const char *const everything[] = {
        "", "{}", "{a=\"\"}", "{a!=\"x\"}", "{a=~\".*\"}", "{a=~\"\"}", "{a!~\"x\"}"};
    static const char *const broken[] = {
        "cpu{",           "cpu}",          "cpu{a}",       "cpu{a=}",
        "cpu{a=x}",       "cpu{a!\"x\"}",  "cpu{a~\"x\"}", "cpu{a= ~\"x\"}",
        "cpu{a! =\"x\"}", "cpu{a==\"x\"}", "cpu mem",      "cpu{a=\"\xFF\"}",
    };
    struct err err = {0};
    struct selector s;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_ok(selector_parse(good[i], strlen(good[i]), &s, &err), &err);
    for (size_t i = 0; i < sizeof everything / sizeof *everything; i++)
        assert_err(selector_parse(everything[i], strlen(everything[i]), &s, &err), &err,
                   ERR_INVALID, "rules out a series without labels");
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        assert_err(selector_parse(broken[i], strlen(broken[i]), &s, &err), &err,
                   ERR_INVALID, "selector: must");
}

static void utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "a",
                                       "\x7F",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF"};
    static const char *const bad[] = {
        "\x80",         "\xC0\x80",         "\xC1\xBF",
        "\xC2",         "\xC2\x41",         "\xE0\x9F\xBF",
        "\xE2\x82",     "\xED\xA0\x80",     "\xF0\x8F\xBF\xBF",
        "\xF0\x90\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
        "\xFF",         "a\xE2\x28\xA1",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(text_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
    assert_false(text_is_utf8("", 1));
}

static void quoting_fits(void **state)
{
    (void)state;
    char out[TEXT_QUOTE_SIZE], big[200];
    assert_string_equal(text_quote("a\tb\xFFç", 6, out), "\"a?b?ç\"");
    assert_string_equal(text_quote("", 0, out), "\"\"");
    for (size_t len = 0; len < sizeof big - 1; len++) {
        for (size_t i = 0; i < len; i++)
            big[i] = "ç"[i % 2];
        text_quote(big, len, out);
        assert_true(strlen(out) < TEXT_QUOTE_SIZE);
        assert_true(text_is_utf8(out, strlen(out)));
    }
    assert_non_null(strstr(out, "...\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_forms),
        cmocka_unit_test(refuses),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(adding_and_getting),
        cmocka_unit_test(selectors),
        cmocka_unit_test(selectors_of_something),
        cmocka_unit_test(utf8),
        cmocka_unit_test(quoting_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
