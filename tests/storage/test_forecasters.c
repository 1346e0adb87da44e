/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include "tests/storage/folder.h"

static void assert_put(struct store *store, const char *name, const char *body,
                       int64_t want_revision, bool want_created)
{
    struct err err = {0};
    int64_t revision;
    bool created;
    assert_ok(store_forecaster_put(store, name, body, "{}", &revision, &created, &err),
              &err);
    assert_int_equal(revision, want_revision);
    assert_int_equal(created, want_created);
}

static void a_revision_counts_changes(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    struct store *store = folder_open(&folder);
    assert_put(store, "cpu", "{\"a\":1}", 1, true);
    assert_put(store, "cpu", "{\"a\":1}", 1, false);
    folder.now_ms += 1000;
    assert_put(store, "cpu", "{\"a\":2}", 2, false);
    assert_put(store, "a\u00e9", "{}", 1, true);
    store_close(store);
    store = folder_open(&folder);
    struct err err = {0};
    struct store_forecaster got;
    assert_ok(store_forecaster_get(store, "cpu", &got, &err), &err);
    assert_string_equal(got.name, "cpu");
    assert_string_equal(got.body, "{\"a\":2}");
    assert_int_equal(got.revision, 2);
    assert_int_equal(got.changed_ms, folder.now_ms);
    store_forecaster_fini(&got);
    struct store_forecaster *all;
    size_t count;
    assert_ok(store_forecasters(store, &all, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_string_equal(all[0].name, "a\u00e9");
    assert_string_equal(all[1].name, "cpu");
    assert_string_equal(all[1].body, "{\"a\":2}");
    assert_int_equal(all[1].revision, 2);
    for (size_t i = 0; i < count; i++)
        store_forecaster_fini(&all[i]);
    free(all);
    store_close(store);
    folder_fini(&folder);
}

/* A name that comes back is a new revision: what was made for the old one stays apart. */
static void a_deleted_name_goes_on_counting(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    struct store *const store = folder_open(&folder);
    struct err err = {0};
    struct store_forecaster got;
    int64_t model;
    assert_err(store_forecaster_delete(store, "x", &err), &err, ERR_NOT_FOUND,
               "forecaster: x not found");
    err = (struct err){0};
    assert_put(store, "x", "{}", 1, true);
    assert_ok(
        store_model_publish(store,
                            &(struct store_publication){
                                .forecaster = "x", .revision = 1, .bytes = "m", .len = 1},
                            &model, &err),
        &err);
    assert_ok(store_forecaster_delete(store, "x", &err), &err);
    assert_err(store_forecaster_get(store, "x", &got, &err), &err, ERR_NOT_FOUND, "x");
    assert_err(store_forecaster_delete(store, "x", &err), &err, ERR_NOT_FOUND, "x");
    err = (struct err){0};
    struct store_forecaster *all;
    size_t count;
    assert_ok(store_forecasters(store, &all, &count, &err), &err);
    assert_int_equal(count, 0);
    free(all);
    assert_put(store, "x", "{}", 3, true);
    struct store_model newest;
    assert_err(store_model_serving(store, "x", &newest, &err), &err, ERR_NOT_FOUND,
               "model: x");
    store_close(store);
    folder_fini(&folder);
}

static void assert_policy(struct store *store, const char *policy, int64_t revision)
{
    struct err err = {0};
    struct store_forecaster got;
    assert_ok(store_forecaster_get(store, "x", &got, &err), &err);
    assert_string_equal(got.policy, policy);
    assert_int_equal(got.revision, revision);
    store_forecaster_fini(&got);
}

/* How it is run does not make its model another one's. */
static void a_policy_changes_without_a_revision(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    struct store *const store = folder_open(&folder);
    struct err err = {0};
    struct store_model model;
    int64_t revision, id;
    bool created;
    assert_put(store, "x", "{}", 1, true);
    const struct store_publication publication = {
        .forecaster = "x", .revision = 1, .bytes = "m", .len = 1};
    assert_ok(store_model_publish(store, &publication, &id, &err), &err);
    assert_ok(store_forecaster_put(store, "x", "{}", "{\"train\":1}", &revision, &created,
                                   &err),
              &err);
    assert_false(created);
    assert_policy(store, "{\"train\":1}", 1);
    assert_ok(store_model_serving(store, "x", &model, &err), &err);
    assert_int_equal(model.id, id);
    store_model_fini(&model);
    store_close(store);
    folder_fini(&folder);
}

static void apply(struct store *store, const char *const (*files)[2], size_t count,
                  size_t created, size_t changed, size_t deleted)
{
    struct err err = {0};
    struct store_applied applied;
    static char policy[] = "{}", origin[] = "/etc/web.conf";
    struct store_forecaster list[4] = {0};
    for (size_t i = 0; i < count; i++)
        list[i] = (struct store_forecaster){.name = (char *)(uintptr_t)files[i][0],
                                            .body = (char *)(uintptr_t)files[i][1],
                                            .policy = policy,
                                            .origin = origin};
    assert_ok(store_forecasters_apply(store, list, count, &applied, &err), &err);
    assert_int_equal(applied.created, created);
    assert_int_equal(applied.changed, changed);
    assert_int_equal(applied.deleted, deleted);
}

static void files_own_what_they_define(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    struct store *const store = folder_open(&folder);
    struct err err = {0};
    struct store_forecaster got;
    int64_t revision;
    bool created;
    assert_put(store, "x", "{}", 1, true);
    assert_put(store, "other", "{}", 1, true);
    static const char *const both[][2] = {{"x", "{}"}, {"y", "{}"}};
    apply(store, both, 2, 1, 1, 0); /* x was there: it is the file's now */
    apply(store, both, 2, 0, 0, 0);
    assert_policy(store, "{}", 1);
    assert_err(store_forecaster_put(store, "x", "{}", "{}", &revision, &created, &err),
               &err, ERR_CONFLICT, "forecaster: x is defined in /etc/web.conf");
    assert_err(store_forecaster_delete(store, "y", &err), &err, ERR_CONFLICT,
               "y is defined in /etc/web.conf");
    static const char *const one[][2] = {{"y", "{\"n\":1}"}};
    apply(store, one, 1, 0, 1, 1);
    assert_err(store_forecaster_get(store, "x", &got, &err), &err, ERR_NOT_FOUND, "x");
    err = (struct err){0};
    assert_ok(store_forecaster_get(store, "other", &got, &err), &err);
    store_forecaster_fini(&got);
    apply(store, NULL, 0, 0, 0, 1);
    assert_put(store, "y", "{}", 4, true); /* free again */
    store_close(store);
    folder_fini(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_revision_counts_changes),
        cmocka_unit_test(a_deleted_name_goes_on_counting),
        cmocka_unit_test(a_policy_changes_without_a_revision),
        cmocka_unit_test(files_own_what_they_define),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
