/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A training job against a store of its own, with a clock that the test moves.
 */
#include "tests/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/api.h"
#include "base/mem.h"
#include "daemon/train_job.h"
#include "storage/storage.h"

#define HOUR INT64_C(3600000)
#define START INT64_C(1790000000000)

enum { HOURS = 400 };

struct bench {
    char folder[64];
    int64_t now_ms;
    struct store *store;
    struct serving *serving;
    int calls; /* of the progress hook */
    int stop_at;
};

static int64_t bench_now(void *ctx)
{
    const struct bench *const b = ctx;
    return b->now_ms;
}

static int on_progress(void *ctx, const struct model_progress *progress)
{
    struct bench *const b = ctx;
    (void)progress;
    return ++b->calls == b->stop_at;
}

static void samples_add(struct bench *b)
{
    struct err err = {0};
    struct store_counts counts;
    struct store_batch *const batch = store_batch_new();
    store_batch_history(batch);
    const uint32_t series = store_batch_series(batch, "load");
    for (int i = 0; i < HOURS; i++)
        store_batch_add(batch, series, START / HOUR * HOUR - (HOURS - i) * HOUR,
                        sin(i / 3.1) + sin(i / 1.7));
    assert_ok(store_append_wait(b->store, batch, &counts, &err), &err);
}

/* One that arrives now. */
static void sample_add(struct bench *b, int64_t time_ms, double value)
{
    struct err err = {0};
    struct store_counts counts;
    struct store_batch *const batch = store_batch_new();
    store_batch_add(batch, store_batch_series(batch, "load"), time_ms, value);
    assert_ok(store_append_wait(b->store, batch, &counts, &err), &err);
}

static void forecaster_put(struct bench *b, const char *name, const char *select)
{
    struct err err = {0};
    int64_t revision;
    bool created;
    char *const body = mem_printf(
        "{\"select\": \"%s\", \"step\": \"1h\", \"lookback\": 24, \"horizon\": 12,"
        " \"settings\": {\"width\": 8, \"ff\": 8, \"heads\": 1, \"lift\": 1, \"rank\": 2,"
        " \"epochs\": 2, \"steps_per_epoch\": 5, \"batch\": 4}}",
        select);
    assert_ok(store_forecaster_put(b->store, name, body, "{}", &revision, &created, &err),
              &err);
    free(body);
}

