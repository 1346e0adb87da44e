/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/command.h"

#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "daemon/client.h"
#include "daemon/config.h"
#include "daemon/terminal.h"

static const char help[] =
    "Usage: frwkvd accuracy NAME [OPTION]...\n"
    "Shows how what a forecaster issued came true: error against repeating the season\n"
    "(MASE), weighted quantile loss (WQL), mean of forecast less actual (bias), and the\n"
    "share of actuals inside the band beside what it should be.\n\n"
    "  -c, --config FILE   the configuration (" CONFIG_PATH_DEFAULT " if there is one)\n"
    "  -q, --quiet         do not say whether a daemon was asked\n"
    "  --as-of TIME        as it was known then; default: now\n"
    "  --days N            issues of the last N days; default: 30\n"
    "  --series NAME       one series only\n"
    "  --json              print one JSON object\n";

struct wish {
    const char *name, *as_of, *days, *series;
    bool json;
};

static void add_number(struct table *t, const json_t *row, const char *key)
{
    char text[NUMBER_TEXT_SIZE];
    table_add(t, "%s", number_text(client_number(row, key), text));
}

static void print_rows(const json_t *answer)
{
    struct table *const t = table_new("series", "horizon", ">values", ">MAE", ">bias",
                                      ">MASE", ">WQL", ">in band", ">should be", NULL);
    static const char *const parts[] = {"to 1/8", "to 1/4", "to 1/2", "to end"};
    size_t i;
    const json_t *row;
    json_array_foreach(json_object_get(answer, "rows"), i, row)
    {
        const char *const series = json_string_value(json_object_get(row, "series"));
        const json_t *const bucket = json_object_get(row, "bucket");
        const json_int_t part = json_integer_value(bucket);
        table_add(t, "%s", series ? series : "(all)");
        table_add(t, "%s",
                  json_is_integer(bucket) && part >= 0 && part < 4 ? parts[part] : "all");
        table_add_number(t, 0, client_number(row, "values"));
        add_number(t, row, "mae");
        add_number(t, row, "bias");
        add_number(t, row, "mase");
        add_number(t, row, "wql");
        table_add_percent(t, 1, client_number(row, "coverage"));
        table_add_percent(t, 1, client_number(row, "nominal"));
    }
    if (i == 0)
        puts("Nothing that was issued has come to pass yet.");
    else
        table_print(t, stdout);
    table_free(t);
}

static int accuracy(struct client *client, const void *ctx, struct err *err)
{
    const struct wish *const wish = ctx;
    char *const name = client_escape(client, wish->name);
    char *path = mem_printf("/v1/forecasters/%s/accuracy", name);
    client_text_free(name);
    path = client_with(client, path, "as_of", wish->as_of);
    path = client_with(client, path, "days", wish->days);
    path = client_with(client, path, "series", wish->series);
    json_t *const answer = client_get(client, path, err);
    free(path);
    if (!answer)
        return -1;
    if (wish->json)
        client_print(answer, 17);
    else
        print_rows(answer);
    json_decref(answer);
    return 0;
}

int accuracy_command(int argc, char **argv)
{
    struct wish wish = {0};
    struct client_options options = {.command = "accuracy"};
    const struct command_option table[] = {
        CLIENT_OPTIONS(options),       {"as-of", .value = &wish.as_of},
        {"days", .value = &wish.days}, {"series", .value = &wish.series},
        {"json", .flag = &wish.json},
    };
    const int status = COMMAND_OPTIONS(argc, argv, help, table);
    if (status >= 0)
        return status;
    if (optind + 1 != argc)
        return command_misused("accuracy", "one forecaster's name expected");
    wish.name = argv[optind];
    return client_command(&options, accuracy, &wish);
}
