/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What compaction leaves on disk and in memory, and what damage and old files do. */
#include "tests/check.h"

#include <zlib.h>

#include "storage/read.h"
#include "storage/sql.h"
#include "storage/store.h"
#include "tests/storage/folder.h"

enum { CHUNK = 16, STEP_MS = 1000 };

struct fixture {
    struct folder folder;
    struct store *store;
};

static int setup(void **state)
{
    struct fixture *const fixture = mem_new(1, sizeof *fixture);
    folder_init(&fixture->folder);
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
    free(fixture);
    return 0;
}

static void reopen(struct fixture *fixture)
{
    store_close(fixture->store);
    fixture->store = folder_open(&fixture->folder);
}

static double value_at(size_t i)
{
    return (double)(i * 37 % 101) / 4.0;
}

/* Samples number from..to-1 of a series. */
static struct store_counts put(struct store *store, const char *name, size_t from,
                               size_t to)
{
    struct err err = {0};
    struct store_counts counts = {0};
    struct store_batch *const batch = store_batch_new();
    const uint32_t series = store_batch_series(batch, name);
    for (size_t i = from; i < to; i++)
        store_batch_add(batch, series, (int64_t)i * STEP_MS, value_at(i));
    assert_ok(store_append_wait(store, batch, &counts, &err), &err);
    return counts;
}

static void compact(struct store *store)
{
    struct err err = {0};
    assert_ok(store_compact(store, &err), &err);
}

/* The series has samples 0..count-1 and no other. */
static void assert_holds(struct store *store, const char *name, size_t want)
{
    struct err err = {0};
    struct sample *samples;
    size_t count;
    assert_ok(store_read(store, name, INT64_MIN, INT64_MAX, AS_OF_NOW, 0, &samples,
                         &count, &err),
              &err);
    assert_int_equal(count, want);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(samples[i].time_ms, (int64_t)i * STEP_MS);
        assert_true(samples[i].value == value_at(i));
    }
    free(samples);
}

/* Runs SQL beside the store and returns the first column of the first row. */
static int64_t ask(const struct fixture *fixture, const char *sql)
{
    char *const path = folder_file(&fixture->folder, "frwkvd.db");
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    const int64_t value =
        sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
    sqlite3_close(db);
    free(path);
    return value;
}

/* ---- where samples go ------------------------------------------------------------ */

static void whole_chunks_leave_the_head(void **state)
{
    struct fixture *const fixture = *state;
    put(fixture->store, "a", 0, 5 * CHUNK + 3);
    put(fixture->store, "b", 0, CHUNK - 1);
    for (int pass = 0; pass < 3; pass++) {
        compact(fixture->store);
        assert_int_equal(atomic_load(&fixture->store->head.samples), 3 + CHUNK - 1);
        assert_int_equal(ask(fixture, "SELECT count(*) FROM log"), 1);
        assert_int_equal(ask(fixture, "SELECT count(*) FROM chunks"), 5);
        assert_int_equal(ask(fixture, "SELECT sum(samples) FROM chunks"), 5 * CHUNK);
        assert_holds(fixture->store, "a", 5 * CHUNK + 3);
        assert_holds(fixture->store, "b", CHUNK - 1);
        reopen(fixture);
    }
    put(fixture->store, "a", 5 * CHUNK + 3, 6 * CHUNK);
    put(fixture->store, "b", CHUNK - 1, CHUNK);
    compact(fixture->store);
    assert_int_equal(atomic_load(&fixture->store->head.samples), 0);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM log"), 0);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM chunk_data"), 7);
    reopen(fixture);
    assert_holds(fixture->store, "a", 6 * CHUNK);
    struct err err = {0};
    struct store_series series;
    assert_ok(store_series(fixture->store, "b", &series, &err), &err);
    assert_int_equal(series.samples, CHUNK);
    assert_int_equal(series.last_ms, (CHUNK - 1) * STEP_MS);
    assert_true(series.last_value == value_at(CHUNK - 1));
}

