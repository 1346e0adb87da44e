/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bands that adapt: when, by how much (against a plain loop over what is exported), that
 * what was issued stays as it was, and that it comes out again. */
#include "tests/api/published.h"
#include "tests/forge.h"

#include "base/rng.h"

enum { HOUR_MS = 3600000, HORIZON = 12, EVERY = 3, DAYS = 11, PAST = 80 };

#define DEFINITION                                                                       \
    "{\"select\":\"load\",\"step\":\"1h\",\"lookback\":24,\"horizon\":12,\"season\":24}"
#define WEB "/v1/forecasters/web"

static const char *const names[] = {"load{host=\"a\"}", "load{host=\"b\"}"};

/* The noise of one of them grows much when its model has been made. */
static double value_of(int series, int64_t time_ms)
{
    const struct rng_stream noise = {.seed = 3, .purpose = (uint32_t)series};
    const double phase = (double)(time_ms / HOUR_MS % 24) * M_PI / 12;
    const double deviation = series == 1 && time_ms >= FIXTURE_NOW ? 40 : 3;
    return 50 + 20 * sin(phase + series) +
           deviation * rng_normal(noise, (uint64_t)(time_ms / HOUR_MS));
}

static void load_hours(const struct fixture *f, int64_t from_ms, int64_t to_ms)
{
    struct err err = {0};
    struct store_batch *const batch = store_batch_new();
    struct store_counts counts;
    for (int s = 0; s < 2; s++) {
        const uint32_t series = store_batch_series(batch, names[s]);
        for (int64_t t = from_ms; t < to_ms; t += HOUR_MS)
            store_batch_add(batch, series, t, value_of(s, t));
    }
    assert_ok(store_append_wait(f->store, batch, &counts, &err), &err);
}

/* An issue every three hours; the calibration of each. */
static void live(struct fixture *f, int64_t days, int64_t *calibrations)
{
    for (int64_t i = 0; i < days * 24 / EVERY; i++) {
        struct answer a = post(f, WEB "/issue", "");
        assert_status(a, 200);
        calibrations[i] = number(&a, "calibration");
        answer_fini(&a);
        f->now_ms += EVERY * HOUR_MS;
        load_hours(f, f->now_ms - EVERY * HOUR_MS, f->now_ms);
    }
}

static void begin(struct fixture *f)
{
    struct answer a = put(f, WEB, DEFINITION);
    assert_true(a.status == 201 || a.status == 200);
    answer_fini(&a);
    load_hours(f, FIXTURE_NOW - PAST * HOUR_MS, FIXTURE_NOW);
    publish(f, FIXTURE_NOW);
}

/* Quantile k (0.1, 0.5, 0.9) of an issue. */
struct issued {
    double q[2][HORIZON][3];
    int64_t calibration;
};

static struct issued issued_at(const struct fixture *f, int64_t issued_ms)
{
    static const char *const keys[] = {"0.1", "0.5", "0.9"};
    struct issued out = {0};
    char *const path = mem_printf(WEB "/forecast?as_of=%" PRId64, issued_ms);
    struct answer a = get(f, path);
    assert_status(a, 200);
    out.calibration = number(&a, "calibration");
    for (size_t s = 0; s < 2; s++)
        for (size_t j = 0; j < HORIZON; j++)
            for (size_t k = 0; k < 3; k++)
                out.q[s][j][k] = json_number_value(json_array_get(
                    json_object_get(
                        json_object_get(
                            json_array_get(json_object_get(a.json, "forecasts"), s),
                            "values"),
                        keys[k]),
                    j));
    answer_fini(&a);
    free(path);
    return out;
}

/* [series][bucket][below, above] of a calibration; 1 for 0. */
struct factors {
    double at[2][MODEL_BUCKETS][2];
};

static struct factors factors_of(const struct fixture *f, int64_t number_of)
{
    struct factors out;
    for (int i = 0; i < 2 * MODEL_BUCKETS * 2; i++)
        (&out.at[0][0][0])[i] = 1;
    if (number_of == 0)
        return out;
    char *const path = mem_printf(WEB "/calibrations/%" PRId64, number_of);
    struct answer a = get(f, path);
    assert_status(a, 200);
    assert_int_equal(number(&a, "number"), number_of);
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(a.json, "series"), i, one)
    {
        const char *const name = json_string_value(json_object_get(one, "series"));
        const size_t s = strcmp(name, names[0]) != 0;
        assert_string_equal(name, names[s]);
        for (size_t b = 0; b < MODEL_BUCKETS; b++)
            for (int side = 0; side < 2; side++)
                out.at[s][b][side] = json_number_value(
                    json_array_get(json_object_get(one, side ? "above" : "below"), b));
    }
    answer_fini(&a);
    free(path);
    return out;
}

