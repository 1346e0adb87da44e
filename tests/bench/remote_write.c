/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * remote_write -- a sender and a server on the same machine, beside Debian's
 * Prometheus and VictoriaMetrics.
 *
 * 10,000 series of 7 labels, 2,000 samples a request, each request a snappy block over
 * one connection that waits for its answer; the daemon with full durability, the others
 * as they come.  Then 50 such connections at once, and forecasts asked meanwhile.
 *
 *     remote_write [REQUESTS [FOLDER]]
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "tests/api/write_request.h"
#include "tests/bench/disk.h"

enum { SERIES = 10000, PER_REQUEST = 2000, GROUPS = SERIES / PER_REQUEST };
enum { CONNECTIONS = 50, CROWD_S = 8, PORT = 29797 };

static int64_t now_ms(void)
{
    const struct clock clock = clock_real();
    return clock_now_ms(&clock);
}

/* ---- a server, as a process ---------------------------------------------------------- */

struct server {
    const char *name;
    pid_t pid;
    int port;
};

static int connect_to(int port)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

static void server_start(struct server *server, const char *log, char *const argv[])
{
    fflush(stdout);
    server->pid = fork();
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!freopen(log, "w", stdout) || !freopen(log, "a", stderr))
            _exit(126);
        execvp(argv[0], argv);
        _exit(127);
    }
    for (int tries = 0; tries < 300; tries++) {
        const int fd = connect_to(server->port);
        if (fd >= 0) {
            close(fd);
            return;
        }
        usleep(100000);
    }
    die(server->name, NULL);
}

static void server_stop(struct server *server)
{
    kill(server->pid, SIGTERM);
    waitpid(server->pid, NULL, 0);
}

/* ---- one request ----------------------------------------------------------------------- */

static void send_all(int fd, const char *bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        const ssize_t sent = send(fd, bytes + done, len - done, MSG_NOSIGNAL);
        if (sent <= 0)
            die("send", NULL);
        done += (size_t)sent;
    }
}

/* The status; the body, if any, is passed over unless text has room for it. */
static int read_answer(int fd, char *text, size_t room)
{
    size_t len = 0, want = room;
    while (len < want && len + 1 < room) {
        const ssize_t got = recv(fd, text + len, room - len - 1, 0);
        if (got <= 0)
            die("recv", NULL);
        len += (size_t)got;
        text[len] = '\0';
        const char *const end = strstr(text, "\r\n\r\n");
        const char *const length = strcasestr(text, "\r\nContent-Length: ");
        if (end)
            want = (size_t)(end - text) + 4 +
                   (length && length < end ? strtoul(length + 18, NULL, 10) : 0);
    }
    return (int)strtol(text + 9, NULL, 10);
}

/* ---- the load ------------------------------------------------------------------------ */

/* A WriteRequest whose times and values are written over for every sending. */
struct group {
    struct page page;
    size_t at[PER_REQUEST]; /* of a sample's value */
};

static void put_samples(struct group *group, int64_t time_ms, double seed)
{
    for (size_t i = 0; i < PER_REQUEST; i++) {
        char *const at = group->page.bytes + group->at[i];
        const double value = (double)(int)(seed * 1000 + (double)(i * 7919 % 1000)) / 100;
        memcpy(at, &value, sizeof value);
        uint64_t rest = (uint64_t)time_ms;
        for (size_t b = 9; b < 15; b++, rest >>= 7) /* six bytes for centuries to come */
            at[b] = (char)((rest & 0x7f) | (b < 14 ? 0x80 : 0));
    }
}

static void group_init(struct group *group, size_t first)
{
    *group = (struct group){0};
    for (size_t i = 0; i < PER_REQUEST; i++) {
        char text[32];
        const size_t n = first + i;
        const size_t begun = wire_begin(&group->page, 1);
        series_label(&group->page, "__name__", "node_cpu_seconds_total");
        snprintf(text, sizeof text, "%zu", n % 16);
        series_label(&group->page, "cpu", text);
        series_label(&group->page, "env", "production");
        snprintf(text, sizeof text, "web-%03zu:9100", n / 128);
        series_label(&group->page, "instance", text);
        series_label(&group->page, "job", "node");
        snprintf(text, sizeof text, "mode-%zu", n / 16 % 8);
        series_label(&group->page, "mode", text);
        series_label(&group->page, "region", "eu-central-1");
        series_sample(&group->page, now_ms(), 0.5);
        wire_end(&group->page, begun);
    }
    /* Lengths stand fixed now: the samples are found from the start. */
    struct wire request = wire_of(group->page.bytes, group->page.len);
    struct wire_field field;
    for (size_t i = 0; wire_next(&request, &field) > 0; i++) {
        struct wire series = field.bytes;
        while (wire_next(&series, &field) > 0)
            if (field.number == 2)
                group->at[i] =
                    (size_t)((const char *)field.bytes.at - group->page.bytes) + 1;
    }
}

