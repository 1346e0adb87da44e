/* SPDX-License-Identifier: GPL-2.0-or-later */
/* POST /api/v1/write: what is kept, what is refused, and with which status. */
#include "tests/api/books.h"
#include "tests/api/write_request.h"

static const char write_path[] = "/api/v1/write";
static const char write_headers[] = "Content-Encoding: snappy\r\n"
                                    "Content-Type: application/x-protobuf\r\n"
                                    "X-Prometheus-Remote-Write-Version: 0.1.0\r\n";

/* Sends a WriteRequest and releases it. */
static struct answer send_page(const struct fixture *f, struct page *page)
{
    size_t len;
    char *const packed = snappy_pack(page->len ? page->bytes : "", page->len, &len);
    const struct answer a = ask(f, "POST", write_path, write_headers, packed, len);
    free(packed);
    free(page->bytes);
    *page = (struct page){0};
    return a;
}

static const char dialect[] = "remote_write";

/* The label set is kept whole, whatever its order, as is every bit of a value. */
static void test_round_trip(void **state)
{
    struct fixture *const f = *state;
    struct page page = {0};
    const size_t series = wire_begin(&page, 1);
    series_label(&page, "zone", "eu \"west\"\\1\n");
    series_label(&page, "__name__", "node:cpu");
    series_label(&page, "host", "h\xc3\xa4");
    series_sample(&page, FIXTURE_NOW - 1000, 0.1);
    series_sample(&page, FIXTURE_NOW, -0.0);
    wire_end(&page, series);
    struct answer a = send_page(f, &page);
    assert_status(a, 204);
    assert_string_equal(a.body, "");
    assert_null(strcasestr(a.head, "Content-Type"));
    answer_fini(&a);
    struct sample *samples = NULL;
    size_t count = 0;
    struct err err = {0};
    assert_ok(store_read(f->store,
                         "node:cpu{host=\"h\xc3\xa4\",zone=\"eu \\\"west\\\"\\\\1\\n\"}",
                         0, INT64_MAX, AS_OF_NOW, 0, &samples, &count, &err),
              &err);
    assert_int_equal(count, 2);
    assert_true(samples[0].value == 0.1 && samples[0].time_ms == FIXTURE_NOW - 1000);
    assert_true(samples[1].value == 0 && signbit(samples[1].value));
    free(samples);
}

/* A sender repeats what it did not see acknowledged. */
static void test_again(void **state)
{
    struct fixture *const f = *state;
    for (int i = 0; i < 3; i++) {
        struct page page = {0};
        series_of_one(&page, "up", FIXTURE_NOW, i == 2 ? 0 : 1);
        struct answer a = send_page(f, &page);
        assert_status(a, 204);
        answer_fini(&a);
    }
    assert_int_equal(accepted(f, dialect, "stored"), 1);
    assert_int_equal(accepted(f, dialect, "duplicate"), 1);
    assert_int_equal(accepted(f, dialect, "replaced"), 1);
    assert_books_close(f, dialect, 3);
}

/* What is no value is no error either. */
static void test_no_value(void **state)
{
    struct fixture *const f = *state;
    const uint64_t stale_bits = 0x7ff0000000000002;
    double stale;
    memcpy(&stale, &stale_bits, sizeof stale);
    struct page page = {0};
    series_of_one(&page, "gone", FIXTURE_NOW, stale);
    series_of_one(&page, "quantile", FIXTURE_NOW, NAN);
    series_of_one(&page, "limit", FIXTURE_NOW, INFINITY);
    series_of_one(&page, "up", FIXTURE_NOW, 1);
    struct answer a = send_page(f, &page);
    assert_status(a, 204);
    answer_fini(&a);
    assert_int_equal(rejected(f, dialect, "stale"), 1);
    assert_int_equal(rejected(f, dialect, "not_finite"), 2);
    assert_int_equal(accepted(f, dialect, "stored"), 1);
    assert_int_equal(samples_held(f), 1);
    assert_books_close(f, dialect, 4);
}

