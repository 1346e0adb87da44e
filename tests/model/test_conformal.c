/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include "base/rng.h"
#include "model/conformal.h"

static const struct rng_stream stream = {11, 2, 0};

static void offsets_are_order_statistics_rounded_outwards(void **state)
{
    (void)state;
    enum { N = 99 };
    float residuals[N];
    for (int i = 0; i < N; i++)
        residuals[(i * 37) % N] = (float)(i + 1 - 50); /* -49 .. 49 */
    struct bands bands;
    struct err err = {0};
    assert_ok(bands_init(&bands, 1, 1, &err), &err);
    assert_int_equal(bands_fit(&bands, 0, residuals, N, 2), N);
    assert_close(bands_offset(&bands, 0, 0, 0.1), 2 * -40, 1e-12);
    assert_close(bands_offset(&bands, 0, 0, 0.9), 2 * 40, 1e-12);
    assert_true(bands_offset(&bands, 0, 0, 0.5) == 0);
    /* (n + 1) 0.025 = 2.5: outwards to the second and the last but one. */
    assert_close(bands_offset(&bands, 0, 0, 0.025), 2 * -48, 1e-12);
    assert_close(bands_offset(&bands, 0, 0, 0.975), 2 * 48, 1e-12);
    /* Past the ends, the extremes. */
    assert_close(bands_offset(&bands, 0, 0, 1e-6), 2 * -49, 1e-12);
    assert_close(bands_offset(&bands, 0, 0, 1 - 1e-6), 2 * 49, 1e-12);
    /* Between stored levels, linear. */
    assert_close(bands_offset(&bands, 0, 0, 0.15), 2 * -35, 1e-9);
    bands_fini(&bands);
}

static void a_bias_never_moves_the_median(void **state)
{
    (void)state;
    float residuals[100];
    for (int i = 0; i < 100; i++)
        residuals[i] = 5 + (float)i;
    struct bands bands;
    struct err err = {0};
    assert_ok(bands_init(&bands, 1, 1, &err), &err);
    bands_fit(&bands, 0, residuals, 100, 1);
    assert_true(bands_offset(&bands, 0, 0, 0.1) == 0);
    assert_true(bands_offset(&bands, 0, 0, 0.5) == 0);
    assert_true(bands_offset(&bands, 0, 0, 0.9) > 90);
    bands_fini(&bands);
}

/* Residuals (count, knots) that widen with the step; every seventh missing. */
static void widening(float *residuals, size_t count, size_t knots)
{
    for (size_t i = 0; i < count * knots; i++)
        residuals[i] =
            i % 7 == 3 ? NAN
                       : (float)(rng_normal(stream, i) * sqrt((double)(1 + i % knots)));
}

static void quantiles_never_cross_at_any_step(void **state)
{
    (void)state;
    static const struct {
        size_t P, count;
    } cases[] = {{1, 3}, {5, 1}, {24, 200}, {64, 30}, {65, 40}, {720, 50}, {2048, 20}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const size_t P = cases[c].P, knots = bands_knots(P);
        float *const residuals = calloc(cases[c].count * knots, sizeof *residuals);
        widening(residuals, cases[c].count, knots);
        struct bands bands;
        struct err err = {0};
        assert_ok(bands_init(&bands, 1, P, &err), &err);
        bands_fit(&bands, 0, residuals, cases[c].count, 1);
        for (size_t j = 0; j < P; j++) {
            double last = -INFINITY;
            for (double p = 0.001; p < 1; p += 0.0173) {
                const double offset = bands_offset(&bands, 0, j, p);
                assert_true(offset >= last - 1e-12 && isfinite(offset));
                last = offset;
            }
        }
        bands_fini(&bands);
        free(residuals);
    }
}

static void knots_cover_the_horizon(void **state)
{
    (void)state;
    for (size_t P = 1; P <= 2048; P += P < 130 ? 1 : 97) {
        const size_t knots = bands_knots(P);
        assert_int_equal(bands_step(0, P), 0);
        assert_int_equal(bands_step(knots - 1, P), P - 1);
        for (size_t k = 1; k < knots; k++)
            assert_true(bands_step(k, P) > bands_step(k - 1, P));
    }
}

static void coverage_is_the_nominal_one(void **state)
{
    (void)state;
    enum { N = 256, P = 12, TESTS = 4000 };
    static float residuals[N * P];
    for (uint64_t i = 0; i < N * P; i++)
        residuals[i] = (float)rng_normal(stream, i);
    struct bands bands;
    struct err err = {0};
    assert_ok(bands_init(&bands, 1, P, &err), &err);
    bands_fit(&bands, 0, residuals, N, 1);
    double inside = 0;
    for (uint64_t i = 0; i < TESTS; i++) {
        const double fresh = rng_normal(stream, 100000 + i);
        inside += fresh >= bands_offset(&bands, 0, i % P, 0.1) &&
                  fresh <= bands_offset(&bands, 0, i % P, 0.9);
    }
    assert_close(inside / TESTS, 0.8, 0.03);
    bands_fini(&bands);
}

static void few_residuals_borrow_from_their_neighbours(void **state)
{
    (void)state;
    float residuals[2 * 40]; /* two origins */
    widening(residuals, 2, 40);
    struct bands bands;
    struct err err = {0};
    assert_ok(bands_init(&bands, 2, 40, &err), &err);
    assert_true(bands_fit(&bands, 0, residuals, 2, 1) >= BANDS_POOL);
    assert_true(bands_offset(&bands, 0, 0, 0.9) > 1); /* of more than two numbers */
    assert_int_equal(bands_fit(&bands, 1, residuals, 0, 1), 0);
    assert_true(bands_offset(&bands, 1, 5, 0.9) == 0);
    bands_fini(&bands);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_are_order_statistics_rounded_outwards),
        cmocka_unit_test(a_bias_never_moves_the_median),
        cmocka_unit_test(quantiles_never_cross_at_any_step),
        cmocka_unit_test(knots_cover_the_horizon),
        cmocka_unit_test(coverage_is_the_nominal_one),
        cmocka_unit_test(few_residuals_borrow_from_their_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
