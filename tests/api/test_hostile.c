/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bodies that are made to hurt: refused, in bounded memory and time, and the server goes
 * on.  Server and client share this process, so its resident memory bounds the server's.
 */
#include "tests/api/books.h"
#include "tests/api/every_route.h"
#include "base/text.h"
#include "tests/api/write_request.h"

static const char snappy_headers[] = "Content-Encoding: snappy\r\n"
                                     "Content-Type: application/x-protobuf\r\n";
static const char gzip_headers[] = "Content-Encoding: gzip\r\n";

/* Sanitizers keep freed memory for a while, and shadow it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MEMORY_TIMES = 16, TIME_TIMES = 10 };
#else
enum { MEMORY_TIMES = 1, TIME_TIMES = 1 };
#endif

/* ---- what it costs ------------------------------------------------------------------- */

static size_t status_kb(const char *key)
{
    char line[200];
    size_t kb = 0;
    FILE *const file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, key, strlen(key)))
            kb = strtoul(line + strlen(key), NULL, 10);
    fclose(file);
    assert_true(kb > 0);
    return kb;
}

struct cost {
    size_t began_kb;
    int64_t began_ms;
};

/* Resets the highest resident memory, too. */
static struct cost cost_begin(void)
{
    FILE *const file = fopen("/proc/self/clear_refs", "w");
    if (file) {
        fputs("5", file);
        fclose(file);
    }
    return (struct cost){status_kb("VmRSS:"), time_monotonic_ms()};
}

static void assert_cost(const struct cost *cost, size_t most_mb, int64_t most_s)
{
    const size_t peak_kb = status_kb("VmHWM:");
    const size_t more_mb =
        peak_kb > cost->began_kb ? (peak_kb - cost->began_kb) / 1024 : 0;
    const int64_t took_ms = time_monotonic_ms() - cost->began_ms;
    if (more_mb > MEMORY_TIMES * most_mb || took_ms > TIME_TIMES * 1000 * most_s)
        fail_msg("took %zu MB (at most %zu) and %lld ms (at most %lld s)", more_mb,
                 most_mb, (long long)took_ms, (long long)most_s);
}

static void assert_goes_on(const struct fixture *f)
{
    struct answer a = get(f, "/-/ready");
    assert_status(a, 200);
    answer_fini(&a);
    for (bool held = true; held;) {
        a = get(f, "/metrics");
        held = !strstr(a.body, "frwkvd_http_body_bytes 0\n");
        answer_fini(&a);
    }
}

/* ---- bombs --------------------------------------------------------------------------- */

/* 100 MB of zeros in 100 kB, on every way in that takes gzip. */
static void test_gzip_bomb(void **state)
{
    struct fixture *const f = *state;
    enum { BOMB = 100 << 20, PACKED = 1 << 20 };
    char *const zeros = mem_new(BOMB, 1);
    unsigned char *const packed = mem_new(PACKED, 1);
    const size_t len = gzip_pack(zeros, BOMB, packed, PACKED);
    free(zeros);
    f->config.import_max = 1 << 20;
    fixture_restart(f);
    const struct cost cost = cost_begin();
    size_t tried = 0;
    for (size_t r = 0; r < routes_count(); r++) {
        const struct route *const route = routes_at(r);
        if (route->body == BODY_NONE || route->snappy)
            continue;
        char *const path = route_path(route->pattern);
        struct answer a = ask(f, route->method, path, gzip_headers, packed, len);
        if (a.status != 413)
            fail_msg("%s %s: %d", route->method, path, a.status);
        answer_fini(&a);
        free(path);
        tried++;
    }
    assert_true(tried > 15);
    assert_cost(&cost, 16, 10);
    free(packed);
    assert_goes_on(f);
}

