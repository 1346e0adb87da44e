/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/time.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/civil.h"
#include "base/text.h"

enum { MS_PER_S = 1000, MS_PER_MIN = 60000, MS_PER_DAY = 86400000 };

/* Integers below this are seconds: as milliseconds they would all lie in 1966..1973. */
#define EPOCH_SECONDS_BELOW INT64_C(100000000000)

static int64_t clock_ms(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / 1000000;
}

static int64_t real_now_ms(void *ctx)
{
    (void)ctx;
    return clock_ms(CLOCK_REALTIME);
}

struct clock clock_real(void)
{
    return (struct clock){.now_ms = real_now_ms};
}

int64_t clock_now_ms(const struct clock *clock)
{
    return clock->now_ms(clock->ctx);
}

int64_t time_monotonic_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

/* ---- reading: a cursor, and takers that move it only on success ------------------ */

struct cursor {
    const char *at, *end;
};

static bool take_char(struct cursor *c, const char *one_of)
{
    if (c->at == c->end || *c->at == '\0' || !strchr(one_of, *c->at))
        return false;
    c->at++;
    return true;
}

/* A number of least..most digits. */
static bool take_digits(struct cursor *c, int least, int most, int64_t *out)
{
    int64_t value = 0;
    int digits = 0;
    while (digits < most && c->at + digits < c->end && c->at[digits] >= '0' &&
           c->at[digits] <= '9')
        value = value * 10 + (c->at[digits++] - '0');
    if (digits < least)
        return false;
    c->at += digits;
    *out = value;
    return true;
}

static bool take_date(struct cursor *c, int64_t *days)
{
    int64_t year, month, day;
    if (!take_digits(c, 4, 4, &year))
        return false;
    const bool dashes = take_char(c, "-");
    if (!dashes && !take_char(c, "/"))
        return false;
    const int least = dashes ? 2 : 1; /* YYYY/M/D drops zeros */
    if (!take_digits(c, least, 2, &month) || !take_char(c, dashes ? "-" : "/") ||
        !take_digits(c, least, 2, &day))
        return false;
    if (year < 1 || month < 1 || month > 12 || day < 1 ||
        day > civil_month_length(year, (int)month))
        return false;
    *days =
        civil_to_days((struct civil){.year = year, .month = (int)month, .day = (int)day});
    return true;
}

/* ".5" and ".123456789": milliseconds, further digits dropped. */
static bool take_fraction(struct cursor *c, int64_t *ms)
{
    int64_t digit;
    *ms = 0;
    int64_t place = 100;
    if (!take_digits(c, 1, 1, &digit))
        return false;
    do {
        *ms += digit * place;
        place /= 10;
    } while (take_digits(c, 1, 1, &digit));
    return true;
}

/* H:MM[:SS[.fff]], the hour with at least hour_digits digits. */
static bool take_clock(struct cursor *c, int hour_digits, int64_t *ms)
{
    int64_t hour, minute, second = 0, fraction = 0;
    if (!take_digits(c, hour_digits, 2, &hour) || !take_char(c, ":") ||
        !take_digits(c, 2, 2, &minute))
        return false;
    if (take_char(c, ":")) {
        if (!take_digits(c, 2, 2, &second))
            return false;
        if (take_char(c, ".") && !take_fraction(c, &fraction))
            return false;
    }
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    *ms = (hour * 60 + minute) * MS_PER_MIN + second * MS_PER_S + fraction;
    return true;
}

