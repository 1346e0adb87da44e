/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zone.h -- time zones, read from tzdata's TZif files (RFC 8536).
 *
 * Our own reader, because TZ and what libc makes of it belong to the whole process and
 * not to a thread.  A zone is read-only once loaded; any thread may use it.
 */
#ifndef ZONE_H
#define ZONE_H

#include <stdint.h>

#include "base/err.h"

struct zone;

/*
 * "UTC", a fixed offset such as "+02:00", or a name of the tz database
 * ("Europe/Berlin") looked up under $TZDIR or /usr/share/zoneinfo.  NULL with
 * ERR_INVALID for a name that is unknown or unsafe ("../x").
 */
struct zone *zone_load(const char *name, struct err *err)
    __attribute__((warn_unused_result));
void zone_free(struct zone *zone);
const char *zone_name(const struct zone *zone);

/* Seconds east of UTC at an instant.  NULL is UTC, here and below. */
int32_t zone_offset_s(const struct zone *zone, int64_t time_ms);

/*
 * The instant of a local wall-clock reading, given as ms since 1970 as if it were UTC.
 * An hour that happens twice means the first; one that is skipped moves forward by
 * the jump, as mktime() does it.
 */
int64_t zone_to_utc(const struct zone *zone, int64_t local_ms);

#endif
