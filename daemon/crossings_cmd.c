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
    "Usage: frwkvd crossings [NAME] [OPTION]...\n"
    "Shows when thresholds are crossed, soonest first, of one forecaster or of all: the\n"
    "times by which 10, 50 and 90 % of sample paths have crossed, or that they do not\n"
    "within the horizon, and how earlier answers came true.\n\n"
    "  -c, --config FILE   the configuration (" CONFIG_PATH_DEFAULT " if there is one)\n"
    "  -q, --quiet         do not say whether a daemon was asked\n"
    "  --limit N           the first N; default: 100, of one forecaster all\n"
    "  --series NAME       one series only; takes a forecaster\n"
    "  --json              print one JSON object\n";

struct wish {
    const char *name, *limit, *series;
    bool json;
};

static void add_time(struct table *t, const json_t *one, const char *quantile)
{
    const json_t *const at = json_object_get(json_object_get(one, "at"), quantile);
    table_add(t, "%s", json_is_string(at) ? json_string_value(at) : "not within");
}

static void add_record(struct table *t, const json_t *record)
{
    table_add(t, "%" JSON_INTEGER_FORMAT,
              json_integer_value(json_object_get(record, "answers")));
    table_add_percent(t, 1, client_number(record, "false_alarm_rate"));
}

static void add_row(struct table *t, const json_t *one, const char *forecaster)
{
    const json_t *const own = json_object_get(one, "forecaster");
    const char *const word = json_object_get(one, "above") ? "above" : "below";
    table_add(t, "%s", json_is_string(own) ? json_string_value(own) : forecaster);
    table_add(t, "%s", json_string_value(json_object_get(one, "series")));
    table_add(t, "%s %g", word, json_number_value(json_object_get(one, word)));
    if (json_is_true(json_object_get(one, "crossed")))
        table_add(t, "crossed");
    else
        table_add_percent(t, 0, client_number(one, "probability"));
    add_time(t, one, "0.1");
    add_time(t, one, "0.5");
    add_time(t, one, "0.9");
    add_record(t, json_object_get(one, "record"));
}

static void print_rows(const json_t *answer, const char *forecaster)
{
    struct table *const t =
        table_new("forecaster", "series", "threshold", ">crosses", "10 % by", "50 % by",
                  "90 % by", ">answers", ">false alarms", NULL);
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(answer, "crossings"), i, one)
        add_row(t, one, forecaster);
    if (i == 0)
        puts("No series has a threshold that can be told of now.");
    else
        table_print(t, stdout);
    table_free(t);
    json_array_foreach(json_object_get(answer, "problems"), i, one)
        printf("%s: %s\n", json_string_value(json_object_get(one, "forecaster")),
               json_string_value(json_object_get(one, "why")));
}

static int crossings(struct client *client, const void *ctx, struct err *err)
{
    const struct wish *const wish = ctx;
    char *path = mem_text("/v1/crossings");
    if (wish->name) {
        char *const name = client_escape(client, wish->name);
        free(path);
        path = mem_printf("/v1/forecasters/%s/crossings", name);
        client_text_free(name);
    }
    path = client_with(client, path, "limit", wish->limit);
    path = client_with(client, path, "series", wish->series);
    json_t *const answer = client_get(client, path, err);
    free(path);
    if (!answer)
        return -1;
    if (wish->json)
        client_print(answer, 15);
    else
        print_rows(answer, wish->name ? wish->name : "");
    json_decref(answer);
    return 0;
}

int crossings_command(int argc, char **argv)
{
    struct wish wish = {0};
    struct client_options options = {.command = "crossings"};
    const struct command_option table[] = {
        CLIENT_OPTIONS(options),
        {"limit", .value = &wish.limit},
        {"series", .value = &wish.series},
        {"json", .flag = &wish.json},
    };
    const int status = COMMAND_OPTIONS(argc, argv, help, table);
    if (status >= 0)
        return status;
    if (optind + 1 < argc)
        return command_misused("crossings", "at most one forecaster's name expected");
    wish.name = argv[optind]; /* or NULL */
    if (wish.series && !wish.name)
        return command_misused("crossings",
                               "--series takes a forecaster's name before it");
    return client_command(&options, crossings, &wish);
}
