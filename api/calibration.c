/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/calibration.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void calibration_fini(struct calibration *calibration)
{
    for (size_t i = 0; i < calibration->count; i++)
        free(calibration->names[i]);
    free(calibration->names);
    free(calibration->stretch);
    *calibration = (struct calibration){0};
}

/* ---- from text ---------------------------------------------------------------------- */

static bool read_factors(const json_t *list, float out[static MODEL_BUCKETS])
{
    if (json_array_size(list) != MODEL_BUCKETS)
        return false;
    for (size_t b = 0; b < MODEL_BUCKETS; b++) {
        out[b] = (float)json_number_value(json_array_get(list, b));
        if (!(out[b] >= 1 / BAND_STRETCH_MOST && out[b] <= BAND_STRETCH_MOST))
            return false;
    }
    return true;
}

static bool read_series(const json_t *list, struct calibration *out)
{
    size_t i;
    const json_t *one;
    if (!json_is_array(list))
        return false;
    out->names = mem_new(json_array_size(list), sizeof *out->names);
    out->stretch = mem_new(json_array_size(list), sizeof *out->stretch);
    json_array_foreach(list, i, one)
    {
        const char *const name = json_string_value(json_object_get(one, "series"));
        struct band_stretch *const stretch = &out->stretch[i];
        if (!name || (i > 0 && strcmp(out->names[i - 1], name) >= 0) ||
            !read_factors(json_object_get(one, "below"), stretch->below) ||
            !read_factors(json_object_get(one, "above"), stretch->above))
            return false;
        out->names[out->count++] = mem_text(name);
    }
    return true;
}

int calibration_parse(const struct store_calibration *stored, struct calibration *out,
                      struct err *err)
{
    *out = (struct calibration){.number = stored->number, .made_ms = stored->made_ms};
    json_t *const json = json_loads(stored->body, 0, NULL);
    const bool fine = json && read_series(json_object_get(json, "series"), out);
    json_decref(json);
    if (fine)
        return 0;
    calibration_fini(out);
    return err_set(err, ERR_CORRUPT, "calibration: number %lld is not one",
                   (long long)stored->number);
}

int calibration_in_force(struct store *store, const char *forecaster, int64_t model_id,
                         int64_t at_ms, struct calibration *out, struct err *err)
{
    struct store_calibration stored;
    struct err why = {0};
    *out = (struct calibration){0};
    if (store_calibration_newest(store, forecaster, model_id, at_ms, &stored, &why))
        return why.code == ERR_NOT_FOUND ? 0 : err_copy(err, &why);
    const int rc = calibration_parse(&stored, out, err);
    store_calibration_fini(&stored);
    return rc;
}

/* ---- what it says ------------------------------------------------------------------- */

static int compare_names(const void *name, const void *at)
{
    return strcmp(name, *(char *const *)at);
}

const struct band_stretch *calibration_find(const struct calibration *calibration,
                                            const char *series)
{
    char **const found = calibration->count
                             ? bsearch(series, calibration->names, calibration->count,
                                       sizeof *calibration->names, compare_names)
                             : NULL;
    return found ? &calibration->stretch[found - calibration->names] : NULL;
}

static json_t *factors(const float values[static MODEL_BUCKETS])
{
    json_t *const list = json_array();
    for (size_t b = 0; b < MODEL_BUCKETS; b++)
        json_array_append_new(list, json_real((double)values[b]));
    return list;
}

json_t *calibration_series(const struct calibration *calibration)
{
    json_t *const list = json_array();
    for (size_t i = 0; i < calibration->count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:o, s:o}", "series", calibration->names[i], "below",
                            factors(calibration->stretch[i].below), "above",
                            factors(calibration->stretch[i].above)));
    return list;
}
