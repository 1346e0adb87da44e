/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * P1: what was acknowledged survives kill -9 at any instant, and a power loss.
 *
 * A child opens the store, appends batches and reports each acknowledgement through a
 * pipe; the parent kills it after a random while, or its disk loses what was not synced
 * (shim.h); then the parent opens the store itself and looks.  KILL_ROUNDS and
 * POWER_ROUNDS set how often (5 of each).
 */
#include "tests/check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <zlib.h>

#include "base/rng.h"
#include "tests/storage/folder.h"
#include "tests/storage/shim.h"

enum {
    PER_BATCH = 50,
    SERIES = 4,
    KEPT = 200,            /* batches that are looked at */
    FORGETFUL_ROUNDS = 50, /* at most: it ends with the first loss */
};

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

/* How a store is to end. */
struct habit {
    size_t chunk_samples, compact_samples;
    bool retain;     /* all the time, too */
    bool power;      /* the disk loses what was not synced */
    bool may_forget; /* durability = normal */
};

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

static void *retain_on(void *store)
{
    for (;;)
        if (store_retain(store, NULL))
            _exit(6);
    return NULL;
}

/* Never returns: appends from batch `first` on, some waiting at any time. */
static void be_killed(struct folder *folder, uint64_t first, bool retain, int pipe)
{
    struct store *const store = folder_open(folder);
    pthread_t thread;
    if (retain && pthread_create(&thread, NULL, retain_on, store))
        _exit(7);
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

/* It was killed, or ended where its power did. */
static void assert_ended(pid_t child, bool power)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (power)
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 9);
    else
        assert_true(WIFSIGNALED(status));
}

/* The last batch that was acknowledged, plus one. */
static uint64_t run_and_kill(struct folder *folder, const struct habit *habit,
                             uint64_t first, struct rng_stream chance)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        if (habit->power)
            shim_install(chance.seed + chance.step,
                         1 + (uint64_t)(1500 * rng_uniform(chance, 0)));
        be_killed(folder, first, habit->retain, ends[1]);
    }
    close(ends[1]);
    uint64_t number, next = first;
    if (!habit->power) {
        /* Not before it has acknowledged something. */
        assert_int_equal(read(ends[0], &number, sizeof number), sizeof number);
        next = number + 1;
        nanosleep(&(struct timespec){.tv_nsec = (long)(3e7 * rng_uniform(chance, 0))},
                  NULL);
        kill(child, SIGKILL);
    }
    while (read(ends[0], &number, sizeof number) == sizeof number)
        next = number + 1;
    close(ends[0]);
    assert_ended(child, habit->power);
    return next;
}

static double value_of(struct store *store, const char *name, int64_t time_ms)
{
    struct err err = {0};
    struct sample *samples;
    size_t count = 0;
    if (store_read(store, name, time_ms, time_ms + 1, AS_OF_NOW, 0, &samples, &count,
                   &err))
        return (double)NAN;
    const double value = count == 1 ? samples[0].value : (double)NAN;
    free(samples);
    return value;
}

/* In order of arrival: everything acknowledged is there or was replaced by what came
 * after it, so it is compared sample by sample.  How many are not. */
static size_t missing_among(struct store *store, uint64_t next)
{
    const uint64_t from = next > KEPT ? next - KEPT : 0;
    size_t missing = 0;
    for (uint64_t i = from * PER_BATCH; i + 7 < next * PER_BATCH; i++) {
        char name[32];
        int64_t time_ms;
        double value;
        make_sample(i, name, &time_ms, &value);
        const bool replaced_later = i % 7 == 0;
        missing += value_of(store, name, time_ms) != (replaced_later ? value + 6 : value);
    }
    return missing;
}

static long rounds_of(const char *variable)
{
    const char *const wish = getenv(variable);
    return wish ? strtol(wish, NULL, 10) : 5;
}

/* Returns how many samples that were acknowledged are missing. */
static size_t kill_rounds(const struct habit *habit)
{
    const long rounds = habit->may_forget
                            ? FORGETFUL_ROUNDS
                            : rounds_of(habit->power ? "POWER_ROUNDS" : "KILL_ROUNDS");
    struct folder folder;
    folder_init(&folder);
    folder.options.head_samples_max = SIZE_MAX / 2;
    folder.options.chunk_samples = habit->chunk_samples;
    folder.options.compact_samples = habit->compact_samples;
    folder.options.retention = (struct store_retention){0};
    if (habit->retain) /* of what is looked at nothing */
        folder.options.retention.samples_ms = folder.options.retention.hours_ms =
            2 * KEPT * PER_BATCH;
    if (habit->may_forget)
        folder.options.durability = DURABILITY_NORMAL;
    uint64_t next = 0;
    size_t missing = 0;
    for (long round = 0; round < rounds && missing == 0; round++) {
        next = run_and_kill(&folder, habit, next,
                            (struct rng_stream){.seed = 11, .step = (uint32_t)round});
        struct store *const store = folder_open(&folder);
        missing += missing_among(store, next);
        struct store_counts counts = {0};
        struct err err = {0};
        /* Sending the last one again changes nothing but what it repeats itself. */
        if (next > 0)
            assert_ok(store_append_wait(store, make_batch(next - 1), &counts, &err),
                      &err);
        assert_true(counts.stored == 0 || habit->may_forget);
        store_close(store);
        folder_assert_sound(&folder);
        if (habit->may_forget) /* a history with holes is no reference */
            folder_empty(&folder);
        next = habit->may_forget ? 0 : next;
    }
    printf("# %ld rounds, %llu batches acknowledged, %zu samples missing\n", rounds,
           (unsigned long long)next, missing);
    folder_fini(&folder);
    return missing;
}

