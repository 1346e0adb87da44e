/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chunks give back every bit, are small on real data, and refuse what is damaged. */
#include "tests/check.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/time.h"
#include "storage/chunk.h"

enum { SERIES = 7, STEP_MS = 15000 };

static size_t round_trip(struct chunk_coder *coder, const struct sample *samples,
                         size_t count)
{
    struct err err = {0};
    size_t len, back_count;
    const void *const encoded = chunk_encode(coder, SERIES, samples, count, &len);
    unsigned char *const bytes = mem_new(len, 1);
    memcpy(bytes, encoded, len); /* exactly, so that the sanitizers see its end */
    assert_ok(chunk_count(bytes, len, &back_count, &err), &err);
    assert_int_equal(back_count, count);
    struct sample *const back = mem_new(count, sizeof *back);
    assert_ok(chunk_decode(coder, SERIES, bytes, len, back, count, &err), &err);
    assert_memory_equal(back, samples, count * sizeof *samples);
    free(back);
    free(bytes);
    return len;
}

/* ---- values ---------------------------------------------------------------------- */

enum { KINDS = 12 };

/* Values of many kinds; whatever bits a double may have but those of a NaN. */
static double value_of(int kind, struct rng_stream stream, size_t i)
{
    static const double SPECIAL[] = {0.0,
                                     -0.0,
                                     0x1p-1074,
                                     -0x1p-1074,
                                     INFINITY,
                                     -INFINITY,
                                     0x1.fffffffffffffp1023,
                                     0x1p-1022,
                                     1.0,
                                     1.0 / 3.0};
    const struct rng_block dice = rng_at(stream, i);
    const double uniform = rng_uniform(stream, i), normal = rng_normal(stream, i);
    double value;
    switch (kind) {
    case 0: /* any bits at all */
        memcpy(&value, dice.word, sizeof value);
        return isnan(value) ? 1.0 : value;
    case 1:
        return SPECIAL[dice.word[0] % (sizeof SPECIAL / sizeof *SPECIAL)];
    case 2:
        return 42.5;
    case 3:
        return floor(100.0 * uniform);
    case 4:
        return floor(100000.0 * normal) / 1000.0;
    case 5:
        return (double)(float)(floor(1000.0 * normal) / 1000.0);
    case 6:
        return floor(1000.0 * uniform) / 100.0 + 0.1 + 0.2;
    case 7:
        return normal * 1e-310; /* denormal */
    case 8:
        return (double)i * 1e9 + floor(1e9 * uniform);
    case 9:
        return -floor(10.0 * uniform) / 10.0; /* -0.0 among decimals */
    case 10:
        return 9007199254740993.0 * normal;
    default:
        return (double)(dice.word[0] % 300) * 0.7;
    }
}

static void every_bit_comes_back(void **state)
{
    (void)state;
    static const size_t COUNT[] = {1, 2, 3, 15, 255, 256, 257, 1024, 5000};
    struct chunk_coder *const coder = chunk_coder_new();
    struct sample samples[5000];
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t c = 0; c < sizeof COUNT / sizeof *COUNT; c++) {
            const struct rng_stream stream = {.seed = 5, .purpose = (uint32_t)kind};
            for (size_t i = 0; i < COUNT[c]; i++)
                samples[i] = (struct sample){1700000000000 + (int64_t)i * STEP_MS,
                                             value_of(kind, stream, i)};
            round_trip(coder, samples, COUNT[c]);
        }
    chunk_coder_free(coder);
}

static void a_chunk_may_be_as_large_as_it_may_be(void **state)
{
    (void)state;
    struct chunk_coder *const coder = chunk_coder_new();
    struct sample *const samples = mem_new(CHUNK_SAMPLES_MAX, sizeof *samples);
    const struct rng_stream stream = {.seed = 6};
    int64_t time_ms = TIME_MIN_MS;
    for (size_t i = 0; i < CHUNK_SAMPLES_MAX; i++) {
        samples[i] = (struct sample){time_ms, value_of(0, stream, i)};
        time_ms += 1 + (int64_t)(rng_at(stream, i).word[3]);
    }
    round_trip(coder, samples, CHUNK_SAMPLES_MAX);
    free(samples);
    chunk_coder_free(coder);
}

/* ---- times ----------------------------------------------------------------------- */

static void every_time_comes_back(void **state)
{
    (void)state;
    struct chunk_coder *const coder = chunk_coder_new();
    struct sample samples[1000];
    for (int kind = 0; kind < 5; kind++) {
        const struct rng_stream stream = {.seed = 8, .purpose = (uint32_t)kind};
        int64_t time_ms = kind == 4 ? TIME_MIN_MS : -5;
        for (size_t i = 0; i < 1000; i++) {
            const uint32_t dice = rng_at(stream, i).word[0];
            samples[i] = (struct sample){time_ms, 1.0};
            time_ms += STEP_MS;
            if (kind == 1 && dice % 50 == 0)
                time_ms += (int64_t)(dice % 7) * STEP_MS; /* gaps */
            else if (kind == 2)
                time_ms += (int64_t)(dice % 100) - 50; /* jitter */
            else if (kind == 3)
                time_ms += (int64_t)dice; /* no step at all */
        }
        if (kind == 4)
            samples[999].time_ms = TIME_MAX_MS;
        const size_t len = round_trip(coder, samples, 1000);
        assert_true(kind == 3 || len < 1200);
        assert_true(kind != 0 || len < 64);
    }
    chunk_coder_free(coder);
}

