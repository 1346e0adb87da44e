/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int command_failed(const char *command, const struct err *err)
{
    fprintf(stderr, "frwkvd %s: %s\n", command, err->msg);
    return EXIT_FAILED;
}

int command_misused(const char *command, const char *format, ...)
{
    fprintf(stderr, "frwkvd %s: ", command);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry 'frwkvd %s --help'.\n", command);
    return EXIT_USAGE;
}

int command_flush(struct err *err)
{
    errno = 0;
    const bool lost = ferror(stdout);
    if (fflush(stdout) == 0 && !lost)
        return 0;
    return err_set(err, ERR_IO, "standard output: cannot be written: %s",
                   strerror(errno ? errno : EIO));
}

int command_bad_option(int c, char **argv, struct err *err)
{
    const char *const given = argv[optind - 1];
    const bool is_long = strncmp(given, "--", 2) == 0;
    if (c == ':')
        return err_set(err, ERR_INVALID, "%s: needs a value", given);
    if (optopt && !is_long)
        return err_set(err, ERR_INVALID, "-%c: no such option", optopt);
    return err_set(err, ERR_INVALID, "%s: %s", given,
                   optopt ? "takes no value" : "no such option");
}
