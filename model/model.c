/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A model as bytes: a safetensors file whose tensors are the weights and the tables,
 * and whose metadata hold one JSON text with the rest.  Wall times are left out, so
 * the bytes are a function of data and settings.
 */
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "model/artifact.h"
#include "model/frwkv.h"
#include "model/report.h"
#include "model/safetensors.h"
#include "model/spec.h"

static const char format[] = "frwkvd model 1";

enum { JSON_FLAGS = JSON_COMPACT | JSON_SORT_KEYS, TENSORS_MAX = 4096 };

static const enum safetensor_type real_type =
    sizeof(real) == sizeof(double) ? SAFETENSOR_F64 : SAFETENSOR_F32;

/* ---- numbers that JSON cannot say are null ----------------------------------------- */

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static double number_or(const json_t *x, double otherwise)
{
    return json_is_number(x) ? json_number_value(x) : otherwise;
}

/* ---- describing
 * ------------------------------------------------------------------------ */

static void add_setting(void *ctx, const char *key, const char *value, const char *help)
{
    (void)help;
    json_object_set_new(ctx, key, json_string(value));
}

static json_t *describe_spec(const struct model_spec *spec)
{
    json_t *const settings = json_object();
    model_settings_each(&spec->settings, add_setting, settings);
    return json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:b, s:o}", "group",
                     spec->group == GROUP_JOINT ? "joint" : "each", "lookback",
                     (json_int_t)spec->lookback, "horizon", (json_int_t)spec->horizon,
                     "season", (json_int_t)spec->season, "min", number(spec->min), "max",
                     number(spec->max), "integer", spec->integer, "settings", settings);
}

static json_t *describe_report(const struct model_report *r)
{
    json_t *const figures = json_array(), *const epochs = json_array();
    for (size_t i = 0; i < r->figure_count; i++) {
        const struct model_figure *const f = &r->figures[i];
        json_array_append_new(figures,
                              json_pack("[s,i,o,o,o,o,o,I]", f->candidate, f->bucket,
                                        number(f->mse), number(f->mae), number(f->mase),
                                        number(f->wql), number(f->coverage80),
                                        (json_int_t)f->params));
    }
    for (size_t i = 0; i < r->epoch_count; i++) {
        const struct model_epoch *const e = &r->epochs[i];
        json_array_append_new(epochs,
                              json_pack("[i,o,o,o,b]", e->epoch, number(e->loss_train),
                                        number(e->loss_valid), number(e->rate), e->best));
    }
    return json_pack("{s:[I,I,I], s:o, s:o, s:s}", "windows", (json_int_t)r->windows_fit,
                     (json_int_t)r->windows_stop, (json_int_t)r->windows_judge, "figures",
                     figures, "epochs", epochs, "note", r->note);
}

static char *describe(const struct model *m)
{
    json_t *const names = json_array();
    for (size_t s = 0; s < m->series; s++)
        json_array_append_new(names, json_string(m->names[s]));
    json_t *const root = json_pack(
        "{s:o, s:I, s:I, s:I, s:o, s:o}", "spec", describe_spec(&m->spec), "step_ms",
        (json_int_t)m->step_ms, "season", (json_int_t)m->season, "params",
        (json_int_t)m->params, "names", names, "report", describe_report(&m->report));
    char *const text = root ? json_dumps(root, JSON_FLAGS) : NULL;
    json_decref(root);
    return text;
}

/* ---- saving
 * ------------------------------------------------------------------------------ */

/* The tensors of a file; owns what it had to copy. */
struct list {
    struct safetensor at[TENSORS_MAX];
    size_t count;
    char names[TENSORS_MAX][96];
};

static void add(struct list *list, const char *name, enum safetensor_type type,
                const void *data, size_t rank, const size_t *shape)
{
    struct safetensor *const t = &list->at[list->count];
    snprintf(list->names[list->count], sizeof list->names[0], "%s", name);
    *t = (struct safetensor){list->names[list->count], type, rank, {0}, data, 1};
    for (size_t d = 0; d < rank; d++) {
        t->shape[d] = shape[d];
        t->count *= shape[d];
    }
    list->count++;
}

static int add_weights(struct list *list, const struct model *m, struct err *err)
{
    struct network_config config;
    const size_t width = m->spec.group == GROUP_JOINT ? m->series : 1;
    struct network *shape = NULL;
    if (frwkv_config(&m->spec, width, &config, err) ||
        !(shape = network_new(&config, 1, false, NULL, err)))
        return -1;
    for (size_t i = 0; i < network_tensors(shape); i++) {
        const struct tensor *const t = network_tensor(shape, i);
        char name[96];
        snprintf(name, sizeof name, "weights.%s", t->name);
        add(list, name, real_type, m->theta + t->offset, t->rank, t->shape);
    }
    network_free(shape);
    return 0;
}

/* The verdicts as three tables. */
struct tables {
    unsigned char *champion, *fallback;
    double *skill;
};

