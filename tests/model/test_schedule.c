/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include "model/ema.h"
#include "model/schedule.h"

static void cosine_goes_from_the_rate_to_zero(void **state)
{
    (void)state;
    assert_close(schedule_rate(SCHEDULE_COSINE, 2, 0, 100, 10), 2, 1e-15);
    assert_close(schedule_rate(SCHEDULE_COSINE, 2, 50, 100, 10), 1, 1e-12);
    assert_close(schedule_rate(SCHEDULE_COSINE, 2, 100, 100, 10), 0, 1e-12);
    for (uint64_t t = 1; t <= 100; t++)
        assert_true(schedule_rate(SCHEDULE_COSINE, 2, t, 100, 10) <
                    schedule_rate(SCHEDULE_COSINE, 2, t - 1, 100, 10));
}

static void halving_keeps_two_epochs_and_halves_every_one_after(void **state)
{
    (void)state;
    static const double want[] = {1, 1, 0.5, 0.25, 0.125};
    for (uint64_t epoch = 0; epoch < 5; epoch++)
        for (uint64_t i = 0; i < 10; i += 9)
            assert_true(schedule_rate(SCHEDULE_HALVING, 1, epoch * 10 + i, 50, 10) ==
                        want[epoch]);
    assert_true(schedule_rate(SCHEDULE_HALVING, 1, 5000000, 5000001, 1) >= 0);
    assert_true(schedule_rate(SCHEDULE_CONSTANT, 3, 49, 50, 10) == 3);
}

static void averages_warm_up(void **state)
{
    (void)state;
    assert_close(ema_decay(0.998, 1), 2.0 / 6, 1e-15);
    assert_close(ema_decay(0.998, 10), 11.0 / 15, 1e-15);
    assert_true(ema_decay(0.998, 100000) == 0.998);
    real shadow[2] = {0, 10};
    const real theta[2] = {6, 10};
    ema_step(NULL, shadow, theta, 2, 0.998, 1);
    assert_close(shadow[0], 4, 1e-15); /* two thirds of the way at once */
    assert_close(shadow[1], 10, 1e-15);
    ema_step(NULL, shadow, theta, 2, 0.998, 1000000);
    assert_close(shadow[0], 4.004, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cosine_goes_from_the_rate_to_zero),
        cmocka_unit_test(halving_keeps_two_epochs_and_halves_every_one_after),
        cmocka_unit_test(averages_warm_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
