/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/forecast_csv.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/api.h"
#include "base/mem.h"
#include "base/time.h"
#include "daemon/command.h"
#include "daemon/csv_grid.h"
#include "daemon/outlook.h"
#include "daemon/terminal.h"
#include "daemon/training.h"

enum { QUANTILES = 3 };
static const double quantiles[QUANTILES] = {0.1, 0.5, 0.9};

/* The file, the model made of it, and the model's answers. */
struct answers {
    struct grid grid;
    struct model *model;
    struct model_answer *answer; /* one for each column of the grid */
};

static void answers_fini(struct answers *a)
{
    for (size_t i = 0; a->answer && i < a->grid.cols; i++)
        free(a->answer[i].values);
    free(a->answer);
    model_free(a->model);
    grid_fini(&a->grid);
}

/* model_train() would refuse, too, but knows nothing of options. */
static int enough(const struct csv_job *job, const struct grid *grid, struct err *err)
{
    const size_t least = model_rows_for_candidates(&job->spec);
    if (grid->rows >= least)
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "%s: holds %zu steps, and --horizon %zu needs %zu of them", job->file,
                   grid->rows, job->spec.horizon, least);
}

static int train(const struct csv_job *job, struct answers *a, struct err *err)
{
    struct progress progress = progress_start();
    const struct model_hooks hooks = {.progress = training_progress_show,
                                      .ctx = &progress,
                                      .checkpoint_path = job->checkpoint,
                                      .checkpoint_s = 10,
                                      .threads = job->threads};
    a->model = model_train(&a->grid, &job->spec, &hooks, err);
    progress_end(&progress);
    return a->model ? 0 : -1;
}

static int forecast(const struct csv_job *job, struct answers *a, struct err *err)
{
    const size_t wanted = model_tail_rows(a->model), rows = a->grid.rows;
    struct grid tail = {0};
    struct forecaster_work *work = NULL;
    int result = -1;
    a->answer = mem_new(a->grid.cols, sizeof *a->answer);
    for (size_t i = 0; i < a->grid.cols; i++)
        a->answer[i].values = mem_new(job->spec.horizon * QUANTILES, sizeof(double));
    if (grid_slice(&a->grid, rows > wanted ? rows - wanted : 0, rows, &tail, err) == 0 &&
        (work = forecaster_work_new(a->model, err)))
        result = model_forecast(a->model, work, &tail, job->spec.horizon, quantiles,
                                QUANTILES, a->answer, err);
    forecaster_work_free(work);
    grid_fini(&tail);
    return result;
}

/* The end of one column of the grid. */
static double *past_of(const struct grid *grid, size_t col, size_t count)
{
    double *const past = mem_new(count, sizeof *past);
    for (size_t i = 0; i < count; i++)
        past[i] = grid->values[(grid->rows - count + i) * grid->cols + col];
    return past;
}

static double *quantile_of(const double *values, size_t steps, size_t which)
{
    double *const out = mem_new(steps, sizeof *out);
    for (size_t i = 0; i < steps; i++)
        out[i] = values[i * QUANTILES + which];
    return out;
}

static struct outlook outlook_of(const struct answers *a, size_t steps, size_t col)
{
    const struct model_answer *const answer = &a->answer[col];
    const char *candidates[MODEL_BUCKETS];
    for (size_t b = 0; b < MODEL_BUCKETS; b++)
        candidates[b] = answer->candidate[b];
    const size_t past = outlook_past_steps(steps);
    struct outlook o = {
        .series = mem_text(a->grid.names[col]),
        .why = answer->served ? NULL : mem_text(answer->why),
        .served_by = outlook_served_by(MODEL_BUCKETS, candidates),
        .skill = outlook_skill(MODEL_BUCKETS, answer->skill),
        .first_ms = grid_time_ms(&a->grid, a->grid.rows),
        .step_ms = a->grid.step_ms,
        .zone = a->grid.zone,
        .steps = steps,
        .low = quantile_of(answer->values, steps, 0),
        .mid = quantile_of(answer->values, steps, 1),
        .high = quantile_of(answer->values, steps, 2),
        .past_count = past < a->grid.rows ? past : a->grid.rows,
    };
    o.past = past_of(&a->grid, col, o.past_count);
    return o;
}

static void print_text(const struct csv_job *job, const struct answers *a)
{
    for (size_t i = 0; i < a->grid.cols; i++) {
        struct outlook o = outlook_of(a, job->spec.horizon, i);
        outlook_print(&o, stdout);
        putchar('\n');
        outlook_fini(&o);
    }
    csv_job_covariates_print(model_report(a->model));
    if (model_report(a->model)->note[0])
        printf("%s\n", model_report(a->model)->note);
}

static json_t *points_json(const struct answers *a, size_t steps, const double *values)
{
    json_t *const points = json_array();
    for (size_t i = 0; i < steps; i++) {
        char time[TIME_TEXT_SIZE];
        const double *const q = values + i * QUANTILES;
        time_format(grid_time_ms(&a->grid, a->grid.rows + i), time);
        json_array_append_new(points, json_pack("{s:s, s:o, s:o, s:o}", "time", time,
                                                "q10", json_number_or_null(q[0]), "q50",
                                                json_number_or_null(q[1]), "q90",
                                                json_number_or_null(q[2])));
    }
    return points;
}

static json_t *series_json(const struct answers *a, size_t steps, size_t col)
{
    const struct model_answer *const answer = &a->answer[col];
    if (!answer->served)
        return json_pack("{s:s, s:s}", "series", a->grid.names[col], "why", answer->why);
    json_t *const candidates = json_array(), *const skills = json_array();
    for (size_t b = 0; b < MODEL_BUCKETS; b++) {
        json_array_append_new(candidates, json_string(answer->candidate[b]));
        json_array_append_new(skills, json_number_or_null(answer->skill[b]));
    }
    return json_pack("{s:s, s:o, s:o, s:o}", "series", a->grid.names[col], "candidate",
                     candidates, "skill", skills, "points",
                     points_json(a, steps, answer->values));
}

static void print_json(const struct csv_job *job, const struct answers *a)
{
    json_t *const series = json_array();
    for (size_t i = 0; i < a->grid.cols; i++)
        json_array_append_new(series, series_json(a, job->spec.horizon, i));
    json_t *const all = json_pack("{s:o, s:o}", "data", csv_job_data_json(job, &a->grid),
                                  "settings", csv_job_settings_json(job));
    json_object_update_new(all, report_json(a->model));
    json_object_set_new(all, "forecast", series);
    json_dumpf(all, stdout, JSON_REAL_PRECISION(10));
    putchar('\n');
    json_decref(all);
}

int forecast_csv(const struct csv_job *job, struct err *err)
{
    struct answers a = {0};
    int result = -1;
    if (csv_job_grid(job, &a.grid, err) || enough(job, &a.grid, err) ||
        train(job, &a, err) || forecast(job, &a, err))
        goto out;
    if (job->json)
        print_json(job, &a);
    else
        print_text(job, &a);
    result = command_flush(err); /* without a result the checkpoint is worth keeping */
    if (result == 0 && job->checkpoint)
        unlink(job->checkpoint);
out:
    answers_fini(&a);
    return result;
}