static void acknowledged_samples_survive(void **state)
{
    (void)state;
    assert_int_equal(kill_rounds(&(struct habit){.chunk_samples = 1024}), 0);
}

/* Passes follow one another without a pause, so most kills fall into one. */
static void they_survive_a_compaction(void **state)
{
    (void)state;
    assert_int_equal(
        kill_rounds(&(struct habit){.chunk_samples = 100, .compact_samples = 1}), 0);
}

static void they_survive_retention(void **state)
{
    (void)state;
    assert_int_equal(kill_rounds(&(struct habit){
                         .chunk_samples = 100, .compact_samples = 1, .retain = true}),
                     0);
}

static void they_survive_a_power_loss(void **state)
{
    (void)state;
    assert_int_equal(
        kill_rounds(&(struct habit){
            .chunk_samples = 100, .compact_samples = 1, .retain = true, .power = true}),
        0);
}

/* The shim does lose things: what is promised to survive the process only does not
 * survive it, though the database stays sound. */
static void with_less_promised_some_do_not(void **state)
{
    (void)state;
    assert_true(kill_rounds(&(struct habit){.chunk_samples = 100,
                                            .compact_samples = 1,
                                            .power = true,
                                            .may_forget = true}) > 0);
}

/* ---- migration ------------------------------------------------------------------------ */

static void unpack(int version, const struct folder *folder)
{
    char *const from = mem_printf("tests/storage/fixtures/version-%d.db.gz", version);
    char *const to = folder_file(folder, "frwkvd.db");
    const gzFile file = gzopen(from, "rb");
    FILE *const out = fopen(to, "wb");
    assert_true(file && out);
    char bytes[8192];
    for (int len; (len = gzread(file, bytes, sizeof bytes)) > 0;)
        assert_int_equal(fwrite(bytes, 1, (size_t)len, out), len);
    gzclose(file);
    fclose(out);
    free(from);
    free(to);
}

/* How much of everything there is, in one number for each table. */
static char *inventory(const struct folder *folder, int version)
{
    static const char *const TABLE[] = {"series",  "log",    "revisions", "forecasters",
                                        "models",  "issues", "forecasts", "days",
                                        "jobs",    "chunks", "schedules", "covariates",
                                        "rollups", "states"};
    static const int SINCE[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6};
    char *const path = folder_file(folder, "frwkvd.db");
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    char *text = mem_text("");
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE && SINCE[i] <= version; i++) {
        char *const sql = mem_printf("SELECT count(*) FROM %s", TABLE[i]);
        sqlite3_stmt *stmt;
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
        char *const longer =
            mem_printf("%s%s %d, ", text, TABLE[i], sqlite3_column_int(stmt, 0));
        sqlite3_finalize(stmt);
        free(sql);
        free(text);
        text = longer;
    }
    sqlite3_close(db);
    free(path);
    return text;
}

/* Opens a file of a past version, and ends at this call that changes a file.  False: it
 * was open and closed again before that. */
static bool migrate_and_end(struct folder *folder, uint64_t last, bool power)
{
    const pid_t child = fork();
    if (child == 0) {
        shim_install(last, last);
        shim.forgets = power;
        store_close(folder_open(folder));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) &&
                (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9));
    return WEXITSTATUS(status) == 9;
}

/* Killed on its way to the present version, or the power fails, at every tenth call (at each
 * with KILL_ROUNDS): the next opening ends what was begun, with all that was there. */
static void a_migration_goes_on_where_it_ended(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    folder.options.compact_samples = 0;
    const uint64_t stride = rounds_of("KILL_ROUNDS") > 5 ? 1 : 10;
    size_t ends = 0;
    for (int version = 1; version < SCHEMA_VERSION; version++)
        for (int power = 0; power < 2; power++) {
            bool ended = true;
            for (uint64_t last = 1 + (uint64_t)version; ended;
                 last += stride, ends += ended) {
                folder_empty(&folder);
                unpack(version, &folder);
                char *const before = inventory(&folder, version);
                ended = migrate_and_end(&folder, last, power);
                store_close(folder_open(&folder));
                char *const after = inventory(&folder, version);
                assert_string_equal(after, before);
                free(before);
                free(after);
                folder_assert_sound(&folder);
            }
        }
    printf("# %zu ends of a migration\n", ends);
    assert_true(ends > 50);
    folder_fini(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_samples_survive),
        cmocka_unit_test(they_survive_a_compaction),
        cmocka_unit_test(they_survive_retention),
        cmocka_unit_test(they_survive_a_power_loss),
        cmocka_unit_test(with_less_promised_some_do_not),
        cmocka_unit_test(a_migration_goes_on_where_it_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
