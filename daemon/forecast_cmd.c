/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/command.h"

#include <getopt.h>
#include <stdio.h>

#include "daemon/client.h"
#include "daemon/config.h"
#include "daemon/csv_job.h"
#include "daemon/forecast_csv.h"
#include "daemon/forecast_named.h"

static const char help[] = /* %s: csv_job_help */
    "Usage: frwkvd forecast NAME [OPTION]...\n"
    "       frwkvd forecast --csv FILE [OPTION]...\n"
    "Shows what comes next: of a forecaster that has been trained, or of a CSV file\n"
    "on which a model is trained first.  Works with and without a running daemon.\n\n"
    "  -c, --config FILE   the configuration (" CONFIG_PATH_DEFAULT " if there is one)\n"
    "  -q, --quiet         do not say whether a daemon was asked\n"
    "  --series NAME       one series of the forecaster\n"
    "  --horizon N         steps to show\n"
    "  --json              print one JSON object\n\n"
    "With --csv:\n"
    "%s";

struct command {
    struct csv_job job;
    struct forecast_wish wish;
    const char *config;
    bool quiet;
};

/* 0: go on; 1: help was printed; -1. */
static int options_read(struct command *command, int argc, char **argv, struct err *err)
{
    static const struct option longs[] = {CSV_JOB_OPTIONS,
                                          {"config", required_argument, NULL, 'c'},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {"series", required_argument, NULL, 's'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    for (int c; (c = getopt_long(argc, argv, ":c:qh", longs, NULL)) != -1;) {
        if (c == 'h')
            return printf(help, csv_job_help), 1;
        if (c == '?' || c == ':')
            return command_bad_option(c, argv, err);
        if (c == 'H')
            command->wish.horizon = optarg;
        if (c == 'c')
            command->config = optarg;
        else if (c == 'q')
            command->quiet = true;
        else if (c == 's')
            command->wish.series = optarg;
        else if (csv_job_option(&command->job, c, optarg, err) < 0)
            return -1;
    }
    if (optind + !command->job.file != argc)
        return err_set(err, ERR_INVALID,
                       "either one forecaster's name or --csv expected");
    command->wish.name = argv[optind]; /* NULL with --csv */
    command->wish.json = command->job.json;
    return command->job.file ? csv_job_settle(&command->job, err) : 0;
}

static int run(const struct command *command, struct err *err)
{
    model_start();
    if (command->job.file)
        return forecast_csv(&command->job, err);
    const struct client_options options = {
        .command = "forecast", .config = command->config, .quiet = command->quiet};
    struct client *const client = client_open(&options, err);
    const int result = client ? forecast_named(client, &command->wish, err) : -1;
    client_close(client);
    return result;
}

int forecast_command(int argc, char **argv)
{
    struct command command = {0};
    struct err err = {0};
    csv_job_init(&command.job);
    const int read = options_read(&command, argc, argv, &err);
    int status = EXIT_DONE;
    if (read < 0)
        status = command_misused("forecast", "%s", err.msg);
    else if (read == 0 && run(&command, &err))
        status = command_failed("forecast", &err);
    csv_job_fini(&command.job);
    return status;
}