static int setup(void **state)
{
    struct bench *const b = mem_new(1, sizeof *b);
    struct err err = {0};
    b->now_ms = START;
    snprintf(b->folder, sizeof b->folder, "/tmp/frwkvd-test-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    char *const uri = mem_printf("sqlite:%s", b->folder);
    struct store_options options = store_options_default();
    options.clock = (struct clock){bench_now, b};
    b->store = store_open(uri, &options, &err);
    free(uri);
    assert_non_null(b->store);
    b->serving = serving_new(b->store, options.clock);
    samples_add(b);
    static const char body[] =
        "{\"select\": \"load\", \"step\": \"1h\", \"lookback\": 24, \"horizon\": 12,"
        " \"settings\": {\"width\": 8, \"ff\": 8, \"heads\": 1, \"lift\": 1, \"rank\": 2,"
        " \"epochs\": 2, \"steps_per_epoch\": 5, \"batch\": 4}}";
    int64_t revision;
    bool created;
    assert_ok(
        store_forecaster_put(b->store, "load", body, "{}", &revision, &created, &err),
        &err);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *const b = *state;
    serving_free(b->serving);
    store_close(b->store);
    char *const command = mem_printf("rm -rf %s", b->folder);
    const int removed = system(command);
    free(command);
    free(b);
    return removed;
}

static struct store_job job_claim(struct bench *b, int64_t id)
{
    struct err err = {0};
    struct store_job job = {0};
    bool found = false;
    assert_ok(store_job_claim(b->store, "me", NULL, 60000, &job, &found, &err), &err);
    assert_true(found);
    assert_int_equal(job.id, id);
    return job;
}

/* Queues a training and takes it. */
static struct store_job job_take_of(struct bench *b, const char *forecaster)
{
    struct err err = {0};
    int64_t id;
    bool created;
    assert_ok(
        store_job_add(b->store,
                      &(struct store_job_wish){.kind = "train", .forecaster = forecaster},
                      &id, &created, &err),
        &err);
    assert_true(created);
    return job_claim(b, id);
}

static struct store_job job_take(struct bench *b)
{
    return job_take_of(b, "load");
}

/* The next process takes the job of one that died. */
static void job_take_again(struct bench *b, struct store_job *job)
{
    const int64_t id = job->id;
    store_job_fini(job);
    *job = job_claim(b, id);
    assert_true(job->attempts > 1);
}

static int job_run(struct bench *b, const struct store_job *job, struct err *err)
{
    const struct job_run run = {.store = b->store,
                                .serving = b->serving,
                                .job = job,
                                .checkpoint_folder = b->folder,
                                .checkpoint_s = 1,
                                .threads = 1,
                                .progress = on_progress,
                                .progress_ctx = b};
    return train_job_run(&run, err);
}

static void assert_state(struct bench *b, int64_t id, const char *state)
{
    struct err err = {0};
    struct store_job job = {0};
    assert_ok(store_job_get(b->store, id, &job, &err), &err);
    assert_string_equal(job.state, state);
    store_job_fini(&job);
}

static struct store_model newest_of(struct bench *b, const char *forecaster)
{
    struct err err = {0};
    struct store_model model = {0};
    assert_ok(store_model_serving(b->store, forecaster, &model, &err), &err);
    return model;
}

static struct store_model newest(struct bench *b)
{
    return newest_of(b, "load");
}

static void it_publishes_and_issues(void **state)
{
    struct bench *const b = *state;
    struct err err = {0};
    struct store_job job = job_take(b);
    assert_ok(job_run(b, &job, &err), &err);
    assert_state(b, job.id, "done");
    struct store_model model = newest(b);
    assert_true(model.watermark_ms <= b->now_ms);
    struct store_issued *issued = NULL;
    size_t count = 0;
    assert_ok(store_issue_newest(b->store, "load", b->now_ms, &issued, &count, &err),
              &err);
    assert_int_equal(count, 1);
    assert_int_equal(issued[0].model_id, model.id);
    assert_int_equal(issued[0].steps, 12);
    store_issued_fini(issued, count);
    store_model_fini(&model);
    store_job_fini(&job);
}

/* The process died after publishing and before issuing. */
static void a_published_model_is_not_trained_again(void **state)
{
    struct bench *const b = *state;
    struct err err = {0};
    struct store_job first = job_take(b);
    assert_ok(job_run(b, &first, &err), &err);
    struct store_model model = newest(b);

    struct store_job job = job_take(b);
    int64_t id;
    const struct store_publication publication = {.forecaster = "load",
                                                  .revision = model.forecaster_revision,
                                                  .watermark_ms = model.watermark_ms,
                                                  .bytes = model.bytes,
                                                  .len = model.len,
                                                  .job_id = job.id};
    assert_ok(store_model_publish(b->store, &publication, &id, &err), &err);
    char *const checkpoint = mem_printf("%s/load-%d.safetensors", b->folder, (int)job.id);
    fclose(fopen(checkpoint, "w"));
    job_take_again(b, &job);
    b->calls = 0;
    assert_ok(job_run(b, &job, &err), &err);
    assert_int_equal(b->calls, 0);
    assert_int_equal(access(checkpoint, F_OK), -1); /* removed at the end */
    free(checkpoint);
    assert_state(b, job.id, "done");
    struct store_model again = newest(b);
    assert_int_equal(again.id, id);
    store_model_fini(&again);
    store_model_fini(&model);
    store_job_fini(&first);
    store_job_fini(&job);
}

/* A clock that was set back must not make a training reuse old weights. */
static void an_old_model_from_the_future_does_not_count(void **state)
{
    struct bench *const b = *state;
    struct err err = {0};
    struct store_job job = job_take(b);
    assert_ok(job_run(b, &job, &err), &err);
    store_job_fini(&job);
    b->now_ms -= HOUR;
    job = job_take(b);
    b->calls = 0;
    assert_ok(job_run(b, &job, &err), &err);
    assert_true(b->calls > 0);
    store_job_fini(&job);
}

/* A stop at every point, hours that pass and samples that arrive meanwhile change nothing
 * in what comes out. */
static void an_interrupted_job_ends_with_the_same_model(void **state)
{
    struct bench *const b = *state;
    struct err err = {0};
    forecaster_put(b, "other", "load");
    struct store_job job = job_take_of(b, "other");
    assert_ok(job_run(b, &job, &err), &err);
    struct store_model undisturbed = newest_of(b, "other");
    store_job_fini(&job);

    job = job_take(b);
    int stops = 0;
    for (int at = 1;; at++, stops++) {
        err = (struct err){0};
        b->calls = 0;
        b->stop_at = at;
        if (job_run(b, &job, &err) == 0)
            break;
        assert_int_equal(err.code, ERR_CANCELLED);
        sample_add(b, b->now_ms - 1, 1e6);
        b->now_ms += HOUR;
        job_take_again(b, &job);
    }
    assert_true(stops > 2);
    assert_state(b, job.id, "done");
    struct store_model disturbed = newest(b);
    assert_memory_equal(disturbed.hash, undisturbed.hash, STORE_HASH_SIZE);
    store_model_fini(&disturbed);
    store_model_fini(&undisturbed);
    store_job_fini(&job);
}

/* More hours of the series, from where the clock stands; it moves along. */
static void hours_add(struct bench *b, int hours, double period)
{
    struct err err = {0};
    struct store_counts counts;
    struct store_batch *const batch = store_batch_new();
    store_batch_history(batch);
    const uint32_t series = store_batch_series(batch, "load");
    for (int i = 0; i < hours; i++)
        store_batch_add(batch, series, b->now_ms / HOUR * HOUR + i * HOUR,
                        sin(i / period) + sin(2.1 * i / period));
    assert_ok(store_append_wait(b->store, batch, &counts, &err), &err);
    b->now_ms += hours * HOUR;
}

/* Trains; whether the new model serves, and what its trial said. */
static bool challenger_serves(struct bench *b, const struct store_model *champion)
{
    struct err err = {0};
    struct store_job job = job_take(b);
    struct store_model made = {0}, serving;
    assert_ok(job_run(b, &job, &err), &err);
    assert_ok(store_model_of_job(b->store, job.id, &made, &err), &err);
    assert_int_not_equal(made.id, champion->id);
    assert_non_null(made.trial);
    /* It has not seen the steps it was tried on. */
    assert_int_equal(made.watermark_ms, b->now_ms / HOUR * HOUR - 12 * HOUR);
    serving = newest(b);
    assert_int_equal(serving.id, made.serves ? made.id : champion->id);
    const bool serves = made.serves;
    assert_non_null(strstr(made.trial, serves ? "\"better\":true" : "\"better\":false"));
    /* The forecast that ends the job is by whoever serves. */
    struct store_issued *issued = NULL;
    size_t count = 0;
    assert_ok(store_issue_newest(b->store, "load", b->now_ms, &issued, &count, &err),
              &err);
    assert_int_equal(issued[0].model_id, serving.id);
    store_issued_fini(issued, count);
    store_model_fini(&made);
    store_model_fini(&serving);
    store_job_fini(&job);
    return serves;
}

/* A later training of the same data ends with the same bytes as a first one would. */
static void a_training_owes_nothing_to_the_one_before(void **state)
{
    struct bench *const b = *state;
    struct err err = {0};
    struct store_job job = job_take(b);
    struct store_model first = {0}, later = {0}, alone = {0};
    assert_ok(job_run(b, &job, &err), &err);
    assert_ok(store_model_of_job(b->store, job.id, &first, &err), &err);
    store_job_fini(&job);
    hours_add(b, 100, 7.7);
    /* The newest 12 hours are for its trial; who has none before it does without them. */
    b->now_ms -= 12 * HOUR;
    forecaster_put(b, "alone", "load");
    job = job_take_of(b, "alone");
    assert_ok(job_run(b, &job, &err), &err);
    assert_ok(store_model_of_job(b->store, job.id, &alone, &err), &err);
    store_job_fini(&job);
    b->now_ms += 12 * HOUR;
    job = job_take(b);
    assert_ok(job_run(b, &job, &err), &err);
    assert_ok(store_model_of_job(b->store, job.id, &later, &err), &err);
    store_job_fini(&job);
    assert_memory_equal(later.hash, alone.hash, sizeof later.hash);
    assert_memory_not_equal(later.hash, first.hash, sizeof later.hash);
    store_model_fini(&first);
    store_model_fini(&later);
    store_model_fini(&alone);
}

/* The rhythm has changed: who learnt the new one is better on what nobody has seen. */
static void a_better_challenger_takes_over(void **state)
{
    struct bench *const b = *state;
    struct err err = {0};
    struct store_job job = job_take(b);
    assert_ok(job_run(b, &job, &err), &err);
    store_job_fini(&job);
    struct store_model champion = newest(b);
    hours_add(b, 600, 7.7);
    assert_true(challenger_serves(b, &champion));
    store_model_fini(&champion);
}

/* It learnt what was never to be seen again. */
static void a_worse_challenger_is_kept_but_does_not_serve(void **state)
{
    struct bench *const b = *state;
    struct err err = {0};
    hours_add(b, 400, 3.1);
    struct store_job job = job_take(b);
    assert_ok(job_run(b, &job, &err), &err);
    store_job_fini(&job);
    struct store_model champion = newest(b);
    /* Then noise, and at last the old rhythm. */
    for (int i = 0; i < 500; i++) {
        sample_add(b, b->now_ms / HOUR * HOUR, (double)(i * 7919 % 101) / 25);
        b->now_ms += HOUR;
    }
    hours_add(b, 150, 3.1);
    assert_false(challenger_serves(b, &champion));
    store_model_fini(&champion);
}

static void a_forecaster_without_data_says_so(void **state)
{
    struct bench *const b = *state;
    struct err err = {0};
    forecaster_put(b, "load", "nothing");
    struct store_job job = job_take(b);
    assert_err(job_run(b, &job, &err), &err, ERR_CONFLICT, "no series matches nothing");
    assert_state(b, job.id, "running"); /* the runner ends it */
    store_job_fini(&job);
}

/* Of values that no forecast can hold. */
static void nothing_to_forecast_is_no_failed_training(void **state)
{
    struct bench *const b = *state;
    struct err err = {0};
    struct store_counts counts;
    struct store_batch *const batch = store_batch_new();
    store_batch_history(batch);
    const uint32_t series = store_batch_series(batch, "huge");
    for (int i = 0; i < HOURS; i++)
        store_batch_add(batch, series, START / HOUR * HOUR - (HOURS - i) * HOUR,
                        1e39 * (3 + sin(i / 3.1)));
    assert_ok(store_append_wait(b->store, batch, &counts, &err), &err);
    forecaster_put(b, "huge", "huge");
    struct store_job job = job_take_of(b, "huge");
    assert_ok(job_run(b, &job, &err), &err);
    struct store_model model = newest_of(b, "huge");
    assert_int_equal(model.job_id, job.id);
    assert_true(model.serves);
    struct store_job ended = {0};
    assert_ok(store_job_get(b->store, job.id, &ended, &err), &err);
    assert_string_equal(ended.state, "done");
    assert_non_null(strstr(ended.result, "\"serves\":true"));
    assert_non_null(strstr(ended.error, "the model is published, but no forecast was "
                                        "issued: no series can be forecast now: "));
    store_job_fini(&ended);
    store_model_fini(&model);
    store_job_fini(&job);
}

int main(void)
{
    model_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_publishes_and_issues, setup, teardown),
        cmocka_unit_test_setup_teardown(a_published_model_is_not_trained_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_old_model_from_the_future_does_not_count,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(an_interrupted_job_ends_with_the_same_model,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_training_owes_nothing_to_the_one_before, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_better_challenger_takes_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_worse_challenger_is_kept_but_does_not_serve,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_forecaster_without_data_says_so, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nothing_to_forecast_is_no_failed_training, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
