/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sql.h -- SQLite statements in one call each.
 *
 * Arguments are bound by a string of types, one letter each, in the order of the
 * statement's `?`:  i int64_t,  s const char * (NULL is null),  b const void * and
 * size_t.  Text and blobs are not copied: they outlive the statement.  An integer
 * literal must be cast, since variable arguments carry their own type.
 */
#ifndef STORAGE_SQL_H
#define STORAGE_SQL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "storage/storage.h"

/* Records the connection's last failure, in words of what the caller can do.  -1. */
int sql_fail(sqlite3 *db, struct err *err);

/* What was to be read is damaged, or the disk does not give it: it stays as it is, and
 * what lies elsewhere can be read. */
bool sql_unreadable(const struct err *err);

/* Runs statements without arguments or results. */
int sql_exec(sqlite3 *db, const char *sql, struct err *err);

/* A bound statement, to be stepped and finalized by the caller.  NULL on failure. */
sqlite3_stmt *sql_query(sqlite3 *db, struct err *err, const char *sql, const char *types,
                        ...) __attribute__((warn_unused_result));

/* 1: a row, 0: no more, -1: failure. */
int sql_step(sqlite3_stmt *stmt, struct err *err);

/* Runs one statement to its end.  Returns how many rows it changed, or -1. */
int sql_run(sqlite3 *db, struct err *err, const char *sql, const char *types, ...);

/* The integer in the first column of the first row.  ERR_NOT_FOUND without a message
 * worth showing when there is no row: callers that expect that pass NULL or reword. */
int sql_value(sqlite3 *db, struct err *err, int64_t *value, const char *sql,
              const char *types, ...);

/* The SHA-256 in the first column of the first row of a statement, which it finalizes;
 * zeros where there is no row. */
int sql_hash(sqlite3_stmt *stmt, unsigned char out[static STORE_HASH_SIZE], bool *found,
             struct err *err);

/* A copy of a text column; NULL for null. */
char *sql_text(sqlite3_stmt *stmt, int column) __attribute__((warn_unused_result));

#endif