/* The second series moves to chunks after the reader has begun with those of the first. */
static void a_reader_sees_what_moves_meanwhile(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    put(store, "a", 0, CHUNK);
    compact(store);
    put(store, "b", 0, CHUNK);
    const uint32_t ids[] = {index_find(&store->index, "a"),
                            index_find(&store->index, "b")};
    const struct read_wish wish = {ids, 2, INT64_MIN, INT64_MAX, AS_OF_NOW, 0};
    struct err err = {0};
    struct reader reader;
    const struct sample *samples;
    size_t count;
    assert_ok(reader_begin(&reader, store, &wish, &err), &err);
    assert_ok(reader_read(&reader, 0, &samples, &count, &err), &err);
    assert_int_equal(count, CHUNK);
    compact(store);
    assert_int_equal(atomic_load(&store->head.samples), 0);
    assert_ok(reader_read(&reader, 1, &samples, &count, &err), &err);
    assert_int_equal(count, CHUNK);
    for (size_t i = 0; i < count; i++)
        assert_true(samples[i].value == value_at(i));
    reader_end(&reader);
}

/* From the newest to the oldest, and then all of it once more. */
static void late_samples_find_their_chunks(void **state)
{
    struct fixture *const fixture = *state;
    for (size_t block = 10; block-- > 0;) {
        put(fixture->store, "a", block * CHUNK / 2, (block + 1) * CHUNK / 2);
        compact(fixture->store);
    }
    assert_holds(fixture->store, "a", 5 * CHUNK);
    const struct store_counts counts = put(fixture->store, "a", 0, 5 * CHUNK);
    assert_int_equal(counts.duplicate, 5 * CHUNK);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM chunks a JOIN chunks b ON "
                                  "a.series = b.series AND a.first_ms < b.first_ms AND "
                                  "a.last_ms >= b.first_ms"),
                     0);
    assert_holds(fixture->store, "a", 5 * CHUNK);
}

/* A sample into each of very many chunks: no transaction writes all of them. */
static void late_samples_hold_nobody_up(void **state)
{
    enum { SERIES = 150, CHUNKS = 64, MOST = 4096 + CHUNKS };
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    for (size_t late = 0; late < 2; late++)
        for (size_t s = 0; s < SERIES; s++) {
            char name[16];
            snprintf(name, sizeof name, "s%zu", s);
            struct err err = {0};
            struct store_counts counts;
            struct store_batch *const batch = store_batch_new();
            const uint32_t series = store_batch_series(batch, name);
            for (size_t i = 0; i < CHUNKS * (late ? 1 : CHUNK); i++)
                store_batch_add(batch, series,
                                (int64_t)(i * (late ? CHUNK : 1)) * STEP_MS +
                                    (int64_t)late,
                                value_at(i));
            store_batch_history(batch);
            assert_ok(store_append_wait(store, batch, &counts, &err), &err);
            if (late == 0 && s == SERIES - 1)
                compact(store);
        }
    const uint64_t commits = atomic_load(&store->writer.commits);
    const uint64_t chunks = atomic_load(&store->compactor.chunks);
    compact(store);
    const uint64_t written = atomic_load(&store->compactor.chunks) - chunks;
    assert_int_equal(written, SERIES * CHUNKS);
    /* One begins, one trims, one shrinks. */
    assert_true((atomic_load(&store->writer.commits) - commits - 3) * MOST >= written);
}

/* So many series that none would ever fill a chunk within the bound of the head. */
static void a_crowd_is_compacted_early(void **state)
{
    struct fixture *const fixture = *state;
    fixture->folder.options.chunk_samples = 1024;
    fixture->folder.options.head_samples_max = 4000;
    fixture->folder.options.compact_samples = 1000;
    reopen(fixture);
    for (size_t step = 0; step < 200; step++)
        for (size_t s = 0; s < 100; s += 50) {
            struct store_batch *const batch = store_batch_new();
            for (size_t k = s; k < s + 50; k++) {
                char name[16];
                snprintf(name, sizeof name, "s%zu", k);
                store_batch_add(batch, store_batch_series(batch, name),
                                (int64_t)step * STEP_MS, value_at(step));
            }
            struct err err = {0};
            struct store_counts counts;
            /* A full head empties itself. */
            assert_ok(store_append_wait(fixture->store, batch, &counts, &err), &err);
            if (atomic_load(&fixture->store->head.samples) > 3000)
                compact(fixture->store);
        }
    for (int reopened = 0; reopened < 2; reopened++) {
        assert_holds(fixture->store, "s0", 200);
        assert_holds(fixture->store, "s99", 200);
        reopen(fixture);
    }
    assert_true(ask(fixture, "SELECT count(*) FROM chunks") < 400);
}

/* ---- reading ---------------------------------------------------------------------- */

