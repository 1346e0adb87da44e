/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The next reading of a cron expression is looked for day by day on the wall clock, and
 * inside the first day that matches by the hour and minute.
 */
#include "base/timetable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/civil.h"
#include "base/text.h"

#define MINUTE_MS INT64_C(60000)
#define DAY_MS (1440 * MINUTE_MS)

enum {
    ALL_HOURS = (1 << 24) - 1,
    /* 29 February is up to eight years away. */
    SEARCH_DAYS = 9 * 366,
};

struct timetable timetable_every(int64_t every_ms, int64_t offset_ms)
{
    return (struct timetable){.every_ms = every_ms, .offset_ms = offset_ms};
}

void timetable_fini(struct timetable *timetable)
{
    zone_free(timetable->zone);
    *timetable = (struct timetable){0};
}

/* ---- reading an expression --------------------------------------------------------- */

struct field {
    const char *name;
    int least, most;
    const char *words; /* three letters each, the first stands for least */
};

static const struct field fields[] = {
    {"minute", 0, 59, ""},
    {"hour", 0, 23, ""},
    {"day of month", 1, 31, ""},
    {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    {"day of week", 0, 7, "sunmontuewedthufrisat"},
};

enum { FIELDS = sizeof fields / sizeof fields[0] };

/* A number or a word at *at, which moves behind it; -1. */
static int take_value(const struct field *field, const char **at)
{
    int value = -1;
    for (size_t w = 0; field->words[3 * w]; w++)
        if (strncasecmp(*at, field->words + 3 * w, 3) == 0) {
            *at += 3;
            return field->least + (int)w;
        }
    for (; **at >= '0' && **at <= '9' && value < 1000; ++*at)
        value = (value < 0 ? 0 : value) * 10 + (**at - '0');
    return value;
}

/* `*`, a, a-b, each with or without /step. */
static int take_item(const struct field *field, const char **at, uint64_t *bits)
{
    int from = field->least, to = field->most, step = 1;
    bool single = false;
    if (**at == '*') {
        ++*at;
    } else {
        from = to = take_value(field, at);
        single = **at != '-';
        if (!single) {
            ++*at;
            to = take_value(field, at);
        }
    }
    if (**at == '/') {
        ++*at;
        step = take_value(&(struct field){.words = ""}, at);
        if (single)
            to = field->most;
    }
    if (from < field->least || to > field->most || from > to || step < 1)
        return -1;
    for (int i = from; i <= to; i += step)
        *bits |= UINT64_C(1) << i;
    return 0;
}

/* The field at *at, up to the blank that ends it. */
static int take_field(const struct field *field, const char **at, uint64_t *bits,
                      struct err *err)
{
    const char *const begin = *at;
    int rc = 0;
    do {
        *at += *at != begin;
        rc = take_item(field, at, bits);
    } while (rc == 0 && **at == ',');
    if (rc == 0 && strchr(" \t", **at))
        return 0;
    char quoted[TEXT_QUOTE_SIZE];
    return err_set(err, ERR_INVALID,
                   "cron: %s must be a list of %d..%d, ranges and steps, got %s",
                   field->name, field->least, field->most,
                   text_quote(begin, strcspn(begin, " \t"), quoted));
}

static int read_fields(const char *text, struct timetable *out, struct err *err)
{
    uint64_t bits[FIELDS] = {0};
    bool starred[FIELDS];
    const char *at = text + strspn(text, " \t");
    size_t f = 0;
    for (; f < FIELDS && *at; f++) {
        starred[f] = *at == '*';
        if (take_field(&fields[f], &at, &bits[f], err))
            return -1;
        at += strspn(at, " \t");
    }
    char quoted[TEXT_QUOTE_SIZE];
    if (f < FIELDS || *at)
        return err_set(err, ERR_INVALID, "cron: must have five fields, got %s",
                       text_quote(text, strlen(text), quoted));
    out->minutes = bits[0];
    out->hours = (uint32_t)bits[1];
    out->days = (uint32_t)bits[2];
    out->months = (uint32_t)bits[3];
    out->weekdays = (uint32_t)(bits[4] | bits[4] >> 7) & 0x7f;
    out->either_day = !starred[2] && !starred[4];
    return 0;
}

static bool day_matches(const struct timetable *t, int64_t days)
{
    const struct civil date = civil_from_days(days);
    if (!(t->months >> date.month & 1))
        return false;
    const bool by_date = t->days >> date.day & 1;
    const bool by_weekday = t->weekdays >> civil_weekday(days) & 1;
    return t->either_day ? by_date || by_weekday : by_date && by_weekday;
}

int timetable_cron(const char *text, struct zone *zone, struct timetable *out,
                   struct err *err)
{
    *out = (struct timetable){.zone = zone};
    bool ever = false;
    int rc = read_fields(text, out, err);
    for (int64_t day = 0; rc == 0 && !ever && day < SEARCH_DAYS; day++)
        ever = day_matches(out, day);
    char quoted[TEXT_QUOTE_SIZE];
    if (rc == 0 && !ever)
        rc = err_set(err, ERR_INVALID, "cron: no date ever matches %s",
                     text_quote(text, strlen(text), quoted));
    if (rc)
        timetable_fini(out);
    return rc;
}

/* ---- the next instant ---------------------------------------------------------------- */

static int64_t local_of(const struct zone *zone, int64_t utc_ms)
{
    return utc_ms + zone_offset_s(zone, utc_ms) * INT64_C(1000);
}

/* Where the offset changes in (from_ms, to_ms]. */
static int64_t change_between(const struct zone *zone, int64_t from_ms, int64_t to_ms)
{
    const int32_t before = zone_offset_s(zone, from_ms);
    while (to_ms - from_ms > 1) {
        const int64_t middle = from_ms + (to_ms - from_ms) / 2;
        if (zone_offset_s(zone, middle) == before)
            from_ms = middle;
        else
            to_ms = middle;
    }
    return to_ms;
}

/* The instant that stands for a reading of the clock: its first one, or that of the jump
 * which skips it. */
static int64_t instant_of(const struct zone *zone, int64_t reading_ms)
{
    const int64_t utc_ms = zone_to_utc(zone, reading_ms);
    const int64_t skipped_ms = local_of(zone, utc_ms) - reading_ms;
    return skipped_ms == 0 ? utc_ms : change_between(zone, utc_ms - skipped_ms, utc_ms);
}

/* The first one after after_ms of those that a day of the clock holds; INT64_MAX. */
static int64_t next_reading(const struct timetable *t, int64_t day, int64_t after_ms)
{
    for (int64_t hour = 0; hour < 24; hour++) {
        const int64_t hour_ms = day * DAY_MS + hour * 60 * MINUTE_MS;
        for (int64_t minute = 0; t->hours >> hour & 1 && minute < 60; minute++) {
            if (!(t->minutes >> minute & 1))
                continue;
            const int64_t at_ms = instant_of(t->zone, hour_ms + minute * MINUTE_MS);
            if (at_ms > after_ms)
                return at_ms;
        }
    }
    return INT64_MAX;
}

/* The same for every minute that passes. */
static int64_t next_passing(const struct timetable *t, int64_t day, int64_t after_ms)
{
    int64_t at_ms = zone_to_utc(t->zone, day * DAY_MS);
    const int64_t end_ms = zone_to_utc(t->zone, (day + 1) * DAY_MS);
    if (at_ms <= after_ms)
        at_ms = (floor_div(after_ms, MINUTE_MS) + 1) * MINUTE_MS;
    for (; at_ms < end_ms; at_ms += MINUTE_MS) {
        const int64_t local_ms = local_of(t->zone, at_ms);
        const int64_t minute = floor_div(local_ms, MINUTE_MS) % 60;
        if (floor_div(local_ms, DAY_MS) == day && t->minutes >> minute & 1)
            return at_ms;
    }
    return INT64_MAX;
}

int64_t timetable_next(const struct timetable *t, int64_t after_ms)
{
    if (t->every_ms)
        return (floor_div(after_ms - t->offset_ms, t->every_ms) + 1) * t->every_ms +
               t->offset_ms;
    const bool passing = t->hours == ALL_HOURS;
    const int64_t today = floor_div(local_of(t->zone, after_ms), DAY_MS);
    int64_t next_ms = INT64_MAX;
    /* A day early: a jump over midnight stands for readings of the day before. */
    for (int64_t day = today - 1; next_ms == INT64_MAX; day++)
        if (day_matches(t, day))
            next_ms =
                passing ? next_passing(t, day, after_ms) : next_reading(t, day, after_ms);
    return next_ms;
}

/* Looks back from the end, further each time, so that a year that was missed costs
 * little. */
bool timetable_last(const struct timetable *t, int64_t after_ms, int64_t until_ms,
                    int64_t *last_ms)
{
    int64_t from_ms = after_ms, back_ms = 60 * MINUTE_MS;
    for (; until_ms - back_ms > after_ms; back_ms *= 2)
        if (timetable_next(t, until_ms - back_ms) <= until_ms) {
            from_ms = until_ms - back_ms;
            break;
        }
    bool found = false;
    for (int64_t at_ms = timetable_next(t, from_ms); at_ms <= until_ms;
         at_ms = timetable_next(t, at_ms)) {
        *last_ms = at_ms;
        found = true;
    }
    return found;
}
