/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A model out of bytes (model/save.c): nothing in them is trusted. */
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "model/artifact.h"
#include "model/frwkv.h"
#include "model/in_context.h"
#include "model/report.h"
#include "model/safetensors.h"
#include "model/spread.h"

/* null, or anything else that is not a number, is `otherwise`. */
static double number_or(const json_t *x, double otherwise)
{
    return json_is_number(x) ? json_number_value(x) : otherwise;
}

/* ---- loading: nothing in the bytes is trusted -------------------------------------- */

static int corrupt(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "model: %s", what);
}

/* An integer member in [least, most]. */
static int read_size(const json_t *object, const char *key, size_t least, size_t most,
                     size_t *out, struct err *err)
{
    const json_t *const x = json_object_get(object, key);
    const json_int_t value = json_integer_value(x);
    if (!json_is_integer(x) || value < 0 || (size_t)value < least || (size_t)value > most)
        return corrupt(err, key);
    *out = (size_t)value;
    return 0;
}

static int read_settings(json_t *object, struct model_settings *settings, struct err *err)
{
    struct err why = {0};
    const char *key;
    json_t *value;
    const char *const preset = json_string_value(json_object_get(object, "preset"));
    if (!preset || model_settings_preset(settings, preset, &why))
        return corrupt(err, "settings: no preset");
    json_object_foreach(object, key, value)
    {
        if (strcmp(key, "preset") == 0)
            continue;
        if (!json_is_string(value) ||
            model_settings_set(settings, key, json_string_value(value), &why))
            return corrupt(err, why.code ? why.msg : "settings: not text");
    }
    return 0;
}

static int read_spec(const json_t *object, struct model_spec *spec, struct err *err)
{
    const char *const group = json_string_value(json_object_get(object, "group"));
    if (!group || (strcmp(group, "joint") != 0 && strcmp(group, "each") != 0))
        return corrupt(err, "group");
    *spec = (struct model_spec){
        .group = strcmp(group, "joint") == 0 ? GROUP_JOINT : GROUP_EACH,
        .min = number_or(json_object_get(object, "min"), (double)-INFINITY),
        .max = number_or(json_object_get(object, "max"), (double)INFINITY),
        .integer = json_is_true(json_object_get(object, "integer")),
    };
    struct err why = {0};
    if (read_size(object, "lookback", 1, MODEL_LOOKBACK_MAX, &spec->lookback, err) ||
        read_size(object, "horizon", 1, MODEL_HORIZON_MAX, &spec->horizon, err) ||
        read_size(object, "season", 0, MODEL_LOOKBACK_MAX, &spec->season, err) ||
        read_settings(json_object_get(object, "settings"), &spec->settings, err))
        return -1;
    return model_spec_check(spec, &why) ? corrupt(err, why.msg) : 0;
}

static int read_figures(const json_t *rows, struct model_report *r, struct err *err)
{
    if (!json_is_array(rows) ||
        json_array_size(rows) > (CANDIDATES + 1) * (MODEL_BUCKETS + 1))
        return corrupt(err, "figures");
    r->figures = mem_new(json_array_size(rows), sizeof *r->figures);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *const row = json_array_get(rows, i);
        const char *const name = json_string_value(json_array_get(row, 0));
        const json_int_t bucket = json_integer_value(json_array_get(row, 1));
        if (json_array_size(row) != 8 || !name || bucket < -1 || bucket >= MODEL_BUCKETS)
            return corrupt(err, "figures");
        struct model_figure *const f = &r->figures[r->figure_count++];
        *f = (struct model_figure){
            .bucket = (int)bucket,
            .mse = number_or(json_array_get(row, 2), (double)NAN),
            .mae = number_or(json_array_get(row, 3), (double)NAN),
            .mase = number_or(json_array_get(row, 4), (double)NAN),
            .wql = number_or(json_array_get(row, 5), (double)NAN),
            .coverage80 = number_or(json_array_get(row, 6), (double)NAN),
            .seconds = (double)NAN,
            .params = (size_t)json_integer_value(json_array_get(row, 7)),
        };
        snprintf(f->candidate, sizeof f->candidate, "%s", name);
    }
    return 0;
}

