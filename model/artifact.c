/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/artifact.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/frwkv.h"
#include "model/in_context.h"
#include "model/rhythm.h"

struct model *artifact_new(const struct model_spec *spec, int64_t step_ms, size_t series,
                           char *const *names)
{
    struct model *const m = mem_new(1, sizeof *m);
    m->spec = *spec;
    m->step_ms = step_ms;
    m->series = series;
    m->names = mem_new(series, sizeof *m->names);
    for (size_t s = 0; s < series; s++)
        m->names[s] = mem_text(names[s] ? names[s] : "");
    m->by_name = mem_new(series, sizeof *m->by_name);
    m->mean = mem_new(series, sizeof *m->mean);
    m->sd = mem_new(series, sizeof *m->sd);
    m->leap = mem_new(series, sizeof *m->leap);
    m->profiles = mem_new(series + 1, sizeof *m->profiles);
    m->contexts = mem_new(series + 1, 1);
    for (size_t s = 0; s <= series; s++)
        m->profiles[s] = profile_default;
    m->verdicts = mem_new((series + 1) * MODEL_BUCKETS, sizeof *m->verdicts);
    return m;
}

void model_free(struct model *model)
{
    if (!model)
        return;
    for (size_t s = 0; s < model->series; s++)
        free(model->names[s]);
    free(model->names);
    free(model->by_name);
    free(model->mean);
    free(model->sd);
    free(model->leap);
    free(model->profiles);
    free(model->contexts);
    free(model->verdicts);
    for (int c = 0; c < CANDIDATES; c++)
        bands_fini(&model->bands[c]);
    effects_fini(&model->effects);
    chain_fini(&model->chain);
    free(model->theta);
    network_fold_free(model->fold);
    model_report_fini(&model->report);
    free(model);
}

int artifact_fold(struct model *model, struct err *err)
{
    const size_t width = model->spec.group == GROUP_JOINT ? model->series : 1;
    struct network_config config;
    struct network *shape = NULL;
    if (frwkv_config(&model->spec, model->season, width, &model->chain, &config, err) ||
        !(shape = network_new(&config, 1, false, NULL, err)))
        return -1;
    model->fold = network_fold_new(shape, model->theta, err);
    network_free(shape);
    return model->fold ? 0 : -1;
}

static int compare_names(const void *a, const void *b, void *names)
{
    char *const *const list = names;
    return strcmp(list[*(const size_t *)a], list[*(const size_t *)b]);
}

int artifact_index(struct model *model)
{
    for (size_t s = 0; s < model->series; s++)
        model->by_name[s] = s;
    qsort_r(model->by_name, model->series, sizeof *model->by_name, compare_names,
            model->names);
    for (size_t i = 1; i < model->series; i++)
        if (strcmp(model->names[model->by_name[i - 1]],
                   model->names[model->by_name[i]]) == 0)
            return -1;
    return 0;
}

size_t artifact_find(const struct model *model, const char *name)
{
    size_t low = 0, high = model->series;
    while (name && low < high) {
        const size_t middle = low + (high - low) / 2, s = model->by_name[middle];
        const int order = strcmp(name, model->names[s]);
        if (order == 0)
            return s;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return model->series;
}

bool artifact_serves(const struct model *model, int candidate)
{
    for (size_t i = 0; i < (model->series + 1) * MODEL_BUCKETS; i++)
        if (model->verdicts[i].champion == candidate ||
            model->verdicts[i].fallback == candidate)
            return true;
    return false;
}

const struct model_spec *model_spec(const struct model *model)
{
    return &model->spec;
}

const struct model_report *model_report(const struct model *model)
{
    return &model->report;
}

size_t model_series(const struct model *model)
{
    return model->series;
}

const char *model_series_name(const struct model *model, size_t index)
{
    return index < model->series ? model->names[index] : NULL;
}

size_t model_params(const struct model *model)
{
    return model->theta ? model->params : 0;
}

int64_t model_step_ms(const struct model *model)
{
    return model->step_ms;
}

size_t model_tail_rows(const struct model *model)
{
    const size_t season = model->theta ? rhythm_season(&model->spec, model->season) : 0;
    const size_t rhythm = rhythm_rows(season);
    const size_t tail =
        candidate_tail(model->spec.lookback, model->season, model->spec.horizon);
    size_t rows = rhythm > tail ? rhythm : tail;
    rows = model->spread_rows > rows ? model->spread_rows : rows;
    if (model->spec.settings.stream && 2 * model->spec.lookback > rows)
        rows = 2 * model->spec.lookback; /* what stands for missing values: windows.h */
    const bool in_context = artifact_serves(model, CANDIDATE_IN_CONTEXT);
    for (size_t s = 0; s <= model->series; s++) {
        const size_t reach =
            in_context
                ? in_context_reach(model->profiles[s], model->season, model->spec.horizon)
                : profile_reach(model->profiles[s], model->season);
        rows = reach > rows ? reach : rows;
    }
    return rows;
}
