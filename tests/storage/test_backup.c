/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies taken while batches come in, and damage that verify names. */
#include "tests/check.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "storage/store.h"
#include "tests/storage/folder.h"

enum { CHUNK = 16, STEPS = 2 };

struct fixture {
    struct folder folder, copy, target; /* the last two are empty */
    struct store *store;
};

static int setup(void **state)
{
    struct fixture *const fixture = mem_new(1, sizeof *fixture);
    folder_init(&fixture->folder);
    folder_init(&fixture->copy);
    folder_init(&fixture->target);
    fixture->folder.options.chunk_samples = CHUNK;
    fixture->folder.options.compact_samples = 0;
    fixture->store = folder_open(&fixture->folder);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *const fixture = *state;
    store_close(fixture->store);
    folder_fini(&fixture->folder);
    folder_fini(&fixture->copy);
    folder_fini(&fixture->target);
    free(fixture);
    return 0;
}

static void put(struct store *store, const char *name, size_t from, size_t to)
{
    struct err err = {0};
    struct store_counts counts;
    struct store_batch *const batch = store_batch_new();
    const uint32_t series = store_batch_series(batch, name);
    for (size_t i = from; i < to; i++)
        store_batch_add(batch, series, (int64_t)i * 1000, (double)i);
    assert_ok(store_append_wait(store, batch, &counts, &err), &err);
}

/* How many samples there are; they are 0, 1, 2... */
static size_t held(struct store *store, const char *name)
{
    struct err err = {0};
    struct sample *samples;
    size_t count;
    assert_ok(store_read(store, name, INT64_MIN, INT64_MAX, AS_OF_NOW, 0, &samples,
                         &count, &err),
              &err);
    for (size_t i = 0; i < count; i++)
        assert_true(samples[i].time_ms == (int64_t)i * 1000 &&
                    samples[i].value == (double)i);
    free(samples);
    return count;
}

struct findings {
    size_t count;
    char last[400];
};

static void note(void *ctx, const char *what)
{
    struct findings *const findings = ctx;
    findings->count++;
    snprintf(findings->last, sizeof findings->last, "%s", what);
}

static struct findings verify(const struct folder *folder,
                              struct store_verified *verified)
{
    struct findings findings = {0};
    struct err err = {0};
    assert_ok(store_verify(folder->uri, note, &findings, verified, &err), &err);
    assert_int_equal(findings.count, verified->findings);
    return findings;
}

/* A bit of everything that has a checksum. */
static void fill(struct fixture *fixture)
{
    struct err err = {0};
    struct store *const store = fixture->store;
    put(store, "a", 0, 3 * CHUNK);
    assert_ok(store_compact(store, &err), &err);
    put(store, "a", 3 * CHUNK, 3 * CHUNK + 5);
    int64_t revision, id;
    bool created;
    assert_ok(store_forecaster_put(store, "f", "{}", "{}", &revision, &created, &err),
              &err);
    assert_ok(store_model_publish(store,
                                  &(struct store_publication){.forecaster = "f",
                                                              .revision = revision,
                                                              .bytes = "bytes",
                                                              .len = 5},
                                  &id, &err),
              &err);
    static const double QUANTILE[] = {0.5};
    const float values[STEPS] = {1.0F, 2.0F};
    struct store_forecast forecast = {.series = "a", .values = values};
    for (int day = 0; day < 2; day++) {
        const struct store_issue issue = {
            .forecaster = "f",
            .revision = revision,
            .model_id = id,
            .issued_ms = fixture->folder.now_ms + day * 86400000,
            .first_ms = fixture->folder.now_ms,
            .step_ms = 1000,
            .steps = STEPS,
            .quantile_count = 1,
            .quantiles = QUANTILE,
            .count = 1,
            .forecasts = &forecast,
        };
        int64_t issue_id;
        assert_ok(store_issue_append(store, &issue, 0, NULL, &issue_id, &err), &err);
    }
}

static void a_sound_store_has_no_findings(void **state)
{
    struct fixture *const fixture = *state;
    struct store_verified verified;
    fill(fixture);
    assert_int_equal(verify(&fixture->folder, &verified).count, 0);
    assert_int_equal(verified.batches, 1);
    assert_int_equal(verified.chunks, 3);
    assert_int_equal(verified.models, 1);
    assert_int_equal(verified.issues, 2);
    struct err err = {0};
    assert_err(store_verify(fixture->copy.uri, note, NULL, &verified, &err), &err,
               ERR_NOT_FOUND, "holds no database");
}