static int read_epochs(const json_t *rows, struct model_report *r, int most,
                       struct err *err)
{
    if (!json_is_array(rows) || json_array_size(rows) > (size_t)most)
        return corrupt(err, "epochs");
    r->epochs = mem_new(json_array_size(rows), sizeof *r->epochs);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *const row = json_array_get(rows, i);
        if (json_array_size(row) != 5)
            return corrupt(err, "epochs");
        r->epochs[r->epoch_count++] = (struct model_epoch){
            .epoch = (int)i + 1,
            .loss_train = number_or(json_array_get(row, 1), (double)NAN),
            .loss_valid = number_or(json_array_get(row, 2), (double)NAN),
            .rate = number_or(json_array_get(row, 3), (double)NAN),
            .seconds = (double)NAN,
            .best = json_is_true(json_array_get(row, 4)),
        };
    }
    return 0;
}

static int read_report(const json_t *object, struct model *m, struct err *err)
{
    struct model_report *const r = &m->report;
    const json_t *const windows = json_object_get(object, "windows");
    size_t *const counts[] = {&r->windows_fit, &r->windows_stop, &r->windows_judge};
    for (size_t i = 0; i < 3; i++) {
        const json_t *const x = json_array_get(windows, i);
        if (!json_is_integer(x) || json_integer_value(x) < 0)
            return corrupt(err, "windows");
        *counts[i] = (size_t)json_integer_value(x);
    }
    const char *const note = json_string_value(json_object_get(object, "note"));
    if (!note)
        return corrupt(err, "note");
    snprintf(r->note, sizeof r->note, "%s", note);
    r->season = m->season;
    return read_figures(json_object_get(object, "figures"), r, err) ||
                   read_epochs(json_object_get(object, "epochs"), r,
                               m->spec.settings.epochs, err)
               ? -1
               : 0;
}

/* The covariates' columns, as covariates_add() would have been called for them. */
static int read_columns(const json_t *object, struct model *m, struct err *err)
{
    const json_t *const columns = json_object_get(object, "columns");
    const json_t *const known = json_object_get(object, "known");
    const char *const missing = json_string_value(json_object_get(object, "missing"));
    const int gap = missing ? covariate_gap_parse(missing) : -1;
    struct covariates *const c = covariates_new(&(struct grid){.step_ms = 1}, 0);
    bool ok = gap >= 0 && json_array_size(columns) > 0;
    for (size_t k = 0; ok && k < json_array_size(columns); k++) {
        const json_t *const pair = json_array_get(columns, k);
        const char *const name = json_string_value(json_array_get(pair, 0));
        const char *const group = json_string_value(json_array_get(pair, 1));
        ok = name && group && strlen(name) < COVARIATE_NAME_MAX &&
             strlen(group) < COVARIATE_NAME_MAX &&
             covariates_add_always(c, name, group, NULL, NULL) == 0;
    }
    if (ok) {
        m->spec.gap = (enum covariate_gap)gap;
        ok = effects_init(&m->effects, c, m->spec.gap, m->season, m->series, err) == 0 &&
             json_array_size(known) == m->effects.groups;
    }
    for (size_t g = 0; ok && g < m->effects.groups; g++)
        m->effects.known[g] = number_or(json_array_get(known, g), NAN);
    covariates_free(c);
    return ok ? 0 : corrupt(err, "covariates");
}

static void read_indices(const json_t *list, uint32_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const json_t *const x = json_array_get(list, i);
        const json_int_t value = json_is_integer(x) ? json_integer_value(x) : -1;
        out[i] = value < 0 || value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
    }
}

