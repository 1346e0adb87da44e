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
                struct band_ratio ratios[N] = {0};
                for (size_t i = 0; i < N; i++)
                    ratios[i].ratio =
                        (float)(deviations[d] * rng_normal(s, i) / edges[e].z);
                band_stretch_sort(ratios, N);
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

/* Errors that remember: what is checked block by block is what comes true, and tells how
 * many are worth one. */
static void the_check_is_what_comes_true(void **state)
{
    (void)state;
    enum { N = 240, BLOCK = 24, ROUNDS = 1500 };
    static const double memories[] = {0, 0.9}, worth[] = {N, 12};
    for (size_t m = 0; m < 2; m++)
        for (size_t w = 0; w < 2; w++) {
            double inside = 0, all = 0, came = 0;
            for (uint32_t round = 0; round < ROUNDS; round++) {
                const struct rng_stream s = {.seed = 5, .step = round};
                struct band_ratio ratios[N];
                double x = rng_normal(s, 0);
                const double a = memories[m], step = sqrt(1 - a * a);
                for (size_t i = 0; i < N; i++) {
                    x = a * x + step * rng_normal(s, i + 1);
                    ratios[i] = (struct band_ratio){(float)x, (uint16_t)(i / BLOCK)};
                }
                for (size_t i = 0; i < 2 * BLOCK; i++)
                    x = a * x + step * rng_normal(s, N + 1 + i);
                band_stretch_sort(ratios, N);
                came += x <= (double)band_stretch_fit(ratios, N, worth[w], 0.9);
                band_stretch_check(ratios, N, N / BLOCK, worth[w], 0.9, &inside, &all);
            }
            assert_close(all, (double)N * ROUNDS, 0);
            print_message("memory %.1f, worth %.0f: checked %.3f, came true %.3f\n",
                          memories[m], worth[w], inside / all, came / ROUNDS);
            assert_close(inside / all, came / ROUNDS, 0.02);
        }
}

static void too_little_says_nothing(void **state)
{
    (void)state;
    struct band_ratio ratios[100] = {0};
    double inside = 0, all = 0;
    for (int i = 0; i < 100; i++)
        ratios[i].ratio = (float)i / 50;
    band_stretch_check(ratios, 100, 1, 100, 0.9, &inside, &all); /* no others */
    assert_true(all == 0);
    assert_false(band_stretch_knows(0, 0.9));
    assert_false(band_stretch_knows(8.9, 0.9));
    assert_true(band_stretch_knows(9, 0.9));
    assert_true(band_stretch_knows(39, 0.975));
    assert_true(band_stretch_fit(ratios, 100, 8, 0.9) == 1);
    assert_true(band_stretch_fit(ratios, 0, 100, 0.9) == 1);
    assert_true(band_stretch_fit(ratios, 100, 1e9, 0.9) == ratios[90].ratio);
    /* Fewer of their own: further outwards, to the last. */
    assert_true(band_stretch_fit(ratios, 100, 20, 0.9) == ratios[94].ratio);
    assert_true(band_stretch_fit(ratios, 100, 9, 0.9) == ratios[99].ratio);
    for (int i = 0; i < 100; i++)
        ratios[i].ratio *= 1000;
    assert_true(band_stretch_fit(ratios, 100, 50, 0.9) == BAND_STRETCH_MOST);
    for (int i = 0; i < 100; i++)
        ratios[i].ratio = -1;
    assert_true(band_stretch_fit(ratios, 100, 50, 0.9) == 1 / BAND_STRETCH_MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_one_is_covered),
        cmocka_unit_test(the_check_is_what_comes_true),
        cmocka_unit_test(too_little_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
