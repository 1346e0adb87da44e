/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/known.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/fields.h"
#include "api/reply.h"
#include "base/grid.h"
#include "base/mem.h"
#include "base/time.h"

enum { PLACE_MAX = 120 };

/* "place.key", or "key" where there is no place. */
static const char *place_of(const char *place, const char *key,
                            char out[static PLACE_MAX])
{
    snprintf(out, PLACE_MAX, "%.60s%s%s", place, *place ? "." : "", key);
    return out;
}

/* An instant: RFC 3339, a date or wall-clock time in the statement's zone, or ms. */
static int read_time(const json_t *object, const char *place, const char *key,
                     const struct zone *zone, int64_t *time_ms, struct err *err)
{
    const json_t *const value = json_object_get(object, key);
    const char *const text = json_string_value(value);
    char where[PLACE_MAX], shown[FIELD_SHOWN_MAX];
    struct err why = {0};
    if (!value)
        return err_set(err, ERR_INVALID, "%s: is missing", place_of(place, key, where));
    if (text && !time_parse(text, strlen(text), zone, time_ms, &why))
        return 0;
    if (json_is_integer(value) && json_integer_value(value) >= TIME_MIN_MS &&
        json_integer_value(value) <= TIME_MAX_MS) {
        *time_ms = json_integer_value(value);
        return 0;
    }
    return err_set(err, ERR_INVALID,
                   "%s: must be RFC 3339, a date or integer milliseconds, got %s",
                   place_of(place, key, where), field_shown(value, shown));
}

/* A number or null. */
static int read_value(const json_t *value, const char *place, double *out,
                      struct err *err)
{
    char shown[FIELD_SHOWN_MAX];
    *out = NAN;
    if (!value || json_is_null(value))
        return 0;
    if (!json_is_number(value))
        return err_set(err, ERR_INVALID, "%s: must be a number or null, got %s", place,
                       field_shown(value, shown));
    *out = json_number_value(value);
    if (fabs(*out) <= COVARIATE_VALUE_MOST)
        return 0;
    return err_set(err, ERR_INVALID, "%s: must be within -%g and %g, got %s", place,
                   COVARIATE_VALUE_MOST, COVARIATE_VALUE_MOST, field_shown(value, shown));
}

static int read_span(const json_t *object, const char *place, const struct zone *zone,
                     struct covariate_span *out, struct err *err)
{
    static const char *const keys[] = {"from", "to", "value", NULL};
    char shown[FIELD_SHOWN_MAX], where[PLACE_MAX];
    if (!json_is_object(object))
        return err_set(err, ERR_INVALID,
                       "%s: must be an object with from, to and value, got %s", place,
                       field_shown(object, shown));
    return fields_known(object, place, keys, err) ||
                   read_time(object, place, "from", zone, &out->from_ms, err) ||
                   read_time(object, place, "to", zone, &out->to_ms, err) ||
                   read_value(json_object_get(object, "value"),
                              place_of(place, "value", where), &out->value, err)
               ? -1
               : 0;
}

static int read_spans(const json_t *list, const char *place, const struct zone *zone,
                      struct covariate_statement *out, struct err *err)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        char where[PLACE_MAX], key[32];
        snprintf(key, sizeof key, "values[%zu]", i);
        if (read_span(json_array_get(list, i), place_of(place, key, where), zone,
                      &out->spans[i], err))
            return -1;
    }
    return 0;
}

/* Values of equal steps from `from` on; whole days are the zone's, some of 23 or 25 hours. */
static int read_steps(const json_t *object, const json_t *list, const char *place,
                      const struct zone *zone, struct covariate_statement *out,
                      struct err *err)
{
    static const int64_t day_ms = INT64_C(86400) * 1000;
    const char *text = NULL;
    char where[PLACE_MAX];
    struct err why = {0};
    int64_t step_ms = 0;
    if (field_text(object, place, "step", true, &text, err))
        return -1;
    if (duration_parse(text, &step_ms, &why) || step_ms <= 0 || step_ms > 366 * day_ms)
        return err_set(err, ERR_INVALID,
                       "%s: must be a duration such as 1h, at most 366d, got \"%.40s\"",
                       place_of(place, "step", where), text);
    if (json_object_get(object, "to"))
        return err_set(err, ERR_INVALID, "%s: is step times values; leave it out",
                       place_of(place, "to", where));
    if (out->count == 0 ||
        out->from_ms > TIME_MAX_MS - ((int64_t)out->count * step_ms + day_ms))
        return err_set(err, ERR_INVALID,
                       "%s: must hold at least one value, and end by the year 9999",
                       place_of(place, "values", where));
    const struct grid steps = {.start_ms = out->from_ms,
                               .step_ms = step_ms,
                               .zone = step_ms % day_ms ? NULL : zone};
    for (size_t i = 0; i < out->count; i++) {
        char key[32];
        struct covariate_span *const span = &out->spans[i];
        snprintf(key, sizeof key, "values[%zu]", i);
        span->from_ms = grid_time_ms(&steps, i);
        span->to_ms = grid_time_ms(&steps, i + 1);
        if (read_value(json_array_get(list, i), place_of(place, key, where), &span->value,
                       err))
            return -1;
    }
    out->to_ms = out->spans[out->count - 1].to_ms;
    return 0;
}

