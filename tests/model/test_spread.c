/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How wide a series has swung of late.  That bands go by it: test_hard. */
#include "tests/check.h"

#include "model/spread.h"

static void it_is_the_root_of_a_deviation(void **state)
{
    (void)state;
    /* The second column swings by 4 about 100; where it does so does not matter. */
    const double values[] = {7, 96, 7, 104, 7, (double)NAN, 7, 96, 7, 104};
    assert_close(spread_of(values + 1, 5, 2, 2), sqrt(2), 1e-12);
    assert_close(spread_of(values + 1, 5, 2, 4), 1, 1e-12);
}

static void it_is_one_where_nothing_is_known(void **state)
{
    (void)state;
    const double values[] = {(double)NAN, 3, (double)NAN};
    assert_close(spread_of(values, 3, 1, 1), 1, 0);
    assert_close(spread_of(values, 0, 1, 1), 1, 0);
}

static void it_is_bounded(void **state)
{
    (void)state;
    const double still[] = {3, 3, 3, 3}, wild[] = {-1e300, 1e300, -1e300, 1e300};
    assert_close(spread_of(still, 4, 1, 1), sqrt(0.05), 1e-12);
    assert_close(spread_of(wild, 4, 1, 1), sqrt(20), 1e-12);
    assert_close(spread_of(wild, 4, 1, 1e300), 1, 1e-12);
}

static void it_takes_whole_seasons(void **state)
{
    (void)state;
    assert_int_equal(spread_rows(1, 96), 336);
    assert_int_equal(spread_rows(24, 96), 336);
    assert_int_equal(spread_rows(96, 96), 384);
    assert_int_equal(spread_rows(24, 721), 744);
    assert_int_equal(spread_rows(2016, 96), 2016);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_root_of_a_deviation),
        cmocka_unit_test(it_is_one_where_nothing_is_known),
        cmocka_unit_test(it_is_bounded),
        cmocka_unit_test(it_takes_whole_seasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
