/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections: routes and methods, bodies in pieces, slow and rude clients, overload,
 * and stopping with work in flight. */
#include "tests/api/fixture.h"

#include <pthread.h>

#define BODY_OF(value)                                                                   \
    "{\"samples\":[{\"series\":\"cpu\",\"time\":\"2026-03-29T10:00:00Z\","               \
    "\"value\":" value "}]}"

static void test_routes(void **state)
{
    struct fixture *const f = *state;
    static const struct {
        const char *method, *path;
        int status;
        const char *allow;
    } cases[] = {
        {"GET", "/", 200, NULL},
        {"GET", "/-/healthy", 200, NULL},
        {"GET", "/-/ready?probe=1", 200, NULL},
        {"GET", "/v1", 404, NULL},
        {"GET", "/v1/samples/", 404, NULL},
        {"GET", "/v1/forecasters//forecast", 404, NULL},
        {"GET", "/v1/jobs/1/2", 404, NULL},
        {"GET", "/v1/jobs/one", 404, NULL},
        {"GET", "/v1/jobs/99", 404, NULL},
        {"PATCH", "/v1/samples", 405, "Allow: GET, HEAD, POST"},
        {"POST", "/v1/series", 405, "Allow: GET, HEAD"},
        {"GET", "/v1/import", 405, "Allow: POST"},
        {"POST", "/v1/forecasters/x", 405, "Allow: GET, HEAD, PUT, DELETE"},
        {"PUT", "/v1/jobs/1", 405, "Allow: GET, HEAD, DELETE"},
        {"GET", "/?x=1", 400, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a = ask(f, cases[i].method, cases[i].path, "", NULL, 0);
        assert_status(a, cases[i].status);
        if (cases[i].allow)
            assert_non_null(strstr(a.head, cases[i].allow));
        if (cases[i].status >= 400)
            assert_non_null(strstr(a.head, "application/problem+json"));
        answer_fini(&a);
    }
}

static void test_head(void **state)
{
    struct fixture *const f = *state;
    struct answer a = ask(f, "HEAD", "/-/healthy", "", NULL, 0);
    assert_status(a, 200);
    assert_non_null(strstr(a.head, "Content-Length: 8"));
    assert_string_equal(a.body, "");
    answer_fini(&a);
}

static void test_body_where_none_belongs(void **state)
{
    struct fixture *const f = *state;
    struct answer a = ask(f, "POST", "/v1/forecasters/x/train", "", "{}", 2);
    assert_problem(a, 400, "body", "must be empty");
    answer_fini(&a);
    a = ask(f, "POST", "/v1/samples", "Content-Encoding: br\r\n", "x", 1);
    assert_problem(a, 415, "Content-Encoding",
                   "Content-Encoding: must be gzip or identity, got br");
    answer_fini(&a);
    assert_int_equal(samples_held(f), 0);
}

/* Any collected body may be gzip; what it unpacks to has the limit of a plain one. */
static void test_packed(void **state)
{
    struct fixture *const f = *state;
    static const char encoded[] = "Content-Encoding: gzip\r\n";
    static const char body[] = BODY_OF("1");
    unsigned char packed[8192];
    size_t len = gzip_pack(body, strlen(body), packed, sizeof packed);
    struct answer a = ask(f, "POST", "/v1/samples", encoded, packed, len);
    assert_status(a, 200);
    answer_fini(&a);
    assert_int_equal(samples_held(f), 1);
    a = ask(f, "POST", "/v1/samples", encoded, packed, len - 1);
    assert_problem(a, 400, "body", "gzip stream is cut off");
    answer_fini(&a);
    a = ask(f, "POST", "/v1/samples", encoded, body, strlen(body));
    assert_problem(a, 400, "body", "is not gzip");
    answer_fini(&a);
    char *const zeros = mem_new(f->config.body_max + 1, 1);
    len = gzip_pack(zeros, f->config.body_max + 1, packed, sizeof packed);
    free(zeros);
    a = ask(f, "POST", "/v1/samples", encoded, packed, len);
    assert_problem(a, 413, "body", "must unpack to at most 1048576 bytes");
    answer_fini(&a);
    /* As some clients say it of no body at all. */
    a = ask(f, "GET", "/-/healthy", encoded, NULL, 0);
    assert_status(a, 200);
    answer_fini(&a);
    /* What bodies held is given back once their connections have ended. */
    for (bool held = true; held;) {
        a = get(f, "/metrics");
        held = !strstr(a.body, "frwkvd_http_body_bytes 0\n");
        answer_fini(&a);
    }
}

/* The body one byte a chunk, and without any Content-Length. */
static void test_chunked(void **state)
{
    struct fixture *const f = *state;
    static const char body[] = BODY_OF("1");
    const int fd = client_open(f);
    client_text(
        fd, "POST /v1/samples HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < strlen(body); i++) {
        char chunk[16];
        snprintf(chunk, sizeof chunk, "1\r\n%c\r\n", body[i]);
        client_text(fd, chunk);
    }
    client_text(fd, "0\r\n\r\n");
    struct answer a = client_read(fd, false);
    assert_status(a, 200);
    assert_int_equal(number(&a, "stored"), 1);
    answer_fini(&a);
    close(fd);
}

/* Chunks are counted: no length announced, still no more than the limit. */
static void test_chunked_too_large(void **state)
{
    struct fixture *const f = *state;
    static char spaces[64 << 10];
    memset(spaces, ' ', sizeof spaces);
    const int fd = client_open(f);
    client_text(
        fd, "POST /v1/samples HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t sent = 0; sent < (2 << 20); sent += sizeof spaces) {
        client_text(fd, "10000\r\n");
        client_send(fd, spaces, sizeof spaces);
        client_text(fd, "\r\n");
    }
    client_text(fd, "0\r\n\r\n");
    struct answer a = client_read(fd, false);
    assert_problem(a, 413, "body", "1048576");
    answer_fini(&a);
    close(fd);
}

/* A client that never stops sending is cut off, and one that says it will send too much
 * is told so at once. */
static void test_endless_body(void **state)
{
    struct fixture *const f = *state;
    static char spaces[64 << 10];
    memset(spaces, ' ', sizeof spaces);
    int fd = client_open(f);
    client_text(
        fd, "POST /v1/samples HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    size_t sent = 0;
    while (sent < (64 << 20) && client_text(fd, "10000\r\n") &&
           client_send(fd, spaces, sizeof spaces) && client_text(fd, "\r\n"))
        sent += sizeof spaces;
    assert_true(sent < (64 << 20));
    close(fd);

    fd = client_open(f);
    client_text(
        fd, "POST /v1/samples HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n");
    struct answer a = client_read(fd, false);
    assert_problem(a, 413, "body", "1048576");
    answer_fini(&a);
    close(fd);
}

/* A client that asks first is told to go on, or why not to. */
static void test_expect(void **state)
{
    struct fixture *const f = *state;
    int fd = client_open(f);
    client_text(fd, "POST /v1/samples HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                    "Content-Length: 2000000\r\n\r\n");
    struct answer a = client_read(fd, false);
    assert_problem(a, 413, "body", "1048576");
    answer_fini(&a);
    close(fd);
    fd = client_open(f);
    char *const head = mem_printf("POST /v1/samples HTTP/1.1\r\nHost: x\r\nExpect: "
                                  "100-continue\r\nContent-Length: %zu\r\n\r\n",
                                  strlen(BODY_OF("1")));
    client_text(fd, head);
    free(head);
    a = client_read(fd, false);
    assert_status(a, 100);
    answer_fini(&a);
    client_text(fd, BODY_OF("1"));
    a = client_read(fd, false);
    assert_status(a, 200);
    answer_fini(&a);
    close(fd);
}

/* A byte now and then keeps the idle time-out away, but not our own deadline. */
static void test_slow_body(void **state)
{
    struct fixture *const f = *state;
    f->config.timeout_s = 1;
    fixture_restart(f);
    const int fd = client_open(f);
    client_text(fd,
                "POST /v1/samples HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n");
    int sent = 0;
    while (sent < 100 && client_text(fd, " ")) {
        sent++;
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    assert_in_range(sent, 5, 50);
    close(fd);
    struct answer a = get(f, "/-/healthy");
    assert_status(a, 200);
    answer_fini(&a);
}

/* Two requests in one packet, and a client that leaves before its answer. */
static void test_pipelined_and_gone(void **state)
{
    struct fixture *const f = *state;
    int fd = client_open(f);
    char *const two =
        mem_printf("POST /v1/samples HTTP/1.1\r\nHost: x\r\nContent-Length: "
                   "%zu\r\n\r\n%sGET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n",
                   strlen(BODY_OF("1")), BODY_OF("1"));
    client_text(fd, two);
    struct answer a = client_read(fd, false);
    assert_status(a, 200);
    answer_fini(&a);
    close(fd);
    for (int i = 0; i < 20; i++) {
        fd = client_open(f);
        client_send(fd, two, strlen(two) - (size_t)i);
        close(fd);
    }
    free(two);
    a = get(f, "/-/ready");
    assert_status(a, 200);
    answer_fini(&a);
}

/* ---- overload ---------------------------------------------------------------------- */

/* A clock that waits holds every worker, since a POST asks it for the time. */
struct held_clock {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool hold;
};

static int64_t held_now(void *ctx)
{
    struct held_clock *const clock = ctx;
    pthread_mutex_lock(&clock->lock);
    while (clock->hold)
        pthread_cond_wait(&clock->moved, &clock->lock);
    pthread_mutex_unlock(&clock->lock);
    return FIXTURE_NOW;
}

static void held_set(struct held_clock *clock, bool hold)
{
    pthread_mutex_lock(&clock->lock);
    clock->hold = hold;
    pthread_cond_broadcast(&clock->moved);
    pthread_mutex_unlock(&clock->lock);
}

static int post_and_leave_open(const struct fixture *f)
{
    const int fd = client_open(f);
    char *const text =
        mem_printf("POST /v1/samples HTTP/1.1\r\nHost: x\r\nContent-Length: "
                   "%zu\r\n\r\n%s",
                   strlen(BODY_OF("1")), BODY_OF("1"));
    client_text(fd, text);
    free(text);
    return fd;
}

/* More work than the workers and their queue take: 503 at once for the rest, and what
 * was taken is answered when the workers go on. */
static void test_overload(void **state)
{
    struct fixture *const f = *state;
    struct held_clock clock = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
                               false};
    api_stop(f->api);
    f->config.clock = (struct clock){held_now, &clock};
    f->config.connections_max = 400;
    struct err err = {0};
    f->api = api_start(&f->config, &err);
    assert_non_null(f->api);
    held_set(&clock, true);

    enum { CLIENTS = 300, QUEUE = 256 };
    int fds[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++)
        fds[i] = post_and_leave_open(f);
    /* QUEUE wait and one is at work, if the worker took it before the queue was full. */
    size_t refused = 0, taken = 0;
    bool answered[CLIENTS] = {false};
    for (int tries = 0; tries < 400 && refused < CLIENTS - QUEUE - 1; tries++) {
        for (size_t i = 0; i < CLIENTS; i++) {
            char peek;
            if (answered[i] || recv(fds[i], &peek, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
                continue;
            struct answer a = client_read(fds[i], false);
            refused += a.status == 503 && strstr(a.head, "Retry-After: 2") &&
                       strstr(a.head, "application/problem+json");
            answer_fini(&a);
            answered[i] = true;
        }
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    held_set(&clock, false);
    for (size_t i = 0; i < CLIENTS; i++) {
        if (!answered[i]) {
            struct answer a = client_read(fds[i], false);
            taken += a.status == 200;
            refused += a.status == 503;
            answer_fini(&a);
        }
        close(fds[i]);
    }
    assert_in_range(taken, QUEUE, QUEUE + 1);
    assert_int_equal(taken + refused, CLIENTS);
    assert_int_equal(samples_held(f), 1);
}

/* Work that takes too long is answered for; what it says in the end is dropped. */
static void test_slow_work(void **state)
{
    struct fixture *const f = *state;
    struct held_clock clock = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
                               false};
    api_stop(f->api);
    f->config.clock = (struct clock){held_now, &clock};
    f->config.work_timeout_s = 1;
    struct err err = {0};
    f->api = api_start(&f->config, &err);
    assert_non_null(f->api);
    held_set(&clock, true);
    int fds[6];
    int status[6];
    for (size_t i = 0; i < 6; i++)
        fds[i] = post_and_leave_open(f);
    for (size_t i = 0; i < 6; i++) {
        struct answer a = client_read(fds[i], false);
        status[i] = a.status;
        answer_fini(&a);
        close(fds[i]);
    }
    held_set(&clock, false);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(status[i], 503);
    struct answer a = post(f, "/v1/samples", BODY_OF("1"));
    assert_status(a, 200);
    answer_fini(&a);
}

static void *release_later(void *ctx)
{
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    held_set(ctx, false);
    return NULL;
}

/* Stopping waits for what was taken and answers it. */
static void test_stop_with_work(void **state)
{
    struct fixture *const f = *state;
    struct held_clock clock = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
                               false};
    api_stop(f->api);
    f->config.clock = (struct clock){held_now, &clock};
    struct err err = {0};
    f->api = api_start(&f->config, &err);
    assert_non_null(f->api);
    held_set(&clock, true);
    int fds[8];
    for (size_t i = 0; i < 8; i++)
        fds[i] = post_and_leave_open(f);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    pthread_t thread;
    pthread_create(&thread, NULL, release_later, &clock);
    api_stop(f->api);
    f->api = NULL;
    pthread_join(thread, NULL);
    for (size_t i = 0; i < 8; i++) {
        struct answer a = client_read(fds[i], false);
        assert_status(a, 200);
        answer_fini(&a);
        close(fds[i]);
    }
}

static void test_address_in_use(void **state)
{
    struct fixture *const f = *state;
    struct api_config config = f->config;
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", api_port(f->api));
    config.address = address;
    struct err err = {0};
    assert_null(api_start(&config, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.msg, address));
    config.address = "nowhere";
    err = (struct err){0};
    assert_null(api_start(&config, &err));
    assert_int_equal(err.code, ERR_INVALID);
}

static void test_ipv6(void **state)
{
    struct fixture *const f = *state;
    struct api_config config = f->config;
    config.address = "[::1]:0";
    struct err err = {0};
    struct api *const api = api_start(&config, &err);
    if (!api)
        skip(); /* a machine without IPv6 */
    const struct sockaddr_in6 to = {.sin6_family = AF_INET6,
                                    .sin6_port = htons((uint16_t)api_port(api)),
                                    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const int fd = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    client_text(fd, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n");
    struct answer a = client_read(fd, false);
    assert_status(a, 200);
    answer_fini(&a);
    close(fd);
    api_stop(api);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_routes),
        CASE(test_head),
        CASE(test_body_where_none_belongs),
        CASE(test_packed),
        CASE(test_chunked),
        CASE(test_chunked_too_large),
        CASE(test_endless_body),
        CASE(test_expect),
        CASE(test_slow_body),
        CASE(test_pipelined_and_gone),
        CASE(test_overload),
        CASE(test_slow_work),
        CASE(test_stop_with_work),
        CASE(test_address_in_use),
        CASE(test_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
