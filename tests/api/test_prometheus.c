/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of Prometheus' HTTP API: what Grafana, promtool and vmalert ask, as they ask
 * it. */
#include "tests/api/issued.h"

#include "api/prometheus.h"

/* Now is 1774785600. */
#define ASSERT_BODY(asking, want)                                                        \
    do {                                                                                 \
        struct answer asked = (asking);                                                  \
        assert_status(asked, 200);                                                       \
        assert_non_null(strstr(asked.head, "Content-Type: application/json"));           \
        assert_non_null(asked.json);                                                     \
        assert_string_equal(asked.body, want);                                           \
        answer_fini(&asked);                                                             \
    } while (0)

#define OK(data) "{\"status\":\"success\",\"data\":" data "}"
#define VECTOR(results) OK("{\"resultType\":\"vector\",\"result\":[" results "]}")
#define MATRIX(results) OK("{\"resultType\":\"matrix\",\"result\":[" results "]}")

static const char form[] = "Content-Type: application/x-www-form-urlencoded\r\n";

static struct answer post_form(const struct fixture *f, const char *path,
                               const char *body)
{
    return ask(f, "POST", path, form, body, strlen(body));
}

static const char *const two[] = {"cpu{host=\"a\"}", "cpu{host=\"b\"}", NULL};

/* History of two series, and a forecast of both. */
static void make_fleet(const struct fixture *f)
{
    forecaster_make(f, "web",
                    "{\"select\": \"cpu\", \"step\": \"1h\", \"horizon\": 48, "
                    "\"lookback\": 48}");
    for (int i = 0; i < 3; i++) {
        sample_put(f, "cpu{host=\"a\"}", FIXTURE_NOW - (3 - i) * HOUR_MS, 0.25 + i);
        sample_put(f, "cpu{host=\"b\"}", FIXTURE_NOW - (3 - i) * HOUR_MS, 10 + i);
    }
    sample_put(f, "mem", FIXTURE_NOW - 10 * MINUTE_MS, 0.1);
    issue_put(
        f, (struct issuing){"web", FIXTURE_NOW, FIXTURE_NOW, HOUR_MS, 48, .series = two});
}

/* What Grafana's health check asks, to the byte. */
static void test_health(void **state)
{
    struct fixture *const f = *state;
    static const char want[] = "{\"status\":\"success\",\"data\":{\"resultType\":"
                               "\"scalar\",\"result\":[4,\"2\"]}}";
    ASSERT_BODY(get(f, "/api/v1/query?query=1%2B1&time=4"), want);
    ASSERT_BODY(post_form(f, "/api/v1/query", "query=1%2B1&time=4"), want);
    /* As vmalert asks: parameters in the URL of a POST, another content type. */
    ASSERT_BODY(ask(f, "POST", "/api/v1/query?query=1%2B1&step=300s&time=4",
                    "Content-Type: application/json\r\n", NULL, 0),
                want);
    struct answer a = get(f, "/api/v1/status/buildinfo");
    assert_status(a, 200);
    const json_t *const data = json_object_get(a.json, "data");
    assert_string_equal(json_string_value(json_object_get(data, "version")), "2.24.0");
    assert_string_equal(json_string_value(json_object_get(data, "frwkvd")), "test");
    assert_null(json_object_get(data, "features"));
    answer_fini(&a);
    ASSERT_BODY(get(f, "/api/v1/rules"), OK("{\"groups\":[]}") "\n");
    ASSERT_BODY(get(f, "/api/v1/alerts"), OK("{\"alerts\":[]}") "\n");
    ASSERT_BODY(get(f, "/api/v1/metadata?limit=10"), OK("{}") "\n");
    ASSERT_BODY(get(f, "/api/v1/query_exemplars?query=x"), OK("[]") "\n");
    ASSERT_BODY(post_form(f, "/api/v1/query_exemplars", "query=x"), OK("[]") "\n");
}