/* A connection, the group it sends and the request that is made of it. */
struct sender {
    int fd;
    struct group group;
    char *packed;
    struct page request;
    size_t sent;
    double began_s;
};

static void sender_init(struct sender *sender, int port, size_t first)
{
    *sender = (struct sender){.fd = connect_to(port)};
    group_init(&sender->group, first);
    sender->packed = mem_new(snappy_max_compressed_length(sender->group.page.len), 1);
}

static void sender_fini(struct sender *sender)
{
    close(sender->fd);
    free(sender->group.page.bytes);
    free(sender->request.bytes);
    free(sender->packed);
}

static void sender_pack(struct sender *sender, int64_t time_ms, double seed)
{
    const struct page *const body = &sender->group.page;
    size_t len = snappy_max_compressed_length(body->len);
    put_samples(&sender->group, time_ms, seed);
    snappy_compress(body->bytes, body->len, sender->packed, &len);
    sender->request.len = sender->sent = 0;
    page_add(&sender->request,
             "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Encoding: snappy\r\n"
             "Content-Type: application/x-protobuf\r\n"
             "X-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: %zu\r\n\r\n",
             len);
    page_add_bytes(&sender->request, sender->packed, len);
    sender->began_s = now_s();
}

static double at_share(double *took_s, size_t count, double share)
{
    qsort(took_s, count, sizeof *took_s, ascending);
    return 1e3 * took_s[(size_t)(share * (double)(count - 1))];
}

/* A row of the table; bar: of at most so much, or 0. */
static void add(const char *who, const char *what, double value, const char *unit,
                double bar)
{
    char name[80];
    snprintf(name, sizeof name, "%s: %s", who, what);
    result_add(
        &(struct result){.name = name, .value = value, .unit = unit, .at_most = bar});
}

/* Samples a second over one connection. */
static double run_one(const struct server *server, size_t requests)
{
    struct sender sender[GROUPS];
    char answer[4096];
    double *const took_s = mem_new(requests, sizeof *took_s);
    for (size_t g = 0; g < GROUPS; g++)
        sender_init(&sender[g], server->port, g * PER_REQUEST);
    const int64_t first_ms = now_ms() - (int64_t)(requests / GROUPS) * 1000;
    const double began_s = now_s();
    for (size_t r = 0; r < requests; r++) {
        struct sender *const s = &sender[r % GROUPS];
        sender_pack(s, first_ms + (int64_t)(r / GROUPS) * 1000,
                    (double)(r / GROUPS % 97));
        send_all(sender->fd, s->request.bytes, s->request.len);
        if (read_answer(sender->fd, answer, sizeof answer) != 204)
            die("status", NULL);
        took_s[r] = now_s() - s->began_s;
    }
    const double rate = (double)(requests * PER_REQUEST) / (now_s() - began_s);
    add(server->name, "samples over one connection", rate / 1e3, "thousand/s", 0);
    add(server->name, "a request, median", at_share(took_s, requests, 0.5), "ms", 0);
    add(server->name, "a request, 99th percentile", at_share(took_s, requests, 0.99),
        "ms", 0);
    for (size_t g = 0; g < GROUPS; g++)
        sender_fini(&sender[g]);
    free(took_s);
    return rate;
}

/* ---- a crowd of senders, and who asks meanwhile ------------------------------------------ */

struct crowd {
    int port;
    atomic_bool stop;
    size_t requests, busy;
};

