/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ledger's rows, read: nothing comes out of here whose chain does not hold.
 */
#include "storage/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/ledger.h"
#include "storage/sql.h"
#include "storage/verify.h"

/* ---- an issue ------------------------------------------------------------------- */

static void issued_fini(struct store_issued *issued)
{
    free(issued->quantiles);
    free(issued->values);
    free(issued->series);
}

void store_issued_fini(struct store_issued *issued, size_t count)
{
    for (size_t i = 0; i < count; i++)
        issued_fini(&issued[i]);
    free(issued);
}

/* An issue's row; quantiles are owned. */
struct issue_row {
    struct store_issue issue;
    double *quantiles;
    int64_t id, day;
    unsigned char chain[STORE_HASH_SIZE];
};

static int damaged(const struct issue_row *row, struct err *err)
{
    return err_set(
        err, ERR_CORRUPT,
        "forecast: issue %lld of %s does not match its chain; restore the state "
        "folder from a backup",
        (long long)row->id, row->issue.forecaster);
}

#define ISSUE_COLUMNS                                                                    \
    "id, day, revision, model_id, calibration, issued_ms, first_ms, step_ms, steps, "    \
    "quantiles, chain"

static int read_issue(sqlite3_stmt *stmt, struct issue_row *row, struct err *err)
{
    row->id = sqlite3_column_int64(stmt, 0);
    row->day = sqlite3_column_int64(stmt, 1);
    struct store_issue *const issue = &row->issue;
    issue->revision = sqlite3_column_int64(stmt, 2);
    issue->model_id = sqlite3_column_int64(stmt, 3);
    issue->calibration = sqlite3_column_int64(stmt, 4);
    issue->issued_ms = sqlite3_column_int64(stmt, 5);
    issue->first_ms = sqlite3_column_int64(stmt, 6);
    issue->step_ms = sqlite3_column_int64(stmt, 7);
    const int64_t steps = sqlite3_column_int64(stmt, 8);
    const size_t quantile_bytes = (size_t)sqlite3_column_bytes(stmt, 9);
    const size_t quantiles = quantile_bytes / sizeof(double);
    if (steps < 1 || steps > LEDGER_STEPS_MAX || quantiles < 1 ||
        quantiles > LEDGER_QUANTILES_MAX || quantile_bytes % sizeof(double) != 0 ||
        sqlite3_column_bytes(stmt, 10) != STORE_HASH_SIZE ||
        row->day != ledger_day(issue->issued_ms))
        return damaged(row, err);
    issue->steps = (size_t)steps;
    issue->quantile_count = quantiles;
    row->quantiles = mem_new(quantiles, sizeof *row->quantiles);
    memcpy(row->quantiles, sqlite3_column_blob(stmt, 9), quantile_bytes);
    issue->quantiles = row->quantiles;
    memcpy(row->chain, sqlite3_column_blob(stmt, 10), STORE_HASH_SIZE);
    return 0;
}

/* Says since when there are issues, or that there are none. */
static int none_issued(sqlite3 *db, const char *forecaster, int64_t at_ms,
                       struct err *err)
{
    struct err why = {0};
    int64_t first_ms;
    char at[TIME_TEXT_SIZE], first[TIME_TEXT_SIZE];
    if (sql_value(db, &why, &first_ms,
                  "SELECT issued_ms FROM issues WHERE forecaster = ? "
                  "ORDER BY issued_ms LIMIT 1",
                  "s", forecaster) == 0)
        return err_set(err, ERR_NOT_FOUND,
                       "forecast: nothing of %s was issued at or before %s; the first "
                       "issue is of %s",
                       forecaster, time_format(at_ms, at), time_format(first_ms, first));
    if (why.code != ERR_NOT_FOUND)
        return err_copy(err, &why);
    return err_set(err, ERR_NOT_FOUND, "forecast: nothing of %s has been issued yet",
                   forecaster);
}

