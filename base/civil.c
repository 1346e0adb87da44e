/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/civil.h"

#include <stdbool.h>

enum {
    DAYS_PER_ERA = 146097,  /* 400 years */
    DAYS_TO_1970 = 719468,  /* from 0000-03-01 */
    DAYS_PER_4_YEARS = 1460 /* leap day not counted: it ends its four years */
};

int64_t civil_to_days(struct civil date)
{
    const int64_t year = date.year - (date.month <= 2);
    const int64_t era = floor_div(year, 400);
    const int64_t year_of_era = year - era * 400;
    const int64_t month = (date.month + 9) % 12; /* March is 0 */
    const int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

struct civil civil_from_days(int64_t days)
{
    const int64_t shifted = days + DAYS_TO_1970;
    const int64_t era = floor_div(shifted, DAYS_PER_ERA);
    const int64_t day_of_era = shifted - era * DAYS_PER_ERA;
    const int64_t year_of_era = (day_of_era - day_of_era / DAYS_PER_4_YEARS +
                                 day_of_era / 36524 - day_of_era / (DAYS_PER_ERA - 1)) /
                                365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int month = (int)((5 * day_of_year + 2) / 153); /* March is 0 */
    const int day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    const int calendar_month = month < 10 ? month + 3 : month - 9;
    return (struct civil){
        .year = era * 400 + year_of_era + (calendar_month <= 2),
        .month = calendar_month,
        .day = day,
    };
}

int civil_month_length(int64_t year, int month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return lengths[month - 1] + (month == 2 && leap);
}

int civil_weekday(int64_t days)
{
    return (int)(days + 4 - 7 * floor_div(days + 4, 7)); /* 1970-01-01 was a Thursday */
}
