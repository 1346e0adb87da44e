/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/retention.h"

#include <stdlib.h>

#include "base/mem.h"
#include "storage/ledger.h"
#include "storage/slice.h"
#include "storage/sql.h"
#include "storage/store.h"

enum { JOBS_AT_ONCE = 500 };

/* A row to be deleted: a day of a forecaster, or just a number. */
struct doomed {
    char *forecaster;
    int64_t number;
    int deleted;
};

/* What a query of (forecaster or null, number) names, read beside the writer. */
static int find(struct store *store, const char *sql, int64_t before, struct list *out,
                struct err *err)
{
    sqlite3 *const db = store_reader_take(store, err);
    sqlite3_stmt *const stmt = db ? sql_query(db, err, sql, "i", before) : NULL;
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1)
        *(struct doomed *)list_add(out, sizeof(struct doomed)) = (struct doomed){
            .forecaster = sql_text(stmt, 0), .number = sqlite3_column_int64(stmt, 1)};
    sqlite3_finalize(stmt);
    store_reader_give(store, db);
    return status;
}

/* Each in a transaction of its own: a day of issues or a model is large enough. */
static int delete_each(struct store *store, const char *sql, writer_run *run,
                       int64_t before, atomic_uint_fast64_t *count, struct err *err)
{
    struct list list = {0};
    int status = find(store, sql, before, &list, err);
    struct doomed *const doomed = list.at;
    for (size_t i = 0; status == 0 && i < list.count; i++) {
        status = compactor_call(store, run, NULL, &doomed[i], err);
        if (status == 0)
            atomic_fetch_add(count, (uint64_t)doomed[i].deleted);
    }
    for (size_t i = 0; i < list.count; i++)
        free(doomed[i].forecaster);
    free(list.at);
    return status;
}

/* A day's row stays, with its opening and closing hash.  Calibrations go that came before
 * all that issues still name, but for the newest. */
static int delete_day(struct store *store, void *arg, struct err *err)
{
    struct doomed *const doomed = arg;
    doomed->deleted =
        sql_run(store->db, err, "DELETE FROM issues WHERE forecaster = ? AND day = ?",
                "si", doomed->forecaster, doomed->number);
    if (doomed->deleted < 0)
        return -1;
    return sql_run(store->db, err,
                   "DELETE FROM calibrations WHERE forecaster = ?1 AND number < coalesce("
                   "(SELECT min(calibration) FROM issues WHERE forecaster = ?1 AND "
                   "calibration > 0), (SELECT max(number) FROM calibrations WHERE "
                   "forecaster = ?1))",
                   "s", doomed->forecaster) < 0
               ? -1
               : 0;
}

int retention_days(struct store *store, int64_t before_ms, struct err *err)
{
    return delete_each(store,
                       "SELECT forecaster, day FROM days d WHERE day < ? AND EXISTS("
                       "SELECT 1 FROM issues i WHERE i.forecaster = d.forecaster AND "
                       "i.day = d.day) ORDER BY day",
                       delete_day, ledger_day(before_ms), &store->retention.issues, err);
}

static int delete_model(struct store *store, void *arg, struct err *err)
{
    struct doomed *const doomed = arg;
    doomed->deleted =
        sql_run(store->db, err, "DELETE FROM models WHERE id = ?", "i", doomed->number);
    return doomed->deleted < 0 ? -1 : 0;
}

/* Not the one that serves, nor the one that a restore would go back to. */
int retention_models(struct store *store, int64_t before_ms, struct err *err)
{
    return delete_each(store,
                       "SELECT NULL, id FROM models m WHERE max(published_ms, served_ms) "
                       "< ? AND turn NOT IN (SELECT turn FROM models s WHERE "
                       "s.forecaster = m.forecaster ORDER BY turn DESC LIMIT 2)",
                       delete_model, before_ms, &store->retention.models, err);
}

static int delete_jobs(struct store *store, void *arg, struct err *err)
{
    struct doomed *const doomed = arg;
    doomed->deleted =
        sql_run(store->db, err,
                "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE state IN "
                "('done', 'failed', 'cancelled') AND finished_ms < ? LIMIT ?)",
                "ii", doomed->number, (int64_t)JOBS_AT_ONCE);
    return doomed->deleted < 0 ? -1 : 0;
}

int retention_jobs(struct store *store, int64_t before_ms, struct err *err)
{
    struct doomed doomed = {.number = before_ms};
    do {
        if (compactor_call(store, delete_jobs, NULL, &doomed, err))
            return -1;
        atomic_fetch_add(&store->retention.jobs, (uint64_t)doomed.deleted);
    } while (doomed.deleted == JOBS_AT_ONCE);
    return 0;
}
