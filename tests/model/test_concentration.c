/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Q row of mixers.md, section 8, and what a diagnosis says. */
#include "model/concentration.h"

#include "base/rng.h"
#include "model/linear.h"
#include "tests/model/small.h"

enum { MANY = 16384, N = 4 };

/* Queries, keys and values of one sample; keys Gaussian, or with a heavy right tail, and
 * values that follow the keys. */
static void fill_tokens(double *x, size_t T, bool exponential)
{
    const struct rng_stream stream = {.seed = 21};
    for (size_t i = 0; i < T * N; i++) {
        double *const q = x + i, *const k = x + T * N + i, *const v = x + 2 * T * N + i;
        *q = 0.5 * rng_normal(stream, 3 * i);
        *k = exponential ? -log(1 - rng_uniform(stream, 3 * i + 1)) - 1
                         : rng_normal(stream, 3 * i + 1);
        *v = 0.6 * *k + 0.8 * rng_normal(stream, 3 * i + 2);
    }
}

static struct model_concentration measure(size_t T, bool exponential)
{
    struct model_concentration out;
    double *const x = calloc(3 * T * N, sizeof *x);
    fill_tokens(x, T, exponential);
    const struct concentration_data data = {
        .S = 1, .T = T, .N = N, .q = x, .k = x + T * N, .v = x + 2 * T * N};
    concentration_measure(&data, 1, &out);
    free(x);
    return out;
}

static void q1_the_gaussian_gap_falls_like_1_over_t(void **state)
{
    (void)state;
    const struct model_concentration gauss = measure(MANY, false);
    const struct model_concentration other = measure(MANY, true);
    assert_int_equal(gauss.tokens[gauss.grid_count - 1], MANY);
    for (size_t i = 0; i < 3; i++) {
        assert_true(gauss.slope[i] > -1.25 && gauss.slope[i] < -0.75);
        assert_true(gauss.control_slope[i] > -1.25 && gauss.control_slope[i] < -0.75);
        assert_true(other.control_slope[i] > -1.25 && other.control_slope[i] < -0.75);
    }
    assert_true(gauss.slope[1] <= gauss.slope[0] && gauss.slope[0] <= gauss.slope[2]);
    assert_true(other.floor > 10 * gauss.floor);
    assert_true(other.slope[0] > -0.5); /* it stays where it is */
}

/* Small scores: what is left is the third cumulant. */
static void the_floor_is_the_third_cumulant(void **state)
{
    (void)state;
    enum { T = 4096 };
    struct model_concentration out;
    double *const x = calloc(3 * T * N, sizeof *x);
    fill_tokens(x, T, true);
    for (size_t i = 0; i < T * N; i++)
        x[i] *= 0.2; /* queries */
    const struct concentration_data data = {
        .S = 1, .T = T, .N = N, .q = x, .k = x + T * N, .v = x + 2 * T * N};
    concentration_measure(&data, 1, &out);
    assert_true(out.floor / out.k3 > 0.8 && out.floor / out.k3 < 1.25);
    assert_true(out.deviation > 0.05 && out.deviation < 0.15);
    assert_true(out.effective > 0.95 * T && out.entropy > 0.95 * log(T));
    assert_true(out.gradient_v[out.grid_count - 1] < 0.1);
    free(x);
}

/* T tokens differ in T - 1 directions at most, and in one fewer for a channel that is the
 * sum of others. */
static void i2_the_rank_of_the_keys_is_reported(void **state)
{
    (void)state;
    for (size_t T = 2; T <= 8; T++) {
        double x[3 * 8 * N];
        struct model_concentration out;
        fill_tokens(x, T, false);
        const struct concentration_data data = {
            .S = 1, .T = T, .N = N, .q = x, .k = x + T * N, .v = x + 2 * T * N};
        concentration_measure(&data, 1, &out);
        assert_true(out.key_rank == (double)(T - 1 < N ? T - 1 : N));
        for (size_t t = 0; t < T; t++)
            x[T * N + t * N + 3] = x[T * N + t * N] + x[T * N + t * N + 1];
        concentration_measure(&data, 1, &out);
        assert_true(out.key_rank == (double)(T - 1 < N - 1 ? T - 1 : N - 1));
    }
}

