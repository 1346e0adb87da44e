/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/command.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/time.h"
#include "daemon/client.h"
#include "daemon/config.h"
#include "daemon/terminal.h"
#include "model/model.h"

static const char help[] =
    "Usage: frwkvd import [OPTION]... FILE\n"
    "Loads samples from a CSV file, all of them or none; - is standard input.  Works\n"
    "while the daemon runs and while it does not.\n\n"
    "  -c, --config FILE   the configuration (" CONFIG_PATH_DEFAULT " if there is one)\n"
    "  -q, --quiet         do not say whether a daemon was asked\n"
    "  --format FORM       wide: one column a series (default);\n"
    "                      long: series,time,value\n"
    "  --time-column NAME  the column with the times; default the first\n"
    "  --zone ZONE         of times without an offset; default UTC\n"
    "  --history yes|no    yes: a sample counts as known at its own time (default);\n"
    "                      no: as having arrived now\n";

struct import {
    const char *file, *format, *time_column, *zone, *history;
};

static char *path_of(const struct import *import, struct client *client)
{
    const bool history = strcmp(import->history, "yes") == 0;
    char *path = mem_printf("/v1/import?history=%s", history ? "true" : "false");
    path = client_with(client, path, "format", import->format);
    path = client_with(client, path, "time_column", import->time_column);
    return client_with(client, path, "zone", import->zone);
}

/* ---- progress ---------------------------------------------------------------------- */

struct sending {
    struct progress progress;
    int64_t start_ms;
    uint64_t total; /* bytes; 0: not known */
};

static void on_sent(void *ctx, uint64_t bytes)
{
    struct sending *const s = ctx;
    const double seconds = (double)(time_monotonic_ms() - s->start_ms) / 1000;
    const double mib = (double)bytes / (1 << 20);
    const double rate = seconds > 0 ? mib / seconds : 0;
    if (s->total == 0 || bytes > s->total)
        progress_show(&s->progress, "  sent %.1f MiB  %.1f MiB/s", mib, rate);
    else if (bytes == s->total)
        progress_show(&s->progress, "  sent %.1f MiB, storing", mib);
    else
        progress_show(&s->progress, "  sent %.1f of %.1f MiB  %.1f MiB/s  %.0f s left",
                      mib, (double)s->total / (1 << 20), rate,
                      (double)(s->total - bytes) * seconds / (double)bytes);
}

/* ---- the command ------------------------------------------------------------------- */

static void file_close(FILE *file)
{
    if (file && file != stdin)
        fclose(file);
}

/* *size stays 0 where it is not known beforehand. */
static FILE *file_open(const char *path, uint64_t *size, struct err *err)
{
    struct stat info = {0};
    FILE *const file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!file || fstat(fileno(file), &info)) {
        err_errno(err, "%s", path);
    } else if (S_ISDIR(info.st_mode)) {
        err_set(err, ERR_INVALID, "%s: is a folder", path);
    } else {
        *size = S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
        return file;
    }
    file_close(file);
    return NULL;
}

static uint64_t count_of(const json_t *answer, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(answer, key));
}

static int upload(const struct import *import, struct client *client, FILE *file,
                  uint64_t size, struct err *err)
{
    struct sending sending = {
        .progress = progress_start(), .start_ms = time_monotonic_ms(), .total = size};
    char *const path = path_of(import, client);
    json_t *const answer =
        client_upload(client, path, "text/csv", file, on_sent, &sending, err);
    progress_end(&sending.progress);
    free(path);
    if (!answer) {
        err_prefix(err, "%s", import->file);
        return -1;
    }
    printf("received %" PRIu64 " samples of %" PRIu64 " series: %" PRIu64
           " stored, %" PRIu64 " replaced, %" PRIu64 " duplicate\n",
           count_of(answer, "received"), count_of(answer, "series"),
           count_of(answer, "stored"), count_of(answer, "replaced"),
           count_of(answer, "duplicate"));
    json_decref(answer);
    return 0;
}

int import_command(int argc, char **argv)
{
    struct import import = {.history = "yes"};
    struct err err = {0};
    struct client_options options = {.command = "import", .create = true};
    const struct command_option table[] = {
        CLIENT_OPTIONS(options),
        {"format", .value = &import.format},
        {"time-column", .value = &import.time_column},
        {"zone", .value = &import.zone},
        {"history", .value = &import.history},
    };
    const int status = COMMAND_OPTIONS(argc, argv, help, table);
    if (status >= 0)
        return status;
    if (strcmp(import.history, "yes") != 0 && strcmp(import.history, "no") != 0)
        return command_misused("import", "--history: must be yes or no, got \"%s\"",
                               import.history);
    if (optind + 1 != argc)
        return command_misused("import", "one file expected; - is standard input");
    import.file = argv[optind];
    uint64_t size = 0;
    FILE *const file = file_open(import.file, &size, &err);
    if (!file)
        return command_failed("import", &err);
    model_start();
    struct client *const client = client_open(&options, &err);
    const int failed = !client || upload(&import, client, file, size, &err);
    client_close(client);
    file_close(file);
    return failed ? command_failed("import", &err) : EXIT_DONE;
}
