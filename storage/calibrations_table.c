/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calibrations of the ledger: appended here, never changed, checked at reading.
 */
#include "storage/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/ledger.h"
#include "storage/sql.h"
#include "storage/verify.h"

#define CALIBRATION_COLUMNS "number, revision, model_id, made_ms, body, opening, chain"

void store_calibration_fini(struct store_calibration *calibration)
{
    free(calibration->body);
    *calibration = (struct store_calibration){0};
}

int ledger_calibration_chain(sqlite3 *db, const char *forecaster, int64_t number,
                             unsigned char out[static STORE_HASH_SIZE], bool *found,
                             struct err *err)
{
    return sql_hash(
        sql_query(db, err,
                  "SELECT chain FROM calibrations WHERE forecaster = ? AND number = ?",
                  "si", forecaster, number),
        out, found, err);
}

/* ---- appending ------------------------------------------------------------------- */

struct append {
    const char *forecaster;
    const struct store_calibration *calibration;
    int64_t number;
};

static int append_run(struct store *store, void *arg, struct err *err)
{
    struct append *const append = arg;
    struct store_calibration c = *append->calibration;
    unsigned char opening[STORE_HASH_SIZE], chain[STORE_HASH_SIZE];
    bool found;
    if (sql_value(store->db, err, &c.number,
                  "SELECT coalesce(max(number), 0) FROM calibrations "
                  "WHERE forecaster = ?",
                  "s", append->forecaster) ||
        ledger_calibration_chain(store->db, append->forecaster, c.number, opening, &found,
                                 err))
        return -1;
    c.number++;
    ledger_calibration(opening, append->forecaster, &c, chain);
    append->number = c.number;
    return sql_run(store->db, err,
                   "INSERT INTO calibrations(forecaster, " CALIBRATION_COLUMNS ") "
                   "VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                   "siiiisbb", append->forecaster, c.number, c.revision, c.model_id,
                   c.made_ms, c.body, (const void *)opening, (size_t)STORE_HASH_SIZE,
                   (const void *)chain, (size_t)STORE_HASH_SIZE) < 0
               ? -1
               : 0;
}

int store_calibration_append(struct store *store, const char *forecaster,
                             const struct store_calibration *calibration, int64_t *number,
                             struct err *err)
{
    struct append append = {.forecaster = forecaster, .calibration = calibration};
    const int status = writer_call(store, append_run, &append, err);
    *number = append.number;
    return status;
}

/* ---- reading --------------------------------------------------------------------- */

/* A row of CALIBRATION_COLUMNS, once it matches its chain. */
static int read_row(sqlite3_stmt *stmt, const char *forecaster,
                    struct store_calibration *out, struct err *err)
{
    unsigned char chain[STORE_HASH_SIZE];
    *out = (struct store_calibration){
        .number = sqlite3_column_int64(stmt, 0),
        .revision = sqlite3_column_int64(stmt, 1),
        .model_id = sqlite3_column_int64(stmt, 2),
        .made_ms = sqlite3_column_int64(stmt, 3),
        .body = sql_text(stmt, 4),
    };
    const void *const opening = sqlite3_column_blob(stmt, 5);
    const void *const stored = sqlite3_column_blob(stmt, 6);
    bool fine = sqlite3_column_bytes(stmt, 5) == STORE_HASH_SIZE &&
                sqlite3_column_bytes(stmt, 6) == STORE_HASH_SIZE;
    if (fine) {
        ledger_calibration(opening, forecaster, out, chain);
        fine = memcmp(chain, stored, sizeof chain) == 0;
    }
    if (fine)
        return 0;
    err_set(err, ERR_CORRUPT,
            "calibration: number %lld of %s does not match its chain; restore the state "
            "folder from a backup",
            (long long)out->number, forecaster);
    store_calibration_fini(out);
    return -1;
}

/* The first row of a statement, which it finalizes; 0 where there is none. */
static int read_first(struct store *store, sqlite3 *db, sqlite3_stmt *stmt,
                      const char *forecaster, struct store_calibration *out,
                      struct err *err)
{
    int status = stmt ? sql_step(stmt, err) : -1;
    if (status == 1 && read_row(stmt, forecaster, out, err))
        status = -1;
    sqlite3_finalize(stmt);
    store_reader_give(store, db);
    return status;
}