static void test_instant(void **state)
{
    struct fixture *const f = *state;
    make_fleet(f);
    /* A look back of the forecaster's step for what it reads, of five minutes else. */
    ASSERT_BODY(get(f, "/api/v1/query?query=cpu{host=\"a\"}&time=1774785599.5"),
                VECTOR("{\"metric\":{\"__name__\":\"cpu\",\"host\":\"a\"},"
                       "\"value\":[1774785599.500,\"2.25\"]}"));
    ASSERT_BODY(get(f, "/api/v1/query?query=cpu&time=1774785600"), VECTOR(""));
    ASSERT_BODY(get(f, "/api/v1/query?query=mem"), VECTOR(""));
    ASSERT_BODY(
        get(f, "/api/v1/query?query=mem&time=2026-03-29T11:54:59Z"),
        VECTOR("{\"metric\":{\"__name__\":\"mem\"},\"value\":[1774785299,\"0.1\"]}"));
    ASSERT_BODY(
        get(f, "/api/v1/query?query=mem%20offset%206m"),
        VECTOR("{\"metric\":{\"__name__\":\"mem\"},\"value\":[1774785600,\"0.1\"]}"));
    /* What is ahead, at its own time and by a negative offset. */
    static const char ahead[] =
        VECTOR("{\"metric\":{\"__name__\":\"cpu:predicted\",\"forecaster\":\"web\","
               "\"host\":\"b\",\"ml_forecast\":\"yhat\"},\"value\":[%s,\"11.5\"]}");
    static const char query[] = "cpu:predicted{host=\"b\",ml_forecast=\"yhat\"}";
    const char *const times[] = {"1774789200", "1774785600"};
    for (size_t i = 0; i < 2; i++) {
        char *const want = mem_printf("%s", ahead), *path;
        char *const place = strstr(want, "%s");
        char *const full =
            mem_printf("%.*s%s%s", (int)(place - want), want, times[i], place + 2);
        path = mem_printf("/api/v1/query?query=%s%s&time=%s", query,
                          i ? "%20offset%20-1h" : "", times[i]);
        ASSERT_BODY(get(f, path), full);
        free(path);
        free(full);
        free(want);
    }
    /* The filter of an alert. */
    ASSERT_BODY(
        get(f, "/api/v1/query?query=cpu:predicted%20offset%20-1h%20>%2011.5"),
        VECTOR("{\"metric\":{\"__name__\":\"cpu:predicted\",\"forecaster\":\"web\","
               "\"host\":\"b\",\"ml_forecast\":\"yhat_upper\"},"
               "\"value\":[1774785600,\"11.899999618530273\"]}"));
    /* A range: its samples as they are, without its beginning. */
    ASSERT_BODY(get(f, "/api/v1/query?query=cpu{host=\"b\"}[2h]&time=1774782000"),
                MATRIX("{\"metric\":{\"__name__\":\"cpu\",\"host\":\"b\"},\"values\":"
                       "[[1774778400,\"11\"],[1774782000,\"12\"]]}"));
}

