/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The quick way to a canonical name says what labels.h says, or leaves it to that. */
#include "tests/check.h"

#include <stdbool.h>
#include <stdio.h>

#include "api/label_set.h"
#include "base/rng.h"

/* The plain way: one label after another. */
static int plain_name(const struct label_set *set, char out[static LABELS_TEXT_MAX],
                      struct err *err)
{
    struct labels labels = {0};
    for (size_t i = 0; i < set->count; i++)
        if (labels_add_n(&labels, set->label[i].name, set->label[i].name_len,
                         set->label[i].value, set->label[i].value_len, err))
            return -1;
    return labels_format(&labels, out, err);
}

static void add(struct label_set *set, const char *name, const char *value)
{
    label_set_add(set, name, strlen(name), value, strlen(value));
}

static void compare(const struct label_set *set)
{
    char quick[LABELS_TEXT_MAX], plain[LABELS_TEXT_MAX];
    struct err quick_err = {0}, plain_err = {0};
    const int got = label_set_name(set, quick, &quick_err);
    const int want = plain_name(set, plain, &plain_err);
    assert_int_equal(got, want);
    assert_string_equal(quick_err.msg, plain_err.msg);
    if (want == 0)
        assert_string_equal(quick, plain);
}

static const char *const names[] = {"__name__", "Zone", "_x", "a",  "a1", "ab",
                                    "b",        "host", "z",  "1a", "a-", ""};
static const char *const values[] = {"cpu",  "a b",      "x:y", "\"q\"", "back\\slash",
                                     "n\nl", "\xc3\xa4", "1",   "",      "~{}",
                                     "\x01", "\xff"};
enum { NAMES = sizeof names / sizeof *names, VALUES = sizeof values / sizeof *values };

static size_t below(uint64_t *draws, size_t n)
{
    return rng_at((struct rng_stream){.seed = 5}, (*draws)++).word[0] % n;
}

/* Sets of up to six labels, many of them sorted, in all mixtures of plain and not. */
static void random_sets(void **state)
{
    (void)state;
    uint64_t draws = 0;
    for (int round = 0; round < 200000; round++) {
        struct label_set set;
        set.count = 0;
        const bool tame = below(&draws, 4) > 0;
        size_t name = 0;
        while (set.count < 6 && name < (tame ? 9 : NAMES)) {
            add(&set, names[tame ? name : below(&draws, NAMES)],
                values[below(&draws, tame ? 3 : VALUES)]);
            name += 1 + below(&draws, 3);
        }
        compare(&set);
    }
}

/* The longest name there is, and one byte more. */
static void longest(void **state)
{
    (void)state;
    char value[LABELS_TEXT_MAX];
    memset(value, 'x', sizeof value);
    for (size_t len = LABELS_TEXT_MAX - 12; len < LABELS_TEXT_MAX; len++) {
        struct label_set set;
        set.count = 0;
        add(&set, "__name__", "m");
        label_set_add(&set, "a", 1, value, len);
        compare(&set);
    }
}

static void too_many(void **state)
{
    (void)state;
    struct label_set set;
    char text[LABELS_COUNT_MAX + 1][8], name[LABELS_TEXT_MAX];
    struct err err = {0};
    set.count = 0;
    add(&set, "__name__", "m");
    for (size_t i = 1; i < LABELS_COUNT_MAX; i++) {
        snprintf(text[i], sizeof text[i], "l%02zu", i);
        add(&set, text[i], "v");
    }
    compare(&set);
    add(&set, "zz", "v");
    assert_err(label_set_name(&set, name, &err), &err, ERR_INVALID,
               "at most 64 labels are taken, got 65");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_sets),
        cmocka_unit_test(longest),
        cmocka_unit_test(too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
