/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/err.h"

#include <errno.h>

#include "tests/check.h"

static void first_report_wins(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(err_set(&err, ERR_NOT_FOUND, "series %s: not found", "cpu"), -1);
    assert_int_equal(err_set(&err, ERR_IO, "cleanup failed too"), -1);
    errno = EACCES;
    assert_int_equal(err_errno(&err, "and so did that"), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.msg, "series cpu: not found");
}

static void null_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_IO, "nobody listens"), -1);
    assert_int_equal(err_errno(NULL, "nobody listens"), -1);
    err_prefix(NULL, "nobody");
}

static void a_copy_is_a_report_where_there_is_one(void **state)
{
    (void)state;
    struct err err = {0}, other = {0};
    assert_int_equal(err_copy(&err, &other), 0);
    assert_int_equal(err.code, ERR_NONE);
    err_set(&other, ERR_BUSY, "disk: 100%% full");
    assert_int_equal(err_copy(NULL, &other), -1);
    assert_int_equal(err_copy(&err, &other), -1);
    assert_int_equal(err.code, ERR_BUSY);
    assert_string_equal(err.msg, "disk: 100% full");
}

static void errno_becomes_text(void **state)
{
    (void)state;
    struct err err = {0};
    errno = ENOENT;
    err_errno(&err, "cannot open %s", "x");
    assert_int_equal(err.code, ERR_IO);
    assert_string_equal(err.msg, "cannot open x: No such file or directory");
}

static void prefix_goes_before(void **state)
{
    (void)state;
    struct err err = {0};
    err_prefix(&err, "nothing recorded");
    assert_string_equal(err.msg, "");
    err_set(&err, ERR_INVALID, "horizon: must be 1..720, got 0");
    err_prefix(&err, "line %d", 3);
    assert_string_equal(err.msg, "line 3: horizon: must be 1..720, got 0");
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    struct err err = {0};
    char text[2 * sizeof err.msg];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    err_set(&err, ERR_INVALID, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    err_prefix(&err, "file");
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_int_equal(strncmp(err.msg, "file: xxx", 9), 0);
    err_prefix(&err, "%s", text); /* no room for both: the message stays */
    assert_int_equal(strncmp(err.msg, "file: xxx", 9), 0);
}

static void every_code_has_a_word(void **state)
{
    (void)state;
    for (enum err_code code = ERR_NONE; code <= ERR_UNSUPPORTED; code++)
        for (enum err_code other = ERR_NONE; other < code; other++)
            assert_string_not_equal(err_word(code), err_word(other));
    assert_string_equal(err_word(ERR_TOO_LARGE), "too-large");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_report_wins),
        cmocka_unit_test(null_is_allowed),
        cmocka_unit_test(a_copy_is_a_report_where_there_is_one),
        cmocka_unit_test(errno_becomes_text),
        cmocka_unit_test(prefix_goes_before),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(every_code_has_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
