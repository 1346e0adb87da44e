/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/rollups_table.h"

#include <stdlib.h>
#include <string.h>

#include "storage/sql.h"
#include "storage/verify.h"

/* Windows of the years 1 to 9999 take 19 bits. */
enum { WINDOW_BITS = 20 };

static int64_t key_of(uint32_t series, uint32_t window)
{
    return (int64_t)series << WINDOW_BITS | window;
}

int rollup_scan_init(struct rollup_scan *scan, sqlite3 *db, struct err *err)
{
    *scan = (struct rollup_scan){0};
    scan->stmt = sql_query(db, err,
                           "SELECT id, bytes FROM rollups WHERE id >= ? AND id <= ? "
                           "ORDER BY id",
                           "");
    if (!scan->stmt)
        return -1;
    scan->coder = rollup_coder_new();
    return 0;
}

void rollup_scan_fini(struct rollup_scan *scan)
{
    sqlite3_finalize(scan->stmt);
    rollup_coder_free(scan->coder);
    *scan = (struct rollup_scan){0};
}

static int decode_row(sqlite3_stmt *stmt, struct rollup_coder *coder,
                      struct summaries *out, struct err *err)
{
    const int64_t key = sqlite3_column_int64(stmt, 0);
    const uint32_t series = (uint32_t)(key >> WINDOW_BITS);
    const uint32_t window = (uint32_t)key & ((1U << WINDOW_BITS) - 1);
    if (rollup_decode(coder, series, window, sqlite3_column_blob(stmt, 1),
                      (size_t)sqlite3_column_bytes(stmt, 1), out, err) == 0)
        return 0;
    err_prefix(err,
               "hours of series %u from %lld on are damaged, restore the state "
               "folder from a backup",
               series, (long long)rollup_begin_ms(window));
    return -1;
}

/* Takes out what lies outside of [from_ms, to_ms), from place `first` on. */
static void crop(struct summaries *list, size_t first, int64_t from_ms, int64_t to_ms)
{
    size_t begin = first, end = list->count;
    while (begin < end && list->at[begin].last_ms < from_ms)
        begin++;
    while (end > begin && list->at[end - 1].first_ms >= to_ms)
        end--;
    if (begin > first)
        memmove(list->at + first, list->at + begin, (end - begin) * sizeof *list->at);
    list->count = first + (end - begin);
}

int rollup_scan_read(struct rollup_scan *scan, uint32_t series, int64_t from_ms,
                     int64_t to_ms, struct summaries *out, struct err *err)
{
    if (from_ms >= to_ms)
        return 0;
    const size_t first = out->count;
    sqlite3_bind_int64(scan->stmt, 1, key_of(series, rollup_window(from_ms)));
    sqlite3_bind_int64(scan->stmt, 2, key_of(series, rollup_window(to_ms - 1)));
    int status;
    while ((status = sql_step(scan->stmt, err)) == 1)
        if (decode_row(scan->stmt, scan->coder, out, err)) {
            status = -1;
            break;
        }
    sqlite3_reset(scan->stmt);
    crop(out, first, from_ms, to_ms);
    return status;
}

int rollups_put(sqlite3 *db, uint32_t series, uint32_t window, const void *bytes,
                size_t len, struct err *err)
{
    const int64_t key = key_of(series, window);
    const int changed =
        len > 0 ? sql_run(db, err, "REPLACE INTO rollups(id, bytes) VALUES(?, ?)", "ib",
                          key, bytes, len)
                : sql_run(db, err, "DELETE FROM rollups WHERE id = ?", "i", key);
    return changed < 0 ? -1 : 0;
}

int rollups_drop(sqlite3 *db, uint32_t series, int64_t before_ms, struct err *err)
{
    return sql_run(db, err, "DELETE FROM rollups WHERE id >= ? AND id < ?", "ii",
                   key_of(series, 0), key_of(series, rollup_window(before_ms)));
}

int rollups_any(sqlite3 *db, uint32_t series, bool *any, struct err *err)
{
    int64_t found;
    if (sql_value(db, err, &found,
                  "SELECT EXISTS(SELECT 1 FROM rollups WHERE id >= ? AND id < ?)", "ii",
                  key_of(series, 0), key_of(series + 1, 0)))
        return -1;
    *any = found != 0;
    return 0;
}

int rollups_verify(struct verify *verify, struct err *err)
{
    struct rollup_coder *const coder = rollup_coder_new();
    struct summaries summaries = {0};
    sqlite3_stmt *const stmt =
        sql_query(verify->db, err, "SELECT id, bytes FROM rollups ORDER BY id", "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        struct err damage = {0};
        summaries.count = 0;
        verify->verified->rollups++;
        if (decode_row(stmt, coder, &summaries, &damage) &&
            verify_found(verify, &damage, err))
            status = -1;
    }
    sqlite3_finalize(stmt);
    rollup_coder_free(coder);
    free(summaries.at);
    return status;
}
