/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/verify.h"

#include "storage/batch.h"
#include "storage/chunks_table.h"
#include "storage/sql.h"
#include "storage/store.h"

int verify_found(struct verify *verify, const struct err *damage, struct err *err)
{
    if (damage->code != ERR_CORRUPT)
        return err_set(err, damage->code, "%s", damage->msg);
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

static int verify_series(struct verify *verify, struct chunk_scan *scan, uint32_t series,
                         struct err *err)
{
    chunk_scan_seek(scan, series, INT64_MIN, INT64_MAX);
    for (;;) {
        struct err damage = {0};
        int status = chunk_scan_next(scan, &damage);
        if (status == 0)
            return 0;
        /* A damaged row is passed by; a failed step would begin again. */
        if (status < 0 && !sqlite3_stmt_busy(scan->stmt))
            return err_set(err, damage.code, "%s", damage.msg);
        verify->verified->chunks++;
        if (status == 1)
            status = check_chunk(scan, &damage);
        if (status < 0 && verify_found(verify, &damage, err))
            return -1;
    }
}

static int verify_chunks(struct verify *verify, struct err *err)
{
    struct chunk_scan scan;
    if (chunk_scan_init(&scan, verify->db, err))
        return -1;
    sqlite3_stmt *const stmt =
        sql_query(verify->db, err, "SELECT DISTINCT series FROM chunks", "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1)
        status =
            verify_series(verify, &scan, (uint32_t)sqlite3_column_int64(stmt, 0), err)
                ? -1
                : 1;
    sqlite3_finalize(stmt);
    chunk_scan_fini(&scan);
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
                         verify_chunks(&verify, err) || models_verify(&verify, err) ||
                         covariates_verify(&verify, err) || issues_verify(&verify, err)
                     ? -1
                     : 0;
    sqlite3_close(verify.db);
    return status;
}
