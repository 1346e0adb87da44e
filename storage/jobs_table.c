/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jobs are rows: whoever runs one owns it until its lease passes, and says so again with
 * every report of progress.  At most one job of a kind and forecaster waits or runs.
 */
#include "storage/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/sql.h"

#define COLUMNS                                                                          \
    "SELECT id, kind, forecaster, state, owner, lease_until_ms, created_ms, "            \
    "started_ms, finished_ms, attempts, cancel, progress, result, error, reason, "       \
    "params, not_before_ms, retries FROM jobs "

void store_job_fini(struct store_job *job)
{
    free(job->params);
    free(job->progress);
    free(job->result);
    free(job->error);
    job->params = job->progress = job->result = job->error = NULL;
}

/* Sizes were checked on the way in. */
static void copy_text(char *to, size_t size, sqlite3_stmt *stmt, int column)
{
    snprintf(to, size, "%s", (const char *)sqlite3_column_text(stmt, column));
}

static struct store_job read_row(sqlite3_stmt *stmt)
{
    struct store_job job = {
        .id = sqlite3_column_int64(stmt, 0),
        .lease_until_ms = sqlite3_column_int64(stmt, 5),
        .created_ms = sqlite3_column_int64(stmt, 6),
        .started_ms = sqlite3_column_int64(stmt, 7),
        .finished_ms = sqlite3_column_int64(stmt, 8),
        .attempts = sqlite3_column_int(stmt, 9),
        .cancel = sqlite3_column_int(stmt, 10) != 0,
        .progress = sql_text(stmt, 11),
        .result = sql_text(stmt, 12),
        .error = sql_text(stmt, 13),
        .params = sql_text(stmt, 15),
        .not_before_ms = sqlite3_column_int64(stmt, 16),
        .retries = sqlite3_column_int(stmt, 17),
    };
    copy_text(job.kind, sizeof job.kind, stmt, 1);
    copy_text(job.forecaster, sizeof job.forecaster, stmt, 2);
    copy_text(job.state, sizeof job.state, stmt, 3);
    copy_text(job.owner, sizeof job.owner, stmt, 4);
    copy_text(job.reason, sizeof job.reason, stmt, 14);
    return job;
}

static int check_text(const char *field, const char *text, size_t size, struct err *err)
{
    const size_t len = strlen(text);
    return len < size ? 0
                      : err_set(err, ERR_INVALID, "%s: at most %zu bytes, got %zu", field,
                                size - 1, len);
}

/* 1 and *out, 0 when there is no such job, -1. */
static int get(sqlite3 *db, int64_t id, struct store_job *out, struct err *err)
{
    sqlite3_stmt *const stmt = sql_query(db, err, COLUMNS "WHERE id = ?", "i", id);
    const int status = stmt ? sql_step(stmt, err) : -1;
    if (status == 1)
        *out = read_row(stmt);
    sqlite3_finalize(stmt);
    if (status == 0)
        err_set(err, ERR_NOT_FOUND, "job: %lld not found", (long long)id);
    return status == 1 ? 0 : -1;
}

/* That job, if it runs and is owner's (NULL: whosever). */
static int get_running(sqlite3 *db, int64_t id, const char *owner, struct store_job *out,
                       struct err *err)
{
    if (get(db, id, out, err))
        return -1;
    int status = 0;
    if (strcmp(out->state, "running") != 0)
        status = err_set(err, ERR_CONFLICT, "job: %lld is %s, not running", (long long)id,
                         out->state);
    else if (owner && strcmp(out->owner, owner) != 0)
        status = err_set(err, ERR_CONFLICT, "job: %lld belongs to %s, not to %s",
                         (long long)id, out->owner, owner);
    store_job_fini(out);
    return status;
}

static int64_t now_ms(const struct store *store)
{
    return clock_now_ms(&store->options.clock);
}

/* ---- adding and claiming -------------------------------------------------------- */

static int check_wish(const struct store_job_wish *wish, struct err *err)
{
    struct store_job sizes;
    return check_text("kind", wish->kind, sizeof sizes.kind, err) ||
                   check_text("forecaster", wish->forecaster, sizeof sizes.forecaster,
                              err) ||
                   (wish->reason &&
                    check_text("reason", wish->reason, sizeof sizes.reason, err))
               ? -1
               : 0;
}

int store_job_add_in(struct store *store, const struct store_job_wish *wish, int64_t *id,
                     bool *created, struct err *err)
{
    struct err none = {0};
    *created = false;
    if (check_wish(wish, err))
        return -1;
    if (sql_value(store->db, &none, id,
                  "SELECT id FROM jobs WHERE kind = ? AND forecaster = ? AND "
                  "state IN ('queued', 'running')",
                  "ss", wish->kind, wish->forecaster) == 0)
        return 0;
    if (none.code != ERR_NOT_FOUND)
        return err_copy(err, &none);
    if (sql_run(store->db, err,
                "INSERT INTO jobs(kind, forecaster, state, created_ms, reason, params) "
                "VALUES(?, ?, 'queued', ?, ?, ?)",
                "ssiss", wish->kind, wish->forecaster, now_ms(store),
                wish->reason ? wish->reason : "asked", wish->params) < 0)
        return -1;
    *id = sqlite3_last_insert_rowid(store->db);
    *created = true;
    return 0;
}

