/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * posix_tz.h -- the rule that a TZif file ends with: "EST5EDT,M3.2.0,M11.1.0".
 *
 * POSIX.1's TZ string with the extensions of RFC 8536 (hours -167..167 in a rule).  It
 * says what holds after the last transition of the file's table.
 */
#ifndef POSIX_TZ_H
#define POSIX_TZ_H

#include <stdbool.h>
#include <stdint.h>

struct posix_tz_day {
    enum { DAY_JULIAN, DAY_OF_YEAR, DAY_OF_WEEK } kind; /* Jn, n, Mm.w.d */
    int day;                                            /* n, or the weekday */
    int month, week;                                    /* of DAY_OF_WEEK */
    int32_t time_s;                                     /* since local midnight */
};

struct posix_tz {
    int32_t standard_s, daylight_s; /* seconds east of UTC */
    bool has_daylight;
    struct posix_tz_day begin, end; /* of daylight time */
};

/* False when text (zero-terminated) is no such rule. */
bool posix_tz_parse(const char *text, struct posix_tz *out);

int32_t posix_tz_offset_s(const struct posix_tz *tz, int64_t time_s);

#endif
