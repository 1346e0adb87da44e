/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Full queues, full memory, full disks: said clearly, and over when they are over. */
#include "tests/check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "storage/sql.h"
#include "storage/store.h"
#include "tests/storage/folder.h"

struct fixture {
    struct folder folder;
    struct store *store;
};

static int setup(void **state)
{
    struct fixture *const fixture = mem_new(1, sizeof *fixture);
    folder_init(&fixture->folder);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *const fixture = *state;
    store_close(fixture->store);
    folder_fini(&fixture->folder);
    free(fixture);
    return 0;
}

static struct store_batch *batch_of(const char *name, int64_t first_ms, size_t count)
{
    struct store_batch *const batch = store_batch_new();
    const uint32_t series = store_batch_series(batch, name);
    for (size_t i = 0; i < count; i++)
        store_batch_add(batch, series, first_ms + (int64_t)i, (double)i);
    return batch;
}

static int append(struct store *store, const char *name, int64_t first_ms, size_t count,
                  struct err *err)
{
    struct store_counts counts;
    return store_append_wait(store, batch_of(name, first_ms, count), &counts, err);
}

static uint64_t samples_of(struct store *store, const char *name)
{
    struct store_series series;
    return store_series(store, name, &series, NULL) ? 0 : series.samples;
}

/* ---- the queue ------------------------------------------------------------------ */

/* A gate in front of the writer: its callback waits until it is opened. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool entered, open;
    size_t answered;
};

static void on_done_wait(void *ctx, const struct store_counts *counts,
                         const struct err *err)
{
    (void)counts;
    (void)err;
    struct gate *const gate = ctx;
    pthread_mutex_lock(&gate->mutex);
    gate->entered = true;
    gate->answered++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
}

static void gate_set(struct gate *gate, bool open)
{
    pthread_mutex_lock(&gate->mutex);
    gate->open = open;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

static void a_full_queue_is_busy(void **state)
{
    struct fixture *const fixture = *state;
    fixture->folder.options.queue_samples_max = 1000;
    struct store *const store = fixture->store = folder_open(&fixture->folder);
    struct gate gate = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER};
    struct err err = {0};
    assert_ok(store_append(store, batch_of("x", 0, 1), on_done_wait, &gate, &err), &err);
    pthread_mutex_lock(&gate.mutex);
    while (!gate.entered)
        pthread_cond_wait(&gate.changed, &gate.mutex);
    pthread_mutex_unlock(&gate.mutex);
    /* The writer is held up; tiny batches count for more than their samples. */
    size_t accepted = 0;
    while (store_append(store, batch_of("x", 100 + (int64_t)accepted, 1), on_done_wait,
                        &gate, &err) == 0)
        accepted++;
    gate_set(&gate, true);
    assert_int_equal(err.code, ERR_BUSY);
    assert_non_null(strstr(err.msg, "wait for the disk"));
    assert_in_range(accepted, 2, 200);
    pthread_mutex_lock(&gate.mutex);
    while (gate.answered < accepted + 1)
        pthread_cond_wait(&gate.changed, &gate.mutex);
    pthread_mutex_unlock(&gate.mutex);
    err = (struct err){0};
    assert_ok(append(store, "y", 0, 1000, &err), &err); /* an empty queue takes it */
    assert_int_equal(samples_of(store, "x"), accepted + 1);
    assert_err(append(store, "y", 0, 1001, &err), &err, ERR_TOO_LARGE,
               "batch: at most 1000 samples at once, got 1001");
}

static void a_full_head_is_busy(void **state)
{
    struct fixture *const fixture = *state;
    fixture->folder.options.head_samples_max = 400;
    fixture->folder.options.compact_samples = 0;
    struct store *const store = fixture->store = folder_open(&fixture->folder);
    struct err err = {0};
    assert_ok(store_ready(store, &err), &err);
    assert_err(append(store, "x", 0, 101, &err), &err, ERR_TOO_LARGE,
               "batch: at most 100 samples at once, got 101");
    err = (struct err){0};
    for (int64_t first = 0; first < 360; first += 90)
        assert_ok(append(store, "x", first, 90, &err), &err);
    assert_err(append(store, "x", 360, 60, &err), &err, ERR_BUSY,
               "memory for samples is full (360 of 400)");
    err = (struct err){0};
    assert_ok(append(store, "x", 360, 40, &err), &err);
    assert_int_equal(samples_of(store, "x"), 400);
    assert_err(store_ready(store, &err), &err, ERR_BUSY, "memory for samples is full");
}

