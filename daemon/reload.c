/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/reload.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <time.h>
#include <systemd/sd-daemon.h>

#include "api/api.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/config.h"
#include "daemon/forecaster_files.h"
#include "storage/storage.h"

static int apply(const char *folder, const struct forecaster_files *files,
                 struct store *store, struct serving *serving,
                 struct store_applied *applied, struct err *err)
{
    if (store_forecasters_apply(store, files->list, files->count, applied, err))
        return -1;
    serving_changed(serving, NULL);
    if (files->count || applied->deleted)
        log_info("forecasters of files folder=%s count=%zu created=%zu changed=%zu "
                 "deleted=%zu",
                 folder, files->count, applied->created, applied->changed,
                 applied->deleted);
    return 0;
}

int reload_first(const struct config *config, struct store *store,
                 struct serving *serving, struct err *err)
{
    char folder[CONFIG_TEXT_MAX];
    struct forecaster_files files;
    struct store_applied applied;
    if (forecaster_files_read(config_folder(config, folder), &files, err))
        return -1;
    const int result = apply(folder, &files, store, serving, &applied, err);
    forecaster_files_fini(&files);
    return result;
}

static void note_restart(void *ctx, const char *section, const char *key)
{
    char *const name = mem_printf("[%s] %s", section, key);
    log_warn("changed, and takes a restart option=\"%s\"", name);
    json_array_append_new(ctx, json_string(name));
    free(name);
}

static char *report_text(const struct config *running, const struct config *checked,
                         const struct forecaster_files *files,
                         const struct store_applied *applied)
{
    json_t *const restart = json_array();
    config_differences(running, checked, note_restart, restart);
    json_t *const json = json_pack(
        "{s:{s:I, s:I, s:I, s:I}, s:o}", "forecasters", "files", (json_int_t)files->count,
        "created", (json_int_t)applied->created, "changed", (json_int_t)applied->changed,
        "deleted", (json_int_t)applied->deleted, "restart", restart);
    char *const text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static int read_and_apply(const struct config *running, struct store *store,
                          struct serving *serving, char **report, struct err *err)
{
    char folder[CONFIG_TEXT_MAX];
    struct config checked;
    struct forecaster_files files;
    struct store_applied applied;
    if (config_load(running->path[0] ? running->path : NULL, &checked, err) ||
        forecaster_files_read(config_folder(running, folder), &files, err))
        return -1;
    const int result = apply(folder, &files, store, serving, &applied, err);
    if (result == 0)
        *report = report_text(running, &checked, &files, &applied);
    forecaster_files_fini(&files);
    return result;
}

int reload_again(const struct config *running, struct store *store,
                 struct serving *serving, char **report, struct err *err)
{
    struct timespec now;
    struct err why = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
               (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    const int result = read_and_apply(running, store, serving, report, &why);
    if (result)
        log_error("not accepted, going on as before: %s", why.msg);
    else
        log_info("reloaded report=%s", *report);
    sd_notify(0, "READY=1");
    return result ? err_copy(err, &why) : 0;
}
