/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Samples through the store's own interface, against plain arrays. */
#include "tests/check.h"

#include <pthread.h>

#include "base/rng.h"
#include "tests/storage/folder.h"

/* ---- a few samples by hand ------------------------------------------------------ */

struct put {
    int64_t time_ms;
    double value;
};

static struct store_counts put(struct store *store, const char *name,
                               const struct put *samples, size_t count, bool history)
{
    struct err err = {0};
    struct store_counts counts = {0};
    struct store_batch *const batch = store_batch_new();
    const uint32_t series = store_batch_series(batch, name);
    assert_int_equal(store_batch_series(batch, name), series);
    for (size_t i = 0; i < count; i++)
        store_batch_add(batch, series, samples[i].time_ms, samples[i].value);
    assert_int_equal(store_batch_size(batch), count);
    if (history)
        store_batch_history(batch);
    assert_ok(store_append_wait(store, batch, &counts, &err), &err);
    return counts;
}

#define PUT(store, name, history, ...)                                                   \
    put(store, name, (const struct put[]){__VA_ARGS__},                                  \
        sizeof((const struct put[]){__VA_ARGS__}) / sizeof(struct put), history)

static void assert_counts(struct store_counts counts, uint64_t stored, uint64_t replaced,
                          uint64_t duplicate)
{
    assert_int_equal(counts.stored, stored);
    assert_int_equal(counts.replaced, replaced);
    assert_int_equal(counts.duplicate, duplicate);
}

static void assert_reads(struct store *store, const char *name, int64_t as_of_ms,
                         const struct put *want, size_t want_count)
{
    struct err err = {0};
    struct sample *samples;
    size_t count;
    assert_ok(store_read(store, name, INT64_MIN, INT64_MAX, as_of_ms, 0, &samples, &count,
                         &err),
              &err);
    assert_int_equal(count, want_count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(samples[i].time_ms, want[i].time_ms);
        assert_memory_equal(&samples[i].value, &want[i].value, sizeof(double));
    }
    free(samples);
}

#define READS(store, name, as_of, ...)                                                   \
    assert_reads(store, name, as_of, (const struct put[]){__VA_ARGS__},                  \
                 sizeof((const struct put[]){__VA_ARGS__}) / sizeof(struct put))

static void stores_counts_and_reads_back(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    struct store *store = folder_open(&folder);
    const int64_t t = folder.now_ms;
    assert_counts(PUT(store, "cpu", false, {t, 1.0}, {t + 1, 2.0}), 2, 0, 0);
    /* Order within a batch does not matter, the later of two equal instants wins. */
    assert_counts(
        PUT(store, "cpu", false, {t + 5, 5.0}, {t + 3, 3.0}, {t + 3, 3.5}, {t + 3, 3.5}),
        2, 1, 1);
    assert_counts(PUT(store, "cpu", false, {t, 1.0}, {t + 1, 2.5}, {t + 5, 5.0}), 0, 1,
                  2);
    /* Minus zero is another value than zero. */
    assert_counts(PUT(store, "cpu", false, {t + 6, 0.0}, {t + 6, -0.0}), 1, 1, 0);
    for (int reopened = 0; reopened < 2; reopened++) {
        READS(store, "cpu", AS_OF_NOW, {t, 1.0}, {t + 1, 2.5}, {t + 3, 3.5}, {t + 5, 5.0},
              {t + 6, -0.0});
        struct err err = {0};
        struct store_series series;
        assert_ok(store_series(store, "cpu", &series, &err), &err);
        assert_int_equal(series.samples, 5);
        assert_int_equal(series.first_ms, t);
        assert_int_equal(series.last_ms, t + 6);
        assert_true(series.last_value == 0.0 && signbit(series.last_value));
        struct sample *samples;
        size_t count;
        assert_ok(
            store_read(store, "cpu", t + 1, t + 6, AS_OF_NOW, 2, &samples, &count, &err),
            &err);
        assert_int_equal(count, 2);
        assert_int_equal(samples[0].time_ms, t + 1);
        assert_int_equal(samples[1].time_ms, t + 3);
        free(samples);
        assert_err(store_read(store, "nope", 0, 1, AS_OF_NOW, 0, &samples, &count, &err),
                   &err, ERR_NOT_FOUND, "nope");
        assert_err(store_series(store, "nope", &series, &err), &err, ERR_NOT_FOUND,
                   "series: nope");
        store_close(store);
        store = folder_open(&folder);
    }
    store_close(store);
    folder_fini(&folder);
}