static int read_known(const json_t *object, const char *place, const struct zone *zone,
                      int64_t now_ms, int64_t *known_ms, struct err *err)
{
    const char *const text = json_string_value(json_object_get(object, "known"));
    char where[PLACE_MAX], got[TIME_TEXT_SIZE], now[TIME_TEXT_SIZE];
    *known_ms = text && !strcmp(text, "always") ? KNOWN_ALWAYS : now_ms;
    if (*known_ms == KNOWN_ALWAYS || !json_object_get(object, "known"))
        return 0;
    if (read_time(object, place, "known", zone, known_ms, err))
        return -1;
    if (*known_ms <= now_ms)
        return 0;
    return err_set(err, ERR_INVALID, "%s: must not be after now (%s), got %s",
                   place_of(place, "known", where), time_format(now_ms, now),
                   time_format(*known_ms, got));
}

static int read_all(const json_t *object, const char *place, const struct zone *zone,
                    int64_t now_ms, struct covariate_statement *out, struct err *err)
{
    const json_t *const list = json_object_get(object, "values");
    char where[PLACE_MAX], shown[FIELD_SHOWN_MAX];
    const bool steps = json_object_get(object, "step");
    if (list && !json_is_array(list))
        return err_set(err, ERR_INVALID, "%s: must be a list, got %s",
                       place_of(place, "values", where), field_shown(list, shown));
    out->count = json_array_size(list);
    if (out->count > COVARIATE_SPANS_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s: must be at most %d, got %zu",
                       place_of(place, "values", where), COVARIATE_SPANS_MAX, out->count);
    out->spans = mem_new(out->count + 1, sizeof *out->spans);
    if (read_time(object, place, "from", zone, &out->from_ms, err) ||
        (!steps && read_time(object, place, "to", zone, &out->to_ms, err)) ||
        read_value(json_object_get(object, "otherwise"),
                   place_of(place, "otherwise", where), &out->otherwise, err))
        return -1;
    if (now_ms && read_known(object, place, zone, now_ms, &out->known_ms, err))
        return -1;
    if (steps ? read_steps(object, list, place, zone, out, err)
              : read_spans(list, place, zone, out, err))
        return -1;
    struct err why = {0};
    return covariate_check(out, &why)
               ? err_set(err, why.code, "%s%s%s", place, *place ? "." : "", why.msg)
               : 0;
}

int known_statement_read(const json_t *object, const char *place, int64_t now_ms,
                         struct covariate_statement *out, struct err *err)
{
    static const char *const stored[] = {"from", "to",     "step",  "otherwise",
                                         "zone", "values", "known", NULL};
    static const char *const supposed[] = {"from", "to",     "step", "otherwise",
                                           "zone", "values", NULL};
    char shown[FIELD_SHOWN_MAX];
    const char *name = "UTC";
    struct err why = {0};
    *out = (struct covariate_statement){.otherwise = NAN};
    if (!json_is_object(object))
        return err_set(err, ERR_INVALID, "%s: must be an object, got %s", place,
                       field_shown(object, shown));
    if (fields_known(object, place, now_ms ? stored : supposed, err) ||
        field_text(object, place, "zone", false, &name, err))
        return -1;
    struct zone *const zone = zone_load(name, &why);
    if (!zone)
        return err_set(err, why.code, "%s%s%s", place, *place ? "." : "", why.msg);
    const int rc = read_all(object, place, zone, now_ms, out, err);
    zone_free(zone);
    if (rc) {
        free(out->spans);
        out->spans = NULL;
    }
    return rc;
}

/* json_time() takes 1970 for "not yet". */
static json_t *instant(int64_t time_ms)
{
    char text[TIME_TEXT_SIZE];
    return json_string(time_format(time_ms, text));
}

json_t *known_statement_json(const struct covariate_statement *s)
{
    json_t *const values = json_array();
    for (size_t i = 0; i < s->count; i++) {
        const struct covariate_span *const span = &s->spans[i];
        json_array_append_new(
            values, json_pack("{s:o, s:o, s:o}", "from", instant(span->from_ms), "to",
                              instant(span->to_ms), "value", json_number(span->value)));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "from", instant(s->from_ms), "to",
                     instant(s->to_ms), "known",
                     s->known_ms == KNOWN_ALWAYS ? json_string("always")
                                                 : instant(s->known_ms),
                     "otherwise", json_number(s->otherwise), "values", values);
}
