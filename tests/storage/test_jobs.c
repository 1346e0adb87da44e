/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include "tests/storage/folder.h"

enum { LEASE_MS = 1000 };

struct fixture {
    struct folder folder;
    struct store *store;
};

static int setup(void **state)
{
    struct fixture *const fixture = mem_new(1, sizeof *fixture);
    folder_init(&fixture->folder);
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

static int64_t add(struct store *store, const char *forecaster, bool want_created)
{
    struct err err = {0};
    int64_t id;
    bool created;
    assert_ok(
        store_job_add(store,
                      &(struct store_job_wish){.kind = "train", .forecaster = forecaster},
                      &id, &created, &err),
        &err);
    assert_int_equal(created, want_created);
    return id;
}

/* The id of what was claimed, 0 for nothing. */
static int64_t claim(struct store *store, const char *owner)
{
    struct err err = {0};
    struct store_job job;
    bool found;
    assert_ok(store_job_claim(store, owner, NULL, LEASE_MS, &job, &found, &err), &err);
    if (!found)
        return 0;
    assert_string_equal(job.state, "running");
    assert_string_equal(job.owner, owner);
    store_job_fini(&job);
    return job.id;
}

static struct store_job get(struct store *store, int64_t id)
{
    struct err err = {0};
    struct store_job job;
    assert_ok(store_job_get(store, id, &job, &err), &err);
    return job;
}

static void assert_state(struct store *store, int64_t id, const char *want)
{
    struct store_job job = get(store, id);
    assert_string_equal(job.state, want);
    store_job_fini(&job);
}

static void runs_oldest_first_and_once(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    struct err err = {0};
    assert_int_equal(claim(store, "a"), 0);
    const int64_t first = add(store, "x", true);
    const int64_t second = add(store, "y", true);
    assert_int_equal(add(store, "x", false), first);
    assert_int_equal(claim(store, "a"), first);
    assert_int_equal(add(store, "x", false), first); /* running counts too */
    assert_int_equal(claim(store, "b"), second);
    assert_int_equal(claim(store, "c"), 0);
    bool cancel = true;
    fixture->folder.now_ms += 10;
    assert_ok(
        store_job_progress(store, first, "a", LEASE_MS, "{\"epoch\":1}", &cancel, &err),
        &err);
    assert_false(cancel);
    fixture->folder.now_ms += 10;
    assert_ok(store_job_finish(store, first, "a", "done", "{\"ok\":true}", NULL, &err),
              &err);
    struct store_job job = get(store, first);
    assert_string_equal(job.kind, "train");
    assert_string_equal(job.forecaster, "x");
    assert_string_equal(job.state, "done");
    assert_string_equal(job.progress, "{\"epoch\":1}");
    assert_string_equal(job.result, "{\"ok\":true}");
    assert_null(job.error);
    assert_int_equal(job.attempts, 1);
    assert_int_equal(job.started_ms, fixture->folder.now_ms - 20);
    assert_int_equal(job.finished_ms, fixture->folder.now_ms);
    store_job_fini(&job);
    assert_int_equal(add(store, "x", true), second + 1);
    struct store_job *jobs;
    size_t count;
    assert_ok(store_jobs(store, NULL, 2, &jobs, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_int_equal(jobs[0].id, second + 1);
    assert_int_equal(jobs[1].id, second);
    for (size_t i = 0; i < count; i++)
        store_job_fini(&jobs[i]);
    free(jobs);
    assert_ok(store_job_finish(store, second, "b", "failed", NULL, "too little", &err),
              &err);
    job = get(store, second);
    assert_string_equal(job.error, "too little");
    store_job_fini(&job);
}

static void a_lease_that_passed_is_taken_over(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    struct err err = {0};
    bool cancel;
    const int64_t id = add(store, "x", true);
    assert_int_equal(claim(store, "a"), id);
    fixture->folder.now_ms += LEASE_MS - 1;
    assert_int_equal(claim(store, "b"), 0);
    assert_ok(store_job_progress(store, id, "a", LEASE_MS, NULL, &cancel, &err), &err);
    fixture->folder.now_ms += LEASE_MS - 1;
    assert_int_equal(claim(store, "b"), 0);
    fixture->folder.now_ms += 1;
    assert_int_equal(claim(store, "b"), id);
    /* The first owner has nothing more to say about it. */
    assert_err(store_job_progress(store, id, "a", LEASE_MS, "{}", &cancel, &err), &err,
               ERR_CONFLICT, "belongs to b, not to a");
    assert_err(store_job_finish(store, id, "a", "done", "{}", NULL, &err), &err,
               ERR_CONFLICT, "belongs to b");
    assert_err(store_job_release(store, id, "a", &err), &err, ERR_CONFLICT,
               "belongs to b");
    struct store_job job = get(store, id);
    assert_int_equal(job.attempts, 2);
    assert_null(job.progress);
    store_job_fini(&job);
}

static void an_owner_finds_its_own_after_a_restart(void **state)
{
    struct fixture *const fixture = *state;
    const int64_t id = add(fixture->store, "x", true);
    assert_int_equal(claim(fixture->store, "a"), id);
    store_close(fixture->store);
    fixture->store = folder_open(&fixture->folder);
    assert_int_equal(claim(fixture->store, "b"), 0);
    assert_int_equal(claim(fixture->store, "a"), id);
}

static void a_released_job_waits_again(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    struct err err = {0};
    const int64_t id = add(store, "x", true);
    claim(store, "a");
    assert_ok(store_job_release(store, id, "a", &err), &err);
    assert_state(store, id, "queued");
    assert_int_equal(claim(store, "b"), id);
}

static void cancelling(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    struct err err = {0};
    bool cancel = false;
    const int64_t waiting = add(store, "x", true);
    assert_ok(store_job_cancel(store, waiting, &err), &err);
    assert_state(store, waiting, "cancelled");
    assert_err(store_job_cancel(store, waiting, &err), &err, ERR_CONFLICT,
               "it is cancelled");
    assert_err(store_job_cancel(store, 999, &err), &err, ERR_NOT_FOUND, "999");
    err = (struct err){0};

    const int64_t running = add(store, "x", true);
    claim(store, "a");
    assert_ok(store_job_cancel(store, running, &err), &err);
    assert_state(store, running, "running");
    assert_ok(store_job_progress(store, running, "a", LEASE_MS, "{}", &cancel, &err),
              &err);
    assert_true(cancel);
    assert_ok(store_job_finish(store, running, "a", "cancelled", NULL, NULL, &err), &err);

    /* Its owner died before it heard of it. */
    const int64_t orphan = add(store, "x", true);
    claim(store, "a");
    assert_ok(store_job_cancel(store, orphan, &err), &err);
    fixture->folder.now_ms += LEASE_MS;
    assert_int_equal(claim(store, "b"), 0);
    assert_state(store, orphan, "cancelled");

    /* Released instead of reported. */
    const int64_t released = add(store, "x", true);
    claim(store, "a");
    assert_ok(store_job_cancel(store, released, &err), &err);
    assert_ok(store_job_release(store, released, "a", &err), &err);
    assert_state(store, released, "cancelled");
}

/* A failure that may pass: the job waits, and others do not wait for it. */
static void a_job_to_retry_comes_back_later(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    struct err err = {0};
    const int64_t first = add(store, "x", true), second = add(store, "y", true);
    assert_int_equal(claim(store, "a"), first);
    assert_ok(store_job_retry(store, first, "a", fixture->folder.now_ms + 500,
                              "the disk is full", &err),
              &err);
    struct store_job job = get(store, first);
    assert_string_equal(job.state, "queued");
    assert_string_equal(job.error, "the disk is full");
    assert_int_equal(job.retries, 1);
    assert_int_equal(job.not_before_ms, fixture->folder.now_ms + 500);
    store_job_fini(&job);
    assert_int_equal(claim(store, "a"), second);
    assert_ok(store_job_finish(store, second, "a", "done", NULL, NULL, &err), &err);
    assert_int_equal(claim(store, "a"), 0);
    fixture->folder.now_ms += 500;
    assert_int_equal(claim(store, "a"), first);
    assert_ok(store_job_finish(store, first, "a", "done", "{}", NULL, &err), &err);
    job = get(store, first);
    assert_null(job.error);
    store_job_fini(&job);
}

/* It kills its process, over and over, before it has done anything. */
static void a_job_that_kills_its_process_is_failed(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    struct err err = {0};
    bool cancel;
    const int64_t deadly = add(store, "x", true), other = add(store, "y", true);
    for (int i = 0; i < STORE_JOB_BARREN - 1; i++)
        assert_int_equal(claim(store, "a"), deadly);
    /* A word of progress, and it has as many lives again. */
    assert_ok(store_job_progress(store, deadly, "a", LEASE_MS, NULL, &cancel, &err),
              &err);
    for (int i = 0; i < STORE_JOB_BARREN; i++)
        assert_int_equal(claim(store, "a"), deadly);
    assert_int_equal(claim(store, "a"), other);
    struct store_job job = get(store, deadly);
    assert_string_equal(job.state, "failed");
    assert_non_null(strstr(job.error, "takes its process down"));
    store_job_fini(&job);
}

/* Two who share a name, each with kinds of its own, leave each other's jobs alone. */
static void kinds_are_claimed_apart(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    struct err err = {0};
    struct store_job job;
    const struct store_job_wish wish = {.kind = "forecast",
                                        .forecaster = "x",
                                        .reason = "schedule",
                                        .params = "{\"n\":1}"};
    int64_t id;
    bool created, found;
    const int64_t train = add(store, "x", true);
    assert_ok(store_job_add(store, &wish, &id, &created, &err), &err);
    assert_true(created);
    for (int round = 0; round < 2; round++) {
        assert_ok(
            store_job_claim(store, "a", "train backtest", LEASE_MS, &job, &found, &err),
            &err);
        assert_true(found);
        assert_int_equal(job.id, train);
        assert_string_equal(job.reason, "asked");
        assert_null(job.params);
        store_job_fini(&job);
        assert_ok(store_job_claim(store, "a", "forecast", LEASE_MS, &job, &found, &err),
                  &err);
        assert_true(found);
        assert_int_equal(job.id, id);
        assert_string_equal(job.reason, "schedule");
        assert_string_equal(job.params, "{\"n\":1}");
        store_job_fini(&job);
    }
    assert_ok(store_job_claim(store, "a", "fore", LEASE_MS, &job, &found, &err), &err);
    assert_false(found);
}

static void bad_calls_are_refused(void **state)
{
    struct fixture *const fixture = *state;
    struct store *const store = fixture->store;
    struct err err = {0};
    struct store_job job;
    int64_t id;
    bool created;
    assert_err(store_job_get(store, 1, &job, &err), &err, ERR_NOT_FOUND, "job: 1");
    assert_err(store_job_add(store,
                             &(struct store_job_wish){.kind = "a kind that is too long",
                                                      .forecaster = "x"},
                             &id, &created, &err),
               &err, ERR_INVALID, "kind: at most 15 bytes");
    assert_err(store_job_finish(store, 1, "a", "lost", NULL, NULL, &err), &err,
               ERR_INVALID, "state: ");
    assert_err(store_job_finish(store, 1, "a", "done", NULL, NULL, &err), &err,
               ERR_NOT_FOUND, "job: 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(runs_oldest_first_and_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lease_that_passed_is_taken_over, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_owner_finds_its_own_after_a_restart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_released_job_waits_again, setup, teardown),
        cmocka_unit_test_setup_teardown(cancelling, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_to_retry_comes_back_later, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_that_kills_its_process_is_failed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(kinds_are_claimed_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_calls_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
