/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/dropout.h"

#include "model/threads.h"
#include "tests/model/gradient.h"

enum { N = 20001 };

static real x[N], y[N];

static void ones(real *at)
{
    for (size_t i = 0; i < N; i++)
        at[i] = 1;
}

static void drops_p_and_keeps_the_mean(void **state)
{
    (void)state;
    const struct dropout half = {.stream = {.seed = 1, .purpose = 2, .step = 3},
                                 .p = 0.25};
    ones(x);
    dropout(NULL, x, N, &half);
    size_t dropped = 0;
    for (size_t i = 0; i < N; i++) {
        dropped += x[i] == 0;
        assert_true(x[i] == 0 || fabs((double)x[i] - 4.0 / 3) < 1e-15);
    }
    assert_close((double)dropped / N, 0.25, 0.01);
}

static void is_a_function_of_its_arguments(void **state)
{
    (void)state;
    struct dropout d = {.stream = {.seed = 1, .purpose = 2, .step = 3}, .p = 0.5};
    struct threads *const pool = threads_start(4);
    ones(x);
    ones(y);
    dropout(NULL, x, N, &d);
    dropout(pool, y, N, &d);
    assert_memory_equal(x, y, sizeof x);
    threads_stop(pool);

    ones(y); /* the beginning of a longer array */
    dropout(NULL, y, 1001, &d);
    assert_memory_equal(x, y, 1001 * sizeof *x);

    uint32_t *const parts[] = {&d.stream.purpose, &d.stream.step};
    for (size_t i = 0; i < 2; i++) {
        ++*parts[i];
        ones(y);
        dropout(NULL, y, N, &d);
        assert_memory_not_equal(x, y, sizeof x);
    }
}

/* Whatever part of a vector is asked for, it is what the whole would have there. */
static void a_part_is_that_of_the_whole(void **state)
{
    (void)state;
    static const size_t cuts[] = {0, 1, 3, 64, 65, 127, 448, 2047, 2048, 2049, 9999, N};
    const struct dropout d = {.stream = {.seed = 1, .purpose = 2, .step = 3}, .p = 0.3};
    ones(x);
    dropout(NULL, x, N, &d);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++)
        for (size_t j = i; j < sizeof cuts / sizeof *cuts; j++) {
            const size_t first = cuts[i], n = cuts[j] - first;
            ones(y);
            dropout_part(y + first, first, n, &d);
            assert_memory_equal(x + first, y + first, n * sizeof *x);
            for (size_t k = 0; k < N; k++) /* and nothing beside it */
                assert_true((k >= first && k < first + n) || y[k] == 1);
        }
}

static void zero_is_identity(void **state)
{
    (void)state;
    const struct dropout none = {.p = 0};
    fill_normal(x, N, 1, 1);
    memcpy(y, x, sizeof x);
    dropout(NULL, x, N, &none);
    assert_memory_equal(x, y, sizeof x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drops_p_and_keeps_the_mean),
        cmocka_unit_test(is_a_function_of_its_arguments),
        cmocka_unit_test(a_part_is_that_of_the_whole),
        cmocka_unit_test(zero_is_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
