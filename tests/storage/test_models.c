/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include <sqlite3.h>

#include "tests/storage/folder.h"

struct fixture {
    struct folder folder;
    struct store *store;
};

static int setup(void **state)
{
    struct fixture *const fixture = mem_new(1, sizeof *fixture);
    folder_init(&fixture->folder);
    fixture->store = folder_open(&fixture->folder);
    struct err err = {0};
    int64_t revision;
    bool created;
    assert_ok(
        store_forecaster_put(fixture->store, "f", "{}", "{}", &revision, &created, &err),
        &err);
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

/* Changes the database behind the store's back; counts what changed. */
static int tamper(struct fixture *fixture, const char *sql)
{
    char *const path = folder_file(&fixture->folder, "frwkvd.db");
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    char *text = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &text) != SQLITE_OK)
        fail_msg("%s: %s", sql, text);
    const int changes = sqlite3_changes(db);
    sqlite3_close(db);
    free(path);
    return changes;
}

static void the_newest_is_served(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    struct err err = {0};
    struct store_model model;
    int64_t first, second;
    assert_err(store_model_serving(store, "f", &model, &err), &err, ERR_NOT_FOUND,
               "model: f has none");
    err = (struct err){0};
    assert_ok(store_model_publish(store,
                                  &(struct store_publication){.forecaster = "f",
                                                              .revision = 1,
                                                              .watermark_ms = 77,
                                                              .bytes = "abc",
                                                              .len = 3},
                                  &first, &err),
              &err);
    fixture->folder.now_ms += 5;
    assert_ok(store_model_publish(store,
                                  &(struct store_publication){.forecaster = "f",
                                                              .revision = 1,
                                                              .watermark_ms = 78,
                                                              .bytes = "defg",
                                                              .len = 4},
                                  &second, &err),
              &err);
    assert_true(second > first);
    assert_ok(store_model_serving(store, "f", &model, &err), &err);
    assert_int_equal(model.id, second);
    assert_int_equal(model.forecaster_revision, 1);
    assert_int_equal(model.watermark_ms, 78);
    assert_int_equal(model.published_ms, fixture->folder.now_ms);
    assert_int_equal(model.len, 4);
    assert_memory_equal(model.bytes, "defg", 4);
    /* printf defg | sha256sum */
    static const unsigned char HASH[STORE_HASH_SIZE] = {
        0x4c, 0x8a, 0x43, 0x98, 0x04, 0x98, 0x63, 0x6e, 0x9c, 0x1d, 0x15,
        0x95, 0xfa, 0x5d, 0x11, 0x5a, 0xf7, 0x93, 0x7c, 0x24, 0x22, 0xdf,
        0xe6, 0x8a, 0x25, 0x20, 0xa5, 0x2b, 0x7a, 0x5f, 0xb4, 0xde};
    assert_memory_equal(model.hash, HASH, sizeof HASH);
    store_model_fini(&model);
}

static void only_the_present_revision_counts(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    struct err err = {0};
    struct store_model model;
    int64_t id, revision;
    bool created;
    assert_err(
        store_model_publish(store,
                            &(struct store_publication){
                                .forecaster = "g", .revision = 1, .bytes = "m", .len = 1},
                            &id, &err),
        &err, ERR_NOT_FOUND, "forecaster: g not found");
    err = (struct err){0};
    assert_ok(
        store_model_publish(store,
                            &(struct store_publication){
                                .forecaster = "f", .revision = 1, .bytes = "m", .len = 1},
                            &id, &err),
        &err);
    assert_ok(
        store_forecaster_put(store, "f", "{\"n\":2}", "{}", &revision, &created, &err),
        &err);
    assert_err(store_model_serving(store, "f", &model, &err), &err, ERR_NOT_FOUND, "f");
    assert_err(
        store_model_publish(store,
                            &(struct store_publication){
                                .forecaster = "f", .revision = 1, .bytes = "m", .len = 1},
                            &id, &err),
        &err, ERR_CONFLICT, "has revision 2 by now, the model is for 1");
    err = (struct err){0};
    assert_ok(
        store_model_publish(store,
                            &(struct store_publication){
                                .forecaster = "f", .revision = 2, .bytes = "m", .len = 1},
                            &id, &err),
        &err);
    assert_ok(store_model_serving(store, "f", &model, &err), &err);
    store_model_fini(&model);
}

/* Either both the model and the end of its job are there, or neither. */
static void publishing_finishes_the_job_exactly_once(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    struct err err = {0};
    struct store_job job;
    struct store_model model;
    int64_t job_id, id, again;
    bool created, found;
    assert_ok(store_job_add(store,
                            &(struct store_job_wish){.kind = "train", .forecaster = "f"},
                            &job_id, &created, &err),
              &err);
    assert_err(store_model_publish(store,
                                   &(struct store_publication){.forecaster = "f",
                                                               .revision = 1,
                                                               .bytes = "m",
                                                               .len = 1,
                                                               .job_id = job_id,
                                                               .result = "{}"},
                                   &id, &err),
               &err, ERR_CONFLICT, "is queued, not running");
    assert_err(store_model_serving(store, "f", &model, &err), &err, ERR_NOT_FOUND, "f");
    err = (struct err){0};
    assert_ok(store_job_claim(store, "a", NULL, 1000, &job, &found, &err), &err);
    store_job_fini(&job);
    assert_ok(store_model_publish(store,
                                  &(struct store_publication){.forecaster = "f",
                                                              .revision = 1,
                                                              .bytes = "m",
                                                              .len = 1,
                                                              .job_id = job_id,
                                                              .result = "{\"mse\":1}"},
                                  &id, &err),
              &err);
    assert_ok(store_job_get(store, job_id, &job, &err), &err);
    assert_string_equal(job.state, "done");
    assert_string_equal(job.result, "{\"mse\":1}");
    store_job_fini(&job);
    assert_err(store_model_publish(store,
                                   &(struct store_publication){.forecaster = "f",
                                                               .revision = 1,
                                                               .bytes = "n",
                                                               .len = 1,
                                                               .job_id = job_id,
                                                               .result = "{}"},
                                   &again, &err),
               &err, ERR_CONFLICT, "is done, not running");
    err = (struct err){0};
    assert_ok(store_model_serving(store, "f", &model, &err), &err);
    assert_int_equal(model.id, id);
    store_model_fini(&model);
}

