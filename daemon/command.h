/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * command.h -- the subcommands of frwkvd.
 *
 * Each is a main() of its own: argv[0] is the subcommand's name, what is returned is the
 * exit status.  Results go to stdout, everything else to stderr.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

int serve_command(int argc, char **argv);
int import_command(int argc, char **argv);
int train_command(int argc, char **argv);
int forecast_command(int argc, char **argv);
int models_command(int argc, char **argv);
int accuracy_command(int argc, char **argv);
int crossings_command(int argc, char **argv);
int backtest_command(int argc, char **argv);
int convert_command(int argc, char **argv);
int diagnose_command(int argc, char **argv);
int backup_command(int argc, char **argv);
int restore_command(int argc, char **argv);
int verify_command(int argc, char **argv);
int check_config_command(int argc, char **argv);

/* Says "frwkvd backtest: <message>" on stderr; EXIT_FAILED. */
int command_failed(const char *command, const struct err *err);

/* The same for a command line that cannot be read, and points at --help; EXIT_USAGE. */
int command_misused(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether all that went to stdout is written; -1 and ERR_IO where not, as on a disk that
 * is full. */
int command_flush(struct err *err);

/* One option: --name, and -letter where there is one, which sets a flag or takes a value. */
struct command_option {
    const char *name;
    char letter;
    bool *flag;
    const char **value;
};
enum { COMMAND_OPTIONS_MAX = 16 };

/*
 * Reads a command line whose first word is the command: options go where their rows say,
 * and argv[optind] is the first argument that is none.  -1 to go on; else the exit
 * status: help was asked for and printed, or an option is wrong and named.
 */
int command_options(int argc, char **argv, const char *help,
                    const struct command_option *options, size_t count);
#define COMMAND_OPTIONS(argc, argv, help, table)                                         \
    command_options((argc), (argv), (help), (table), sizeof(table) / sizeof *(table))

/* Names the option for which getopt_long() has just returned c, '?' or ':' (its letters
 * begin with ':').  -1. */
int command_bad_option(int c, char **argv, struct err *err);

#endif
