/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/command.h"

#include <getopt.h>
#include <stdio.h>

#include "daemon/config.h"
#include "daemon/credentials.h"
#include "daemon/forecaster_files.h"
#include "storage/storage.h"

static const char help[] =
    "Usage: frwkvd check-config [-c FILE]\n"
    "Checks a configuration, the credentials that it names and the forecasters of the\n"
    "files beside it (frwkvd.d), and prints every option with the value in force.\n\n"
    "  -c, --config FILE   the configuration (" CONFIG_PATH_DEFAULT " if there is one)\n";

int check_config_command(int argc, char **argv)
{
    const char *path = NULL;
    struct err err = {0};
    const struct command_option table[] = {{"config", 'c', .value = &path}};
    const int status = COMMAND_OPTIONS(argc, argv, help, table);
    if (status >= 0)
        return status;
    if (optind < argc)
        return command_misused("check-config", "no argument expected, got %s",
                               argv[optind]);
    struct config config;
    struct credentials credentials;
    struct err unread = {0};
    if (config_load(path, &config, &err))
        return command_failed("check-config", &err);
    if (credentials_load(&config, &credentials, &unread) && unread.code != ERR_IO)
        return command_failed("check-config", &unread);
    if (unread.code) /* perhaps only the service may, or has it of systemd */
        fprintf(stderr, "not checked: %s\n", unread.msg);
    struct forecaster_files files;
    char folder[CONFIG_TEXT_MAX];
    if (forecaster_files_read(config_folder(&config, folder), &files, &err))
        return command_failed("check-config", &err);
    config_write(&config, stdout);
    for (size_t i = 0; i < files.count; i++)
        printf("%s# forecaster %s, in %s\n", i ? "" : "\n", files.list[i].name,
               files.list[i].origin);
    forecaster_files_fini(&files);
    return EXIT_DONE;
}
