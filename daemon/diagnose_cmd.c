/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/command.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/csv_grid.h"
#include "daemon/csv_job.h"
#include "daemon/terminal.h"
#include "daemon/training.h"

static const char help[] = /* %s: csv_job_help */
    "Usage: frwkvd diagnose --csv FILE [OPTION]...\n"
    "Trains with the mixer softmax and shows how close its heads are to their linear\n"
    "limit: whether inline could stand in for it. Needs many tokens: --set axis=patch,\n"
    "or --group joint with a hundred series.\n\n"
    "%s"
    "  --split PROTOCOL    ett-hour; shares such as 0.7,0.1,0.2 (default);\n"
    "                      or last:N, the newest N steps as the test part\n"
    "  --output FILE       also keep the JSON there\n";

struct diagnose {
    struct csv_job job;
    const char *split_text, *output;
    struct model_split split;
    struct progress progress;
};

/* 0: go on; 1: help was printed; -1. */
static int options_read(struct diagnose *d, int argc, char **argv, struct err *err)
{
    static const struct option longs[] = {CSV_JOB_OPTIONS,
                                          {"split", required_argument, NULL, 's'},
                                          {"output", required_argument, NULL, 'o'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    d->job.mixer = "softmax";
    for (int c; (c = getopt_long(argc, argv, ":h", longs, NULL)) != -1;) {
        if (c == 'h')
            return printf(help, csv_job_help), 1;
        if (c == 's')
            d->split_text = optarg;
        else if (c == 'o')
            d->output = optarg;
        else if (c == '?' || c == ':')
            return command_bad_option(c, argv, err);
        else if (csv_job_option(&d->job, c, optarg, err) < 0)
            return -1;
    }
    if (optind < argc)
        return err_set(err, ERR_INVALID, "not an option: %s", argv[optind]);
    if (model_split_parse(d->split_text, &d->split, err))
        return -1;
    return csv_job_settle(&d->job, err);
}

/* ---- JSON -------------------------------------------------------------------------- */

static json_t *numbers(const double *x, size_t count, size_t stride)
{
    json_t *const list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_number_or_null(x[i * stride]));
    return list;
}

static json_t *head_json(const struct model_concentration *h)
{
    const size_t n = h->grid_count;
    json_t *const tokens = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(tokens, json_integer((json_int_t)h->tokens[i]));
    return json_pack(
        "{s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:o, s:o, s:o}",
        "branch", h->branch, "layer", (json_int_t)h->layer, "head", (json_int_t)h->head,
        "tokens", tokens, "gap", numbers(&h->gap[0][1], n, 3), "gap_q25",
        numbers(&h->gap[0][0], n, 3), "gap_q75", numbers(&h->gap[0][2], n, 3),
        "population", numbers(h->population, n, 1), "control", numbers(h->control, n, 1),
        "gradient_v", numbers(h->gradient_v, n, 1), "gradient_kq",
        numbers(h->gradient_kq, n, 1), "slope", numbers(h->slope, 1, 1), "slope_interval",
        numbers(h->slope + 1, 2, 1), "control_slope", numbers(h->control_slope, 3, 1),
        "floor", json_number_or_null(h->floor), "k3", json_number_or_null(h->k3), "sd",
        json_number_or_null(h->deviation), "effective_tokens",
        json_number_or_null(h->effective), "entropy", json_number_or_null(h->entropy),
        "key_rank", json_number_or_null(h->key_rank));
}

static json_t *report_json(const struct diagnose *d, const struct grid *grid,
                           const struct model_diagnosis *r)
{
    json_t *const heads = json_array(), *const settings = csv_job_settings_json(&d->job);
    json_object_set_new(settings, "split", json_string(d->split_text));
    for (size_t i = 0; i < r->count; i++)
        json_array_append_new(heads, head_json(&r->heads[i]));
    return json_pack("{s:o, s:o, s:I, s:o, s:o, s:o, s:b, s:o}", "data",
                     csv_job_data_json(&d->job, grid), "settings", settings, "samples",
                     (json_int_t)r->samples, "loss_softmax",
                     json_number_or_null(r->loss_softmax), "loss_inline",
                     json_number_or_null(r->loss_inline), "loss_change",
                     json_number_or_null(r->loss_inline / r->loss_softmax - 1),
                     "convertible", r->convertible, "heads", heads);
}

/* ---- text -------------------------------------------------------------------------- */

enum { HEIGHT = 12, COLUMN = 8 };

/* Rows of the plot are decades of the gap, cut in so many; columns are T'. */
static void plot_mark(char *cells, size_t width, double y, double low, double high,
                      size_t column, char mark)
{
    if (!(y > 0))
        return;
    const double share = high > low ? (log10(y) - low) / (high - low) : 0;
    const size_t row = (size_t)((1 - share) * (HEIGHT - 1) + 0.5);
    char *const cell = &cells[row * width + column * COLUMN + COLUMN / 2];
    *cell = *cell == ' ' || *cell == mark ? mark : '#';
}

/* The heads' geometric mean; those whose gap is 0 have no place in it. */
static double middle(const struct model_diagnosis *r, size_t i, bool control)
{
    double sum = 0, count = 0;
    for (size_t h = 0; h < r->count; h++) {
        const double gap = control ? r->heads[h].control[i] : r->heads[h].gap[i][1];
        sum += gap > 0 ? log10(gap) : 0;
        count += gap > 0;
    }
    return count > 0 ? pow(10, sum / count) : (double)NAN;
}

static void plot(const struct model_diagnosis *r)
{
    const size_t n = r->heads[0].grid_count, width = n * COLUMN;
    char cells[HEIGHT * MODEL_CONCENTRATION_GRID * COLUMN];
    double low = INFINITY, high = -INFINITY;
    memset(cells, ' ', sizeof cells);
    for (size_t i = 0; i < 2 * n; i++) {
        const double y = log10(middle(r, i / 2, i % 2));
        low = fmin(low, y);
        high = fmax(high, y);
    }
    for (size_t i = 0; i < n; i++) {
        plot_mark(cells, width, middle(r, i, true), low, high, i, 'o');
        plot_mark(cells, width, middle(r, i, false), low, high, i, '*');
    }
    if (!(high >= low)) {
        printf("  no head says more than the mean of its tokens\n\n");
        return;
    }
    printf("  gap by tokens, mean of the heads: * softmax as trained, o the Gaussian "
           "control, # both\n\n");
    for (size_t row = 0; row < HEIGHT; row++)
        printf("  %8.2g |%.*s\n",
               pow(10, high - (high - low) * (double)row / (HEIGHT - 1)), (int)width,
               cells + row * width);
    printf("           +");
    for (size_t i = 0; i < width; i++)
        putchar('-');
    printf("\n            ");
    for (size_t i = 0; i < n; i++)
        printf("%*zu%*s", COLUMN / 2 + 1, r->heads[0].tokens[i], COLUMN / 2 - 1, "");
    printf("\n\n");
}

static void print_text(const struct model_diagnosis *r)
{
    struct table *const t = table_new("branch", ">layer", ">head", ">floor", ">slope",
                                      ">95 %", ">control", ">floor/k3", ">score sd",
                                      ">tokens read", ">key rank", ">dV", ">dKQ", NULL);
    for (size_t i = 0; i < r->count; i++) {
        const struct model_concentration *const h = &r->heads[i];
        const size_t last = h->grid_count - 1;
        table_add(t, "%s", h->branch);
        table_add(t, "%zu", h->layer);
        table_add(t, "%zu", h->head);
        table_add(t, "%.2g", h->floor);
        table_add_number(t, 2, h->slope[0]);
        table_add(t, isnan(h->slope[0]) ? "-" : "%.2f..%.2f", h->slope[1], h->slope[2]);
        table_add(t, isnan(h->slope[0]) ? "-" : "%.2f", h->control_slope[0]);
        table_add(t, h->k3 > 0 ? "%.2f" : "-", h->floor / h->k3);
        table_add_number(t, 3, h->deviation);
        table_add(t, "%.1f of %zu", h->effective, h->tokens[last]);
        table_add(t, "%.1f", h->key_rank);
        table_add(t, "%.2g", h->gradient_v[last]);
        table_add(t, "%.2g", h->gradient_kq[last]);
    }
    plot(r);
    table_print(t, stdout);
    table_free(t);
    printf("\n  loss on the validation part: %.5f with softmax, %.5f with inline and the "
           "same weights (%+.2f %%)\n  %s\n",
           r->loss_softmax, r->loss_inline, 100 * (r->loss_inline / r->loss_softmax - 1),
           r->convertible ? "convertible: every floor is below 0.01 and the loss hardly "
                            "changes"
                          : "not convertible as it is: a floor is 0.01 or more, or the "
                            "loss changes by 0.5 % or more");
}

static int run(struct diagnose *d, struct err *err)
{
    struct grid grid = {0};
    struct model_diagnosis report = {0};
    json_t *json = NULL;
    int result = -1;
    if (csv_job_grid(&d->job, &grid, err))
        goto out;
    d->progress = progress_start();
    const struct model_hooks hooks = {.progress = training_progress_show,
                                      .ctx = &d->progress,
                                      .threads = d->job.threads};
    result = model_diagnose(&grid, &d->job.spec, &d->split, &hooks, &report, err);
    progress_end(&d->progress);
    if (result)
        goto out;
    json = report_json(d, &grid, &report);
    if (d->output && json_dump_file(json, d->output, JSON_REAL_PRECISION(10)))
        result = err_set(err, ERR_IO, "--output: cannot write %s", d->output);
    if (d->job.json) {
        json_dumpf(json, stdout, JSON_REAL_PRECISION(10));
        putchar('\n');
    } else {
        print_text(&report);
    }
out:
    json_decref(json);
    model_diagnosis_fini(&report);
    grid_fini(&grid);
    return result;
}

int diagnose_command(int argc, char **argv)
{
    struct diagnose d = {.split_text = "0.7,0.1,0.2"};
    struct err err = {0};
    csv_job_init(&d.job);
    int status;
    const int read = options_read(&d, argc, argv, &err);
    if (read != 0) {
        status = read > 0 ? EXIT_DONE : command_misused("diagnose", "%s", err.msg);
    } else {
        model_start();
        status = run(&d, &err) ? command_failed("diagnose", &err) : EXIT_DONE;
    }
    csv_job_fini(&d.job);
    return status;
}
