/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening what is not there, not ours, newer, damaged or somebody else's. */
#include "tests/check.h"

#include <stdbool.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "storage/sql.h"
#include "storage/store.h"
#include "tests/storage/folder.h"

static void assert_open_fails(struct folder *folder, enum err_code code, const char *text)
{
    struct err err = {0};
    assert_null(store_open(folder->uri, &folder->options, &err));
    if (err.code != code || !strstr(err.msg, text)) {
        print_error("%s: \"%s\" lacks \"%s\"\n", err_word(err.code), err.msg, text);
        fail();
    }
}

/* Runs SQL on the folder's database while no store is open. */
static void tamper(const struct folder *folder, const char *sql)
{
    char *const path = folder_file(folder, "frwkvd.db");
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    char *text = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &text) != SQLITE_OK)
        fail_msg("%s: %s", sql, text);
    sqlite3_close(db);
    free(path);
}

static int64_t pragma(const struct folder *folder, const char *sql)
{
    char *const path = folder_file(folder, "frwkvd.db");
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    const int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    free(path);
    return value;
}

static void put_one(struct folder *folder)
{
    struct store *const store = folder_open(folder);
    struct store_batch *const batch = store_batch_new();
    store_batch_add(batch, store_batch_series(batch, "x"), folder->now_ms, 1.0);
    struct store_counts counts;
    struct err err = {0};
    assert_ok(store_append_wait(store, batch, &counts, &err), &err);
    store_close(store);
}

static void creates_a_private_folder(void **state)
{
    (void)state;
    struct folder outer;
    folder_init(&outer);
    struct folder folder = outer;
    snprintf(folder.path, sizeof folder.path, "%.40s/state", outer.path);
    snprintf(folder.uri, sizeof folder.uri, "sqlite:%s", folder.path);
    put_one(&folder);
    struct stat stat_buf;
    assert_int_equal(stat(folder.path, &stat_buf), 0);
    assert_int_equal(stat_buf.st_mode & 0777, 0700);
    char *const path = folder_file(&folder, "frwkvd.db");
    assert_int_equal(stat(path, &stat_buf), 0);
    assert_int_equal(stat_buf.st_mode & 0777, 0600);
    free(path);
    assert_int_equal(pragma(&folder, "PRAGMA auto_vacuum"), 2);
    assert_int_equal(pragma(&folder, "PRAGMA application_id"), 0x6672776b);
    assert_int_equal(pragma(&folder, "PRAGMA user_version"), SCHEMA_VERSION);
    assert_int_equal(pragma(&folder, "SELECT count(*) FROM sqlite_schema WHERE "
                                     "type = 'table' AND sql NOT LIKE '%STRICT%' AND "
                                     "name NOT LIKE 'sqlite_%'"),
                     0);
    folder_fini(&folder);
    folder_fini(&outer);
}

static void assert_setting(sqlite3 *db, const char *pragma_sql, int64_t want)
{
    struct err err = {0};
    int64_t value = -1;
    assert_ok(sql_value(db, &err, &value, pragma_sql, ""), &err);
    assert_int_equal(value, want);
}

static void every_connection_has_its_settings(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    for (int normal = 0; normal < 2; normal++) {
        folder.options.durability = normal ? DURABILITY_NORMAL : DURABILITY_FULL;
        struct store *const store = folder_open(&folder);
        struct err err = {0};
        sqlite3 *const reader = store_reader_take(store, &err);
        assert_setting(store->db, "PRAGMA synchronous", normal ? 1 : 2);
        assert_setting(reader, "PRAGMA query_only", 1);
        for (int i = 0; i < 2; i++) {
            sqlite3 *const db = i ? reader : store->db;
            assert_setting(db, "PRAGMA secure_delete", 0);
            assert_setting(db, "PRAGMA foreign_keys", 1);
            assert_setting(db, "PRAGMA trusted_schema", 0);
            assert_setting(db, "PRAGMA cell_size_check", 1);
            assert_setting(db, "PRAGMA page_size", STORE_PAGE_BYTES);
        }
        store_reader_give(store, reader);
        store_close(store);
    }
    folder_fini(&folder);
}

static void refuses_a_bad_place(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    struct err err = {0};
    assert_null(store_open("postgres://x", &folder.options, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.msg, "must be sqlite:FOLDER, got postgres://x"));
    char *const path = folder_file(&folder, "plain");
    fclose(fopen(path, "w"));
    snprintf(folder.uri, sizeof folder.uri, "sqlite:%s", path);
    assert_open_fails(&folder, ERR_INVALID, "is not a folder");
    snprintf(folder.uri, sizeof folder.uri, "sqlite:%.60s/no/such", folder.path);
    assert_open_fails(&folder, ERR_IO, "cannot be created: No such file or directory");
    free(path);
    folder_fini(&folder);
}

