/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Grids of full hours come from summaries: the same bits as from the samples. */
#include "tests/check.h"

#include "base/rng.h"
#include "base/zone.h"
#include "storage/rollup.h"
#include "storage/sql.h"
#include "storage/store.h"
#include "tests/storage/folder.h"

enum { SERIES = 3, HOURS = 30, AN_HOUR = 40, SLOTS = HOURS * AN_HOUR, VERSIONS = 8 };

static const int64_t HOUR_MS = 3600000, STEP_MS = 3600000 / AN_HOUR;
static const int64_t START_MS = 472222 * INT64_C(3600000);

static char text[SERIES][12] = {"m{s=\"0\"}", "m{s=\"1\"}", "m{s=\"2\"}"};
static char *const NAMES[SERIES] = {text[0], text[1], text[2]};

/* ---- the reference: every version of every instant -------------------------------- */

struct version {
    int64_t arrived_ms;
    double value;
};

struct reference {
    bool history; /* known at its own time: only the last version counts */
    size_t count[SERIES][SLOTS];
    struct version version[SERIES][SLOTS][VERSIONS];
};

static int64_t slot_ms(size_t series, size_t slot)
{
    return START_MS + (int64_t)slot * STEP_MS + (int64_t)(series + slot * 7 % 11) * 1000;
}

static const double *value_of(const struct reference *reference, size_t series,
                              size_t slot, int64_t as_of_ms)
{
    const struct version *const version = reference->version[series][slot];
    size_t known = reference->count[series][slot];
    if (slot_ms(series, slot) > as_of_ms || known == 0)
        return NULL;
    while (!reference->history && known > 0 && version[known - 1].arrived_ms > as_of_ms)
        known--;
    return known > 0 ? &version[known - 1].value : NULL;
}

/* ---- against the store -------------------------------------------------------------- */

static void check_grid(struct store *store, const struct reference *reference,
                       const struct store_grid_wish *wish)
{
    struct err err = {0};
    struct grid got, want;
    assert_ok(store_grid(store, wish, &got, &err), &err);
    assert_ok(grid_init(&want, wish->start_ms, wish->step_ms, wish->rows, SERIES, &err),
              &err);
    want.zone = wish->zone;
    for (size_t series = 0; series < SERIES; series++) {
        static struct sample samples[SLOTS];
        size_t count = 0;
        for (size_t slot = 0; slot < SLOTS; slot++) {
            const int64_t time_ms = slot_ms(series, slot);
            const double *const value = value_of(reference, series, slot, wish->as_of_ms);
            if (value && time_ms >= wish->start_ms - wish->step_ms)
                samples[count++] = (struct sample){time_ms, *value};
        }
        grid_fill(&want, series, samples, count, wish->how);
    }
    for (size_t i = 0; i < wish->rows * SERIES; i++)
        assert_close(got.values[i], want.values[i], 0);
    grid_fini(&got);
    grid_fini(&want);
}

static void check_grids(struct store *store, const struct reference *reference,
                        int64_t as_of_ms, uint32_t dice)
{
    static const int64_t STEP_HOURS[] = {1, 1, 2, 3, 24};
    const int64_t step_ms = HOUR_MS * STEP_HOURS[dice % 5];
    struct store_grid_wish wish = {
        .names = NAMES,
        .count = SERIES,
        .start_ms = START_MS + HOUR_MS * (int64_t)(dice / 5 % 4),
        .step_ms = step_ms,
        .rows = (size_t)(HOURS * HOUR_MS / step_ms) + 1,
        .as_of_ms = as_of_ms,
    };
    for (enum aggregate how = AGGREGATE_MEAN; how <= AGGREGATE_RATE; how++) {
        wish.how = how;
        check_grid(store, reference, &wish);
    }
}

/* ---- random histories -------------------------------------------------------------- */

struct habit {
    size_t chunk_samples;
    int every; /* rounds between compactions */
    bool history;
};

struct run {
    struct folder folder;
    struct store *store;
    struct reference *reference;
    struct rng_stream stream;
    uint64_t index;
    size_t next[SERIES]; /* slots that were not sent yet */
};

static uint32_t roll(struct run *run, uint32_t sides)
{
    return rng_at(run->stream, run->index++).word[0] % sides;
}

