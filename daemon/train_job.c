/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/train_job.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/training.h"
#include "daemon/trial.h"
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

struct model_hooks train_job_hooks(const struct job_run *run, char **path)
{
    *path = checkpoint_path(run->checkpoint_folder, run->job);
    return (struct model_hooks){
        .progress = run->progress,
        .ctx = run->progress_ctx,
        .checkpoint_path = *path,
        .checkpoint_s = run->checkpoint_s,
        .threads = run->threads,
        .memory_max = run->memory_max,
    };
}

/* ---- the trial ---------------------------------------------------------------------- */

int champion_load(const struct job_run *run, struct champion *out, struct err *err)
{
    struct err why = {0};
    *out = (struct champion){0};
    if (store_model_serving(run->store, run->job->forecaster, &out->stored, &why) == 0)
        out->model = model_load(out->stored.bytes, out->stored.len, &why);
    if (out->model || why.code == ERR_NOT_FOUND)
        return 0;
    if (why.code != ERR_CORRUPT)
        return err_copy(err, &why);
    log_warn("the model that serves is no match for any other job=%" PRId64 ": %s",
             run->job->id, why.msg);
    return 0;
}

void champion_fini(struct champion *champion)
{
    model_free(champion->model);
    store_model_fini(&champion->stored);
}

static char *trial_text(const struct trial *trial, const struct champion *champion)
{
    json_t *const json = json_pack(
        "{s:I, s:b, s:I, s:I, s:I, s:I, s:o}", "champion",
        (json_int_t)champion->stored.id, "better", (int)trial->better, "steps",
        (json_int_t)trial->steps, "origins", (json_int_t)trial->origins, "series",
        (json_int_t)trial->series, "values", (json_int_t)trial->values, "change",
        json_number_or_null(trial->change));
    char *const text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(json);
    return text;
}

/* Both on the steps that were held out. */
static int hold_trial(const struct job_run *run, const struct forecaster *forecaster,
                      const struct champion *champion, const struct model *challenger,
                      struct trial *trial, struct err *err)
{
    struct grid grid = {0};
    *trial = (struct trial){.steps = trial->steps, .change = (double)NAN};
    if (trial->steps == 0)
        return 0; /* no history to spare: nothing shows that it is better */
    const size_t rows = trial_rows(champion->model, challenger, trial->steps);
    int result =
        forecaster_grid(forecaster, run->store, run->job->created_ms, rows, &grid, err);
    if (result == 0)
        result = trial_run(champion->model, challenger, &grid, trial->steps, trial, err);
    grid_fini(&grid);
    if (result == 0)
        log_info("trial job=%" PRId64 " forecaster=%s champion=%" PRId64
                 " better=%s change=%.3f steps=%zu origins=%zu series=%zu",
                 run->job->id, run->job->forecaster, champion->stored.id,
                 trial->better ? "yes" : "no", trial->change, trial->steps,
                 trial->origins, trial->series);
    return result;
}

/* ---- training ----------------------------------------------------------------------- */

/* On the first rows of a grid. */
static struct model *train(const struct job_run *run, const struct grid *grid,
                           size_t rows, const struct forecaster *forecaster,
                           struct err *err)
{
    char *path;
    const struct model_hooks hooks = train_job_hooks(run, &path);
    struct grid seen = *grid; /* rows lie one after the other */
    seen.rows = rows;
    log_info("training job=%" PRId64 " forecaster=%s series=%zu steps=%zu threads=%zu",
             run->job->id, run->job->forecaster, grid->cols, rows, run->threads);
    struct model *const model = model_train(&seen, &forecaster->spec, &hooks, err);
    free(path);
    return model;
}

int train_job_publish(const struct job_run *run, const struct model *model,
                      struct store_publication *publication, struct err *err)
{
    void *bytes = NULL;
    int64_t model_id;
    if (model_save(model, &bytes, &publication->len, err))
        return -1;
    publication->forecaster = run->job->forecaster;
    publication->bytes = bytes;
    publication->job_id = run->job->id;
    const int result = store_model_publish(run->store, publication, &model_id, err);
    free(bytes);
    if (result == 0)
        serving_changed(run->serving, run->job->forecaster);
    return result;
}

