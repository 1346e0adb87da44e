/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/instance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "api/api.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/time.h"
#include "daemon/cores.h"
#include "daemon/reload.h"
#include "daemon/runner.h"
#include "daemon/scheduler.h"
#include "storage/storage.h"

static int folder_make(const char *path, struct err *err)
{
    if (mkdir(path, 0700) && errno != EEXIST)
        return err_errno(err, "folder %s", path);
    return 0;
}

/* For those who start the program as it is, as themselves. */
static int state_folder(const char *path, bool create, struct err *err)
{
    if (!create && access(path, F_OK) && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND,
                       "folder %s: there is none yet; start `frwkvd serve`, or name your "
                       "configuration with -c",
                       path);
    if (create && mkdir(path, 0700) && errno != EEXIST)
        return err_set(err, ERR_IO,
                       "folder %s: cannot be made: %s; name another one in the "
                       "configuration ([store] folder = ...), or type  sudo install -d "
                       "-m 700 -o $(id -un) %s",
                       path, strerrordesc_np(errno), path);
    return 0;
}

/* What the store cannot do, and what comes of that. */
static void note_work(void *ctx, enum store_work work, const struct err *why)
{
    (void)ctx;
    static const struct {
        const char *name, *meanwhile;
    } WORK[] = {
        [STORE_COMMITS] = {"commit", "senders are answered 503"},
        [STORE_CHECKPOINTS] = {"checkpoint", "the write-ahead log grows"},
        [STORE_COMPACTION] = {"compaction", "samples stay in memory, which fills"},
        [STORE_RETENTION] = {"retention", "what is past its time may stay"},
        [STORE_READS] = {"read", "it stays as it is, and other series go on"},
    };
    if (why)
        log_error("store fails, tries again work=%s: %s; until then %s", WORK[work].name,
                  why->msg, WORK[work].meanwhile);
    else
        log_info("store goes on work=%s", WORK[work].name);
}

static int store_start(struct instance *instance, const struct config *config,
                       bool create, struct err *err)
{
    if (state_folder(config->folder, create, err))
        return -1;
    struct store_options options = store_options_default();
    options.durability = (enum store_durability)config->durability;
    options.head_samples_max = (size_t)config->head_samples_max;
    options.queue_samples_max = (size_t)config->queue_samples_max;
    options.wal_bytes_max = (size_t)config->wal_bytes_max;
    options.series_max = (size_t)config->series_max;
    options.late_after_ms = config->late_after_ms;
    options.retention = (struct store_retention){
        .samples_ms = config->keep_samples_ms,
        .hours_ms = config->keep_hours_ms,
        .forecasts_ms = config->keep_forecasts_ms,
        .models_ms = config->keep_models_ms,
        .jobs_ms = config->keep_jobs_ms,
        .bytes = (uint64_t)config->keep_bytes,
    };
    options.tell = note_work;
    char *const uri = mem_printf("sqlite:%s", config->folder);
    instance->store = store_open(uri, &options, err);
    free(uri);
    return instance->store ? 0 : -1;
}

static void wake_runners(void *ctx)
{
    const struct instance *const instance = ctx;
    if (instance->runner_short) {
        runner_wake(instance->runner_long);
        runner_wake(instance->runner_short);
    }
}

/* A forecast that looks back may queue a training. */
static void wake_long(void *runner)
{
    runner_wake(runner);
}

/* Where the service manager shows what goes on. */
static void show_status(void *ctx, const char *doing)
{
    const struct instance *const instance = ctx;
    if (instance->port == 0)
        return; /* not yet */
    sd_notifyf(0, "STATUS=Serving on port %d%s%s", instance->port, doing ? "; " : "",
               doing ? doing : "");
}

