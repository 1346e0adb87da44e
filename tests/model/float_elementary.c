/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/elementary.h"

#include "tests/check.h"

/* Against libm in double, from -100 to 100 in steps that hit no round numbers. */
static void they_are_good_to_a_float(void **state)
{
    (void)state;
    double worst_exp = 0, worst_sigmoid = 0, worst_tanh = 0, worst_normal = 0;
    for (double at = -100; at < 100; at += 0.000977) {
        const float x = (float)at;
        const double d = (double)x, gauss = exp(-0.5 * d * d);
        if (fabs(d) < 87)
            worst_exp = fmax(worst_exp, fabs((double)elementary_exp(x) / exp(d) - 1));
        worst_sigmoid =
            fmax(worst_sigmoid, fabs((double)elementary_sigmoid(x) - 1 / (1 + exp(-d))));
        worst_tanh = fmax(worst_tanh, fabs((double)elementary_tanh(x) - tanh(d)));
        worst_normal =
            fmax(worst_normal, fabs((double)elementary_normal(x, (float)gauss) -
                                    0.5 * erfc(-d * M_SQRT1_2)));
    }
    assert_true(worst_exp < 2.5e-7);
    assert_true(worst_sigmoid < 1.5e-7);
    assert_true(worst_tanh < 2.5e-7);
    assert_true(worst_normal < 2.5e-7);
}

static void extremes(void **state)
{
    (void)state;
    assert_close(elementary_exp(0), 1, 0);
    assert_true(isfinite(elementary_exp(1e30f)) && isfinite(elementary_exp(INFINITY)));
    assert_true(elementary_exp(-1e30f) >= 0 && elementary_exp(-INFINITY) < 1e-37f);
    assert_close(elementary_sigmoid(1e30f), 1, 0);
    assert_close(elementary_sigmoid(-1e30f), 0, 1e-37);
    assert_close(elementary_tanh(1e30f), 1, 0);
    assert_close(elementary_tanh(-1e30f), -1, 0);
    assert_close(elementary_normal(-1e30f, 0), 0, 0);
    assert_close(elementary_normal(1e30f, 0), 1, 0);
}

/* A diverging training must be seen, not hidden. */
static void nan_stays_nan(void **state)
{
    (void)state;
    assert_true(isnan(elementary_exp(NAN)));
    assert_true(isnan(elementary_sigmoid(NAN)));
    assert_true(isnan(elementary_tanh(NAN)));
    assert_true(isnan(elementary_normal(NAN, NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_good_to_a_float),
        cmocka_unit_test(extremes),
        cmocka_unit_test(nan_stays_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