/* Blocks that claim what they do not hold. */
static void test_snappy_claims(void **state)
{
    struct fixture *const f = *state;
    static const struct {
        int status;
        const char *bytes;
        size_t len;
    } cases[] = {
        {413, "\xff\xff\xff\xff\x0f\0", 6}, /* 4 GB less one */
        {400, "\xff\xff\xff\xff\x7f\0", 6}, /* more than can be said */
        {413, "\x80\x80\x80\x80\x01\0", 6}, /* 256 MiB */
        {400, "\x80\x80\x40\0", 4},         /* 1 MiB, the most, from four bytes */
        {400, "\xff\xff\xff\xff\xff\xff\xff\xff", 8}, /* no end of the length */
    };
    const struct cost cost = cost_begin();
    static const char *const paths[] = {"/api/v1/write", "/api/v1/push", "/api/v1/read"};
    for (size_t round = 0; round < 21; round++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct answer a = ask(f, "POST", paths[round % 3], snappy_headers,
                                  cases[i].bytes, cases[i].len);
            assert_status(a, cases[i].status);
            answer_fini(&a);
        }
    assert_cost(&cost, 8, 10);
    assert_goes_on(f);
}

/* ---- labels -------------------------------------------------------------------------- */

/* One series with 100,000 labels: refused with its sample, the others are stored. */
static void test_many_labels(void **state)
{
    struct fixture *const f = *state;
    enum { LABELS = 100000 };
    f->config.body_max = 16 << 20;
    fixture_restart(f);
    struct page page = {0};
    const size_t series = wire_begin(&page, 1);
    series_label(&page, "__name__", "up");
    for (int i = 0; i < LABELS; i++) {
        char name[16];
        snprintf(name, sizeof name, "l%06d", i);
        series_label(&page, name, "v");
    }
    series_sample(&page, FIXTURE_NOW, 1);
    wire_end(&page, series);
    series_of_one(&page, "good", FIXTURE_NOW, 1);
    size_t len;
    char *const packed = snappy_pack(page.bytes, page.len, &len);
    free(page.bytes);
    struct page line = {0};
    page_add(&line, "m");
    for (int i = 0; i < LABELS; i++)
        page_add(&line, ",l%06d=v", i);
    page_add(&line, " v=1\ngood v=1\n");
    const struct cost cost = cost_begin();
    struct answer a = ask(f, "POST", "/api/v1/write", snappy_headers, packed, len);
    assert_status(a, 400);
    assert_non_null(strstr(a.body, "at most 64 labels are taken, got 100001"));
    assert_non_null(strstr(a.body, "1 of 2 samples were refused"));
    answer_fini(&a);
    a = ask(f, "POST", "/write", "", line.bytes, line.len);
    assert_status(a, 400);
    answer_fini(&a);
    assert_cost(&cost, 24, 5);
    free(line.bytes);
    free(packed);
    assert_int_equal(samples_held(f), 2);
    assert_books_close(f, "remote_write", 2);
    assert_books_close(f, "influx", 2);
    assert_goes_on(f);
}

/* Text with LABELS names in the midst of it. */
static void add_many(struct page *page, const char *before, const char *format,
                     const char *after)
{
    page_add(page, "%s", before);
    for (int i = 0; i < 100000; i++) {
        char number[16];
        snprintf(number, sizeof number, "l%06d", i);
        for (const char *at = format; *at; at++)
            if (*at == '#')
                page_add(page, "%s", number);
            else
                page_add_bytes(page, at, 1);
    }
    page_add(page, "%s", after);
}