static int bucket_of(int64_t j)
{
    return 8 * j < HORIZON ? 0 : 4 * j < HORIZON ? 1 : 2 * j < HORIZON ? 2 : 3;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { MOST = 10 * HORIZON / EVERY * HORIZON, BLOCKS = 11 };

/* Of one series, bucket and side. */
struct list {
    double at[MOST];
    int64_t block[MOST];
    size_t count;
};

/* The order statistic of those outside a block, by the rule of model.h; NAN: too few. */
static double statistic(const struct list *list, int64_t block, double worth)
{
    double others[MOST], n = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->block[i] != block)
            others[(size_t)n++] = list->at[i];
    const double own = fmin(worth * n / (double)list->count, n);
    if (own < 9)
        return NAN;
    qsort(others, (size_t)n, sizeof *others, ascending);
    const double rank = fmax(fmin(ceil(0.9 * (n + n / own) - 1e-6), n), 1);
    return fmin(fmax(others[(size_t)rank - 1], 0.1), 10);
}

/* Whether so many would have held 0.9 of each block, by the others. */
static bool holds(const struct list *const lists[static 2], double worth)
{
    double inside = 0, all = 0;
    for (int s = 0; s < 2; s++)
        for (int64_t block = 0; block < BLOCKS; block++) {
            const double factor = statistic(lists[s], block, worth);
            for (size_t i = 0; !isnan(factor) && i < lists[s]->count; i++)
                if (lists[s]->block[i] == block) {
                    inside += lists[s]->at[i] <= factor;
                    all++;
                }
        }
    return all > 0 && inside >= 0.9 * all;
}

/* What a calibration made at an instant should say: the issues of ten horizons before. */
static struct factors plain_loop(const struct fixture *f, int64_t made_ms)
{
    static const int64_t bucket_ends[MODEL_BUCKETS] = {2, 3, 6, 12};
    static const double looks[] = {1e9, 64, 32, 16, 8, 4};
    static struct list lists[2][MODEL_BUCKETS][2];
    memset(lists, 0, sizeof lists);
    int64_t first_ms = made_ms - 10 * HORIZON * HOUR_MS;
    if (first_ms < FIXTURE_NOW)
        first_ms = FIXTURE_NOW;
    for (int64_t t = first_ms; t < made_ms; t += EVERY * HOUR_MS) {
        const struct issued issued = issued_at(f, t);
        const struct factors older = factors_of(f, issued.calibration);
        for (int s = 0; s < 2; s++)
            for (int64_t j = 0; j < HORIZON && t + (j + 1) * HOUR_MS <= made_ms; j++) {
                const double *const q = issued.q[s][j];
                const double e = value_of(s, t + j * HOUR_MS) - q[1];
                const int b = bucket_of(j);
                for (int side = 0; side < 2; side++) {
                    struct list *const list = &lists[s][b][side];
                    list->block[list->count] = (t - first_ms) / (HORIZON * HOUR_MS);
                    list->at[list->count++] =
                        older.at[s][b][side] * e / (q[2 * side] - q[1]);
                }
            }
    }
    struct factors out;
    for (int b = 0; b < MODEL_BUCKETS; b++)
        for (int side = 0; side < 2; side++) {
            const double lengths =
                (double)((made_ms - first_ms) / HOUR_MS) / (double)bucket_ends[b];
            const struct list *const both[2] = {&lists[0][b][side], &lists[1][b][side]};
            size_t l = 0;
            while (l < 5 && !holds(both, looks[l] * lengths))
                l++;
            for (int s = 0; s < 2; s++) {
                const double factor = statistic(both[s], -1, looks[l] * lengths);
                const bool enough = 4 * lengths >= 9 && !isnan(factor);
                out.at[s][b][side] = enough ? factor : 1;
            }
        }
    return out;
}

/* The share of what came that lay inside the bands of the issues of [from, to) hours. */
static double coverage(const struct fixture *f, int series, int64_t from, int64_t to)
{
    double inside = 0, all = 0;
    for (int64_t hour = from; hour < to; hour += EVERY) {
        const int64_t t = FIXTURE_NOW + hour * HOUR_MS;
        const struct issued issued = issued_at(f, t);
        for (int64_t j = 0; j < HORIZON; j++) {
            const double value = value_of(series, t + j * HOUR_MS);
            inside += value >= issued.q[series][j][0] && value <= issued.q[series][j][2];
            all++;
        }
    }
    return inside / all;
}

