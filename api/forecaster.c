/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A forecaster's definition: JSON text to struct, and back with every default written
 * out.  The order of `readers` is the order of the stored text.
 */
#include "api/api.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/fields.h"
#include "api/known.h"
#include "api/reply.h"
#include "api/rules.h"
#include "api/schedules.h"
#include "api/thresholds.h"
#include "base/labels.h"
#include "base/mem.h"

static const int64_t step_least_ms = 1000, step_most_ms = INT64_C(4) * 7 * 86400 * 1000;
static const int64_t day_ms = INT64_C(86400) * 1000;

bool forecaster_name_ok(const char *name)
{
    const size_t len = strlen(name);
    if (len == 0 || len >= FORECASTER_NAME_MAX || !isalnum((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
            return false;
    return true;
}

const struct zone *forecaster_zone(const struct forecaster *f)
{
    return f->step_ms % day_ms ? NULL : f->zone;
}

void forecaster_fini(struct forecaster *f)
{
    free(f->select);
    known_fini(f);
    schedules_fini(f);
    *f = (struct forecaster){0};
}

/* ---- one reader a field ---------------------------------------------------------- */

static int read_select(const json_t *body, struct forecaster *f, struct err *err)
{
    const char *text = NULL;
    if (field_text(body, "", "select", true, &text, err))
        return -1;
    struct selector *const selector = mem_new(1, sizeof *selector);
    const int rc = selector_parse(text, strlen(text), selector, err);
    free(selector);
    if (rc)
        return rule_field("select", err);
    f->select = mem_text(text);
    return 0;
}

static int read_duration(const json_t *body, const char *key, int64_t least, int64_t most,
                         int64_t *out, struct err *err)
{
    const char *text = NULL;
    struct err why = {0};
    int64_t ms = 0;
    if (field_text(body, "", key, false, &text, err) || !text)
        return err->code ? -1 : 0;
    if (duration_parse(text, &ms, &why) || ms < least || ms > most) {
        char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
        return err_set(err, ERR_INVALID,
                       "%s: must be a duration in %s..%s, got \"%.40s\"", key,
                       duration_format(least, from), duration_format(most, to), text);
    }
    *out = ms;
    return 0;
}

static int read_step(const json_t *body, struct forecaster *f, struct err *err)
{
    if (!json_object_get(body, "step"))
        return err_set(err, ERR_INVALID, "step: is missing");
    return read_duration(body, "step", step_least_ms, step_most_ms, &f->step_ms, err);
}

static int read_aggregate(const json_t *body, struct forecaster *f, struct err *err)
{
    const char *word = "mean";
    if (field_text(body, "", "aggregate", false, &word, err))
        return -1;
    const int found = aggregate_parse(word);
    if (found < 0)
        return err_set(err, ERR_INVALID,
                       "aggregate: must be one of mean, last, min, max, sum, rate, got "
                       "\"%.40s\"",
                       word);
    f->aggregate = (enum aggregate)found;
    return 0;
}

static int read_history(const json_t *body, struct forecaster *f, struct err *err)
{
    if (json_is_null(json_object_get(body, "history")))
        return 0;
    return read_duration(body, "history", f->step_ms, INT64_C(36500) * day_ms,
                         &f->history_ms, err);
}

/* A number of steps, or a duration that is a multiple of the step. */
static int read_steps(const json_t *body, const struct forecaster *f, const char *key,
                      size_t least, size_t most, size_t *out, struct err *err)
{
    if (json_is_string(json_object_get(body, key))) {
        int64_t ms = 0;
        if (read_duration(body, key, f->step_ms, (int64_t)most * f->step_ms, &ms, err))
            return -1;
        const size_t steps = (size_t)(ms / f->step_ms);
        if (ms % f->step_ms == 0 && steps >= least) {
            *out = steps;
            return 0;
        }
        char step[TIME_TEXT_SIZE], got[TIME_TEXT_SIZE];
        return err_set(err, ERR_INVALID,
                       "%s: must be whole steps of %s, at least %zu of them, got %s", key,
                       duration_format(f->step_ms, step), least,
                       duration_format(ms, got));
    }
    int64_t steps = (int64_t)*out;
    if (field_integer(body, "", key, (int64_t)least, (int64_t)most, &steps, err))
        return -1;
    *out = (size_t)steps;
    return 0;
}

static size_t clamp(int64_t steps, size_t least, size_t most)
{
    if (steps < (int64_t)least)
        return least;
    return steps > (int64_t)most ? most : (size_t)steps;
}

/* Two weeks hold the rhythm of day and week twice, where that is a sane window. */
static int read_lookback(const json_t *body, struct forecaster *f, struct err *err)
{
    f->spec.lookback = clamp(14 * day_ms / f->step_ms, 96, 720);
    return read_steps(body, f, "lookback", 4, MODEL_LOOKBACK_MAX, &f->spec.lookback, err);
}

static int read_horizon(const json_t *body, struct forecaster *f, struct err *err)
{
    f->spec.horizon = clamp(2 * day_ms / f->step_ms, 24, 288);
    return read_steps(body, f, "horizon", 1, MODEL_HORIZON_MAX, &f->spec.horizon, err);
}

static int read_quantiles(const json_t *body, struct forecaster *f, struct err *err)
{
    static const double usual[] = {0.1, 0.5, 0.9};
    const json_t *const list = json_object_get(body, "quantiles");
    char shown[FIELD_SHOWN_MAX];
    f->quantile_count = 3;
    memcpy(f->quantiles, usual, sizeof usual);
    if (!list)
        return 0;
    f->quantile_count = json_array_size(list);
    if (!json_is_array(list) || f->quantile_count == 0 ||
        f->quantile_count > MODEL_QUANTILES_MAX)
        return err_set(err, ERR_INVALID,
                       "quantiles: must be a list of 1..%d numbers, got %s",
                       MODEL_QUANTILES_MAX, field_shown(list, shown));
    for (size_t q = 0; q < f->quantile_count; q++) {
        const json_t *const one = json_array_get(list, q);
        f->quantiles[q] = json_number_value(one);
        if (!json_is_number(one) || !(f->quantiles[q] > 0 && f->quantiles[q] < 1) ||
            (q > 0 && f->quantiles[q] <= f->quantiles[q - 1]))
            return err_set(
                err, ERR_INVALID,
                "quantiles[%zu]: must be above the one before, above 0 and below "
                "1, got %s",
                q, field_shown(one, shown));
    }
    return 0;
}

static int read_group(const json_t *body, struct forecaster *f, struct err *err)
{
    const char *word = "each";
    if (field_text(body, "", "group", false, &word, err))
        return -1;
    if (strcmp(word, "each") && strcmp(word, "joint"))
        return err_set(err, ERR_INVALID,
                       "group: must be one of each, joint, got \"%.40s\"", word);
    f->spec.group = strcmp(word, "each") ? GROUP_JOINT : GROUP_EACH;
    return 0;
}

static int read_season(const json_t *body, struct forecaster *f, struct err *err)
{
    return read_steps(body, f, "season", 0, MODEL_LOOKBACK_MAX, &f->spec.season, err);
}

static int read_bounds(const json_t *body, struct forecaster *f, struct err *err)
{
    f->spec.min = -INFINITY;
    f->spec.max = INFINITY;
    if (field_number(body, "", "min", &f->spec.min, err) ||
        field_number(body, "", "max", &f->spec.max, err) ||
        field_bool(body, "", "integer", &f->spec.integer, err))
        return -1;
    if (f->spec.min >= f->spec.max)
        return err_set(err, ERR_INVALID, "min: must be below max (%g), got %g",
                       f->spec.max, f->spec.min);
    if (f->spec.integer && floor(f->spec.max) < ceil(f->spec.min))
        return err_set(err, ERR_INVALID, "integer: must leave a whole number in %g..%g",
                       f->spec.min, f->spec.max);
    return 0;
}

static int read_setting(struct model_settings *settings, const char *key,
                        const json_t *value, struct err *err)
{
    char text[FIELD_SHOWN_MAX];
    if (!strcmp(key, "preset"))
        return err_set(err, ERR_INVALID, "preset: stands beside settings, not inside");
    if (!json_is_string(value) && !json_is_number(value) && !json_is_boolean(value))
        return err_set(err, ERR_INVALID,
                       "%.60s: must be a number, text, true or false, got %s", key,
                       field_shown(value, text));
    return model_settings_set(
        settings, key,
        json_is_string(value) ? json_string_value(value) : field_shown(value, text), err);
}

static int read_settings(const json_t *body, struct forecaster *f, struct err *err)
{
    const char *preset = "default";
    if (field_text(body, "", "preset", false, &preset, err) ||
        model_settings_preset(&f->spec.settings, preset, err))
        return -1;
    json_t *const settings = json_object_get(body, "settings");
    char shown[FIELD_SHOWN_MAX];
    if (settings && !json_is_object(settings))
        return err_set(err, ERR_INVALID, "settings: must be an object, got %s",
                       field_shown(settings, shown));
    const char *key;
    json_t *value;
    json_object_foreach(settings, key, value)
    {
        struct err why = {0};
        if (read_setting(&f->spec.settings, key, value, &why))
            return err_set(err, why.code, "settings.%s", why.msg);
    }
    return 0;
}

/* Settings that are fine one by one may not be together; all the rest of the spec has
 * been looked at by then. */
static int check_spec(const struct forecaster *f, struct err *err)
{
    struct err why = {0};
    return model_spec_check(&f->spec, &why)
               ? err_set(err, why.code, "settings.%s", why.msg)
               : 0;
}

/* Refused here rather than after a training that could not have ended well. */
static int check_history(const struct forecaster *f, struct err *err)
{
    const size_t rows = model_rows_for_candidates(&f->spec);
    if (f->history_ms == 0 || (size_t)(f->history_ms / f->step_ms) >= rows)
        return 0;
    char step[TIME_TEXT_SIZE], got[TIME_TEXT_SIZE];
    return err_set(err, ERR_INVALID,
                   "history: must hold at least %zu steps of %s for this lookback and "
                   "horizon, got %s",
                   rows, duration_format(f->step_ms, step),
                   duration_format(f->history_ms, got));
}

/* ---- the canonical text ------------------------------------------------------------ */

/* As a number or truth value where it is one. */
static json_t *setting_json(const char *value)
{
    json_t *const bare = json_loads(value, JSON_DECODE_ANY, NULL);
    return bare ? bare : json_string(value);
}

static void add_setting(void *ctx, const char *key, const char *value, const char *help)
{
    (void)help;
    if (strcmp(key, "preset"))
        json_object_set_new(ctx, key, setting_json(value));
}

static json_t *bound_json(double bound)
{
    return isfinite(bound) ? json_real(bound) : json_null();
}

static json_t *duration_json(int64_t duration_ms)
{
    char text[TIME_TEXT_SIZE];
    return duration_ms ? json_string(duration_format(duration_ms, text)) : json_null();
}

static char *text_of(const json_t *value)
{
    return json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS_DOUBLE));
}

void forecaster_text_fini(struct forecaster_text *text)
{
    free(text->body);
    free(text->policy);
    *text = (struct forecaster_text){0};
}

static struct forecaster_text canonical_text(const struct forecaster *f)
{
    const struct model_spec *const spec = &f->spec;
    json_t *const quantiles = json_array();
    json_t *const settings = json_object();
    for (size_t q = 0; q < f->quantile_count; q++)
        json_array_append_new(quantiles, json_real(f->quantiles[q]));
    model_settings_each(&spec->settings, add_setting, settings);
    json_auto_t *body = json_pack(
        "{s:s, s:o, s:s, s:o, s:I, s:I, s:o, s:s, s:I, s:o, s:o, s:b, s:s, s:o}",
        "select", f->select, "step", duration_json(f->step_ms), "aggregate",
        aggregate_word(f->aggregate), "history", duration_json(f->history_ms), "lookback",
        (json_int_t)spec->lookback, "horizon", (json_int_t)spec->horizon, "quantiles",
        quantiles, "group", spec->group == GROUP_JOINT ? "joint" : "each", "season",
        (json_int_t)spec->season, "min", bound_json(spec->min), "max",
        bound_json(spec->max), "integer", (int)spec->integer, "preset",
        spec->settings.preset, "settings", settings);
    known_write(f, body);
    json_auto_t *policy = json_object();
    schedules_write(f, policy);
    thresholds_write(f, policy);
    return (struct forecaster_text){text_of(body), text_of(policy)};
}

/* ---- both ------------------------------------------------------------------------ */

static int read_all(const json_t *body, struct forecaster *f, struct err *err)
{
    static const char *const keys[] = {"select",    "step",       "aggregate",
                                       "history",   "lookback",   "horizon",
                                       "quantiles", "group",      "season",
                                       "min",       "max",        "integer",
                                       "preset",    "settings",   "train",
                                       "forecast",  "backtest",   "zone",
                                       "calendar",  "covariates", "covariates_missing",
                                       "holidays",  "thresholds", NULL};
    static int (*const readers[])(const json_t *, struct forecaster *, struct err *) = {
        read_select,   read_step,      read_aggregate, read_history,   read_lookback,
        read_horizon,  read_quantiles, read_group,     read_season,    read_bounds,
        read_settings, known_read,     schedules_read, thresholds_read};
    if (fields_known(body, "", keys, err))
        return -1;
    for (size_t r = 0; r < sizeof readers / sizeof *readers; r++)
        if (readers[r](body, f, err))
            return -1;
    return check_spec(f, err) || check_history(f, err) ? -1 : 0;
}

/* text may be NULL. */
static int read_body(const char *name, const json_t *body, struct forecaster *out,
                     struct forecaster_text *text, struct err *err)
{
    struct err failed = {0};
    snprintf(out->name, sizeof out->name, "%s", name);
    if (read_all(body, out, &failed)) {
        forecaster_fini(out);
        return err_copy(err, &failed);
    }
    if (text)
        *text = canonical_text(out);
    return 0;
}

int forecaster_parse(const char *name, const char *json, size_t len,
                     struct forecaster *out, struct forecaster_text *text,
                     struct err *err)
{
    *out = (struct forecaster){0};
    if (!forecaster_name_ok(name))
        return err_set(
            err, ERR_INVALID,
            "name: must be 1..%d letters, digits, -, _ and ., beginning with a "
            "letter or digit, got \"%.80s\"",
            FORECASTER_NAME_MAX - 1, name);
    json_auto_t *body = fields_parse(json, len, err);
    return body ? read_body(name, body, out, text, err) : -1;
}

int forecaster_load(const struct store_forecaster *stored, struct forecaster *out,
                    struct err *err)
{
    *out = (struct forecaster){0};
    json_auto_t *body = json_loads(stored->body, 0, NULL);
    json_auto_t *policy = json_loads(stored->policy, 0, NULL);
    struct err why = {0};
    if (!body || json_object_update(body, policy))
        return err_set(err, ERR_CORRUPT,
                       "forecaster %s: its stored definition is not JSON", stored->name);
    return read_body(stored->name, body, out, NULL, &why)
               ? err_set(err, ERR_CORRUPT, "forecaster %s: stored definition: %s",
                         stored->name, why.msg)
               : 0;
}

int forecaster_now(struct store *store, const char *name, struct forecaster *out,
                   int64_t *revision, struct err *err)
{
    struct store_forecaster stored = {0};
    *out = (struct forecaster){0};
    if (store_forecaster_get(store, name, &stored, err))
        return -1;
    const int rc = forecaster_load(&stored, out, err);
    if (revision)
        *revision = stored.revision;
    store_forecaster_fini(&stored);
    return rc;
}

int forecaster_then(struct store *store, const char *name, int64_t revision,
                    struct forecaster *out, struct err *err)
{
    struct store_forecaster stored = {0};
    *out = (struct forecaster){0};
    if (store_forecaster_revision(store, name, revision, &stored, err))
        return -1;
    const int rc = forecaster_load(&stored, out, err);
    store_forecaster_fini(&stored);
    return rc;
}
