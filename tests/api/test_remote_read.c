/* SPDX-License-Identifier: GPL-2.0-or-later */
/* POST /api/v1/read: what is shown, under which name and when, and what is refused. */
#include "tests/api/issued.h"
#include "tests/api/write_request.h"
#include "base/labels.h"

static const char read_path[] = "/api/v1/read";
static const char read_headers[] = "Content-Encoding: snappy\r\n"
                                   "Accept-Encoding: snappy\r\n"
                                   "Content-Type: application/x-protobuf\r\n"
                                   "X-Prometheus-Remote-Read-Version: 0.1.0\r\n";

/* ---- a reader ---------------------------------------------------------------------- */

enum { EQ, NEQ, RE, NRE };

static void put_matcher(struct page *page, int type, const char *name, const char *value)
{
    const size_t begun = wire_begin(page, 3);
    if (type)
        wire_put_varint(page, 1, (uint64_t)type);
    wire_put_bytes(page, 2, name, strlen(name));
    wire_put_bytes(page, 3, value, strlen(value));
    wire_end(page, begun);
}

static size_t begin_query(struct page *page, int64_t start_ms, int64_t end_ms)
{
    const size_t begun = wire_begin(page, 1);
    wire_put_varint(page, 1, (uint64_t)start_ms);
    wire_put_varint(page, 2, (uint64_t)end_ms);
    return begun;
}

static struct answer send_page(const struct fixture *f, struct page *page)
{
    size_t len;
    char *const packed = snappy_pack(page->len ? page->bytes : "", page->len, &len);
    const struct answer a = ask(f, "POST", read_path, read_headers, packed, len);
    free(packed);
    free(page->bytes);
    *page = (struct page){0};
    return a;
}

/* What came back, as text: a line `name` and behind it ` seconds=value` a sample; results
 * are parted by a line "--". */
static char *unpack(struct answer *a)
{
    assert_status(*a, 200);
    assert_non_null(strstr(a->head, "Content-Encoding: snappy\r\n"));
    assert_non_null(strstr(a->head, "Content-Type: application/x-protobuf\r\n"));
    const char *const length = strstr(a->head, "Content-Length: ") + 16;
    const size_t packed = strtoull(length, NULL, 10);
    size_t len;
    assert_int_equal(snappy_uncompressed_length(a->body, packed, &len), SNAPPY_OK);
    char *const bytes = mem_new(len + 1, 1);
    assert_int_equal(snappy_uncompress(a->body, packed, bytes, &len), SNAPPY_OK);
    struct page out = {0};
    struct wire response = wire_of(bytes, len);
    struct wire_field result, series, field, part;
    page_add(&out, "%s", "");
    while (wire_next(&response, &result) > 0) {
        assert_true(wire_is(&result, 1, WIRE_BYTES));
        while (wire_next(&result.bytes, &series) > 0) {
            struct labels labels = {0};
            char name[LABELS_TEXT_MAX];
            struct page samples = {0};
            int64_t before_ms = INT64_MIN;
            struct wire before = {0};
            page_add(&samples, "%s", "");
            while (wire_next(&series.bytes, &field) > 0) {
                struct wire key = {0}, value = {0};
                double number = 0;
                int64_t time_ms = 0;
                while (wire_next(&field.bytes, &part) > 0)
                    if (wire_is(&part, 1, WIRE_BYTES))
                        key = part.bytes;
                    else if (wire_is(&part, 2, WIRE_BYTES))
                        value = part.bytes;
                    else if (wire_is(&part, 1, WIRE_64))
                        number = wire_double(&part);
                    else
                        time_ms = (int64_t)part.value;
                if (field.number == 1) {
                    /* Sorted: a name is never before the last. */
                    char *const now = mem_text_n((const char *)key.at, wire_len(key));
                    char *const last =
                        mem_text_n(before.at ? (const char *)before.at : "",
                                   before.at ? wire_len(before) : 0);
                    assert_true(strcmp(now, last) > 0);
                    free(now);
                    free(last);
                    before = key;
                    assert_int_equal(labels_add_n(&labels, (const char *)key.at,
                                                  wire_len(key), (const char *)value.at,
                                                  wire_len(value), NULL),
                                     0);
                } else {
                    assert_true(time_ms > before_ms);
                    before_ms = time_ms;
                    page_add(&samples, " %g=%g", (double)(time_ms - FIXTURE_NOW) / 1e3,
                             number);
                }
            }
            assert_int_equal(labels_format(&labels, name, NULL), 0);
            page_add(&out, "%s%s\n", name, samples.bytes);
            free(samples.bytes);
        }
        page_add(&out, "--\n");
    }
    free(bytes);
    answer_fini(a);
    return out.bytes;
}