/* Metadata alone, an exemplar and a histogram beside samples, nothing at all. */
static void test_passed_over(void **state)
{
    struct fixture *const f = *state;
    struct page page = {0};
    const size_t metadata = wire_begin(&page, 3);
    wire_put_varint(&page, 1, 1);
    wire_put_bytes(&page, 2, "up", 2);
    wire_end(&page, metadata);
    struct answer a = send_page(f, &page);
    assert_status(a, 204);
    answer_fini(&a);
    a = send_page(f, &page);
    assert_status(a, 204);
    answer_fini(&a);
    const size_t series = wire_begin(&page, 1);
    wire_put_bytes(&page, 3, "\x11", 1);
    wire_put_bytes(&page, 4, "\x11", 1);
    series_sample(&page, FIXTURE_NOW, 1);
    series_label(&page, "__name__", "late_labels");
    wire_end(&page, series);
    a = send_page(f, &page);
    assert_status(a, 204);
    answer_fini(&a);
    assert_int_equal(samples_held(f), 1);
    /* A native histogram is a sample that is no number. */
    assert_int_equal(rejected(f, dialect, "not_number"), 1);
    assert_int_equal(rejected(f, dialect, "exemplar"), 1);
    assert_int_equal(rejected(f, dialect, "metadata"), 1);
    assert_books_close(f, dialect, 4);
    const size_t histogram = wire_begin(&page, 1);
    series_label(&page, "__name__", "h");
    for (int i = 0; i < 3; i++)
        wire_put_bytes(&page, 4, "\x08\x05", 2);
    wire_end(&page, histogram);
    a = send_page(f, &page);
    assert_status(a, 204);
    answer_fini(&a);
    assert_int_equal(rejected(f, dialect, "not_number"), 4);
    assert_int_equal(samples_held(f), 1);
    assert_books_close(f, dialect, 7);
}

/* ---- refused in part ----------------------------------------------------------------- */

struct pair {
    const char *name, *value;
};

/* A bad series does not take the others with it, and the answer names it. */
static void test_bad_series(void **state)
{
    struct fixture *const f = *state;
    char long_value[5000];
    memset(long_value, 'x', sizeof long_value - 1);
    long_value[sizeof long_value - 1] = '\0';
    const struct {
        struct pair pair[3];
        const char *says;
    } cases[] = {
        {{{"host", "a"}}, "must have a name"},
        {{{"__name__", "up"}, {"a", "1"}, {"a", "2"}}, "label \"a\" stands twice"},
        {{{"__name__", "up"}, {"a", ""}}, "must not be empty"},
        {{{"__name__", "up"}, {"", "a"}}, "must not be empty"},
        {{{"__name__", "up"}, {"a-b", "1"}}, "name must be of"},
        {{{"__name__", "up"}, {"a", "\xff"}}, "must be UTF-8"},
        {{{"__name__", "up"}, {"a", "\xed\xa0\x80"}}, "must be UTF-8"},
        {{{"__name__", "up"}, {"a", long_value}}, "below 4096 bytes"},
    };
    const size_t count = sizeof cases / sizeof *cases;
    for (size_t i = 0; i < count; i++) {
        struct page page = {0};
        series_of_one(&page, "good", FIXTURE_NOW - (int64_t)i, 1);
        wire_put_bytes(&page, 3, "", 0); /* metadata is none of the samples */
        const size_t series = wire_begin(&page, 1);
        for (const struct pair *p = cases[i].pair; p->name && p < cases[i].pair + 3; p++)
            series_label(&page, p->name, p->value);
        series_sample(&page, FIXTURE_NOW, 1);
        series_sample(&page, FIXTURE_NOW + 1, 1);
        wire_end(&page, series);
        struct answer a = send_page(f, &page);
        assert_status(a, 400);
        assert_non_null(strstr(a.head, "text/plain"));
        assert_non_null(strstr(a.body, "timeseries[1]: "));
        assert_non_null(
            strstr(a.body, "; 2 of 3 samples were refused, the rest is stored"));
        if (!strstr(a.body, cases[i].says))
            fail_msg("case %zu: \"%s\" lacks \"%s\"", i, a.body, cases[i].says);
        answer_fini(&a);
    }
    assert_int_equal(samples_held(f), count);
    assert_int_equal(rejected(f, dialect, "invalid"), 2 * count);
    assert_books_close(f, dialect, (long)(4 * count));
}

static void test_bad_times(void **state)
{
    struct fixture *const f = *state;
    struct page page = {0};
    series_of_one(&page, "up", FIXTURE_NOW + 600000, 1);
    series_of_one(&page, "ahead", FIXTURE_NOW + 600001, 1);
    series_of_one(&page, "far", INT64_MAX, 1);
    series_of_one(&page, "before", INT64_MIN, 1);
    struct answer a = send_page(f, &page);
    assert_status(a, 400);
    assert_non_null(
        strstr(a.body, "\"ahead\": time: must be at most 10m ahead of the clock"));
    answer_fini(&a);
    assert_int_equal(rejected(f, dialect, "future"), 1);
    assert_int_equal(rejected(f, dialect, "invalid"), 2);
    assert_int_equal(samples_held(f), 1);
    assert_books_close(f, dialect, 4);
}

/* ---- refused as a whole ---------------------------------------------------------------- */

