/* SPDX-License-Identifier: GPL-2.0-or-later */
/* P6: a training killed at any step goes on from its checkpoint to the same bytes. */
#include "tests/model/small.h"

#include <unistd.h>

#include "model/checkpoint.h"
#include "model/digest.h"

/* A path in a folder of this test's own. */
static char *checkpoint_path(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/frwkvd-test-%d.checkpoint", (int)getpid());
    return path;
}

static uint64_t digest_of(const struct model *model)
{
    void *bytes;
    size_t len;
    struct err err = {0};
    struct digest d = {0};
    assert_ok(model_save(model, &bytes, &len, &err), &err);
    digest_bytes(&d, bytes, len);
    free(bytes);
    return d.state;
}

/* Stops at the n-th beat of its progress. */
struct killer {
    int beats_left;
    uint64_t steps_seen;
    char phase[16], notes[400];
};

static int count_down(void *ctx, const struct model_progress *progress)
{
    struct killer *const k = ctx;
    snprintf(k->phase, sizeof k->phase, "%s", progress->phase);
    assert_true(progress->step <= progress->steps || progress->steps == 0);
    if (progress->note) {
        snprintf(k->notes, sizeof k->notes, "%s", progress->note);
        return 0;
    }
    k->steps_seen = progress->step;
    return k->beats_left-- <= 0;
}

static struct model *train(const struct grid *grid, const struct model_spec *spec,
                           struct killer *killer, const char *checkpoint, size_t threads,
                           struct err *err)
{
    const struct model_hooks hooks = {.progress = killer ? count_down : NULL,
                                      .ctx = killer,
                                      .checkpoint_path = checkpoint,
                                      .checkpoint_s = 3600,
                                      .threads = threads};
    return model_train(grid, spec, &hooks, err);
}

static void the_same_bytes_for_one_thread_and_for_two(void **state)
{
    (void)state;
    struct grid grid = small_waves(200, 3);
    for (int group = 0; group < 2; group++) {
        const struct model_spec spec = waves_spec((enum model_group)group);
        struct err err = {0};
        uint64_t digests[3];
        static const size_t threads[] = {1, 2, 3};
        for (int i = 0; i < 3; i++) {
            struct model *const m = train(&grid, &spec, NULL, NULL, threads[i], &err);
            assert_non_null(m);
            assert_true(model_params(m) > 0);
            digests[i] = digest_of(m);
            model_free(m);
        }
        assert_true(digests[0] == digests[1] && digests[1] == digests[2]);
    }
    grid_fini(&grid);
}

static void killed_anywhere_it_ends_with_the_same_bytes(void **state)
{
    (void)state;
    struct grid grid = small_waves(200, 2); /* the network serves, so there is a refit */
    const struct model_spec spec = waves_spec(GROUP_EACH);
    struct err err = {0};
    struct model *const undisturbed = train(&grid, &spec, NULL, NULL, 1, &err);
    assert_non_null(undisturbed);
    assert_true(model_params(undisturbed) > 0);
    const uint64_t want = digest_of(undisturbed);
    model_free(undisturbed);

    char *const path = checkpoint_path();
    for (int beats = 0; beats < 7; beats++) {
        unlink(path);
        struct killer killer = {.beats_left = beats};
        err = (struct err){0};
        assert_null(train(&grid, &spec, &killer, path, 1, &err));
        assert_int_equal(err.code, ERR_CANCELLED);
        assert_int_equal(access(path, R_OK), 0);

        killer = (struct killer){.beats_left = 1000000};
        err = (struct err){0};
        struct model *const resumed = train(&grid, &spec, &killer, path, 2, &err);
        assert_non_null(resumed);
        assert_non_null(strstr(killer.notes, "going on"));
        assert_true(digest_of(resumed) == want);
        model_free(resumed);
    }

    /* Once more from the checkpoint that the end left: nothing is left to train. */
    struct killer killer = {.beats_left = 1000000};
    err = (struct err){0};
    struct model *const again = train(&grid, &spec, &killer, path, 1, &err);
    assert_non_null(again);
    assert_true(digest_of(again) == want);
    model_free(again);
    unlink(path);
    grid_fini(&grid);
}

/* Stops after every single step of fit and refit, and once in the judge part. */
struct stepper {
    int kills, judge_kills, refit_kills;
    uint64_t step; /* of the last kill: a run must get one step further */
};

static int stop_always(void *ctx, const struct model_progress *progress)
{
    struct stepper *const s = ctx;
    const bool judge = strcmp(progress->phase, "judge") == 0;
    if (progress->note || (judge && s->judge_kills > 0) || progress->step == s->step)
        return 0;
    s->step = progress->step;
    s->kills++;
    s->judge_kills += judge;
    s->refit_kills += strcmp(progress->phase, "refit") == 0;
    return 1;
}