/* A sharp softmax is far from linear, and says so. */
static void a_sharp_softmax_reads_few_tokens(void **state)
{
    (void)state;
    enum { T = 256 };
    struct model_concentration out;
    double *const x = calloc(3 * T * N, sizeof *x);
    fill_tokens(x, T, false);
    for (size_t i = 0; i < T * N; i++)
        x[i] *= 40;
    const struct concentration_data data = {
        .S = 1, .T = T, .N = N, .q = x, .k = x + T * N, .v = x + 2 * T * N};
    concentration_measure(&data, 1, &out);
    assert_true(out.floor > 1 && out.effective < 8 && out.deviation > 10);
    assert_true(out.gradient_kq[out.grid_count - 1] > 0.5);
    free(x);
}

static void tokens_that_are_all_the_same_have_no_gap(void **state)
{
    (void)state;
    enum { T = 64 };
    struct model_concentration out;
    double x[3 * T * N];
    for (size_t i = 0; i < 3 * T * N; i++)
        x[i] = (double)(i % N);
    const struct concentration_data data = {
        .S = 1, .T = T, .N = N, .q = x, .k = x + T * N, .v = x + 2 * T * N};
    concentration_measure(&data, 1, &out);
    for (size_t i = 0; i < out.grid_count; i++)
        assert_close(out.gap[i][1], 0, 0);
    assert_true(isnan(out.slope[0]));
}

/* ---- of a trained network ---------------------------------------------------------- */

static void a_trained_network_is_diagnosed(void **state)
{
    (void)state;
    struct grid grid = small_grid(400, 12, 0.3);
    struct model_spec spec = small_spec(GROUP_JOINT);
    const struct model_split split = {
        .kind = SPLIT_SHARES, .train = 0.7, .valid = 0.1, .test = 0.2};
    struct model_diagnosis out;
    struct err err = {0};
    small_set(&spec, "mixer", "softmax");
    assert_ok(model_diagnose(&grid, &spec, &split, NULL, &out, &err), &err);
    assert_int_equal(out.count, 2 * 1 * 2); /* branches, layers, heads */
    assert_int_equal(out.heads[0].tokens[out.heads[0].grid_count - 1], 12);
    assert_string_equal(out.heads[0].branch, "real");
    assert_string_equal(out.heads[3].branch, "imag");
    assert_int_equal(out.heads[3].head, 1);
    assert_true(out.loss_softmax > 0 && out.loss_inline > 0);
    assert_true(out.loss_softmax != out.loss_inline);
    double worst = 0;
    for (size_t i = 0; i < out.count; i++)
        worst = fmax(worst, out.heads[i].floor);
    assert_int_equal(out.convertible,
                     worst < 1e-2 && fabs(out.loss_inline / out.loss_softmax - 1) < 5e-3);
    model_diagnosis_fini(&out);
    grid_fini(&grid);
}

static void what_cannot_be_diagnosed_is_refused(void **state)
{
    (void)state;
    struct grid grid = small_grid(400, 2, 0.3);
    struct model_spec spec = small_spec(GROUP_EACH);
    const struct model_split split = {
        .kind = SPLIT_SHARES, .train = 0.7, .valid = 0.1, .test = 0.2};
    struct model_diagnosis out;
    struct err err = {0};
    assert_err(model_diagnose(&grid, &spec, &split, NULL, &out, &err), &err, ERR_INVALID,
               "mixer: must be softmax");
    err = (struct err){0};
    small_set(&spec, "mixer", "softmax");
    assert_err(model_diagnose(&grid, &spec, &split, NULL, &out, &err), &err, ERR_CONFLICT,
               "diagnose: one token");
    err = (struct err){0};
    small_set(&spec, "causal", "true");
    assert_err(model_diagnose(&grid, &spec, &split, NULL, &out, &err), &err, ERR_INVALID,
               "causal: must be false");
    grid_fini(&grid);
}

int main(void)
{
    model_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(q1_the_gaussian_gap_falls_like_1_over_t),
        cmocka_unit_test(the_floor_is_the_third_cumulant),
        cmocka_unit_test(i2_the_rank_of_the_keys_is_reported),
        cmocka_unit_test(a_sharp_softmax_reads_few_tokens),
        cmocka_unit_test(tokens_that_are_all_the_same_have_no_gap),
        cmocka_unit_test(a_trained_network_is_diagnosed),
        cmocka_unit_test(what_cannot_be_diagnosed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