static int jobs_start(struct instance *instance, const struct config *config,
                      struct err *err)
{
    char *const checkpoints = mem_printf("%s/checkpoints", config->folder);
    const size_t threads = (size_t)config->train_threads;
    struct runner_config runner = {
        .store = instance->store,
        .serving = instance->serving,
        .clock = clock_real(),
        .kinds = RUNNER_LONG,
        .low_priority = true,
        .timeout_ms = config->job_timeout_ms,
        .checkpoint_folder = checkpoints,
        .checkpoint_s = (int)(config->checkpoint_ms / 1000),
        .threads = threads ? threads : cores_usable(),
        .memory_max = (size_t)config->train_memory,
        .doing = show_status,
        .doing_ctx = instance,
    };
    if (folder_make(checkpoints, err) == 0)
        instance->runner_long = runner_start(&runner, err);
    runner.kinds = RUNNER_SHORT;
    runner.low_priority = false;
    runner.queued = wake_long;
    runner.queued_ctx = instance->runner_long;
    if (instance->runner_long)
        instance->runner_short = runner_start(&runner, err);
    free(checkpoints);
    return instance->runner_short ? 0 : -1;
}

static int schedules_start(struct instance *instance, struct err *err)
{
    instance->scheduler =
        scheduler_start(instance->store, clock_real(), wake_runners, instance, err);
    return instance->scheduler ? 0 : -1;
}

/* A socket in the folder, which only its owner may enter. */
static int socket_open(const char *path, struct err *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof at.sun_path)
        return err_set(err, ERR_INVALID, "folder: its path is too long for a socket: %s",
                       path);
    memcpy(at.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, "socket %s", path);
    unlink(path); /* left over by a process that was killed: the folder is ours now */
    const mode_t mask = umask(0077);
    const int failed =
        bind(fd, (const struct sockaddr *)&at, sizeof at) || listen(fd, 16);
    umask(mask);
    if (!failed)
        return fd;
    err_errno(err, "socket %s", path);
    close(fd);
    return -1;
}

static void wake(void *ctx)
{
    const struct instance *const instance = ctx;
    wake_runners(ctx);
    if (instance->scheduler)
        scheduler_wake(instance->scheduler);
}

static void note_accepted(struct instance *instance)
{
    const struct clock clock = clock_real();
    atomic_store(&instance->accepted_ms, clock_now_ms(&clock));
}

int instance_reload(struct instance *instance, char **report, struct err *err)
{
    pthread_mutex_lock(&instance->reloading);
    const int result =
        reload_again(instance->config, instance->store, instance->serving, report, err);
    pthread_mutex_unlock(&instance->reloading);
    atomic_fetch_add(result ? &instance->reloads_refused : &instance->reloads, 1);
    if (result == 0)
        note_accepted(instance);
    wake(instance);
    return result;
}

static int on_reload(void *ctx, char **report, struct err *err)
{
    return instance_reload(ctx, report, err);
}

enum { PARTS = 4 };

/* What must go round, and for how long it has been silent. */
struct part {
    const char *label, *name;
    int64_t silent_ms;
};

static void parts_of(const struct instance *instance, struct part out[static PARTS])
{
    const int64_t now_ms = time_monotonic_ms();
    const struct part parts[PARTS] = {
        {"runner_long", "the runner of long jobs",
         now_ms - runner_beat_ms(instance->runner_long)},
        {"runner_short", "the runner of short jobs",
         now_ms - runner_beat_ms(instance->runner_short)},
        {"scheduler", "the scheduler", now_ms - scheduler_beat_ms(instance->scheduler)},
        {"writer", "the store's writer", store_busy_ms(instance->store)},
    };
    memcpy(out, parts, sizeof parts);
}

static void figures(void *ctx,
                    void (*each)(void *each_ctx, const char *name, double value),
                    void *each_ctx)
{
    const struct instance *const instance = ctx;
    struct part parts[PARTS];
    each(each_ctx, "frwkvd_reloads_total{result=\"accepted\"}",
         (double)atomic_load(&instance->reloads));
    each(each_ctx, "frwkvd_reloads_total{result=\"refused\"}",
         (double)atomic_load(&instance->reloads_refused));
    each(each_ctx, "frwkvd_reload_success_timestamp_seconds",
         (double)atomic_load(&instance->accepted_ms) / 1e3);
    scheduler_figures(instance->scheduler, each, each_ctx);
    keeping_figures(instance->keeping, each, each_ctx);
    parts_of(instance, parts);
    for (size_t i = 0; i < PARTS; i++) {
        char name[80];
        snprintf(name, sizeof name, "frwkvd_part_silent_seconds{part=\"%s\"}",
                 parts[i].label);
        each(each_ctx, name, (double)parts[i].silent_ms / 1e3);
    }
}

