/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include "tests/storage/folder.h"

static void firing_is_remembered_with_its_job(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    struct store *store = folder_open(&folder);
    struct err err = {0};
    struct store_schedule *all = NULL;
    struct store_job job = {0};
    size_t count = 1;
    int64_t id = -1, again = -1;
    assert_ok(store_schedules(store, &all, &count, &err), &err);
    assert_int_equal(count, 0);
    const struct store_job_wish wish = {
        .kind = "train", .forecaster = "web", .reason = "schedule"};
    assert_ok(store_schedule_fire(store, "web", "train", 1000, "{}", &wish, &id, &err),
              &err);
    assert_true(id > 0);
    store_close(store);
    store = folder_open(&folder);
    /* It is still waiting: one job sees to both. */
    assert_ok(store_schedule_fire(store, "web", "train", 2000, NULL, &wish, &again, &err),
              &err);
    assert_int_equal(again, id);
    assert_ok(store_schedule_fire(store, "web", "forecast", 7, NULL, NULL, &again, &err),
              &err);
    assert_int_equal(again, 0);
    assert_ok(store_schedules(store, &all, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_string_equal(all[0].kind, "forecast");
    assert_int_equal(all[0].fired_ms, 7);
    assert_null(all[0].memo);
    assert_string_equal(all[1].forecaster, "web");
    assert_string_equal(all[1].kind, "train");
    assert_int_equal(all[1].fired_ms, 2000);
    assert_string_equal(all[1].memo, "{}");
    store_schedules_fini(all, count);
    assert_ok(store_job_get(store, id, &job, &err), &err);
    assert_string_equal(job.state, "queued");
    assert_string_equal(job.reason, "schedule");
    store_job_fini(&job);
    store_close(store);
    folder_fini(&folder);
}

/* A job that cannot be queued: the instant was not seen to either. */
static void a_fire_that_fails_leaves_nothing(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    struct store *const store = folder_open(&folder);
    struct err err = {0};
    struct store_schedule *all = NULL;
    size_t count = 1;
    int64_t id = 0;
    const struct store_job_wish wish = {.kind = "a kind that is too long",
                                        .forecaster = "web"};
    assert_err(store_schedule_fire(store, "web", "train", 1, NULL, &wish, &id, &err),
               &err, ERR_INVALID, "kind: at most 15 bytes");
    err = (struct err){0};
    assert_ok(store_schedules(store, &all, &count, &err), &err);
    assert_int_equal(count, 0);
    store_close(store);
    folder_fini(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(firing_is_remembered_with_its_job),
        cmocka_unit_test(a_fire_that_fails_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
