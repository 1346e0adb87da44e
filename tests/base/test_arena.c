/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/arena.h"

#include "tests/check.h"

struct tensors {
    real *a, *b;
    unsigned char *c;
};

static void carve(struct arena *arena, struct tensors *t)
{
    t->a = arena_reals(arena, 100);
    t->b = arena_reals(arena, 1);
    t->c = arena_bytes(arena, 65);
}

static void measuring_gives_the_size(void **state)
{
    (void)state;
    struct err err = {0};
    struct tensors t;
    struct arena arena = arena_measure();
    carve(&arena, &t);
    assert_null(t.a);
    assert_true(arena.used >= 101 * sizeof(real) + 65);
    const size_t measured = arena.used;
    assert_ok(arena_open(&arena, &err), &err);
    carve(&arena, &t);
    assert_int_equal(arena.used, measured);
    assert_int_equal(arena.size, measured);
    arena_close(&arena);
    assert_null(arena.base);
}

static void blocks_are_aligned_zeroed_and_apart(void **state)
{
    (void)state;
    struct err err = {0};
    struct tensors t;
    struct arena arena = arena_measure();
    carve(&arena, &t);
    assert_ok(arena_open(&arena, &err), &err);
    carve(&arena, &t);
    assert_int_equal((uintptr_t)t.a % 64, 0);
    assert_int_equal((uintptr_t)t.b % 64, 0);
    assert_int_equal((uintptr_t)t.c % 64, 0);
    for (size_t i = 0; i < 100; i++)
        assert_true(t.a[i] == 0);
    for (size_t i = 0; i < 65; i++)
        assert_int_equal(t.c[i], 0);
    memset(t.a, 0xFF, 100 * sizeof(real));
    memset(t.c, 0xFF, 65);
    assert_true(*t.b == 0);
    assert_true(arena_check(&arena));
    arena_close(&arena);
}

static void writing_past_an_end_shows(void **state)
{
    (void)state;
#ifdef NDEBUG
    skip();
#else
    struct err err = {0};
    struct tensors t;
    struct arena arena = arena_measure();
    carve(&arena, &t);
    assert_ok(arena_open(&arena, &err), &err);
    carve(&arena, &t);
    const unsigned char kept = t.c[65];
    t.c[65] = 1; /* in the padding: the sanitizers cannot see it */
    assert_false(arena_check(&arena));
    t.c[65] = kept;
    assert_true(arena_check(&arena));
    arena_close(&arena);
#endif
}

static void an_empty_arena_opens(void **state)
{
    (void)state;
    struct err err = {0};
    struct arena arena = arena_measure();
    assert_ok(arena_open(&arena, &err), &err);
    assert_true(arena_check(&arena));
    arena_close(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measuring_gives_the_size),
        cmocka_unit_test(blocks_are_aligned_zeroed_and_apart),
        cmocka_unit_test(writing_past_an_end_shows),
        cmocka_unit_test(an_empty_arena_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
