/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rollups_table.h -- windows of hourly summaries (rollup.h) as rows.
 *
 * A row's key is series and window in one integer, so that the windows of a series lie
 * side by side.  Rows outlive the chunks that they were made from.
 */
#ifndef STORAGE_ROLLUPS_TABLE_H
#define STORAGE_ROLLUPS_TABLE_H

#include <sqlite3.h>

#include "base/err.h"
#include "storage/rollup.h"

/* Statement and memory for many reads. */
struct rollup_scan {
    sqlite3_stmt *stmt;
    struct rollup_coder *coder;
};
int rollup_scan_init(struct rollup_scan *scan, sqlite3 *db, struct err *err);
void rollup_scan_fini(struct rollup_scan *scan);

/* Appends the summaries of a series that have an instant in [from_ms, to_ms).
 * ERR_CORRUPT names series and window. */
int rollup_scan_read(struct rollup_scan *scan, uint32_t series, int64_t from_ms,
                     int64_t to_ms, struct summaries *out, struct err *err);

/* Puts a window in place; no bytes: there is none from now on. */
int rollups_put(sqlite3 *db, uint32_t series, uint32_t window, const void *bytes,
                size_t len, struct err *err);
/* Deletes the windows of a series that end at or before an instant; how many, or -1. */
int rollups_drop(sqlite3 *db, uint32_t series, int64_t before_ms, struct err *err);
/* Whether a series has any. */
int rollups_any(sqlite3 *db, uint32_t series, bool *any, struct err *err);

#endif
