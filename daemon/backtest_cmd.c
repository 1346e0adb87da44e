/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/command.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "base/mem.h"
#include "daemon/csv_grid.h"
#include "daemon/csv_job.h"
#include "daemon/terminal.h"
#include "daemon/training.h"

static const char help[] = /* %s: csv_job_help */
    "Usage: frwkvd backtest --csv FILE [OPTION]...\n"
    "Judges the candidates on a CSV file under a published protocol: standardised\n"
    "by the train part, every choice made on the validation part, the test part\n"
    "read once.\n\n"
    "%s"
    "  --split PROTOCOL    ett-hour; shares such as 0.7,0.1,0.2 (default);\n"
    "                      or last:N, the newest N steps as the test part\n"
    "  --model LIST        candidates, separated by commas; default all: naive,\n"
    "                      seasonal_naive,drift,profile,in_context,frwkv\n";

enum { CANDIDATES_MAX = 32 };

struct backtest {
    struct csv_job job;
    const char *split_text;
    struct model_split split;
    char *candidate_text; /* what the names point into */
    const char *candidates[CANDIDATES_MAX];
    size_t candidate_count;
    struct progress progress;
};

static int candidates_take(struct backtest *b, const char *list, struct err *err)
{
    free(b->candidate_text);
    b->candidate_text = mem_text(list);
    b->candidate_count = 0;
    for (char *rest = b->candidate_text, *name; (name = strsep(&rest, ","));) {
        if (b->candidate_count == CANDIDATES_MAX)
            return err_set(err, ERR_INVALID, "--model: at most %d candidates",
                           CANDIDATES_MAX);
        b->candidates[b->candidate_count++] = name;
    }
    return 0;
}

/* 0: go on; 1: help was printed; -1. */
static int options_read(struct backtest *b, int argc, char **argv, struct err *err)
{
    static const struct option longs[] = {CSV_JOB_OPTIONS,
                                          {"split", required_argument, NULL, 's'},
                                          {"model", required_argument, NULL, 'm'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    for (int c; (c = getopt_long(argc, argv, ":h", longs, NULL)) != -1;) {
        if (c == 'h')
            return printf(help, csv_job_help), 1;
        if (c == 's')
            b->split_text = optarg;
        else if (c == 'm' && candidates_take(b, optarg, err))
            return -1;
        else if (c == '?' || c == ':')
            return command_bad_option(c, argv, err);
        else if (csv_job_option(&b->job, c, optarg, err) < 0)
            return -1;
    }
    if (optind < argc)
        return err_set(err, ERR_INVALID, "not an option: %s", argv[optind]);
    if (model_split_parse(b->split_text, &b->split, err))
        return -1;
    return csv_job_settle(&b->job, err);
}

static void print_json(const struct backtest *b, const struct grid *grid,
                       const struct model_report *report)
{
    json_t *const settings = csv_job_settings_json(&b->job);
    json_object_set_new(settings, "split", json_string(b->split_text));
    json_object_set_new(settings, "season", json_integer((json_int_t)report->season));
    json_t *const all = json_pack("{s:o, s:o}", "data", csv_job_data_json(&b->job, grid),
                                  "settings", settings);
    json_object_update_new(all, report_json_backtest(report, b->job.spec.horizon, grid));
    json_dumpf(all, stdout, JSON_REAL_PRECISION(10));
    putchar('\n');
    json_decref(all);
}

static void print_table(const struct model_report *report)
{
    struct table *const t =
        table_new("candidate", "bucket", ">MSE", ">MAE", ">MASE", ">WQL", ">in 80 % band",
                  ">seconds", ">parameters", NULL);
    for (size_t i = 0; i < report->figure_count; i++) {
        const struct model_figure *const f = &report->figures[i];
        table_add(t, "%s", f->candidate);
        table_add(t, "%s", training_bucket(f->bucket));
        table_add_number(t, 4, f->mse);
        table_add_number(t, 4, f->mae);
        table_add_number(t, 3, f->mase);
        table_add_number(t, 4, f->wql);
        table_add_percent(t, 1, f->coverage80);
        table_add_number(t, 1, f->seconds);
        table_add(t, "%zu", f->params);
    }
    table_print(t, stdout);
    table_free(t);
}

/* Who serves each series where, how much smaller its error was than the seasonal naive's,
 * and how often what came was inside its 80 % band. */
static void print_series(const struct model_report *report, const struct grid *grid)
{
    struct table *const t =
        table_new("series", training_bucket(0), ">skill", ">in band", training_bucket(1),
                  ">skill", ">in band", training_bucket(2), ">skill", ">in band",
                  training_bucket(3), ">skill", ">in band", NULL);
    for (size_t s = 0; s < report->series_count; s++) {
        table_add(t, "%s", grid->names[s]);
        for (size_t b = 0; b < MODEL_BUCKETS; b++) {
            const struct model_champion *const c =
                &report->champions[s * MODEL_BUCKETS + b];
            table_add(t, "%s", c->candidate);
            table_add_percent(t, 0, c->skill);
            table_add_percent(t, 1, c->coverage80);
        }
    }
    table_print(t, stdout);
    table_free(t);
}

static void print_text(const struct backtest *b, const struct grid *grid,
                       const struct model_report *report)
{
    printf("%s: %zu series, %zu steps; %zu windows to fit, %zu to stop, %zu to judge; "
           "season %zu steps\n\n",
           b->job.file, grid->cols, grid->rows, report->windows_fit, report->windows_stop,
           report->windows_judge, report->season);
    print_table(report);
    putchar('\n');
    print_series(report, grid);
    if (report->covariate_count)
        putchar('\n');
    csv_job_covariates_print(report);
    if (report->note[0])
        printf("\n%s\n", report->note);
}

static int run(struct backtest *b, struct err *err)
{
    struct grid grid = {0};
    struct model_report report = {0};
    int result = -1;
    if (csv_job_grid(&b->job, &grid, err))
        goto out;
    b->progress = progress_start();
    const struct model_hooks hooks = {.progress = training_progress_show,
                                      .ctx = &b->progress,
                                      .checkpoint_path = b->job.checkpoint,
                                      .checkpoint_s = 10,
                                      .threads = b->job.threads};
    result = model_backtest(&grid, &b->job.spec, &b->split,
                            b->candidate_count ? b->candidates : NULL, b->candidate_count,
                            &hooks, &report, err);
    progress_end(&b->progress);
    if (result)
        goto out;
    if (b->job.json)
        print_json(b, &grid, &report);
    else
        print_text(b, &grid, &report);
    result = command_flush(err); /* without a result the checkpoint is worth keeping */
    if (result == 0 && b->job.checkpoint)
        unlink(b->job.checkpoint);
out:
    model_report_fini(&report);
    grid_fini(&grid);
    return result;
}

int backtest_command(int argc, char **argv)
{
    struct backtest b = {.split_text = "0.7,0.1,0.2"};
    struct err err = {0};
    csv_job_init(&b.job);
    int status;
    const int read = options_read(&b, argc, argv, &err);
    if (read != 0) {
        status = read > 0 ? EXIT_DONE : command_misused("backtest", "%s", err.msg);
    } else {
        model_start();
        status = run(&b, &err) ? command_failed("backtest", &err) : EXIT_DONE;
    }
    free(b.candidate_text);
    csv_job_fini(&b.job);
    return status;
}