int store_calibration_newest(struct store *store, const char *forecaster,
                             int64_t model_id, int64_t at_ms,
                             struct store_calibration *out, struct err *err)
{
    *out = (struct store_calibration){0};
    sqlite3 *const db = store_reader_take(store, err);
    if (!db)
        return -1;
    const int found = read_first(
        store, db,
        sql_query(db, err,
                  "SELECT " CALIBRATION_COLUMNS " FROM calibrations WHERE forecaster = ? "
                  "AND model_id = ? AND made_ms <= ? ORDER BY number DESC LIMIT 1",
                  "sii", forecaster, model_id, at_ms),
        forecaster, out, err);
    return found == 0
               ? err_set(err, ERR_NOT_FOUND, "calibration: %s has none of model %lld",
                         forecaster, (long long)model_id)
               : (found < 0 ? -1 : 0);
}

int store_calibration_get(struct store *store, const char *forecaster, int64_t number,
                          struct store_calibration *out, struct err *err)
{
    *out = (struct store_calibration){0};
    sqlite3 *const db = store_reader_take(store, err);
    if (!db)
        return -1;
    const int found =
        read_first(store, db,
                   sql_query(db, err,
                             "SELECT " CALIBRATION_COLUMNS " FROM calibrations "
                             "WHERE forecaster = ? AND number = ?",
                             "si", forecaster, number),
                   forecaster, out, err);
    return found == 0
               ? err_set(err, ERR_NOT_FOUND, "calibration: %s has none of number %lld",
                         forecaster, (long long)number)
               : (found < 0 ? -1 : 0);
}

int store_calibrations(struct store *store, const char *forecaster, int64_t to_ms,
                       size_t limit, struct store_calibration **out, size_t *count,
                       struct err *err)
{
    *out = NULL;
    *count = 0;
    sqlite3 *const db = store_reader_take(store, err);
    if (!db)
        return -1;
    sqlite3_stmt *const stmt = sql_query(
        db, err,
        "SELECT " CALIBRATION_COLUMNS " FROM calibrations "
        "WHERE forecaster = ? AND made_ms <= ? ORDER BY number DESC LIMIT ?",
        "sii", forecaster, to_ms, limit > INT32_MAX ? INT64_C(-1) : (int64_t)limit);
    size_t room = 0;
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        if (*count == room) {
            room = room ? 2 * room : 16;
            *out = mem_resize(*out, room, sizeof **out);
        }
        struct store_calibration *const one = &(*out)[*count];
        if (read_row(stmt, forecaster, one, err)) {
            status = -1;
            break;
        }
        free(one->body);
        one->body = NULL;
        ++*count;
    }
    sqlite3_finalize(stmt);
    store_reader_give(store, db);
    if (status) {
        free(*out);
        *out = NULL;
        *count = 0;
    }
    return status;
}

/* ---- verify ---------------------------------------------------------------------- */

static int verify_rows(struct verify *verify, struct err *err)
{
    sqlite3_stmt *const stmt =
        sql_query(verify->db, err,
                  "SELECT " CALIBRATION_COLUMNS ", forecaster FROM calibrations "
                  "ORDER BY forecaster, number",
                  "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        struct store_calibration calibration = {0};
        struct err damage = {0};
        verify->verified->calibrations++;
        if (read_row(stmt, (const char *)sqlite3_column_text(stmt, 7), &calibration,
                     &damage) &&
            verify_found(verify, &damage, err))
            status = -1;
        store_calibration_fini(&calibration);
    }
    sqlite3_finalize(stmt);
    return status;
}

/* Retention drops the oldest: a gap is no damage, unless something stands before it. */
static int verify_links(struct verify *verify, struct err *err)
{
    sqlite3_stmt *const stmt = sql_query(
        verify->db, err,
        "SELECT forecaster, number FROM calibrations c WHERE opening IS NOT coalesce("
        "(SELECT chain FROM calibrations p WHERE p.forecaster = c.forecaster AND "
        "p.number = c.number - 1), CASE WHEN number = 1 THEN zeroblob(32) ELSE opening "
        "END) OR (number > 1 AND NOT EXISTS(SELECT 1 FROM calibrations p WHERE "
        "p.forecaster = c.forecaster AND p.number = c.number - 1) AND EXISTS(SELECT 1 "
        "FROM calibrations p WHERE p.forecaster = c.forecaster AND p.number < c.number))",
        "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        struct err damage = {0};
        err_set(&damage, ERR_CORRUPT,
                "calibration: number %lld of %s does not follow the one before",
                (long long)sqlite3_column_int64(stmt, 1),
                (const char *)sqlite3_column_text(stmt, 0));
        verify_found(verify, &damage, NULL);
    }
    sqlite3_finalize(stmt);
    return status;
}

int calibrations_verify(struct verify *verify, struct err *err)
{
    return verify_rows(verify, err) || verify_links(verify, err) ? -1 : 0;
}