/* A network whose mixer looks at which series are alike has been trained with it. */
static int read_chain(const json_t *root, struct model *m, struct err *err)
{
    uint32_t *const lists = mem_new(3 * m->series, sizeof *lists);
    const struct chain chain = {
        .V = m->series, .order = lists, .near = lists + m->series};
    read_indices(json_object_get(root, "order"), chain.order, m->series);
    read_indices(json_object_get(root, "near"), chain.near, 2 * m->series);
    const int rc = chain_is_whole(&chain) ? chain_copy(&m->chain, &chain, err)
                                          : corrupt(err, "order");
    free(lists);
    return rc;
}

static struct model *read_description(const json_t *root, struct err *err)
{
    struct model_spec spec;
    size_t season = 0, params = 0, step_ms = 0;
    const json_t *const list = json_object_get(root, "names");
    const size_t series = json_array_size(list);
    if (read_spec(json_object_get(root, "spec"), &spec, err) ||
        read_size(root, "season", 1, MODEL_LOOKBACK_MAX, &season, err) ||
        read_size(root, "params", 0, SIZE_MAX, &params, err) ||
        read_size(root, "step_ms", 1, SIZE_MAX, &step_ms, err))
        return NULL;
    if (series < 1 || series > MODEL_SERIES_MAX) {
        corrupt(err, "names");
        return NULL;
    }
    char **const names = mem_new(series, sizeof *names);
    bool ok = true;
    for (size_t s = 0; s < series; s++) {
        const char *const name = json_string_value(json_array_get(list, s));
        ok &= name != NULL;
        memcpy(&names[s], &name, sizeof name);
    }
    struct model *m = ok ? artifact_new(&spec, (int64_t)step_ms, series, names) : NULL;
    free(names);
    if (!m || artifact_index(m)) {
        corrupt(err, "names");
        model_free(m);
        return NULL;
    }
    m->season = season;
    m->params = params;
    const json_t *const covariates = json_object_get(root, "covariates");
    if ((json_object_get(root, "order") && read_chain(root, m, err)) ||
        read_report(json_object_get(root, "report"), m, err) ||
        (covariates && read_columns(covariates, m, err))) {
        model_free(m);
        return NULL;
    }
    return m;
}

static const struct safetensor *find(const struct safetensors *file, const char *name,
                                     enum safetensor_type type, size_t count,
                                     struct err *err)
{
    const struct safetensor *const t = safetensors_find(file, name);
    if (t && t->type == type && t->count == count)
        return t;
    corrupt(err, name);
    return NULL;
}

static int read_scales(const struct safetensors *file, struct model *m, struct err *err)
{
    const struct safetensor *const mean =
        find(file, "mean", SAFETENSOR_F64, m->series, err);
    const struct safetensor *const sd = find(file, "sd", SAFETENSOR_F64, m->series, err);
    if (!mean || !sd || safetensor_doubles(mean, m->mean, m->series, err) ||
        safetensor_doubles(sd, m->sd, m->series, err))
        return -1;
    for (size_t s = 0; s < m->series; s++)
        if (!isfinite(m->mean[s]) || !isfinite(m->sd[s]) || !(m->sd[s] > 0))
            return corrupt(err, "a scale is not a finite number");
    return 0;
}

/* A model that has no limits believed everything. */
static int read_leaps(const struct safetensors *file, struct model *m, struct err *err)
{
    for (size_t s = 0; s < m->series; s++)
        m->leap[s] = (double)INFINITY;
    if (!safetensors_find(file, "leap"))
        return 0;
    const struct safetensor *const t = find(file, "leap", SAFETENSOR_F64, m->series, err);
    if (!t || safetensor_doubles(t, m->leap, m->series, err))
        return -1;
    for (size_t s = 0; s < m->series; s++)
        if (!(m->leap[s] > 0))
            return corrupt(err, "leap");
    return 0;
}