static void ranges_and_limits_span_both(void **state)
{
    struct fixture *const fixture = *state;
    struct err err = {0};
    put(fixture->store, "a", 0, 3 * CHUNK + 5);
    compact(fixture->store);
    for (size_t from = 0; from <= 3 * CHUNK + 6; from++)
        for (size_t to = from; to <= 3 * CHUNK + 6; to += 7)
            for (size_t limit = 0; limit < 40; limit += 13) {
                struct sample *samples;
                size_t count;
                assert_ok(store_read(fixture->store, "a", (int64_t)from * STEP_MS - 1,
                                     (int64_t)to * STEP_MS, AS_OF_NOW, limit, &samples,
                                     &count, &err),
                          &err);
                const size_t end = to < 3 * CHUNK + 5 ? to : 3 * CHUNK + 5;
                const size_t all = end > from ? end - from : 0;
                assert_int_equal(count, limit > 0 && limit < all ? limit : all);
                for (size_t i = 0; i < count; i++)
                    assert_true(samples[i].value == value_at(from + i));
                free(samples);
            }
}

/* ---- damage ----------------------------------------------------------------------- */

static void a_damaged_chunk_is_never_served(void **state)
{
    struct fixture *const fixture = *state;
    put(fixture->store, "a", 0, 3 * CHUNK);
    put(fixture->store, "b", 0, CHUNK);
    compact(fixture->store);
    ask(fixture, "UPDATE chunk_data SET bytes = CAST(substr(bytes, 1, 40) || x'ff00' || "
                 "substr(bytes, 43) AS BLOB) WHERE id = (SELECT data FROM chunks WHERE "
                 "series = 1 AND first_ms = 16000)");
    for (int reopened = 0; reopened < 2; reopened++) {
        struct err err = {0};
        struct sample *samples;
        size_t count;
        assert_err(store_read(fixture->store, "a", INT64_MIN, INT64_MAX, AS_OF_NOW, 0,
                              &samples, &count, &err),
                   &err, ERR_CORRUPT, "chunk of series 1 at 16000 is damaged");
        err = (struct err){0};
        assert_ok(store_read(fixture->store, "a", 0, 16000, AS_OF_NOW, 0, &samples,
                             &count, &err),
                  &err);
        assert_int_equal(count, CHUNK);
        free(samples);
        assert_holds(fixture->store, "b", CHUNK);
        /* Sent again it is stored again, and stays in the log. */
        assert_int_equal(atomic_load(&fixture->store->head.samples), reopened * CHUNK);
        put(fixture->store, "a", CHUNK, 2 * CHUNK);
        put(fixture->store, "a", 3 * CHUNK, 4 * CHUNK);
        compact(fixture->store);
        reopen(fixture);
    }
    /* What came after it is in a chunk. */
    assert_int_equal(ask(fixture, "SELECT count(*) FROM chunks WHERE series = 1"), 4);
    ask(fixture, "DELETE FROM chunks WHERE series = 1 AND first_ms = 16000");
    reopen(fixture);
    assert_holds(fixture->store, "a", 4 * CHUNK);
}

/* The newest chunk, a beginning, is damaged: what comes goes around it for years. */
static void a_damaged_chunk_does_not_fill_the_head(void **state)
{
    enum { PART = CHUNK - 1, BATCH = 5, BATCHES = 100 };
    struct fixture *const fixture = *state;
    fixture->folder.options.head_samples_max = 2 * PART; /* nothing is left to stay */
    reopen(fixture);
    for (size_t i = BATCH; i < BATCH + PART; i += BATCH)
        put(fixture->store, "a", i, i + BATCH);
    compact(fixture->store);
    assert_int_equal(ask(fixture, "SELECT samples FROM chunks"), PART);
    ask(fixture, "UPDATE chunk_data SET bytes = CAST(substr(bytes, 1, 40) || x'ff00' || "
                 "substr(bytes, 43) AS BLOB)");
    /* Before it, and into it once more. */
    put(fixture->store, "a", 0, BATCH);
    put(fixture->store, "a", BATCH, BATCH + 1);
    for (size_t i = BATCH + PART; i < (size_t)BATCH * BATCHES; i += BATCH) {
        put(fixture->store, "a", i, i + BATCH);
        if (atomic_load(&fixture->store->head.samples) > PART)
            compact(fixture->store);
    }
    for (int i = 0; i < 2; i++)
        compact(fixture->store);
    assert_in_range(atomic_load(&fixture->store->head.samples), 1, PART);
    assert_in_range(ask(fixture, "SELECT count(*) FROM chunks"),
                    BATCH * BATCHES / CHUNK / 2, BATCH * BATCHES / CHUNK * 2);
    ask(fixture, "DELETE FROM chunks WHERE first_ms = 5000");
    for (int reopened = 0; reopened < 2; reopened++) {
        reopen(fixture);
        struct err err = {0};
        struct sample *samples;
        size_t count, at = 0;
        assert_ok(store_read(fixture->store, "a", INT64_MIN, INT64_MAX, AS_OF_NOW, 0,
                             &samples, &count, &err),
                  &err);
        assert_int_equal(count, BATCH * BATCHES - PART + 1);
        for (size_t i = 0; i < (size_t)BATCH * BATCHES; i++)
            if (i <= BATCH || i >= BATCH + PART) {
                assert_int_equal(samples[at].time_ms, (int64_t)i * STEP_MS);
                assert_true(samples[at++].value == value_at(i));
            }
        free(samples);
        compact(fixture->store);
    }
}

