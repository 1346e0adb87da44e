/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * holidays.h -- public holidays that a whole country keeps, by rule.
 *
 * Fixed days, days counted from Easter (Gregorian; Meeus, "Astronomical Algorithms",
 * chapter 8), the n-th weekday of a month, and what moves off a weekend.  Days that are
 * kept in a part of the country alone, and those that were once moved or given by decree,
 * are not among them: put a covariate for these.  GB is England and Wales.
 */
#ifndef HOLIDAYS_H
#define HOLIDAYS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/civil.h"

struct holidays;

/* Of a country by its ISO 3166 code ("DE"); NULL where there are no rules for it. */
const struct holidays *holidays_find(const char *country);
const char *holidays_country(const struct holidays *holidays);

/* The codes there are, with ", " between. */
const char *holidays_countries(void);

/* Whether a day (civil.h) is one. */
bool holidays_is(const struct holidays *holidays, int64_t days);

/* Easter Sunday. */
struct civil holidays_easter(int64_t year);

#endif
