/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/threads.h"

#include <stdatomic.h>

#include "tests/check.h"

enum { BLOCKS = 1000 };

struct tally {
    atomic_uint seen[BLOCKS];
    unsigned plain[BLOCKS]; /* written without a lock: each block has one writer */
};

static void count(void *ctx, size_t block)
{
    struct tally *const tally = ctx;
    atomic_fetch_add(&tally->seen[block], 1);
    tally->plain[block]++;
}

static void every_block_once(void **state)
{
    (void)state;
    static struct tally tally;
    for (size_t threads = 0; threads <= 4; threads++) {
        memset(&tally, 0, sizeof tally);
        struct threads *const pool = threads_start(threads);
        assert_true((pool == NULL) == (threads <= 1));
        threads_run(pool, 0, count, &tally);
        threads_run(pool, BLOCKS, count, &tally);
        for (size_t i = 0; i < BLOCKS; i++) {
            assert_int_equal(atomic_load(&tally.seen[i]), 1);
            assert_int_equal(tally.plain[i], 1);
        }
        threads_stop(pool);
    }
}

/* Short jobs one after the other: what one wrote, the next reads. */
static void jobs_follow_each_other(void **state)
{
    (void)state;
    static struct tally tally;
    struct threads *const pool = threads_start(3);
    unsigned want = 0;
    for (size_t i = 0; i < 3000; i++) {
        threads_run(pool, i % 7, count, &tally);
        for (size_t k = 0; k < i % 7; k++)
            want++;
    }
    unsigned got = 0;
    for (size_t i = 0; i < BLOCKS; i++)
        got += tally.plain[i];
    assert_int_equal(got, want);
    threads_stop(pool);
}

static void blocks_cover(void **state)
{
    (void)state;
    assert_int_equal(threads_blocks(0, 24), 0);
    assert_int_equal(threads_blocks(25, 24), 2);
    assert_int_equal(threads_block_end(0, 25, 24), 24);
    assert_int_equal(threads_block_end(1, 25, 24), 25);
}

struct pieces {
    size_t unit, R;
    atomic_uint seen[BLOCKS];
    atomic_uint count;
};

static void count_rows(void *ctx, size_t from, size_t to)
{
    struct pieces *const p = ctx;
    atomic_fetch_add(&p->count, 1);
    assert_true(from < to && to <= p->R);
    assert_true(from % p->unit == 0 && (to % p->unit == 0 || to == p->R));
    for (size_t r = from; r < to; r++)
        atomic_fetch_add(&p->seen[r], 1);
}

/* Every row once, in pieces of whole units; of many rows a piece for each thread. */
static void rows_are_cut_between_units(void **state)
{
    (void)state;
    static const size_t rows[] = {0, 1, 7, 23, 24, 25, 224, 225, 481, BLOCKS};
    for (size_t threads = 1; threads <= 4; threads++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            for (size_t unit = 1; unit <= 70; unit += 23) {
                static struct pieces p;
                memset(&p, 0, sizeof p);
                p.unit = unit;
                p.R = rows[i];
                struct threads *const pool = threads_start(threads);
                threads_rows(pool, rows[i], unit, count_rows, &p);
                threads_stop(pool);
                for (size_t r = 0; r < BLOCKS; r++)
                    assert_int_equal(atomic_load(&p.seen[r]), r < rows[i]);
                if (rows[i] >= 224 && unit == 1)
                    assert_true(atomic_load(&p.count) >= threads);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_once),
        cmocka_unit_test(jobs_follow_each_other),
        cmocka_unit_test(blocks_cover),
        cmocka_unit_test(rows_are_cut_between_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
