/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include <stdio.h>

#include "model/safetensors.h"

/* A file of this header and data_len zero bytes; *len gets its size. */
static unsigned char *file_of(const char *header, size_t data_len, size_t *len)
{
    const uint64_t header_len = strlen(header);
    *len = 8 + header_len + data_len;
    unsigned char *const bytes = calloc(*len, 1);
    memcpy(bytes, &header_len, 8);
    memcpy(bytes + 8, header, header_len);
    return bytes;
}

static void round_trip_keeps_everything(void **state)
{
    (void)state;
    const float a[] = {1.5f, -2.0f, 3.25f, 0, 5, 6};
    const double b[] = {0.1};
    const int64_t c[] = {-7, 1LL << 60};
    const struct safetensor tensors[] = {
        {"a", SAFETENSOR_F32, 2, {2, 3}, a, 6},
        {"b", SAFETENSOR_F64, 0, {0}, b, 1},
        {"empty", SAFETENSOR_U8, 1, {0}, NULL, 0},
        {"c \"q\"", SAFETENSOR_I64, 1, {2}, c, 2},
    };
    const struct safetensors_meta meta[] = {{"k", "v\n\u00e9"}, {"json", "{\"x\":1}"}};
    struct err err = {0};
    void *bytes = NULL, *again = NULL;
    size_t len = 0, again_len = 0;
    assert_ok(safetensors_write(tensors, 4, meta, 2, &bytes, &len, &err), &err);
    assert_ok(safetensors_write(tensors, 4, meta, 2, &again, &again_len, &err), &err);
    assert_int_equal(len, again_len);
    assert_memory_equal(bytes, again, len);

    struct safetensors *const file = safetensors_parse(bytes, len, &err);
    assert_non_null(file);
    assert_int_equal(safetensors_count(file), 4);
    assert_string_equal(safetensors_at(file, 0)->name, "a");
    assert_string_equal(safetensors_meta(file, "k"), "v\n\u00e9");
    assert_string_equal(safetensors_meta(file, "json"), "{\"x\":1}");
    assert_null(safetensors_meta(file, "absent"));
    assert_null(safetensors_find(file, "absent"));

    double got[6];
    assert_ok(safetensor_doubles(safetensors_find(file, "a"), got, 6, &err), &err);
    for (int i = 0; i < 6; i++)
        assert_true(got[i] == (double)a[i]);
    assert_ok(safetensor_doubles(safetensors_find(file, "b"), got, 1, &err), &err);
    assert_true(got[0] == 0.1);
    real one;
    assert_ok(safetensor_reals(safetensors_find(file, "b"), &one, 1, &err), &err);
    assert_true(one == (real)0.1);
    const struct safetensor *const ints = safetensors_find(file, "c \"q\"");
    assert_int_equal(ints->count, 2);
    assert_memory_equal(ints->data, c, sizeof c);
    assert_int_equal(safetensors_find(file, "empty")->count, 0);

    assert_err(safetensor_doubles(ints, got, 2, &err), &err, ERR_CORRUPT, "type");
    assert_err(safetensor_doubles(safetensors_find(file, "a"), got, 5, &err), &err,
               ERR_CORRUPT, "expected 5");
    safetensors_free(file);
    free(bytes);
    free(again);
}