static void an_empty_batch_is_acknowledged(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    struct store *const store = folder_open(&folder);
    struct store_batch *const batch = store_batch_new();
    store_batch_series(batch, "named_but_without_samples");
    struct store_counts counts = {9, 9, 9};
    struct err err = {0};
    assert_ok(store_append_wait(store, batch, &counts, &err), &err);
    assert_counts(counts, 0, 0, 0);
    struct store_names names;
    assert_ok(store_select(store, NULL, 0, &names, &err), &err);
    assert_int_equal(names.count, 0);
    store_names_fini(&names);
    store_close(store);
    folder_fini(&folder);
}

/* What could not be read back from the log never gets there. */
static void an_impossible_sample_refuses_its_batch(void **state)
{
    (void)state;
    static const struct put BAD[] = {
        {0, (double)NAN}, {TIME_MIN_MS - 1, 1.0}, {TIME_MAX_MS + 1, 1.0}};
    struct folder folder;
    folder_init(&folder);
    struct store *store = folder_open(&folder);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct store_batch *const batch = store_batch_new();
        const uint32_t series = store_batch_series(batch, "x");
        store_batch_add(batch, series, 0, 1.0);
        store_batch_add(batch, series, BAD[i].time_ms, BAD[i].value);
        struct store_counts counts;
        struct err err = {0};
        assert_err(store_append_wait(store, batch, &counts, &err), &err, ERR_INVALID,
                   "batch: a sample is NaN");
    }
    PUT(store, "y", false, {TIME_MIN_MS, 1.0}, {TIME_MAX_MS, (double)INFINITY});
    store_close(store);
    store = folder_open(&folder);
    READS(store, "y", AS_OF_NOW, {TIME_MIN_MS, 1.0}, {TIME_MAX_MS, (double)INFINITY});
    struct store_series series;
    assert_int_equal(store_series(store, "x", &series, NULL), -1);
    store_close(store);
    folder_fini(&folder);
}

/* ---- as of ---------------------------------------------------------------------- */

static void reads_as_of_an_instant(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    folder.options.late_after_ms = 1000;
    struct store *store = folder_open(&folder);
    const int64_t t = folder.now_ms;
    PUT(store, "x", false, {t - 500, 1.0}, {t, 2.0}); /* in time */
    folder.now_ms = t + 10000;
    PUT(store, "x", false, {t, 3.0}, {t - 200, 1.5}); /* replaces, and late */
    folder.now_ms = t + 20000;
    PUT(store, "x", false, {t, 4.0}, {t + 500, 5.0}); /* late though the newest */
    folder.now_ms = t + 30000;
    PUT(store, "x", true, {t - 100, 6.0}); /* history: known at its own time */
    for (int reopened = 0; reopened < 2; reopened++) {
        READS(store, "x", AS_OF_NOW, {t - 500, 1.0}, {t - 200, 1.5}, {t - 100, 6.0},
              {t, 4.0}, {t + 500, 5.0});
        READS(store, "x", t + 20000, {t - 500, 1.0}, {t - 200, 1.5}, {t - 100, 6.0},
              {t, 4.0}, {t + 500, 5.0});
        READS(store, "x", t + 15000, {t - 500, 1.0}, {t - 200, 1.5}, {t - 100, 6.0},
              {t, 3.0});
        READS(store, "x", t + 9999, {t - 500, 1.0}, {t - 100, 6.0}, {t, 2.0});
        /* What lies after the instant was not known then. */
        READS(store, "x", t - 50, {t - 500, 1.0}, {t - 100, 6.0});
        store_close(store);
        store = folder_open(&folder);
    }
    store_close(store);
    folder_fini(&folder);
}