struct add {
    const struct store_job_wish *wish;
    int64_t id;
    bool created;
};

static int add_run(struct store *store, void *arg, struct err *err)
{
    struct add *const add = arg;
    return store_job_add_in(store, add->wish, &add->id, &add->created, err);
}

int store_job_add(struct store *store, const struct store_job_wish *wish, int64_t *id,
                  bool *created, struct err *err)
{
    struct add add = {.wish = wish};
    if (writer_call(store, add_run, &add, err))
        return -1;
    *id = add.id;
    *created = add.created;
    return 0;
}

struct claim {
    const char *owner, *kinds; /* " train backtest ", or NULL */
    int64_t lease_ms;
    struct store_job *out;
    bool found;
};

#define ABANDONED "state = 'running' AND (lease_until_ms <= ? OR owner = ?)"
#define WANTED "(? IS NULL OR instr(?, ' ' || kind || ' '))"

/* What nobody is left to say of jobs whose owner is gone. */
static int end_abandoned(struct store *store, const struct claim *claim, int64_t now,
                         struct err *err)
{
    char why[120];
    snprintf(why, sizeof why,
             "taken %d times without a word of progress: it takes its process down",
             (int)STORE_JOB_BARREN);
    return sql_run(store->db, err,
                   "UPDATE jobs SET state = 'cancelled', finished_ms = ? "
                   "WHERE cancel AND " ABANDONED " AND " WANTED,
                   "iisss", now, now, claim->owner, claim->kinds, claim->kinds) < 0 ||
                   sql_run(store->db, err,
                           "UPDATE jobs SET state = 'failed', finished_ms = ?, error = ? "
                           "WHERE barren >= ? AND " ABANDONED " AND " WANTED,
                           "isiisss", now, why, (int64_t)STORE_JOB_BARREN, now,
                           claim->owner, claim->kinds, claim->kinds) < 0
               ? -1
               : 0;
}

static int claim_run(struct store *store, void *arg, struct err *err)
{
    struct claim *const claim = arg;
    const int64_t now = now_ms(store);
    if (end_abandoned(store, claim, now, err))
        return -1;
    sqlite3_stmt *const stmt =
        sql_query(store->db, err,
                  "SELECT id FROM jobs WHERE ((state = 'queued' AND not_before_ms <= ?) "
                  "OR (" ABANDONED ")) AND " WANTED " ORDER BY id LIMIT 1",
                  "iisss", now, now, claim->owner, claim->kinds, claim->kinds);
    const int status = stmt ? sql_step(stmt, err) : -1;
    const int64_t id = status == 1 ? sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    if (status <= 0)
        return status;
    if (sql_run(store->db, err,
                "UPDATE jobs SET state = 'running', owner = ?, lease_until_ms = ?, "
                "started_ms = iif(started_ms = 0, ?, started_ms), "
                "attempts = attempts + 1, barren = barren + 1, not_before_ms = 0 "
                "WHERE id = ?",
                "siii", claim->owner, now + claim->lease_ms, now, id) < 0)
        return -1;
    claim->found = true;
    return get(store->db, id, claim->out, err);
}

int store_job_claim(struct store *store, const char *owner, const char *kinds,
                    int64_t lease_ms, struct store_job *out, bool *found, struct err *err)
{
    if (check_text("owner", owner, sizeof out->owner, err))
        return -1;
    *out = (struct store_job){0};
    char *const padded = kinds ? mem_printf(" %s ", kinds) : NULL;
    struct claim claim = {
        .owner = owner, .kinds = padded, .lease_ms = lease_ms, .out = out};
    const int status = writer_call(store, claim_run, &claim, err);
    free(padded);
    if (status) {
        store_job_fini(out); /* it was read, but the commit failed */
        return -1;
    }
    *found = claim.found;
    return 0;
}

/* ---- while it runs -------------------------------------------------------------- */

/* What an owner says about its job. */
struct report {
    int64_t id;
    const char *owner;
    int64_t lease_ms;
    const char *progress, *state, *result, *error;
    int64_t not_before_ms;
    bool again, cancel;
};

static int progress_run(struct store *store, void *arg, struct err *err)
{
    struct report *const report = arg;
    struct store_job job;
    if (get_running(store->db, report->id, report->owner, &job, err))
        return -1;
    report->cancel = job.cancel;
    return sql_run(
               store->db, err,
               "UPDATE jobs SET lease_until_ms = ?, progress = coalesce(?, progress), "
               "barren = 0 WHERE id = ?",
               "isi", now_ms(store) + report->lease_ms, report->progress, report->id) < 0
               ? -1
               : 0;
}

int store_job_progress(struct store *store, int64_t id, const char *owner,
                       int64_t lease_ms, const char *progress, bool *cancel,
                       struct err *err)
{
    struct report report = {
        .id = id, .owner = owner, .lease_ms = lease_ms, .progress = progress};
    if (writer_call(store, progress_run, &report, err))
        return -1;
    *cancel = report.cancel;
    return 0;
}

