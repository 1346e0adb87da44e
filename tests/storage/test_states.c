/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What models keep of series, and what makes it untrue. */
#include "storage/storage.h"

#include "tests/check.h"
#include "tests/storage/folder.h"

#include <sqlite3.h>

enum { SERIES = 3, MINUTE = 60000 };

static char A[] = "cpu{host=\"a\"}", B[] = "cpu{host=\"b\"}", C[] = "cpu{host=\"c\"}";
static char *const NAMES[SERIES] = {A, B, C};
static const int64_t START = 1600000000000;

static void add(struct store *store, const char *name, int64_t time_ms, double value)
{
    struct err err = {0};
    struct store_batch *const batch = store_batch_new();
    struct store_counts counts;
    store_batch_add(batch, store_batch_series(batch, name), time_ms, value);
    assert_ok(store_append_wait(store, batch, &counts, &err), &err);
}

/* Ten minutes of each. */
static struct store *open_filled(struct folder *folder)
{
    folder_init(folder);
    struct store *const store = folder_open(folder);
    for (size_t k = 0; k < SERIES; k++)
        for (int i = 0; i < 10; i++)
            add(store, NAMES[k], START + i * MINUTE, i);
    return store;
}

static void put(struct store *store, int64_t model, int64_t through_ms,
                const uint64_t *upsets, const char *text)
{
    struct err err = {0};
    struct store_state states[SERIES];
    for (size_t k = 0; k < SERIES; k++)
        states[k] = (struct store_state){NAMES[k], upsets[k], text, strlen(text) + 1};
    assert_ok(store_states_put(store, "load", model, through_ms, states, SERIES, &err),
              &err);
}

/* What was read, by series; "" where there is none. */
struct seen {
    int64_t through_ms[SERIES];
    char text[SERIES][16];
};

static void see(void *ctx, const char *series, int64_t through_ms, const void *bytes,
                size_t len)
{
    struct seen *const seen = ctx;
    size_t k = 0;
    while (strcmp(NAMES[k], series))
        assert_true(++k < SERIES);
    assert_true(len <= sizeof seen->text[k]);
    seen->through_ms[k] = through_ms;
    memcpy(seen->text[k], bytes, len);
}

static struct seen look(struct store *store, int64_t model)
{
    struct err err = {0};
    struct seen seen = {0};
    assert_ok(store_states(store, "load", model, see, &seen, &err), &err);
    return seen;
}

static void assert_seen(const struct seen *seen, const char *a, const char *b,
                        const char *c)
{
    assert_string_equal(seen->text[0], a);
    assert_string_equal(seen->text[1], b);
    assert_string_equal(seen->text[2], c);
}

static void states_come_back(void **state)
{
    (void)state;
    struct folder folder;
    struct store *store = open_filled(&folder);
    const uint64_t none[SERIES] = {0};
    put(store, 7, START + 5 * MINUTE, none, "first");
    put(store, 7, START + 6 * MINUTE, none, "second");
    store_close(store);
    store = folder_open(&folder);
    struct seen seen = look(store, 7);
    assert_seen(&seen, "second", "second", "second");
    assert_int_equal(seen.through_ms[1], START + 6 * MINUTE);
    seen = look(store, 8);
    assert_seen(&seen, "", "", "");
    put(store, 8, START + 6 * MINUTE, none, "other"); /* another model's take over */
    seen = look(store, 7);
    assert_seen(&seen, "", "", "");
    seen = look(store, 8);
    assert_seen(&seen, "other", "other", "other");
    store_close(store);
    folder_fini(&folder);
}

static void they_go_with_their_forecaster(void **state)
{
    (void)state;
    struct folder folder;
    struct store *const store = open_filled(&folder);
    const uint64_t none[SERIES] = {0};
    struct err err = {0};
    int64_t revision;
    bool created;
    assert_ok(store_forecaster_put(store, "load", "{}", "{}", &revision, &created, &err),
              &err);
    put(store, 7, START, none, "kept");
    assert_ok(store_forecaster_delete(store, "load", &err), &err);
    const struct seen seen = look(store, 7);
    assert_seen(&seen, "", "", "");
    store_close(store);
    folder_fini(&folder);
}

