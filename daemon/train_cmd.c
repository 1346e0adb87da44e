/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/command.h"

#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "daemon/client.h"
#include "daemon/config.h"
#include "daemon/terminal.h"
#include "daemon/training.h"

static const char help[] =
    "Usage: frwkvd train NAME [-c FILE]\n"
    "Trains a forecaster, shows the progress and how the candidates were judged.\n"
    "Ctrl-C stops watching; a daemon goes on training.\n\n"
    "  -c, --config FILE   the configuration (" CONFIG_PATH_DEFAULT " if there is one)\n"
    "  -q, --quiet         do not say whether a daemon was asked\n"
    "  --json              print the job when it has ended\n";

static const char convert_help[] =
    "Usage: frwkvd convert NAME --to inline|luna [-c FILE]\n"
    "Gives the softmax model that serves a mixer of linear cost with the same weights:\n"
    "layer by layer, then tuned. It serves if the loss hardly grows; else it is kept.\n\n"
    "  --to MIXER          inline, or luna\n"
    "  -c, --config FILE   the configuration (" CONFIG_PATH_DEFAULT " if there is one)\n"
    "  -q, --quiet         do not say whether a daemon was asked\n"
    "  --json              print the job when it has ended\n";

enum { LOOK_EVERY_US = 200 * 1000 };

static const char *serves_text(const json_t *result)
{
    return json_is_true(json_object_get(result, "serves"))
               ? "It serves from now on."
               : "It is kept, and does not serve (frwkvd models --restore).";
}

static void print_conversion(const json_t *result)
{
    const json_t *const trial = json_object_get(result, "trial");
    struct table *const t = table_new("mixer", ">layers off by", ">loss", NULL);
    table_add(t, "softmax");
    table_add(t, "-");
    table_add_number(t, 5, client_number(trial, "loss_softmax"));
    table_add(t, "%s in its place", client_text(trial, "mixer"));
    table_add(t, "%.3g", sqrt(client_number(trial, "layers_before")));
    table_add(t, "-");
    table_add(t, "and fitted to it");
    table_add(t, "%.3g", sqrt(client_number(trial, "layers_after")));
    table_add_number(t, 5, client_number(trial, "loss_swapped"));
    table_add(t, "and tuned");
    table_add(t, "-");
    table_add_number(t, 5, client_number(trial, "loss_converted"));
    table_print(t, stdout);
    table_free(t);
    printf("\n%s\n", serves_text(result));
}

static void print_judgement(const json_t *result)
{
    printf("\nHow the candidates did on the newest fifth of the history, which none had "
           "seen:\n\n");
    struct table *const t =
        table_new("candidate", ">MSE", ">MAE", ">MASE", ">in 80 % band", NULL);
    size_t i;
    const json_t *row;
    json_array_foreach(json_object_get(result, "results"), i, row)
    {
        if (strcmp(client_text(row, "bucket"), "all") != 0)
            continue;
        table_add(t, "%s", client_text(row, "candidate"));
        table_add_number(t, 4, client_number(row, "mse"));
        table_add_number(t, 4, client_number(row, "mae"));
        table_add_number(t, 3, client_number(row, "mase"));
        table_add_percent(t, 1, client_number(row, "coverage80"));
    }
    table_print(t, stdout);
    table_free(t);
    printf(
        "\nA candidate serves a series only where it beat the simpler ones by more than "
        "chance.\n");
    const json_t *const trial = json_object_get(result, "trial");
    char text[TRAINING_TEXT_SIZE];
    if (json_is_object(trial))
        printf("\nOn the newest steps, which it had not seen: %s.  %s\n",
               training_trial_text(trial, text), serves_text(result));
    if (client_text(result, "note")[0])
        printf("\n%s\n", client_text(result, "note"));
}

/* Polls until the job has ended; the job, owned by the caller. */
static json_t *job_watch(struct client *client, const char *path, struct err *err)
{
    struct progress progress = progress_start();
    json_t *job;
    while ((job = client_get(client, path, err))) {
        const char *const state = client_text(job, "state");
        if (strcmp(state, "queued") != 0 && strcmp(state, "running") != 0)
            break;
        const json_t *const told = json_object_get(job, "progress");
        const struct model_progress p = training_progress_read(told);
        char text[TRAINING_TEXT_SIZE];
        progress_show(&progress, "  %s",
                      json_is_object(told) ? training_progress_text(&p, text) : state);
        json_decref(job);
        usleep(LOOK_EVERY_US);
    }
    progress_end(&progress);
    return job;
}

static int job_report(const json_t *job, bool json, struct err *err)
{
    if (json)
        client_print(job, 10);
    if (strcmp(client_text(job, "state"), "done") != 0)
        return err_set(
            err, ERR_CONFLICT, "the job ended as %s%s%s", client_text(job, "state"),
            client_text(job, "error")[0] ? ": " : "", client_text(job, "error"));
    const json_t *const result = json_object_get(job, "result");
    if (!json && strcmp(client_text(job, "kind"), "convert") == 0)
        print_conversion(result);
    else if (!json)
        print_judgement(result);
    if (!json && client_text(job, "error")[0])
        printf("\n%s\n", client_text(job, "error"));
    return 0;
}

struct wish {
    const char *command;
    const char *name;  /* of the forecaster */
    const char *mixer; /* to convert to; NULL: train */
    bool json;
};

static int watch(struct client *client, const void *ctx, struct err *err)
{
    const struct wish *const wish = ctx;
    char *const escaped = client_escape(client, wish->name);
    char *const path = mem_printf("/v1/forecasters/%s/%s", escaped, wish->command);
    client_text_free(escaped);
    json_t *const body = wish->mixer ? json_pack("{s:s}", "mixer", wish->mixer) : NULL;
    char *const text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    json_t *const started = client_send(client, "POST", path, text, err);
    free(text);
    free(path);
    if (!started)
        return -1;
    char *const job_path = mem_printf(
        "/v1/jobs/%lld", (long long)json_integer_value(json_object_get(started, "id")));
    json_decref(started);
    json_t *const job = job_watch(client, job_path, err);
    free(job_path);
    const int result = job ? job_report(job, wish->json, err) : -1;
    json_decref(job);
    return result;
}

static int ask(struct client_options *options, struct wish *wish, int argc, char **argv)
{
    if (optind + 1 != argc)
        return command_misused(wish->command, "one forecaster's name expected");
    wish->name = argv[optind];
    model_start();
    return client_command(options, watch, wish);
}

int train_command(int argc, char **argv)
{
    struct wish wish = {.command = "train"};
    struct client_options options = {.command = "train", .jobs = true};
    const struct command_option table[] = {CLIENT_OPTIONS(options),
                                           {"json", .flag = &wish.json}};
    const int status = COMMAND_OPTIONS(argc, argv, help, table);
    return status >= 0 ? status : ask(&options, &wish, argc, argv);
}

int convert_command(int argc, char **argv)
{
    struct wish wish = {.command = "convert"};
    struct client_options options = {.command = "convert", .jobs = true};
    const struct command_option table[] = {CLIENT_OPTIONS(options),
                                           {"to", .value = &wish.mixer},
                                           {"json", .flag = &wish.json}};
    const int status = COMMAND_OPTIONS(argc, argv, convert_help, table);
    if (status >= 0)
        return status;
    if (!wish.mixer)
        return command_misused("convert", "--to: inline or luna expected");
    return ask(&options, &wish, argc, argv);
}