static void test_statuses(void **state)
{
    struct fixture *const f = *state;
    static const char protobuf[] = "Content-Type: application/x-protobuf\r\n";
    static const struct {
        int status;
        const char *headers, *body;
        size_t len;
        const char *says;
    } cases[] = {
        {400, protobuf, "", 0, "is not a snappy block"},
        {400, protobuf, "\x05\x10hello", 7, "is not a WriteRequest"},
        {400, protobuf, "\x05\x10hell", 6, "is not a snappy block"},
        {400, protobuf, "\xff\x06\0\0sNaPpY", 10, "is not a snappy block"}, /* framed */
        {400, protobuf, "\x80\x80\x40\0x", 5, "is not a snappy block"}, /* claims 1 MiB */
        {413, protobuf, "\x81\x80\x40\0x", 5, "must unpack to at most 1048576 bytes"},
        {413, protobuf, "\xff\xff\xff\xff\x0f\0x", 7, "must unpack to at most"},
        {415, "Content-Encoding: gzip\r\n", "x", 1, "Content-Encoding: must be snappy"},
        {415, "Content-Encoding: identity\r\n", "x", 1, "must be snappy"},
        {415, "Content-Type: application/json\r\n", "{}", 2,
         "must be application/x-proto"},
        {415,
         "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n",
         "", 0, "must be application/x-protobuf"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a =
            ask(f, "POST", write_path, cases[i].headers, cases[i].body, cases[i].len);
        assert_status(a, cases[i].status);
        assert_non_null(strstr(a.head, "text/plain"));
        assert_null(strcasestr(a.head, "Retry-After"));
        if (!strstr(a.body, cases[i].says))
            fail_msg("case %zu: \"%s\" lacks \"%s\"", i, a.body, cases[i].says);
        answer_fini(&a);
    }
    struct answer a = get(f, write_path);
    assert_status(a, 405);
    assert_non_null(strstr(a.head, "Allow: POST"));
    answer_fini(&a);
    char *const large = mem_new(f->config.body_max + 1, 1);
    a = ask(f, "POST", write_path, protobuf, large, f->config.body_max + 1);
    assert_status(a, 413);
    answer_fini(&a);
    free(large);
    assert_int_equal(samples_held(f), 0);
}

/* A request that ends in the middle stores nothing, and what was seen of it is counted. */
static void test_cut_off(void **state)
{
    struct fixture *const f = *state;
    struct page page = {0};
    for (int i = 0; i < 3; i++)
        series_of_one(&page, "up", FIXTURE_NOW - i, 1);
    page.len--;
    struct answer a = send_page(f, &page);
    assert_status(a, 400);
    answer_fini(&a);
    assert_int_equal(samples_held(f), 0);
    assert_int_equal(rejected(f, dialect, "invalid"), 2);
    assert_books_close(f, dialect, 2);
}

/* Overload is a 503 with Retry-After: all others would lose the sender's data. */
static void test_busy(void **state)
{
    struct fixture *const f = *state;
    fixture_fill_head(f, 20);
    struct page page = {0};
    for (int i = 0; i < 20; i++)
        series_of_one(&page, "up", FIXTURE_NOW - i, 1);
    series_of_one(&page, "down", FIXTURE_NOW, NAN);
    struct answer a = send_page(f, &page);
    assert_status(a, 503);
    assert_non_null(strcasestr(a.head, "\r\nRetry-After: "));
    assert_non_null(strstr(a.body, "memory for samples is full"));
    answer_fini(&a);
    assert_int_equal(rejected(f, dialect, "busy"), 20);
    assert_int_equal(rejected(f, dialect, "not_finite"), 1);
    assert_books_close(f, dialect, 21);
    /* What would never fit is not to be sent again. */
    for (int i = 0; i < 21; i++)
        series_of_one(&page, "up", FIXTURE_NOW - i, 1);
    a = send_page(f, &page);
    assert_status(a, 413);
    assert_null(strcasestr(a.head, "\r\nRetry-After: "));
    assert_non_null(strstr(a.body, "batch: at most 20 samples at once, got 21"));
    answer_fini(&a);
    assert_books_close(f, dialect, 42);
}

/* vmagent and Cortex' friends know the other path. */
static void test_push(void **state)
{
    struct fixture *const f = *state;
    struct page page = {0};
    series_of_one(&page, "up", FIXTURE_NOW, 1);
    size_t len;
    char *const packed = snappy_pack(page.bytes, page.len, &len);
    struct answer a = ask(f, "POST", "/api/v1/push", "", packed, len);
    assert_status(a, 204);
    answer_fini(&a);
    free(packed);
    free(page.bytes);
    assert_int_equal(samples_held(f), 1);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_round_trip),  CASE(test_again),      CASE(test_no_value),
        CASE(test_passed_over), CASE(test_bad_series), CASE(test_bad_times),
        CASE(test_statuses),    CASE(test_cut_off),    CASE(test_busy),
        CASE(test_push),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
