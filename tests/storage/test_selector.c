/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include "base/labels.h"
#include "tests/storage/folder.h"

static const char *const SERIES[] = {
    "cpu{host=\"web-1\",job=\"node\"}",
    "cpu{host=\"web-2\",job=\"node\"}",
    "cpu{host=\"db\"}",
    "cpu",
    "mem{host=\"web-1\"}",
    "mem{note=\"two\\nlines\"}",
    "mem{city=\"Z\u00fcrich\"}",
    "cpu2{host=\"db\"}",
    "{__name__=\"my cpu\",host=\"db\"}",
};
enum { COUNT = sizeof SERIES / sizeof *SERIES };

struct fixture {
    struct folder folder;
    struct store *store;
};

static int setup(void **state)
{
    struct fixture *const fixture = mem_new(1, sizeof *fixture);
    folder_init(&fixture->folder);
    fixture->store = folder_open(&fixture->folder);
    struct store_batch *const batch = store_batch_new();
    for (size_t i = 0; i < COUNT; i++)
        store_batch_add(batch, store_batch_series(batch, SERIES[i]), 0, 1.0);
    struct store_counts counts;
    struct err err = {0};
    assert_ok(store_append_wait(fixture->store, batch, &counts, &err), &err);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *const fixture = *state;
    store_close(fixture->store);
    folder_fini(&fixture->folder);
    free(fixture);
    return 0;
}

/* Which of SERIES a selector takes, as bits. */
static unsigned selected(struct store *store, const char *selector)
{
    struct err err = {0};
    struct store_names names;
    assert_ok(store_select(store, selector, 0, &names, &err), &err);
    unsigned bits = 0;
    for (size_t i = 0; i < names.count; i++) {
        if (i > 0)
            assert_true(strcmp(names.name[i - 1], names.name[i]) < 0);
        for (size_t k = 0; k < COUNT; k++)
            bits |= strcmp(names.name[i], SERIES[k]) == 0 ? 1U << k : 0;
    }
    assert_int_equal(__builtin_popcount(bits), names.count);
    store_names_fini(&names);
    return bits;
}

static void four_matchers(void **state)
{
    struct fixture *const fixture = *state;
    static const struct {
        const char *selector;
        unsigned want;
    } CASE[] = {
        {NULL, 0x1ff},
        {"cpu", 0x0f},
        {"cpu{host=\"db\"}", 0x04},
        {"cpu{host!=\"db\"}", 0x0b},
        {"cpu{host=\"\"}", 0x08},  /* absent is empty */
        {"cpu{host!=\"\"}", 0x07}, /* so this asks for one */
        {"cpu{host=~\"web-.*\"}", 0x03},
        {"cpu{host=~\"web\"}", 0x00}, /* anchored at both ends */
        {"cpu{host=~\"eb-1\"}", 0x00},
        {"cpu{host=~\"web-1|db\"}", 0x05}, /* all alternatives are */
        {"cpu{host=~\"x|web\"}", 0x00},
        {"cpu{host!~\"web-.*\"}", 0x0c},
        {"cpu{host=~\".*\"}", 0x0f},
        {"cpu{host=~\".+\"}", 0x07},
        {"cpu{host=~\"web-.*\",host!=\"web-2\"}", 0x01},
        {"{__name__=~\"cpu|mem\",host=\"web-1\"}", 0x11},
        {"{host=\"web-1\"}", 0x11},
        {"{host=\"db\"}", 0x184},
        {"{host=\"db\",__name__=\"cpu2\"}", 0x80},
        {"{__name__=\"my cpu\"}", 0x100},
        {"{host=\"db\",__name__=\"cpu\",host!=\"\"}", 0x04},
        {"{__name__=\"cpu\",__name__=\"cpu2\"}", 0x00},
        {"{note=\"two\\nlines\"}", 0x20},
        {"mem{note=~\"two.lines\"}", 0x20}, /* a dot takes a line end */
        {"mem{note=~\"two\"}", 0x00},
        {"mem{city=~\"Z.rich\"}", 0x40}, /* one character, two bytes */
        {"nothing", 0x00},
    };
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        const unsigned got = selected(fixture->store, CASE[i].selector);
        if (got != CASE[i].want)
            fail_msg("%s: got %02x, want %02x", CASE[i].selector, got, CASE[i].want);
    }
}