static int read_fitted(const struct safetensors *file, struct model *m, struct err *err)
{
    const size_t rows = m->series + 1;
    const struct safetensor *const t =
        find(file, "profile", SAFETENSOR_U8, rows * sizeof *m->profiles, err);
    if (!t)
        return -1;
    memcpy(m->profiles, t->data, rows * sizeof *m->profiles);
    const struct safetensor *const kinds =
        find(file, "in_context", SAFETENSOR_U8, rows, err);
    if (!kinds)
        return -1;
    memcpy(m->contexts, kinds->data, rows);
    for (size_t s = 0; s < rows; s++)
        if (!profile_is_valid(m->profiles[s]) || m->contexts[s] >= IN_CONTEXT_KINDS)
            return corrupt(err, "a profile is none");
    return 0;
}

static int read_effects(const struct safetensors *file, struct model *m, struct err *err)
{
    struct effects *const e = &m->effects;
    if (e->columns == 0)
        return 0;
    const size_t uses = e->series * e->groups;
    const size_t betas = e->series * e->columns * EFFECT_WAVES;
    const struct safetensor *const use =
        find(file, "covariates.use", SAFETENSOR_U8, uses, err);
    const struct safetensor *const beta =
        find(file, "covariates.beta", SAFETENSOR_F64, betas, err);
    if (!use || !beta || safetensor_doubles(beta, e->beta, betas, err))
        return -1;
    memcpy(e->use, use->data, uses);
    for (size_t i = 0; i < uses; i++)
        if (e->use[i] >= EFFECT_USES)
            return corrupt(err, "a covariate is used in no known way");
    for (size_t i = 0; i < betas; i++)
        if (!isfinite(e->beta[i]))
            return corrupt(err, "a coefficient is not a finite number");
    return 0;
}

static int read_verdicts(const struct safetensors *file, struct model *m, struct err *err)
{
    const size_t count = (m->series + 1) * MODEL_BUCKETS;
    const struct safetensor *const champion =
        find(file, "champion", SAFETENSOR_U8, count, err);
    const struct safetensor *const fallback =
        find(file, "fallback", SAFETENSOR_U8, count, err);
    const struct safetensor *const skill =
        find(file, "skill", SAFETENSOR_F64, count, err);
    if (!champion || !fallback || !skill)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct verdict *const v = &m->verdicts[i];
        v->champion = ((const unsigned char *)champion->data)[i];
        v->fallback = ((const unsigned char *)fallback->data)[i];
        memcpy(&v->skill, (const char *)skill->data + i * sizeof v->skill,
               sizeof v->skill);
        if (v->champion >= CANDIDATES || v->fallback >= CANDIDATES ||
            candidates[v->fallback].trained || isinf(v->skill))
            return corrupt(err, "a champion is none of the candidates");
    }
    return 0;
}

static void divide_bands(struct bands *b, const struct model *m)
{
    const size_t row = b->knots * BANDS_LEVELS;
    for (size_t i = 0; i < m->series * row; i++)
        b->offset[i] = (float)((double)b->offset[i] / m->sd[i / row]);
}

static int read_bands(const struct safetensors *file, struct model *m, int candidate,
                      struct err *err)
{
    struct bands *const b = &m->bands[candidate];
    char name[64];
    snprintf(name, sizeof name, "bands.%s", candidates[candidate].name);
    const size_t rows = (m->series + 1) * bands_knots(m->spec.horizon);
    const struct safetensor *const t =
        find(file, name, SAFETENSOR_F32, rows * BANDS_LEVELS, err);
    if (!t || bands_init(b, m->series + 1, m->spec.horizon, err))
        return -1;
    memcpy(b->offset, t->data, rows * BANDS_LEVELS * sizeof *b->offset);
    if (strcmp(safetensors_meta(file, "format"), MODEL_FORMAT_2) == 0)
        divide_bands(b, m);
    for (size_t i = 0; i < rows * BANDS_LEVELS; i++)
        if (!isfinite(b->offset[i]) ||
            (i % BANDS_LEVELS && b->offset[i] < b->offset[i - 1]))
            return corrupt(err, "bands do not ascend");
    return 0;
}

