/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every definition stays: the newest revision of a name counts, and one without body
 * says that the forecaster was deleted.  So a name that comes back goes on counting,
 * and what the ledger says of a revision never means two things.
 */
#include "storage/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/sql.h"

#define NEWEST "SELECT name, body, max(revision), changed_ms FROM forecasters "

void store_forecaster_fini(struct store_forecaster *forecaster)
{
    free(forecaster->name);
    free(forecaster->body);
    *forecaster = (struct store_forecaster){0};
}

static struct store_forecaster read_row(sqlite3_stmt *stmt)
{
    return (struct store_forecaster){
        .name = sql_text(stmt, 0),
        .body = sql_text(stmt, 1),
        .revision = sqlite3_column_int64(stmt, 2),
        .changed_ms = sqlite3_column_int64(stmt, 3),
    };
}

/* The newest revision of a name, deleted or not; revision 0 where there is none. */
static int newest(sqlite3 *db, const char *name, struct store_forecaster *out,
                  struct err *err)
{
    *out = (struct store_forecaster){0};
    sqlite3_stmt *const stmt = sql_query(db, err, NEWEST "WHERE name = ?", "s", name);
    const int status = stmt ? sql_step(stmt, err) : -1;
    if (status == 1)
        *out = read_row(stmt);
    sqlite3_finalize(stmt);
    return status < 0 ? -1 : 0;
}

static int not_found(const char *name, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "forecaster: %s not found", name);
}

static int insert(struct store *store, const char *name, int64_t revision,
                  const char *body, struct err *err)
{
    return sql_run(store->db, err,
                   "INSERT INTO forecasters(name, revision, body, changed_ms) "
                   "VALUES(?, ?, ?, ?)",
                   "sisi", name, revision, body, clock_now_ms(&store->options.clock)) < 0
               ? -1
               : 0;
}

struct put {
    const char *name, *body;
    int64_t revision;
    bool created;
};

static int put_run(struct store *store, void *arg, struct err *err)
{
    struct put *const put = arg;
    struct store_forecaster present;
    if (newest(store->db, put->name, &present, err))
        return -1;
    int status = 0;
    put->created = !present.body;
    put->revision = present.revision;
    if (!present.body || strcmp(present.body, put->body) != 0)
        status = insert(store, put->name, ++put->revision, put->body, err);
    store_forecaster_fini(&present);
    return status;
}

int store_forecaster_put(struct store *store, const char *name, const char *body,
                         int64_t *revision, bool *created, struct err *err)
{
    struct put put = {.name = name, .body = body};
    if (writer_call(store, put_run, &put, err))
        return -1;
    *revision = put.revision;
    *created = put.created;
    return 0;
}

static int delete_run(struct store *store, void *arg, struct err *err)
{
    const char *const name = arg;
    struct store_forecaster present;
    if (newest(store->db, name, &present, err))
        return -1;
    int status;
    if (!present.body)
        status = not_found(name, err);
    else
        status = insert(store, name, present.revision + 1, NULL, err);
    if (status == 0 &&
        sql_run(store->db, err, "DELETE FROM models WHERE forecaster = ?", "s", name) < 0)
        status = -1;
    store_forecaster_fini(&present);
    return status;
}

int store_forecaster_delete(struct store *store, const char *name, struct err *err)
{
    char *const copy = mem_text(name);
    const int status = writer_call(store, delete_run, copy, err);
    free(copy);
    return status;
}

int store_forecaster_get(struct store *store, const char *name,
                         struct store_forecaster *out, struct err *err)
{
    sqlite3 *const db = store_reader_take(store, err);
    int status = db ? newest(db, name, out, err) : -1;
    store_reader_give(store, db);
    if (status == 0 && !out->body) {
        store_forecaster_fini(out);
        status = not_found(name, err);
    }
    return status;
}

int store_forecasters(struct store *store, struct store_forecaster **out, size_t *count,
                      struct err *err)
{
    *out = NULL;
    *count = 0;
    sqlite3 *const db = store_reader_take(store, err);
    if (!db)
        return -1;
    sqlite3_stmt *const stmt = sql_query(
        db, err, NEWEST "GROUP BY name HAVING body IS NOT NULL ORDER BY name", "");
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
        store_forecaster_fini(&(*out)[--*count]);
    free(*out);
    *out = NULL;
    return -1;
}