static void tamper(const struct fixture *fixture, const char *sql)
{
    char *const path = folder_file(&fixture->folder, "frwkvd.db");
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    char *text = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &text) != SQLITE_OK)
        fail_msg("%s: %s", sql, text);
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_close(db);
    free(path);
}

#define FLIP(column)                                                                     \
    column " = CAST(substr(" column ", 1, 2) || x'7f7f7f' || substr(" column             \
           ", 6) AS BLOB)"

static void one_changed_byte_is_named(void **state)
{
    static const struct {
        const char *sql, *named;
    } CASE[] = {
        {"UPDATE log SET " FLIP("batch"), "of the log: batch: "},
        {"UPDATE chunk_data SET " FLIP("bytes") " WHERE id = 2",
         "chunk of series 1 at 16000 is damaged"},
        {"UPDATE chunks SET samples = samples - 1 WHERE first_ms = 16000",
         "chunk of series 1 at 16000: its row is damaged"},
        {"DELETE FROM chunk_data WHERE id = 2", "chunk: its bytes are gone"},
        {"UPDATE models SET " FLIP("bytes"), "model: 1 of f does not match its hash"},
        {"UPDATE models SET watermark_ms = 5", "model: 1 of f does not match its hash"},
        {"UPDATE issues SET step_ms = 1001 WHERE id = 2",
         "forecast: issue 2 of f does not match its chain"},
        {"UPDATE forecasts SET " FLIP("quantiles") " WHERE issue = 2", "forecast"},
        {"UPDATE days SET " FLIP("closing") " WHERE day = (SELECT max(day) FROM days)",
         "of f does not fit its chain"},
    };
    struct fixture *const fixture = *state;
    struct store_verified verified;
    struct err err = {0};
    fill(fixture);
    assert_ok(store_backup(fixture->folder.uri, fixture->copy.path, &err), &err);
    store_close(fixture->store);
    fixture->store = NULL;
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        char *const path = folder_file(&fixture->folder, "frwkvd.db");
        unlink(path);
        free(path);
        err = (struct err){0};
        assert_ok(store_restore(fixture->copy.path, fixture->folder.uri, &err), &err);
        assert_int_equal(verify(&fixture->folder, &verified).count, 0);
        tamper(fixture, CASE[i].sql);
        const struct findings findings = verify(&fixture->folder, &verified);
        assert_int_equal(findings.count, 1);
        if (!strstr(findings.last, CASE[i].named))
            fail_msg("\"%s\" lacks \"%s\"", findings.last, CASE[i].named);
    }
}

struct load {
    struct store *store;
    atomic_bool stop;
    atomic_size_t acknowledged;
};

static void *append_on(void *arg)
{
    struct load *const load = arg;
    for (size_t i = 0; !atomic_load(&load->stop); i += 10) {
        put(load->store, "a", i, i + 10);
        atomic_store(&load->acknowledged, i + 10);
        if (i % 500 == 0)
            store_compact(load->store, NULL);
    }
    return NULL;
}

/* P11: what was acknowledged before a backup began is in it, and it is sound. */
static void a_backup_under_load_restores(void **state)
{
    struct fixture *const fixture = *state;
    struct load load = {.store = fixture->store};
    pthread_t thread;
    pthread_create(&thread, NULL, append_on, &load);
    for (int round = 0; round < 5; round++) {
        while (atomic_load(&load.acknowledged) < (size_t)round * 300 + 100)
            sched_yield();
        const size_t before = atomic_load(&load.acknowledged);
        struct err err = {0};
        struct store_verified verified;
        assert_ok(store_backup(fixture->folder.uri, fixture->copy.path, &err), &err);
        assert_int_equal(verify(&fixture->folder, &verified).count, 0);
        assert_int_equal(verify(&fixture->copy, &verified).count, 0);
        assert_ok(store_restore(fixture->copy.path, fixture->target.uri, &err), &err);
        struct store *const restored = folder_open(&fixture->target);
        const size_t count = held(restored, "a");
        assert_true(count >= before && count % 10 == 0);
        store_close(restored);
        folder_empty(&fixture->copy);
        folder_empty(&fixture->target);
    }
    atomic_store(&load.stop, true);
    pthread_join(thread, NULL);
}

