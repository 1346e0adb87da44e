/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/command.h"

#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "api/api.h"
#include "base/log.h"
#include "base/time.h"
#include "daemon/config.h"
#include "daemon/cores.h"
#include "daemon/instance.h"

static const char help[] =
    "Usage: frwkvd serve [-c FILE]\n"
    "Takes samples, trains and answers until SIGTERM or SIGINT, in the foreground.\n"
    "SIGHUP reads the files of forecasters again (frwkvd.d beside the configuration)\n"
    "and says which options have changed and take a restart.\n\n"
    "  -c, --config FILE   the configuration (" CONFIG_PATH_DEFAULT " if there is one)\n";

static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
enum { SIGNALS = sizeof signals / sizeof signals[0] };

/* On a thread that does not block the signal: to the main thread, whose id is the
 * process's. */
static void pass_on(int signal)
{
    tgkill(getpid(), getpid(), signal);
}

/*
 * Blocks what the main loop reads; threads started later inherit that.  But OpenBLAS
 * starts threads before main() does, and the kernel gives a signal to any thread that
 * does not block it: those pass it on.
 */
static int signals_take(struct err *err)
{
    const struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < SIGNALS; i++) {
        sigaddset(&set, signals[i]);
        sigaction(signals[i], &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL))
        return err_set(err, ERR_IO, "cannot block signals");
    const int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? err_errno(err, "cannot read signals") : fd;
}

/* A socket from systemd, or -1 for none. */
static int socket_take(int *listen_fd, struct err *err)
{
    const int count = sd_listen_fds(1);
    if (count > 1)
        return err_set(err, ERR_INVALID, "one socket expected from systemd, got %d",
                       count);
    *listen_fd = count == 1 ? SD_LISTEN_FDS_START : -1;
    return 0;
}

/* ---- the main loop ----------------------------------------------------------------- */

struct watch {
    struct instance *instance;
    int signal_fd;
    uint64_t watchdog_ms; /* 0: nobody watches */
};

static struct watch watch_new(struct instance *instance, int signal_fd)
{
    uint64_t usec = 0;
    const bool watched = sd_watchdog_enabled(0, &usec) > 0;
    return (struct watch){instance, signal_fd, watched ? usec / 1000 : 0};
}

/* Only while all who work show signs of life is all well. */
static void watchdog_feed(const struct watch *w)
{
    const char *part;
    const int64_t silent_ms = instance_silent_ms(w->instance, &part);
    if (w->watchdog_ms && silent_ms < (int64_t)w->watchdog_ms)
        sd_notify(0, "WATCHDOG=1");
    else if (w->watchdog_ms)
        log_error("no sign of life from %s silent_ms=%" PRId64, part, silent_ms);
}

/* Until SIGTERM or SIGINT. */
static void watch_run(const struct watch *w)
{
    const int timeout_ms = w->watchdog_ms ? (int)(w->watchdog_ms / 3) : -1;
    struct pollfd poll_fd = {.fd = w->signal_fd, .events = POLLIN};
    for (;;) {
        poll(&poll_fd, 1, timeout_ms);
        watchdog_feed(w);
        struct signalfd_siginfo info;
        if (read(w->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
            continue;
        if (info.ssi_signo != SIGHUP) {
            log_info("stopping signal=%s", info.ssi_signo == SIGTERM ? "TERM" : "INT");
            return;
        }
        char *report = NULL;
        instance_reload(w->instance, &report, NULL);
        free(report);
    }
}

/* ---- the command ------------------------------------------------------------------- */

static int serve(const struct config *config, struct err *err)
{
    struct instance_options options = {
        .listen_fd = -1, .jobs = true, .schedules = true, .create = true};
    const int signal_fd = signals_take(err);
    if (signal_fd < 0)
        return -1;
    struct instance instance;
    int result = socket_take(&options.listen_fd, err);
    if (result == 0)
        result = instance_start(&instance, config, &options, err);
    if (result == 0) {
        log_info("frwkvd %s config=%s database=%s address=%s port=%d threads=%" PRId64
                 " workers=%" PRId64 " cores=%zu",
                 FRWKVD_VERSION, config->path[0] ? config->path : "(defaults)",
                 config->folder, options.listen_fd < 0 ? config->listen : "(systemd)",
                 api_port(instance.api), config->http_threads, config->workers,
                 cores_usable());
        sd_notifyf(0, "READY=1\nSTATUS=Serving on port %d", api_port(instance.api));
        const struct watch watch = watch_new(&instance, signal_fd);
        watch_run(&watch);
        sd_notify(0, "STOPPING=1\nSTATUS=Stopping");
        instance_stop(&instance);
        log_info("stopped");
    }
    close(signal_fd);
    return result;
}

int serve_command(int argc, char **argv)
{
    const char *path = NULL;
    struct err err = {0};
    const struct command_option table[] = {{"config", 'c', .value = &path}};
    const int status = COMMAND_OPTIONS(argc, argv, help, table);
    if (status >= 0)
        return status;
    if (optind < argc)
        return command_misused("serve", "no argument expected, got %s", argv[optind]);
    struct config config;
    if (config_load(path, &config, &err))
        return command_failed("serve", &err);
    log_init((enum log_level)config.log_level);
    model_start();
    if (serve(&config, &err)) {
        log_error("cannot start: %s", err.msg);
        sd_notifyf(0, "STATUS=%s", err.msg);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}
