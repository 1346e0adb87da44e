/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The built program under a service manager's eyes: readiness, watchdog, socket
 * activation, stopping.  $FRWKVD names the program.
 */
#include "tests/check.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000, MESSAGE_MAX = 1024, WATCHDOG_MS = 2000 };
#define WATCHDOG_US "2000000"

struct service {
    char folder[64];
    char config[100], notify_path[100];
    int notify; /* where the daemon's messages arrive */
    pid_t pid;
};

static const char *program(void)
{
    const char *const named = getenv("FRWKVD");
    return named ? named : "build/frwkvd";
}

static int setup(void **state)
{
    struct service *const s = calloc(1, sizeof *s);
    snprintf(s->folder, sizeof s->folder, "/tmp/frwkvd-test-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->config, sizeof s->config, "%s/conf", s->folder);
    snprintf(s->notify_path, sizeof s->notify_path, "%s/notify", s->folder);
    FILE *const file = fopen(s->config, "w");
    fprintf(file, "[server]\nlisten = 127.0.0.1:0\n[store]\nfolder = %s/state\n",
            s->folder);
    fclose(file);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", s->notify_path);
    s->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->notify, (const struct sockaddr *)&at, sizeof at), 0);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct service *const s = *state;
    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
    }
    close(s->notify);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", s->folder);
    const int removed = system(command);
    free(s);
    return removed;
}

/* Runs the daemon; socket, unless -1, is handed over as systemd does it. */
static void run(struct service *s, int socket)
{
    s->pid = fork();
    if (s->pid != 0)
        return;
    setenv("NOTIFY_SOCKET", s->notify_path, 1);
    setenv("WATCHDOG_USEC", WATCHDOG_US, 1);
    setenv("FRWKVD_FAILPOINTS", s->folder, 1);
    if (socket >= 0) {
        char pid[24];
        snprintf(pid, sizeof pid, "%d", (int)getpid());
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", "1", 1);
        dup2(socket, 3);
    }
    execl(program(), program(), "serve", "-c", s->config, (char *)NULL);
    _exit(127);
}

/* Waits for a message with text in it; false when none comes. */
static bool told(const struct service *s, const char *text, char message[MESSAGE_MAX])
{
    struct pollfd fd = {.fd = s->notify, .events = POLLIN};
    while (poll(&fd, 1, PATIENCE_MS) > 0) {
        const ssize_t len = recv(s->notify, message, MESSAGE_MAX - 1, 0);
        message[len > 0 ? len : 0] = '\0';
        if (strstr(message, text))
            return true;
    }
    return false;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int ended(struct service *s)
{
    int status = -1;
    waitpid(s->pid, &status, 0);
    s->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void it_tells_when_it_is_ready_alive_and_stopping(void **state)
{
    struct service *const s = *state;
    char message[MESSAGE_MAX];
    run(s, -1);
    assert_true(told(s, "READY=1", message));
    assert_non_null(strstr(message, "STATUS=Serving on port "));
    assert_true(told(s, "WATCHDOG=1", message));
    assert_true(told(s, "WATCHDOG=1", message));
    kill(s->pid, SIGHUP);
    assert_true(told(s, "RELOADING=1", message));
    assert_true(told(s, "READY=1", message));
    kill(s->pid, SIGTERM);
    assert_true(told(s, "STOPPING=1", message));
    assert_int_equal(ended(s), 0);
}

/* Something for the writer to do; nobody waits for the answer. */
static int sample_send(int port)
{
    static const char body[] =
        "{\"samples\":[{\"series\":\"a\",\"time\":1,\"value\":1}]}";
    const struct sockaddr_in at = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (const struct sockaddr *)&at, sizeof at), 0);
    dprintf(client, "POST /v1/samples HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s",
            sizeof body - 1, body);
    return client;
}

enum { HANGS = 4 };

