/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/names.h"

#include <stdio.h>

#include "base/mem.h"
#include "tests/check.h"

static void ids_count_up_and_stay(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    struct names names = {0};
    bool is_new;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < MANY; i++) {
            char text[32];
            snprintf(text, sizeof text, "cpu{host=\"%zu\"}", i);
            assert_int_equal(names_id(&names, text, &is_new), i);
            assert_int_equal(is_new, round == 0);
        }
    }
    assert_int_equal(names.count, MANY);
    assert_int_equal(names_id(&names, "", &is_new), MANY); /* a text like others */
    assert_true(is_new);
    names_fini(&names);
    assert_int_equal(names.count, 0);
    names_fini(&names);
}

static void memory_helpers(void **state)
{
    (void)state;
    volatile size_t huge = SIZE_MAX / 2; /* volatile: GCC warns of sizes it can see */
    assert_null(mem_try(huge, 4));
    int *numbers = mem_new(3, sizeof *numbers);
    assert_int_equal(numbers[0] | numbers[1] | numbers[2], 0);
    numbers[2] = 7;
    numbers = mem_resize(numbers, 100, sizeof *numbers);
    assert_int_equal(numbers[2], 7);
    free(numbers);
    char *const texts[] = {mem_text("abc"), mem_text_n("abc", 2),
                           mem_printf("%d-%s", 1, "x")};
    assert_string_equal(texts[0], "abc");
    assert_string_equal(texts[1], "ab");
    assert_string_equal(texts[2], "1-x");
    for (size_t i = 0; i < 3; i++)
        free(texts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_count_up_and_stay),
        cmocka_unit_test(memory_helpers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
