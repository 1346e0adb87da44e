/* SPDX-License-Identifier: GPL-2.0-or-later */
/* POST /api/put: points, one or many, and every status. */
#include "tests/api/books.h"

static const char dialect[] = "opentsdb";
static const char put_path[] = "/api/put";

static void test_points(void **state)
{
    struct fixture *const f = *state;
    static const struct {
        const char *point, *series;
        double value;
        int64_t time_ms;
    } cases[] = {
        {"{\"metric\":\"up\",\"timestamp\":1774785600,\"value\":1}", "up", 1,
         1774785600000},
        {"{\"metric\":\"sys.cpu\",\"timestamp\":1774785600123,\"value\":\"2.5\",\"tags\":"
         "{\"host\":\"a b\",\"data-center\":\"1\"}}",
         "{__name__=\"sys.cpu\",data_center=\"1\",host=\"a b\"}", 2.5, 1774785600123},
        {"[{\"metric\":\"m\",\"timestamp\":1774785600.5,\"value\":-3e2,\"tags\":{},"
         "\"other\":1}]",
         "m", -300, 1774785600500},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a = post(f, put_path, cases[i].point);
        assert_status(a, 204);
        assert_string_equal(a.body, "");
        answer_fini(&a);
        const struct sample got = only_sample(f, cases[i].series);
        assert_true(got.value == cases[i].value);
        assert_int_equal(got.time_ms, cases[i].time_ms);
    }
    assert_books_close(f, dialect, 3);
}

static void test_bad_points(void **state)
{
    struct fixture *const f = *state;
    static const struct {
        const char *point, *says;
    } cases[] = {
        {"3", "[1]: timestamp: must be a number"},
        {"{\"metric\":\"m\",\"value\":1}", "timestamp: must be a number"},
        {"{\"metric\":\"m\",\"timestamp\":1e15,\"value\":1}",
         "timestamp: must be a number"},
        {"{\"metric\":\"m\",\"timestamp\":1}", "value: must be a number"},
        {"{\"metric\":\"m\",\"timestamp\":1,\"value\":\"1x\"}",
         "value: must be a number"},
        {"{\"metric\":\"m\",\"timestamp\":1,\"value\":\"\"}", "value: must be a number"},
        {"{\"timestamp\":1,\"value\":1}", "metric: is missing"},
        {"{\"metric\":\"\",\"timestamp\":1,\"value\":1}", "metric: is missing"},
        {"{\"metric\":\"m\",\"timestamp\":1,\"value\":1,\"tags\":[]}",
         "tags: must be an object"},
        {"{\"metric\":\"m\",\"timestamp\":1,\"value\":1,\"tags\":{\"a\":1}}",
         "must have texts"},
        {"{\"metric\":\"m\",\"timestamp\":1,\"value\":1,\"tags\":{\"a-b\":\"1\",\"a_b\":"
         "\"2\"}}",
         "stands twice"},
        {"{\"metric\":\"m\",\"timestamp\":1774786201,\"value\":1}", "at most 10m ahead"},
    };
    const size_t count = sizeof cases / sizeof *cases;
    for (size_t i = 0; i < count; i++) {
        char *const body =
            mem_printf("[{\"metric\":\"good\",\"timestamp\":%zu,\"value\":1},%s]", i,
                       cases[i].point);
        struct answer a = post(f, put_path, body);
        assert_status(a, 400);
        const json_t *const error = json_object_get(a.json, "error");
        const char *const message = json_string_value(json_object_get(error, "message"));
        assert_int_equal(json_integer_value(json_object_get(error, "code")), 400);
        if (!message || !strstr(message, cases[i].says))
            fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].point, a.body, cases[i].says);
        assert_non_null(strstr(message, "1 of 2 points were refused"));
        answer_fini(&a);
        free(body);
    }
    assert_int_equal(samples_held(f), count);
    assert_int_equal(rejected(f, dialect, "future"), 1);
    assert_books_close(f, dialect, (long)(2 * count));
}

static void test_statuses(void **state)
{
    struct fixture *const f = *state;
    static const char good[] = "{\"metric\":\"m\",\"timestamp\":1,\"value\":1}";
    struct answer a = post(f, "/api/put?summary", good);
    assert_status(a, 200);
    assert_int_equal(number(&a, "success"), 1);
    assert_int_equal(number(&a, "failed"), 0);
    answer_fini(&a);
    a = post(f, "/api/put?details=true",
             "[{\"metric\":\"m\",\"timestamp\":1,\"value\":1},{}]");
    assert_status(a, 400);
    assert_int_equal(number(&a, "success"), 1);
    assert_int_equal(number(&a, "failed"), 1);
    assert_int_equal(json_array_size(json_object_get(a.json, "errors")), 1);
    answer_fini(&a);
    static const char *const bodies[] = {"", "[", "\"text\"", "{\"metric\""};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        a = post(f, put_path, bodies[i]);
        assert_status(a, 400);
        assert_non_null(strstr(a.body, "\"message\":\"body: "));
        answer_fini(&a);
    }
    char *const large = mem_new(f->config.body_max + 1, 1);
    a = ask(f, "POST", put_path, "", large, f->config.body_max + 1);
    assert_status(a, 413);
    answer_fini(&a);
    free(large);
    a = ask(f, "POST", put_path, "Content-Encoding: br\r\n", "[]", 2);
    assert_status(a, 415);
    answer_fini(&a);
    a = get(f, put_path);
    assert_status(a, 405);
    answer_fini(&a);
    fixture_fill_head(f, 2);
    a = post(f, put_path,
             "[{\"metric\":\"m\",\"timestamp\":2,\"value\":1},{\"metric\":\"m\","
             "\"timestamp\":3,\"value\":1}]");
    assert_status(a, 503);
    assert_non_null(strcasestr(a.head, "\r\nRetry-After: "));
    answer_fini(&a);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_points),
        CASE(test_bad_points),
        CASE(test_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