static void malformed_headers_are_refused(void **state)
{
    (void)state;
#define T(shape, from, to)                                                               \
    "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"
    static const struct {
        const char *header;
        size_t data_len;
        const char *why;
    } cases[] = {
        {"", 0, "header"},
        {"[]", 0, "not an object"},
        {"{\"a\":", 0, "header"},
        {"{}", 4, "no tensor"},
        {"{\"a\":1}", 0, "must have"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "must have"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,2]}}", 2, "dtype"},
        {"{\"a\":{\"dtype\":3,\"shape\":[1],\"data_offsets\":[0,2]}}", 2, "dtype"},
        {"{\"a\":" T("[2]", 0, 4) "}", 4, "disagree"},
        {"{\"a\":" T("[-1]", 0, 4) "}", 4, "shape"},
        {"{\"a\":" T("[1.0]", 0, 4) "}", 4, "shape"},
        {"{\"a\":" T("3", 0, 4) "}", 4, "shape"},
        {"{\"a\":" T("[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "shape"},
        {"{\"a\":" T("[4294967296,4294967296]", 0, 4) "}", 4, "shape"},
        {"{\"a\":" T("[4611686018427387905]", 0, 4) "}", 4, "disagree"},
        {"{\"a\":" T("[1]", 0, 4) "}", 3, "outside"},
        {"{\"a\":" T("[1]", 4, 0) "}", 4, "outside"},
        {"{\"a\":" T("[1]", -4, 0) "}", 4, "two sizes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4,
         "two sizes"},
        {"{\"a\":" T("[1]", 0, 4) ",\"b\":" T("[1]", 8, 12) "}", 12, "hole"},
        {"{\"a\":" T("[1]", 4, 8) "}", 8, "hole"},
        {"{\"a\":" T("[2]", 0, 8) ",\"b\":" T("[1]", 4, 8) "}", 8, "overlaps"},
        {"{\"a\":" T("[1]", 0, 4) ",\"b\":" T("[1]", 0, 4) "}", 4, "overlaps"},
        {"{\"a\":" T("[1]", 0, 4) "}", 8, "no tensor"},
        {"{\"a\":" T("[1]", 0, 4) ",\"a\":" T("[1]", 4, 8) "}", 8, "uplicate"},
        {"{\"__metadata__\":{\"k\":1}}", 0, "not text"},
        {"{\"__metadata__\":[]}", 0, "not an object"},
        {"{\"\\u0000\":" T("[1]", 0, 4) "}", 4, "header"},
        {"{} x", 0, "header"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len;
        unsigned char *const bytes = file_of(cases[i].header, cases[i].data_len, &len);
        struct err err = {0};
        struct safetensors *const file = safetensors_parse(bytes, len, &err);
        if (file || err.code != ERR_CORRUPT || !strstr(err.msg, cases[i].why))
            fail_msg("%s: %s", cases[i].header, file ? "taken" : err.msg);
        free(bytes);
    }
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    size_t len;
    unsigned char *const bytes =
        file_of("{\"a\":" T("[2]", 0, 8) ",\"b\":" T("[]", 8, 12) "}  ", 12, &len);
    struct err err = {0};
    struct safetensors *file = safetensors_parse(bytes, len, &err);
    assert_non_null(file);
    safetensors_free(file);
    for (size_t cut = 0; cut < len; cut++) {
        unsigned char *const part = malloc(cut ? cut : 1); /* exact, for the sanitizer */
        memcpy(part, bytes, cut);
        err = (struct err){0};
        file = safetensors_parse(part, cut, &err);
        assert_null(file);
        assert_int_equal(err.code, ERR_CORRUPT);
        free(part);
    }
    free(bytes);
}

static void oversized_header_lengths_are_refused(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {3, SAFETENSORS_HEADER_MAX + 1ULL, 1ULL << 63,
                                       UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        unsigned char bytes[10] = "........{}";
        memcpy(bytes, &lengths[i], 8);
        struct err err = {0};
        assert_null(safetensors_parse(bytes, sizeof bytes, &err));
        assert_int_equal(err.code, ERR_CORRUPT);
    }
}

static void writer_refuses_what_it_cannot_say(void **state)
{
    (void)state;
    const float one = 1;
    const struct safetensor twice[] = {{"a", SAFETENSOR_F32, 1, {1}, &one, 1},
                                       {"a", SAFETENSOR_F32, 1, {1}, &one, 1}};
    const struct safetensors_meta bad[] = {{"k", "\xff"}};
    struct err err = {0};
    void *bytes;
    size_t len;
    assert_err(safetensors_write(twice, 2, NULL, 0, &bytes, &len, &err), &err,
               ERR_INVALID, "repeated");
    assert_err(safetensors_write(twice, 1, bad, 1, &bytes, &len, &err), &err, ERR_INVALID,
               "UTF-8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_keeps_everything),
        cmocka_unit_test(malformed_headers_are_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(oversized_header_lengths_are_refused),
        cmocka_unit_test(writer_refuses_what_it_cannot_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
