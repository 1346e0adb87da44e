/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refusals that any route may give, asked of every route: each has its status, and the
 * shape that clients of its dialect read.  What only some routes give stands in their own
 * tests; tests/statuses.sh lists all.
 */
#include "tests/api/books.h"
#include "tests/api/every_route.h"
#include "tests/api/write_request.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "api/collectd.h"
#include "api/influx.h"
#include "api/opentsdb.h"
#include "api/prometheus.h"
#include "api/remote_write.h"
#include "api/reply.h"

/* ---- shapes ---------------------------------------------------------------------------- */

typedef void route_refuse(struct reply *, const struct err *);

static bool says(const struct answer *a, const char *text)
{
    return strstr(a->body, text) != NULL;
}

/* Whether the text of a refusal stands where its readers look for it. */
static bool in_shape(const struct answer *a, route_refuse *refuse, const char *text)
{
    const json_t *const error = json_object_get(a->json, "error");
    const bool json = strstr(a->head, "Content-Type: application/json\r\n");
    if (refuse == remote_write_refuse || refuse == collectd_refuse)
        return strstr(a->head, "Content-Type: text/plain") && says(a, text) && !a->json;
    if (refuse == influx_refuse_v1)
        return json && strstr(member(a, "error"), text) &&
               strstr(a->head, "X-Influxdb-Error: ") &&
               strstr(a->head, "X-Influxdb-Version: ");
    if (refuse == influx_refuse_v2)
        return json && strstr(member(a, "message"), text) && *member(a, "code");
    if (refuse == opentsdb_refuse)
        return json && json_integer_value(json_object_get(error, "code")) == a->status &&
               json_string_value(json_object_get(error, "message"));
    if (refuse == prometheus_refuse)
        return json && !strcmp(member(a, "status"), "error") && *member(a, "errorType") &&
               strstr(member(a, "error"), text);
    return !refuse && strstr(a->head, "Content-Type: application/problem+json\r\n") &&
           number(a, "status") == a->status && strstr(member(a, "detail"), text);
}

enum kinds { ALL, WITH_BODY, WITHOUT_BODY, CLOSED };

static bool is_of(const struct route *route, enum kinds kinds)
{
    const bool body = route->body != BODY_NONE;
    return kinds == ALL || (kinds == WITH_BODY && body) ||
           (kinds == WITHOUT_BODY && !body) || (kinds == CLOSED && !route->open);
}

/* Every route of a kind is asked with these headers, and a body of two bytes if length
 * says so.  Returns their number. */
static size_t assert_all(const struct fixture *f, enum kinds kinds, const char *headers,
                         int status, const char *text)
{
    size_t asked = 0;
    for (size_t r = 0; r < routes_count(); r++) {
        const struct route *const route = routes_at(r);
        if (!is_of(route, kinds))
            continue;
        char *const path = route_path(route->pattern);
        char *const request =
            mem_printf("%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n%s", route->method, path,
                       headers, strstr(headers, "Length: 2\r\n") ? "{}" : "");
        const int fd = client_open(f);
        client_text(fd, request);
        struct answer a = client_read(fd, false);
        close(fd);
        if (a.status != status || !in_shape(&a, route->refuse, text))
            fail_msg("%s %s: %d, want %d:\n%s\n%s", route->method, path, a.status, status,
                     a.head, a.body);
        const bool again = strcasestr(a.head, "\r\nRetry-After: ");
        assert_true(again == (status == 503));
        assert_true(status != 401 || strstr(a.head, "\r\nWWW-Authenticate: "));
        answer_fini(&a);
        free(request);
        free(path);
        asked++;
    }
    assert_true(asked > 10);
    assert_int_equal(samples_held(f), 0);
    return asked;
}

/* ---- before a body is read --------------------------------------------------------------- */