static void a_damaged_row_is_refused(void **state)
{
    struct fixture *const fixture = *state;
    static const char *const DAMAGE[] = {
        "UPDATE chunks SET last_bits = last_bits + 1",
        "UPDATE chunks SET samples = samples + 1",
        "UPDATE chunks SET last_ms = last_ms - 1",
    };
    put(fixture->store, "a", 0, CHUNK);
    compact(fixture->store);
    store_close(fixture->store);
    fixture->store = NULL;
    for (size_t i = 0; i < sizeof DAMAGE / sizeof *DAMAGE; i++) {
        ask(fixture, "CREATE TABLE kept AS SELECT * FROM chunks");
        ask(fixture, DAMAGE[i]);
        struct err err = {0};
        assert_null(store_open(fixture->folder.uri, &fixture->folder.options, &err));
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_non_null(strstr(err.msg, "its row is damaged; restore the state folder"));
        ask(fixture, "DELETE FROM chunks");
        ask(fixture, "INSERT INTO chunks SELECT * FROM kept");
        ask(fixture, "DROP TABLE kept");
    }
    fixture->store = folder_open(&fixture->folder);
    assert_holds(fixture->store, "a", CHUNK);
}

/* A pass that the disk refuses changes nothing, and the next one goes through. */
static void a_full_disk_stops_a_pass(void **state)
{
    struct fixture *const fixture = *state;
    put(fixture->store, "a", 0, 100 * CHUNK + 1);
    sqlite3_exec(fixture->store->db, "PRAGMA max_page_count = 1", NULL, NULL, NULL);
    struct err err = {0};
    assert_err(store_compact(fixture->store, &err), &err, ERR_BUSY, "disk: full");
    assert_int_equal(atomic_load(&fixture->store->head.samples), 100 * CHUNK + 1);
    assert_holds(fixture->store, "a", 100 * CHUNK + 1);
    sqlite3_exec(fixture->store->db, "PRAGMA max_page_count = 1000000", NULL, NULL, NULL);
    compact(fixture->store);
    assert_int_equal(atomic_load(&fixture->store->head.samples), 1);
    for (int reopened = 0; reopened < 2; reopened++) {
        assert_holds(fixture->store, "a", 100 * CHUNK + 1);
        reopen(fixture);
    }
}

/* ---- files of past versions -------------------------------------------------------- */

static void unpack(const char *from, const char *to)
{
    const gzFile file = gzopen(from, "rb");
    assert_non_null(file);
    FILE *const out = fopen(to, "wb");
    char bytes[8192];
    int len;
    while ((len = gzread(file, bytes, sizeof bytes)) > 0)
        assert_int_equal(fwrite(bytes, 1, (size_t)len, out), len);
    assert_int_equal(gzclose(file), Z_OK);
    assert_int_equal(fclose(out), 0);
}

static void ignore(void *ctx, const char *what)
{
    (void)ctx;
    (void)what;
}

/*
 * Version 1, as the last program of that version left it: three series of 100 samples an
 * hour at each of three arrivals, the first as history; one replaced and one late
 * sample; a forecaster with a model, three issues of one series, two jobs.
 */