/* Sends what the socket takes; reads the answer and begins anew. */
static void crowd_step(struct crowd *crowd, struct sender *sender, size_t number)
{
    char answer[4096];
    if (sender->sent < sender->request.len) {
        const ssize_t sent =
            send(sender->fd, sender->request.bytes + sender->sent,
                 sender->request.len - sender->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        sender->sent += sent > 0 ? (size_t)sent : 0;
        return;
    }
    const int status = read_answer(sender->fd, answer, sizeof answer);
    if (status != 204 && status != 503)
        die("status", NULL);
    crowd->requests += status == 204;
    crowd->busy += status == 503;
    /* Each connection has instants of its own: nothing is a duplicate. */
    sender_pack(sender, now_ms() - (int64_t)number, (double)(number % 97));
}

/* One thread for all of them: they stand for senders on other machines. */
static void *crowd_send(void *ctx)
{
    struct crowd *const crowd = ctx;
    struct sender *const sender = mem_new(CONNECTIONS, sizeof *sender);
    struct pollfd waits[CONNECTIONS];
    for (size_t i = 0; i < CONNECTIONS; i++) {
        sender_init(&sender[i], crowd->port, i % GROUPS * PER_REQUEST);
        sender_pack(&sender[i], now_ms() - (int64_t)i, 0);
    }
    while (!atomic_load(&crowd->stop)) {
        for (size_t i = 0; i < CONNECTIONS; i++)
            waits[i] = (struct pollfd){
                .fd = sender[i].fd,
                .events = sender[i].sent < sender[i].request.len ? POLLOUT : POLLIN};
        poll(waits, CONNECTIONS, 100);
        for (size_t i = 0; i < CONNECTIONS; i++)
            if (waits[i].revents)
                crowd_step(crowd, &sender[i], i);
    }
    for (size_t i = 0; i < CONNECTIONS; i++)
        sender_fini(&sender[i]);
    free(sender);
    return NULL;
}

/* One request with an answer of 200 or 202 of at most 1 MiB. */
static void ask(int port, const char *method, const char *path, const char *body,
                char **answer)
{
    enum { ROOM = 1 << 20 };
    char *const text = mem_new(ROOM, 1);
    const int fd = connect_to(port);
    char *const request = mem_printf("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                     "Content-Length: %zu\r\n\r\n%s",
                                     method, path, strlen(body), body);
    send_all(fd, request, strlen(request));
    const int status = read_answer(fd, text, ROOM);
    if (status / 100 != 2) {
        fprintf(stderr, "%s %s: %s\n", method, path, text);
        exit(1);
    }
    close(fd);
    free(request);
    if (answer)
        *answer = text;
    else
        free(text);
}

/* Eight weeks of eight hourly series and a model of them. */
static void train(int port)
{
    struct page csv = {0};
    page_add(&csv, "time");
    for (int s = 0; s < 8; s++)
        page_add(&csv, ",\"load{host=\"\"h%d\"\"}\"", s);
    page_add(&csv, "\n");
    const int64_t hour_s = now_ms() / 3600000 * 3600;
    for (int h = 0; h < 24 * 56; h++) {
        page_add(&csv, "%lld", (long long)(hour_s - (24 * 56 - h) * 3600));
        for (int s = 0; s < 8; s++)
            page_add(&csv, ",%d", 50 + (h + 3 * s) % 24 * 4 + h * 7919 % 11);
        page_add(&csv, "\n");
    }
    ask(port, "POST", "/v1/import?history=true", csv.bytes, NULL);
    free(csv.bytes);
    ask(port, "PUT", "/v1/forecasters/web",
        "{\"select\": \"load\", \"step\": \"1h\", \"lookback\": \"4d\", \"horizon\": "
        "\"48h\", \"settings\": {\"epochs\": 1}}",
        NULL);
    ask(port, "POST", "/v1/forecasters/web/train", "", NULL);
    for (bool done = false; !done;) {
        char *answer;
        ask(port, "GET", "/v1/jobs?limit=1", "", &answer);
        done = strstr(answer, "\"done\"");
        if (strstr(answer, "\"failed\""))
            die(answer, NULL);
        free(answer);
        usleep(100000);
    }
}

/* Forecasts for so long; their 99th percentile in ms. */
static double run_forecasts(int port, const char *when, double seconds, double bar_ms)
{
    enum { MOST = 100000 };
    double *const took_s = mem_new(MOST, sizeof *took_s);
    size_t count = 0;
    const double end_s = now_s() + seconds;
    while (now_s() < end_s && count < MOST) {
        const double began_s = now_s();
        ask(port, "GET", "/v1/forecasters/web/forecast", "", NULL);
        took_s[count++] = now_s() - began_s;
        usleep(10000);
    }
    const double p99 = at_share(took_s, count, 0.99);
    add(when, "a forecast, median", at_share(took_s, count, 0.5), "ms", 0);
    add(when, "a forecast, 99th percentile", p99, "ms", bar_ms);
    free(took_s);
    return p99;
}

static void run_crowd(const struct server *server)
{
    struct crowd crowd = {.port = server->port};
    pthread_t thread;
    train(server->port);
    const double quiet = run_forecasts(server->port, "alone", CROWD_S / 2.0, 0);
    pthread_create(&thread, NULL, crowd_send, &crowd);
    const double began_s = now_s();
    const double loud = run_forecasts(server->port, "in a crowd", CROWD_S, 20);
    atomic_store(&crowd.stop, true);
    pthread_join(thread, NULL);
    add("in a crowd", "samples over 50 connections",
        (double)(crowd.requests * PER_REQUEST) / (now_s() - began_s) / 1e3, "thousand/s",
        0);
    add("in a crowd", "told to come back", (double)crowd.busy, "requests", 0);
    result_add(&(struct result){.name = "99th percentile of a forecast in a crowd",
                                .value = loud,
                                .unit = "ms",
                                .ratio = loud / quiet,
                                .beside = "that alone"});
}

/* ---- the two servers --------------------------------------------------------------------- */

static char *write_file(const char *folder, const char *name, const char *text)
{
    char *const path = mem_printf("%s/%s", folder, name);
    FILE *const file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file))
        die(path, NULL);
    return path;
}