static void test_refused_by_head(void **state)
{
    struct fixture *const f = *state;
    assert_all(f, WITH_BODY, "Content-Length: 99999999999\r\n", 413,
               "body: must be at most");
    assert_all(f, WITH_BODY, "Content-Encoding: br\r\nContent-Length: 2\r\n", 415,
               "Content-Encoding: must be ");
    assert_all(f, WITHOUT_BODY, "Content-Length: 2\r\n", 400, "body: must be empty");
    static const struct api_credentials credentials = {.token = "secret"};
    f->config.credentials = &credentials;
    fixture_restart(f);
    /* But for health: /ping, /health, /-/healthy, /-/ready. */
    assert_int_equal(assert_all(f, CLOSED, "", 401, "credentials are needed here"),
                     routes_count() - 4);
    assert_all(f, CLOSED, "Authorization: Bearer guess\r\n", 401, "not known here");
}

/* ---- busy -------------------------------------------------------------------------------- */

/* A clock that waits holds the workers that ask it for the time. */
static struct held_clock {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool hold;
    size_t count;
} held = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0};

static int64_t held_now(void *ctx)
{
    (void)ctx;
    pthread_mutex_lock(&held.lock);
    held.count++;
    pthread_cond_broadcast(&held.moved);
    while (held.hold)
        pthread_cond_wait(&held.moved, &held.lock);
    held.count--;
    pthread_mutex_unlock(&held.lock);
    return FIXTURE_NOW;
}

static void wait_held(size_t count)
{
    pthread_mutex_lock(&held.lock);
    while (held.count < count)
        pthread_cond_wait(&held.moved, &held.lock);
    pthread_mutex_unlock(&held.lock);
}

static void set_held(bool hold)
{
    pthread_mutex_lock(&held.lock);
    held.hold = hold;
    pthread_cond_broadcast(&held.moved);
    pthread_mutex_unlock(&held.lock);
}

static void restart_held(struct fixture *f)
{
    struct err err = {0};
    api_stop(f->api);
    f->config.clock = (struct clock){held_now, NULL};
    f->api = api_start(&f->config, &err);
    assert_non_null(f->api);
    set_held(true);
}

static int release_teardown(void **state)
{
    set_held(false);
    return fixture_teardown(state);
}

static int send_only(const struct fixture *f, const char *request)
{
    const int fd = client_open(f);
    client_text(fd, request);
    return fd;
}

static const char *const slow[] = {
    "GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST /write HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nm v=1"};