/* The answer to one query with up to two matchers, times from FIXTURE_NOW on. */
static char *query(const struct fixture *f, int64_t from_ms, int64_t to_ms, int type,
                   const char *name, const char *value, const char *forecaster)
{
    struct page page = {0};
    const size_t begun = begin_query(&page, FIXTURE_NOW + from_ms, FIXTURE_NOW + to_ms);
    put_matcher(&page, type, name, value);
    if (forecaster)
        put_matcher(&page, EQ, "forecaster", forecaster);
    wire_end(&page, begun);
    struct answer a = send_page(f, &page);
    return unpack(&a);
}

#define assert_query(want, ...)                                                          \
    do {                                                                                 \
        char *const answered = query(__VA_ARGS__);                                       \
        assert_string_equal(answered, want);                                             \
        free(answered);                                                                  \
    } while (0)

static const char *const two[] = {"cpu{host=\"a\"}", "cpu{host=\"b\"}", NULL};
static const char hourly[] = "{\"select\": \"cpu\", \"step\": \"1h\", \"horizon\": 48, "
                             "\"lookback\": 48}";

/* ---- history ----------------------------------------------------------------------- */

static void test_history(void **state)
{
    struct fixture *const f = *state;
    sample_put(f, "cpu{host=\"a\"}", FIXTURE_NOW - 2000, 1);
    sample_put(f, "cpu{host=\"a\"}", FIXTURE_NOW - 1000, 2);
    sample_put(f, "cpu{host=\"a\"}", FIXTURE_NOW, 3);
    sample_put(f, "cpu{host=\"b\"}", FIXTURE_NOW, 4);
    sample_put(f, "mem", FIXTURE_NOW, 5);
    /* Both ends belong to it. */
    assert_query("cpu{host=\"a\"} -2=1 -1=2\n--\n", f, -2000, -1000, EQ, "host", "a",
                 NULL);
    assert_query("cpu{host=\"a\"} 0=3\ncpu{host=\"b\"} 0=4\n--\n", f, -10, 10, EQ,
                 "__name__", "cpu", NULL);
    assert_query("cpu{host=\"a\"} 0=3\ncpu{host=\"b\"} 0=4\n--\n", f, -10, 10, RE, "host",
                 "a|b", NULL);
    assert_query("--\n", f, -10, 10, RE, "__name__", "cp", NULL); /* anchored */
    assert_query("mem 0=5\n--\n", f, -10, 10, RE, "__name__", "m.*", NULL);
    assert_query("--\n", f, 1, 10, EQ, "__name__", "cpu", NULL);

    /* NEQ and NRE, an absent label that equals "", and several queries in order. */
    struct page page = {0};
    size_t begun = begin_query(&page, FIXTURE_NOW, FIXTURE_NOW);
    put_matcher(&page, RE, "__name__", ".+");
    put_matcher(&page, NEQ, "host", "a");
    wire_end(&page, begun);
    begun = begin_query(&page, FIXTURE_NOW, FIXTURE_NOW);
    put_matcher(&page, NRE, "__name__", "cpu|");
    put_matcher(&page, RE, "__name__", ".+");
    put_matcher(&page, EQ, "host", "");
    wire_end(&page, begun);
    begun = begin_query(&page, INT64_MIN, INT64_MAX);
    put_matcher(&page, EQ, "__name__", "none");
    wire_end(&page, begun);
    begun = begin_query(&page, FIXTURE_NOW, FIXTURE_NOW); /* no matcher: all */
    wire_end(&page, begun);
    struct answer a = send_page(f, &page);
    char *const got = unpack(&a);
    assert_string_equal(got, "cpu{host=\"b\"} 0=4\nmem 0=5\n--\n"
                             "mem 0=5\n--\n"
                             "--\n"
                             "cpu{host=\"a\"} 0=3\ncpu{host=\"b\"} 0=4\nmem 0=5\n--\n");
    free(got);
}

