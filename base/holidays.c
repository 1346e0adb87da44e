/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/holidays.h"

#include <stddef.h>
#include <string.h>

enum kind {
    END, /* of a country's rules */
    FIXED,
    EASTER, /* day is an offset */
    NTH,    /* day is which of the month, -1 the last */
    AFTER,  /* the first such weekday from a day on */
};

enum { SUN, MON, TUE, WED, THU, FRI, SAT };

/* What becomes of a day that falls on a weekend. */
enum move {
    STAYS,
    NEAREST,     /* Saturday to Friday before, Sunday to Monday after; kept on both */
    MONDAY,      /* to the next Monday; kept on both */
    TWO_ON,      /* two days on; kept on both */
    SAT_FOR_SUN, /* from Sunday to the Saturday before, and not kept on the Sunday */
};

struct rule {
    enum kind kind;
    int month, day, weekday;
    enum move move;
    int since, until; /* years; 0: no bound */
};

enum { RULES_MAX = 16 };

struct holidays {
    const char *country;
    struct rule rules[RULES_MAX];
};

#define ON(month, day)                                                                   \
    {                                                                                    \
        FIXED, month, day, 0, STAYS, 0, 0                                                \
    }
#define ON_SINCE(month, day, year)                                                       \
    {                                                                                    \
        FIXED, month, day, 0, STAYS, year, 0                                             \
    }
#define MOVED(month, day, how, year)                                                     \
    {                                                                                    \
        FIXED, month, day, 0, how, year, 0                                               \
    }
#define EASTER_AND(offset)                                                               \
    {                                                                                    \
        EASTER, 0, offset, 0, STAYS, 0, 0                                                \
    }
#define WEEKDAY(n, weekday, month)                                                       \
    {                                                                                    \
        NTH, month, n, weekday, STAYS, 0, 0                                              \
    }
#define FROM(month, day, weekday)                                                        \
    {                                                                                    \
        AFTER, month, day, weekday, STAYS, 0, 0                                          \
    }

/* clang-format off */
enum { THURSDAY = -3, GOOD_FRIDAY = -2, SUNDAY = 0, EASTER_MONDAY = 1, PRAYER = 26,
       ASCENSION = 39, WHIT_SUNDAY = 49, WHIT_MONDAY = 50, CORPUS_CHRISTI = 60 };

static const struct holidays table[] = {
    {"AT", {ON(1, 1), ON(1, 6), EASTER_AND(EASTER_MONDAY), ON(5, 1), EASTER_AND(ASCENSION),
            EASTER_AND(WHIT_MONDAY), EASTER_AND(CORPUS_CHRISTI), ON(8, 15), ON(10, 26), ON(11, 1),
            ON(12, 8), ON(12, 25), ON(12, 26)}},
    {"BE", {ON(1, 1), EASTER_AND(EASTER_MONDAY), ON(5, 1), EASTER_AND(ASCENSION),
            EASTER_AND(WHIT_MONDAY), ON(7, 21), ON(8, 15), ON(11, 1), ON(11, 11), ON(12, 25)}},
    {"CH", {ON(1, 1), EASTER_AND(ASCENSION), ON(8, 1), ON(12, 25)}},
    {"CZ", {ON(1, 1), {EASTER, 0, GOOD_FRIDAY, 0, STAYS, 2016, 0}, EASTER_AND(EASTER_MONDAY), ON(5, 1),
            ON(5, 8), ON(7, 5), ON(7, 6), ON(9, 28), ON(10, 28), ON(11, 17), ON(12, 24), ON(12, 25),
            ON(12, 26)}},
    {"DE", {ON(1, 1), EASTER_AND(GOOD_FRIDAY), EASTER_AND(EASTER_MONDAY), ON(5, 1),
            EASTER_AND(ASCENSION), EASTER_AND(WHIT_MONDAY), ON_SINCE(10, 3, 1990), ON(12, 25),
            ON(12, 26)}},
    {"DK", {ON(1, 1), EASTER_AND(THURSDAY), EASTER_AND(GOOD_FRIDAY), EASTER_AND(EASTER_MONDAY),
            {EASTER, 0, PRAYER, 0, STAYS, 0, 2023}, EASTER_AND(ASCENSION), EASTER_AND(WHIT_MONDAY),
            ON(12, 25), ON(12, 26)}},
    {"ES", {ON(1, 1), ON(1, 6), EASTER_AND(GOOD_FRIDAY), ON(5, 1), ON(8, 15), ON(10, 12), ON(11, 1),
            ON(12, 6), ON(12, 8), ON(12, 25)}},
    {"FI", {ON(1, 1), ON(1, 6), EASTER_AND(GOOD_FRIDAY), EASTER_AND(EASTER_MONDAY), ON(5, 1),
            EASTER_AND(ASCENSION), FROM(6, 20, SAT), FROM(10, 31, SAT), ON(12, 6), ON(12, 25),
            ON(12, 26)}},
    {"FR", {ON(1, 1), EASTER_AND(EASTER_MONDAY), ON(5, 1), ON(5, 8), EASTER_AND(ASCENSION),
            EASTER_AND(WHIT_MONDAY), ON(7, 14), ON(8, 15), ON(11, 1), ON(11, 11), ON(12, 25)}},
    {"GB", {MOVED(1, 1, MONDAY, 0), EASTER_AND(GOOD_FRIDAY), EASTER_AND(EASTER_MONDAY),
            WEEKDAY(1, MON, 5), WEEKDAY(-1, MON, 5), WEEKDAY(-1, MON, 8), MOVED(12, 25, TWO_ON, 0),
            MOVED(12, 26, TWO_ON, 0)}},
    {"IT", {ON(1, 1), ON(1, 6), EASTER_AND(SUNDAY), EASTER_AND(EASTER_MONDAY), ON(4, 25), ON(5, 1),
            ON(6, 2), ON(8, 15), ON(11, 1), ON(12, 8), ON(12, 25), ON(12, 26)}},
    {"NL", {ON(1, 1), EASTER_AND(EASTER_MONDAY), MOVED(4, 27, SAT_FOR_SUN, 2014),
            EASTER_AND(ASCENSION), EASTER_AND(WHIT_MONDAY), ON(12, 25), ON(12, 26)}},
    {"NO", {ON(1, 1), EASTER_AND(THURSDAY), EASTER_AND(GOOD_FRIDAY), EASTER_AND(EASTER_MONDAY),
            ON(5, 1), ON(5, 17), EASTER_AND(ASCENSION), EASTER_AND(WHIT_MONDAY), ON(12, 25),
            ON(12, 26)}},
    {"PL", {ON(1, 1), ON_SINCE(1, 6, 2011), EASTER_AND(SUNDAY), EASTER_AND(EASTER_MONDAY), ON(5, 1),
            ON(5, 3), EASTER_AND(WHIT_SUNDAY), EASTER_AND(CORPUS_CHRISTI), ON(8, 15), ON(11, 1),
            ON(11, 11), ON_SINCE(12, 24, 2025), ON(12, 25), ON(12, 26)}},
    {"PT", {ON(1, 1), EASTER_AND(GOOD_FRIDAY), EASTER_AND(SUNDAY), ON(4, 25), ON(5, 1),
            EASTER_AND(CORPUS_CHRISTI), ON(6, 10), ON(8, 15), ON(10, 5), ON(11, 1), ON(12, 1),
            ON(12, 8), ON(12, 25)}},
    {"SE", {ON(1, 1), ON(1, 6), EASTER_AND(GOOD_FRIDAY), EASTER_AND(EASTER_MONDAY), ON(5, 1),
            EASTER_AND(ASCENSION), ON_SINCE(6, 6, 2005), FROM(6, 20, SAT), FROM(10, 31, SAT),
            ON(12, 25), ON(12, 26)}},
    {"US", {MOVED(1, 1, NEAREST, 0), WEEKDAY(3, MON, 1), WEEKDAY(3, MON, 2), WEEKDAY(-1, MON, 5),
            MOVED(6, 19, NEAREST, 2021), MOVED(7, 4, NEAREST, 0), WEEKDAY(1, MON, 9),
            WEEKDAY(2, MON, 10), MOVED(11, 11, NEAREST, 0), WEEKDAY(4, THU, 11),
            MOVED(12, 25, NEAREST, 0)}},
};
/* clang-format on */

