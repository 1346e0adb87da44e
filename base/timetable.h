/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timetable.h -- when something is due: at an interval, or as cron(8) would say.
 *
 * An interval falls on its multiples since 1970 UTC, moved by an offset; it knows no
 * daylight saving.  A cron expression has five fields,
 *
 *     minute 0-59   hour 0-23   day of month 1-31   month 1-12 or jan-dec
 *     day of week 0-7 or sun-sat (0 and 7 are Sunday)
 *
 * each a list of `*`, a number, a range a-b, or one of these with a step, such as
 * `5-20/5` (`N/step` begins at N).  Where both days are restricted (neither begins with
 * `*`), either will do.  It is read on the wall clock of a zone:
 *
 *   - With every hour allowed it follows the time that passes: what the clock skips never
 *     happens, and of the hour that comes twice each minute counts.
 *   - With particular hours it fires once for every reading: for a reading that the clock
 *     skips, at the instant of the jump; for one that comes twice, the first time.
 */
#ifndef TIMETABLE_H
#define TIMETABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/zone.h"

struct timetable {
    int64_t every_ms, offset_ms; /* every_ms 0: cron */
    struct zone *zone;           /* owned; NULL: UTC */
    uint64_t minutes;            /* bit n: minute n, and so on */
    uint32_t hours, days, months, weekdays;
    bool either_day;
};

/* every_ms > 0. */
struct timetable timetable_every(int64_t every_ms, int64_t offset_ms);

/* zone is owned by the result, and freed on failure.  ERR_INVALID names the field of the
 * expression, or says that no date will ever match. */
int timetable_cron(const char *text, struct zone *zone, struct timetable *out,
                   struct err *err);

void timetable_fini(struct timetable *timetable);

/* The first instant after after_ms at which it is due. */
int64_t timetable_next(const struct timetable *timetable, int64_t after_ms);

/* The last instant in (after_ms, until_ms]; false when there is none. */
bool timetable_last(const struct timetable *timetable, int64_t after_ms, int64_t until_ms,
                    int64_t *last_ms);

#endif
