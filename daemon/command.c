/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/command.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LETTERS = 256 }; /* what getopt_long() says of long options lies above */

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

static const struct command_option *find_option(const struct command_option *options,
                                                size_t count, int c)
{
    for (size_t i = 0; i < count; i++)
        if (c == options[i].letter || c == LETTERS + (int)i)
            return &options[i];
    return NULL;
}

int command_options(int argc, char **argv, const char *help,
                    const struct command_option *options, size_t count)
{
    struct option longs[COMMAND_OPTIONS_MAX + 2] = {{"help", no_argument, NULL, 'h'}};
    char letters[2 * COMMAND_OPTIONS_MAX + 3] = ":h";
    size_t used = 2;
    struct err err = {0};
    assert(count <= COMMAND_OPTIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (options[i].letter)
            letters[used++] = options[i].letter;
        if (options[i].letter && options[i].value)
            letters[used++] = ':';
        longs[i + 1] = (struct option){options[i].name, options[i].value != NULL, NULL,
                                       LETTERS + (int)i};
    }
    for (int c; (c = getopt_long(argc, argv, letters, longs, NULL)) != -1;) {
        if (c == 'h')
            return fputs(help, stdout), EXIT_DONE;
        const struct command_option *const option = find_option(options, count, c);
        if (!option) {
            command_bad_option(c, argv, &err);
            return command_misused(argv[0], "%s", err.msg);
        }
        if (option->value)
            *option->value = optarg;
        else
            *option->flag = true;
    }
    return -1;
}
