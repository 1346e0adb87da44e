/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c -- one binary, several subcommands.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/command.h"

static int version_command(int argc, char **argv);
static int help_command(int argc, char **argv);

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"serve", serve_command, "run the daemon in the foreground"},
    {"import", import_command, "load samples from a CSV file"},
    {"train", train_command, "train a forecaster and watch it"},
    {"convert", convert_command, "give a trained softmax model linear cost"},
    {"forecast", forecast_command, "show what comes next"},
    {"models", models_command, "list a forecaster's versions, or restore one"},
    {"accuracy", accuracy_command, "show how what was issued came true"},
    {"crossings", crossings_command, "show when thresholds are crossed"},
    {"backtest", backtest_command, "judge the candidates on a CSV file"},
    {"diagnose", diagnose_command, "show how close softmax is to its linear limit"},
    {"backup", backup_command, "copy the state folder, in use or not"},
    {"restore", restore_command, "put a backup in place of a missing state folder"},
    {"verify", verify_command, "check everything stored against its checksums"},
    {"check-config", check_config_command, "check a configuration and print it in full"},
    {"version", version_command, "print the version"},
    {"help", help_command, "print this text"},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static int version_command(int argc, char **argv)
{
    (void)argc, (void)argv;
    puts("frwkvd " FRWKVD_VERSION);
    return EXIT_DONE;
}

static void usage(FILE *out)
{
    fputs("Usage: frwkvd COMMAND [OPTION]...\n"
          "Learns the rhythm of your metrics and says what comes next.\n\n",
          out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-14s %s\n", commands[i].name, commands[i].summary);
    fputs("\n'frwkvd COMMAND --help' tells more about a command.\n"
          "Exit status: 0 done, 1 failed, 2 the command line cannot be read.\n",
          out);
}

static int run(const char *name, int argc, char **argv)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc, argv);
    fprintf(stderr, "frwkvd: no such command: %s\nTry 'frwkvd help'.\n", name);
    return EXIT_USAGE;
}

/* `help import` is `import --help`. */
static int help_command(int argc, char **argv)
{
    const bool of_one = argc > 1 && argv[1][0] != '-' && strcmp(argv[1], "help") &&
                        strcmp(argv[1], "version");
    if (of_one)
        return run(argv[1], 2, (char *[]){argv[1], (char[]){"--help"}, NULL});
    usage(stdout);
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0)
        name = "version";
    opterr = 0; /* the commands word their refusals themselves */
    const int status = run(name, argc - 1, argv + 1);
    struct err err = {0};
    return status == EXIT_DONE && command_flush(&err) ? command_failed(name, &err)
                                                      : status;
}