static void send_one(struct run *run, struct store_batch *batch, size_t series,
                     size_t slot)
{
    struct reference *const reference = run->reference;
    size_t *const count = &reference->count[series][slot];
    struct version *const version = reference->version[series][slot];
    const double value = (double)roll(run, 100000) / 100 - (roll(run, 9) ? 0 : 1e5);
    if (*count > 0 && version[*count - 1].arrived_ms == run->folder.now_ms)
        version[*count - 1].value = value;
    else if (*count < VERSIONS)
        version[(*count)++] = (struct version){run->folder.now_ms, value};
    else
        return;
    store_batch_add(batch, store_batch_series(batch, NAMES[series]),
                    slot_ms(series, slot), value);
}

/* The next few of each series, with gaps, and now and then some that are late. */
static void send_round(struct run *run)
{
    struct err err = {0};
    struct store_counts counts;
    struct store_batch *const batch = store_batch_new();
    if (run->reference->history)
        store_batch_history(batch);
    for (size_t series = 0; series < SERIES; series++) {
        const size_t more = roll(run, 60);
        for (size_t i = 0; i < more && run->next[series] < SLOTS;
             i++, run->next[series]++)
            if (roll(run, 20) > 0)
                send_one(run, batch, series, run->next[series]);
        for (size_t late = roll(run, 3) ? 0 : roll(run, 5); late > 0; late--)
            if (run->next[series] > 0)
                send_one(run, batch, series, roll(run, (uint32_t)run->next[series]));
    }
    assert_ok(store_append_wait(run->store, batch, &counts, &err), &err);
}

static int64_t ask(struct run *run, const char *sql)
{
    int64_t value = 0;
    struct err err = {0};
    sqlite3 *const db = store_connect(run->folder.uri, &err);
    assert_non_null(db);
    assert_ok(sql_value(db, &err, &value, sql, ""), &err);
    sqlite3_close(db);
    return value;
}

static void random_history(uint64_t seed, const struct habit *habit)
{
    struct err err = {0};
    struct run run = {.stream = {.seed = seed, .purpose = 1}};
    run.reference = mem_new(1, sizeof *run.reference);
    run.reference->history = habit->history;
    folder_init(&run.folder);
    run.folder.options.late_after_ms = 0;
    run.folder.options.chunk_samples = habit->chunk_samples;
    run.folder.options.compact_samples = 0;
    run.folder.now_ms = START_MS + 10 * HOURS * HOUR_MS;
    run.store = folder_open(&run.folder);
    for (int round = 0; round < 40; round++) {
        run.folder.now_ms += 10;
        send_round(&run);
        if (round % habit->every == 0)
            assert_ok(store_compact(run.store, &err), &err);
        if (round % 13 == 12) {
            store_close(run.store);
            run.store = folder_open(&run.folder);
        }
        if (round < 5)
            continue; /* not all series are there */
        check_grids(run.store, run.reference, AS_OF_NOW, roll(&run, 20));
        check_grids(run.store, run.reference, run.folder.now_ms - roll(&run, 400),
                    roll(&run, 20));
        check_grids(run.store, run.reference, START_MS + (int64_t)roll(&run, 108000000),
                    roll(&run, 20));
    }
    struct store_verified verified;
    assert_ok(store_verify(run.folder.uri, folder_print_finding, NULL, &verified, &err),
              &err);
    assert_int_equal(verified.findings, 0);
    assert_true(ask(&run, "SELECT count(*) FROM chunks WHERE rolled") > 0);
    assert_true(verified.rollups > 0);
    store_close(run.store);
    folder_fini(&run.folder);
    free(run.reference);
}

static void hours_are_what_their_samples_are(void **state)
{
    (void)state;
    static const struct habit HABIT[] = {
        {100, 3, false}, {128, 1, true}, {300, 7, true}, {120, 2, false}, {200, 4, true},
    };
    for (uint64_t i = 0; i < sizeof HABIT / sizeof *HABIT; i++)
        random_history(31 + i, &HABIT[i]);
}

/* Days and weeks of a calendar over both changes of the clocks; where midnight is not at a
 * full hour of UTC, they are made from the samples. */
