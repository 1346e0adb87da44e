/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include <stdio.h>

#include "daemon/plot.h"
#include "daemon/terminal.h"

static void the_locale_decides_about_utf8(void **state)
{
    (void)state;
    unsetenv("LC_ALL");
    unsetenv("LC_CTYPE");
    setenv("LANG", "de_DE.UTF-8", 1);
    assert_true(terminal_utf8());
    setenv("LANG", "C", 1);
    assert_false(terminal_utf8());
    setenv("LC_CTYPE", "C.utf8", 1);
    assert_true(terminal_utf8());
    setenv("LC_ALL", "POSIX", 1);
    assert_false(terminal_utf8());
    unsetenv("LC_ALL");
    unsetenv("LC_CTYPE");
    unsetenv("LANG");
    assert_false(terminal_utf8());
}

static void numbers_show_what_matters(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0.0000"},          {0.01234, "0.0123"}, {1.23456, "1.235"},
        {-41.268, "-41.27"},    {123.456, "123.5"},  {98765.4, "98765"},
        {1.204e9, "1.204G"},    {-2.5e6, "-2.500M"}, {3e20, "3.000e+20"},
        {0.00001, "1.000e-05"}, {(double)NAN, "-"},
    };
    char text[NUMBER_TEXT_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(number_text(cases[i].value, text), cases[i].text);
}

static void tables_align_by_characters(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    FILE *const out = open_memstream(&text, &len);
    struct table *const t = table_new("name", ">value", "unit", NULL);
    table_add(t, "%s", "größe");
    table_add(t, "%.1f", 1.5);
    table_add(t, "%s", "cm");
    table_add(t, "%s", "x");
    table_add(t, "%d", 12345678);
    table_add(t, "%s", "");
    table_add(t, "z");
    table_add_number(t, 2, (double)NAN);
    table_add_percent(t, 1, 0.816);
    table_print(t, out);
    table_free(t);
    fclose(out);
    assert_string_equal(text, "  name      value  unit\n"
                              "  größe       1.5  cm\n"
                              "  x      12345678  \n"
                              "  z             -  81.6 %\n");
    free(text);
}

static char *drawn(const struct plot *plot)
{
    char *text = NULL;
    size_t len = 0;
    FILE *const out = open_memstream(&text, &len);
    plot_print(plot, out);
    fclose(out);
    return text;
}

static void a_rising_line_goes_up(void **state)
{
    (void)state;
    double past[12], low[12], mid[12], high[12];
    for (int i = 0; i < 12; i++) {
        past[i] = i;
        mid[i] = 12 + i;
        low[i] = mid[i] - 2;
        high[i] = mid[i] + 2;
    }
    const struct plot plot = {past, 12, low, mid, high, 12, 12 + 2 + 12, 4, false};
    char *const text = drawn(&plot);
    assert_string_equal(text, "       25.00       |   :**\n"
                              "                   |*****\n"
                              "                ...|*:\n"
                              "      0.0000 ....  |\n");
    free(text);
}

static void gaps_stay_open_and_nothing_draws_nothing(void **state)
{
    (void)state;
    const double nan = (double)NAN;
    const double past[] = {1, nan, nan, nan, nan, nan, nan, 1};
    const double none[] = {nan, nan};
    const struct plot gap = {past, 8, none, none, none, 2, 30, 1, false};
    char *text = drawn(&gap);
    assert_null(strchr(strchr(text, '|'), '*')); /* no forecast */
    assert_non_null(strstr(text, " ..         .|"));
    free(text);
    const struct plot empty = {none, 2, none, none, none, 2, 30, 5, true};
    text = drawn(&empty);
    assert_string_equal(text, "");
    free(text);
}

static void utf8_draws_braille(void **state)
{
    (void)state;
    const double flat[] = {1, 1, 1, 1};
    const struct plot plot = {flat, 4, flat, flat, flat, 4, 24, 2, true};
    char *const text = drawn(&plot);
    for (const char *c = text; *c; c++) /* braille and the bar begin with E2 */
        assert_true((unsigned char)*c < 0x80 || (unsigned char)*c == 0xE2 ||
                    ((unsigned char)*c & 0xC0) == 0x80);
    assert_non_null(strstr(text, "│"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_locale_decides_about_utf8),
        cmocka_unit_test(numbers_show_what_matters),
        cmocka_unit_test(tables_align_by_characters),
        cmocka_unit_test(a_rising_line_goes_up),
        cmocka_unit_test(gaps_stay_open_and_nothing_draws_nothing),
        cmocka_unit_test(utf8_draws_braille),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
