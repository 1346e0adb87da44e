/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A disk that does not give some bytes back: one series suffers, the others go on. */
#include "tests/check.h"

#include "base/rng.h"
#include "storage/sql.h"
#include "storage/store.h"
#include "tests/storage/folder.h"
#include "tests/storage/shim.h"

enum { CHUNK = 2048, STEP_MS = 1000, CHUNK_MS = CHUNK * STEP_MS, LATE = 6 };

/* How often the store told of what, and the last reason. */
struct told {
    pthread_mutex_t mutex;
    size_t fails[STORE_READS + 1], over[STORE_READS + 1];
    struct err why;
};

struct fixture {
    struct folder folder;
    struct told told;
    struct store *store;
};

static void note_told(void *ctx, enum store_work work, const struct err *why)
{
    struct told *const told = ctx;
    pthread_mutex_lock(&told->mutex);
    told->fails[work] += why != NULL;
    told->over[work] += why == NULL;
    if (why)
        told->why = *why;
    pthread_mutex_unlock(&told->mutex);
}

static size_t told_of(struct told *told, const size_t *count)
{
    pthread_mutex_lock(&told->mutex);
    const size_t value = *count;
    pthread_mutex_unlock(&told->mutex);
    return value;
}

static int setup(void **state)
{
    struct fixture *const fixture = mem_new(1, sizeof *fixture);
    pthread_mutex_init(&fixture->told.mutex, NULL);
    folder_init(&fixture->folder);
    fixture->folder.options.chunk_samples = CHUNK;
    fixture->folder.options.compact_samples = 0;
    fixture->folder.options.retention = (struct store_retention){0};
    fixture->folder.options.tell = note_told;
    fixture->folder.options.tell_ctx = &fixture->told;
    fixture->store = folder_open(&fixture->folder);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *const fixture = *state;
    shim_spoil(0, 0);
    atomic_store(&shim.read_only, false);
    store_close(fixture->store);
    folder_fini(&fixture->folder);
    pthread_mutex_destroy(&fixture->told.mutex);
    free(fixture);
    return 0;
}

/* What zstd cannot make small: a chunk is larger than a page, and ends in one of its own;
 * or it is smaller, and has neighbours there. */
static bool chunks_are_small;

static double value_at(size_t i)
{
    const struct rng_block random = rng_at((struct rng_stream){.seed = 3}, i);
    const uint64_t word = random.word[0];
    return chunks_are_small ? (double)(word >> 20)
                            : (double)(word << 21 ^ random.word[1]) / 8192;
}

static void put(struct store *store, const char *name, size_t from, size_t to, double add)
{
    struct err err = {0};
    struct store_counts counts;
    struct store_batch *const batch = store_batch_new();
    const uint32_t series = store_batch_series(batch, name);
    for (size_t i = from; i < to; i++)
        store_batch_add(batch, series, (int64_t)i * STEP_MS, value_at(i) + add);
    assert_ok(store_append_wait(store, batch, &counts, &err), &err);
}

/* How many samples a series has there; so many of them came late, with another value. */
static size_t count_in(struct store *store, const char *name, int64_t from_ms,
                       int64_t to_ms, size_t late)
{
    struct err err = {0};
    size_t added = 0;
    struct sample *samples;
    size_t count;
    assert_ok(
        store_read(store, name, from_ms, to_ms, AS_OF_NOW, 0, &samples, &count, &err),
        &err);
    for (size_t k = 0; k < count; k++) {
        const size_t i = (size_t)(samples[k].time_ms / STEP_MS);
        const double add = samples[k].value - value_at(i);
        assert_true(add == 0 || (add == 1 && i < 3 * CHUNK && i % CHUNK < LATE));
        added += add > 0;
    }
    assert_int_equal(added, late);
    free(samples);
    return count;
}

static void compact(struct store *store)
{
    struct err err = {0};
    assert_ok(store_compact(store, &err), &err);
}

static bool can_read_chunk(const struct fixture *fixture, int64_t series,
                           int64_t first_ms)
{
    struct err err = {0};
    int64_t len;
    sqlite3 *const db = store_connect(fixture->folder.uri, &err);
    assert_non_null(db);
    const int status = sql_value(
        db, &err, &len,
        "SELECT length(CAST(bytes AS TEXT)) FROM chunk_data WHERE id = (SELECT data FROM "
        "chunks WHERE series = ? AND first_ms = ?)",
        "ii", series, first_ms);
    sqlite3_close(db);
    return status == 0;
}

/* The first page without which the first series' second chunk cannot be read, and the last
 * series' can: its own. */
static void spoil_chunk(const struct fixture *fixture, int64_t last_series)
{
    int64_t at = 0;
    do {
        at += STORE_PAGE_BYTES;
        assert_true(at < 10000 * STORE_PAGE_BYTES);
        shim_spoil(at, at + STORE_PAGE_BYTES);
    } while (!can_read_chunk(fixture, last_series, CHUNK_MS) ||
             can_read_chunk(fixture, 1, CHUNK_MS));
}