/* The same wherever labels, or matchers of them, are read. */
static void test_many_labels_elsewhere(void **state)
{
    struct fixture *const f = *state;
    static const char tall[] = "/v1/import?format=long";
    static const struct {
        const char *method, *path, *before, *each, *after, *says;
    } cases[] = {
        {"POST", "/api/put",
         "{\"metric\":\"m\",\"timestamp\":1,\"value\":1,\"tags\":{\"a\":\"b\"",
         ",\"#\":\"v\"", "}}", "at most 64 are taken, got 100001"},
        {"POST", "/v1/samples", "{\"samples\":[{\"time\":1,\"value\":1,\"series\":\"m{",
         "#=\\\"v\\\",", "}\"}]}", "samples[0].series"},
        {"POST", "/v1/import", "time,\"m{", "#=\"\"v\"\",", "}\"\n2026-01-01,1\n",
         "line 1"},
        {"POST", tall, "series,time,value\n\"m{", "#=\"\"v\"\",", "}\",2026-01-01,1\n",
         "line 2"},
        {"POST", "/api/v1/query", "query=m%7B", "#=\"v\",", "%7D", "selector"},
        {"POST", "/api/v1/query_range", "start=0&end=1&step=1&query=m%7B", "#=\"v\",",
         "%7D", "selector"},
        {"POST", "/api/v1/series", "match[]=m%7B", "#=\"v\",", "%7D", "selector"},
        {"POST", "/api/v1/series", "start=0", "&#=v", "", "form: must have at most"},
        {"PUT", "/v1/forecasters/f", "{\"step\":\"1h\",\"select\":\"m{", "#=\\\"v\\\",",
         "}\"}", "select"},
        {"PUT", "/v1/forecasters/f", "{\"step\":\"1h\",\"select\":\"m\",\"a\":1",
         ",\"#\":1", "}", "a"},
        {"PUT", "/v1/covariates/c", "{\"a\":1", ",\"#\":1", "}", "a"},
        {"POST", "/v1/forecast", "{\"step\":\"1h\",\"horizon\":2,\"series\":{\"m{",
         "#=\\\"v\\\",", "}\":[1,2]}}", ""},
    };
    f->config.body_max = 16 << 20;
    fixture_restart(f);
    const struct cost cost = cost_begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct page page = {0};
        add_many(&page, cases[i].before, cases[i].each, cases[i].after);
        struct answer a =
            ask(f, cases[i].method, cases[i].path, "", page.bytes, page.len);
        const int want = strstr(cases[i].path, "import") ? 413 : 400; /* a line's limit */
        if (a.status != want || !strstr(a.body, cases[i].says) || strlen(a.body) > 2000)
            fail_msg("%s (%zu): %d %.600s lacks %s", cases[i].path, i, a.status, a.body,
                     cases[i].says);
        answer_fini(&a);
        free(page.bytes);
    }
    struct page page = {0};
    const size_t query = wire_begin(&page, 1);
    for (int i = 0; i < 100000; i++) {
        const size_t matcher = wire_begin(&page, 3);
        wire_put_bytes(&page, 2, "host", 4);
        wire_put_bytes(&page, 3, "a", 1);
        wire_end(&page, matcher);
    }
    wire_end(&page, query);
    size_t len;
    char *const packed = snappy_pack(page.bytes, page.len, &len);
    struct answer a = ask(f, "POST", "/api/v1/read", snappy_headers, packed, len);
    assert_status(a, 400);
    assert_non_null(strstr(a.body, "queries[0]: selector"));
    answer_fini(&a);
    free(packed);
    free(page.bytes);
    assert_cost(&cost, 64, 10);
    assert_int_equal(samples_held(f), 0);
    assert_goes_on(f);
}

/* What is not UTF-8 is refused everywhere, and every refusal is. */
static void test_invalid_utf8(void **state)
{
    struct fixture *const f = *state;
    static const char *const bad[] = {"\xff", "\xc0\xaf", "\xed\xa0\x80",
                                      "\xf5\x80\x80\x80", "\xe2\x82"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct page page = {0};
        const size_t series = wire_begin(&page, 1);
        series_label(&page, "__name__", bad[i]);
        series_sample(&page, FIXTURE_NOW, 1);
        wire_end(&page, series);
        size_t len;
        char *const packed = snappy_pack(page.bytes, page.len, &len);
        char *const line = mem_printf("m,t=%s v=1", bad[i]);
        char *const list =
            mem_printf("[{\"values\":[1],\"time\":1774785600,\"host\":\"%s\","
                       "\"plugin\":\"p\",\"type\":\"t\"}]",
                       bad[i]);
        char *const point = mem_printf(
            "{\"metric\":\"m\",\"timestamp\":1,\"value\":1,\"tags\":{\"t\":\"%s\"}}",
            bad[i]);
        char *const sample = mem_printf(
            "{\"samples\":[{\"time\":1,\"value\":1,\"series\":\"m{t=\\\"%s\\\"}\"}]}",
            bad[i]);
        char *const table =
            mem_printf("time,\"m{t=\"\"%s\"\"}\"\n2026-01-01,1\n", bad[i]);
        char *const ahead = mem_printf(
            "{\"step\":\"1h\",\"horizon\":2,\"series\":{\"%s\":[1,2]}}", bad[i]);
        char *const query = mem_printf("query=m%%7Bt%%3D%%22%s%%22%%7D", bad[i]);
        char *const match = mem_printf("match[]=m%%7Bt%%3D%%22%s%%22%%7D", bad[i]);
        char *const asked = mem_printf("q=%s", bad[i]);
        const struct {
            const char *path, *headers, *body;
            size_t len;
        } requests[] = {
            {"/api/v1/write", snappy_headers, packed, len},
            {"/write", "", line, strlen(line)},
            {"/api/v2/write", "", line, strlen(line)},
            {"/collectd", "", list, strlen(list)},
            {"/api/put", "", point, strlen(point)},
            {"/v1/samples", "", sample, strlen(sample)},
            {"/v1/import", "", table, strlen(table)},
            {"/v1/forecast", "", ahead, strlen(ahead)},
            {"/api/v1/query", "", query, strlen(query)},
            {"/api/v1/series", "", match, strlen(match)},
            {"/query", "", asked, strlen(asked)},
        };
        for (size_t k = 0; k < sizeof requests / sizeof *requests; k++) {
            struct answer a = ask(f, "POST", requests[k].path, requests[k].headers,
                                  requests[k].body, requests[k].len);
            if (a.status != (k == 2 ? 422 : 400))
                fail_msg("%s: %d %s", requests[k].path, a.status, a.body);
            assert_true(text_is_utf8(a.body, strlen(a.body)));
            answer_fini(&a);
        }
        free(page.bytes);
        free(packed);
        free(line);
        free(list);
        free(point);
        free(sample);
        free(table);
        free(ahead);
        free(query);
        free(match);
        free(asked);
    }
    assert_int_equal(samples_held(f), 0);
}