/* ---- damage ---------------------------------------------------------------------- */

static size_t small_chunk(struct chunk_coder *coder, unsigned char *bytes, size_t cap)
{
    struct sample samples[40];
    for (size_t i = 0; i < 40; i++)
        samples[i] = (struct sample){(int64_t)i * STEP_MS, (double)(i * i % 17) * 0.1};
    size_t len;
    const void *const encoded = chunk_encode(coder, SERIES, samples, 40, &len);
    assert_true(len <= cap);
    memcpy(bytes, encoded, len);
    return len;
}

static void every_flipped_bit_is_seen(void **state)
{
    (void)state;
    struct chunk_coder *const coder = chunk_coder_new();
    unsigned char bytes[1000];
    struct sample out[40];
    struct err err = {0};
    size_t count;
    const size_t len = small_chunk(coder, bytes, sizeof bytes);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_err(chunk_count(bytes, len, &count, &err), &err, ERR_CORRUPT, "chunk: ");
        assert_err(chunk_decode(coder, SERIES, bytes, len, out, 40, &err), &err,
                   ERR_CORRUPT, "chunk: ");
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < len; cut++)
        assert_err(chunk_count(bytes, cut, &count, &err), &err, ERR_CORRUPT, "chunk: ");
    assert_err(chunk_decode(coder, SERIES + 1, bytes, len, out, 40, &err), &err,
               ERR_CORRUPT, "is of series 7, not 8");
    chunk_coder_free(coder);
}

/* Bytes with a right checksum that this program never wrote. */
static void nonsense_is_refused(void **state)
{
    (void)state;
    static const struct sample CASE[][2] = {
        {{0, 1.0}, {0, 1.0}},
        {{5, 1.0}, {4, 1.0}},
        {{0, 1.0}, {1, (double)NAN}},
        {{TIME_MIN_MS - 1, 1.0}, {1, 1.0}},
        {{0, 1.0}, {TIME_MAX_MS + 1, 1.0}},
    };
    struct chunk_coder *const coder = chunk_coder_new();
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        size_t len;
        struct sample out[2];
        struct err err = {0};
        const void *const encoded = chunk_encode(coder, SERIES, CASE[i], 2, &len);
        unsigned char *const bytes = mem_new(len, 1);
        memcpy(bytes, encoded, len);
        assert_err(chunk_decode(coder, SERIES, bytes, len, out, 2, &err), &err,
                   ERR_CORRUPT, "chunk: ");
        free(bytes);
    }
    chunk_coder_free(coder);
}

/* ---- real data ------------------------------------------------------------------- */

enum { COLUMNS_MAX = 8, ROWS_MAX = 20000, CHUNK = 1024 };

struct table {
    size_t rows, columns;
    double value[COLUMNS_MAX][ROWS_MAX];
};

/* The numbers behind the first column. */
static bool read_table(const char *path, struct table *table)
{
    FILE *const file = fopen(path, "r");
    char line[1024];
    table->rows = 0;
    if (!file || !fgets(line, sizeof line, file)) {
        if (file)
            fclose(file);
        return false;
    }
    for (; table->rows < ROWS_MAX && fgets(line, sizeof line, file); table->rows++) {
        table->columns = 0;
        for (const char *at = strchr(line, ','); at; at = strchr(at + 1, ','))
            table->value[table->columns++][table->rows] = strtod(at + 1, NULL);
    }
    fclose(file);
    return true;
}

/* Bytes a sample, the last chunk of each column left out as the compactor would. */
static double bytes_a_sample(const struct table *table)
{
    struct chunk_coder *const coder = chunk_coder_new();
    struct sample samples[CHUNK];
    size_t bytes = 0, count = 0;
    for (size_t c = 0; c < table->columns; c++)
        for (size_t from = 0; from + CHUNK <= table->rows; from += CHUNK) {
            for (size_t i = 0; i < CHUNK; i++)
                samples[i] = (struct sample){(int64_t)(from + i) * 3600000,
                                             table->value[c][from + i]};
            bytes += round_trip(coder, samples, CHUNK);
            count += CHUNK;
        }
    chunk_coder_free(coder);
    return (double)bytes / (double)count;
}

static void real_columns_are_small(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double most;
    } FILES[] = {{"ETTh1", 1.5},
                 {"exchange_rate", 2.5},
                 {"ec2_cpu_utilization_5f5533", 2.5},
                 {"elb_request_count_8c0756", 2.5}};
    struct table *const table = mem_new(1, sizeof *table);
    bool found = true;
    for (size_t f = 0; f < sizeof FILES / sizeof *FILES && found; f++) {
        char *const path = mem_printf("../shared/data/%s.csv", FILES[f].name);
        found = read_table(path, table);
        if (found) {
            const double each = bytes_a_sample(table);
            printf("# %s: %.3f bytes a sample\n", FILES[f].name, each);
            assert_true(each <= FILES[f].most);
        } else {
            printf("skipped: needs %s\n", path);
        }
        free(path);
    }
    free(table);
    if (!found)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_comes_back),
        cmocka_unit_test(a_chunk_may_be_as_large_as_it_may_be),
        cmocka_unit_test(every_time_comes_back),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(real_columns_are_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