static void killed_after_every_step_it_ends_with_the_same_bytes(void **state)
{
    (void)state;
    struct grid grid = small_waves(200, 2);
    const struct model_spec spec = waves_spec(GROUP_EACH);
    struct err err = {0};
    struct model *m = train(&grid, &spec, NULL, NULL, 1, &err);
    assert_non_null(m);
    assert_true(model_params(m) > 0);
    const uint64_t want = digest_of(m);
    model_free(m);

    char *const path = checkpoint_path();
    unlink(path);
    struct stepper stepper = {0};
    const struct model_hooks hooks = {
        .progress = stop_always, .ctx = &stepper, .checkpoint_path = path, .threads = 1};
    while (!(m = model_train(&grid, &spec, &hooks, &err))) {
        assert_int_equal(err.code, ERR_CANCELLED);
        err = (struct err){0};
    }
    assert_true(stepper.judge_kills == 1 && stepper.refit_kills > 5);
    assert_true(digest_of(m) == want);
    model_free(m);
    unlink(path);
    grid_fini(&grid);
}

static void a_damaged_or_foreign_checkpoint_is_ignored(void **state)
{
    (void)state;
    struct grid grid = small_grid(160, 2, 0.3);
    struct model_spec spec = small_spec(GROUP_JOINT);
    struct err err = {0};
    char *const path = checkpoint_path();
    struct killer killer = {.beats_left = 2};
    assert_null(train(&grid, &spec, &killer, path, 1, &err));
    err = (struct err){0};
    struct model *m = train(&grid, &spec, NULL, NULL, 1, &err);
    assert_non_null(m);
    const uint64_t want = digest_of(m);
    model_free(m);

    /* Flip a bit in the middle. */
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, 3000, SEEK_SET);
    const int byte = fgetc(file);
    fseek(file, 3000, SEEK_SET);
    fputc(byte ^ 4, file);
    fclose(file);
    killer = (struct killer){.beats_left = 1000000};
    m = train(&grid, &spec, &killer, path, 1, &err);
    assert_non_null(m);
    assert_non_null(strstr(killer.notes, "ignored"));
    assert_true(digest_of(m) == want);
    model_free(m);

    /* That run left a sound one; other data and other settings do not take it. */
    killer = (struct killer){.beats_left = 1000000};
    grid.values[0] += 1;
    m = train(&grid, &spec, &killer, path, 1, &err);
    assert_non_null(m);
    assert_non_null(strstr(killer.notes, "other data or settings"));
    model_free(m);
    grid.values[0] -= 1;
    small_set(&spec, "seed", "2");
    killer = (struct killer){.beats_left = 1000000};
    m = train(&grid, &spec, &killer, path, 1, &err);
    assert_non_null(m);
    assert_non_null(strstr(killer.notes, "other data or settings"));
    assert_true(digest_of(m) != want);
    model_free(m);

    assert_int_equal(truncate(path, 100), 0);
    killer = (struct killer){.beats_left = 1000000};
    m = train(&grid, &spec, &killer, path, 1, &err);
    assert_non_null(m);
    assert_non_null(strstr(killer.notes, "ignored"));
    model_free(m);
    unlink(path);
    grid_fini(&grid);
}

static void a_checkpoint_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    struct grid grid = small_grid(160, 1, 0.3);
    const struct model_spec spec = small_spec(GROUP_EACH);
    struct err err = {0};
    assert_null(train(&grid, &spec, NULL, "/nonexistent/folder/x", 1, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.msg, "/nonexistent/folder/x"));
    grid_fini(&grid);
}

static void it_learns_and_stops_early(void **state)
{
    (void)state;
    struct grid grid = small_grid(300, 2, 0.2);
    struct model_spec spec = small_spec(GROUP_JOINT);
    small_set(&spec, "epochs", "40");
    small_set(&spec, "cycle", "false"); /* it goes on getting better for long */
    struct err err = {0};
    struct model *const m = train(&grid, &spec, NULL, NULL, 2, &err);
    assert_non_null(m);
    const struct model_report *const r = model_report(m);
    assert_true(r->epoch_count > 3 && r->epoch_count < 40);
    const struct model_epoch *const e = r->epochs;
    assert_true(e[r->epoch_count - 1].loss_train < 0.8 * e[0].loss_train);
    size_t best = 0;
    for (size_t i = 0; i < r->epoch_count; i++)
        best = e[i].best ? i : best;
    assert_int_equal(r->epoch_count - 1 - best, 3); /* patience */
    model_free(m);
    grid_fini(&grid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bytes_for_one_thread_and_for_two),
        cmocka_unit_test(killed_anywhere_it_ends_with_the_same_bytes),
        cmocka_unit_test(killed_after_every_step_it_ends_with_the_same_bytes),
        cmocka_unit_test(a_damaged_or_foreign_checkpoint_is_ignored),
        cmocka_unit_test(a_checkpoint_that_cannot_be_written_is_an_error),
        cmocka_unit_test(it_learns_and_stops_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