static int release_run(struct store *store, void *arg, struct err *err)
{
    const struct report *const report = arg;
    struct store_job job;
    if (get_running(store->db, report->id, report->owner, &job, err))
        return -1;
    return sql_run(store->db, err,
                   "UPDATE jobs SET state = iif(cancel, 'cancelled', 'queued'), "
                   "finished_ms = iif(cancel, ?, 0), owner = '', lease_until_ms = 0, "
                   "barren = 0, retries = retries + ?, not_before_ms = ?, error = ? "
                   "WHERE id = ?",
                   "iiisi", now_ms(store), (int64_t)report->again, report->not_before_ms,
                   report->error, report->id) < 0
               ? -1
               : 0;
}

int store_job_release(struct store *store, int64_t id, const char *owner, struct err *err)
{
    struct report report = {.id = id, .owner = owner};
    return writer_call(store, release_run, &report, err);
}

int store_job_retry(struct store *store, int64_t id, const char *owner,
                    int64_t not_before_ms, const char *error, struct err *err)
{
    struct report report = {.id = id,
                            .owner = owner,
                            .not_before_ms = not_before_ms,
                            .error = error,
                            .again = true};
    return writer_call(store, release_run, &report, err);
}

static int finish_run(struct store *store, void *arg, struct err *err)
{
    const struct report *const report = arg;
    struct store_job job;
    if (get_running(store->db, report->id, report->owner, &job, err))
        return -1;
    return sql_run(store->db, err,
                   "UPDATE jobs SET state = ?, finished_ms = ?, lease_until_ms = 0, "
                   "result = ?, error = ? WHERE id = ?",
                   "sissi", report->state, now_ms(store), report->result, report->error,
                   report->id) < 0
               ? -1
               : 0;
}

int store_job_finish(struct store *store, int64_t id, const char *owner,
                     const char *state, const char *result, const char *error,
                     struct err *err)
{
    if (strcmp(state, "done") != 0 && strcmp(state, "failed") != 0 &&
        strcmp(state, "cancelled") != 0)
        return err_set(err, ERR_INVALID, "state: done, failed or cancelled, got %s",
                       state);
    struct report report = {
        .id = id, .owner = owner, .state = state, .result = result, .error = error};
    return writer_call(store, finish_run, &report, err);
}

int store_job_done_in(struct store *store, int64_t id, const char *result,
                      struct err *err)
{
    struct report report = {.id = id, .state = "done", .result = result};
    return finish_run(store, &report, err);
}

static int cancel_run(struct store *store, void *arg, struct err *err)
{
    const int64_t id = *(const int64_t *)arg;
    struct store_job job;
    if (get(store->db, id, &job, err))
        return -1;
    store_job_fini(&job);
    if (strcmp(job.state, "running") == 0)
        return sql_run(store->db, err, "UPDATE jobs SET cancel = 1 WHERE id = ?", "i",
                       id) < 0
                   ? -1
                   : 0;
    if (strcmp(job.state, "queued") != 0)
        return err_set(err, ERR_CONFLICT, "job: %lld has ended already: it is %s",
                       (long long)id, job.state);
    return sql_run(store->db, err,
                   "UPDATE jobs SET cancel = 1, state = 'cancelled', finished_ms = ? "
                   "WHERE id = ?",
                   "ii", now_ms(store), id) < 0
               ? -1
               : 0;
}

int store_job_cancel(struct store *store, int64_t id, struct err *err)
{
    return writer_call(store, cancel_run, &id, err);
}

/* ---- looking -------------------------------------------------------------------- */

int store_job_get(struct store *store, int64_t id, struct store_job *out, struct err *err)
{
    *out = (struct store_job){0};
    sqlite3 *const db = store_reader_take(store, err);
    const int status = db ? get(db, id, out, err) : -1;
    store_reader_give(store, db);
    return status;
}

int store_jobs(struct store *store, const struct store_job_filter *filter, size_t limit,
               struct store_job **out, size_t *count, struct err *err)
{
    const struct store_job_filter all = {0}, *const f = filter ? filter : &all;
    *out = NULL;
    *count = 0;
    sqlite3 *const db = store_reader_take(store, err);
    if (!db)
        return -1;
    sqlite3_stmt *const stmt = sql_query(
        db, err,
        COLUMNS "WHERE kind = coalesce(?, kind) AND forecaster = coalesce(?, forecaster) "
                "AND state = coalesce(?, state) ORDER BY id DESC LIMIT ?",
        "sssi", f->kind, f->forecaster, f->state,
        limit > INT32_MAX ? INT64_MAX : (int64_t)limit);
    int status = stmt ? 1 : -1;
    size_t cap = 0;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        if (*count == cap) {
            cap = cap ? 2 * cap : 16;
            *out = mem_resize(*out, cap, sizeof **out);
        }
        (*out)[(*count)++] = read_row(stmt);
    }
    sqlite3_finalize(stmt);
    store_reader_give(store, db);
    if (status == 0)
        return 0;
    while (*count > 0)
        store_job_fini(&(*out)[--*count]);
    free(*out);
    *out = NULL;
    return -1;
}
