/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What models keep of series.  Everything here can be made anew from samples, so what is
 * damaged is passed by, and what is untrue dropped: in the transaction of the sample that
 * makes it so, since the process may end at any time.
 */
#include "storage/store.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "storage/sql.h"
#include "storage/verify.h"

static int64_t row_crc(const char *forecaster, int64_t model_id, int64_t series,
                       int64_t through_ms, const void *bytes, size_t len)
{
    const int64_t numbers[] = {model_id, series, through_ms};
    uLong crc = crc32_z(0, (const Bytef *)forecaster, strlen(forecaster));
    crc = crc32_z(crc, (const Bytef *)numbers, sizeof numbers);
    return (int64_t)crc32_z(crc, bytes, len);
}

/* ---- what is settled ------------------------------------------------------------- */

void store_settle(struct store *store, char *const *names, size_t count,
                  int64_t before_ms)
{
    uint32_t *const ids = mem_new(count, sizeof *ids);
    index_find_many(&store->index, names, count, ids);
    head_settle_before(&store->head, ids, count, before_ms);
    free(ids);
}

void store_upsets(struct store *store, char *const *names, size_t count, uint64_t *upsets)
{
    uint32_t *const ids = mem_new(count, sizeof *ids);
    index_find_many(&store->index, names, count, ids);
    head_upsets(&store->head, ids, count, upsets);
    free(ids);
}

int states_load(struct store *store, struct err *err)
{
    sqlite3_stmt *const stmt = sql_query(
        store->db, err, "SELECT series, max(through_ms) FROM states GROUP BY series", "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        const uint32_t id = (uint32_t)sqlite3_column_int64(stmt, 0);
        head_settle_before(&store->head, &id, 1, sqlite3_column_int64(stmt, 1));
    }
    sqlite3_finalize(stmt);
    return status;
}

int states_upset(struct store *store, struct err *err)
{
    const size_t count = head_upset(&store->head);
    for (size_t i = 0; i < count; i++)
        if (sql_run(store->db, err, "DELETE FROM states WHERE series = ?", "i",
                    (int64_t)store->head.upset[i]) < 0)
            return -1;
    return 0;
}

/* ---- putting --------------------------------------------------------------------- */

struct put {
    const char *forecaster;
    int64_t model_id, through_ms;
    const struct store_state *states;
    size_t count;
};

/* Of this group, which is not published yet. */
static bool is_upset_now(const struct head *head, uint32_t id)
{
    for (size_t i = 0; i < head->upset_count; i++)
        if (head->upset[i] == id)
            return true;
    return false;
}

static int put_run(struct store *store, void *arg, struct err *err)
{
    const struct put *const put = arg;
    if (sql_run(store->db, err, "DELETE FROM states WHERE forecaster = ? AND model != ?",
                "si", put->forecaster, put->model_id) < 0)
        return -1;
    for (size_t i = 0; i < put->count; i++) {
        const struct store_state *const s = &put->states[i];
        const uint32_t id = index_find(&store->index, s->series);
        uint64_t upsets;
        head_upsets(&store->head, &id, 1, &upsets);
        if (id == 0 || upsets != s->upsets || is_upset_now(&store->head, id))
            continue;
        if (sql_run(
                store->db, err,
                "INSERT OR REPLACE INTO states(forecaster, model, series, through_ms, "
                "crc, bytes) VALUES(?, ?, ?, ?, ?, ?)",
                "siiiib", put->forecaster, put->model_id, (int64_t)id, put->through_ms,
                row_crc(put->forecaster, put->model_id, id, put->through_ms, s->bytes,
                        s->len),
                s->bytes, s->len) < 0)
            return -1;
    }
    return 0;
}

int store_states_put(struct store *store, const char *forecaster, int64_t model_id,
                     int64_t through_ms, const struct store_state *states, size_t count,
                     struct err *err)
{
    struct put put = {forecaster, model_id, through_ms, states, count};
    return writer_call(store, put_run, &put, err);
}

/* ---- reading --------------------------------------------------------------------- */

#define ROW "SELECT forecaster, model, series, through_ms, crc, bytes "

static bool is_whole(sqlite3_stmt *stmt)
{
    const char *const forecaster = (const char *)sqlite3_column_text(stmt, 0);
    const void *const bytes = sqlite3_column_blob(stmt, 5);
    return forecaster && bytes &&
           row_crc(forecaster, sqlite3_column_int64(stmt, 1),
                   sqlite3_column_int64(stmt, 2), sqlite3_column_int64(stmt, 3), bytes,
                   (size_t)sqlite3_column_bytes(stmt, 5)) ==
               sqlite3_column_int64(stmt, 4);
}

int states_verify(struct verify *verify, struct err *err)
{
    sqlite3_stmt *const stmt = sql_query(verify->db, err, ROW "FROM states", "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        struct err damage = {0};
        verify->verified->states++;
        if (is_whole(stmt))
            continue;
        err_set(&damage, ERR_CORRUPT, "state of series %lld for %s fails its checksum",
                (long long)sqlite3_column_int64(stmt, 2),
                (const char *)sqlite3_column_text(stmt, 0));
        verify_found(verify, &damage, NULL);
    }
    sqlite3_finalize(stmt);
    return status;
}

int store_states(struct store *store, const char *forecaster, int64_t model_id,
                 store_state_each *each, void *ctx, struct err *err)
{
    sqlite3 *const db = store_reader_take(store, err);
    sqlite3_stmt *const stmt =
        db ? sql_query(db, err,
                       ROW ", name FROM states JOIN series ON series.id = series "
                           "WHERE forecaster = ? AND model = ?",
                       "si", forecaster, model_id)
           : NULL;
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1)
        if (is_whole(stmt))
            each(ctx, (const char *)sqlite3_column_text(stmt, 6),
                 sqlite3_column_int64(stmt, 3), sqlite3_column_blob(stmt, 5),
                 (size_t)sqlite3_column_bytes(stmt, 5));
    sqlite3_finalize(stmt);
    store_reader_give(store, db);
    return status;
}
