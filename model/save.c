/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A model as bytes: a safetensors file whose tensors are the weights and the tables,
 * and whose metadata hold one JSON text with the rest.  Wall times are left out, so
 * the bytes are a function of data and settings.
 */
#include "model/model.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "model/artifact.h"
#include "model/frwkv.h"
#include "model/safetensors.h"

enum { JSON_FLAGS = JSON_COMPACT | JSON_SORT_KEYS, TENSORS_MAX = 4096 };

static const enum safetensor_type real_type =
    sizeof(real) == sizeof(double) ? SAFETENSOR_F64 : SAFETENSOR_F32;

/* A number that JSON cannot say is null. */
static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

/* ---- describing -------------------------------------------------------------------- */

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

/* Each column with its group, and how much of each group's past was known. */
static json_t *describe_effects(const struct effects *e)
{
    json_t *const columns = json_array(), *const known = json_array();
    for (size_t k = 0; k < e->columns; k++)
        json_array_append_new(columns,
                              json_pack("[s,s]", e->name[k], e->group[e->group_of[k]]));
    for (size_t g = 0; g < e->groups; g++)
        json_array_append_new(known, number(e->known[g]));
    return json_pack("{s:s, s:o, s:o}", "missing", covariate_gap_word(e->gap), "columns",
                     columns, "known", known);
}

static json_t *indices(const uint32_t *list, size_t count)
{
    json_t *const array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_integer(list[i]));
    return array;
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
    if (root && m->effects.columns)
        json_object_set_new(root, "covariates", describe_effects(&m->effects));
    if (root && m->chain.V) {
        json_object_set_new(root, "order", indices(m->chain.order, m->chain.V));
        json_object_set_new(root, "near", indices(m->chain.near, 2 * m->chain.V));
    }
    char *const text = root ? json_dumps(root, JSON_FLAGS) : NULL;
    json_decref(root);
    return text;
}

/* ---- saving ------------------------------------------------------------------------ */

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
    if (frwkv_config(&m->spec, m->season, width, &m->chain, &config, err) ||
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
    add(list, "leap", SAFETENSOR_F64, m->leap, 1, &m->series);
    static_assert(sizeof *m->profiles == 2, "a profile is saved as two bytes");
    const size_t profiles[] = {rows, 2};
    add(list, "profile", SAFETENSOR_U8, m->profiles, 2, profiles);
    add(list, "in_context", SAFETENSOR_U8, m->contexts, 1, &rows);
    const size_t verdicts[] = {rows, MODEL_BUCKETS};
    add(list, "champion", SAFETENSOR_U8, t->champion, 2, verdicts);
    add(list, "fallback", SAFETENSOR_U8, t->fallback, 2, verdicts);
    add(list, "skill", SAFETENSOR_F64, t->skill, 2, verdicts);
    if (m->effects.columns) {
        const struct effects *const e = &m->effects;
        const size_t use[] = {e->series, e->groups},
                     beta[] = {e->series, e->columns, EFFECT_WAVES};
        add(list, "covariates.use", SAFETENSOR_U8, e->use, 2, use);
        add(list, "covariates.beta", SAFETENSOR_F64, e->beta, 3, beta);
    }
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
    const char *const format = model->spread_rows ? MODEL_FORMAT : MODEL_FORMAT_3;
    const struct safetensors_meta meta[] = {{"format", format}, {"model", text}};
    rc = safetensors_write(list->at, list->count, meta, 2, bytes, len, err);
out:
    free(text);
    tables_free(&tables);
    free(list);
    return rc;
}
