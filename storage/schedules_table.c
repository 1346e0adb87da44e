/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/store.h"

#include <stdlib.h>

#include "base/mem.h"
#include "storage/sql.h"

void store_schedules_fini(struct store_schedule *schedules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(schedules[i].forecaster);
        free(schedules[i].kind);
        free(schedules[i].memo);
    }
    free(schedules);
}

int store_schedules(struct store *store, struct store_schedule **out, size_t *count,
                    struct err *err)
{
    *out = NULL;
    *count = 0;
    sqlite3 *const db = store_reader_take(store, err);
    if (!db)
        return -1;
    sqlite3_stmt *const stmt =
        sql_query(db, err,
                  "SELECT forecaster, kind, fired_ms, memo FROM schedules "
                  "ORDER BY forecaster, kind",
                  "");
    int status = stmt ? 1 : -1;
    size_t cap = 0;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        if (*count == cap) {
            cap = cap ? 2 * cap : 16;
            *out = mem_resize(*out, cap, sizeof **out);
        }
        (*out)[(*count)++] = (struct store_schedule){
            .forecaster = sql_text(stmt, 0),
            .kind = sql_text(stmt, 1),
            .fired_ms = sqlite3_column_int64(stmt, 2),
            .memo = sql_text(stmt, 3),
        };
    }
    sqlite3_finalize(stmt);
    store_reader_give(store, db);
    if (status == 0)
        return 0;
    store_schedules_fini(*out, *count);
    *out = NULL;
    *count = 0;
    return -1;
}

struct fire {
    const char *forecaster, *kind, *memo;
    int64_t fired_ms;
    const struct store_job_wish *wish;
    int64_t job_id;
};

static int fire_run(struct store *store, void *arg, struct err *err)
{
    struct fire *const fire = arg;
    bool created;
    if (sql_run(store->db, err,
                "INSERT INTO schedules(forecaster, kind, fired_ms, memo) "
                "VALUES(?, ?, ?, ?) ON CONFLICT(forecaster, kind) DO UPDATE SET "
                "fired_ms = excluded.fired_ms, memo = coalesce(excluded.memo, memo)",
                "ssis", fire->forecaster, fire->kind, fire->fired_ms, fire->memo) < 0)
        return -1;
    return fire->wish ? store_job_add_in(store, fire->wish, &fire->job_id, &created, err)
                      : 0;
}

int store_schedule_fire(struct store *store, const char *forecaster, const char *kind,
                        int64_t fired_ms, const char *memo,
                        const struct store_job_wish *wish, int64_t *job_id,
                        struct err *err)
{
    struct fire fire = {.forecaster = forecaster,
                        .kind = kind,
                        .memo = memo,
                        .fired_ms = fired_ms,
                        .wish = wish};
    if (writer_call(store, fire_run, &fire, err))
        return -1;
    *job_id = fire.job_id;
    return 0;
}