static double bench_frwkvd(const char *program, const char *folder, size_t requests)
{
    struct server server = {.name = "frwkvd", .port = PORT};
    char *const text = mem_printf("[server]\nlisten = 127.0.0.1:%d\n[store]\nfolder = "
                                  "%s/state\n",
                                  PORT, folder);
    char *const conf = write_file(folder, "frwkvd.conf", text);
    char *const log = mem_printf("%s/frwkvd.log", folder);
    char *const argv[] = {mem_text(program), mem_text("serve"), mem_text("-c"), conf,
                          NULL};
    server_start(&server, log, argv);
    const double rate = run_one(&server, requests);
    run_crowd(&server);
    server_stop(&server);
    for (size_t i = 0; i < 3; i++)
        free(argv[i]);
    free(conf);
    free(log);
    free(text);
    return rate;
}

/* Another server's rate on the same load, and what ours is to it. */
static void bench_other(struct server *server, const char *folder, char *const argv[],
                        size_t requests, double ours)
{
    char *const log = mem_printf("%s/%s.log", folder, server->name);
    char *const there = mem_printf("command -v %s >/dev/null", argv[0]);
    if (system(there)) {
        printf("%-12s is not installed: nothing to compare with\n", server->name);
    } else {
        server_start(server, log, argv);
        const double theirs = run_one(server, requests);
        result_add(&(struct result){.name = "frwkvd: samples over one connection",
                                    .value = ours / 1e3,
                                    .unit = "thousand/s",
                                    .ratio = ours / theirs,
                                    .beside = server->name});
        server_stop(server);
    }
    for (size_t i = 0; argv[i]; i++)
        free(argv[i]);
    free(there);
    free(log);
}

static void bench_prometheus(const char *folder, size_t requests, double ours)
{
    struct server server = {.name = "prometheus", .port = PORT + 1};
    char *const conf = write_file(folder, "prometheus.yml", "global: {}\n");
    char *const argv[] = {
        mem_text("prometheus"),
        mem_text("--web.enable-remote-write-receiver"),
        mem_printf("--config.file=%s", conf),
        mem_printf("--storage.tsdb.path=%s/data", folder),
        mem_printf("--web.listen-address=127.0.0.1:%d", server.port),
        NULL,
    };
    bench_other(&server, folder, argv, requests, ours);
    free(conf);
}

static void bench_victoria(const char *folder, size_t requests, double ours)
{
    struct server server = {.name = "victoria", .port = PORT + 2};
    char *const argv[] = {
        mem_text("victoria-metrics"),
        mem_printf("-storageDataPath=%s/victoria", folder),
        mem_printf("-httpListenAddr=127.0.0.1:%d", server.port),
        NULL,
    };
    bench_other(&server, folder, argv, requests, ours);
}

int main(int argc, char **argv)
{
    const size_t requests = argc > 1 ? strtoul(argv[1], NULL, 10) : 3000;
    if (requests < GROUPS || requests > 15000) {
        fprintf(stderr, "remote_write: REQUESTS must be %d..15000\n", GROUPS);
        return 2;
    }
    char *const folder = mem_printf("%s/remote_write-XXXXXX", argc > 2 ? argv[2] : ".");
    if (!mkdtemp(folder))
        die(folder, NULL);
    /* build/tests/bench/remote_write -> build/frwkvd */
    const char *const build = strstr(argv[0], "/tests/bench/");
    char *const program =
        mem_printf("%.*s/frwkvd", build ? (int)(build - argv[0]) : 0, argv[0]);
    disk_measure(folder);
    const double ours = bench_frwkvd(program, folder, requests);
    bench_prometheus(folder, requests, ours);
    bench_victoria(folder, requests, ours);
    char *const clean = mem_printf("rm -rf '%s'", folder);
    if (system(clean))
        die(clean, NULL);
    free(clean);
    free(program);
    free(folder);
    return 0;
}