/* Three series of three chunks, all in the database; the second chunk of a is bad. */
static void begin(struct fixture *fixture)
{
    for (size_t s = 0; s < 3; s++)
        put(fixture->store, (const char *[]){"a", "b", "c"}[s], 0, 3 * CHUNK, 0);
    compact(fixture->store);
    store_close(fixture->store);
    fixture->store = NULL;
    spoil_chunk(fixture, 3);
    fixture->store = folder_open(&fixture->folder);
}

static void assert_told_once(struct fixture *fixture)
{
    struct told *const told = &fixture->told;
    assert_int_equal(told_of(told, &told->fails[STORE_READS]), 1);
    assert_non_null(strstr(told->why.msg, "chunk of series 1 at 2048000 cannot be read"));
    for (int work = 0; work < STORE_READS; work++)
        assert_int_equal(told_of(told, &told->fails[work]), 0);
    assert_int_equal(atomic_load(&fixture->store->compactor.unreadable), 1);
    assert_int_equal(atomic_load(&fixture->store->compactor.failures), 0);
    assert_int_equal(atomic_load(&fixture->store->retention.failures), 0);
}

static void note_chunk(void *ctx, const char *what)
{
    *(size_t *)ctx += strstr(what, "chunk of series 1 at 2048000 cannot be read") != NULL;
}

static void verify_names_it(void **state)
{
    struct fixture *const fixture = *state;
    struct err err = {0};
    struct store_verified verified;
    size_t named = 0;
    begin(fixture);
    assert_ok(store_verify(fixture->folder.uri, note_chunk, &named, &verified, &err),
              &err);
    assert_int_equal(named, 1);
    assert_int_equal(verified.chunks, 9);
    shim_spoil(0, 0);
    folder_assert_sound(&fixture->folder);
}

static void a_compaction_goes_around_it(void **state)
{
    struct fixture *const fixture = *state;
    begin(fixture);
    for (int pass = 0; pass < 3; pass++) {
        struct store *const store = fixture->store;
        const size_t from = (size_t)(3 + pass) * CHUNK;
        put(store, "a", CHUNK, CHUNK + LATE, 1); /* into it, and after it */
        for (size_t s = 0; s < 3; s++)
            put(store, (const char *[]){"a", "b", "c"}[s], from, from + CHUNK, 0);
        compact(store);
        assert_int_equal(atomic_load(&store->head.samples), LATE);
        assert_told_once(fixture);
        assert_int_equal(count_in(store, "a", 0, CHUNK_MS, 0), CHUNK);
        assert_int_equal(count_in(store, "a", 2 * CHUNK_MS, INT64_MAX, 0), from - CHUNK);
        assert_int_equal(count_in(store, "b", 0, INT64_MAX, 0), from + CHUNK);
        struct err err = {0};
        struct sample *samples;
        size_t count;
        assert_err(
            store_read(store, "a", 0, INT64_MAX, AS_OF_NOW, 0, &samples, &count, &err),
            &err, ERR_IO, "chunk of series 1 at 2048000 cannot be read");
    }
    /* It was never touched, so that a disk that comes round has lost nothing. */
    shim_spoil(0, 0);
    for (int reopened = 0; reopened < 2; reopened++) {
        assert_int_equal(count_in(fixture->store, "a", 0, INT64_MAX, LATE), 6 * CHUNK);
        compact(fixture->store);
        put(fixture->store, "a", 6 * CHUNK - 1, 6 * CHUNK, 0);
        store_close(fixture->store);
        folder_assert_sound(&fixture->folder);
        fixture->store = folder_open(&fixture->folder);
    }
}

static void retention_leaves_it(void **state)
{
    struct fixture *const fixture = *state;
    fixture->folder.options.retention.samples_ms = CHUNK_MS;
    begin(fixture);
    for (size_t s = 0; s < 3; s++)
        put(fixture->store, (const char *[]){"a", "b", "c"}[s], 10 * CHUNK, 11 * CHUNK,
            0);
    for (int round = 0; round < 3; round++) {
        struct err err = {0};
        assert_ok(store_retain(fixture->store, &err), &err);
        /* SQLite looks at the pages beside one that it takes something from. */
        assert_in_range(atomic_load(&fixture->store->retention.chunks), 6, 8);
        assert_in_range(told_of(&fixture->told, &fixture->told.fails[STORE_READS]), 1, 3);
        assert_int_equal(count_in(fixture->store, "c", 10 * CHUNK_MS, INT64_MAX, 0),
                         CHUNK);
    }
    shim_spoil(0, 0);
    assert_int_equal(count_in(fixture->store, "a", 0, 2 * CHUNK_MS, 0), CHUNK);
    struct err err = {0};
    assert_ok(store_retain(fixture->store, &err), &err);
    assert_int_equal(atomic_load(&fixture->store->retention.chunks), 3 + 3 + 3);
    folder_assert_sound(&fixture->folder);
}