/* ---- random histories ----------------------------------------------------------- */

enum { SERIES = 5, SLOTS = 40, ROUNDS = 60 };

/* One version of one instant: what it held from arrived_ms on. */
struct version {
    int64_t arrived_ms;
    double value;
};

/* The reference: every version of every instant, in order of arrival. */
struct reference {
    struct version version[SERIES][SLOTS][ROUNDS * 2];
    size_t count[SERIES][SLOTS];
};

static const double *reference_value(const struct reference *reference, size_t series,
                                     size_t slot, int64_t as_of_ms)
{
    const double *value = NULL;
    for (size_t i = 0; i < reference->count[series][slot]; i++)
        if (reference->version[series][slot][i].arrived_ms <= as_of_ms)
            value = &reference->version[series][slot][i].value;
    return value;
}

static const int64_t STEP_MS = 1000;

static void check_series(struct store *store, const struct reference *reference,
                         size_t series, int64_t start_ms, int64_t as_of_ms)
{
    char name[32];
    snprintf(name, sizeof name, "m{s=\"%zu\"}", series);
    struct err err = {0};
    struct sample *samples = NULL;
    size_t count = 0, at = 0;
    if (store_read(store, name, INT64_MIN, INT64_MAX, as_of_ms, 0, &samples, &count,
                   &err))
        assert_int_equal(err.code, ERR_NOT_FOUND);
    for (size_t slot = 0; slot < SLOTS; slot++) {
        const int64_t time_ms = start_ms + (int64_t)slot * STEP_MS;
        const double *const want =
            time_ms <= as_of_ms ? reference_value(reference, series, slot, as_of_ms)
                                : NULL;
        if (!want)
            continue;
        assert_true(at < count);
        assert_int_equal(samples[at].time_ms, time_ms);
        assert_memory_equal(&samples[at].value, want, sizeof *want);
        at++;
    }
    assert_int_equal(at, count);
    free(samples);
}

/* A grid is what the plain arrays make of the same samples; series that are not there
 * yet are left out. */
static void check_grid(struct store *store, const struct reference *reference,
                       int64_t start_ms, int64_t as_of_ms, enum aggregate how)
{
    char text[SERIES][32];
    char *names[SERIES];
    struct store_series known[SERIES];
    struct err err = {0};
    struct grid got, want;
    size_t cols = 0;
    for (size_t series = 0; series < SERIES; series++) {
        snprintf(text[series], sizeof text[series], "m{s=\"%zu\"}", series);
        names[series] = text[series];
    }
    store_series_many(store, names, SERIES, known);
    while (cols < SERIES && known[cols].samples > 0)
        cols++;
    const struct store_grid_wish wish = {
        .names = names,
        .count = cols,
        .start_ms = start_ms + 2 * STEP_MS,
        .step_ms = 3 * STEP_MS,
        .rows = SLOTS / 3,
        .how = how,
        .as_of_ms = as_of_ms,
    };
    assert_ok(store_grid(store, &wish, &got, &err), &err);
    assert_ok(grid_init(&want, wish.start_ms, wish.step_ms, wish.rows, cols, &err), &err);
    for (size_t series = 0; series < cols; series++) {
        struct sample samples[SLOTS];
        size_t count = 0;
        for (size_t slot = 0; slot < SLOTS; slot++) {
            const int64_t time_ms = start_ms + (int64_t)slot * STEP_MS;
            const double *const value =
                reference_value(reference, series, slot, as_of_ms);
            /* A rate looks no further back than one step. */
            if (value && time_ms >= wish.start_ms - wish.step_ms)
                samples[count++] = (struct sample){time_ms, *value};
        }
        grid_fill(&want, series, samples, count, how);
        assert_string_equal(got.names[series], names[series]);
    }
    for (size_t i = 0; i < wish.rows * cols; i++)
        assert_close(got.values[i], want.values[i], 0);
    grid_fini(&got);
    grid_fini(&want);
}