/* Both queues full: each route says so at once.  Who waited too long is told, too. */
static void test_busy(void **state)
{
    struct fixture *const f = *state;
    static const size_t waiting[] = {64, 256}; /* fill a queue, behind the one at work */
    enum { CLIENTS = 64 + 256 + 2 };
    route_refuse *refuse[CLIENTS];
    int fds[CLIENTS];
    size_t count = 0;
    f->config.workers = 1;
    f->config.connections_max = 2 * CLIENTS;
    f->config.work_timeout_s = 1;
    restart_held(f);
    for (size_t i = 0; i < 2; i++) {
        fds[count] = send_only(f, slow[i]);
        refuse[count++] = i ? influx_refuse_v1 : prometheus_refuse;
        wait_held(i + 1);
        for (size_t k = 0; k < waiting[i]; k++) {
            fds[count] = send_only(f, slow[i]);
            refuse[count++] = i ? influx_refuse_v1 : prometheus_refuse;
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct answer a = client_read(fds[i], false);
        assert_status(a, 503);
        assert_non_null(strstr(a.head, "\r\nRetry-After: 2\r\n"));
        assert_true(in_shape(&a, refuse[i], "not done within 1 s"));
        assert_true(i || !strcmp(member(&a, "errorType"), "timeout"));
        answer_fini(&a);
        close(fds[i]);
    }
    assert_all(f, ALL, "", 503, "all workers are busy and their queue is full");
}

static void *stop_api(void *ctx)
{
    api_stop(ctx);
    return NULL;
}

/* From the moment it stops until it has. */
static void test_stopping(void **state)
{
    struct fixture *const f = *state;
    restart_held(f);
    const int fd = send_only(f, slow[1]);
    wait_held(1);
    pthread_t stopper;
    pthread_create(&stopper, NULL, stop_api, f->api);
    for (int status = 0; status != 503;) {
        struct answer a = get(f, "/-/healthy");
        status = a.status;
        answer_fini(&a);
    }
    assert_all(f, ALL, "", 503, "the server is shutting down");
    set_held(false);
    struct answer a = client_read(fd, false);
    assert_status(a, 204);
    answer_fini(&a);
    close(fd);
    pthread_join(stopper, NULL);
    f->api = NULL;
}

/* ---- the disk ------------------------------------------------------------------------------ */

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* No file can grow: every way in says 503, counts what it lost, and goes on when there is
 * room again. */
static void test_disk(void **state)
{
    struct fixture *const f = *state;
    struct page page = {0};
    series_of_one(&page, "up", FIXTURE_NOW, 1);
    size_t len;
    char *const packed = snappy_pack(page.bytes, page.len, &len);
    free(page.bytes);
    const struct {
        const char *path, *body;
        size_t len;
        route_refuse *refuse;
        int status; /* with room */
    } cases[] = {
        {"/api/v1/write", packed, len, remote_write_refuse, 204},
        {"/api/v1/push", packed, len, remote_write_refuse, 204},
        {"/write", "m v=1", 5, influx_refuse_v1, 204},
        {"/api/v2/write", "m v=1", 5, influx_refuse_v2, 204},
        {"/collectd",
         "[{\"values\":[1],\"time\":1,\"host\":\"h\",\"plugin\":\"p\",\"type\":\"t\"}]",
         0, collectd_refuse, 200},
        {"/api/put", "{\"metric\":\"m\",\"timestamp\":1,\"value\":1}", 0, opentsdb_refuse,
         204},
        {"/v1/samples", "{\"samples\":[{\"series\":\"x\",\"time\":1,\"value\":1}]}", 0,
         NULL, 200},
        {"/v1/import", "time,a\n2026-01-01,1\n", 0, NULL, 200},
    };
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction before;
    sigaction(SIGXFSZ, &ignore, &before);
    for (int room = 0; room < 2; room++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const bool import = !strcmp(cases[i].path, "/v1/import");
            if (!room)
                limit_files(0);
            struct answer a = ask(f, "POST", cases[i].path, "", cases[i].body,
                                  cases[i].len ? cases[i].len : strlen(cases[i].body));
            limit_files(RLIM_INFINITY);
            assert_status(a, room ? cases[i].status : 503);
            if (!room &&
                !in_shape(&a, cases[i].refuse, import ? "import: " : "database: "))
                fail_msg("%s: %s%s", cases[i].path, a.head, a.body);
            assert_true(room || strcasestr(a.head, "\r\nRetry-After: "));
            answer_fini(&a);
        }
    sigaction(SIGXFSZ, &before, NULL);
    free(packed);
    static const long received[] = {4, 4, 2, 2, 2};
    static const char *const dialects[] = {"remote_write", "influx", "collectd",
                                           "opentsdb", "json"};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(rejected(f, dialects[i], "store"), received[i] / 2);
        assert_books_close(f, dialects[i], received[i]);
    }
}

/* ---- the server's own failures ---------------------------------------------------------------- */

/* What nobody could ask for: 500, which senders try again. */
static void test_table(void **state)
{
    (void)state;
    static route_refuse *const refuse[] = {remote_write_refuse, influx_refuse_v1,
                                           influx_refuse_v2,    collectd_refuse,
                                           opentsdb_refuse,     prometheus_refuse};
    static const struct {
        enum err_code code;
        unsigned status;
    } cases[] = {
        {ERR_INVALID, 400},     {ERR_DENIED, 401},   {ERR_TOO_LARGE, 413},
        {ERR_UNSUPPORTED, 415}, {ERR_BUSY, 503},     {ERR_NO_MEMORY, 503},
        {ERR_IO, 503},          {ERR_NONE, 500},     {ERR_CORRUPT, 500},
        {ERR_CANCELLED, 500},   {ERR_CONFLICT, 500},
    };
    for (size_t r = 0; r < sizeof refuse / sizeof *refuse; r++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const struct err err = {cases[i].code, "why"};
            struct reply reply = {0};
            refuse[r](&reply, &err);
            if (reply.status != cases[i].status)
                fail_msg("%zu: %d is %u, want %u", r, (int)cases[i].code, reply.status,
                         cases[i].status);
            assert_non_null(strstr(reply.body, "why"));
            reply_fini(&reply);
        }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, release_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_refused_by_head),   CASE(test_busy),
        CASE(test_stopping),          CASE(test_disk),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