static void test_bands_adapt(void **state)
{
    struct fixture *const f = *state;
    int64_t calibrations[DAYS * 24 / EVERY];
    begin(f);
    live(f, DAYS, calibrations);
    const size_t issues = sizeof calibrations / sizeof *calibrations;
    /* Nothing has come of the first; then they are numbered without a gap, and no more
     * than two in a horizon. */
    assert_int_equal(calibrations[0], 0);
    for (size_t i = 1; i < issues; i++)
        assert_in_range(calibrations[i], calibrations[i - 1], calibrations[i - 1] + 1);
    const int64_t newest = calibrations[issues - 1];
    assert_in_range(newest, 3, 2 * DAYS * 24 / HORIZON + 1);
    struct answer a = get(f, WEB "/calibrations");
    assert_status(a, 200);
    const json_t *const list = json_object_get(a.json, "calibrations");
    assert_int_equal(json_array_size(list), newest);
    assert_int_equal(
        json_integer_value(json_object_get(json_array_get(list, 0), "number")), newest);
    /* They say what the ledger and the samples say. */
    for (int64_t i = 0; i < newest; i += 12) {
        const json_t *const row = json_array_get(list, (size_t)i);
        const char *const made = json_string_value(json_object_get(row, "made"));
        const int64_t number_of = json_integer_value(json_object_get(row, "number"));
        struct err err = {0};
        int64_t made_ms;
        assert_ok(time_parse(made, strlen(made), NULL, &made_ms, &err), &err);
        const struct factors want = plain_loop(f, made_ms),
                             got = factors_of(f, number_of);
        for (int k = 0; k < 2 * MODEL_BUCKETS * 2; k++)
            assert_close((&got.at[0][0][0])[k], (&want.at[0][0][0])[k], 8e-4);
        /* And is in force for the issue made with it, not for the one before. */
        assert_int_equal(issued_at(f, made_ms).calibration, number_of);
        assert_int_equal(issued_at(f, made_ms - 1).calibration, number_of - 1);
    }
    answer_fini(&a);
    /* What they are for. */
    const double before = coverage(f, 1, 0, 12), after = coverage(f, 1, 5 * 24, 10 * 24),
                 calm = coverage(f, 0, 5 * 24, 10 * 24);
    print_message(
        "coverage of 0.8: %.3f when the noise grew, %.3f from the fifth day on; "
        "%.3f where nothing changed\n",
        before, after, calm);
    assert_true(before < 0.5);
    assert_true(after > 0.72 && after < 0.9);
    assert_true(calm > 0.72 && calm < 0.9);
}

static void test_what_was_issued_stays(void **state)
{
    struct fixture *const f = *state;
    int64_t calibrations[5 * 24 / EVERY];
    begin(f);
    live(f, 5, calibrations);
    const int64_t newest = calibrations[5 * 24 / EVERY - 1];
    assert_true(newest > 0);
    const struct issued first = issued_at(f, FIXTURE_NOW),
                        last = issued_at(f, f->now_ms - EVERY * HOUR_MS);
    assert_int_equal(first.calibration, 0);
    assert_int_equal(last.calibration, newest);
    struct answer a = get(f, WEB "/calibrations?as_of=2026-03-29T12:00:00Z");
    assert_status(a, 200);
    assert_int_equal(json_array_size(json_object_get(a.json, "calibrations")), 0);
    answer_fini(&a);
    fixture_restart(f);
    /* The same is in force again. */
    a = get(f, WEB "/forecast");
    assert_int_equal(number(&a, "calibration"), newest);
    answer_fini(&a);
    /* A new model comes with bands of its own. */
    publish(f, FIXTURE_NOW);
    a = post(f, WEB "/issue", "");
    assert_status(a, 200);
    assert_int_equal(number(&a, "calibration"), 0);
    answer_fini(&a);
    const struct issued same = issued_at(f, f->now_ms - EVERY * HOUR_MS);
    assert_memory_equal(&same, &last, sizeof last);
    /* The one before goes on with its own. */
    a = post(f, WEB "/models/1/restore", "");
    assert_status(a, 200);
    answer_fini(&a);
    a = get(f, WEB "/forecast");
    assert_int_equal(number(&a, "calibration"), newest);
    answer_fini(&a);
}

/* ---- made again ---------------------------------------------------------------------- */

static void assert_replay(const struct fixture *f, const char *query, int64_t forecasts,
                          int64_t same, int64_t differ, int64_t changed, int64_t gone)
{
    char *const path = mem_printf(WEB "/replay%s", query);
    struct answer a = get(f, path);
    assert_status(a, 200);
    assert_int_equal(number(&a, "forecasts"), forecasts);
    assert_int_equal(number(&a, "same"), same);
    assert_int_equal(number(&a, "near"), 0);
    assert_int_equal(number(&a, "differ"), differ);
    assert_int_equal(number(&a, "changed"), changed);
    assert_int_equal(number(&a, "gone"), gone);
    answer_fini(&a);
    free(path);
}

static void put_sample(const struct fixture *f, const char *series, int64_t time_ms,
                       double value)
{
    struct err err = {0};
    struct store_counts counts;
    struct store_batch *const batch = store_batch_new();
    store_batch_add(batch, store_batch_series(batch, series), time_ms, value);
    assert_ok(store_append_wait(f->store, batch, &counts, &err), &err);
}

