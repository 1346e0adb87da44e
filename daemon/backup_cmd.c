/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backup, restore, verify: a state folder as a whole, whether a daemon has it open or
 * not.
 */
#include "daemon/command.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "daemon/config.h"
#include "daemon/replay_all.h"
#include "storage/storage.h"

static const char backup_help[] =
    "Usage: frwkvd backup [-c FILE] FOLDER\n"
    "Copies the state folder, in use or not, into FOLDER, which is made if absent and\n"
    "never overwritten; then checks the copy.\n\n"
    "  -c, --config FILE   the configuration (" CONFIG_PATH_DEFAULT " if there is one)\n";

static const char restore_help[] =
    "Usage: frwkvd restore [-c FILE] FOLDER\n"
    "Checks the backup in FOLDER and copies it to the state folder, which must not hold\n"
    "a database yet.  Run it as the owner of the state folder.\n\n"
    "  -c, --config FILE   the configuration (" CONFIG_PATH_DEFAULT " if there is one)\n";

static const char verify_help[] =
    "Usage: frwkvd verify [-c FILE] [--replay N] [FOLDER]\n"
    "Checks the state folder, in use or not, or a backup in FOLDER: every log batch,\n"
    "chunk, model and forecast against its checksum.  SQLite's own pages have none: the\n"
    "rest of the file is checked for being well-formed.  Prints what is damaged.  Then\n"
    "makes forecasts again from what they name, and prints the first of each forecaster\n"
    "that does not come out as it was issued.  A backup is checked only.\n\n"
    "  -c, --config FILE   the configuration (" CONFIG_PATH_DEFAULT " if there is one)\n"
    "  --replay N          the newest N issues of each forecaster; default: 100\n";

enum { REPLAY_DEFAULT = 100 };

/* What a command line says. */
struct wish {
    const char *config; /* its file, or NULL */
    const char *folder; /* NULL: none given */
    long replay;        /* issues of each forecaster */
    char *state;        /* uri of the state folder */
};

/* The exit status, or -1 to go on. */
static int parse(int argc, char **argv, const char *help, struct wish *wish)
{
    const char *replay = NULL;
    char *end = NULL;
    struct config config;
    struct err err = {0};
    *wish = (struct wish){.replay = REPLAY_DEFAULT};
    const struct command_option table[] = {
        {"config", 'c', .value = &wish->config},
        {"replay", .value = &replay}, /* of verify alone */
    };
    const int status =
        command_options(argc, argv, help, table, help == verify_help ? 2 : 1);
    if (status >= 0)
        return status;
    if (replay)
        wish->replay = strtol(replay, &end, 10);
    if (replay && (end == replay || *end || wish->replay < 0))
        return command_misused(argv[0], "--replay: must be 0 or more, got %s", replay);
    if (optind + 1 < argc)
        return command_misused(argv[0], "one folder expected, got %s too",
                               argv[optind + 1]);
    wish->folder = argv[optind];
    if (config_load(wish->config, &config, &err))
        return command_failed(argv[0], &err);
    wish->state = mem_printf("sqlite:%s", config.folder);
    return -1;
}

static void print_finding(void *ctx, const char *what)
{
    (void)ctx;
    printf("damaged: %s\n", what);
}

/* 0 when nothing is damaged. */
static int check(const char *command, const char *uri, uint64_t *issues)
{
    struct store_verified verified;
    struct err err = {0};
    if (store_verify(uri, print_finding, NULL, &verified, &err))
        return command_failed(command, &err);
    *issues = verified.issues;
    printf("checked %" PRIu64 " log batches, %" PRIu64 " chunks, %" PRIu64
           " windows of hours, %" PRIu64 " models, %" PRIu64
           " statements of covariates, %" PRIu64 " states, %" PRIu64 " issues, %" PRIu64
           " calibrations: %" PRIu64 " damaged\n",
           verified.batches, verified.chunks, verified.rollups, verified.models,
           verified.covariates, verified.states, verified.issues, verified.calibrations,
           verified.findings);
    return verified.findings ? EXIT_FAILED : EXIT_DONE;
}

static int check_folder(const char *command, const char *folder)
{
    char *const uri = mem_printf("sqlite:%s", folder);
    uint64_t issues;
    const int status = check(command, uri, &issues);
    free(uri);
    return status;
}

int backup_command(int argc, char **argv)
{
    struct wish wish;
    struct err err = {0};
    int status = parse(argc, argv, backup_help, &wish);
    if (status >= 0)
        return status;
    if (!wish.folder)
        status = command_misused("backup", "needs the folder to copy to");
    else if (store_backup(wish.state, wish.folder, &err))
        status = command_failed("backup", &err);
    else
        status = check_folder("backup", wish.folder);
    free(wish.state);
    return status;
}

int restore_command(int argc, char **argv)
{
    struct wish wish;
    struct err err = {0};
    int status = parse(argc, argv, restore_help, &wish);
    if (status >= 0)
        return status;
    if (!wish.folder)
        status = command_misused("restore", "needs the folder of the backup");
    else
        status = check_folder("restore", wish.folder);
    if (status == EXIT_DONE && store_restore(wish.folder, wish.state, &err))
        status = command_failed("restore", &err);
    free(wish.state);
    return status;
}

int verify_command(int argc, char **argv)
{
    struct wish wish;
    struct err err = {0};
    uint64_t issues = 0;
    bool came_out = true;
    int status = parse(argc, argv, verify_help, &wish);
    if (status >= 0)
        return status;
    if (wish.folder)
        status = check_folder("verify", wish.folder);
    else
        status = check("verify", wish.state, &issues);
    if (status == EXIT_DONE && issues && wish.replay) {
        if (replay_all(wish.config, (size_t)wish.replay, &came_out, &err))
            status = command_failed("verify", &err);
        else if (!came_out)
            status = EXIT_FAILED;
    }
    free(wish.state);
    return status;
}