static int listen_start(struct instance *instance, const struct config *config,
                        const struct instance_options *options, struct err *err)
{
    const int listen_fd =
        options->socket ? socket_open(options->socket, err) : options->listen_fd;
    if (options->socket && listen_fd < 0)
        return -1;
    /* The socket of a subcommand is open to its owner alone. */
    if (!options->socket && credentials_load(config, &instance->credentials, err))
        return -1;
    instance->imports = mem_printf("%s/imports", config->folder);
    const struct api_config api = {
        .address = config->listen,
        .listen_fd = listen_fd,
        .import_folder = instance->imports,
        .http_threads = (size_t)config->http_threads,
        .workers = (size_t)config->workers,
        .connections_max = (size_t)config->connections_max,
        .body_max = (size_t)config->body_max,
        .import_max = (size_t)config->import_max,
        .csv_columns_max = (size_t)config->columns_max,
        .future_max_ms = config->future_max_ms,
        .timeout_s = (int)(config->timeout_ms / 1000),
        .clock = clock_real(),
        .store = instance->store,
        .serving = instance->serving,
        .credentials = instance->credentials.given ? &instance->credentials.api : NULL,
        .version = FRWKVD_VERSION,
        .wake = wake,
        .wake_ctx = instance,
        .reload = options->schedules ? on_reload : NULL,
        .reload_ctx = instance,
        .figures = options->schedules ? figures : NULL,
        .figures_ctx = instance,
    };
    if (folder_make(instance->imports, err) == 0)
        instance->api = api_start(&api, err);
    instance->port = instance->api ? api_port(instance->api) : 0;
    return instance->api ? 0 : -1;
}

int instance_start(struct instance *instance, const struct config *config,
                   const struct instance_options *options, struct err *err)
{
    *instance = (struct instance){.config = config};
    pthread_mutex_init(&instance->reloading, NULL);
    if (store_start(instance, config, options->create, err))
        goto fail;
    instance->serving = serving_new(instance->store, clock_real());
    if ((options->schedules &&
         reload_first(config, instance->store, instance->serving, err)) ||
        (options->jobs && jobs_start(instance, config, err)) ||
        (options->schedules && schedules_start(instance, err)) ||
        (options->schedules &&
         !(instance->keeping = keeping_start(instance->serving, err))))
        goto fail;
    note_accepted(instance);
    if (listen_start(instance, config, options, err))
        goto fail;
    return 0;
fail:
    instance_stop(instance);
    return -1;
}

int64_t instance_silent_ms(const struct instance *instance, const char **part)
{
    struct part parts[PARTS];
    parts_of(instance, parts);
    size_t worst = 0;
    for (size_t i = 1; i < PARTS; i++)
        if (parts[i].silent_ms > parts[worst].silent_ms)
            worst = i;
    *part = parts[worst].name;
    return parts[worst].silent_ms;
}

void instance_stop(struct instance *instance)
{
    /* The runners stop first: while they do, requests are still answered. */
    scheduler_stop(instance->scheduler);
    runner_stop(instance->runner_long);
    runner_stop(instance->runner_short);
    api_stop(instance->api);
    keeping_stop(instance->keeping);
    scheduler_free(instance->scheduler);
    runner_free(instance->runner_long);
    runner_free(instance->runner_short);
    keeping_free(instance->keeping);
    serving_free(instance->serving);
    store_close(instance->store);
    free(instance->imports);
    pthread_mutex_destroy(&instance->reloading);
    *instance = (struct instance){0};
}
