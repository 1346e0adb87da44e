/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * civil.h -- days and dates of the proleptic Gregorian calendar.
 *
 * Days count from 1970-01-01.  Months are 1..12 and days of the month 1..31, as people
 * write them.  The arithmetic is Howard Hinnant's ("chrono-Compatible Low-Level Date
 * Algorithms"): eras of 400 years whose years begin in March, so that the leap day is
 * the last of its year.
 */
#ifndef CIVIL_H
#define CIVIL_H

#include <stdint.h>

struct civil {
    int64_t year;
    int month, day;
};

int64_t civil_to_days(struct civil date);
struct civil civil_from_days(int64_t days);

/* 28 to 31. */
int civil_month_length(int64_t year, int month);

/* 0 is Sunday. */
int civil_weekday(int64_t days);

/* a / b rounded down, for instants before 1970; b > 0. */
static inline int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

#endif
