/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/train_job.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/training.h"
#include "storage/storage.h"

static char *checkpoint_path(const char *folder, const struct store_job *job)
{
    return mem_printf("%s/%s-%" PRId64 ".safetensors", folder, job->forecaster, job->id);
}

void train_job_clean(const char *checkpoint_folder, const struct store_job *job)
{
    char *const path = checkpoint_path(checkpoint_folder, job);
    unlink(path);
    free(path);
}

/* The definition as it is now, and its revision. */
static int definition_read(const struct job_run *run, struct forecaster *out,
                           int64_t *revision, struct err *err)
{
    struct store_forecaster stored = {0};
    if (store_forecaster_get(run->store, run->job->forecaster, &stored, err))
        return -1;
    char *canonical = NULL;
    const int result = forecaster_parse(stored.name, stored.body, strlen(stored.body),
                                        out, &canonical, err);
    *revision = stored.revision;
    free(canonical);
    store_forecaster_fini(&stored);
    return result;
}

static struct model *train(const struct job_run *run, const struct grid *grid,
                           const struct forecaster *forecaster, struct err *err)
{
    char *const path = checkpoint_path(run->checkpoint_folder, run->job);
    const struct model_hooks hooks = {
        .progress = run->progress,
        .ctx = run->progress_ctx,
        .checkpoint_path = path,
        .checkpoint_s = run->checkpoint_s,
        .threads = run->threads,
    };
    struct model *const model = model_train(grid, &forecaster->spec, &hooks, err);
    free(path);
    return model;
}

static int publish(const struct job_run *run, const struct model *model, int64_t revision,
                   int64_t watermark_ms, struct err *err)
{
    void *bytes = NULL;
    size_t len = 0;
    int64_t model_id;
    if (model_save(model, &bytes, &len, err))
        return -1;
    const int result =
        store_model_publish(run->store, run->job->forecaster, revision, watermark_ms,
                            bytes, len, 0, NULL, &model_id, err);
    free(bytes);
    if (result == 0)
        serving_changed(run->serving, run->job->forecaster);
    return result;
}

static int train_and_publish(const struct job_run *run, struct err *err)
{
    struct forecaster forecaster = {0};
    struct grid grid = {0};
    struct model *model = NULL;
    int64_t revision;
    int result = -1;
    if (definition_read(run, &forecaster, &revision, err) ||
        forecaster_grid(&forecaster, run->store, run->job->created_ms, 0, &grid, err))
        goto out;
    log_info("training job=%" PRId64 " forecaster=%s series=%zu steps=%zu threads=%zu",
             run->job->id, run->job->forecaster, grid.cols, grid.rows, run->threads);
    model = train(run, &grid, &forecaster, err);
    if (model)
        result = publish(run, model, revision, grid_time_ms(&grid, grid.rows), err);
out:
    model_free(model);
    grid_fini(&grid);
    forecaster_fini(&forecaster);
    return result;
}

/*
 * Whether this job has published already, and died before it issued: a later attempt, its
 * checkpoint still there, and a model newer than the job, which can only be its own since
 * a forecaster has one training at a time.  The clock alone would not do: where it was
 * set back, an old model may look newer than the job.
 */
static bool published(const struct job_run *run)
{
    struct store_model newest = {0};
    char *const path = checkpoint_path(run->checkpoint_folder, run->job);
    const bool own =
        run->job->attempts > 1 && access(path, F_OK) == 0 &&
        store_model_newest(run->store, run->job->forecaster, &newest, NULL) == 0 &&
        newest.published_ms > run->job->created_ms;
    store_model_fini(&newest);
    free(path);
    return own;
}

static const char *series_name(const void *ctx, size_t index)
{
    return model_series_name(ctx, index);
}

static json_t *result_json(const struct store_model *stored, const struct model *model)
{
    char hash[2 * STORE_HASH_SIZE + 1];
    for (size_t i = 0; i < STORE_HASH_SIZE; i++)
        snprintf(hash + 2 * i, 3, "%02x", stored->hash[i]);
    const struct model_report *const report = model_report(model);
    const struct model_spec *const spec = model_spec(model);
    return json_pack(
        "{s:I, s:s, s:I, s:{s:I, s:I, s:I}, s:I, s:s, s:o, s:o, s:o}", "model",
        (json_int_t)stored->id, "hash", hash, "params", (json_int_t)model_params(model),
        "windows", "fit", (json_int_t)report->windows_fit, "stop",
        (json_int_t)report->windows_stop, "judge", (json_int_t)report->windows_judge,
        "season", (json_int_t)report->season, "note", report->note, "results",
        training_figures_json(report, spec->horizon), "champion",
        training_champions_json(report, series_name, model), "history",
        training_epochs_json(report));
}

/* What the job's row keeps of the model, as JSON text the caller frees. */
static char *result_text(const struct job_run *run, struct err *err)
{
    struct store_model stored = {0};
    if (store_model_newest(run->store, run->job->forecaster, &stored, err))
        return NULL;
    struct model *const model = model_load(stored.bytes, stored.len, err);
    char *text = NULL;
    if (model) {
        json_t *const json = result_json(&stored, model);
        text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(10));
        json_decref(json);
    }
    model_free(model);
    store_model_fini(&stored);
    return text;
}

int train_job_run(const struct job_run *run, struct err *err)
{
    if (!published(run) && train_and_publish(run, err))
        return -1;
    char *const result = result_text(run, err);
    if (!result)
        return -1;
    int64_t issue_id;
    const int issued = serving_issue(run->serving, run->job->forecaster, run->job->id,
                                     result, &issue_id, err);
    free(result);
    if (issued) {
        err_prefix(err, "the model is published, but no forecast could be issued");
        return -1;
    }
    train_job_clean(run->checkpoint_folder, run->job);
    return 0;
}