static struct tables tables_new(const struct model *m)
{
    const size_t count = (m->series + 1) * MODEL_BUCKETS;
    const struct tables t = {mem_new(count, 1), mem_new(count, 1),
                             mem_new(count, sizeof(double))};
    for (size_t i = 0; i < count; i++) {
        t.champion[i] = m->verdicts[i].champion;
        t.fallback[i] = m->verdicts[i].fallback;
        t.skill[i] = m->verdicts[i].skill;
    }
    return t;
}

static void tables_free(struct tables *t)
{
    free(t->champion);
    free(t->fallback);
    free(t->skill);
}

static void add_tables(struct list *list, const struct model *m, const struct tables *t)
{
    const size_t rows = m->series + 1;
    add(list, "mean", SAFETENSOR_F64, m->mean, 1, &m->series);
    add(list, "sd", SAFETENSOR_F64, m->sd, 1, &m->series);
    const size_t verdicts[] = {rows, MODEL_BUCKETS};
    add(list, "champion", SAFETENSOR_U8, t->champion, 2, verdicts);
    add(list, "fallback", SAFETENSOR_U8, t->fallback, 2, verdicts);
    add(list, "skill", SAFETENSOR_F64, t->skill, 2, verdicts);
    for (int c = 0; c < CANDIDATES; c++) {
        if (!m->bands[c].offset)
            continue;
        char name[64];
        snprintf(name, sizeof name, "bands.%s", candidates[c].name);
        const size_t bands[] = {rows, m->bands[c].knots, BANDS_LEVELS};
        add(list, name, SAFETENSOR_F32, m->bands[c].offset, 3, bands);
    }
}

int model_save(const struct model *model, void **bytes, size_t *len, struct err *err)
{
    struct list *const list = mem_new(1, sizeof *list);
    struct tables tables = tables_new(model);
    char *const text = describe(model);
    int rc = -1;
    if (!text) {
        err_set(err, ERR_INVALID, "model: a series name is not UTF-8");
        goto out;
    }
    add_tables(list, model, &tables);
    if (model->theta && add_weights(list, model, err))
        goto out;
    const struct safetensors_meta meta[] = {{"format", format}, {"model", text}};
    rc = safetensors_write(list->at, list->count, meta, 2, bytes, len, err);
out:
    free(text);
    tables_free(&tables);
    free(list);
    return rc;
}

/* ---- loading: nothing in the bytes is trusted
 * --------------------------------------------- */

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
    return model_spec_check(spec, NULL, &why) ? corrupt(err, why.msg) : 0;
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

static struct model *read_description(const json_t *root, struct err *err)
{
    struct model_spec spec;
    size_t season = 0, params = 0, step_ms = 0;
    const json_t *const list = json_object_get(root, "names");
    const size_t series = json_array_size(list);
    if (read_spec(json_object_get(root, "spec"), &spec, err) ||
        read_size(root, "season", 1, GRID_CELLS_MAX, &season, err) ||
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
    if (read_report(json_object_get(root, "report"), m, err)) {
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
 * head's first tensor alone has L D Fd weights. */
static bool is_plausible(const struct safetensors *file, const struct model *m)
{
    const struct model_settings *const s = &m->spec.settings;
    size_t weights = 0;
    for (size_t i = 0; i < safetensors_count(file); i++)
        weights += safetensors_at(file, i)->count;
    return m->spec.lookback * (size_t)s->lift * (size_t)s->ff <= weights;
}

static int read_weights(const struct safetensors *file, struct model *m, struct err *err)
{
    struct err why = {0};
    struct network_config config;
    const size_t width = m->spec.group == GROUP_JOINT ? m->series : 1;
    struct network *shape = NULL;
    if (!is_plausible(file, m))
        return corrupt(err, "weights are missing");
    if (frwkv_config(&m->spec, width, &config, &why) ||
        !(shape = network_new(&config, 1, false, NULL, &why)))
        return err_set(err, why.code == ERR_NO_MEMORY ? ERR_NO_MEMORY : ERR_CORRUPT,
                       "model: %s", why.msg);
    int rc = copy_weights(file, m, shape, err);
    if (rc == 0 && m->params != network_params(shape))
        rc = corrupt(err, "params");
    network_free(shape);
    return rc;
}

static int read_all(const struct safetensors *file, struct model *m, struct err *err)
{
    if (read_scales(file, m, err) || read_verdicts(file, m, err))
        return -1;
    for (int c = 0; c < CANDIDATES; c++) {
        if (!artifact_serves(m, c))
            continue;
        if (read_bands(file, m, c, err) ||
            (candidates[c].trained && read_weights(file, m, err)))
            return -1;
    }
    report_champions(&m->report, m->verdicts, m->series);
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
    if (!kind || strcmp(kind, format) != 0 || !root)
        corrupt(err, "not a model of this format");
    else if ((m = read_description(root, err)) && read_all(file, m, err)) {
        model_free(m);
        m = NULL;
    }
    json_decref(root);
    safetensors_free(file);
    return m;
}