static void a_limit_takes_the_first_by_name(void **state)
{
    struct fixture *const fixture = *state;
    struct store_names names;
    struct err err = {0};
    assert_ok(store_select(fixture->store, "cpu", 2, &names, &err), &err);
    assert_int_equal(names.count, 2);
    assert_string_equal(names.name[0], "cpu");
    assert_string_equal(names.name[1], "cpu{host=\"db\"}");
    store_names_fini(&names);
}

static void bad_patterns_are_refused(void **state)
{
    struct fixture *const fixture = *state;
    struct store_names names;
    struct err err = {0};
    assert_err(store_select(fixture->store, "cpu{host=~\"web(\"}", 0, &names, &err), &err,
               ERR_INVALID, "selector: host=~\"web(\"");
    assert_err(store_select(fixture->store, "cpu{host=", 0, &names, &err), &err,
               ERR_INVALID, "");
}

/* What would take 2^n steps is given up, not waited for. */
static void costly_patterns_are_refused(void **state)
{
    struct fixture *const fixture = *state;
    struct store_batch *const batch = store_batch_new();
    store_batch_add(
        batch,
        store_batch_series(batch,
                           "slow{v=\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabx\"}"),
        0, 1.0);
    struct store_counts counts;
    struct store_names names;
    struct err err = {0};
    assert_ok(store_append_wait(fixture->store, batch, &counts, &err), &err);
    assert_err(store_select(fixture->store, "slow{v=~\"((a+)+)+b\"}", 0, &names, &err),
               &err, ERR_INVALID, "too costly");
}

/* A selector asked about series that no store holds. */
static void names_from_elsewhere(void **state)
{
    (void)state;
    static const char text[] = "cpu{host=~\"web-.*\",zone!=\"eu\",note=\"\"}";
    struct err err = {0};
    struct store_selection *const selection = store_selection_new(text, &err);
    assert_non_null(selection);
    static const struct {
        const char *series;
        int want;
    } CASE[] = {
        {"cpu{host=\"web-1\"}", 1},
        {"cpu{host=\"web-1\",zone=\"us\"}", 1},
        {"cpu{host=\"web-1\",zone=\"eu\"}", 0},
        {"cpu{host=\"web-1\",note=\"x\"}", 0},
        {"cpu{host=\"db\"}", 0},
        {"mem{host=\"web-1\"}", 0},
    };
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        struct labels labels;
        assert_ok(labels_parse(CASE[i].series, strlen(CASE[i].series), &labels, &err),
                  &err);
        assert_int_equal(store_selection_takes(selection, &labels, &err), CASE[i].want);
    }
    assert_int_equal(store_selection_allows(selection, "host", "web-9", &err), 1);
    assert_int_equal(store_selection_allows(selection, "host", "", &err), 0);
    assert_int_equal(store_selection_allows(selection, "zone", "eu", &err), 0);
    assert_int_equal(store_selection_allows(selection, "zone", "", &err), 1);
    assert_int_equal(store_selection_allows(selection, "else", "x", &err), 1);
    store_selection_free(selection);
    assert_null(store_selection_new("cpu{host=~\"(\"}", &err));
    assert_int_equal(err.code, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_matchers),
        cmocka_unit_test(a_limit_takes_the_first_by_name),
        cmocka_unit_test(bad_patterns_are_refused),
        cmocka_unit_test(costly_patterns_are_refused),
        cmocka_unit_test(names_from_elsewhere),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
