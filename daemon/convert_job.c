/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/convert_job.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/log.h"
#include "daemon/training.h"

static char *trial_text(const struct model_conversion *c, const char *mixer,
                        int64_t champion)
{
    const double before = c->loss_softmax, now = c->loss_converted;
    json_t *const json = json_pack(
        "{s:I, s:b, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:I}", "champion",
        (json_int_t)champion, "better", (int)c->accepted, "change",
        json_number_or_null((now - before) / (now + before)), "mixer", mixer,
        "layers_before", json_number_or_null(c->layers_before), "layers_after",
        json_number_or_null(c->layers_after), "loss_softmax", json_number_or_null(before),
        "loss_swapped", json_number_or_null(c->loss_swapped), "loss_converted",
        json_number_or_null(now), "windows", (json_int_t)c->windows);
    char *const text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(json);
    return text;
}

static struct model *convert(const struct job_run *run, const struct model *from,
                             const char *mixer, const struct grid *grid,
                             struct model_conversion *out, struct err *err)
{
    char *path;
    const struct model_hooks hooks = train_job_hooks(run, &path);
    struct model *const model = model_convert(from, mixer, grid, &hooks, out, err);
    free(path);
    if (model)
        log_info("converted job=%" PRId64 " forecaster=%s mixer=%s accepted=%s "
                 "loss_softmax=%.4f loss_converted=%.4f windows=%zu",
                 run->job->id, run->job->forecaster, mixer, out->accepted ? "yes" : "no",
                 out->loss_softmax, out->loss_converted, out->windows);
    return model;
}

static int convert_to(const struct job_run *run, const char *mixer, struct err *err)
{
    struct forecaster forecaster = {0};
    struct grid grid = {0};
    struct champion champion = {0};
    struct model_conversion conversion;
    struct model *model = NULL;
    struct store_publication publication = {0};
    char *text = NULL;
    int result = -1;
    if (forecaster_now(run->store, run->job->forecaster, &forecaster,
                       &publication.revision, err) ||
        champion_load(run, &champion, err))
        goto out;
    if (!champion.model) {
        err_set(err, ERR_CONFLICT, "forecaster %s: no model serves, train it first",
                run->job->forecaster);
        goto out;
    }
    if (forecaster_grid(&forecaster, run->store, run->job->created_ms, 0, &grid, err) ||
        !(model = convert(run, champion.model, mixer, &grid, &conversion, err)))
        goto out;
    text = trial_text(&conversion, mixer, champion.stored.id);
    publication.watermark_ms = grid_time_ms(&grid, grid.rows);
    publication.kept_only = !conversion.accepted;
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

static int convert_and_publish(const struct job_run *run, struct err *err)
{
    json_t *const params =
        run->job->params ? json_loads(run->job->params, 0, NULL) : NULL;
    const char *const mixer = json_string_value(json_object_get(params, "mixer"));
    const int result = convert_to(run, mixer ? mixer : "", err);
    json_decref(params);
    return result;
}

int convert_job_run(const struct job_run *run, struct err *err)
{
    return train_job_end(run, convert_and_publish, err);
}