/* As another user, since root may write anywhere. */
static void refuses_a_folder_it_cannot_write(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct folder folder;
    folder_init(&folder);
    const pid_t child = fork();
    if (child == 0) {
        if (setuid(65534))
            _exit(2);
        struct err err = {0};
        struct store *const store = store_open(folder.uri, &folder.options, &err);
        _exit(!store && err.code == ERR_IO &&
                      strstr(err.msg, "not writable by user 65534; its owner is user 0")
                  ? 0
                  : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    folder_fini(&folder);
}

static void one_process_owns_a_folder(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    struct store *const store = folder_open(&folder);
    char want[64];
    snprintf(want, sizeof want, "in use by process %ld", (long)getpid());
    assert_open_fails(&folder, ERR_CONFLICT, want); /* in the same process too */
    const pid_t child = fork();
    if (child == 0) {
        struct err err = {0};
        struct store *const second = store_open(folder.uri, &folder.options, &err);
        _exit(!second && err.code == ERR_CONFLICT && strstr(err.msg, want) &&
                      strstr(err.msg, folder.path)
                  ? 0
                  : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    store_close(store);
    store_close(folder_open(&folder));
    folder_fini(&folder);
}

static void refuses_what_is_not_ours(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    tamper(&folder, "CREATE TABLE addresses(name)");
    assert_open_fails(&folder, ERR_INVALID, "belongs to another application");
    tamper(&folder, "DROP TABLE addresses; PRAGMA application_id = 17");
    assert_open_fails(&folder, ERR_INVALID, "application_id 17");
    assert_open_fails(&folder, ERR_INVALID, folder.path);
    folder_fini(&folder);
}

static void refuses_a_newer_schema(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    put_one(&folder);
    tamper(&folder, "PRAGMA user_version = 4711");
    assert_open_fails(&folder, ERR_INVALID,
                      "made by a newer version: its schema is 4711");
    folder_fini(&folder);
}

/* Killed between the first page and the schema: ours, and still at version 0. */
static void migrates_from_version_0(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    tamper(&folder, "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
                    "PRAGMA application_id = 0x6672776b");
    put_one(&folder);
    assert_int_equal(pragma(&folder, "PRAGMA user_version"), SCHEMA_VERSION);
    assert_int_equal(pragma(&folder, "SELECT count(*) FROM log"), 1);
    folder_fini(&folder);
}

static void refuses_a_damaged_file(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    char *const path = folder_file(&folder, "frwkvd.db");
    FILE *const file = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database", file);
    fclose(file);
    assert_open_fails(&folder, ERR_CORRUPT, "restore the state folder from a backup");
    free(path);
    folder_fini(&folder);
}

/* As somebody who may write the folder, not the file. */
static void refuses_a_file_it_cannot_write(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    put_one(&folder);
    char *const path = folder_file(&folder, "frwkvd.db");
    char *const lock = folder_file(&folder, "lock");
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(chmod(folder.path, 0777), 0);
    unlink(lock);
    const pid_t child = fork();
    if (child == 0) {
        struct err err = {0};
        if (geteuid() == 0 && seteuid(65534))
            _exit(2);
        const bool opened = store_open(folder.uri, &folder.options, &err) != NULL;
        _exit(!opened && err.code == ERR_IO &&
                      strstr(err.msg, "frwkvd.db: cannot be written") &&
                      strstr(err.msg, "choose another state folder")
                  ? 0
                  : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    free(path);
    free(lock);
    folder_fini(&folder);
}

static void refuses_a_damaged_log(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    put_one(&folder);
    tamper(&folder, "UPDATE log SET batch = "
                    "CAST(substr(batch, 1, 40) || x'ff' || substr(batch, 42) AS BLOB)");
    assert_open_fails(&folder, ERR_CORRUPT,
                      "row 1 of the log is damaged, restore the state folder from a "
                      "backup: batch: checksum does not match");
    tamper(&folder, "DELETE FROM log");
    store_close(folder_open(&folder));
    put_one(&folder);
    tamper(&folder, "DELETE FROM series");
    assert_open_fails(&folder, ERR_CORRUPT, "series 1 is not in the index");
    folder_fini(&folder);
}

/* The log is read in blocks: this one takes two, and the second writes over the first. */
static void a_long_log_comes_back(void **state)
{
    (void)state;
    enum { EACH = 180000, BATCHES = 4, SERIES = 2, FRESH = EACH / 2 };
    static const char *const NAMES[SERIES] = {"a", "b"};
    struct folder folder;
    folder_init(&folder);
    folder.options.head_samples_max = folder.options.queue_samples_max = 4000000;
    folder.options.compact_samples = 0;
    struct store *store = folder_open(&folder);
    struct store_counts counts;
    struct err err = {0};
    for (int k = 0; k < BATCHES; k++) {
        struct store_batch *const batch = store_batch_new();
        store_batch_history(batch);
        for (int i = 0; i < EACH; i++) /* all series at one instant, then the next */
            for (int s = 0; s < SERIES; s++)
                store_batch_add(batch, store_batch_series(batch, NAMES[s]),
                                1000 * (i + k * FRESH), k + 10 * s);
        assert_ok(store_append_wait(store, batch, &counts, &err), &err);
    }
    store_close(store);
    store = folder_open(&folder);
    for (int s = 0; s < SERIES; s++) {
        struct sample *sample;
        size_t count;
        assert_ok(store_read(store, NAMES[s], INT64_MIN, INT64_MAX, AS_OF_NOW, 0, &sample,
                             &count, &err),
                  &err);
        assert_int_equal(count, EACH + (BATCHES - 1) * FRESH);
        for (size_t i = 0; i < count; i++) {
            const size_t last = i / FRESH < BATCHES - 1 ? i / FRESH : BATCHES - 1;
            assert_int_equal(sample[i].time_ms, 1000 * (int64_t)i);
            assert_true(sample[i].value == (double)(last + 10 * (size_t)s));
        }
        free(sample);
    }
    store_close(store);
    folder_fini(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creates_a_private_folder),
        cmocka_unit_test(every_connection_has_its_settings),
        cmocka_unit_test(refuses_a_bad_place),
        cmocka_unit_test(refuses_a_folder_it_cannot_write),
        cmocka_unit_test(one_process_owns_a_folder),
        cmocka_unit_test(refuses_what_is_not_ours),
        cmocka_unit_test(refuses_a_newer_schema),
        cmocka_unit_test(migrates_from_version_0),
        cmocka_unit_test(refuses_a_damaged_file),
        cmocka_unit_test(refuses_a_file_it_cannot_write),
        cmocka_unit_test(refuses_a_damaged_log),
        cmocka_unit_test(a_long_log_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