/* The summary agrees with what a read gives. */
static void check_summary(struct store *store, const struct reference *reference,
                          size_t series, int64_t start_ms)
{
    char name[32];
    snprintf(name, sizeof name, "m{s=\"%zu\"}", series);
    struct store_series want = {0}, got;
    for (size_t slot = 0; slot < SLOTS; slot++) {
        const double *const value = reference_value(reference, series, slot, INT64_MAX);
        if (!value)
            continue;
        want.last_ms = start_ms + (int64_t)slot * STEP_MS;
        want.last_value = *value;
        if (want.samples++ == 0)
            want.first_ms = want.last_ms;
    }
    if (store_series(store, name, &got, NULL)) {
        assert_int_equal(want.samples, 0);
        return;
    }
    assert_memory_equal(&got, &want, sizeof got);
}

/* What the store should count for one more sample. */
static void count_one(const struct reference *reference, size_t series, size_t slot,
                      double value, struct store_counts *counts)
{
    const double *const now = reference_value(reference, series, slot, INT64_MAX);
    if (!now)
        counts->stored++;
    else if (memcmp(now, &value, sizeof value) != 0)
        counts->replaced++;
    else
        counts->duplicate++;
}

/* How a history is compacted: chunks of that many samples; by itself after so many new
 * ones (0: not); and on request in every so manieth round (0: never). */
struct habit {
    size_t chunk_samples, compact_samples;
    int every;
};

/* All instants lie long before the clock, so every arrival leaves a revision, and the
 * reference knows what each instant held at any time. */
static void random_history(uint64_t seed, const struct habit *habit)
{
    struct reference *const reference = mem_new(1, sizeof *reference);
    struct folder folder;
    folder_init(&folder);
    folder.options.late_after_ms = 0;
    folder.options.chunk_samples = habit->chunk_samples;
    folder.options.compact_samples = habit->compact_samples;
    struct store *store = folder_open(&folder);
    const int64_t start_ms = folder.now_ms - 1000 * STEP_MS, began_ms = folder.now_ms;
    struct store_counts total = {0};
    uint64_t index = 0, received = 0;
    const struct rng_stream stream = {.seed = seed, .purpose = 1};
    for (int round = 0; round < ROUNDS; round++) {
        folder.now_ms += 10;
        struct store_batch *const batch = store_batch_new();
        struct store_counts want = {0};
        const uint32_t size = rng_at(stream, index++).word[0] % 60;
        for (uint32_t i = 0; i < size; i++) {
            const struct rng_block dice = rng_at(stream, index++);
            const size_t series = dice.word[0] % SERIES, slot = dice.word[1] % SLOTS;
            static const double VALUE[] = {0.0, -0.0, 1.5};
            const double value = VALUE[dice.word[2] % 3];
            char name[32];
            snprintf(name, sizeof name, "m{s=\"%zu\"}", series);
            store_batch_add(batch, store_batch_series(batch, name),
                            start_ms + (int64_t)slot * STEP_MS, value);
            received++;
            count_one(reference, series, slot, value, &want);
            size_t *const count = &reference->count[series][slot];
            struct version *const versions = reference->version[series][slot];
            /* Within one batch only the last version was ever to be seen. */
            if (*count > 0 && versions[*count - 1].arrived_ms == folder.now_ms)
                versions[*count - 1].value = value;
            else
                versions[(*count)++] = (struct version){folder.now_ms, value};
        }
        struct err err = {0};
        struct store_counts counts;
        assert_ok(store_append_wait(store, batch, &counts, &err), &err);
        assert_memory_equal(&counts, &want, sizeof counts);
        if (habit->every > 0 && round % habit->every == 0)
            assert_ok(store_compact(store, &err), &err);
        total.stored += counts.stored;
        total.replaced += counts.replaced;
        total.duplicate += counts.duplicate;
        if (round % 13 == 12) {
            store_close(store);
            store = folder_open(&folder);
        }
        for (size_t series = 0; series < SERIES; series++)
            check_series(store, reference, series, start_ms, AS_OF_NOW);
        for (size_t series = 0; series < SERIES; series++)
            check_summary(store, reference, series, start_ms);
        check_grid(store, reference, start_ms, AS_OF_NOW, (enum aggregate)(round % 6));
    }
    assert_int_equal(total.stored + total.replaced + total.duplicate, received);
    uint64_t held = 0;
    for (size_t series = 0; series < SERIES; series++)
        for (size_t slot = 0; slot < SLOTS; slot++)
            held += reference->count[series][slot] > 0;
    assert_int_equal(total.stored, held);
    for (int64_t as_of_ms = began_ms; as_of_ms <= folder.now_ms; as_of_ms += 35)
        for (size_t series = 0; series < SERIES; series++)
            check_series(store, reference, series, start_ms, as_of_ms);
    for (int64_t as_of_ms = began_ms; as_of_ms <= folder.now_ms; as_of_ms += 35)
        check_grid(store, reference, start_ms, as_of_ms,
                   (enum aggregate)(as_of_ms / 35 % 6));
    store_close(store);
    folder_fini(&folder);
    free(reference);
}

