/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Problem documents, JSON of awkward values, CSV fields, and gzip in pieces. */
#include "tests/check.h"

#include <stdbool.h>
#include <zlib.h>

#include "api/gunzip.h"
#include "api/problem.h"
#include "base/mem.h"

static json_t *document(const struct err *err, struct reply *reply)
{
    *reply = (struct reply){0};
    reply_problem(reply, err, "/v1/x", NULL);
    assert_string_equal(reply->type, "application/problem+json");
    json_t *const parsed = json_loadb(reply->body, reply->len, 0, NULL);
    assert_non_null(parsed);
    return parsed;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *const text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Every code has a status; those that may pass by themselves say when to come back. */
static void test_statuses(void **state)
{
    (void)state;
    static const struct {
        enum err_code code;
        unsigned status;
        bool again;
    } cases[] = {
        {ERR_INVALID, 400, false},  {ERR_NOT_FOUND, 404, false},
        {ERR_CONFLICT, 409, false}, {ERR_TOO_LARGE, 413, false},
        {ERR_BUSY, 503, true},      {ERR_CANCELLED, 409, false},
        {ERR_NO_MEMORY, 503, true}, {ERR_CORRUPT, 500, false},
        {ERR_IO, 503, true},        {ERR_NONE, 500, false},
        {ERR_DENIED, 401, false},   {ERR_UNSUPPORTED, 415, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct err err = {.code = cases[i].code, .msg = "it failed"};
        struct reply reply;
        json_t *const got = document(&err, &reply);
        assert_int_equal(reply.status, cases[i].status);
        assert_int_equal(problem_status(cases[i].code), cases[i].status);
        assert_int_equal(json_integer_value(json_object_get(got, "status")),
                         cases[i].status);
        assert_true((reply.retry_after_s > 0) == cases[i].again);
        assert_string_equal(text_of(got, "detail"), "it failed");
        json_decref(got);
        reply_fini(&reply);
    }
}

static void test_parts(void **state)
{
    (void)state;
    static const struct {
        enum err_code code;
        const char *msg, *field, *rule, *value;
        int line;
    } cases[] = {
        {ERR_INVALID, "horizon: must be 1..48, got 0", "horizon", "must be 1..48", "0",
         0},
        {ERR_INVALID, "samples[3].value: is missing", "samples[3].value", "is missing",
         "", 0},
        {ERR_INVALID, "line 17: time: bad, got \"x\"", "time", "bad", "\"x\"", 17},
        {ERR_INVALID, "line 17: value of column \"cpu\": bad", "", "", "", 17},
        {ERR_INVALID, "no field here", "", "", "", 0},
        {ERR_INVALID, ": nothing before", "", "", "", 0},
        {ERR_NOT_FOUND, "job: 7 not found", "", "", "", 0},
        {ERR_CONFLICT, "history: must be 30 steps, got 10", "history", "must be 30 steps",
         "10", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        err_set(&err, cases[i].code, "%s", cases[i].msg);
        struct reply reply;
        json_t *const got = document(&err, &reply);
        assert_string_equal(text_of(got, "field"), cases[i].field);
        assert_string_equal(text_of(got, "rule"), cases[i].rule);
        assert_string_equal(text_of(got, "value"), cases[i].value);
        assert_int_equal(json_integer_value(json_object_get(got, "line")), cases[i].line);
        json_decref(got);
        reply_fini(&reply);
    }
}

/* A message may end in the middle of a character: it was cut to fit. */
static void test_broken_text(void **state)
{
    (void)state;
    const struct err err = {.code = ERR_INVALID, .msg = "x: bad, got \xc3\xa9\xe2\x82"};
    struct reply reply;
    json_t *const got = document(&err, &reply);
    assert_string_equal(text_of(got, "value"), "\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd");
    json_decref(got);
    reply_fini(&reply);
}

static void test_numbers(void **state)
{
    (void)state;
    const double awkward[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};
    for (size_t i = 0; i < 3; i++) {
        json_t *const value = json_number(awkward[i]);
        assert_true(json_is_null(value));
        json_decref(value);
    }
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.1, "0.1"},       {1.0 / 3, "0.3333333333333333"},
                 {5e-324, "5e-324"}, {-0.0, "-0"},
                 {1e22, "1e+22"},    {(double)NAN, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct page page = {0};
        page_add_number(&page, cases[i].value);
        assert_string_equal(page.bytes, cases[i].text);
        free(page.bytes);
    }
}

static void test_csv_fields(void **state)
{
    (void)state;
    struct page page = {0};
    page_add_field(&page, "plain");
    page_add(&page, "|");
    page_add_field(&page, "a{b=\"c\"}");
    page_add(&page, "|");
    page_add_field(&page, "x,y");
    assert_string_equal(page.bytes, "plain|\"a{b=\"\"c\"\"}\"|\"x,y\"");
    free(page.bytes);
}

static int collect(void *ctx, const char *bytes, size_t len, struct err *err)
{
    (void)err;
    page_add_bytes(ctx, bytes, len);
    return 0;
}

/* Two members, a byte at a time. */
static void test_gunzip(void **state)
{
    (void)state;
    unsigned char packed[256];
    size_t len = 0;
    for (int member = 0; member < 2; member++) {
        unsigned char text[] = "hello ";
        z_stream z = {.next_in = text,
                      .avail_in = 6,
                      .next_out = packed + len,
                      .avail_out = (uInt)(sizeof packed - len)};
        assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, 0), Z_OK);
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        len += z.total_out;
        deflateEnd(&z);
    }
    struct page out = {0};
    struct err err = {0};
    struct gunzip *const g = gunzip_new(12, collect, &out);
    for (size_t i = 0; i < len; i++) {
        assert_ok(gunzip_push(g, (const char *)packed + i, 1, &err), &err);
        if (i < len / 2 - 1)
            assert_err(gunzip_finish(g, &err), &err, ERR_INVALID, "cut off");
    }
    err = (struct err){0};
    assert_ok(gunzip_finish(g, &err), &err);
    assert_string_equal(out.bytes, "hello hello ");
    gunzip_free(g);
    free(out.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statuses),    cmocka_unit_test(test_parts),
        cmocka_unit_test(test_broken_text), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_csv_fields),  cmocka_unit_test(test_gunzip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