/* ---- forecasts --------------------------------------------------------------------- */

/* Each at its own time: two days ahead at one minute's step without a hole, and at any
 * second. */
static void test_dense(void **state)
{
    struct fixture *const f = *state;
    forecaster_make(f, "web", hourly);
    issue_put(f, (struct issuing){"web", FIXTURE_NOW + 5 * MINUTE_MS, FIXTURE_NOW,
                                  HOUR_MS, 48, .series = two});
    struct page page = {0};
    size_t begun = begin_query(&page, FIXTURE_NOW, FIXTURE_NOW + 3 * (int64_t)DAY_MS);
    put_matcher(&page, EQ, "__name__", "cpu:predicted");
    put_matcher(&page, EQ, "host", "a");
    put_matcher(&page, EQ, "ml_forecast", "yhat");
    wire_end(&page, begun);
    struct answer a = send_page(f, &page);
    char *const got = unpack(&a);
    const char *const name =
        "cpu:predicted{forecaster=\"web\",host=\"a\",ml_forecast=\"yhat\"}";
    assert_int_equal(strncmp(got, name, strlen(name)), 0);
    double before = 5 * 60, last = 0;
    size_t count = 0;
    for (char *at = got + strlen(name); *at == ' '; count++) {
        const double seconds = strtod(at, &at);
        const double value = strtod(at + 1, &at);
        assert_true(count ? seconds - before <= 240 : seconds == 300);
        assert_close(value, 0.5 + (seconds < 47 * 3600 ? seconds / 3600 : 47), 1e-4);
        before = seconds;
        last = value;
    }
    /* To the end of the last step, and no further. */
    assert_true(before >= 48 * 3600 - 240 && before < 48 * 3600);
    assert_close(last, 47.5, 1e-6);
    assert_int_equal(count, 48 * 15 - 1); /* from the sixth minute on, and the fifth */
    free(got);

    /* What an instant query at any second asks for. */
    for (int64_t at = 5 * MINUTE_MS; at < 48 * HOUR_MS; at += 61777) {
        char *const one = query(f, at - 300000 + 1, at, EQ, "host", "b", "web");
        assert_non_null(strstr(one, "ml_forecast=\"yhat\"} "));
        assert_non_null(strstr(one, "ml_forecast=\"yhat_lower\"} "));
        assert_non_null(strstr(one, "ml_forecast=\"yhat_upper\"} "));
        free(one);
    }
    assert_query("--\n", f, 48 * HOUR_MS, INT64_C(99) * DAY_MS, EQ, "host", "b", "web");
}

/* The past shows what was believed then, the future what is believed now. */
static void test_newest_before(void **state)
{
    struct fixture *const f = *state;
    static const char *const one[] = {"cpu", NULL};
    static const double median[] = {0.5};
    forecaster_make(f, "web",
                    "{\"select\": \"cpu\", \"step\": \"1m\", \"horizon\": 5, "
                    "\"lookback\": 48}");
    for (int i = 0; i < 3; i++)
        issue_put(f, (struct issuing){"web", FIXTURE_NOW + i * MINUTE_MS + 10000,
                                      FIXTURE_NOW + i * MINUTE_MS, MINUTE_MS, 5, median,
                                      1, .base = (float)(100 * i), .series = one});
    const char *const want =
        "cpu:predicted{forecaster=\"web\",ml_forecast=\"yhat\"}"
        /* issued at 10, 70 and 130; between steps on the line */
        " 10=0.666667 60=1.5 70=100.667 120=101.5 130=200.667 180=201.5 240=202.5"
        " 300=203.5 360=204.5\n--\n";
    assert_query(want, f, 0, HOUR_MS, EQ, "__name__", "cpu:predicted", NULL);
    /* The same wherever one begins to ask. */
    assert_query("cpu:predicted{forecaster=\"web\",ml_forecast=\"yhat\"}"
                 " 130=200.667\n--\n",
                 f, 125000, 130000, EQ, "__name__", "cpu:predicted", "web");
    /* A deleted forecaster is shown no more. */
    struct answer a = ask(f, "DELETE", "/v1/forecasters/web", "", NULL, 0);
    assert_status(a, 204);
    answer_fini(&a);
    assert_query("--\n", f, 0, HOUR_MS, EQ, "__name__", "cpu:predicted", NULL);
}

