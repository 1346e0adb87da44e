/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fixture.h -- the real server over a real store in a folder of its own, and a client
 * of plain sockets, which can do what well-behaved clients do not.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include "tests/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <zlib.h>

#include "api/api.h"
#include "base/mem.h"

/* ---- the server ------------------------------------------------------------------ */

/* 2026-03-29T12:00:00Z, and stands still unless a test moves it. */
#define FIXTURE_NOW INT64_C(1774785600000)

struct fixture {
    char folder[64];
    _Atomic int64_t now_ms;
    atomic_int wakes;
    struct store *store;
    struct serving *serving;
    struct api *api;
    struct api_config config;                   /* change and restart, */
    size_t queue_samples_max, head_samples_max; /* and so here; 0: the store's default */
};

static inline int64_t fixture_now(void *ctx)
{
    return ((struct fixture *)ctx)->now_ms;
}

static inline void fixture_wake(void *ctx)
{
    ((struct fixture *)ctx)->wakes++;
}

static inline void fixture_start(struct fixture *f)
{
    struct err err = {0};
    char *const uri = mem_printf("sqlite:%s", f->folder);
    const struct clock clock = {fixture_now, f};
    struct store_options options = store_options_default();
    options.clock = clock;
    if (f->queue_samples_max)
        options.queue_samples_max = f->queue_samples_max;
    if (f->head_samples_max) {
        options.head_samples_max = f->head_samples_max;
        options.compact_samples = 0; /* nothing makes room again */
    }
    f->store = store_open(uri, &options, &err);
    free(uri);
    if (!f->store)
        fail_msg("store_open: %s", err.msg);
    f->serving = serving_new(f->store, clock);
    f->config.store = f->store;
    f->config.serving = f->serving;
    f->config.clock = clock;
    f->api = api_start(&f->config, &err);
    if (!f->api)
        fail_msg("api_start: %s", err.msg);
}

static inline void fixture_stop(struct fixture *f)
{
    api_stop(f->api);
    serving_free(f->serving);
    store_close(f->store);
    f->api = NULL;
    f->serving = NULL;
    f->store = NULL;
}

static inline void fixture_restart(struct fixture *f)
{
    fixture_stop(f);
    fixture_start(f);
}

/* Restarts with memory for 4 * quarter samples, and fills what is left of it: any more are too many, and
 * more than quarter at once ever are. */
static inline void fixture_fill_head(struct fixture *f, int quarter)
{
    f->head_samples_max = 4 * (size_t)quarter;
    fixture_restart(f);
    struct err err = {0};
    for (int i = 0; !err.code; i++) {
        struct store_batch *const batch = store_batch_new();
        struct store_counts counts;
        store_batch_add(batch, store_batch_series(batch, "fill"), i, 1);
        if (store_append_wait(f->store, batch, &counts, &err))
            assert_int_equal(err.code, ERR_BUSY);
    }
}