/* Z or +HH:MM or +HHMM. */
static bool take_offset(struct cursor *c, int64_t *ms)
{
    *ms = 0;
    if (take_char(c, "Zz"))
        return true;
    const bool west = c->at < c->end && *c->at == '-';
    int64_t hour, minute;
    if (!take_char(c, "+-") || !take_digits(c, 2, 2, &hour))
        return false;
    take_char(c, ":");
    if (!take_digits(c, 2, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *ms = (hour * 60 + minute) * (west ? -MS_PER_MIN : MS_PER_MIN);
    return true;
}

static bool parse_calendar(struct cursor c, const struct zone *zone, int64_t *time_ms)
{
    const bool slashes = c.end - c.at > 4 && c.at[4] == '/';
    int64_t days, clock = 0, offset = 0;
    bool zoned = false;
    if (!take_date(&c, &days))
        return false;
    if (c.at < c.end) {
        if (!take_char(&c, "Tt ") || !take_clock(&c, slashes ? 1 : 2, &clock))
            return false;
        zoned = c.at < c.end;
        if (zoned && (!take_offset(&c, &offset) || c.at < c.end))
            return false;
    }
    const int64_t local_ms = days * MS_PER_DAY + clock;
    *time_ms = zoned ? local_ms - offset : zone_to_utc(zone, local_ms);
    return true;
}

static bool parse_integer(struct cursor c, int64_t *time_ms)
{
    const bool negative = take_char(&c, "-");
    int64_t value;
    if (!take_digits(&c, 1, 18, &value) || c.at < c.end)
        return false;
    value = value < EPOCH_SECONDS_BELOW ? value * MS_PER_S : value;
    *time_ms = negative ? -value : value;
    return true;
}

int time_parse(const char *text, size_t len, const struct zone *zone, int64_t *time_ms,
               struct err *err)
{
    const struct cursor c = {text, text + len};
    char quoted[TEXT_QUOTE_SIZE];
    int64_t ms;
    if (!parse_integer(c, &ms) && !parse_calendar(c, zone, &ms))
        return err_set(err, ERR_INVALID,
                       "time: must be RFC 3339, YYYY-MM-DD[ HH:MM[:SS]], "
                       "YYYY/M/D[ H:MM[:SS]] or an integer since 1970 in s or ms, got %s",
                       text_quote(text, len, quoted));
    if (ms < TIME_MIN_MS || ms > TIME_MAX_MS)
        return err_set(err, ERR_INVALID, "time: must be in the years 1 to 9999, got %s",
                       text_quote(text, len, quoted));
    *time_ms = ms;
    return 0;
}

const char *time_format(int64_t time_ms, char text[static TIME_TEXT_SIZE])
{
    const int64_t days = floor_div(time_ms, MS_PER_DAY);
    const int ms_of_day = (int)(time_ms - days * MS_PER_DAY);
    const struct civil date = civil_from_days(days);
    const int used =
        snprintf(text, TIME_TEXT_SIZE, "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d",
                 date.year, date.month, date.day, ms_of_day / 3600000,
                 ms_of_day / MS_PER_MIN % 60, ms_of_day / MS_PER_S % 60);
    char *rest = text + used;
    const size_t room = TIME_TEXT_SIZE - (size_t)used;
    if (ms_of_day % MS_PER_S)
        snprintf(rest, room, ".%03dZ", ms_of_day % MS_PER_S);
    else
        snprintf(rest, room, "Z");
    return text;
}

/* ---- durations ------------------------------------------------------------------- */

/* Largest first. */
static const struct {
    const char *suffix;
    int64_t ms;
} units[] = {
    {"w", 7 * (int64_t)MS_PER_DAY},
    {"d", MS_PER_DAY},
    {"h", 3600000},
    {"m", MS_PER_MIN},
    {"s", MS_PER_S},
    {"ms", 1},
};
enum { UNITS = sizeof units / sizeof *units };

int duration_parse(const char *text, int64_t *duration_ms, struct err *err)
{
    const size_t len = strlen(text);
    struct cursor c = {text, text + len};
    char quoted[TEXT_QUOTE_SIZE];
    int64_t count, ms;
    size_t unit = 0;
    const bool number = take_digits(&c, 1, 18, &count);
    while (unit < UNITS && strcmp(c.at, units[unit].suffix) != 0)
        unit++;
    if (!number || unit == UNITS || count == 0)
        return err_set(err, ERR_INVALID,
                       "duration: must be a positive integer with ms, s, m, h, d or w, "
                       "such as \"15m\", got %s",
                       text_quote(text, len, quoted));
    if (__builtin_mul_overflow(count, units[unit].ms, &ms) ||
        ms > TIME_MAX_MS - TIME_MIN_MS)
        return err_set(err, ERR_INVALID, "duration: must be below 10000 years, got %s",
                       text_quote(text, len, quoted));
    *duration_ms = ms;
    return 0;
}

const char *duration_format(int64_t duration_ms, char text[static TIME_TEXT_SIZE])
{
    size_t unit = duration_ms == 0 ? UNITS - 1 : 0;
    while (duration_ms % units[unit].ms)
        unit++;
    snprintf(text, TIME_TEXT_SIZE, "%" PRId64 "%s", duration_ms / units[unit].ms,
             units[unit].suffix);
    return text;
}
