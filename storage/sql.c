/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/sql.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"

int sql_fail(sqlite3 *db, struct err *err)
{
    const char *const text = sqlite3_errmsg(db);
    switch (sqlite3_errcode(db) & 0xff) {
    case SQLITE_FULL:
        return err_set(err, ERR_BUSY, "disk: full, nothing was stored (%s)", text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(err, ERR_BUSY, "database: in use by another program (%s)", text);
    case SQLITE_NOMEM:
        return err_set(err, ERR_NO_MEMORY, "database: %s", text);
    case SQLITE_READONLY:
        return err_set(
            err, ERR_IO,
            "database: cannot be written (%s); give its files to the user that "
            "runs this, or mount their file system for writing",
            text);
    case SQLITE_IOERR:
        return err_set(err, ERR_IO,
                       "database: cannot be read or written (%s, code %d); look at "
                       "its disk",
                       text, sqlite3_extended_errcode(db));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return err_set(err, ERR_CORRUPT,
                       "database: damaged (%s); restore the state folder from a backup, "
                       "or move it away to start anew",
                       text);
    default:
        return err_set(err, ERR_IO, "database: %s (code %d)", text,
                       sqlite3_extended_errcode(db));
    }
}

bool sql_unreadable(const struct err *err)
{
    return err->code == ERR_CORRUPT || err->code == ERR_IO;
}

int sql_exec(sqlite3 *db, const char *sql, struct err *err)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sql_fail(db, err);
}

static int bind(sqlite3_stmt *stmt, int column, char type, va_list *args)
{
    if (type == 'i')
        return sqlite3_bind_int64(stmt, column, va_arg(*args, int64_t));
    if (type == 's')
        return sqlite3_bind_text(stmt, column, va_arg(*args, const char *), -1,
                                 SQLITE_STATIC);
    assert(type == 'b');
    const void *const bytes = va_arg(*args, const void *);
    const size_t len = va_arg(*args, size_t);
    /* SQLite takes a NULL pointer for null, and an empty blob is not null. */
    return sqlite3_bind_blob64(stmt, column, bytes ? bytes : "", len, SQLITE_STATIC);
}

static sqlite3_stmt *query(sqlite3 *db, struct err *err, const char *sql,
                           const char *types, va_list *args)
{
    sqlite3_stmt *stmt = NULL;
    int status = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    for (int i = 0; status == SQLITE_OK && types[i]; i++)
        status = bind(stmt, i + 1, types[i], args);
    if (status == SQLITE_OK)
        return stmt;
    sql_fail(db, err);
    sqlite3_finalize(stmt);
    return NULL;
}

sqlite3_stmt *sql_query(sqlite3 *db, struct err *err, const char *sql, const char *types,
                        ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *const stmt = query(db, err, sql, types, &args);
    va_end(args);
    return stmt;
}

int sql_step(sqlite3_stmt *stmt, struct err *err)
{
    const int status = sqlite3_step(stmt);
    if (status == SQLITE_ROW)
        return 1;
    return status == SQLITE_DONE ? 0 : sql_fail(sqlite3_db_handle(stmt), err);
}

int sql_run(sqlite3 *db, struct err *err, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *const stmt = query(db, err, sql, types, &args);
    va_end(args);
    int status = stmt ? 1 : -1;
    while (status == 1)
        status = sql_step(stmt, err);
    sqlite3_finalize(stmt);
    return status == 0 ? sqlite3_changes(db) : -1;
}

int sql_value(sqlite3 *db, struct err *err, int64_t *value, const char *sql,
              const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *const stmt = query(db, err, sql, types, &args);
    va_end(args);
    const int status = stmt ? sql_step(stmt, err) : -1;
    if (status == 1)
        *value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    if (status == 0)
        return err_set(err, ERR_NOT_FOUND, "row: not found");
    return status == 1 ? 0 : -1;
}

int sql_hash(sqlite3_stmt *stmt, unsigned char out[static STORE_HASH_SIZE], bool *found,
             struct err *err)
{
    memset(out, 0, STORE_HASH_SIZE);
    const int status = stmt ? sql_step(stmt, err) : -1;
    *found = status == 1;
    if (status == 1 && sqlite3_column_bytes(stmt, 0) == STORE_HASH_SIZE)
        memcpy(out, sqlite3_column_blob(stmt, 0), STORE_HASH_SIZE);
    sqlite3_finalize(stmt);
    return status < 0 ? -1 : 0;
}

char *sql_text(sqlite3_stmt *stmt, int column)
{
    const unsigned char *const text = sqlite3_column_text(stmt, column);
    return text ? mem_text((const char *)text) : NULL;
}