static void random_histories_agree_with_plain_arrays(void **state)
{
    (void)state;
    static const struct habit HABIT[] = {
        {1024, 0, 0}, {4, 0, 1},   {3, 0, 7}, {8, 10, 0}, /* while it goes on */
        {5, 1, 5},    {1, 30, 11},
    };
    for (uint64_t i = 0; i < sizeof HABIT / sizeof *HABIT; i++)
        random_history(7 + i, &HABIT[i]);
}

/* ---- many at once --------------------------------------------------------------- */

enum { THREADS = 4, BATCHES = 50, PER_BATCH = 20 };

struct sender {
    struct store *store;
    int number;
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    size_t open;
    uint64_t stored;
};

static void on_done(void *ctx, const struct store_counts *counts, const struct err *err)
{
    struct sender *const sender = ctx;
    pthread_mutex_lock(&sender->mutex);
    if (!err)
        sender->stored += counts->stored;
    sender->open--;
    pthread_cond_signal(&sender->answered);
    pthread_mutex_unlock(&sender->mutex);
}

static void *send_batches(void *arg)
{
    struct sender *const sender = arg;
    char own[32];
    snprintf(own, sizeof own, "own{thread=\"%d\"}", sender->number);
    for (int b = 0; b < BATCHES; b++) {
        struct store_batch *const batch = store_batch_new();
        for (int i = 0; i < PER_BATCH; i++) {
            const int64_t time_ms = 1700000000000 + b * PER_BATCH + i;
            store_batch_add(batch, store_batch_series(batch, own), time_ms, i);
            store_batch_add(batch, store_batch_series(batch, "shared"),
                            time_ms * THREADS + sender->number, i);
        }
        pthread_mutex_lock(&sender->mutex);
        sender->open++;
        pthread_mutex_unlock(&sender->mutex);
        struct err err = {0};
        if (store_append(sender->store, batch, on_done, sender, &err))
            abort();
    }
    pthread_mutex_lock(&sender->mutex);
    while (sender->open > 0)
        pthread_cond_wait(&sender->answered, &sender->mutex);
    pthread_mutex_unlock(&sender->mutex);
    return NULL;
}

static void *read_all_the_time(void *arg)
{
    struct sender *const sender = arg;
    size_t seen = 0;
    for (int i = 0; i < 200; i++) {
        struct sample *samples;
        size_t count;
        struct err err = {0};
        if (store_read(sender->store, "shared", INT64_MIN, INT64_MAX,
                       i % 2 ? AS_OF_NOW : 1800000000000 * THREADS, 0, &samples, &count,
                       &err))
            continue;
        for (size_t k = 1; k < count; k++)
            if (samples[k].time_ms <= samples[k - 1].time_ms)
                abort();
        free(samples);
        if (count < seen) /* what was there once stays there */
            abort();
        seen = count;
    }
    return NULL;
}