/* Two forecasters over one metric, labels of their own, and rates that are held. */
static void test_two_forecasters(void **state)
{
    struct fixture *const f = *state;
    static const char *const one[] = {"req_total{forecaster=\"x\",site=\"lab\"}", NULL};
    static const double quantiles[] = {0.25, 0.5};
    forecaster_make(f, "one",
                    "{\"select\": \"req_total\", \"step\": \"8m\", "
                    "\"horizon\": 2, \"lookback\": 48, \"aggregate\": \"rate\"}");
    forecaster_make(f, "two",
                    "{\"select\": \"req_total\", \"step\": \"8m\", "
                    "\"horizon\": 2, \"lookback\": 48, \"aggregate\": \"sum\"}");
    issue_put(f, (struct issuing){"one", FIXTURE_NOW, FIXTURE_NOW, 8 * MINUTE_MS, 2,
                                  quantiles, 2, .series = one});
    issue_put(f, (struct issuing){"two", FIXTURE_NOW, FIXTURE_NOW, 8 * MINUTE_MS, 2,
                                  quantiles + 1, 1, .series = one});
    /* External labels arrive as equality matchers: a forecast has those of its series. */
    assert_query(
        "req_total:rate:predicted{exported_forecaster=\"x\",forecaster=\"one\","
        "ml_forecast=\"yhat_lower\",site=\"lab\"} 0=0.25 240=0.25 480=1.25 720=1.25\n"
        "req_total:rate:predicted{exported_forecaster=\"x\",forecaster=\"one\","
        "ml_forecast=\"yhat\",site=\"lab\"} 0=0.5 240=0.5 480=1.5 720=1.5\n"
        "req_total:sum:predicted{exported_forecaster=\"x\",forecaster=\"two\","
        "ml_forecast=\"yhat\",site=\"lab\"} 0=0.5 240=0.5 480=1.5 720=1.5\n--\n",
        f, 0, HOUR_MS, EQ, "site", "lab", NULL);
    assert_query("req_total:sum:predicted{exported_forecaster=\"x\",forecaster=\"two\","
                 "ml_forecast=\"yhat\",site=\"lab\"} 480=1.5\n--\n",
                 f, 300000, 600000, EQ, "site", "lab", "two");
    assert_query("--\n", f, 0, HOUR_MS, EQ, "site", "lab", "three");

    /* Where somebody writes back what was read here, ours counts. */
    sample_put(f,
               "req_total:sum:predicted{exported_forecaster=\"x\",forecaster=\"two\","
               "ml_forecast=\"yhat\",site=\"lab\"}",
               FIXTURE_NOW + 480000, 7);
    assert_query("req_total:sum:predicted{exported_forecaster=\"x\",forecaster=\"two\","
                 "ml_forecast=\"yhat\",site=\"lab\"} 480=1.5\n--\n",
                 f, 300000, 600000, EQ, "site", "lab", "two");
}

/* A definition that changes takes nothing from what was issued under it. */
static void test_revisions(void **state)
{
    struct fixture *const f = *state;
    static const char *const one[] = {"n", NULL};
    static const double median[] = {0.5};
    forecaster_make(f, "web",
                    "{\"select\": \"n\", \"step\": \"8m\", \"horizon\": 1, "
                    "\"lookback\": 48, \"aggregate\": \"rate\"}");
    issue_put(f, (struct issuing){"web", FIXTURE_NOW, FIXTURE_NOW, 8 * MINUTE_MS, 1,
                                  median, 1, .series = one});
    forecaster_make(f, "web",
                    "{\"select\": \"n\", \"step\": \"8m\", \"horizon\": 2, "
                    "\"lookback\": 48, \"integer\": true}");
    issue_put(f, (struct issuing){"web", FIXTURE_NOW + 8 * MINUTE_MS,
                                  FIXTURE_NOW + 8 * MINUTE_MS, 8 * MINUTE_MS, 2, median,
                                  1, .revision = 2, .base = 9.5F, .series = one});
    assert_query("n:rate:predicted{forecaster=\"web\",ml_forecast=\"yhat\"}"
                 " 0=0.5 240=0.5\n"
                 "n:predicted{forecaster=\"web\",ml_forecast=\"yhat\"}"
                 " 480=10 720=10 960=11 1200=11\n--\n",
                 f, 0, HOUR_MS, EQ, "forecaster", "web", NULL);
}

