/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/chunks_table.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "storage/sql.h"

static int64_t bits_of(double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static int64_t crc_of(const struct chunk_row *row)
{
    const int64_t field[] = {row->series,
                             row->samples,
                             row->first_ms,
                             row->last_ms,
                             bits_of(row->last),
                             row->data,
                             1};
    /* Rows of before there were any rolled ones stay as they are. */
    const size_t count = sizeof field / sizeof *field - !row->rolled;
    return (int64_t)crc32_z(0, (const void *)field, count * sizeof *field);
}

/* ---- rows ----------------------------------------------------------------------- */

int chunks_insert(sqlite3 *db, struct chunk_row *row, const void *bytes, size_t len,
                  struct err *err)
{
    if (sql_run(db, err, "INSERT INTO chunk_data(bytes) VALUES(?)", "b", bytes, len) < 0)
        return -1;
    row->data = sqlite3_last_insert_rowid(db);
    return sql_run(db, err,
                   "INSERT INTO chunks(series, first_ms, last_ms, samples, last_bits, "
                   "data, crc, rolled) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                   "iiiiiiii", (int64_t)row->series, row->first_ms, row->last_ms,
                   (int64_t)row->samples, bits_of(row->last), row->data, crc_of(row),
                   (int64_t)row->rolled) < 0
               ? -1
               : 0;
}

int chunks_delete(sqlite3 *db, const struct chunk_row *row, struct err *err)
{
    return sql_run(db, err, "DELETE FROM chunk_data WHERE id = ?", "i", row->data) < 0 ||
                   sql_run(db, err,
                           "DELETE FROM chunks WHERE series = ? AND first_ms = ?", "ii",
                           (int64_t)row->series, row->first_ms) < 0
               ? -1
               : 0;
}

#define ROW_COLUMNS                                                                      \
    "c.series, c.samples, c.first_ms, c.last_ms, c.last_bits, c.data, c.crc, c.rolled"

static int read_row(sqlite3_stmt *stmt, struct chunk_row *row, struct err *err)
{
    const int64_t bits = sqlite3_column_int64(stmt, 4);
    *row = (struct chunk_row){
        .series = (uint32_t)sqlite3_column_int64(stmt, 0),
        .samples = (uint32_t)sqlite3_column_int64(stmt, 1),
        .first_ms = sqlite3_column_int64(stmt, 2),
        .last_ms = sqlite3_column_int64(stmt, 3),
        .data = sqlite3_column_int64(stmt, 5),
        .rolled = sqlite3_column_int64(stmt, 7) != 0,
    };
    memcpy(&row->last, &bits, sizeof bits);
    if (sqlite3_column_int64(stmt, 6) == crc_of(row))
        return 0;
    return err_set(err, ERR_CORRUPT,
                   "chunk of series %u at %lld: its row is damaged; restore the state "
                   "folder from a backup",
                   row->series, (long long)row->first_ms);
}

int chunks_load(sqlite3 *db, struct head *head, uint32_t series_count, struct err *err)
{
    sqlite3_stmt *const stmt = sql_query(
        db, err, "SELECT " ROW_COLUMNS " FROM chunks c ORDER BY c.series, c.first_ms",
        "");
    struct head_chunks chunks = {0};
    struct chunk_row row = {0};
    uint32_t series = 0;
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        if (read_row(stmt, &row, err))
            status = -1;
        else if (row.series == 0 || row.series > series_count ||
                 row.last_ms < row.first_ms ||
                 (row.series == series && row.first_ms <= chunks.last_ms))
            status = err_set(err, ERR_CORRUPT,
                             "chunk of series %u at %lld: makes no sense; restore the "
                             "state folder from a backup",
                             row.series, (long long)row.first_ms);
        if (status < 0)
            break;
        if (row.series != series)
            chunks = (struct head_chunks){.first_ms = row.first_ms};
        series = row.series;
        chunks.samples += row.samples;
        chunks.last_ms = row.last_ms;
        chunks.last = row.last;
        head_set_chunks(head, series, &chunks);
    }
    sqlite3_finalize(stmt);
    return status;
}

/* ---- walks ---------------------------------------------------------------------- */

#define SCAN(by, which)                                                                  \
    "SELECT " ROW_COLUMNS " FROM chunks c " by "WHERE c.series = ?1 " which              \
    "AND c.first_ms < ?3 AND "                                                           \
    "c.first_ms >= coalesce((SELECT max(first_ms) FROM chunks c " by                     \
    "WHERE series = ?1 " which "AND first_ms <= ?2), ?2) ORDER BY c.first_ms"

static int scan_init(struct chunk_scan *scan, sqlite3 *db, const char *sql,
                     struct err *err)
{
    *scan = (struct chunk_scan){0};
    scan->stmt = sql_query(db, err, sql, "");
    scan->bytes = sql_query(db, err, "SELECT bytes FROM chunk_data WHERE id = ?", "");
    if (!scan->stmt || !scan->bytes)
        return -1;
    scan->coder = chunk_coder_new();
    return 0;
}

int chunk_scan_init(struct chunk_scan *scan, sqlite3 *db, struct err *err)
{
    return scan_init(scan, db, SCAN("", ""), err);
}

