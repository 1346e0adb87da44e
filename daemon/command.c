/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/command.h"

#include <stdarg.h>
#include <stdio.h>

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