/* ---- refusals ---------------------------------------------------------------------- */

static void assert_refused(struct answer a, int status, const char *text)
{
    assert_status(a, status);
    assert_non_null(strstr(a.head, "Content-Type: text/plain"));
    if (!strstr(a.body, text)) {
        print_error("\"%s\" lacks \"%s\"\n", a.body, text);
        fail();
    }
    answer_fini(&a);
}

static void test_refusals(void **state)
{
    struct fixture *const f = *state;
    assert_refused(ask(f, "POST", read_path, read_headers, "junk!", 5), 400, "snappy");
    struct page page = {0};
    page_add(&page, "not protobuf");
    assert_refused(send_page(f, &page), 400, "is not a ReadRequest");
    size_t begun = begin_query(&page, 0, 1);
    put_matcher(&page, RE, "host", "(");
    put_matcher(&page, EQ, "__name__", "cpu");
    wire_end(&page, begun);
    assert_refused(send_page(f, &page), 400, "queries[0]: selector: host=~");
    begun = begin_query(&page, 0, 1);
    put_matcher(&page, NEQ, "host", "a");
    wire_end(&page, begun);
    assert_refused(send_page(f, &page), 400, "rules out a series without labels");
    begun = begin_query(&page, 0, 1);
    put_matcher(&page, EQ, "host=\"x\",a", "a");
    wire_end(&page, begun);
    assert_refused(send_page(f, &page), 400, "matcher: name must be of");
    begun = begin_query(&page, 0, 1);
    put_matcher(&page, 4, "host", "a");
    wire_end(&page, begun);
    assert_refused(send_page(f, &page), 400, "bad matcher");
    for (int i = 0; i < 65; i++)
        wire_end(&page, begin_query(&page, 0, 1));
    assert_refused(send_page(f, &page), 400, "queries: must be at most 64");
    assert_refused(ask(f, "POST", read_path, "Content-Encoding: gzip\r\n", "x", 1), 415,
                   "Content-Encoding: must be snappy");
    assert_refused(
        ask(f, "POST", read_path, "Content-Type: application/json\r\n", "x", 1), 415,
        "Content-Type: must be application/x-protobuf");
    char *const huge = mem_new((1 << 20) + 1, 1);
    assert_refused(ask(f, "POST", read_path, read_headers, huge, (1 << 20) + 1), 413,
                   "at most");
    free(huge);
    struct answer a = get(f, read_path);
    assert_status(a, 405);
    assert_non_null(strstr(a.head, "Allow: POST"));
    answer_fini(&a);
}

/* A question for more than an answer may hold is refused before it is held. */
static void test_too_much(void **state)
{
    struct fixture *const f = *state;
    static const char *const one[] = {"cpu", NULL};
    static const double median[] = {0.5};
    forecaster_make(f, "web",
                    "{\"select\": \"cpu\", \"step\": \"4w\", \"horizon\": 256, "
                    "\"lookback\": 48}");
    issue_put(f, (struct issuing){"web", FIXTURE_NOW, FIXTURE_NOW, INT64_C(28) * DAY_MS,
                                  256, median, 1, .series = one});
    struct page page = {0};
    const size_t begun = begin_query(&page, INT64_MIN, INT64_MAX);
    put_matcher(&page, EQ, "forecaster", "web");
    wire_end(&page, begun);
    assert_refused(send_page(f, &page), 400,
                   "queries[0]: more than 2097152 samples: ask for a shorter time");
}

int main(void)
{
#define SERVED(test)                                                                     \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        SERVED(test_history),         SERVED(test_dense),     SERVED(test_newest_before),
        SERVED(test_two_forecasters), SERVED(test_revisions), SERVED(test_refusals),
        SERVED(test_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