/* The newest issue at or before at_ms. */
static int find_issue(sqlite3 *db, const char *forecaster, int64_t at_ms,
                      struct issue_row *row, struct err *err)
{
    row->issue.forecaster = forecaster;
    sqlite3_stmt *const stmt = sql_query(db, err,
                                         "SELECT " ISSUE_COLUMNS " FROM issues "
                                         "WHERE forecaster = ? AND issued_ms <= ? "
                                         "ORDER BY issued_ms DESC, id DESC LIMIT 1",
                                         "si", forecaster, at_ms);
    int status = stmt ? sql_step(stmt, err) : -1;
    if (status == 1)
        status = read_issue(stmt, row, err);
    else if (status == 0)
        status = none_issued(db, forecaster, at_ms, err);
    sqlite3_finalize(stmt);
    return status;
}

static int get_issue(sqlite3 *db, const char *forecaster, int64_t id,
                     struct issue_row *row, struct err *err)
{
    row->issue.forecaster = forecaster;
    sqlite3_stmt *const stmt = sql_query(
        db, err, "SELECT " ISSUE_COLUMNS " FROM issues WHERE id = ? AND forecaster = ?",
        "is", id, forecaster);
    int status = stmt ? sql_step(stmt, err) : -1;
    if (status == 1)
        status = read_issue(stmt, row, err);
    else if (status == 0)
        status = err_set(err, ERR_NOT_FOUND, "forecast: %s has no issue %lld", forecaster,
                         (long long)id);
    sqlite3_finalize(stmt);
    return status;
}

/* What the issue's chain must have been built on. */
static int read_before(sqlite3 *db, const struct issue_row *row,
                       unsigned char out[static STORE_HASH_SIZE], struct err *err)
{
    bool found;
    if (sql_hash(sql_query(db, err,
                           "SELECT chain FROM issues WHERE forecaster = ? AND day = ? "
                           "AND id < ? ORDER BY id DESC LIMIT 1",
                           "sii", row->issue.forecaster, row->day, row->id),
                 out, &found, err))
        return -1;
    if (found)
        return 0;
    if (sql_hash(sql_query(db, err,
                           "SELECT opening FROM days WHERE forecaster = ? AND day = ?",
                           "si", row->issue.forecaster, row->day),
                 out, &found, err))
        return -1;
    return found ? 0 : damaged(row, err);
}

/* One series of the issue into *out, and into the link. */
static int read_forecast(sqlite3_stmt *stmt, const struct issue_row *row,
                         struct sha *link, struct store_issued *out, struct err *err)
{
    const struct store_issue *const issue = &row->issue;
    const size_t values = issue->steps * issue->quantile_count;
    if (sqlite3_column_bytes(stmt, 1) != STORE_HASH_SIZE)
        return damaged(row, err);
    *out = (struct store_issued){
        .issue_id = row->id,
        .revision = issue->revision,
        .model_id = issue->model_id,
        .calibration = issue->calibration,
        .issued_ms = issue->issued_ms,
        .first_ms = issue->first_ms,
        .step_ms = issue->step_ms,
        .steps = issue->steps,
        .quantile_count = issue->quantile_count,
        .quantiles = mem_new(issue->quantile_count, sizeof(double)),
        .values = mem_new(values, sizeof(float)),
        .series = sql_text(stmt, 0),
    };
    memcpy(out->quantiles, issue->quantiles, issue->quantile_count * sizeof(double));
    memcpy(out->input_hash, sqlite3_column_blob(stmt, 1), STORE_HASH_SIZE);
    memcpy(out->chain, row->chain, STORE_HASH_SIZE);
    const void *const packed = sqlite3_column_blob(stmt, 2);
    const size_t len = (size_t)sqlite3_column_bytes(stmt, 2);
    ledger_link_series(link, out->series, out->input_hash, packed, len);
    return ledger_unpack(packed, len, out->values, values, err);
}

static int read_forecasts(sqlite3 *db, const struct issue_row *row, struct sha *link,
                          struct store_issued **out, size_t *count, struct err *err)
{
    sqlite3_stmt *const stmt = sql_query(db, err,
                                         "SELECT series, input_hash, quantiles "
                                         "FROM forecasts WHERE issue = ? ORDER BY place",
                                         "i", row->id);
    size_t cap = 0;
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        if (*count == cap) {
            cap = cap ? 2 * cap : 16;
            *out = mem_resize(*out, cap, sizeof **out);
        }
        (*out)[*count] = (struct store_issued){0};
        status = read_forecast(stmt, row, link, &(*out)[(*count)++], err) ? -1 : 1;
    }
    sqlite3_finalize(stmt);
    return status;
}

