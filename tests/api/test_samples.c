/* SPDX-License-Identifier: GPL-2.0-or-later */
/* POST and GET /v1/samples, GET /v1/series, over the real store. */
#include "tests/api/fixture.h"

#define SAMPLE(series, time, value)                                                      \
    "{\"series\":\"" series "\",\"time\":" time ",\"value\":" value "}"
#define BODY(list) "{\"samples\":[" list "]}"
#define GOOD SAMPLE("cpu", "\"2026-03-29T10:00:00Z\"", "1.5")

static void test_round_trip(void **state)
{
    struct fixture *const f = *state;
    struct answer a =
        post(f, "/v1/samples",
             BODY(SAMPLE("cpu{b=\\\"2\\\", a=\\\"1\\\"}", "\"2026-03-29T10:00:00Z\"",
                         "0.1") "," SAMPLE("cpu{a=\\\"1\\\",b=\\\"2\\\"}",
                                           "1774778460000", "2")));
    assert_status(a, 200);
    assert_int_equal(number(&a, "received"), 2);
    assert_int_equal(number(&a, "stored"), 2);
    answer_fini(&a);

    a = get(f, "/v1/samples?series=cpu%7Ba%3D%221%22%2C%20b%3D%222%22%7D");
    assert_status(a, 200);
    assert_string_equal(member(&a, "series"), "cpu{a=\"1\",b=\"2\"}");
    const json_t *const list = json_object_get(a.json, "samples");
    assert_int_equal(json_array_size(list), 2);
    const json_t *const first = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(first, "time")),
                        "2026-03-29T10:00:00Z");
    assert_true(json_number_value(json_object_get(first, "value")) == 0.1);
    answer_fini(&a);

    a = get(f,
            "/v1/samples?series=cpu%7Ba%3D%221%22%2Cb%3D%222%22%7D&format=csv&limit=1");
    assert_status(a, 200);
    assert_non_null(strstr(a.head, "text/csv"));
    assert_string_equal(a.body,
                        "series,time,value\n"
                        "\"cpu{a=\"\"1\"\",b=\"\"2\"\"}\",2026-03-29T10:00:00Z,0.1\n");
    answer_fini(&a);
}

/* A number comes back as it was written. */
static void test_digits(void **state)
{
    struct fixture *const f = *state;
    struct answer a = post(
        f, "/v1/samples",
        BODY(SAMPLE("short", "1", "0.1") "," SAMPLE("short", "2", "68.5329") "," SAMPLE(
            "long", "1", "0.1") "," SAMPLE("long", "2", "0.30000000000000004")));
    assert_status(a, 200);
    answer_fini(&a);
    a = get(f, "/v1/samples?series=short");
    assert_non_null(strstr(a.body, ":0.1}"));
    assert_non_null(strstr(a.body, ":68.5329}"));
    answer_fini(&a);
    a = get(f, "/v1/samples?series=long");
    assert_non_null(strstr(a.body, ":0.30000000000000004}"));
    answer_fini(&a);
    a = get(f, "/v1/series?select=short");
    assert_non_null(strstr(a.body, ":68.5329}"));
    answer_fini(&a);
}

static void test_counts(void **state)
{
    struct fixture *const f = *state;
    struct answer a = post(f, "/v1/samples", BODY(GOOD "," GOOD));
    assert_status(a, 200);
    assert_int_equal(number(&a, "received"), 2);
    assert_int_equal(number(&a, "stored"), 1);
    assert_int_equal(number(&a, "duplicate"), 1);
    answer_fini(&a);
    a = post(f, "/v1/samples",
             BODY(GOOD "," SAMPLE("mem", "\"2026-03-29T10:00:00Z\"", "7")));
    assert_int_equal(number(&a, "stored"), 1);
    assert_int_equal(number(&a, "duplicate"), 1);
    answer_fini(&a);
    a = post(f, "/v1/samples", BODY(SAMPLE("cpu", "\"2026-03-29T10:00:00Z\"", "9")));
    assert_int_equal(number(&a, "replaced"), 1);
    answer_fini(&a);
}