static void a_changed_byte_is_never_served(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    static const char *const CHANGE[] = {
        "UPDATE models SET bytes = CAST('wEights' AS BLOB)",
        "UPDATE models SET bytes = x''",
        "UPDATE models SET hash = zeroblob(32)",
        "UPDATE models SET hash = x'00'",
        "UPDATE models SET watermark_ms = watermark_ms + 1",
        "UPDATE models SET published_ms = published_ms + 1",
        "UPDATE models SET id = id + 1",
        "UPDATE models SET crc = crc + 1",
    };
    struct store_model model;
    for (size_t i = 0; i < sizeof CHANGE / sizeof *CHANGE; i++) {
        struct err err = {0};
        int64_t id;
        assert_ok(store_model_publish(store,
                                      &(struct store_publication){.forecaster = "f",
                                                                  .revision = 1,
                                                                  .watermark_ms = 5,
                                                                  .bytes = "weights",
                                                                  .len = 7},
                                      &id, &err),
                  &err);
        assert_ok(store_model_serving(store, "f", &model, &err), &err);
        store_model_fini(&model);
        assert_int_equal(tamper(fixture, CHANGE[i]), 1);
        assert_err(store_model_serving(store, "f", &model, &err), &err, ERR_CORRUPT,
                   "does not match its hash");
        assert_null(model.bytes);
        tamper(fixture, "DELETE FROM models");
    }
}

static int64_t publish(struct store *store, const char *bytes, bool kept_only)
{
    struct err err = {0};
    int64_t id;
    const struct store_publication publication = {.forecaster = "f",
                                                  .revision = 1,
                                                  .bytes = bytes,
                                                  .len = strlen(bytes),
                                                  .kept_only = kept_only,
                                                  .trial = "{\"better\":false}",
                                                  .job_id = 40 + (int64_t)strlen(bytes)};
    assert_ok(store_model_publish(store, &publication, &id, &err), &err);
    return id;
}

static void assert_serves(struct store *store, int64_t id)
{
    struct err err = {0};
    struct store_model model, *all = NULL;
    size_t count = 0, serving = 0;
    assert_ok(store_model_serving(store, "f", &model, &err), &err);
    assert_int_equal(model.id, id);
    assert_true(model.serves);
    store_model_fini(&model);
    assert_ok(store_models(store, "f", &all, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || all[i].id < all[i - 1].id);
        assert_int_equal(all[i].serves, all[i].id == id);
        assert_null(all[i].bytes);
        serving += all[i].serves;
        store_model_fini(&all[i]);
    }
    free(all);
    assert_int_equal(serving, 1);
}

/* One that lost its trial is kept and does not serve, until somebody wants it to. */
static void a_version_can_be_kept_and_restored(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    struct err err = {0};
    struct store_model model;
    int64_t revision;
    bool created;
    const int64_t first = publish(store, "a", false), second = publish(store, "bb", true);
    assert_serves(store, first);
    assert_ok(store_model_of_job(store, 42, &model, &err), &err);
    assert_int_equal(model.id, second);
    assert_false(model.serves);
    assert_int_equal(model.served_ms, 0);
    assert_string_equal(model.trial, "{\"better\":false}");
    assert_memory_equal(model.bytes, "bb", 2);
    store_model_fini(&model);
    assert_err(store_model_of_job(store, 43, &model, &err), &err, ERR_NOT_FOUND, "none");
    err = (struct err){0};

    fixture->folder.now_ms -= 1000000; /* whatever the clock says */
    assert_ok(store_model_restore(store, "f", second, &err), &err);
    assert_serves(store, second);
    const int64_t third = publish(store, "ccc", false);
    assert_serves(store, third);
    assert_ok(store_model_restore(store, "f", first, &err), &err);
    assert_serves(store, first);
    assert_err(store_model_restore(store, "f", 99, &err), &err, ERR_NOT_FOUND,
               "model: f has none of number 99");
    assert_err(store_model_restore(store, "g", first, &err), &err, ERR_NOT_FOUND,
               "forecaster: g not found");
    err = (struct err){0};
    assert_ok(
        store_forecaster_put(store, "f", "{\"n\":2}", "{}", &revision, &created, &err),
        &err);
    assert_err(store_model_restore(store, "f", first, &err), &err, ERR_CONFLICT,
               "is of revision 1, and f has revision 2");
    assert_err(store_model_serving(store, "f", &model, &err), &err, ERR_NOT_FOUND, "f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest_is_served, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_present_revision_counts, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(publishing_finishes_the_job_exactly_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_changed_byte_is_never_served, setup, teardown),
        cmocka_unit_test_setup_teardown(a_version_can_be_kept_and_restored, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