/* ---- bodies that do not come ----------------------------------------------------------- */

/* The head of a request to the n-th of the routes that take a body, round and round. */
static int begin_body(const struct fixture *f, size_t n, size_t len)
{
    size_t r = 0;
    for (;; r = (r + 1) % routes_count())
        if (routes_at(r)->body != BODY_NONE && n-- == 0)
            break;
    char *const path = route_path(routes_at(r)->pattern);
    char *const head =
        mem_printf("%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
                   routes_at(r)->method, path, len);
    const int fd = client_open(f);
    client_text(fd, head);
    free(head);
    free(path);
    return fd;
}

/* Half a body, and then nothing: the connections are closed after the time-out, and what
 * was held of them is given back. */
static void test_half_bodies(void **state)
{
    struct fixture *const f = *state;
    enum { CLIENTS = 40, SENT = 400 << 10 };
    f->config.timeout_s = 2;
    fixture_restart(f);
    char *const half = mem_new(SENT, 1);
    int fds[CLIENTS];
    const struct cost cost = cost_begin();
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = begin_body(f, i, 2 * SENT);
        assert_true(client_send(fds[i], half, SENT));
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        char byte;
        assert_true(recv(fds[i], &byte, 1, 0) <= 0);
        close(fds[i]);
    }
    free(half);
    assert_cost(&cost, 40, 10);
    assert_goes_on(f);
    assert_int_equal(samples_held(f), 0);
}

/* A byte now and then keeps a connection from being idle, not from being too slow; others
 * are served meanwhile. */
static void test_slow_loris(void **state)
{
    struct fixture *const f = *state;
    enum { CLIENTS = 60 };
    f->config.timeout_s = 2;
    fixture_restart(f);
    int fds[CLIENTS];
    size_t open = CLIENTS;
    for (size_t i = 0; i < CLIENTS; i++)
        fds[i] = begin_body(f, i, 1 << 20);
    const struct cost cost = cost_begin();
    while (open > 0 && time_monotonic_ms() - cost.began_ms < 20000) {
        struct answer a = post(f, "/write", "m v=1");
        assert_status(a, 204);
        answer_fini(&a);
        for (size_t i = 0; i < CLIENTS; i++) {
            char byte;
            if (fds[i] < 0)
                continue;
            const bool gone = !client_send(fds[i], "x", 1) ||
                              recv(fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
            if (gone) {
                close(fds[i]);
                fds[i] = -1;
                open--;
            }
        }
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    assert_int_equal(open, 0);
    assert_cost(&cost, 16, 10);
    assert_goes_on(f);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_gzip_bomb),    CASE(test_snappy_claims),
        CASE(test_many_labels),  CASE(test_many_labels_elsewhere),
        CASE(test_invalid_utf8), CASE(test_half_bodies),
        CASE(test_slow_loris),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
