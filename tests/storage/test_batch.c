/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include <stdio.h>

#include "base/time.h"
#include "storage/batch.h"
#include "storage/storage.h"

static void push(struct batch_samples *samples, uint32_t id, int64_t time_ms,
                 double value)
{
    batch_samples_reserve(samples, samples->count + 1);
    samples->id[samples->count] = id;
    samples->time_ms[samples->count] = time_ms;
    samples->value[samples->count++] = value;
}

static void assert_same(const struct batch_samples *got, const struct batch_samples *want)
{
    assert_int_equal(got->count, want->count);
    assert_memory_equal(got->id, want->id, want->count * sizeof *want->id);
    assert_memory_equal(got->time_ms, want->time_ms, want->count * sizeof *want->time_ms);
    assert_memory_equal(got->value, want->value, want->count * sizeof *want->value);
}

static void round_trip(const struct batch_samples *samples, size_t bytes_each)
{
    struct batch_blob blob = {0};
    struct batch_samples back = {0};
    struct err err = {0};
    int64_t arrived_ms = 0;
    batch_encode(samples, 1234, &blob);
    assert_int_equal(blob.len, 32 + samples->count * bytes_each + 4);
    assert_ok(batch_decode(blob.bytes, blob.len, &back, &arrived_ms, &err), &err);
    assert_int_equal(arrived_ms, 1234);
    assert_same(&back, samples);
    uint32_t count[8] = {0}, want[8] = {0};
    batch_count_ids(blob.bytes, blob.len, 7, count);
    batch_count_ids(blob.bytes, blob.len - 1, 7, count); /* no batch */
    for (size_t i = 0; i < samples->count; i++)
        if (samples->id[i] < 8)
            want[samples->id[i]]++;
    assert_memory_equal(count, want, sizeof want);
    batch_blob_fini(&blob);
    batch_samples_fini(&back);
}

static void comes_back_bit_for_bit(void **state)
{
    (void)state;
    struct batch_samples samples = {0};
    push(&samples, 1, 0, -0.0);
    round_trip(&samples, 16);
    push(&samples, UINT32_MAX, UINT32_MAX, INFINITY);
    push(&samples, 7, 5, 0x1p-1074);
    round_trip(&samples, 16); /* 49 days: four bytes of time */
    push(&samples, 7, (int64_t)UINT32_MAX + 1, -INFINITY);
    round_trip(&samples, 20);
    push(&samples, 2, TIME_MIN_MS, 1e300);
    push(&samples, 2, TIME_MAX_MS, 1.0 / 3.0);
    round_trip(&samples, 20);
    batch_samples_fini(&samples);
}

/* Every bit of it matters, and every byte. */
static void every_flipped_bit_is_seen(void **state)
{
    (void)state;
    struct batch_samples samples = {0}, back = {0};
    for (uint32_t i = 0; i < 20; i++)
        push(&samples, i + 1, 1700000000000 + i * 1000, i * 0.5);
    struct batch_blob blob = {0};
    int64_t arrived_ms;
    batch_encode(&samples, 99, &blob);
    for (size_t bit = 0; bit < 8 * blob.len; bit++) {
        struct err err = {0};
        blob.bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_err(batch_decode(blob.bytes, blob.len, &back, &arrived_ms, &err), &err,
                   ERR_CORRUPT, "batch: ");
        blob.bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    for (size_t len = 0; len < blob.len; len++) {
        struct err err = {0};
        assert_err(batch_decode(blob.bytes, len, &back, &arrived_ms, &err), &err,
                   ERR_CORRUPT, "batch: ");
    }
    struct err err = {0};
    assert_ok(batch_decode(blob.bytes, blob.len, &back, &arrived_ms, &err), &err);
    batch_blob_fini(&blob);
    batch_samples_fini(&samples);
    batch_samples_fini(&back);
}

/* A right checksum over nonsense: bytes that this program never wrote. */
static void nonsense_is_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t id;
        int64_t time_ms;
        double value;
    } CASE[] = {
        {0, 0, 1.0},
        {1, TIME_MAX_MS + 1, 1.0},
        {1, TIME_MIN_MS - 1, 1.0},
        {1, 0, NAN},
    };
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        struct batch_samples samples = {0}, back = {0};
        struct batch_blob blob = {0};
        struct err err = {0};
        int64_t arrived_ms;
        push(&samples, CASE[i].id, CASE[i].time_ms, CASE[i].value);
        batch_encode(&samples, 0, &blob);
        assert_err(batch_decode(blob.bytes, blob.len, &back, &arrived_ms, &err), &err,
                   ERR_CORRUPT, "sample 0 makes no sense");
        assert_int_equal(back.count, 0);
        batch_blob_fini(&blob);
        batch_samples_fini(&samples);
        batch_samples_fini(&back);
    }
}

/* The builder gives one number a name, however many there are. */
static void numbers_are_stable(void **state)
{
    (void)state;
    struct store_batch *const batch = store_batch_new();
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < 5000; i++) {
            char name[32];
            snprintf(name, sizeof name, "m{i=\"%u\"}", i);
            assert_int_equal(store_batch_series(batch, name), i);
        }
    assert_int_equal(store_batch_size(batch), 0);
    store_batch_free(batch);
    store_batch_free(NULL);
}

static void the_newest_names_can_be_taken_back(void **state)
{
    (void)state;
    struct nameset names = {0};
    char name[16];
    for (uint32_t keep = 0; keep <= 300; keep += 50) {
        for (uint32_t i = names.count; i < 300; i++) {
            snprintf(name, sizeof name, "n%u", i);
            const uint64_t hash = nameset_hash(name, strlen(name));
            assert_int_equal(nameset_find(&names, hash, name), NAMESET_NONE);
            assert_int_equal(nameset_add(&names, hash, name, strlen(name)), i);
        }
        nameset_cut(&names, keep);
        for (uint32_t i = 0; i < 300; i++) {
            snprintf(name, sizeof name, "n%u", i);
            assert_int_equal(nameset_find(&names, nameset_hash(name, strlen(name)), name),
                             i < keep ? i : NAMESET_NONE);
        }
    }
    nameset_fini(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_bit_for_bit),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(numbers_are_stable),
        cmocka_unit_test(the_newest_names_can_be_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
