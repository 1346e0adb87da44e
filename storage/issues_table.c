/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ledger's rows: appended here, never changed, checked at reading (issues_read.c).
 */
#include "storage/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/ledger.h"
#include "storage/sql.h"

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

/* The chain so far of the issue's day; opens the day where this is its first issue. */
static int chain_before(struct store *store, const char *forecaster, int64_t day,
                        unsigned char out[static STORE_HASH_SIZE], struct err *err)
{
    bool found;
    if (sql_hash(sql_query(store->db, err,
                           "SELECT closing FROM days WHERE forecaster = ? AND day = ?",
                           "si", forecaster, day),
                 out, &found, err))
        return -1;
    if (found)
        return 0;
    if (sql_hash(sql_query(store->db, err,
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

/* The chain of the calibration an issue names; unset where it names none. */
static int calibration_chain(struct store *store, const struct store_issue *issue,
                             unsigned char out[static STORE_HASH_SIZE], struct err *err)
{
    bool found = true;
    if (issue->calibration &&
        ledger_calibration_chain(store->db, issue->forecaster, issue->calibration, out,
                                 &found, err))
        return -1;
    return found ? 0
                 : err_set(err, ERR_CONFLICT, "calibration: %s has none of number %lld",
                           issue->forecaster, (long long)issue->calibration);
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
    unsigned char chain[STORE_HASH_SIZE], calibration[STORE_HASH_SIZE];
    if (chain_before(store, issue->forecaster, day, chain, err) ||
        calibration_chain(store, issue, calibration, err))
        return -1;
    struct sha link;
    ledger_link(&link, chain, issue, calibration);
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
    if (issue->steps == 0 || issue->steps > LEDGER_STEPS_MAX)
        return err_set(err, ERR_INVALID, "steps: must be 1..%d, got %zu",
                       LEDGER_STEPS_MAX, issue->steps);
    if (issue->quantile_count == 0 || issue->quantile_count > LEDGER_QUANTILES_MAX)
        return err_set(err, ERR_INVALID, "quantiles: must be 1..%d, got %zu",
                       LEDGER_QUANTILES_MAX, issue->quantile_count);
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