/* Left alone, the planner walks over the rolled ones too. */
int chunk_scan_init_loose(struct chunk_scan *scan, sqlite3 *db, struct err *err)
{
    return scan_init(scan, db, SCAN("INDEXED BY chunks_loose ", "AND c.rolled = 0 "),
                     err);
}

void chunk_scan_fini(struct chunk_scan *scan)
{
    sqlite3_finalize(scan->stmt);
    sqlite3_finalize(scan->bytes);
    chunk_coder_free(scan->coder);
    free(scan->sample);
    *scan = (struct chunk_scan){0};
}

void chunk_scan_seek(struct chunk_scan *scan, uint32_t series, int64_t from_ms,
                     int64_t to_ms)
{
    scan->row = (struct chunk_row){0};
    sqlite3_reset(scan->stmt);
    sqlite3_bind_int64(scan->stmt, 1, series);
    sqlite3_bind_int64(scan->stmt, 2, from_ms);
    sqlite3_bind_int64(scan->stmt, 3, to_ms);
}

int chunk_scan_next(struct chunk_scan *scan, struct err *err)
{
    const int status = sql_step(scan->stmt, err);
    if (status == 1)
        return read_row(scan->stmt, &scan->row, err) ? -1 : 1;
    chunk_scan_rest(scan);
    return status;
}

static int decode(struct chunk_scan *scan, struct err *err)
{
    const struct chunk_row *const row = &scan->row;
    const int status = sql_step(scan->bytes, err);
    if (status == 0)
        return err_set(err, ERR_CORRUPT, "chunk: its bytes are gone");
    if (status < 0)
        return -1;
    const void *const bytes = sqlite3_column_blob(scan->bytes, 0);
    const size_t len = (size_t)sqlite3_column_bytes(scan->bytes, 0);
    size_t count;
    if (chunk_count(bytes, len, &count, err))
        return -1;
    if (count != row->samples)
        return err_set(err, ERR_CORRUPT, "chunk: has %zu samples, its row says %u", count,
                       row->samples);
    if (count > scan->cap) {
        scan->cap = count;
        scan->sample = mem_resize(scan->sample, count, sizeof *scan->sample);
    }
    return chunk_decode(scan->coder, row->series, bytes, len, scan->sample, count, err);
}

int chunk_scan_decode(struct chunk_scan *scan, struct err *err)
{
    sqlite3_bind_int64(scan->bytes, 1, scan->row.data);
    const int status = decode(scan, err);
    sqlite3_reset(scan->bytes);
    if (status == 0)
        return 0;
    err_prefix(err,
               "chunk of series %u at %lld %s, restore the state folder from a backup",
               scan->row.series, (long long)scan->row.first_ms,
               err && err->code == ERR_CORRUPT ? "is damaged" : "cannot be read");
    return -1;
}

void chunk_scan_rest(struct chunk_scan *scan)
{
    sqlite3_reset(scan->stmt);
}

/* ---- head against chunks --------------------------------------------------------- */

/* Goes through both while they are in the same stretch of time; what is kept moves to
 * the front. */
struct walk {
    struct sample *sample;
    size_t count, at, kept;
    uint32_t covered;
};

static void walk_chunk(struct walk *walk, const struct sample *chunk, size_t count)
{
    for (size_t c = 0; c < count && walk->at < walk->count;) {
        const struct sample *const sample = &walk->sample[walk->at];
        if (chunk[c].time_ms < sample->time_ms) {
            c++;
            continue;
        }
        const bool covered = chunk[c].time_ms == sample->time_ms;
        const bool same = covered && bits_of(chunk[c].value) == bits_of(sample->value);
        walk->covered += covered && !same;
        if (!same)
            walk->sample[walk->kept++] = *sample;
        walk->at++;
    }
}

static bool is_among(int64_t id, const int64_t *ids, size_t count)
{
    while (count > 0 && ids[count - 1] != id)
        count--;
    return count > 0;
}

int chunks_reconcile(struct chunk_scan *scan, uint32_t series, struct sample *samples,
                     size_t *count, uint32_t *covered, const int64_t *unread,
                     size_t unread_count, struct err *err)
{
    sqlite3 *const db = sqlite3_db_handle(scan->stmt);
    const bool writing = !sqlite3_get_autocommit(db);
    struct walk walk = {.sample = samples, .count = *count};
    int status = 0;
    if (*count > 0) {
        chunk_scan_seek(scan, series, samples[0].time_ms,
                        samples[*count - 1].time_ms + 1);
        while ((status = chunk_scan_next(scan, err)) == 1) {
            struct err damage = {0};
            if (is_among(scan->row.data, unread, unread_count))
                continue;
            if (chunk_scan_decode(scan, &damage) == 0)
                walk_chunk(&walk, scan->sample, scan->row.samples);
            else if (writing && sqlite3_get_autocommit(db))
                return err_copy(err, &damage);
        }
    }
    while (walk.at < walk.count)
        walk.sample[walk.kept++] = walk.sample[walk.at++];
    *count = walk.kept;
    *covered = walk.covered;
    return status;
}