/* The chain of the calibration it names; unset where it names none. */
static int read_calibration(sqlite3 *db, const struct issue_row *row,
                            unsigned char out[static STORE_HASH_SIZE], struct err *err)
{
    bool found = true;
    if (row->issue.calibration &&
        ledger_calibration_chain(db, row->issue.forecaster, row->issue.calibration, out,
                                 &found, err))
        return -1;
    return found ? 0 : damaged(row, err);
}

static int read_checked(sqlite3 *db, const struct issue_row *row,
                        struct store_issued **out, size_t *count, struct err *err)
{
    unsigned char before[STORE_HASH_SIZE], chain[STORE_HASH_SIZE];
    unsigned char calibration[STORE_HASH_SIZE];
    struct sha link;
    if (read_before(db, row, before, err) || read_calibration(db, row, calibration, err))
        return -1;
    ledger_link(&link, before, &row->issue, calibration);
    if (read_forecasts(db, row, &link, out, count, err))
        return -1;
    sha_end(&link, chain);
    return memcmp(chain, row->chain, sizeof chain) == 0 ? 0 : damaged(row, err);
}

/* ---- asked for ------------------------------------------------------------------ */

/* Moves the only one that is wished for to the front. */
static int keep_only(struct store_issued *issued, size_t *count, const char *series,
                     struct err *err)
{
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(issued[i].series, series) != 0)
            continue;
        const struct store_issued found = issued[i];
        issued[i] = issued[0];
        issued[0] = found;
        for (size_t k = 1; k < *count; k++)
            issued_fini(&issued[k]);
        *count = 1;
        return 0;
    }
    return err_set(err, ERR_NOT_FOUND, "forecast: says nothing of %s", series);
}

/* Which issue: the one with this id, or (0) the newest at or before at_ms. */
struct issue_wish {
    const char *forecaster, *series; /* series NULL: all */
    int64_t id, at_ms;
};

static int read_wish(sqlite3 *db, const struct issue_wish *wish, struct issue_row *row,
                     struct store_issued **out, size_t *count, struct err *err)
{
    /* One snapshot for the issue, its series and its neighbour in the chain. */
    if (sql_exec(db, "BEGIN", err))
        return -1;
    int status = wish->id ? get_issue(db, wish->forecaster, wish->id, row, err)
                          : find_issue(db, wish->forecaster, wish->at_ms, row, err);
    if (status == 0)
        status = read_checked(db, row, out, count, err);
    if (!sqlite3_get_autocommit(db))
        sql_exec(db, "ROLLBACK", NULL);
    return status == 0 && wish->series ? keep_only(*out, count, wish->series, err)
                                       : status;
}

static int read_issued(struct store *store, const struct issue_wish *wish,
                       struct store_issued **out, size_t *count, struct err *err)
{
    *out = NULL;
    *count = 0;
    sqlite3 *const db = store_reader_take(store, err);
    if (!db)
        return -1;
    struct issue_row row = {0};
    const int status = read_wish(db, wish, &row, out, count, err);
    store_reader_give(store, db);
    free(row.quantiles);
    if (status) {
        store_issued_fini(*out, *count);
        *out = NULL;
        *count = 0;
    }
    return status;
}

int store_issue_newest(struct store *store, const char *forecaster, int64_t at_ms,
                       struct store_issued **out, size_t *count, struct err *err)
{
    const struct issue_wish wish = {.forecaster = forecaster, .at_ms = at_ms};
    return read_issued(store, &wish, out, count, err);
}

int store_issue_get(struct store *store, const char *forecaster, int64_t issue_id,
                    const char *series, struct store_issued **out, size_t *count,
                    struct err *err)
{
    const struct issue_wish wish = {
        .forecaster = forecaster, .series = series, .id = issue_id};
    return read_issued(store, &wish, out, count, err);
}