const struct holidays *holidays_find(const char *country)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].country, country) == 0)
            return &table[i];
    return NULL;
}

const char *holidays_country(const struct holidays *holidays)
{
    return holidays->country;
}

const char *holidays_countries(void)
{
    return "AT, BE, CH, CZ, DE, DK, ES, FI, FR, GB, IT, NL, NO, PL, PT, SE, US";
}

struct civil holidays_easter(int64_t year)
{
    const int64_t a = year % 19, b = year / 100, c = year % 100;
    const int64_t h = (19 * a + b - b / 4 - (b - (b + 8) / 25 + 1) / 3 + 15) % 30;
    const int64_t l = (32 + 2 * (b % 4) + 2 * (c / 4) - h - c % 4) % 7;
    const int64_t m = (a + 11 * h + 22 * l) / 451, n = h + l - 7 * m + 114;
    return (struct civil){year, (int)(n / 31), (int)(n % 31 + 1)};
}

/* The first of a weekday from a day on. */
static int64_t weekday_from(int64_t days, int weekday)
{
    return days + (weekday - civil_weekday(days) + 7) % 7;
}

static int64_t day_of(const struct rule *r, int64_t year)
{
    const int64_t first = civil_to_days((struct civil){year, r->month ? r->month : 1, 1});
    switch (r->kind) {
    case EASTER:
        return civil_to_days(holidays_easter(year)) + r->day;
    case NTH:
        return r->day > 0 ? weekday_from(first + 7 * (r->day - 1), r->weekday)
                          : weekday_from(first + civil_month_length(year, r->month) - 7,
                                         r->weekday);
    case AFTER:
        return weekday_from(first + r->day - 1, r->weekday);
    default:
        return first + r->day - 1;
    }
}

/* Where a day goes that falls on a weekend. */
static int64_t moved(enum move move, int64_t days)
{
    const int weekday = civil_weekday(days);
    if (weekday != SAT && weekday != SUN)
        return days;
    switch (move) {
    case NEAREST:
        return weekday == SAT ? days - 1 : days + 1;
    case MONDAY:
        return weekday_from(days, MON);
    case TWO_ON:
        return days + 2;
    case SAT_FOR_SUN:
        return weekday == SUN ? days - 1 : days;
    case STAYS:
        break;
    }
    return days;
}

static bool is_kept(const struct rule *r, int64_t year, int64_t days)
{
    if ((r->since && year < r->since) || (r->until && year > r->until))
        return false;
    const int64_t day = day_of(r, year), other = moved(r->move, day);
    return days == other || (days == day && r->move != SAT_FOR_SUN);
}

bool holidays_is(const struct holidays *holidays, int64_t days)
{
    const int64_t year = civil_from_days(days).year;
    for (const struct rule *r = holidays->rules; r->kind != END; r++)
        if (is_kept(r, year, days) ||
            is_kept(r, year + 1, days)) /* New Year's Day, moved back */
            return true;
    return false;
}