/* Every refusal names the field, and nothing of the request is stored. */
static void test_bad_bodies(void **state)
{
    struct fixture *const f = *state;
    static const struct {
        const char *body, *field, *text;
        int status;
    } cases[] = {
        {"", "body", "got nothing", 400},
        {" \n", "body", "got nothing", 400},
        {"{\"samples\":[", "body", "line 1, column 12", 400},
        {"[]", "body", "must be a JSON object, got []", 400},
        {"{}", "samples", "is missing", 400},
        {"{\"samples\":[]}", "samples", "at least one", 400},
        {"{\"samples\":{}}", "samples", "got {}", 400},
        {"{\"samples\":[],\"samples\":[]}", "body", "duplicate", 400},
        {"{\"sample\":[" GOOD "]}", "sample", "is not a field; those are samples", 400},
        {BODY(GOOD ",7"), "samples[1]", "must be an object, got 7", 400},
        {BODY("{\"time\":1,\"value\":1}"), "samples[0].series", "is missing", 400},
        {BODY("{\"series\":\"x\",\"value\":1}"), "samples[0].time", "is missing", 400},
        {BODY("{\"series\":\"x\",\"time\":1}"), "samples[0].value", "is missing", 400},
        {BODY("{\"series\":\"x\",\"time\":1,\"value\":1,\"unit\":\"s\"}"),
         "samples[0].unit", "is not a field; those are series, time, value", 400},
        {BODY(SAMPLE("cpu", "1", "\"1\"")), "samples[0].value",
         "must be a number, got \"1\"", 400},
        {BODY(SAMPLE("cpu", "1", "\"NaN\"")), "samples[0].value", "got \"NaN\"", 400},
        {BODY(SAMPLE("cpu", "1", "NaN")), "body", "is not JSON", 400},
        {BODY(SAMPLE("cpu", "1", "1e999")), "body", "real number overflow", 400},
        {BODY(SAMPLE("cpu", "1", "null")), "samples[0].value", "got null", 400},
        {BODY(GOOD "," SAMPLE("cpu", "\"yesterday\"", "1")), "samples[1].time",
         "got \"yesterday\"", 400},
        {BODY(SAMPLE("cpu", "1.5", "1")), "samples[0].time", "got 1.5", 400},
        {BODY(SAMPLE("cpu", "999999999999999", "1")), "samples[0].time", "RFC 3339", 400},
        {BODY(GOOD "," SAMPLE("cpu", "\"2026-03-29T12:10:01Z\"", "1")), "samples[1].time",
         "at most 10m ahead of the clock (2026-03-29T12:00:00Z), got "
         "2026-03-29T12:10:01Z",
         400},
        {BODY(SAMPLE("c pu", "1", "1")), "samples[0].series", "samples[0].series: must",
         400},
        {BODY(SAMPLE("cpu{a=\\\"1\\\"", "1", "1")), "samples[0].series", "", 400},
        {BODY(SAMPLE("", "1", "1")), "samples[0].series", "", 400},
        {BODY(GOOD "," SAMPLE("mem", "1", "1") "," SAMPLE("cpu", "1774778400000", "2")),
         "samples[2].value", "must agree with samples[0]", 400},
        {"{\"samples\":[\"\xff\xfe\"]}", "body", "unable to decode byte 0xff", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a = post(f, "/v1/samples", cases[i].body);
        assert_problem(a, cases[i].status, cases[i].field, cases[i].text);
        assert_string_equal(member(&a, "instance"), "/v1/samples");
        answer_fini(&a);
    }
    assert_int_equal(samples_held(f), 0);
}

static void test_problem_members(void **state)
{
    struct fixture *const f = *state;
    struct answer a = post(f, "/v1/samples", BODY(SAMPLE("cpu", "1", "true")));
    assert_status(a, 400);
    assert_string_equal(member(&a, "type"), "urn:frwkvd:problem:invalid");
    assert_string_equal(member(&a, "field"), "samples[0].value");
    assert_string_equal(member(&a, "rule"), "must be a number");
    assert_string_equal(member(&a, "value"), "true");
    assert_true(strlen(member(&a, "title")) > 0);
    answer_fini(&a);
}

static void test_deep_and_large(void **state)
{
    struct fixture *const f = *state;
    char *deep = mem_new(100001, 1);
    memset(deep, '[', 100000);
    struct answer a = post(f, "/v1/samples", deep);
    assert_problem(a, 400, "body", "depth");
    answer_fini(&a);
    free(deep);

    const size_t large = (2 << 20);
    char *const body = mem_new(large + 1, 1);
    memset(body, ' ', large);
    a = post(f, "/v1/samples", body);
    assert_problem(a, 413, "body", "at most 1048576 bytes");
    answer_fini(&a);
    free(body);
    assert_int_equal(samples_held(f), 0);
}

static void test_bad_reads(void **state)
{
    struct fixture *const f = *state;
    static const struct {
        const char *path, *field, *text;
        int status;
    } cases[] = {
        {"/v1/samples", "series", "is missing", 400},
        {"/v1/samples?series=", "series", "must not be empty", 400},
        {"/v1/samples?series=cpu&colour=red", "colour",
         "is not a parameter of this route", 400},
        {"/v1/samples?series=cpu&limit=0", "limit", "must be 1..100000, got 0", 400},
        {"/v1/samples?series=cpu&limit=ten", "limit", "got ten", 400},
        {"/v1/samples?series=cpu&limit=5&limit=6", "limit", "given once, got 5 and 6",
         400},
        {"/v1/samples?series=cpu&from=noon", "from", "got noon", 400},
        {"/v1/samples?series=cpu&format=xml", "format", "one of json, csv, got xml", 400},
        {"/v1/samples?series=cpu&from=9&to=3", "from",
         "must be at most to (1970-01-01T00:00:03Z)", 400},
        {"/v1/samples?series=%ff", "series", "", 400},
        {"/v1/samples?series=cpu%7B", "series", "series: must have a label name", 400},
        {"/v1/samples?series=c%00pu", "query", "zero bytes", 400},
        {"/v1/samples?series=nothing", "", "not found", 404},
        {"/v1/series?select=cpu%7B", "select", "select: must have a label name", 400},
        {"/v1/series?limit=-1", "limit", "got -1", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a = get(f, cases[i].path);
        if (*cases[i].field || cases[i].status != 404)
            assert_problem(a, cases[i].status, cases[i].field, cases[i].text);
        assert_status(a, cases[i].status);
        answer_fini(&a);
    }
}

static void test_series(void **state)
{
    struct fixture *const f = *state;
    struct answer a = post(
        f, "/v1/samples",
        BODY(GOOD "," SAMPLE("cpu", "\"2026-03-29T11:00:00Z\"", "2.5") "," SAMPLE(
            "mem{host=\\\"a\\\"}", "\"2026-03-29T11:00:00Z\"",
            "3") "," SAMPLE("mem{host=\\\"b\\\"}", "\"2026-03-29T11:00:00Z\"", "4")));
    assert_status(a, 200);
    answer_fini(&a);
    a = get(f, "/v1/series?select=mem&limit=1");
    assert_status(a, 200);
    assert_true(json_is_true(json_object_get(a.json, "more")));
    assert_int_equal(json_array_size(json_object_get(a.json, "series")), 1);
    answer_fini(&a);
    a = get(f, "/v1/series?select=cpu");
    const json_t *const one = json_array_get(json_object_get(a.json, "series"), 0);
    assert_int_equal(json_integer_value(json_object_get(one, "samples")), 2);
    assert_string_equal(json_string_value(json_object_get(one, "first")),
                        "2026-03-29T10:00:00Z");
    assert_string_equal(json_string_value(json_object_get(one, "last")),
                        "2026-03-29T11:00:00Z");
    answer_fini(&a);
}

static void test_survives_restart(void **state)
{
    struct fixture *const f = *state;
    struct answer a = post(f, "/v1/samples", BODY(GOOD));
    assert_status(a, 200);
    answer_fini(&a);
    fixture_restart(f);
    a = get(f, "/v1/samples?series=cpu");
    assert_status(a, 200);
    assert_int_equal(json_array_size(json_object_get(a.json, "samples")), 1);
    answer_fini(&a);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_round_trip), CASE(test_digits),          CASE(test_counts),
        CASE(test_bad_bodies), CASE(test_problem_members), CASE(test_deep_and_large),
        CASE(test_bad_reads),  CASE(test_series),          CASE(test_survives_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
