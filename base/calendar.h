/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * calendar.h -- what the calendar says of every step, in somebody's zone.
 *
 *     hour      the local time of day: cosine and sine of one and of two turns a day
 *     weekday   seven columns, 1 on its day
 *     holiday   1 on a public holiday of a country (holidays.h)
 *
 * as columns of covariates (covariates.h) that were always known, in groups called
 * "calendar.hour" and so on.  A step is where its middle is.
 */
#ifndef CALENDAR_H
#define CALENDAR_H

#include "base/covariates.h"
#include "base/err.h"
#include "base/holidays.h"
#include "base/zone.h"

/* Those that need no more than a zone. */
enum calendar_part { CALENDAR_HOUR, CALENDAR_WEEKDAY, CALENDAR_PARTS };

/* "hour", "weekday"; -1 for any other word. */
int calendar_part_parse(const char *word);
const char *calendar_part_word(enum calendar_part part);

/* Adds the columns of the parts in a mask (bit p is part p), and that of holidays unless
 * NULL.  zone NULL: UTC. */
int calendar_add(struct covariates *covariates, const struct zone *zone, unsigned parts,
                 const struct holidays *holidays, struct err *err);

#endif