struct figure {
    const char *name;
    double value;
};

static void find_figure(void *ctx, const char *name, double value)
{
    struct figure *const figure = ctx;
    if (strcmp(name, figure->name) == 0)
        figure->value = value;
}

static double figure_of(struct store *store, const char *name)
{
    struct figure figure = {name, NAN};
    store_figures(store, find_figure, &figure);
    assert_false(isnan(figure.value));
    return figure.value;
}

static void share_commits(size_t chunk_samples, size_t compact_samples)
{
    struct folder folder;
    folder_init(&folder);
    folder.options.chunk_samples = chunk_samples;
    folder.options.compact_samples = compact_samples;
    struct store *store = folder_open(&folder);
    struct sender sender[THREADS] = {0};
    pthread_t thread[THREADS], reader;
    for (int i = 0; i < THREADS; i++) {
        sender[i] = (struct sender){.store = store, .number = i};
        pthread_mutex_init(&sender[i].mutex, NULL);
        pthread_cond_init(&sender[i].answered, NULL);
        pthread_create(&thread[i], NULL, send_batches, &sender[i]);
    }
    pthread_create(&reader, NULL, read_all_the_time, &sender[0]);
    pthread_join(reader, NULL);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(sender[i].stored, BATCHES * PER_BATCH * 2);
    }
    if (compact_samples == 0)
        assert_true(figure_of(store, "frwkvd_storage_commits_total") < THREADS * BATCHES);
    assert_true(figure_of(store, "frwkvd_storage_samples_stored_total") ==
                THREADS * BATCHES * PER_BATCH * 2);
    assert_true(figure_of(store, "frwkvd_storage_queue_samples") == 0);
    for (int reopened = 0; reopened < 2; reopened++) {
        struct err err = {0};
        struct store_series series;
        assert_ok(store_series(store, "shared", &series, &err), &err);
        assert_int_equal(series.samples, THREADS * BATCHES * PER_BATCH);
        store_close(store);
        store = folder_open(&folder);
    }
    store_close(store);
    folder_fini(&folder);
}

static void threads_share_commits(void **state)
{
    (void)state;
    share_commits(1024, 0);
}

static void compaction_goes_on_beside_them(void **state)
{
    (void)state;
    share_commits(16, 100);
}

static void closing_commits_what_waits(void **state)
{
    (void)state;
    struct folder folder;
    folder_init(&folder);
    struct store *store = folder_open(&folder);
    struct sender sender = {.store = store, .open = 100};
    pthread_mutex_init(&sender.mutex, NULL);
    pthread_cond_init(&sender.answered, NULL);
    for (int i = 0; i < 100; i++) {
        struct store_batch *const batch = store_batch_new();
        store_batch_add(batch, store_batch_series(batch, "x"), folder.now_ms + i, i);
        struct err err = {0};
        assert_ok(store_append(store, batch, on_done, &sender, &err), &err);
    }
    store_close(store);
    assert_int_equal(sender.open, 0);
    assert_int_equal(sender.stored, 100);
    store = folder_open(&folder);
    struct err err = {0};
    struct store_series series;
    assert_ok(store_series(store, "x", &series, &err), &err);
    assert_int_equal(series.samples, 100);
    store_close(store);
    folder_fini(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stores_counts_and_reads_back),
        cmocka_unit_test(an_empty_batch_is_acknowledged),
        cmocka_unit_test(an_impossible_sample_refuses_its_batch),
        cmocka_unit_test(reads_as_of_an_instant),
        cmocka_unit_test(random_histories_agree_with_plain_arrays),
        cmocka_unit_test(threads_share_commits),
        cmocka_unit_test(compaction_goes_on_beside_them),
        cmocka_unit_test(closing_commits_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
