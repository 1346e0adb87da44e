/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/store.h"

#include "storage/sql.h"

sqlite3 *store_reader_take(struct store *store, struct err *err)
{
    struct readers *const readers = &store->readers;
    sqlite3 *db = NULL;
    pthread_mutex_lock(&readers->mutex);
    if (readers->count > 0)
        db = readers->idle[--readers->count];
    pthread_mutex_unlock(&readers->mutex);
    if (db)
        return db;
    if (sqlite3_open_v2(store->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        NULL) == SQLITE_OK &&
        schema_connect(db, err) == 0 && sql_exec(db, "PRAGMA query_only = ON", err) == 0)
        return db;
    sql_fail(db, err);
    sqlite3_close(db);
    return NULL;
}

void store_reader_give(struct store *store, sqlite3 *db)
{
    if (!db)
        return;
    struct readers *const readers = &store->readers;
    pthread_mutex_lock(&readers->mutex);
    const bool keep = readers->count < READERS_IDLE_MAX;
    if (keep)
        readers->idle[readers->count++] = db;
    pthread_mutex_unlock(&readers->mutex);
    if (!keep)
        sqlite3_close(db);
}

void store_readers_fini(struct store *store)
{
    for (size_t i = 0; i < store->readers.count; i++)
        sqlite3_close(store->readers.idle[i]);
    pthread_mutex_destroy(&store->readers.mutex);
}
