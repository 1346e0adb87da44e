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
    const char *name, *restore;
    bool json;
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

int models_command(int argc, char **argv)
{
    struct wish wish = {0};
    struct client_options options = {.command = "models"};
    const struct command_option table[] = {
        CLIENT_OPTIONS(options),
        {"restore", .value = &wish.restore},
        {"json", .flag = &wish.json},
    };
    const int status = COMMAND_OPTIONS(argc, argv, help, table);
    if (status >= 0)
        return status;
    if (optind + 1 != argc)
        return command_misused("models", "one forecaster's name expected");
    wish.name = argv[optind];
    return client_command(&options, models, &wish);
}
