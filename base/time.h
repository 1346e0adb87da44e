/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * time.h -- instants and durations as text.
 *
 * An instant is int64_t milliseconds since 1970-01-01 UTC everywhere; text is
 * converted only at the edge.
 */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/zone.h"

/* Where the present comes from; tests hand down their own. */
struct clock {
    int64_t (*now_ms)(void *ctx);
    void *ctx;
};

struct clock clock_real(void);
int64_t clock_now_ms(const struct clock *clock);

/* Milliseconds of a clock that never jumps, for durations and deadlines. */
int64_t time_monotonic_ms(void);

/* The instants this program takes: years 1 to 9999. */
#define TIME_MIN_MS INT64_C(-62135596800000)
#define TIME_MAX_MS INT64_C(253402300799999)

/*
 * Reads RFC 3339 ("2026-03-29T02:30:00Z", fractions to ms, any offset), "YYYY-MM-DD"
 * with an optional " HH:MM[:SS[.fff]]", "YYYY/M/D" with an optional " H:MM[:SS]", or
 * an integer since 1970: seconds if below 1e11 in size, else milliseconds.  Text
 * without an offset is wall-clock time of zone.  ERR_INVALID says what is taken.
 */
int time_parse(const char *text, size_t len, const struct zone *zone, int64_t *time_ms,
               struct err *err);

enum { TIME_TEXT_SIZE = 32 };

/* RFC 3339 in UTC, with ".mmm" only where it is not zero. */
const char *time_format(int64_t time_ms, char text[static TIME_TEXT_SIZE]);

/* "1500ms", "15s", "5m", "1h", "1d", "2w"; one unit, a positive integer. */
int duration_parse(const char *text, int64_t *duration_ms, struct err *err);

/* The largest unit that divides it: 3600000 gives "1h". */
const char *duration_format(int64_t duration_ms, char text[static TIME_TEXT_SIZE]);

#endif