static void assert_is_the_fixture(struct store *store)
{
    static const int64_t START = 1700000000000, HOUR = 3600000;
    static const char *const NAME[] = {"cpu{host=\"a\"}", "cpu{host=\"b\"}",
                                       "cpu{host=\"c\"}"};
    struct err err = {0};
    struct sample *samples;
    size_t count;
    for (size_t k = 0; k < 3; k++) {
        assert_ok(store_read(store, NAME[k], INT64_MIN, INT64_MAX, AS_OF_NOW, 0, &samples,
                             &count, &err),
                  &err);
        assert_int_equal(count, k ? 300 : 301);
        size_t extra = 0;
        for (size_t i = 0; i < 300; i++) {
            const struct sample *const sample = &samples[i + extra];
            assert_int_equal(sample->time_ms, START + ((int64_t)i - 99) * HOUR);
            assert_true(sample->value ==
                        (k == 0 && i == 99 ? -1.5 : (double)i * 0.25 + (double)k));
            if (k == 0 && i == 99) {
                extra = 1;
                assert_int_equal(samples[100].time_ms, START + HOUR / 2);
                assert_true(signbit(samples[100].value));
            }
        }
        free(samples);
    }
    assert_ok(store_read(store, NAME[0], START, START + HOUR, START + 200 * HOUR, 0,
                         &samples, &count, &err),
              &err);
    assert_int_equal(count, 1);
    assert_true(samples[0].value == 99 * 0.25);
    free(samples);
    struct store_forecaster forecaster;
    assert_ok(store_forecaster_get(store, "load", &forecaster, &err), &err);
    assert_string_equal(forecaster.body, "{\"series\":\"cpu\"}");
    store_forecaster_fini(&forecaster);
    struct store_model model;
    assert_ok(store_model_serving(store, "load", &model, &err), &err);
    assert_memory_equal(model.bytes, "model bytes", 11);
    store_model_fini(&model);
    struct store_issued *issued;
    assert_ok(store_issue_newest(store, "load", INT64_MAX, &issued, &count, &err), &err);
    assert_int_equal(count, 1);
    assert_true(issued->values[5] == 6.0F);
    store_issued_fini(issued, count);
    struct store_job *jobs;
    assert_ok(store_jobs(store, NULL, 10, &jobs, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_string_equal(jobs[0].state, "queued");
    for (size_t i = 0; i < count; i++)
        store_job_fini(&jobs[i]);
    free(jobs);
}

/* The later ones are the first, opened and compacted by the last program of each, with a
 * schedule from 3 on, a covariate from 4 on and a state in 6. */
static void files_of_past_versions_open(void **state)
{
    struct fixture *const fixture = *state;
    for (int version = 1; version < SCHEMA_VERSION; version++) {
        store_close(fixture->store);
        folder_empty(&fixture->folder);
        char *const path = folder_file(&fixture->folder, "frwkvd.db");
        char *const from = mem_printf("tests/storage/fixtures/version-%d.db.gz", version);
        unpack(from, path);
        free(from);
        free(path);
        assert_int_equal(ask(fixture, "PRAGMA user_version"), version);
        fixture->store = folder_open(&fixture->folder);
        assert_int_equal(ask(fixture, "PRAGMA user_version"), SCHEMA_VERSION);
        for (int round = 0; round < 3; round++) {
            assert_is_the_fixture(fixture->store);
            compact(fixture->store);
            assert_is_the_fixture(fixture->store);
            reopen(fixture);
        }
        assert_true(ask(fixture, "SELECT count(*) FROM chunks") > 0);
        assert_int_equal(ask(fixture, "SELECT count(*) FROM schedules"), version >= 3);
        assert_int_equal(ask(fixture, "SELECT count(*) FROM covariates"), version >= 4);
        assert_int_equal(ask(fixture, "SELECT count(*) FROM states"), version >= 6);
        struct err err = {0};
        struct store_verified verified;
        assert_ok(store_verify(fixture->folder.uri, ignore, NULL, &verified, &err), &err);
        assert_int_equal(verified.findings, 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(whole_chunks_leave_the_head),
        TEST(a_reader_sees_what_moves_meanwhile),
        TEST(late_samples_find_their_chunks),
        TEST(a_crowd_is_compacted_early),
        TEST(ranges_and_limits_span_both),
        TEST(a_damaged_chunk_is_never_served),
        TEST(a_damaged_row_is_refused),
        TEST(a_full_disk_stops_a_pass),
        TEST(files_of_past_versions_open),
        TEST(late_samples_hold_nobody_up),
        TEST(a_damaged_chunk_does_not_fill_the_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