/* SQLite looks at the pages on both sides of one that it takes something from: chunks of
 * other series that lie there stay too, and all that lie elsewhere do not. */
static void neighbours_wait_for_it(void **state)
{
    enum { MANY = 24 };
    struct fixture *const fixture = *state;
    struct store *store = fixture->store;
    char name[MANY][8];
    chunks_are_small = true;
    for (size_t s = 0; s < MANY; s++) {
        snprintf(name[s], sizeof name[s], "s%zu", s);
        put(store, name[s], 0, 3 * CHUNK, 0);
    }
    compact(store);
    store_close(store);
    fixture->store = NULL;
    spoil_chunk(fixture, MANY);
    store = fixture->store = folder_open(&fixture->folder);
    for (int pass = 0; pass < 3; pass++) {
        for (size_t s = 0; s < MANY; s++) {
            for (size_t c = 0; c < 3; c++)
                put(store, name[s], c * CHUNK, c * CHUNK + LATE, 1);
            put(store, name[s], (3 + (size_t)pass) * CHUNK, (4 + (size_t)pass) * CHUNK,
                0);
        }
        compact(store);
        assert_in_range(atomic_load(&store->head.samples), LATE,
                        MANY / 4 * (CHUNK + 3 * LATE));
        assert_in_range(atomic_load(&store->compactor.unreadable), 1, MANY / 4);
        assert_int_equal(count_in(store, name[MANY - 1], 0, INT64_MAX, 3 * LATE),
                         (4 + (size_t)pass) * CHUNK);
    }
    assert_int_equal(told_of(&fixture->told, &fixture->told.fails[STORE_COMPACTION]), 0);
    assert_int_equal(told_of(&fixture->told, &fixture->told.fails[STORE_READS]),
                     atomic_load(&store->compactor.unreadable));
    shim_spoil(0, 0);
    for (size_t s = 0; s < MANY; s++)
        put(store, name[s], 6 * CHUNK, 7 * CHUNK, 0);
    compact(store);
    assert_int_equal(atomic_load(&store->head.samples), 0);
    for (size_t s = 0; s < MANY; s++)
        assert_int_equal(count_in(store, name[s], 0, INT64_MAX, 3 * LATE), 7 * CHUNK);
    store_close(store);
    fixture->store = NULL;
    /* Now all of it is past its time. */
    spoil_chunk(fixture, MANY);
    fixture->folder.options.retention.samples_ms = CHUNK_MS;
    store = fixture->store = folder_open(&fixture->folder);
    for (size_t s = 0; s < MANY; s++)
        put(store, name[s], 10 * CHUNK, 11 * CHUNK, 0);
    for (int round = 0; round < 3; round++) {
        struct err err = {0};
        assert_ok(store_retain(store, &err), &err);
        assert_in_range(atomic_load(&store->retention.chunks), 7 * MANY / 4 * 3,
                        7 * MANY - 1);
    }
    shim_spoil(0, 0);
    struct err err = {0};
    assert_ok(store_retain(store, &err), &err);
    assert_int_equal(atomic_load(&store->retention.chunks), 7 * MANY);
    assert_int_equal(atomic_load(&store->retention.failures), 0);
    folder_assert_sound(&fixture->folder);
    chunks_are_small = false;
}

/* The log is written, and cannot be moved into the database. */
static void a_failing_checkpoint_is_told(void **state)
{
    struct fixture *const fixture = *state;
    struct told *const told = &fixture->told;
    struct writer *const writer = &fixture->store->writer;
    size_t next = 0;
    atomic_store(&shim.read_only, true);
    while (atomic_load(&writer->checkpoint_failures) < 3 && next < 4000000) {
        put(fixture->store, "a", next, next + 50000, 0);
        next += 50000;
    }
    assert_int_equal(told_of(told, &told->fails[STORE_CHECKPOINTS]), 1);
    assert_int_equal(told_of(told, &told->over[STORE_CHECKPOINTS]), 0);
    assert_int_equal(told_of(told, &told->fails[STORE_COMMITS]), 0);
    atomic_store(&shim.read_only, false);
    while (told_of(told, &told->over[STORE_CHECKPOINTS]) == 0 && next < 8000000) {
        put(fixture->store, "a", next, next + 50000, 0);
        next += 50000;
    }
    assert_int_equal(told_of(told, &told->over[STORE_CHECKPOINTS]), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(verify_names_it),
        TEST(a_compaction_goes_around_it),
        TEST(retention_leaves_it),
        TEST(neighbours_wait_for_it),
        TEST(a_failing_checkpoint_is_told),
    };
    shim_install(0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
