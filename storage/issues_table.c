/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ledger's rows: appended, checked at reading, never changed.
 */
#include "storage/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/ledger.h"
#include "storage/sql.h"
#include "storage/verify.h"

/* More cannot have been issued: bounds what a damaged row may ask for. */
enum { STEPS_MAX = 1 << 20, QUANTILES_MAX = 1 << 10 };

/* ---- appending ------------------------------------------------------------------ */

struct packed {
    void *bytes;
    size_t len;
};

struct append {
    const struct store_issue *issue;
    const char *result;
    struct packed *packed; /* [issue->count] */
    int64_t job_id, id;
};

/* A hash column of the first row; zeros where there is no row. */
static int read_hash(sqlite3_stmt *stmt, unsigned char out[static STORE_HASH_SIZE],
                     bool *found, struct err *err)
{
    memset(out, 0, STORE_HASH_SIZE);
    const int status = stmt ? sql_step(stmt, err) : -1;
    *found = status == 1;
    if (status == 1 && sqlite3_column_bytes(stmt, 0) == STORE_HASH_SIZE)
        memcpy(out, sqlite3_column_blob(stmt, 0), STORE_HASH_SIZE);
    sqlite3_finalize(stmt);
    return status < 0 ? -1 : 0;
}

/* The chain so far of the issue's day; opens the day where this is its first issue. */
static int chain_before(struct store *store, const char *forecaster, int64_t day,
                        unsigned char out[static STORE_HASH_SIZE], struct err *err)
{
    bool found;
    if (read_hash(sql_query(store->db, err,
                            "SELECT closing FROM days WHERE forecaster = ? AND day = ?",
                            "si", forecaster, day),
                  out, &found, err))
        return -1;
    if (found)
        return 0;
    if (read_hash(sql_query(store->db, err,
                            "SELECT closing FROM days WHERE forecaster = ? AND day < ? "
                            "ORDER BY day DESC LIMIT 1",
                            "si", forecaster, day),
                  out, &found, err))
        return -1;
    return sql_run(store->db, err,
                   "INSERT INTO days(forecaster, day, opening, closing) "
                   "VALUES(?1, ?2, ?3, ?3)",
                   "sib", forecaster, day, (const void *)out, (size_t)STORE_HASH_SIZE) < 0
               ? -1
               : 0;
}

static int insert_issue(struct store *store, const struct store_issue *issue, int64_t day,
                        const unsigned char chain[static STORE_HASH_SIZE],
                        struct err *err)
{
    return sql_run(store->db, err,
                   "INSERT INTO issues(forecaster, day, revision, model_id, calibration, "
                   "issued_ms, first_ms, step_ms, steps, quantiles, chain) "
                   "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   "siiiiiiiibb", issue->forecaster, day, issue->revision,
                   issue->model_id, issue->calibration, issue->issued_ms, issue->first_ms,
                   issue->step_ms, (int64_t)issue->steps, (const void *)issue->quantiles,
                   issue->quantile_count * sizeof(double), (const void *)chain,
                   (size_t)STORE_HASH_SIZE) < 0
               ? -1
               : 0;
}

static int insert_forecasts(struct store *store, const struct append *append,
                            struct err *err)
{
    const struct store_issue *const issue = append->issue;
    for (size_t i = 0; i < issue->count; i++) {
        const struct store_forecast *const forecast = &issue->forecasts[i];
        if (sql_run(store->db, err,
                    "INSERT INTO forecasts(issue, place, series, input_hash, quantiles) "
                    "VALUES(?, ?, ?, ?, ?)",
                    "iisbb", append->id, (int64_t)i, forecast->series,
                    (const void *)forecast->input_hash, (size_t)STORE_HASH_SIZE,
                    (const void *)append->packed[i].bytes, append->packed[i].len) < 0)
            return -1;
    }
    return 0;
}

static int append_run(struct store *store, void *arg, struct err *err)
{
    struct append *const append = arg;
    const struct store_issue *const issue = append->issue;
    const int64_t day = ledger_day(issue->issued_ms);
    unsigned char chain[STORE_HASH_SIZE];
    if (chain_before(store, issue->forecaster, day, chain, err))
        return -1;
    struct sha link;
    ledger_link(&link, chain, issue);
    for (size_t i = 0; i < issue->count; i++)
        ledger_link_series(&link, issue->forecasts[i].series,
                           issue->forecasts[i].input_hash, append->packed[i].bytes,
                           append->packed[i].len);
    sha_end(&link, chain);
    if (insert_issue(store, issue, day, chain, err))
        return -1;
    append->id = sqlite3_last_insert_rowid(store->db);
    if (insert_forecasts(store, append, err) ||
        sql_run(store->db, err,
                "UPDATE days SET closing = ? WHERE forecaster = ? AND day = ?", "bsi",
                (const void *)chain, (size_t)STORE_HASH_SIZE, issue->forecaster, day) < 0)
        return -1;
    return append->job_id ? store_job_done_in(store, append->job_id, append->result, err)
                          : 0;
}