static inline int fixture_setup(void **state)
{
    struct fixture *const f = mem_new(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/frwkvd-api-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    f->now_ms = FIXTURE_NOW;
    f->config = (struct api_config){.address = "127.0.0.1:0",
                                    .listen_fd = -1,
                                    .import_folder = f->folder,
                                    .http_threads = 2,
                                    .workers = 2,
                                    .connections_max = 200,
                                    .body_max = 1 << 20,
                                    .import_max = 64 << 20,
                                    .csv_columns_max = 64,
                                    .future_max_ms = 600000,
                                    .timeout_s = 5,
                                    .version = "test",
                                    .wake = fixture_wake,
                                    .wake_ctx = f};
    fixture_start(f);
    *state = f;
    return 0;
}

static inline int fixture_remove(const char *path, const struct stat *stat, int kind,
                                 struct FTW *ftw)
{
    (void)stat, (void)kind, (void)ftw;
    return remove(path);
}

static inline int fixture_teardown(void **state)
{
    struct fixture *const f = *state;
    fixture_stop(f);
    nftw(f->folder, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

/* ---- the client ------------------------------------------------------------------ */

static inline int client_open(const struct fixture *f)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)api_port(f->api)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = {.tv_sec = 30};
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* false: the server has closed. */
static inline bool client_send(int fd, const void *bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        const ssize_t sent =
            send(fd, (const char *)bytes + done, len - done, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        done += (size_t)sent;
    }
    return true;
}

static inline bool client_text(int fd, const char *text)
{
    return client_send(fd, text, strlen(text));
}

struct answer {
    int status; /* 0: closed without an answer */
    char *head, *body;
    json_t *json; /* of a JSON body */
};

static inline void answer_fini(struct answer *a)
{
    free(a->head);
    json_decref(a->json);
    *a = (struct answer){0};
}

/* Reads one answer: its head to the empty line, and Content-Length bytes. */
static inline struct answer client_read(int fd, bool head_only)
{
    struct answer a = {0};
    size_t len = 0, room = 1 << 16, want = SIZE_MAX;
    char *text = mem_new(room, 1);
    while (len < want) {
        if (len + 1 == room)
            text = mem_resize(text, room *= 2, 1);
        const ssize_t got = recv(fd, text + len, room - len - 1, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
        text[len] = '\0';
        char *const end = strstr(text, "\r\n\r\n");
        const char *const length = strcasestr(text, "\r\nContent-Length: ");
        if (end && want == SIZE_MAX) {
            const size_t body = length && length < end && !head_only
                                    ? (size_t)strtoull(length + 18, NULL, 10)
                                    : 0;
            want = (size_t)(end - text) + 4 + body;
        }
    }
    a.head = text;
    if (len == 0 || len < want)
        return a;
    a.status = (int)strtol(text + 9, NULL, 10);
    char *const end = strstr(text, "\r\n\r\n");
    end[2] = '\0';
    a.body = end + 4;
    a.json = json_loads(a.body, JSON_DECODE_ANY, NULL);
    return a;
}

/* One request on a connection of its own; body may be NULL. */
static inline struct answer ask(const struct fixture *f, const char *method,
                                const char *path, const char *headers, const void *body,
                                size_t len)
{
    const int fd = client_open(f);
    char *const head =
        mem_printf("%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s\r\n", method,
                   path, len, headers);
    client_text(fd, head);
    free(head);
    if (len)
        client_send(fd, body, len);
    const struct answer a = client_read(fd, !strcmp(method, "HEAD"));
    close(fd);
    return a;
}

static inline struct answer get(const struct fixture *f, const char *path)
{
    return ask(f, "GET", path, "", NULL, 0);
}

static inline struct answer post(const struct fixture *f, const char *path,
                                 const char *body)
{
    return ask(f, "POST", path, "", body, strlen(body));
}

static inline struct answer put(const struct fixture *f, const char *path,
                                const char *body)
{
    return ask(f, "PUT", path, "", body, strlen(body));
}

/* ---- bodies ------------------------------------------------------------------------ */

/* Bytes of text as gzip. */
static inline size_t gzip_pack(const char *text, size_t len, unsigned char *out,
                               size_t room)
{
    z_stream z = {0};
    assert_int_equal(
        deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
    unsigned char *const copy = mem_new(len, 1);
    memcpy(copy, text, len);
    z.next_in = copy;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t packed = z.total_out;
    deflateEnd(&z);
    free(copy);
    return packed;
}

/* ---- assertions -------------------------------------------------------------------- */

/* Text of a member; "" when it is not there. */
static inline const char *member(const struct answer *a, const char *key)
{
    const char *const text = json_string_value(json_object_get(a->json, key));
    return text ? text : "";
}

static inline json_int_t number(const struct answer *a, const char *key)
{
    const json_t *const value = json_object_get(a->json, key);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

#define assert_status(answer, want)                                                      \
    do {                                                                                 \
        if ((answer).status != (want)) {                                                 \
            print_error("status %d, want %d: %s\n", (answer).status, (want),             \
                        (answer).body ? (answer).body : "(closed)");                     \
            _fail(__FILE__, __LINE__);                                                   \
        }                                                                                \
    } while (0)

/* A problem document of this status whose field and detail are as said. */
#define assert_problem(answer, want, want_field, want_text)                              \
    do {                                                                                 \
        assert_status(answer, want);                                                     \
        assert_non_null(strstr((answer).head, "application/problem+json"));              \
        assert_int_equal(number(&(answer), "status"), (want));                           \
        assert_string_equal(member(&(answer), "field"), (want_field));                   \
        if (!strstr(member(&(answer), "detail"), (want_text))) {                         \
            print_error("detail \"%s\" lacks \"%s\"\n", member(&(answer), "detail"),     \
                        (want_text));                                                    \
            _fail(__FILE__, __LINE__);                                                   \
        }                                                                                \
    } while (0)

/* Samples in the store, over all series. */
static inline uint64_t samples_held(const struct fixture *f)
{
    struct store_names names = {0};
    struct err err = {0};
    uint64_t sum = 0;
    assert_ok(store_select(f->store, NULL, 0, &names, &err), &err);
    for (size_t i = 0; i < names.count; i++) {
        struct store_series series;
        assert_ok(store_series(f->store, names.name[i], &series, &err), &err);
        sum += series.samples;
    }
    store_names_fini(&names);
    return sum;
}

#endif