static void days_of_a_zone_are_too(void **state)
{
    (void)state;
    enum { MINUTES = 21 * 24 * 60, DAY_MS = 86400000 };
    static const struct {
        const char *zone, *start;
    } CASE[] = {{"Europe/Berlin", "2026-03-22T23:00:00Z"},
                {"Europe/Berlin", "2026-10-18T22:00:00Z"},
                {"Asia/Kolkata", "2026-10-18T18:30:00Z"},
                {"Australia/Lord_Howe", "2026-09-27T13:30:00Z"}};
    static struct sample samples[MINUTES];
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        struct err err = {0};
        struct folder folder;
        folder_init(&folder);
        folder.options.chunk_samples = 500;
        struct zone *const zone = zone_load(CASE[i].zone, &err);
        int64_t start_ms;
        assert_non_null(zone);
        assert_ok(time_parse(CASE[i].start, strlen(CASE[i].start), NULL, &start_ms, &err),
                  &err);
        struct store *const store = folder_open(&folder);
        struct store_batch *const batch = store_batch_new();
        store_batch_history(batch);
        for (size_t k = 0; k < MINUTES; k++) {
            samples[k] = (struct sample){start_ms + (int64_t)k * 60000,
                                         (double)(k * 7919 % 1000) / 100};
            store_batch_add(batch, store_batch_series(batch, NAMES[0]),
                            samples[k].time_ms, samples[k].value);
        }
        struct store_counts counts;
        assert_ok(store_append_wait(store, batch, &counts, &err), &err);
        assert_ok(store_compact(store, &err), &err);
        for (int days = 1; days <= 7; days += 6)
            for (enum aggregate how = AGGREGATE_MEAN; how <= AGGREGATE_RATE; how++) {
                const struct store_grid_wish wish = {.names = NAMES,
                                                     .count = 1,
                                                     .start_ms = start_ms,
                                                     .step_ms = (int64_t)days * DAY_MS,
                                                     .rows = (size_t)(20 / days),
                                                     .how = how,
                                                     .as_of_ms = AS_OF_NOW,
                                                     .zone = zone};
                struct grid got, want;
                assert_ok(store_grid(store, &wish, &got, &err), &err);
                assert_ok(grid_init(&want, start_ms, wish.step_ms, wish.rows, 1, &err),
                          &err);
                want.zone = zone;
                grid_fill(&want, 0, samples, MINUTES, how);
                for (size_t row = 0; row < wish.rows; row++) {
                    assert_false(isnan(got.values[row]));
                    assert_close(got.values[row], want.values[row], 0);
                }
                grid_fini(&got);
                grid_fini(&want);
            }
        store_close(store);
        zone_free(zone);
        folder_fini(&folder);
    }
}

static void note(void *ctx, const char *what)
{
    snprintf(ctx, 400, "%s", what);
}

static void tamper(struct folder *folder, const char *sql)
{
    char *const path = folder_file(folder, "frwkvd.db");
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_close(db);
    free(path);
}

/* Four hours in one window: a flipped byte is named and not served, and that hours are
 * gone is noticed, too. */
static void damaged_hours_are_never_served(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    folder.options.chunk_samples = 4 * AN_HOUR;
    folder.options.compact_samples = 0;
    struct store *const store = folder_open(&folder);
    struct store_batch *const batch = store_batch_new();
    for (size_t i = 0; i < 4 * AN_HOUR; i++)
        store_batch_add(batch, store_batch_series(batch, NAMES[0]), slot_ms(0, i), 1);
    struct err err = {0};
    struct store_counts counts;
    assert_ok(store_append_wait(store, batch, &counts, &err), &err);
    assert_ok(store_compact(store, &err), &err);
    char found[400] = "";
    struct store_verified verified;
    assert_ok(store_verify(folder.uri, note, found, &verified, &err), &err);
    assert_int_equal(verified.findings, 0);
    assert_int_equal(verified.rollups, 1);
    tamper(&folder,
           "UPDATE rollups SET bytes = CAST(substr(bytes, 1, 30) || x'7f7f7f' || "
           "substr(bytes, 34) AS BLOB)");
    assert_ok(store_verify(folder.uri, note, found, &verified, &err), &err);
    assert_int_equal(verified.findings, 1);
    assert_non_null(strstr(found, "hours of series 1 from"));
    assert_non_null(strstr(found, "checksum does not match"));
    const struct store_grid_wish wish = {.names = NAMES,
                                         .count = 1,
                                         .start_ms = START_MS,
                                         .step_ms = HOUR_MS,
                                         .rows = 4,
                                         .as_of_ms = AS_OF_NOW};
    struct grid grid;
    assert_err(store_grid(store, &wish, &grid, &err), &err, ERR_CORRUPT,
               "hours of series 1 from");
    tamper(&folder, "DELETE FROM rollups");
    assert_ok(store_verify(folder.uri, note, found, &verified, &err), &err);
    assert_int_equal(verified.findings, 1);
    assert_non_null(strstr(found, "its hours are not summed up"));
    store_close(store);
    folder_fini(&folder);
}

