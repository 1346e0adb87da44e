/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/backtest_job.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/log.h"
#include "storage/storage.h"

static int split_read(const struct store_job *job, struct model_split *split,
                      struct err *err)
{
    json_t *const params = job->params ? json_loads(job->params, 0, NULL) : NULL;
    const char *const text = json_string_value(json_object_get(params, "split"));
    const int result = model_split_parse(text ? text : BACKTEST_SPLIT, split, err);
    json_decref(params);
    return result;
}

static char *result_text(const struct grid *grid, const struct model_spec *spec,
                         const struct model_report *report)
{
    char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
    json_t *const json = json_pack(
        "{s:{s:I, s:I, s:s, s:s}}", "data", "steps", (json_int_t)grid->rows, "series",
        (json_int_t)grid->cols, "from", time_format(grid->start_ms, from), "to",
        time_format(grid_time_ms(grid, grid->rows), to));
    json_object_update_new(json, report_json_backtest(report, spec->horizon, grid));
    char *const text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(10));
    json_decref(json);
    return text;
}

int backtest_job_run(const struct job_run *run, struct err *err)
{
    struct forecaster forecaster = {0};
    struct grid grid = {0};
    struct model_split split;
    struct model_report report = {0};
    char *path = NULL, *text = NULL;
    int result = -1;
    if (forecaster_now(run->store, run->job->forecaster, &forecaster, NULL, err) ||
        split_read(run->job, &split, err) ||
        forecaster_grid(&forecaster, run->store, run->job->created_ms, 0, &grid, err))
        goto out;
    const struct model_hooks hooks = train_job_hooks(run, &path);
    log_info("backtest job=%" PRId64 " forecaster=%s series=%zu steps=%zu threads=%zu",
             run->job->id, run->job->forecaster, grid.cols, grid.rows, run->threads);
    if (model_backtest(&grid, &forecaster.spec, &split, NULL, 0, &hooks, &report, err))
        goto out;
    text = result_text(&grid, &forecaster.spec, &report);
    result = store_job_finish(run->store, run->job->id, run->job->owner, "done", text,
                              NULL, err);
    if (result == 0)
        train_job_clean(run->checkpoint_folder, run->job);
out:
    free(text);
    free(path);
    model_report_fini(&report);
    grid_fini(&grid);
    forecaster_fini(&forecaster);
    return result;
}
