/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/samples_in.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/fields.h"
#include "api/rules.h"
#include "base/labels.h"
#include "base/mem.h"

enum { PLACE_MAX = 48 }; /* "samples[7]" */

struct item {
    uint32_t series;
    int64_t time_ms;
    double value;
    size_t index; /* in the request */
};

/* A body on its way into a batch. */
struct intake {
    struct store_batch *batch;
    struct item *items;
    size_t count;
    int64_t now_ms, future_max_ms;
    const char *last_name; /* the samples of one series often stand together */
    uint32_t last_series;
    enum reject_reason reason;
};

static int read_series(struct intake *in, const json_t *sample, const char *place,
                       uint32_t *series, struct err *err)
{
    const char *name = NULL;
    if (field_text(sample, place, "series", true, &name, err))
        return -1;
    if (!in->last_name || strcmp(in->last_name, name)) {
        char canonical[LABELS_TEXT_MAX];
        if (rule_series(name, canonical, err)) {
            char field[PLACE_MAX + sizeof ".series"];
            snprintf(field, sizeof field, "%s.series", place);
            return rule_field(field, err);
        }
        in->last_name = name;
        in->last_series = store_batch_series(in->batch, canonical);
    }
    *series = in->last_series;
    return 0;
}

static int read_time(struct intake *in, const json_t *sample, const char *place,
                     int64_t *time_ms, struct err *err)
{
    const json_t *const value = json_object_get(sample, "time");
    if (!value)
        return err_set(err, ERR_INVALID, "%s.time: is missing", place);
    struct err why = {0};
    const char *const text = json_string_value(value);
    if (text && !time_parse(text, strlen(text), NULL, time_ms, &why))
        ;
    else if (json_is_integer(value) && json_integer_value(value) >= TIME_MIN_MS &&
             json_integer_value(value) <= TIME_MAX_MS)
        *time_ms = json_integer_value(value);
    else {
        char shown[FIELD_SHOWN_MAX];
        return err_set(err, ERR_INVALID,
                       "%s.time: must be RFC 3339 or integer milliseconds, got %s", place,
                       field_shown(value, shown));
    }
    if (rule_time_now(*time_ms, in->now_ms, in->future_max_ms, err)) {
        in->reason = REJECT_FUTURE;
        err_prefix(err, "%s.time", place);
        return -1;
    }
    return 0;
}

static int read_value(const json_t *sample, const char *place, double *value,
                      struct err *err)
{
    const json_t *const given = json_object_get(sample, "value");
    if (!given)
        return err_set(err, ERR_INVALID, "%s.value: is missing", place);
    *value = NAN;
    if (field_number(sample, place, "value", value, err))
        return -1;
    if (isfinite(*value))
        return 0;
    return err_set(err, ERR_INVALID, "%s.value: must be a number, got null", place);
}

static int read_sample(struct intake *in, const json_t *sample, size_t index,
                       struct item *item, struct err *err)
{
    static const char *const keys[] = {"series", "time", "value", NULL};
    char place[PLACE_MAX];
    snprintf(place, sizeof place, "samples[%zu]", index);
    if (!json_is_object(sample)) {
        char shown[FIELD_SHOWN_MAX];
        return err_set(err, ERR_INVALID, "%s: must be an object, got %s", place,
                       field_shown(sample, shown));
    }
    item->index = index;
    if (fields_known(sample, place, keys, err) ||
        read_series(in, sample, place, &item->series, err) ||
        read_time(in, sample, place, &item->time_ms, err) ||
        read_value(sample, place, &item->value, err))
        return -1;
    return 0;
}

static int by_series_and_time(const void *a, const void *b)
{
    const struct item *const x = a;
    const struct item *const y = b;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static int check_conflicts(struct intake *in, struct err *err)
{
    qsort(in->items, in->count, sizeof *in->items, by_series_and_time);
    for (size_t i = 1; i < in->count; i++) {
        const struct item *const a = &in->items[i - 1];
        const struct item *const b = &in->items[i];
        if (a->series != b->series || a->time_ms != b->time_ms || a->value == b->value)
            continue;
        char time[TIME_TEXT_SIZE];
        in->reason = REJECT_CONFLICT;
        return err_set(
            err, ERR_INVALID,
            "samples[%zu].value: must agree with samples[%zu] of the same series "
            "and time %s (%.17g), got %.17g",
            b->index, a->index, time_format(a->time_ms, time), a->value, b->value);
    }
    return 0;
}

static int read_samples(struct intake *in, const json_t *list, struct err *err)
{
    for (size_t i = 0; i < in->count; i++) {
        if (read_sample(in, json_array_get(list, i), i, &in->items[i], err))
            return -1;
        store_batch_add(in->batch, in->items[i].series, in->items[i].time_ms,
                        in->items[i].value);
    }
    return check_conflicts(in, err);
}

/* The array of a body; borrowed from it. */
static const json_t *samples_of(const json_t *body, struct err *err)
{
    static const char *const keys[] = {"samples", NULL};
    if (fields_known(body, "", keys, err))
        return NULL;
    const json_t *const list = json_object_get(body, "samples");
    if (json_is_array(list) && json_array_size(list) > 0)
        return list;
    char shown[FIELD_SHOWN_MAX];
    if (!list)
        err_set(err, ERR_INVALID, "samples: is missing");
    else
        err_set(err, ERR_INVALID,
                "samples: must be a list with at least one sample, got %s",
                field_shown(list, shown));
    return NULL;
}

int samples_in_read(const char *text, size_t len, int64_t now_ms, int64_t future_max_ms,
                    struct store_batch *batch, struct samples_in *out, struct err *err)
{
    *out = (struct samples_in){.reason = REJECT_INVALID};
    json_auto_t *body = fields_parse(text, len, err);
    const json_t *const list = body ? samples_of(body, err) : NULL;
    if (!list)
        return -1;
    struct intake in = {.batch = batch,
                        .count = json_array_size(list),
                        .now_ms = now_ms,
                        .future_max_ms = future_max_ms,
                        .reason = REJECT_INVALID};
    in.items = mem_try(in.count, sizeof *in.items);
    const int rc =
        in.items ? read_samples(&in, list, err)
                 : err_set(err, ERR_NO_MEMORY, "no memory for %zu samples", in.count);
    free(in.items);
    *out = (struct samples_in){in.count, in.reason};
    return rc;
}
