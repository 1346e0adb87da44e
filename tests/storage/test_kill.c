/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * P1: what was acknowledged survives kill -9 at any instant.
 *
 * A child opens the store, appends batches and reports each acknowledgement through a
 * pipe; the parent kills it after a random while, opens the store itself and looks.
 * KILL_ROUNDS sets how often (5).
 */
#include "tests/check.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/rng.h"
#include "tests/storage/folder.h"

enum { PER_BATCH = 50, SERIES = 4 };

/* Sample i of a run: a new instant of its series, or every seventh an old one again. */
static void make_sample(uint64_t i, char name[static 32], int64_t *time_ms, double *value)
{
    const uint64_t at = i % 7 == 6 ? i - 6 : i;
    snprintf(name, 32, "m{s=\"%u\"}", (unsigned)(at % SERIES));
    *time_ms = 1600000000000 + (int64_t)at;
    *value = (double)i;
}

static struct store_batch *make_batch(uint64_t number)
{
    struct store_batch *const batch = store_batch_new();
    for (uint64_t i = number * PER_BATCH; i < (number + 1) * PER_BATCH; i++) {
        char name[32];
        int64_t time_ms;
        double value;
        make_sample(i, name, &time_ms, &value);
        store_batch_add(batch, store_batch_series(batch, name), time_ms, value);
    }
    return batch;
}

struct acknowledgement {
    int pipe;
    uint64_t number;
};

static void on_done(void *ctx, const struct store_counts *counts, const struct err *err)
{
    struct acknowledgement *const acknowledgement = ctx;
    if (err || counts->stored + counts->replaced + counts->duplicate != PER_BATCH)
        _exit(3);
    if (write(acknowledgement->pipe, &acknowledgement->number,
              sizeof acknowledgement->number) < 0)
        _exit(4);
    free(acknowledgement);
}

/* Never returns: appends from batch `first` on, some waiting at any time. */
static void be_killed(struct folder *folder, uint64_t first, int pipe)
{
    struct store *const store = folder_open(folder);
    for (uint64_t number = first;; number++) {
        struct err err = {0};
        struct acknowledgement *const acknowledgement =
            mem_new(1, sizeof *acknowledgement);
        *acknowledgement = (struct acknowledgement){pipe, number};
        if (store_append(store, make_batch(number), on_done, acknowledgement, &err) == 0)
            continue;
        if (err.code != ERR_BUSY)
            _exit(5);
        free(acknowledgement);
        number--;
    }
}

/* The last batch that was acknowledged, plus one. */
static uint64_t run_and_kill(struct folder *folder, uint64_t first, int64_t after_us)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        be_killed(folder, first, ends[1]);
    }
    close(ends[1]);
    uint64_t number, next = first;
    /* Not before it has acknowledged something. */
    assert_int_equal(read(ends[0], &number, sizeof number), sizeof number);
    next = number + 1;
    nanosleep(&(struct timespec){.tv_nsec = after_us * 1000}, NULL);
    kill(child, SIGKILL);
    while (read(ends[0], &number, sizeof number) == sizeof number)
        next = number + 1;
    close(ends[0]);
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
    return next;
}

static double value_of(struct store *store, const char *name, int64_t time_ms)
{
    struct err err = {0};
    struct sample *samples;
    size_t count;
    assert_ok(store_read(store, name, time_ms, time_ms + 1, AS_OF_NOW, 0, &samples,
                         &count, &err),
              &err);
    const double value = count == 1 ? samples[0].value : (double)NAN;
    free(samples);
    return value;
}

static void kill_rounds(size_t chunk_samples, size_t compact_samples)
{
    const char *const wish = getenv("KILL_ROUNDS");
    const long rounds = wish ? strtol(wish, NULL, 10) : 5;
    struct folder folder;
    folder_init(&folder);
    folder.options.head_samples_max = SIZE_MAX / 2;
    folder.options.chunk_samples = chunk_samples;
    folder.options.compact_samples = compact_samples;
    uint64_t next = 0;
    for (long round = 0; round < rounds; round++) {
        const struct rng_stream stream = {.seed = 11, .step = (uint32_t)round};
        next = run_and_kill(&folder, next, (int64_t)(30000 * rng_uniform(stream, 0)));
        struct store *const store = folder_open(&folder);
        struct store_counts counts = {0};
        struct err err = {0};
        /* In order of arrival: everything acknowledged is a duplicate or was replaced
         * by what came after it, so it is compared sample by sample. */
        const uint64_t from = next > 200 ? next - 200 : 0;
        for (uint64_t i = from * PER_BATCH; i + 7 < next * PER_BATCH; i++) {
            char name[32];
            int64_t time_ms;
            double value;
            make_sample(i, name, &time_ms, &value);
            const double got = value_of(store, name, time_ms);
            const bool replaced_later = i % 7 == 0;
            assert_true(got == (replaced_later ? value + 6 : value));
        }
        /* Sending the last one again changes nothing but what it repeats itself. */
        assert_ok(store_append_wait(store, make_batch(next - 1), &counts, &err), &err);
        assert_int_equal(counts.stored, 0);
        store_close(store);
    }
    printf("# %ld rounds, %llu batches acknowledged\n", rounds, (unsigned long long)next);
    folder_fini(&folder);
}

static void acknowledged_samples_survive(void **state)
{
    (void)state;
    kill_rounds(1024, 0);
}

/* Passes follow one another without a pause, so most kills fall into one. */
static void they_survive_a_compaction(void **state)
{
    (void)state;
    kill_rounds(100, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_samples_survive),
        cmocka_unit_test(they_survive_a_compaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
