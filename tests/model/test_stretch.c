/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/model/small.h"

#include "base/rng.h"
#include "model/model.h"

/* The share p of a normal distribution lies below this many deviations. */
static const struct {
    double p, z;
} edges[] = {
    {0.75, 0.6744897501960817}, {0.9, 1.2815515655446004}, {0.975, 1.959963984540054}};

/* Bands made for a deviation of 1, actuals of another: what comes next is covered. */
static void the_next_one_is_covered(void **state)
{
    (void)state;
    enum { N = 60, ROUNDS = 4000 };
    static const double deviations[] = {0.3, 1, 4};
    for (size_t e = 0; e < sizeof edges / sizeof *edges; e++)
        for (size_t d = 0; d < 3; d++) {
            int inside = 0;
            for (uint32_t round = 0; round < ROUNDS; round++) {
                const struct rng_stream s = {.seed = 4, .step = round};
                float ratios[N];
                for (size_t i = 0; i < N; i++)
                    ratios[i] = (float)(deviations[d] * rng_normal(s, i) / edges[e].z);
                const double edge =
                    edges[e].z * (double)band_stretch_fit(ratios, N, N, edges[e].p);
                inside += deviations[d] * rng_normal(s, N) <= edge;
            }
            /* The order statistic covers between p and p + 1 / (N + 1). */
            const double sd = sqrt(edges[e].p * (1 - edges[e].p) / ROUNDS);
            const double share = inside / (double)ROUNDS;
            assert_true(share > edges[e].p - 3 * sd);
            assert_true(share < edges[e].p + 1.0 / (N + 1) + 3 * sd);
        }
}

static void too_little_says_nothing(void **state)
{
    (void)state;
    float ratios[100];
    for (int i = 0; i < 100; i++)
        ratios[i] = (float)i / 50;
    assert_false(band_stretch_knows(0, 0.9));
    assert_false(band_stretch_knows(8.9, 0.9));
    assert_true(band_stretch_knows(9, 0.9));
    assert_true(band_stretch_knows(39, 0.975));
    assert_true(band_stretch_fit(ratios, 100, 8, 0.9) == 1);
    assert_true(band_stretch_fit(ratios, 0, 100, 0.9) == 1);
    assert_true(band_stretch_fit(ratios, 100, 1e9, 0.9) == ratios[90]);
    /* Fewer of their own: further outwards, to the last. */
    assert_true(band_stretch_fit(ratios, 100, 20, 0.9) == ratios[94]);
    assert_true(band_stretch_fit(ratios, 100, 9, 0.9) == ratios[99]);
    for (int i = 0; i < 100; i++)
        ratios[i] *= 1000;
    assert_true(band_stretch_fit(ratios, 100, 50, 0.9) == BAND_STRETCH_MOST);
    for (int i = 0; i < 100; i++)
        ratios[i] = -1;
    assert_true(band_stretch_fit(ratios, 100, 50, 0.9) == 1 / BAND_STRETCH_MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_one_is_covered),
        cmocka_unit_test(too_little_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
