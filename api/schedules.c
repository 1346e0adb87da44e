/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/schedules.h"

#include <stdlib.h>
#include <string.h>

#include "api/fields.h"
#include "base/mem.h"
#include "base/text.h"

static const int64_t every_least_ms = 1000, day_ms = INT64_C(86400) * 1000;

static const char *const kinds[SCHEDULES] = {
    [SCHEDULE_TRAIN] = "train",
    [SCHEDULE_FORECAST] = "forecast",
    [SCHEDULE_BACKTEST] = "backtest",
};

const char *schedule_kind(size_t schedule)
{
    return kinds[schedule];
}

/* Long work of many forecasters is spread over the period; forecasts belong to the full
 * hour. */
static int64_t spread_ms(const char *forecaster, size_t schedule, int64_t every_ms)
{
    if (schedule == SCHEDULE_FORECAST)
        return 0;
    const uint64_t hash = text_hash(text_hash(TEXT_HASH, forecaster), kinds[schedule]);
    /* To the second, and not the low bits, which names that count up share. */
    const uint64_t second = (hash >> 16) % (uint64_t)(every_ms / 1000);
    return (int64_t)second * 1000;
}

static int read_duration(const json_t *object, const char *place, const char *key,
                         int64_t least, int64_t most, int64_t *out, struct err *err)
{
    const char *text = NULL;
    int64_t ms = 0;
    if (field_text(object, place, key, false, &text, err))
        return -1;
    if (!text)
        return 0;
    if ((strcmp(text, "0") && duration_parse(text, &ms, NULL)) || ms < least ||
        ms > most) {
        char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
        return err_set(err, ERR_INVALID,
                       "%s.%s: must be a duration in %s..%s, got \"%.40s\"", place, key,
                       least ? duration_format(least, from) : "0",
                       duration_format(most, to), text);
    }
    *out = ms;
    return 0;
}

static int read_every(const json_t *object, const char *name, size_t schedule,
                      struct schedule *out, struct err *err)
{
    int64_t every_ms = 0;
    if (read_duration(object, kinds[schedule], "every", every_least_ms, 366 * day_ms,
                      &every_ms, err))
        return -1;
    if (every_ms % 1000)
        return err_set(err, ERR_INVALID, "%s.every: must be whole seconds",
                       kinds[schedule]);
    if (json_object_get(object, "zone"))
        return err_set(err, ERR_INVALID,
                       "%s.zone: belongs to cron; an interval is the same everywhere",
                       kinds[schedule]);
    out->when = timetable_every(every_ms, spread_ms(name, schedule, every_ms));
    return 0;
}

static int read_cron(const json_t *object, size_t schedule, struct schedule *out,
                     struct err *err)
{
    const char *text = NULL, *zone_text = "UTC";
    struct err why = {0};
    if (field_text(object, kinds[schedule], "cron", true, &text, err) ||
        field_text(object, kinds[schedule], "zone", false, &zone_text, err))
        return -1;
    struct zone *const zone = zone_load(zone_text, &why);
    if (!zone || timetable_cron(text, zone, &out->when, &why))
        return err_set(err, why.code, "%s.%s", kinds[schedule], why.msg);
    out->cron = mem_text(text);
    return 0;
}

static int read_catch_up(const json_t *object, const char *place, struct schedule *out,
                         struct err *err)
{
    const char *word = "once";
    if (field_text(object, place, "catch_up", false, &word, err))
        return -1;
    if (strcmp(word, "once") && strcmp(word, "skip"))
        return err_set(err, ERR_INVALID,
                       "%s.catch_up: must be one of once, skip, got \"%.40s\"", place,
                       word);
    out->catch_up = strcmp(word, "skip") != 0;
    return 0;
}

static int read_one(const json_t *object, const char *name, size_t schedule,
                    struct schedule *out, struct err *err)
{
    static const char *const keys[] = {"every",  "cron",     "zone",
                                       "jitter", "catch_up", NULL};
    const char *const place = kinds[schedule];
    char shown[FIELD_SHOWN_MAX];
    if (!json_is_object(object))
        return err_set(
            err, ERR_INVALID,
            "%s: must be null or an object such as {\"every\": \"1d\"}, got %s", place,
            field_shown(object, shown));
    const bool every = json_object_get(object, "every");
    if (fields_known(object, place, keys, err))
        return -1;
    if (every == !!json_object_get(object, "cron"))
        return err_set(err, ERR_INVALID, "%s: must have one of every and cron, got %s",
                       place, every ? "both" : "neither");
    if (every ? read_every(object, name, schedule, out, err)
              : read_cron(object, schedule, out, err))
        return -1;
    out->set = true;
    return read_catch_up(object, place, out, err) ||
                   read_duration(object, place, "jitter", 0,
                                 every ? out->when.every_ms : day_ms, &out->jitter_ms,
                                 err)
               ? -1
               : 0;
}

int schedules_read(const json_t *body, struct forecaster *f, struct err *err)
{
    for (size_t s = 0; s < SCHEDULES; s++) {
        const json_t *const object = json_object_get(body, kinds[s]);
        if (object && !json_is_null(object) &&
            read_one(object, f->name, s, &f->schedules[s], err))
            return -1;
    }
    return 0;
}

void schedules_fini(struct forecaster *f)
{
    for (size_t s = 0; s < SCHEDULES; s++) {
        timetable_fini(&f->schedules[s].when);
        free(f->schedules[s].cron);
    }
}

static void set_duration(json_t *object, const char *key, int64_t ms)
{
    char text[TIME_TEXT_SIZE];
    json_object_set_new(object, key, json_string(ms ? duration_format(ms, text) : "0"));
}

static json_t *schedule_json(const struct schedule *schedule)
{
    if (!schedule->set)
        return json_null();
    json_t *const object = json_object();
    if (schedule->cron) {
        json_object_set_new(object, "cron", json_string(schedule->cron));
        json_object_set_new(object, "zone", json_string(zone_name(schedule->when.zone)));
    } else {
        set_duration(object, "every", schedule->when.every_ms);
    }
    set_duration(object, "jitter", schedule->jitter_ms);
    json_object_set_new(object, "catch_up",
                        json_string(schedule->catch_up ? "once" : "skip"));
    return object;
}

void schedules_write(const struct forecaster *f, json_t *policy)
{
    for (size_t s = 0; s < SCHEDULES; s++)
        json_object_set_new(policy, kinds[s], schedule_json(&f->schedules[s]));
}