/* Sends samples [from, to) of the first series, and compacts. */
static void send_range(struct store *store, size_t from, size_t to, double value)
{
    struct store_batch *const batch = store_batch_new();
    const uint32_t series = store_batch_series(batch, NAMES[0]);
    for (size_t i = from; i < to; i++)
        store_batch_add(batch, series, START_MS + (int64_t)i * STEP_MS, value);
    struct err err = {0};
    struct store_counts counts;
    assert_ok(store_append_wait(store, batch, &counts, &err), &err);
    assert_ok(store_compact(store, &err), &err);
}

static void assert_mean(struct store *store, int64_t hour, double want)
{
    const struct store_grid_wish wish = {.names = NAMES,
                                         .count = 1,
                                         .start_ms = START_MS + hour * HOUR_MS,
                                         .step_ms = HOUR_MS,
                                         .rows = 1,
                                         .as_of_ms = AS_OF_NOW};
    struct grid grid;
    struct err err = {0};
    assert_ok(store_grid(store, &wish, &grid, &err), &err);
    assert_close(grid.values[0], want, 1e-12);
    grid_fini(&grid);
}

/* A chunk across two windows, the second of which is damaged: what comes goes into
 * chunks for years, and what is sent once more counts. */
static void damaged_hours_do_not_fill_the_head(void **state)
{
    (void)state;
    enum { CHUNK = 4 * AN_HOUR };
    struct folder folder;
    folder_init(&folder);
    folder.options.chunk_samples = CHUNK;
    folder.options.compact_samples = 0;
    struct store *const store = folder_open(&folder);
    const int64_t border_ms = rollup_begin_ms(rollup_window(START_MS) + 1);
    const size_t border = (size_t)((border_ms - START_MS) / STEP_MS);
    send_range(store, border - CHUNK / 2, border + CHUNK / 2, 1);
    char *const damage =
        mem_printf("UPDATE rollups SET bytes = CAST(substr(bytes, 1, 30) || x'7f7f7f' || "
                   "substr(bytes, 34) AS BLOB) WHERE id & 1048575 = %u",
                   rollup_window(border_ms));
    tamper(&folder, damage);
    free(damage);
    for (size_t i = border + CHUNK / 2; i < border + 600 * AN_HOUR; i += CHUNK)
        send_range(store, i, i + CHUNK, 2);
    assert_int_equal(atomic_load(&store->head.samples), 0);
    const int64_t before = (border_ms - START_MS) / HOUR_MS - 1;
    for (int round = 0; round < 3; round++) {
        assert_mean(store, before, 1 + round);
        assert_mean(store, before + 500, 2);
        send_range(store, border - CHUNK / 2, border + CHUNK / 2, 2 + round);
        assert_int_equal(atomic_load(&store->head.samples), 0);
    }
    char found[400] = "";
    struct store_verified verified;
    struct err err = {0};
    assert_ok(store_verify(folder.uri, note, found, &verified, &err), &err);
    assert_int_equal(verified.findings, 1);
    assert_non_null(strstr(found, "hours of series 1 from"));
    store_close(store);
    folder_fini(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hours_are_what_their_samples_are),
        cmocka_unit_test(days_of_a_zone_are_too),
        cmocka_unit_test(damaged_hours_are_never_served),
        cmocka_unit_test(damaged_hours_do_not_fill_the_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
