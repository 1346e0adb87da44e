/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/rng.h"

#include "tests/check.h"

/* Random123's published vectors (kat_vectors, philox4x32 10). */
static void known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0U, ~0U, ~0U, ~0U},
         {~0U, ~0U},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint32_t *c = cases[i].counter, *k = cases[i].key;
        const struct rng_stream stream = {
            .seed = (uint64_t)k[1] << 32 | k[0], .purpose = c[2], .step = c[3]};
        const struct rng_block got = rng_at(stream, (uint64_t)c[1] << 32 | c[0]);
        assert_memory_equal(got.word, cases[i].want, sizeof got.word);
    }
}

/* Many at a time are the same words; indices pass 2^32 on the way. */
static void groups_are_one_by_one(void **state)
{
    (void)state;
    enum { GROUPS = 3 };
    const struct rng_stream stream = {
        .seed = UINT64_C(0x123456789abcdef), .purpose = 5, .step = 6};
    const uint64_t first = UINT64_C(0xfffffff1);
    uint32_t words[GROUPS * 4 * RNG_GROUP];
    rng_groups(stream, first, GROUPS, words);
    for (size_t i = 0; i < GROUPS * RNG_GROUP; i++) {
        const struct rng_block want = rng_at(stream, first + i);
        for (size_t w = 0; w < 4; w++)
            assert_int_equal(
                words[i / RNG_GROUP * 4 * RNG_GROUP + w * RNG_GROUP + i % RNG_GROUP],
                want.word[w]);
    }
}

/* Bounds are five standard errors of the mean and about that of the others. */
static void moments(void **state)
{
    (void)state;
    enum { N = 100000 };
    const struct rng_stream stream = {.seed = 7, .purpose = 1, .step = 2};
    double mean_u = 0, square_u = 0, mean_n = 0, square_n = 0, fourth_n = 0;
    for (uint64_t i = 0; i < N; i++) {
        const double u = rng_uniform(stream, i), n = rng_normal(stream, i);
        assert_true(u >= 0 && u < 1);
        assert_true(isfinite(n));
        mean_u += u / N;
        square_u += u * u / N;
        mean_n += n / N;
        square_n += n * n / N;
        fourth_n += n * n * n * n / N;
    }
    assert_close(mean_u, 0.5, 0.005);
    assert_close(square_u, 1.0 / 3, 0.005);
    assert_close(mean_n, 0, 0.016);
    assert_close(square_n, 1, 0.025);
    assert_close(fourth_n, 3, 0.06);
}

static void streams_differ(void **state)
{
    (void)state;
    const struct rng_stream base = {.seed = 1, .purpose = 2, .step = 3};
    const struct rng_stream others[] = {
        {.seed = 2, .purpose = 2, .step = 3},
        {.seed = 1 + (UINT64_C(1) << 32), .purpose = 2, .step = 3},
        {.seed = 1, .purpose = 3, .step = 3},
        {.seed = 1, .purpose = 2, .step = 4},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_true(rng_uniform(base, 0) != rng_uniform(others[i], 0));
    assert_true(rng_uniform(base, 0) != rng_uniform(base, 1));
    assert_true(rng_uniform(base, 0) != rng_uniform(base, UINT64_C(1) << 32));
}

static void shuffle_is_a_permutation_and_fair(void **state)
{
    (void)state;
    enum { N = 5, ROUNDS = 20000 };
    unsigned seen_at[N][N] = {{0}};
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t order[N];
        unsigned present = 0;
        rng_shuffle((struct rng_stream){.seed = 3, .step = round}, order, N);
        for (size_t i = 0; i < N; i++) {
            assert_true(order[i] < N);
            present |= 1U << order[i];
            seen_at[i][order[i]]++;
        }
        assert_int_equal(present, (1U << N) - 1);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) /* five standard deviations are 283 */
            assert_in_range(seen_at[i][j], ROUNDS / N - 283, ROUNDS / N + 283);
    rng_shuffle((struct rng_stream){0}, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(groups_are_one_by_one),
        cmocka_unit_test(moments),
        cmocka_unit_test(streams_differ),
        cmocka_unit_test(shuffle_is_a_permutation_and_fair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