static int train_and_publish(const struct job_run *run, struct err *err)
{
    struct forecaster forecaster = {0};
    struct grid grid = {0};
    struct champion champion = {0};
    struct model *model = NULL;
    struct trial trial = {0};
    struct store_publication publication = {0};
    char *text = NULL;
    int result = -1;
    if (forecaster_now(run->store, run->job->forecaster, &forecaster,
                       &publication.revision, err) ||
        champion_load(run, &champion, err) ||
        forecaster_grid(&forecaster, run->store, run->job->created_ms, 0, &grid, err))
        goto out;
    trial.steps = champion.model ? trial_steps(&forecaster.spec, grid.rows) : 0;
    publication.watermark_ms = grid_time_ms(&grid, grid.rows - trial.steps);
    model = train(run, &grid, grid.rows - trial.steps, &forecaster, err);
    if (!model ||
        (champion.model && hold_trial(run, &forecaster, &champion, model, &trial, err)))
        goto out;
    text = champion.model ? trial_text(&trial, &champion) : NULL;
    publication.kept_only = champion.model && !trial.better;
    publication.trial = text;
    result = train_job_publish(run, model, &publication, err);
out:
    free(text);
    model_free(model);
    champion_fini(&champion);
    grid_fini(&grid);
    forecaster_fini(&forecaster);
    return result;
}

/* ---- the job ------------------------------------------------------------------------ */

static json_t *result_json(const struct store_model *stored, const struct model *model)
{
    char hash[2 * STORE_HASH_SIZE + 1];
    for (size_t i = 0; i < STORE_HASH_SIZE; i++)
        snprintf(hash + 2 * i, 3, "%02x", stored->hash[i]);
    json_t *const trial = stored->trial ? json_loads(stored->trial, 0, NULL) : NULL;
    json_t *const json =
        json_pack("{s:I, s:s, s:b, s:o, s:I}", "model", (json_int_t)stored->id, "hash",
                  hash, "serves", (int)stored->serves, "trial",
                  trial ? trial : json_null(), "params", (json_int_t)model_params(model));
    json_object_update_new(json, report_json(model));
    return json;
}

/* What the job's row keeps of the model, as JSON text the caller frees. */
static char *result_text(const struct store_model *stored, struct err *err)
{
    struct model *const model = model_load(stored->bytes, stored->len, err);
    if (!model)
        return NULL;
    json_auto_t *json = result_json(stored, model);
    model_free(model);
    return json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(10));
}

/* Issues, and with it ends the job.  Where there is nothing to forecast, what the job was
 * for is done all the same; its error says what is not. */
static int issue(const struct job_run *run, const char *result, struct err *err)
{
    const struct store_job *const job = run->job;
    struct err why = {0};
    int64_t issue_id;
    if (serving_issue(run->serving, job->forecaster, job->id, result, &issue_id, &why) ==
        0)
        return 0;
    err_prefix(&why, "the model is published, but no forecast was issued");
    if (why.code != ERR_CONFLICT)
        return err_copy(err, &why);
    log_warn("nothing to forecast job=%" PRId64 " forecaster=%s: %s", job->id,
             job->forecaster, why.msg);
    return store_job_finish(run->store, job->id, job->owner, "done", result, why.msg,
                            err);
}

int train_job_end(const struct job_run *run, job_publish *publish_once, struct err *err)
{
    struct store_model own = {0}; /* there already, if a process died before it issued */
    if (store_model_of_job(run->store, run->job->id, &own, NULL) &&
        (publish_once(run, err) ||
         store_model_of_job(run->store, run->job->id, &own, err)))
        return -1;
    char *const result = result_text(&own, err);
    const int rc = result ? issue(run, result, err) : -1;
    if (rc == 0)
        train_job_clean(run->checkpoint_folder, run->job);
    free(result);
    store_model_fini(&own);
    return rc;
}

int train_job_run(const struct job_run *run, struct err *err)
{
    return train_job_end(run, train_and_publish, err);
}
