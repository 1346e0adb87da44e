/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/command.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "daemon/client.h"
#include "daemon/config.h"
#include "daemon/terminal.h"
#include "daemon/training.h"

static const char help[] =
    "Usage: frwkvd models NAME [OPTION]...\n"
    "Lists the versions of a forecaster's model, newest first: which one serves, and "
    "how\n"
    "each did against the one that served when it was made, on steps it had not seen.\n\n"
    "  -c, --config FILE   the configuration (" CONFIG_PATH_DEFAULT " if there is one)\n"
    "  -q, --quiet         do not say whether a daemon was asked\n"
    "  --restore ID        that version serves from now on\n"
    "  --json              print one JSON object\n";

struct wish {
    const char *config, *name, *restore;
    bool json, quiet;
};

static const char *text_of(const json_t *json, const char *key)
{
    const char *const text = json_string_value(json_object_get(json, key));
    return text ? text : "-";
}

static void print_models(const json_t *answer)
{
    struct table *const t =
        table_new(">version", "serves", "published", "data until", "trial", NULL);
    char trial[TRAINING_TEXT_SIZE];
    size_t i;
    const json_t *model;
    json_array_foreach(json_object_get(answer, "models"), i, model)
    {
        table_add(t, "%lld", (long long)json_integer_value(json_object_get(model, "id")));
        table_add(t, "%s", json_is_true(json_object_get(model, "serves")) ? "yes" : "");
        table_add(t, "%s", text_of(model, "published"));
        table_add(t, "%s", text_of(model, "watermark"));
        table_add(t, "%s", training_trial_text(json_object_get(model, "trial"), trial));
    }
    table_print(t, stdout);
    table_free(t);
}

static int models(struct client *client, const void *ctx, struct err *err)
{
    const struct wish *const wish = ctx;
    char *const name = client_escape(client, wish->name);
    char *const number = wish->restore ? client_escape(client, wish->restore) : NULL;
    char *const path =
        mem_printf("/v1/forecasters/%s/models%s%s%s", name, number ? "/" : "",
                   number ? number : "", number ? "/restore" : "");
    json_t *const answer = wish->restore ? client_send(client, "POST", path, NULL, err)
                                         : client_get(client, path, err);
    free(path);
    client_text_free(number);
    client_text_free(name);
    if (!answer)
        return -1;
    if (wish->json)
        client_print(answer, 10);
    else
        print_models(answer);
    json_decref(answer);
    return 0;
}

/* 1 when help was asked for. */
static int read_options(int argc, char **argv, struct wish *wish, struct err *err)
{
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},  {"quiet", no_argument, NULL, 'q'},
        {"restore", required_argument, NULL, 'R'}, {"json", no_argument, NULL, 'J'},
        {"help", no_argument, NULL, 'h'},          {0}};
    for (int c; (c = getopt_long(argc, argv, ":c:qh", longs, NULL)) != -1;) {
        switch (c) {
        case 'h':
            return 1;
        case 'c':
            wish->config = optarg;
            break;
        case 'q':
            wish->quiet = true;
            break;
        case 'R':
            wish->restore = optarg;
            break;
        case 'J':
            wish->json = true;
            break;
        default:
            return command_bad_option(c, argv, err);
        }
    }
    if (optind + 1 != argc)
        return err_set(err, ERR_INVALID, "one forecaster's name expected");
    wish->name = argv[optind];
    return 0;
}

int models_command(int argc, char **argv)
{
    struct wish wish = {0};
    struct err err = {0};
    const int read = read_options(argc, argv, &wish, &err);
    if (read > 0)
        return fputs(help, stdout), EXIT_DONE;
    if (read < 0)
        return command_misused("models", "%s", err.msg);
    const struct client_options options = {
        .command = "models", .config = wish.config, .quiet = wish.quiet};
    return client_command(&options, models, &wish);
}
