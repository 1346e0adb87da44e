/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include <sqlite3.h>

#include "tests/storage/folder.h"

static struct covariate_statement say(int64_t from, int64_t to, int64_t known,
                                      struct covariate_span *spans, size_t count)
{
    return (struct covariate_statement){from, to, known, 0.5, count, spans};
}

static bool put(struct store *store, const char *name,
                const struct covariate_statement *statement)
{
    struct err err = {0};
    bool stored;
    assert_ok(store_covariate_put(store, name, statement, &stored, &err), &err);
    return stored;
}

static size_t count_of(struct store *store, const char *name, int64_t from, int64_t to,
                       int64_t as_of)
{
    struct err err = {0};
    struct store_covariate *list;
    size_t count;
    assert_ok(store_covariate_read(store, name, from, to, as_of, &list, &count, &err),
              &err);
    store_covariates_fini(list, count);
    return count;
}

static void what_was_said_comes_back(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    struct store *store = folder_open(&folder);
    struct covariate_span spans[] = {{10, 20, -0.0}, {20, 30, NAN}, {50, 60, 1e300}};
    const struct covariate_statement s = say(0, 100, KNOWN_ALWAYS, spans, 3);
    assert_true(put(store, "load", &s));
    store_close(store);

    store = folder_open(&folder);
    struct err err = {0};
    struct store_covariate *list;
    size_t count;
    assert_ok(
        store_covariate_read(store, "load", 99, 500, AS_OF_NOW, &list, &count, &err),
        &err);
    assert_int_equal(count, 1);
    const struct covariate_statement *const got = &list[0].statement;
    assert_int_equal(list[0].arrived_ms, folder.now_ms);
    assert_true(got->from_ms == 0 && got->to_ms == 100 && got->known_ms == KNOWN_ALWAYS);
    assert_close(got->otherwise, 0.5, 0);
    assert_int_equal(got->count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(got->spans[i].from_ms, spans[i].from_ms);
        assert_int_equal(got->spans[i].to_ms, spans[i].to_ms);
        assert_close(got->spans[i].value, spans[i].value, 0);
    }
    assert_true(signbit(got->spans[0].value));
    store_covariates_fini(list, count);
    store_close(store);
    folder_fini(&folder);
}

static void statements_pile_up(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    struct store *const store = folder_open(&folder);
    struct covariate_span span = {10, 20, 1};
    struct covariate_statement s = say(0, 100, 7, &span, 1);
    const int64_t first_ms = folder.now_ms;
    assert_true(put(store, "load", &s));
    s.known_ms = 8;
    assert_false(put(store, "load", &s)); /* said already */
    s.known_ms = 6;
    assert_true(put(store, "load", &s)); /* and now known earlier */
    folder.now_ms += 1000;
    s.from_ms = -50;
    assert_true(put(store, "load", &s));
    span.value = 2;
    assert_true(put(store, "load", &s));
    assert_true(put(store, "day.off", &s));

    assert_int_equal(count_of(store, "load", 0, 1, AS_OF_NOW), 4);
    assert_int_equal(count_of(store, "load", 0, 1, first_ms), 2);
    assert_int_equal(count_of(store, "load", -9, 0, AS_OF_NOW), 2);
    assert_int_equal(count_of(store, "load", 100, 200, AS_OF_NOW), 0);
    assert_int_equal(count_of(store, "load", 0, 1, first_ms - 1), 0);

    struct err err = {0};
    struct store_covariate_name *names;
    size_t count;
    assert_ok(store_covariate_names(store, &names, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_string_equal(names[0].name, "day.off");
    assert_string_equal(names[1].name, "load");
    assert_true(names[1].from_ms == -50 && names[1].to_ms == 100);
    assert_int_equal(names[1].arrived_ms, folder.now_ms);
    assert_int_equal(names[1].statements, 4);
    for (size_t i = 0; i < count; i++)
        free(names[i].name);
    free(names);

    struct store_covariate *list;
    assert_ok(store_covariate_delete(store, "load", &err), &err);
    assert_err(store_covariate_delete(store, "load", &err), &err, ERR_NOT_FOUND, "load");
    assert_err(store_covariate_read(store, "load", 0, 1, AS_OF_NOW, &list, &count, &err),
               &err, ERR_NOT_FOUND, "covariate: load not found");
    assert_int_equal(count_of(store, "day.off", 0, 1, AS_OF_NOW), 1);
    store_close(store);
    folder_fini(&folder);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    struct store *const store = folder_open(&folder);
    struct covariate_span span = {10, 120, 1};
    const struct covariate_statement s = say(0, 100, 7, &span, 1);
    struct err err = {0};
    bool stored;
    assert_err(store_covariate_put(store, "load", &s, &stored, &err), &err, ERR_INVALID,
               "values[0]");
    struct store_covariate *list;
    size_t count;
    assert_err(store_covariate_read(store, "load", 0, 1, AS_OF_NOW, &list, &count, &err),
               &err, ERR_NOT_FOUND, "load");
    store_close(store);
    folder_fini(&folder);
}

static void keep_finding(void *ctx, const char *what)
{
    snprintf(ctx, 200, "%s", what);
}

/* Every byte of a row is under its checksum. */
static void damage_is_found_and_not_served(void **state)
{
    (void)state;
    static const char *const damage[] = {
        "UPDATE covariates SET to_ms = to_ms + 1",
        "UPDATE covariates SET known_ms = known_ms - 1",
        "UPDATE covariates SET arrived_ms = arrived_ms - 1",
        "UPDATE covariates SET name = 'loaf'",
        "UPDATE covariates SET bytes = CAST(substr(bytes, 1, 31) || x'41' AS BLOB)",
        "UPDATE covariates SET bytes = substr(bytes, 1, 8)",
    };
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        struct folder folder;
        folder_init(&folder);
        struct store *store = folder_open(&folder);
        struct covariate_span span = {10, 20, 1};
        const struct covariate_statement s = say(0, 100, 7, &span, 1);
        assert_true(put(store, "load", &s));
        store_close(store);
        char *const path = mem_printf("%s/frwkvd.db", folder.path);
        sqlite3 *db;
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, damage[i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        free(path);

        struct err err = {0};
        struct store_verified verified;
        char found[200] = "";
        assert_ok(store_verify(folder.uri, keep_finding, found, &verified, &err), &err);
        assert_int_equal(verified.covariates, 1);
        assert_int_equal(verified.findings, 1);
        assert_non_null(strstr(found, "covariate loa"));
        store = folder_open(&folder);
        struct store_covariate *list;
        size_t count;
        assert_err(store_covariate_read(store, strstr(found, "loaf") ? "loaf" : "load", 0,
                                        1, AS_OF_NOW, &list, &count, &err),
                   &err, ERR_CORRUPT, "checksum");
        store_close(store);
        folder_fini(&folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_said_comes_back),
        cmocka_unit_test(statements_pile_up),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(damage_is_found_and_not_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
