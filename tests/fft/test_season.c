/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fft/fft.h"

#include "base/rng.h"
#include "tests/check.h"

enum { N = 1344 }; /* eight weeks of hours */

static const struct rng_stream noise = {.seed = 3, .purpose = 1};

static double wave(size_t t, double period)
{
    return sin(2 * M_PI * (double)t / period);
}

static void a_day_is_found(void **state)
{
    (void)state;
    double x[N];
    for (size_t t = 0; t < N; t++)
        x[t] = 1e6 + 3.5 * (double)t + 40 * wave(t, 24) + 15 * wave(t, 168) +
               10 * rng_normal(noise, t);
    assert_int_equal(fft_dominant_period(x, N), 24);
    for (size_t t = 0; t < N; t++) /* gaps change nothing */
        if (t % 7 == 3 || (t > 500 && t < 560))
            x[t] = NAN;
    assert_int_equal(fft_dominant_period(x, N), 24);
    assert_int_equal(fft_dominant_period(x, 24 * 9 + 7),
                     24); /* no whole number of days */
}

static void periods_of_any_length_are_found(void **state)
{
    (void)state;
    static const size_t periods[] = {2, 3, 7, 13, 96, 288};
    double x[N];
    for (size_t i = 0; i < sizeof periods / sizeof *periods; i++) {
        for (size_t t = 0; t < N; t++)
            x[t] = cos(2 * M_PI * (double)t / (double)periods[i]) +
                   0.3 * rng_normal(noise, t);
        assert_int_equal(fft_dominant_period(x, N), periods[i]);
    }
}

/* Its twelve-hour bin is as high as its daily one. */
static void a_spike_a_day_is_a_day(void **state)
{
    (void)state;
    double x[N];
    for (size_t t = 0; t < N; t++)
        x[t] = (t % 24 == 3 ? 100 : 0) + rng_normal(noise, t);
    assert_int_equal(fft_dominant_period(x, N), 24);
}

static void no_season_is_one(void **state)
{
    (void)state;
    double x[N], walk = 0;
    for (uint32_t seed = 0; seed < 20; seed++) {
        const struct rng_stream stream = {.seed = seed, .purpose = 2};
        for (size_t t = 0; t < N; t++)
            x[t] = rng_normal(stream, t);
        assert_int_equal(fft_dominant_period(x, N), 1);
        assert_int_equal(fft_dominant_period(x, 60), 1);
    }
    for (size_t t = 0; t < N; t++)
        x[t] = 1.0 / 3;
    assert_int_equal(fft_dominant_period(x, N), 1);
    for (size_t t = 0; t < N; t++)
        x[t] = 0.1 * (double)t - 7;
    assert_int_equal(fft_dominant_period(x, N), 1);
    for (size_t t = 0; t < N; t++)
        x[t] = NAN;
    assert_int_equal(fft_dominant_period(x, N), 1);
    assert_int_equal(fft_dominant_period(x, 0), 1);
    assert_int_equal(fft_dominant_period(&walk, 1), 1);
}

static void periodogram_shows_the_power(void **state)
{
    (void)state;
    double x[240], power[121];
    for (size_t t = 0; t < 240; t++)
        x[t] = 5 + 2 * wave(t, 24);
    assert_int_equal(fft_periodogram(power, x, 240), 0);
    /* Orthonormal: half of the energy n a^2 / 2 in each of the two twin bins. */
    assert_close(power[10], 240.0 * 4 / 4, 0.02);
    assert_true(power[0] < 1e-9);
    assert_true(power[40] < 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_day_is_found),
        cmocka_unit_test(periods_of_any_length_are_found),
        cmocka_unit_test(a_spike_a_day_is_a_day),
        cmocka_unit_test(no_season_is_one),
        cmocka_unit_test(periodogram_shows_the_power),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
