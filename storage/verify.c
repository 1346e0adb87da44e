/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/verify.h"

#include <stdlib.h>

#include "storage/batch.h"
#include "storage/chunks_table.h"
#include "storage/rollups_table.h"
#include "storage/sql.h"
#include "storage/store.h"

int verify_found(struct verify *verify, const struct err *damage, struct err *err)
{
    if (!sql_unreadable(damage))
        return err_copy(err, damage);
    verify->each(verify->ctx, damage->msg);
    verify->verified->findings++;
    return 0;
}

/* SQLite's own pages have no checksums: this finds what is out of joint, not what is a
 * bit off. */
static int verify_pages(struct verify *verify, struct err *err)
{
    sqlite3_stmt *const stmt = sql_query(verify->db, err, "PRAGMA integrity_check", "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        const char *const text = (const char *)sqlite3_column_text(stmt, 0);
        if (!text || sqlite3_stricmp(text, "ok") == 0)
            continue;
        struct err damage = {0};
        err_set(&damage, ERR_CORRUPT, "database: %s", text);
        verify_found(verify, &damage, NULL);
    }
    sqlite3_finalize(stmt);
    return status;
}

static int verify_log(struct verify *verify, struct err *err)
{
    struct batch_samples samples = {0};
    sqlite3_stmt *const stmt =
        sql_query(verify->db, err, "SELECT id, batch FROM log ORDER BY id", "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        struct err damage = {0};
        int64_t arrived_ms;
        const void *const bytes = sqlite3_column_blob(stmt, 1);
        verify->verified->batches++;
        if (batch_decode(bytes, (size_t)sqlite3_column_bytes(stmt, 1), &samples,
                         &arrived_ms, &damage) == 0)
            continue;
        err_prefix(&damage, "row %lld of the log",
                   (long long)sqlite3_column_int64(stmt, 0));
        verify_found(verify, &damage, NULL);
    }
    sqlite3_finalize(stmt);
    batch_samples_fini(&samples);
    return status;
}

/* What the row says is what the chunk holds. */
static int check_chunk(struct chunk_scan *scan, struct err *damage)
{
    if (chunk_scan_decode(scan, damage))
        return -1;
    const struct chunk_row *const row = &scan->row;
    const struct sample *const last = &scan->sample[row->samples - 1];
    if (scan->sample[0].time_ms == row->first_ms && last->time_ms == row->last_ms &&
        last->value == row->last)
        return 0;
    return err_set(damage, ERR_CORRUPT,
                   "chunk of series %u at %lld: is not what its row says", row->series,
                   (long long)row->first_ms);
}

/* Walks over the chunks of a series and the hours beside them. */
struct walk {
    struct chunk_scan chunks;
    struct rollup_scan rollups;
    struct summaries want, got;
};

static void walk_fini(struct walk *walk)
{
    chunk_scan_fini(&walk->chunks);
    rollup_scan_fini(&walk->rollups);
    free(walk->want.at);
    free(walk->got.at);
}

/* Every hour of a rolled chunk is summed up, unless it was closed (slice_roll.c): then
 * there is another in its place.  Damaged hours are found elsewhere. */
static int check_hours(struct walk *walk, struct err *damage)
{
    const struct chunk_row *const row = &walk->chunks.row;
    walk->want.count = walk->got.count = 0;
    if (!row->rolled)
        return 0;
    bool fine = rollup_make(&walk->want, walk->chunks.sample, row->samples);
    struct err other = {0};
    if (rollup_scan_read(&walk->rollups, row->series, row->first_ms, row->last_ms + 1,
                         &walk->got, &other))
        return other.code == ERR_CORRUPT ? 0 : err_copy(damage, &other);
    for (size_t w = 0, g = 0; fine && w < walk->want.count; w++) {
        const struct summary *const want = &walk->want.at[w];
        while (g < walk->got.count && walk->got.at[g].last_ms < want->first_ms)
            g++;
        const struct summary *const got = &walk->got.at[g];
        fine = g < walk->got.count && got->first_ms <= want->last_ms &&
               (got->first_ms != want->first_ms || got->last_ms != want->last_ms ||
                got->count != want->count || got->sum == want->sum);
    }
    return fine ? 0
                : err_set(damage, ERR_CORRUPT,
                          "chunk of series %u at %lld: its hours are not summed up",
                          row->series, (long long)row->first_ms);
}

static int verify_series(struct verify *verify, struct walk *walk, uint32_t series,
                         struct err *err)
{
    struct chunk_scan *const scan = &walk->chunks;
    chunk_scan_seek(scan, series, INT64_MIN, INT64_MAX);
    for (;;) {
        struct err damage = {0};
        int status = chunk_scan_next(scan, &damage);
        if (status == 0)
            return 0;
        /* A damaged row is passed by; a failed step would begin again. */
        if (status < 0 && !sqlite3_stmt_busy(scan->stmt))
            return err_copy(err, &damage);
        verify->verified->chunks++;
        if (status == 1)
            status = check_chunk(scan, &damage) || check_hours(walk, &damage) ? -1 : 1;
        if (status < 0 && verify_found(verify, &damage, err))
            return -1;
    }
}

static int verify_chunks(struct verify *verify, struct err *err)
{
    struct walk walk = {0};
    sqlite3_stmt *stmt = NULL;
    int status = -1;
    if (chunk_scan_init(&walk.chunks, verify->db, err) == 0 &&
        rollup_scan_init(&walk.rollups, verify->db, err) == 0 &&
        (stmt = sql_query(verify->db, err, "SELECT DISTINCT series FROM chunks", "")))
        status = 1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1)
        status =
            verify_series(verify, &walk, (uint32_t)sqlite3_column_int64(stmt, 0), err)
                ? -1
                : 1;
    sqlite3_finalize(stmt);
    walk_fini(&walk);
    return status;
}

/* All parts see one moment of a store that is in use. */
int store_verify(const char *uri, store_finding *each, void *ctx,
                 struct store_verified *verified, struct err *err)
{
    *verified = (struct store_verified){0};
    struct verify verify = {.each = each, .ctx = ctx, .verified = verified};
    verify.db = store_connect(uri, err);
    int status = verify.db ? sql_exec(verify.db, "BEGIN", err) : -1;
    if (status == 0)
        status = verify_pages(&verify, err) || verify_log(&verify, err) ||
                         verify_chunks(&verify, err) || rollups_verify(&verify, err) ||
                         models_verify(&verify, err) || covariates_verify(&verify, err) ||
                         states_verify(&verify, err) || issues_verify(&verify, err) ||
                         calibrations_verify(&verify, err)
                     ? -1
                     : 0;
    sqlite3_close(verify.db);
    return status;
}