static int read_lines(sqlite3_stmt *stmt, struct store_issue_line **out, size_t *count,
                      struct err *err)
{
    size_t cap = 0;
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        if (*count == cap) {
            cap = cap ? 2 * cap : 16;
            *out = mem_resize(*out, cap, sizeof **out);
        }
        (*out)[(*count)++] = (struct store_issue_line){
            .issue_id = sqlite3_column_int64(stmt, 0),
            .revision = sqlite3_column_int64(stmt, 1),
            .model_id = sqlite3_column_int64(stmt, 2),
            .issued_ms = sqlite3_column_int64(stmt, 3),
            .first_ms = sqlite3_column_int64(stmt, 4),
            .step_ms = sqlite3_column_int64(stmt, 5),
            .steps = (size_t)sqlite3_column_int64(stmt, 6),
        };
    }
    return status;
}

int store_issues(struct store *store, const char *forecaster, int64_t from_ms,
                 int64_t to_ms, size_t limit, struct store_issue_line **out,
                 size_t *count, struct err *err)
{
    *out = NULL;
    *count = 0;
    sqlite3 *const db = store_reader_take(store, err);
    if (!db)
        return -1;
    sqlite3_stmt *const stmt = sql_query(
        db, err,
        "SELECT id, revision, model_id, issued_ms, first_ms, step_ms, steps FROM ("
        "  SELECT * FROM issues WHERE forecaster = ?1 AND issued_ms <= ?3 AND"
        "  issued_ms >= coalesce((SELECT max(issued_ms) FROM issues"
        "    WHERE forecaster = ?1 AND issued_ms <= ?2), ?2)"
        "  ORDER BY issued_ms DESC, id DESC LIMIT ?4) ORDER BY issued_ms, id",
        "siii", forecaster, from_ms, to_ms,
        limit == 0 || limit > INT32_MAX ? INT64_C(-1) : (int64_t)limit);
    const int status = read_lines(stmt, out, count, err);
    sqlite3_finalize(stmt);
    store_reader_give(store, db);
    if (status) {
        free(*out);
        *out = NULL;
        *count = 0;
    }
    return status;
}

/* ---- verify --------------------------------------------------------------------- */

static int verify_issues(struct verify *verify, struct err *err)
{
    sqlite3_stmt *const stmt =
        sql_query(verify->db, err,
                  "SELECT " ISSUE_COLUMNS ", forecaster FROM issues ORDER BY id", "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        struct err damage = {0};
        char *const forecaster = sql_text(stmt, 11);
        struct issue_row row = {.issue.forecaster = forecaster};
        struct store_issued *issued = NULL;
        size_t count = 0;
        verify->verified->issues++;
        if ((read_issue(stmt, &row, &damage) ||
             read_checked(verify->db, &row, &issued, &count, &damage)) &&
            verify_found(verify, &damage, err))
            status = -1;
        store_issued_fini(issued, count);
        free(row.quantiles);
        free(forecaster);
    }
    sqlite3_finalize(stmt);
    return status;
}

/* A day closes with its last issue and opens with the close of the day before. */
static int verify_days(struct verify *verify, struct err *err)
{
    sqlite3_stmt *const stmt = sql_query(
        verify->db, err,
        "SELECT forecaster, day FROM days d WHERE closing IS NOT coalesce((SELECT chain "
        "FROM issues i WHERE i.forecaster = d.forecaster AND i.day = d.day "
        "ORDER BY id DESC LIMIT 1), closing) OR opening IS NOT coalesce((SELECT closing "
        "FROM days p WHERE p.forecaster = d.forecaster AND p.day < d.day "
        "ORDER BY p.day DESC LIMIT 1), zeroblob(32))",
        "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        struct err damage = {0};
        err_set(&damage, ERR_CORRUPT, "forecast: day %lld of %s does not fit its chain",
                (long long)sqlite3_column_int64(stmt, 1),
                (const char *)sqlite3_column_text(stmt, 0));
        verify_found(verify, &damage, NULL);
    }
    sqlite3_finalize(stmt);
    return status;
}

int issues_verify(struct verify *verify, struct err *err)
{
    return verify_issues(verify, err) || verify_days(verify, err) ? -1 : 0;
}