static void test_range(void **state)
{
    struct fixture *const f = *state;
    make_fleet(f);
    ASSERT_BODY(
        get(f, "/api/v1/query_range?query=cpu{host=\"a\"}&start=1774774800"
               "&end=1774785600&step=1800"),
        MATRIX("{\"metric\":{\"__name__\":\"cpu\",\"host\":\"a\"},\"values\":["
               "[1774774800,\"0.25\"],[1774776600,\"0.25\"],[1774778400,\"1.25\"],"
               "[1774780200,\"1.25\"],[1774782000,\"2.25\"],[1774783800,\"2.25\"]]}"));
    ASSERT_BODY(
        get(f, "/api/v1/query_range?query=1/4&start=0&end=20.5&step=10s"),
        MATRIX("{\"metric\":{},\"values\":[[0,\"0.25\"],[10,\"0.25\"],[20,\"0.25\"]]}"));
    ASSERT_BODY(post_form(f, "/api/v1/query_range?start=0", "query=none&end=9&step=1m"),
                MATRIX(""));
    /* Two days ahead of an hourly forecaster, a minute's step: no hole. */
    struct answer a = get(f, "/api/v1/query_range?query=cpu:predicted{host=\"a\"}&start="
                             "1774785600&end=1774958340&step=60");
    assert_status(a, 200);
    const json_t *const result =
        json_object_get(json_object_get(a.json, "data"), "result");
    assert_int_equal(json_array_size(result), 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(
            json_array_size(json_object_get(json_array_get(result, i), "values")),
            48 * 60);
    answer_fini(&a);
}

static void test_names(void **state)
{
    struct fixture *const f = *state;
    make_fleet(f);
    ASSERT_BODY(get(f, "/api/v1/labels"),
                OK("[\"__name__\",\"forecaster\",\"host\",\"ml_forecast\"]") "\n");
    ASSERT_BODY(post_form(f, "/api/v1/labels", "match[]=mem&match[]=cpu"),
                OK("[\"__name__\",\"host\"]") "\n");
    ASSERT_BODY(get(f, "/api/v1/label/__name__/values"),
                OK("[\"cpu\",\"cpu:predicted\",\"mem\"]") "\n");
    ASSERT_BODY(get(f, "/api/v1/label/ml_forecast/values?match[]=cpu:predicted"),
                OK("[\"yhat\",\"yhat_lower\",\"yhat_upper\"]") "\n");
    ASSERT_BODY(get(f, "/api/v1/label/none/values"), OK("[]") "\n");
    ASSERT_BODY(get(f, "/api/v1/label/host/values?limit=1"),
                "{\"status\":\"success\",\"data\":[\"a\"],\"warnings\":"
                "[\"results truncated due to limit\"]}\n");
    ASSERT_BODY(get(f, "/api/v1/series?match[]={host=\"a\",forecaster=\"\"}"),
                OK("[{\"__name__\":\"cpu\",\"host\":\"a\"}]") "\n");
    ASSERT_BODY(post_form(f, "/api/v1/series",
                          "match%5B%5D=mem&match%5B%5D=%7B__name__%3D~%22me.%22%7D"),
                OK("[{\"__name__\":\"mem\"}]") "\n");
    /* Only what reaches into the time. */
    ASSERT_BODY(get(f, "/api/v1/label/__name__/values?start=1774785601&end=1774789200"),
                OK("[\"cpu:predicted\"]") "\n");
    ASSERT_BODY(get(f, "/api/v1/label/__name__/values?end=1774785000"),
                OK("[\"cpu\",\"mem\"]") "\n");
    ASSERT_BODY(get(f, "/api/v1/label/__name__/values?start=1784785600"), OK("[]") "\n");
}

static void assert_refused(struct answer a, int status, const char *type,
                           const char *text)
{
    assert_status(a, status);
    assert_string_equal(member(&a, "status"), "error");
    assert_string_equal(member(&a, "errorType"), type);
    if (!strstr(member(&a, "error"), text)) {
        print_error("\"%s\" lacks \"%s\"\n", a.body, text);
        fail();
    }
    answer_fini(&a);
}

static void test_refusals(void **state)
{
    struct fixture *const f = *state;
    static const struct {
        const char *path, *text;
    } bad[] = {
        {"query", "query: is missing"},
        {"query?query=rate(up[5m])", "a function or aggregation, at byte 1"},
        {"query?query=up&time=noon",
         "invalid parameter \"time\": cannot parse \"noon\" to a valid timestamp"},
        {"query?query={a=~\"(\",b=\"c\"}", "selector: a=~\"(\""},
        {"query_range?query=up&start=0&end=1", "invalid parameter \"step\""},
        {"query_range?query=up&start=0&step=1", "invalid parameter \"end\""},
        {"query_range?query=up&end=0&step=1", "invalid parameter \"start\""},
        {"query_range?query=up&start=2&end=1&step=1",
         "end timestamp must not be before start time"},
        {"query_range?query=up&start=0&end=1&step=0", "Try a positive integer"},
        {"query_range?query=up&start=0&end=1&step=x", "to a valid duration"},
        {"query_range?query=up&start=0&end=11001&step=1",
         "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing "
         "the "
         "query resolution (?step=XX)"},
        {"query_range?query=up[5m]&start=0&end=1&step=1", "range vector"},
        {"series", "no match[] parameter provided"},
        {"series?match[]=up[5m]", "invalid parameter \"match[]\": must be a selector"},
        {"series?match[]=1", "invalid parameter \"match[]\": must be a selector"},
        {"labels?match[]=sum(up)", "invalid parameter \"match[]\": query: a function"},
        {"labels?limit=-1", "invalid parameter \"limit\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *const path = mem_printf("/api/v1/%s", bad[i].path);
        assert_refused(get(f, path), 400, "bad_data", bad[i].text);
        free(path);
    }
    char *const huge = mem_new((1 << 20) + 1, 1);
    assert_refused(ask(f, "POST", "/api/v1/query", form, huge, (1 << 20) + 1), 413,
                   "bad_data", "at most");
    free(huge);
    assert_refused(ask(f, "POST", "/api/v1/query", "Content-Encoding: br\r\n", "x", 1),
                   415, "bad_data", "Content-Encoding");
    struct answer a = post_form(f, "/api/v1/label/host/values", "");
    assert_status(a, 405);
    answer_fini(&a);
}

/* What is asked for holds too much: 422, and nothing of it is held. */
static void test_execution(void **state)
{
    struct fixture *const f = *state;
    static const char *const one[] = {"cpu", NULL};
    static const double median[] = {0.5};
    forecaster_make(f, "web",
                    "{\"select\": \"cpu\", \"step\": \"4w\", \"horizon\": 2048, "
                    "\"lookback\": 48}");
    issue_put(f, (struct issuing){"web", FIXTURE_NOW, FIXTURE_NOW, INT64_C(28) * DAY_MS,
                                  256, median, 1, .series = one});
    assert_refused(get(f, "/api/v1/query?query=cpu:predicted[20y]&time=2395440000"), 422,
                   "execution", "more than 2097152 samples");
}

/* A failure of each kind, as it is said. */
static void test_table(void **state)
{
    (void)state;
    static const struct {
        enum err_code code;
        unsigned status;
        const char *type;
    } cases[] = {
        {ERR_INVALID, 400, "bad_data"},    {ERR_NOT_FOUND, 404, "not_found"},
        {ERR_TOO_LARGE, 413, "bad_data"},  {ERR_BUSY, 503, "timeout"},
        {ERR_NO_MEMORY, 503, "timeout"},   {ERR_IO, 503, "timeout"},
        {ERR_DENIED, 401, "unauthorized"}, {ERR_UNSUPPORTED, 415, "bad_data"},
        {ERR_CORRUPT, 500, "internal"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct err err = {cases[i].code, "\"why\" \xff"};
        struct reply reply = {0};
        prometheus_refuse(&reply, &err);
        char *const want = mem_printf("{\"status\":\"error\",\"errorType\":\"%s\","
                                      "\"error\":\"\\\"why\\\" \xef\xbf\xbd\"}\n",
                                      cases[i].type);
        assert_int_equal(reply.status, cases[i].status);
        assert_string_equal(reply.body, want);
        free(want);
        reply_fini(&reply);
    }
}

/* With credentials. */
static void test_credentials(void **state)
{
    struct fixture *const f = *state;
    static const struct api_credentials credentials = {.token = "secret"};
    fixture_stop(f);
    f->config.credentials = &credentials;
    fixture_start(f);
    assert_refused(get(f, "/api/v1/query?query=1"), 401, "unauthorized", "credentials");
    struct answer a = ask(f, "GET", "/api/v1/query?query=1",
                          "Authorization: Bearer secret\r\n", NULL, 0);
    assert_status(a, 200);
    answer_fini(&a);
}

int main(void)
{
#define SERVED(test)                                                                     \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        SERVED(test_health),      SERVED(test_instant),         SERVED(test_range),
        SERVED(test_names),       SERVED(test_refusals),        SERVED(test_execution),
        SERVED(test_credentials), cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