/* Killed at any instant there is a whole copy or none, and the store is as it was. */
static void a_killed_backup_is_whole_or_none(void **state)
{
    struct fixture *const fixture = *state;
    struct err err = {0};
    int whole = 0;
    put(fixture->store, "a", 0, 20000);
    store_close(fixture->store);
    fixture->store = NULL;
    const char *const wish = getenv("KILL_ROUNDS");
    const int rounds = wish ? (int)strtol(wish, NULL, 10) : 20;
    for (int round = 0; round < rounds; round++) {
        const pid_t child = fork();
        if (child == 0)
            _exit(store_backup(fixture->folder.uri, fixture->copy.path, NULL) ? 1 : 0);
        nanosleep(&(struct timespec){.tv_nsec = round % 40 * 1000000}, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        struct store_verified verified;
        assert_int_equal(verify(&fixture->folder, &verified).count, 0);
        if (store_restore(fixture->copy.path, fixture->target.uri, &err) == 0) {
            struct store *const restored = folder_open(&fixture->target);
            assert_int_equal(held(restored, "a"), 20000);
            store_close(restored);
            whole++;
        } else {
            assert_int_equal(err.code, ERR_NOT_FOUND);
            err = (struct err){0};
        }
        folder_empty(&fixture->target);
        char *const path = folder_file(&fixture->copy, "frwkvd.db");
        unlink(path); /* what was half done stays for the next one to clear away */
        free(path);
    }
    printf("# %d of %d were whole\n", whole, rounds);
    assert_ok(store_backup(fixture->folder.uri, fixture->copy.path, &err), &err);
}

static void nothing_is_overwritten(void **state)
{
    struct fixture *const fixture = *state;
    struct err err = {0};
    put(fixture->store, "a", 0, 10);
    assert_ok(store_backup(fixture->folder.uri, fixture->copy.path, &err), &err);
    assert_err(store_backup(fixture->folder.uri, fixture->copy.path, &err), &err,
               ERR_CONFLICT, "is there already and is never overwritten");
    assert_err(store_restore(fixture->copy.path, fixture->folder.uri, &err), &err,
               ERR_CONFLICT, "in use by process");
    store_close(fixture->store);
    fixture->store = NULL;
    assert_err(store_restore(fixture->copy.path, fixture->folder.uri, &err), &err,
               ERR_CONFLICT, "is there already and is never overwritten");
    assert_err(store_restore(fixture->target.path, fixture->folder.uri, &err), &err,
               ERR_NOT_FOUND, "holds no database");
    fixture->store = folder_open(&fixture->folder);
    assert_int_equal(held(fixture->store, "a"), 10);
    struct stat status;
    char *const path = folder_file(&fixture->copy, "frwkvd.db");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    free(path);
}

/* The write-ahead log of a database that was moved away is none of a copy's. */
static void a_log_left_behind_is_not_replayed(void **state)
{
    struct fixture *const fixture = *state;
    struct err err = {0};
    put(fixture->store, "a", 0, 20000); /* lies in the log of another folder */
    char *const copy =
        mem_printf("cp %s/frwkvd.db-wal %s", fixture->folder.path, fixture->copy.path);
    assert_int_equal(system(copy), 0);
    free(copy);
    assert_err(store_backup(fixture->folder.uri, fixture->copy.path, &err), &err,
               ERR_CONFLICT, "frwkvd.db-wal: is there already and is never overwritten");
    folder_empty(&fixture->copy);
    err = (struct err){0};
    assert_ok(store_backup(fixture->folder.uri, fixture->copy.path, &err), &err);
    char *const wal = folder_file(&fixture->target, "frwkvd.db-wal");
    FILE *const file = fopen(wal, "w");
    assert_non_null(file);
    fclose(file);
    free(wal);
    assert_err(store_restore(fixture->copy.path, fixture->target.uri, &err), &err,
               ERR_CONFLICT, "frwkvd.db-wal: is there already");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_sound_store_has_no_findings), TEST(one_changed_byte_is_named),
        TEST(a_backup_under_load_restores),  TEST(a_killed_backup_is_whole_or_none),
        TEST(nothing_is_overwritten),        TEST(a_log_left_behind_is_not_replayed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