static int copy_weights(const struct safetensors *file, struct model *m,
                        const struct network *shape, struct err *err)
{
    m->size = network_size(shape);
    m->theta = mem_try(m->size, sizeof *m->theta);
    if (!m->theta)
        return err_set(err, ERR_NO_MEMORY, "model: no memory for %zu weights", m->size);
    for (size_t i = 0; i < network_tensors(shape); i++) {
        const struct tensor *const t = network_tensor(shape, i);
        char name[96];
        snprintf(name, sizeof name, "weights.%s", t->name);
        size_t count = 1;
        for (size_t d = 0; d < t->rank; d++)
            count *= t->shape[d];
        const struct safetensor *const stored = safetensors_find(file, name);
        if (!stored)
            return corrupt(err, name);
        if (safetensor_reals(stored, m->theta + t->offset, count, err))
            return -1;
    }
    for (size_t i = 0; i < m->size; i++)
        if (!isfinite(m->theta[i]))
            return corrupt(err, "a weight is not a finite number");
    return 0;
}

/* A network's work space must not be a multiple of the file that asks for it: the
 * head's first tensor alone has L D Fd weights, a cycle one for each step and series,
 * a skip L P. */
static bool is_plausible(const struct safetensors *file, const struct network_config *c)
{
    size_t weights = 0;
    for (size_t i = 0; i < safetensors_count(file); i++)
        weights += safetensors_at(file, i)->count;
    return c->L * c->D * c->Fd + c->season * c->V + (c->skip ? c->L * c->P : 0) <=
           weights;
}

static int read_weights(const struct safetensors *file, struct model *m, struct err *err)
{
    struct err why = {0};
    struct network_config config;
    const size_t width = m->spec.group == GROUP_JOINT ? m->series : 1;
    struct network *shape = NULL;
    if (chain_wanted(&m->spec) && m->chain.V == 0)
        return corrupt(err, "order");
    const bool known =
        frwkv_config(&m->spec, m->season, width, &m->chain, &config, &why) == 0;
    if (known && !is_plausible(file, &config))
        return corrupt(err, "weights are missing");
    if (!known || !(shape = network_new(&config, 1, false, NULL, &why)))
        return err_set(err, why.code == ERR_NO_MEMORY ? ERR_NO_MEMORY : ERR_CORRUPT,
                       "model: %s", why.msg);
    int rc = copy_weights(file, m, shape, err);
    if (rc == 0 && m->params != network_params(shape))
        rc = corrupt(err, "params");
    network_free(shape);
    return rc ? rc : artifact_fold(m, err);
}

static int read_all(const struct safetensors *file, struct model *m, struct err *err)
{
    if (strcmp(safetensors_meta(file, "format"), MODEL_FORMAT) == 0)
        m->spread_rows = spread_rows(m->season, m->spec.horizon);
    if (read_scales(file, m, err) || read_leaps(file, m, err) ||
        read_fitted(file, m, err) || read_effects(file, m, err) ||
        read_verdicts(file, m, err))
        return -1;
    for (int c = 0; c < CANDIDATES; c++) {
        if (!artifact_serves(m, c))
            continue;
        if (read_bands(file, m, c, err) ||
            (candidates[c].trained && read_weights(file, m, err)))
            return -1;
    }
    report_champions(&m->report, NULL, m->verdicts, m->series);
    report_covariates(&m->report, &m->effects);
    return 0;
}

struct model *model_load(const void *bytes, size_t len, struct err *err)
{
    struct safetensors *const file = safetensors_parse(bytes, len, err);
    if (!file)
        return NULL;
    const char *const kind = safetensors_meta(file, "format");
    const char *const text = safetensors_meta(file, "model");
    json_t *const root = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    struct model *m = NULL;
    if (!kind || !root ||
        (strcmp(kind, MODEL_FORMAT) != 0 && strcmp(kind, MODEL_FORMAT_3) != 0 &&
         strcmp(kind, MODEL_FORMAT_2) != 0))
        corrupt(err, "not a model of this format");
    else if ((m = read_description(root, err)) && read_all(file, m, err)) {
        model_free(m);
        m = NULL;
    }
    json_decref(root);
    safetensors_free(file);
    return m;
}
