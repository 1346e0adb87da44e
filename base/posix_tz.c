/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/posix_tz.h"

#include <stddef.h>

#include "base/civil.h"

enum { S_PER_DAY = 86400 };

/* ---- reading: takers that move the cursor only on success ------------------------ */

static bool take(const char **at, char c)
{
    if (**at != c)
        return false;
    ++*at;
    return true;
}

static bool take_number(const char **at, int least, int most, int *out)
{
    const char *p = *at;
    int value = 0;
    for (; *p >= '0' && *p <= '9' && value <= most; p++)
        value = value * 10 + (*p - '0');
    if (p == *at || value < least || value > most)
        return false;
    *at = p;
    *out = value;
    return true;
}

/* "EST" or "<+03>". */
static bool take_name(const char **at)
{
    const bool quoted = take(at, '<');
    const char *const start = *at;
    for (;; ++*at) {
        const char c = **at, lower = (char)(c | 0x20);
        const bool letter = lower >= 'a' && lower <= 'z';
        if (!letter && !(quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-')))
            break;
    }
    return *at - start >= 3 && (!quoted || take(at, '>'));
}

/* [+-]hh[:mm[:ss]] */
static bool take_seconds(const char **at, int hours_most, int32_t *out)
{
    const bool negative = take(at, '-');
    if (!negative)
        take(at, '+');
    int hours, minutes = 0, seconds = 0;
    if (!take_number(at, 0, hours_most, &hours))
        return false;
    if (take(at, ':')) {
        if (!take_number(at, 0, 59, &minutes))
            return false;
        if (take(at, ':') && !take_number(at, 0, 59, &seconds))
            return false;
    }
    const int32_t total = (hours * 60 + minutes) * 60 + seconds;
    *out = negative ? -total : total;
    return true;
}

static bool take_day(const char **at, struct posix_tz_day *day)
{
    *day = (struct posix_tz_day){.time_s = 2 * 3600};
    bool ok;
    if (take(at, 'M')) {
        day->kind = DAY_OF_WEEK;
        ok = take_number(at, 1, 12, &day->month) && take(at, '.') &&
             take_number(at, 1, 5, &day->week) && take(at, '.') &&
             take_number(at, 0, 6, &day->day);
    } else if (take(at, 'J')) {
        day->kind = DAY_JULIAN;
        ok = take_number(at, 1, 365, &day->day);
    } else {
        day->kind = DAY_OF_YEAR;
        ok = take_number(at, 0, 365, &day->day);
    }
    return ok && (!take(at, '/') || take_seconds(at, 167, &day->time_s));
}

bool posix_tz_parse(const char *text, struct posix_tz *out)
{
    const char *at = text;
    *out = (struct posix_tz){0};
    if (!take_name(&at) || !take_seconds(&at, 24, &out->standard_s))
        return false;
    out->standard_s = -out->standard_s; /* POSIX counts west */
    if (*at == '\0')
        return true;

    out->has_daylight = true;
    out->daylight_s = out->standard_s + 3600;
    if (!take_name(&at))
        return false;
    if (*at != ',') {
        if (!take_seconds(&at, 24, &out->daylight_s))
            return false;
        out->daylight_s = -out->daylight_s;
    }
    return take(&at, ',') && take_day(&at, &out->begin) && take(&at, ',') &&
           take_day(&at, &out->end) && *at == '\0';
}

/* ---- using ----------------------------------------------------------------------- */

/* Local seconds since 1970 at which the day's change happens in a year. */
static int64_t change_s(const struct posix_tz_day *day, int64_t year)
{
    const int64_t new_year = civil_to_days((struct civil){year, 1, 1});
    int64_t days = new_year + day->day;
    if (day->kind == DAY_JULIAN) { /* 1..365, February 29 never counted */
        const bool leap = civil_month_length(year, 2) == 29;
        days += leap && day->day >= 60 ? 0 : -1;
    } else if (day->kind == DAY_OF_WEEK) { /* week 5 is the last one */
        const int64_t first = civil_to_days((struct civil){year, day->month, 1});
        int of_month = (day->day - civil_weekday(first) + 7) % 7 + 7 * (day->week - 1);
        if (of_month >= civil_month_length(year, day->month))
            of_month -= 7;
        days = first + of_month;
    }
    return days * S_PER_DAY + day->time_s;
}

int32_t posix_tz_offset_s(const struct posix_tz *tz, int64_t time_s)
{
    if (!tz->has_daylight)
        return tz->standard_s;
    const int64_t local_days = floor_div(time_s + tz->standard_s, S_PER_DAY);
    const int64_t year = civil_from_days(local_days).year;
    const int64_t begin = change_s(&tz->begin, year) - tz->standard_s;
    const int64_t end = change_s(&tz->end, year) - tz->daylight_s;
    /* South of the equator daylight time spans the new year. */
    const bool daylight = begin < end ? begin <= time_s && time_s < end
                                      : !(end <= time_s && time_s < begin);
    return daylight ? tz->daylight_s : tz->standard_s;
}
