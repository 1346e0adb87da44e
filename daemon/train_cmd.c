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
    "  --json              print the job when it has ended\n";

enum { LOOK_EVERY_US = 200 * 1000 };

static const char *text_of(const json_t *json, const char *key)
{
    const char *const text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

static double number_of(const json_t *json, const char *key)
{
    const json_t *const value = json_object_get(json, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
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
        if (strcmp(text_of(row, "bucket"), "all") != 0)
            continue;
        table_add(t, "%s", text_of(row, "candidate"));
        table_add(t, "%.4f", number_of(row, "mse"));
        table_add(t, "%.4f", number_of(row, "mae"));
        table_add(t, "%.3f", number_of(row, "mase"));
        table_add(t, "%.1f %%", 100 * number_of(row, "coverage80"));
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
               training_trial_text(trial, text),
               json_is_true(json_object_get(result, "serves"))
                   ? "It serves from now on."
                   : "It is kept, and does not serve (frwkvd models --restore).");
    if (text_of(result, "note")[0])
        printf("\n%s\n", text_of(result, "note"));
}

/* Polls until the job has ended; the job, owned by the caller. */
static json_t *job_watch(struct client *client, const char *path, struct err *err)
{
    struct progress progress = progress_start();
    json_t *job;
    while ((job = client_get(client, path, err))) {
        const char *const state = text_of(job, "state");
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
        client_print(job);
    if (strcmp(text_of(job, "state"), "done") != 0)
        return err_set(err, ERR_CONFLICT, "the training ended as %s%s%s",
                       text_of(job, "state"), text_of(job, "error")[0] ? ": " : "",
                       text_of(job, "error"));
    if (!json)
        print_judgement(json_object_get(job, "result"));
    return 0;
}

struct wish {
    const char *name; /* of the forecaster */
    bool json;
};

static int train(struct client *client, const void *ctx, struct err *err)
{
    const struct wish *const wish = ctx;
    char *const escaped = client_escape(client, wish->name);
    char *const path = mem_printf("/v1/forecasters/%s/train", escaped);
    client_text_free(escaped);
    json_t *const started = client_send(client, "POST", path, NULL, err);
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

int train_command(int argc, char **argv)
{
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {"json", no_argument, NULL, 'J'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    struct wish wish = {0};
    struct client_options options = {.command = "train", .jobs = true};
    struct err err = {0};
    for (int c; (c = getopt_long(argc, argv, ":c:qh", longs, NULL)) != -1;) {
        if (c == 'h')
            return fputs(help, stdout), EXIT_DONE;
        if (c == '?' || c == ':') {
            command_bad_option(c, argv, &err);
            return command_misused("train", "%s", err.msg);
        }
        if (c == 'c')
            options.config = optarg;
        else if (c == 'q')
            options.quiet = true;
        else
            wish.json = true;
    }
    if (optind + 1 != argc)
        return command_misused("train", "one forecaster's name expected");
    wish.name = argv[optind];
    model_start();
    return client_command(&options, train, &wish);
}