static void test_replay(void **state)
{
    struct fixture *const f = *state;
    int64_t calibrations[3 * 24 / EVERY];
    begin(f);
    live(f, 3, calibrations);
    assert_true(calibrations[23] > 0);
    assert_replay(f, "", 48, 48, 0, 0, 0);
    assert_replay(f, "?limit=5", 10, 10, 0, 0, 0);
    assert_replay(f, "?as_of=2026-03-29T15:00:00Z", 4, 4, 0, 0, 0);
    /* What came later is undone; a restart and another model change nothing. */
    put_sample(f, names[1], f->now_ms - 5 * HOUR_MS, 1e6);
    put_sample(f, "load{host=\"new\"}", f->now_ms - 5 * HOUR_MS, 1e6);
    fixture_restart(f);
    publish(f, FIXTURE_NOW);
    assert_replay(f, "", 48, 48, 0, 0, 0);
    /* One that is not what its model says is found, and named. */
    const int64_t forged = forge_issue(f->store, "web", 4 * 3 + 1, 1);
    struct answer a = get(f, WEB "/replay");
    assert_int_equal(number(&a, "differ"), 1);
    const json_t *const first = json_object_get(a.json, "first");
    assert_int_equal(json_integer_value(json_object_get(first, "issue")), forged);
    assert_string_equal(json_string_value(json_object_get(first, "series")), names[1]);
    assert_string_equal(json_string_value(json_object_get(first, "time")),
                        "2026-04-01T13:00:00Z");
    assert_close(json_number_value(json_object_get(first, "was")) -
                     json_number_value(json_object_get(first, "is")),
                 1, 1e-4);
    answer_fini(&a);
    forge_issue(f->store, "web", 4 * 3 + 1,
                -1e-4F); /* on top of it: the first is still the first */
    a = get(f, WEB "/replay");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(a.json, "first"), "issue")),
        forged);
    answer_fini(&a);
    /* A sample that was late by less than leaves a revision: another input, and said so. */
    f->now_ms += EVERY * HOUR_MS;
    load_hours(f, f->now_ms - EVERY * HOUR_MS, f->now_ms);
    a = post(f, WEB "/issue", "");
    assert_status(a, 200);
    answer_fini(&a);
    assert_replay(f, "?limit=1", 3, 3, 0, 0, 0);
    put_sample(f, names[0], f->now_ms - 1000, 51);
    assert_replay(f, "?limit=1", 3, 2, 0, 1, 0);
    /* Models go with their forecaster; the ledger stays. */
    a = ask(f, "DELETE", WEB, "", NULL, 0);
    assert_status(a, 204);
    answer_fini(&a);
    assert_replay(f, "?limit=4", 9, 0, 0, 0, 9);
}

/* The window of a joint model holds all series there were. */
static void test_replay_joint(void **state)
{
    struct fixture *const f = *state;
    struct answer a = put(f, WEB,
                          "{\"select\":\"load\",\"step\":\"1h\",\"lookback\":24,"
                          "\"horizon\":12,\"season\":24,\"group\":\"joint\"}");
    assert_status(a, 201);
    answer_fini(&a);
    load_hours(f, FIXTURE_NOW - PAST * HOUR_MS, FIXTURE_NOW);
    publish(f, FIXTURE_NOW);
    int64_t calibrations[8];
    live(f, 1, calibrations);
    assert_replay(f, "", 16, 16, 0, 0, 0);
    put_sample(f, "load{host=\"0\"}", f->now_ms - HOUR_MS / 2, 1);
    assert_replay(f, "?as_of=2026-03-30T06:00:00Z", 14, 14, 0, 0, 0);
}

static void test_bad_wishes(void **state)
{
    struct fixture *const f = *state;
    struct answer a = get(f, WEB "/calibrations");
    assert_problem(a, 404, "", "web");
    answer_fini(&a);
    a = put(f, WEB, DEFINITION);
    answer_fini(&a);
    a = get(f, WEB "/calibrations?limit=0");
    assert_problem(a, 400, "limit", "got 0");
    answer_fini(&a);
    a = get(f, WEB "/calibrations?as_of=soon");
    assert_problem(a, 400, "as_of", "got soon");
    answer_fini(&a);
    a = get(f, WEB "/calibrations/1");
    assert_problem(a, 404, "", "web has none of number 1");
    answer_fini(&a);
    a = get(f, WEB "/calibrations/x");
    assert_problem(a, 404, "", "web has none of number x");
    answer_fini(&a);
}

int main(void)
{
    model_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bands_adapt, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_what_was_issued_stays, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_replay, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_replay_joint, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_bad_wishes, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