/* Only what changes something that was seen is an upset, now and after a restart. */
static void late_samples_make_them_untrue(void **state)
{
    (void)state;
    struct folder folder;
    struct store *store = open_filled(&folder);
    const int64_t through_ms = START + 5 * MINUTE;
    uint64_t upsets[SERIES];
    add(store, NAMES[0], START - 1, 1); /* nobody has seen anything */
    store_settle(store, NAMES, SERIES, through_ms);
    store_upsets(store, NAMES, SERIES, upsets);
    assert_true(upsets[0] == 0 && upsets[1] == 0 && upsets[2] == 0);
    put(store, 7, through_ms, upsets, "true");

    add(store, NAMES[0], START + 5 * MINUTE, 77);  /* behind it */
    add(store, NAMES[1], START + 2 * MINUTE, 2);   /* what there is */
    add(store, NAMES[2], START + 20 * MINUTE, 20); /* newer than all */
    struct seen seen = look(store, 7);
    assert_seen(&seen, "true", "true", "true");

    add(store, NAMES[1], START + 2 * MINUTE, 3);
    seen = look(store, 7);
    assert_seen(&seen, "true", "", "true");
    store_upsets(store, NAMES, SERIES, upsets);
    assert_true(upsets[0] == 0 && upsets[1] == 1 && upsets[2] == 0);

    store_close(store);
    store = folder_open(&folder);
    add(store, NAMES[0], START + 1, 4);
    seen = look(store, 7);
    assert_seen(&seen, "", "", "true");
    store_upsets(store, NAMES, SERIES, upsets);
    assert_true(upsets[0] == 1 && upsets[1] == 0 && upsets[2] == 0);
    store_close(store);
    folder_fini(&folder);
}

/* A series can be behind the others by more than has been settled. */
static void a_newest_sample_can_be_late(void **state)
{
    (void)state;
    struct folder folder;
    struct store *const store = open_filled(&folder);
    uint64_t upsets[SERIES];
    store_settle(store, NAMES, SERIES, START + 60 * MINUTE);
    store_upsets(store, NAMES, SERIES, upsets);
    put(store, 7, START + 60 * MINUTE, upsets, "true");
    add(store, NAMES[1], START + 11 * MINUTE, 5);
    const struct seen seen = look(store, 7);
    assert_seen(&seen, "true", "", "true");
    store_close(store);
    folder_fini(&folder);
}

static void what_is_untrue_already_is_not_kept(void **state)
{
    (void)state;
    struct folder folder;
    struct store *const store = open_filled(&folder);
    uint64_t upsets[SERIES];
    store_settle(store, NAMES, SERIES, START + 5 * MINUTE);
    store_upsets(store, NAMES, SERIES, upsets);
    add(store, NAMES[2], START + 1, 5);
    put(store, 7, START + 5 * MINUTE, upsets, "true");
    const struct seen seen = look(store, 7);
    assert_seen(&seen, "true", "true", "");
    store_close(store);
    folder_fini(&folder);
}

static void ignore(void *ctx, const char *what)
{
    (void)what;
    ++*(int *)ctx;
}

static void a_damaged_one_is_left_out(void **state)
{
    (void)state;
    struct folder folder;
    struct store *store = open_filled(&folder);
    const uint64_t none[SERIES] = {0};
    put(store, 7, START, none, "whole");
    store_close(store);
    char *const path = folder_file(&folder, "frwkvd.db");
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "UPDATE states SET bytes = CAST('wHole' AS BLOB) "
                                  "WHERE series = 2",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    free(path);
    store = folder_open(&folder);
    const struct seen seen = look(store, 7);
    assert_seen(&seen, "whole", "", "whole");
    struct store_verified verified;
    struct err err = {0};
    int told = 0;
    assert_ok(store_verify(folder.uri, ignore, &told, &verified, &err), &err);
    assert_int_equal(verified.states, 3);
    assert_int_equal(verified.findings, 1);
    assert_int_equal(told, 1);
    store_close(store);
    folder_fini(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_come_back),
        cmocka_unit_test(they_go_with_their_forecaster),
        cmocka_unit_test(late_samples_make_them_untrue),
        cmocka_unit_test(a_newest_sample_can_be_late),
        cmocka_unit_test(what_is_untrue_already_is_not_kept),
        cmocka_unit_test(a_damaged_one_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
