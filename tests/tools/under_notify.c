/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * under_notify COMMAND... -- runs a command as a service manager would, with a notify
 * socket of our own, and prints every message that arrives there.
 *
 * Signals it gets go to the command; its exit status is the command's.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <poll.h>
#include <unistd.h>

static char folder[] = "/tmp/frwkvd-notify-XXXXXX";
static struct sockaddr_un at = {.sun_family = AF_UNIX};

static int listen_here(void)
{
    if (!mkdtemp(folder) || chmod(folder, 0755))
        return -1;
    snprintf(at.sun_path, sizeof at.sun_path, "%s/socket", folder);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof at) ||
        chmod(at.sun_path, 0777))
        return -1;
    setenv("NOTIFY_SOCKET", at.sun_path, 1);
    setenv("WATCHDOG_USEC", "30000000", 1);
    return fd;
}

static void print_message(int fd)
{
    char message[4096];
    const ssize_t len = recv(fd, message, sizeof message - 1, MSG_DONTWAIT);
    if (len <= 0)
        return;
    message[len] = '\0';
    puts(message);
    fflush(stdout);
}

/* Until the command has ended; its status. */
static int watch(pid_t command, int notify, int signals)
{
    struct pollfd fds[] = {{.fd = notify, .events = POLLIN},
                           {.fd = signals, .events = POLLIN}};
    int status = 0;
    while (waitpid(command, &status, WNOHANG) != command) {
        struct signalfd_siginfo info;
        poll(fds, 2, 1000);
        if (fds[0].revents)
            print_message(notify);
        if (fds[1].revents && read(signals, &info, sizeof info) == sizeof info &&
            info.ssi_signo != SIGCHLD)
            kill(command, (int)info.ssi_signo);
    }
    print_message(notify);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, &before);
    const int signals = signalfd(-1, &set, SFD_CLOEXEC);
    const int notify = listen_here();
    if (argc < 2 || notify < 0 || signals < 0) {
        perror("under_notify");
        return 125;
    }
    const pid_t command = fork();
    if (command == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        execvp(argv[1], argv + 1);
        perror(argv[1]);
        _exit(127);
    }
    const int status = watch(command, notify, signals);
    unlink(at.sun_path);
    rmdir(folder);
    return status;
}