/* So many series of so many steps in one batch; as a sender does that comes back after a
 * 503. */
static void append_all(struct store *store, size_t series, size_t first, size_t steps)
{
    struct err err = {.code = ERR_BUSY};
    for (int wait = 0; wait < 20000 && err.code == ERR_BUSY; wait++) {
        struct store_batch *const batch = store_batch_new();
        for (size_t s = 0; s < series; s++) {
            char name[32];
            snprintf(name, sizeof name, "series %zu", s);
            const uint32_t number = store_batch_series(batch, name);
            for (size_t i = first; i < first + steps; i++)
                store_batch_add(batch, number, (int64_t)i, (double)s);
        }
        struct store_counts counts;
        err = (struct err){0};
        if (store_append_wait(store, batch, &counts, &err))
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_ok(err.code == ERR_NONE ? 0 : -1, &err);
}

static void small_head(struct store_options *options)
{
    options->head_samples_max = 65536;
    options->chunk_samples = 64;
    options->compact_samples = 4096;
}

/* All of them nearly fill a chunk, and so the head, before one of them does. */
static void series_in_step_leave_the_head(void **state)
{
    enum { SERIES = 1020, STEPS = 150 };
    struct fixture *const fixture = *state;
    small_head(&fixture->folder.options);
    struct store *const store = fixture->store = folder_open(&fixture->folder);
    for (size_t step = 0; step < STEPS; step++)
        append_all(store, SERIES, step, 1);
    assert_int_equal(samples_of(store, "series 1019"), STEPS);
}

static void a_head_full_at_the_start_is_emptied(void **state)
{
    enum { SERIES = 64, STEPS = 256, BATCHES = 4 };
    struct fixture *const fixture = *state;
    small_head(&fixture->folder.options);
    fixture->folder.options.compact_samples = 0;
    fixture->store = folder_open(&fixture->folder);
    for (size_t b = 0; b < BATCHES; b++)
        append_all(fixture->store, SERIES, b * STEPS, STEPS);
    store_close(fixture->store);
    small_head(&fixture->folder.options);
    fixture->store = folder_open(&fixture->folder);
    append_all(fixture->store, SERIES, BATCHES * STEPS, 1);
    assert_int_equal(samples_of(fixture->store, "series 0"), BATCHES * STEPS + 1);
}

static void series_are_bounded(void **state)
{
    struct fixture *const fixture = *state;
    fixture->folder.options.series_max = 3;
    struct store *const store = fixture->store = folder_open(&fixture->folder);
    struct err err = {0};
    assert_ok(append(store, "a", 0, 1, &err), &err);
    assert_ok(append(store, "b", 0, 1, &err), &err);
    struct store_batch *const batch = batch_of("a", 10, 1);
    store_batch_add(batch, store_batch_series(batch, "c"), 10, 1.0);
    store_batch_add(batch, store_batch_series(batch, "d"), 10, 1.0);
    struct store_counts counts;
    assert_err(store_append_wait(store, batch, &counts, &err), &err, ERR_TOO_LARGE,
               "series: at most 3 (series_max), there are 2 and 2 are new");
    assert_int_equal(samples_of(store, "a"), 1); /* nothing of the batch */
    err = (struct err){0};
    assert_ok(append(store, "c", 0, 1, &err), &err);
    assert_err(append(store, "d", 0, 1, &err), &err, ERR_TOO_LARGE, "series");
    err = (struct err){0};
    assert_ok(append(store, "a", 10, 1, &err), &err);
    assert_int_equal(samples_of(store, "d"), 0);
}

/* ---- the disk ------------------------------------------------------------------- */

static void wait_until_ready(struct store *store)
{
    struct err err;
    for (int i = 0; i < 1000; i++) {
        err = (struct err){0};
        if (store_ready(store, &err) == 0)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail_msg("never ready again: %s", err.msg);
}

/* What failed is not there, now or later; what is sent again is. */
static void check_after_failure(struct fixture *fixture)
{
    struct err err = {0};
    struct store_names names;
    wait_until_ready(fixture->store);
    for (int reopened = 0; reopened < 2; reopened++) {
        assert_int_equal(samples_of(fixture->store, "before"), 10);
        assert_int_equal(samples_of(fixture->store, "during"), 0);
        assert_ok(store_select(fixture->store, NULL, 0, &names, &err), &err);
        assert_int_equal(names.count, 1);
        store_names_fini(&names);
        store_close(fixture->store);
        fixture->store = folder_open(&fixture->folder);
    }
    assert_ok(append(fixture->store, "after", 0, 5, &err), &err);
    assert_ok(append(fixture->store, "during", 0, 50000, &err), &err);
    assert_ok(append(fixture->store, "before", 0, 11, &err), &err);
    for (int reopened = 0; reopened < 2; reopened++) {
        assert_int_equal(samples_of(fixture->store, "before"), 11);
        assert_int_equal(samples_of(fixture->store, "during"), 50000);
        assert_int_equal(samples_of(fixture->store, "after"), 5);
        store_close(fixture->store);
        fixture->store = folder_open(&fixture->folder);
    }
}

/* SQLite's own full: the file may not grow by a page. */
static void a_full_disk_is_busy_and_loses_nothing(void **state)
{
    struct fixture *const fixture = *state;
    fixture->store = folder_open(&fixture->folder);
    struct err err = {0};
    assert_ok(append(fixture->store, "before", 0, 10, &err), &err);
    sqlite3_exec(fixture->store->db, "PRAGMA max_page_count = 1", NULL, NULL, NULL);
    assert_err(append(fixture->store, "during", 0, 50000, &err), &err, ERR_BUSY,
               "disk: full");
    assert_int_equal(samples_of(fixture->store, "during"), 0);
    int64_t revision;
    bool created;
    char *const body = mem_new(100000, 1);
    memset(body, 'x', 99999);
    assert_err(
        store_forecaster_put(fixture->store, "f", body, "{}", &revision, &created, &err),
        &err, ERR_BUSY, "disk: full");
    free(body);
    assert_err(store_ready(fixture->store, &err), &err, ERR_BUSY, "disk: full");
    /* Who looks for a job each second, and finds none, does not make it ready. */
    struct store_job job = {0};
    bool found;
    err = (struct err){0};
    assert_ok(store_job_claim(fixture->store, "me", NULL, 1000, &job, &found, &err),
              &err);
    assert_false(found);
    assert_err(store_ready(fixture->store, &err), &err, ERR_BUSY, "disk: full");
    sqlite3_exec(fixture->store->db, "PRAGMA max_page_count = 1000000", NULL, NULL, NULL);
    check_after_failure(fixture);
}

static void find_figure(void *ctx, const char *name, double value)
{
    double *const figures = ctx; /* commits, failures, durations */
    static const char *const names[] = {"frwkvd_storage_commits_total",
                                        "frwkvd_storage_commit_failures_total",
                                        "frwkvd_storage_commit_duration_seconds_count"};
    for (size_t i = 0; i < 3; i++)
        if (!strcmp(name, names[i]))
            figures[i] = value;
}

static void a_failed_commit_counts_its_time(void **state)
{
    struct fixture *const fixture = *state;
    fixture->store = folder_open(&fixture->folder);
    struct err err = {0};
    double before[3] = {0}, after[3] = {0};
    assert_ok(append(fixture->store, "before", 0, 10, &err), &err);
    store_figures(fixture->store, find_figure, before);
    assert_true(before[0] > 0 && before[1] == 0 && before[2] == before[0]);
    sqlite3_exec(fixture->store->db, "PRAGMA max_page_count = 1", NULL, NULL, NULL);
    assert_err(append(fixture->store, "during", 0, 50000, &err), &err, ERR_BUSY,
               "disk: full");
    store_figures(fixture->store, find_figure, after);
    assert_true(after[1] > 0 && after[2] == after[0] + after[1]);
}

/* What the store tells, in order. */
struct told {
    pthread_mutex_t mutex;
    size_t count;
    enum store_work work[8];
    struct err why[8];
};

static void note_told(void *ctx, enum store_work work, const struct err *why)
{
    struct told *const told = ctx;
    pthread_mutex_lock(&told->mutex);
    assert_true(told->count < 8);
    told->work[told->count] = work;
    told->why[told->count++] = why ? *why : (struct err){0};
    pthread_mutex_unlock(&told->mutex);
}

/* The n-th thing told, once it is; nothing came after it. */
static struct err told_last(struct told *told, size_t n, enum store_work work)
{
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&told->mutex);
        const size_t count = told->count;
        pthread_mutex_unlock(&told->mutex);
        if (count >= n)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    pthread_mutex_lock(&told->mutex);
    assert_int_equal(told->count, n);
    assert_int_equal(told->work[n - 1], work);
    const struct err why = told->why[n - 1];
    pthread_mutex_unlock(&told->mutex);
    return why;
}

static void run(const struct fixture *fixture, const char *sql)
{
    struct err err = {0};
    sqlite3 *const db = store_connect(fixture->folder.uri, &err);
    assert_non_null(db);
    assert_ok(sql_exec(db, sql, &err), &err);
    sqlite3_close(db);
}

static void what_fails_is_told_once(void **state)
{
    struct fixture *const fixture = *state;
    struct told told = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    fixture->folder.options.tell = note_told;
    fixture->folder.options.tell_ctx = &told;
    fixture->folder.options.compact_samples = 0;
    struct store *const store = fixture->store = folder_open(&fixture->folder);
    struct err err = {0};
    assert_ok(append(store, "before", 0, 5000, &err), &err);
    /* Who sends is refused. */
    sqlite3_exec(store->db, "PRAGMA max_page_count = 1", NULL, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        err = (struct err){0};
        assert_err(append(store, "during", 0, 50000, &err), &err, ERR_BUSY, "disk: full");
    }
    err = told_last(&told, 1, STORE_COMMITS);
    assert_non_null(strstr(err.msg, "disk: full"));
    sqlite3_exec(store->db, "PRAGMA max_page_count = 1000000", NULL, NULL, NULL);
    assert_int_equal(told_last(&told, 2, STORE_COMMITS).code, ERR_NONE);
    /* Nobody sees these but the operator; what is sent is taken all the while. */
    run(fixture, "CREATE TRIGGER stuck BEFORE DELETE ON log BEGIN "
                 "SELECT RAISE(FAIL, 'not the log'); END;"
                 "CREATE TRIGGER stuck_too BEFORE DELETE ON jobs BEGIN "
                 "SELECT RAISE(FAIL, 'no jobs'); END;"
                 "INSERT INTO jobs(kind, forecaster, state, created_ms, finished_ms) "
                 "VALUES('train', 'f', 'done', 1, 1)");
    for (int i = 0; i < 3; i++) {
        err = (struct err){0};
        assert_err(store_compact(store, &err), &err, ERR_IO, "not the log");
        assert_ok(store_ready(store, &(struct err){0}), &err);
    }
    err = told_last(&told, 3, STORE_COMPACTION);
    assert_non_null(strstr(err.msg, "not the log"));
    for (int i = 0; i < 3; i++) {
        err = (struct err){0};
        assert_err(store_retain(store, &err), &err, ERR_IO, "no jobs");
    }
    err = told_last(&told, 4, STORE_RETENTION);
    assert_non_null(strstr(err.msg, "no jobs"));
    run(fixture, "DROP TRIGGER stuck; DROP TRIGGER stuck_too");
    err = (struct err){0};
    assert_ok(store_compact(store, &err), &err);
    assert_int_equal(told_last(&told, 5, STORE_COMPACTION).code, ERR_NONE);
    assert_ok(store_retain(store, &err), &err);
    assert_int_equal(told_last(&told, 6, STORE_RETENTION).code, ERR_NONE);
    store_close(store);
    fixture->store = NULL;
    assert_int_equal(told_last(&told, 6, STORE_RETENTION).code, ERR_NONE);
}

/* The system's: writes past a size fail, whatever the file. */
static void a_failing_write_loses_nothing(void **state)
{
    struct fixture *const fixture = *state;
    fixture->store = folder_open(&fixture->folder);
    struct err err = {0};
    assert_ok(append(fixture->store, "before", 0, 10, &err), &err);
    struct rlimit normal;
    getrlimit(RLIMIT_FSIZE, &normal);
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit tight = {.rlim_cur = 250000, .rlim_max = normal.rlim_max};
    setrlimit(RLIMIT_FSIZE, &tight);
    assert_err(append(fixture->store, "during", 0, 50000, &err), &err, ERR_IO,
               "database: ");
    assert_int_equal(samples_of(fixture->store, "during"), 0);
    setrlimit(RLIMIT_FSIZE, &normal);
    check_after_failure(fixture);
}

/* ---- a long reader ---------------------------------------------------------------- */

static off_t size_of(const struct folder *folder, const char *name)
{
    struct stat status;
    char *const path = folder_file(folder, name);
    const off_t size = stat(path, &status) == 0 ? status.st_size : 0;
    free(path);
    return size;
}

/* It sees its moment all the while, the log stays within its bound, what comes then is
 * answered with busy, and when it has gone all goes on and the log shrinks. */
static void a_long_reader_cannot_fill_the_disk(void **state)
{
    enum { MB = 1 << 20, GROUP = 50000 };
    struct fixture *const fixture = *state;
    fixture->folder.options.wal_bytes_max = 68 * MB;
    fixture->folder.options.head_samples_max = 100000000;
    fixture->folder.options.compact_samples = 0;
    fixture->store = folder_open(&fixture->folder);
    struct err err = {0};
    assert_ok(append(fixture->store, "x", 0, 10, &err), &err);
    sqlite3 *const reader = store_reader_take(fixture->store, &err);
    assert_ok(sql_exec(reader, "BEGIN", &err), &err);
    int64_t before, after;
    assert_ok(sql_value(reader, &err, &before, "SELECT count(*) FROM log", ""), &err);
    int64_t next = 10;
    while (append(fixture->store, "x", next, GROUP, &err) == 0)
        next += GROUP;
    assert_int_equal(err.code, ERR_BUSY);
    assert_non_null(strstr(err.msg, "long read"));
    assert_err(store_ready(fixture->store, &err), &err, ERR_BUSY, "long read");
    assert_in_range(size_of(&fixture->folder, "frwkvd.db-wal"), 67 * MB, 76 * MB);
    assert_int_equal(samples_of(fixture->store, "x"), next);
    assert_ok(sql_value(reader, &err, &after, "SELECT count(*) FROM log", ""), &err);
    assert_int_equal(before, after);
    assert_ok(sql_exec(reader, "ROLLBACK", &err), &err);
    wait_until_ready(fixture->store);
    err = (struct err){0};
    for (int i = 0; i < 3; i++, next += GROUP)
        assert_ok(append(fixture->store, "x", next, GROUP, &err), &err);
    assert_in_range(size_of(&fixture->folder, "frwkvd.db-wal"), 1, 70 * MB);
    store_reader_give(fixture->store, reader);
    store_close(fixture->store);
    fixture->store = folder_open(&fixture->folder);
    assert_int_equal(samples_of(fixture->store, "x"), next);
}

static void *compact_on(void *store)
{
    struct err err = {0};
    if (store_compact(store, &err))
        print_error("%s\n", err.msg);
    return err.code == ERR_NONE ? store : NULL;
}

/* A pass that waits for the reader goes on after it, though nothing comes. */
static void a_long_reader_does_not_stop_the_compactor(void **state)
{
    enum { MB = 1 << 20, GROUP = 50000 };
    struct fixture *const fixture = *state;
    fixture->folder.options.wal_bytes_max = 16 * MB;
    fixture->folder.options.head_samples_max = 100000000;
    fixture->folder.options.compact_samples = 0;
    struct store *const store = fixture->store = folder_open(&fixture->folder);
    struct err err = {0};
    assert_ok(append(store, "x", 0, 10, &err), &err);
    sqlite3 *const reader = store_reader_take(store, &err);
    int64_t rows;
    assert_ok(sql_exec(reader, "BEGIN", &err), &err);
    assert_ok(sql_value(reader, &err, &rows, "SELECT count(*) FROM log", ""), &err);
    for (int64_t i = 0; atomic_load(&store->writer.wal_bytes) <= 8 * MB; i++)
        assert_ok(append(store, "x", 10 + i * GROUP, GROUP, &err), &err);
    const uint64_t commits = atomic_load(&store->writer.commits);
    pthread_t thread;
    pthread_create(&thread, NULL, compact_on, store);
    while (atomic_load(&store->writer.commits) == commits)
        sched_yield(); /* it has begun */
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    assert_true(atomic_load(&store->head.samples) > GROUP);
    assert_ok(sql_exec(reader, "ROLLBACK", &err), &err);
    alarm(20); /* it would never come back */
    void *fine;
    pthread_join(thread, &fine);
    alarm(0);
    assert_ptr_equal(fine, store);
    assert_true(atomic_load(&store->head.samples) < 2048);
    store_reader_give(store, reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_queue_is_busy, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_head_is_busy, setup, teardown),
        cmocka_unit_test_setup_teardown(series_in_step_leave_the_head, setup, teardown),
        cmocka_unit_test_setup_teardown(a_head_full_at_the_start_is_emptied, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(series_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_busy_and_loses_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_failed_commit_counts_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failing_write_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_fails_is_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_reader_cannot_fill_the_disk, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_long_reader_does_not_stop_the_compactor, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