static int check_issue(const struct store_issue *issue, struct err *err)
{
    if (issue->steps == 0 || issue->steps > STEPS_MAX)
        return err_set(err, ERR_INVALID, "steps: must be 1..%d, got %zu", STEPS_MAX,
                       issue->steps);
    if (issue->quantile_count == 0 || issue->quantile_count > QUANTILES_MAX)
        return err_set(err, ERR_INVALID, "quantiles: must be 1..%d, got %zu",
                       QUANTILES_MAX, issue->quantile_count);
    return issue->count > 0 ? 0 : err_set(err, ERR_INVALID, "forecasts: none to issue");
}

/* Packing is done by the caller's thread: the writer has better to do. */
int store_issue_append(struct store *store, const struct store_issue *issue,
                       int64_t job_id, const char *result, int64_t *issue_id,
                       struct err *err)
{
    if (check_issue(issue, err))
        return -1;
    struct append append = {.issue = issue, .result = result, .job_id = job_id};
    append.packed = mem_new(issue->count, sizeof *append.packed);
    int status = 0;
    for (size_t i = 0; status == 0 && i < issue->count; i++)
        status =
            ledger_pack(issue->forecasts[i].values, issue->steps * issue->quantile_count,
                        &append.packed[i].bytes, &append.packed[i].len, err);
    if (status == 0)
        status = writer_call(store, append_run, &append, err);
    for (size_t i = 0; i < issue->count; i++)
        free(append.packed[i].bytes);
    free(append.packed);
    *issue_id = append.id;
    return status;
}

/* ---- reading -------------------------------------------------------------------- */

void store_issued_fini(struct store_issued *issued, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(issued[i].quantiles);
        free(issued[i].values);
        free(issued[i].series);
    }
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
    if (steps < 1 || steps > STEPS_MAX || quantiles < 1 || quantiles > QUANTILES_MAX ||
        quantile_bytes % sizeof(double) != 0 ||
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
        return err_set(err, why.code, "%s", why.msg);
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

/* What the issue's chain must have been built on. */
static int read_before(sqlite3 *db, const struct issue_row *row,
                       unsigned char out[static STORE_HASH_SIZE], struct err *err)
{
    bool found;
    if (read_hash(sql_query(db, err,
                            "SELECT chain FROM issues WHERE forecaster = ? AND day = ? "
                            "AND id < ? ORDER BY id DESC LIMIT 1",
                            "sii", row->issue.forecaster, row->day, row->id),
                  out, &found, err))
        return -1;
    if (found)
        return 0;
    if (read_hash(sql_query(db, err,
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

static int read_checked(sqlite3 *db, const struct issue_row *row,
                        struct store_issued **out, size_t *count, struct err *err)
{
    unsigned char before[STORE_HASH_SIZE], chain[STORE_HASH_SIZE];
    struct sha link;
    if (read_before(db, row, before, err))
        return -1;
    ledger_link(&link, before, &row->issue);
    if (read_forecasts(db, row, &link, out, count, err))
        return -1;
    sha_end(&link, chain);
    return memcmp(chain, row->chain, sizeof chain) == 0 ? 0 : damaged(row, err);
}

int store_issue_newest(struct store *store, const char *forecaster, int64_t at_ms,
                       struct store_issued **out, size_t *count, struct err *err)
{
    *out = NULL;
    *count = 0;
    sqlite3 *const db = store_reader_take(store, err);
    if (!db)
        return -1;
    struct issue_row row = {0};
    /* One snapshot for the issue, its series and its neighbour in the chain. */
    int status = sql_exec(db, "BEGIN", err);
    if (status == 0)
        status = find_issue(db, forecaster, at_ms, &row, err);
    if (status == 0)
        status = read_checked(db, &row, out, count, err);
    if (!sqlite3_get_autocommit(db))
        sql_exec(db, "ROLLBACK", NULL);
    store_reader_give(store, db);
    free(row.quantiles);
    if (status) {
        store_issued_fini(*out, *count);
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