/* Until no daemon has fed its watchdog for two periods; false when that never comes. */
static bool all_starve(struct service *const services[HANGS])
{
    struct pollfd fds[HANGS];
    int64_t fed_ms[HANGS];
    const int64_t from_ms = now_ms();
    for (size_t i = 0; i < HANGS; i++) {
        fds[i] = (struct pollfd){.fd = services[i]->notify, .events = POLLIN};
        fed_ms[i] = from_ms;
    }
    while (now_ms() - from_ms < PATIENCE_MS) {
        char message[MESSAGE_MAX];
        size_t starving = 0;
        poll(fds, HANGS, 100);
        for (size_t i = 0; i < HANGS; i++) {
            if (fds[i].revents) {
                const ssize_t len = recv(fds[i].fd, message, MESSAGE_MAX - 1, 0);
                message[len > 0 ? len : 0] = '\0';
                if (strstr(message, "WATCHDOG=1"))
                    fed_ms[i] = now_ms();
            }
            starving += now_ms() - fed_ms[i] > 2 * WATCHDOG_MS;
        }
        if (starving == HANGS)
            return true;
    }
    return false;
}

/* In each daemon somebody else hangs, and its watchdog is not fed; freed, it is again. */
static void who_hangs_starves_the_watchdog(void **state)
{
    (void)state;
    static const char *const points[HANGS] = {"writer", "runner-long", "runner-short",
                                              "scheduler"};
    struct service *services[HANGS];
    char message[MESSAGE_MAX], paths[HANGS][160];
    int clients[HANGS];
    for (size_t i = 0; i < HANGS; i++) {
        int port = 0;
        setup((void **)&services[i]);
        run(services[i], -1);
        assert_true(told(services[i], "READY=1", message));
        assert_int_equal(sscanf(strstr(message, "port "), "port %d", &port), 1);
        assert_true(told(services[i], "WATCHDOG=1", message));
        snprintf(paths[i], sizeof paths[i], "%s/%s", services[i]->folder, points[i]);
        fclose(fopen(paths[i], "w"));
        clients[i] = sample_send(port);
    }
    assert_true(all_starve(services));
    for (size_t i = 0; i < HANGS; i++) {
        unlink(paths[i]);
        assert_true(told(services[i], "WATCHDOG=1", message));
        close(clients[i]);
        kill(services[i]->pid, SIGTERM);
        assert_int_equal(ended(services[i]), 0);
        teardown((void **)&services[i]);
    }
}

static void it_says_why_it_cannot_start(void **state)
{
    struct service *const s = *state;
    char message[MESSAGE_MAX];
    FILE *const file = fopen(s->config, "w");
    fprintf(file, "[server]\nlisten = 256.0.0.1:1\n[store]\nfolder = %s/state\n",
            s->folder);
    fclose(file);
    run(s, -1);
    assert_true(told(s, "STATUS=", message));
    assert_non_null(strstr(message, "256.0.0.1:1"));
    assert_int_equal(ended(s), 1);
}

static void it_takes_a_socket_from_the_manager(void **state)
{
    struct service *const s = *state;
    char message[MESSAGE_MAX];
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    const int listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listening, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listening, 8), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&at, &len), 0);
    run(s, listening);
    assert_true(told(s, "READY=1", message));

    const int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (const struct sockaddr *)&at, sizeof at), 0);
    static const char request[] = "GET /-/healthy HTTP/1.0\r\n\r\n";
    assert_int_equal(write(client, request, sizeof request - 1), sizeof request - 1);
    char answer[MESSAGE_MAX] = "";
    assert_true(read(client, answer, sizeof answer - 1) > 0);
    assert_non_null(strstr(answer, "200 OK"));
    close(client);
    close(listening);
    kill(s->pid, SIGINT);
    assert_int_equal(ended(s), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_tells_when_it_is_ready_alive_and_stopping,
                                        setup, teardown),
        cmocka_unit_test(who_hangs_starves_the_watchdog),
        cmocka_unit_test_setup_teardown(it_says_why_it_cannot_start, setup, teardown),
        cmocka_unit_test_setup_teardown(it_takes_a_socket_from_the_manager, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
