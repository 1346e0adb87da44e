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
#include <unistd.h>

enum { PATIENCE_MS = 60000, MESSAGE_MAX = 1024 };

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
    setenv("WATCHDOG_USEC", "600000", 1);
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
        cmocka_unit_test_setup_teardown(it_says_why_it_cannot_start, setup, teardown),
        cmocka_unit_test_setup_teardown(it_takes_a_socket_from_the_manager, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
