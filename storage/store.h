/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.h -- the SQLite driver from inside.
 *
 * A state folder holds `lock` (who owns it) and `frwkvd.db` with its -wal and -shm.
 * One thread, the writer, changes the database: everything that waits becomes one
 * transaction.  Reads of rows use connections of their own (store_reader_*); reads of
 * samples take the head in memory first and the chunks on disk after it, so what moves
 * from one to the other meanwhile is seen.
 *
 * Order of the sources: nameset, batch, batch_codec, index, sample_head (memory); sql,
 * schema, lock, store (opening); writer, commit (the way in); chunk*, slice, pass, compactor
 * (from memory to chunks); rollup*, slice_roll (hours); retention*; read*, selector, and
 * one file per kind of row.
 */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include <pthread.h>
#include <sqlite3.h>

#include "storage/compactor.h"
#include "storage/index.h"
#include "storage/retention.h"
#include "storage/sample_head.h"
#include "storage/storage.h"
#include "storage/writer.h"

enum { READERS_IDLE_MAX = 8, STORE_PAGE_BYTES = 8192 };

/* Connections that only read; idle ones are kept. */
struct readers {
    pthread_mutex_t mutex;
    sqlite3 *idle[READERS_IDLE_MAX];
    size_t count;
};

struct store {
    struct store_options options;
    char *folder, *path;
    int lock_fd;
    sqlite3 *db; /* the writer's; store_open's until the writer starts */
    struct index index;
    struct head head;
    struct writer writer;
    struct compactor compactor;
    struct retention retention;
    struct readers readers;
};

/* ---- schema.c ---- */

/* Sets what every connection needs. */
int schema_connect(sqlite3 *db, struct err *err);
/* Creates or migrates; refuses what is not ours or newer. */
int schema_open(sqlite3 *db, enum store_durability durability, struct err *err);

/* Refuses every schema but the present one. */
int schema_present(sqlite3 *db, struct err *err);

/* ---- store.c ---- */

/* Tells how a work went, where that is not what was told last; *told is its owner's. */
void store_tell_change(struct store *store, enum store_work work, enum err_code *told,
                       const struct err *outcome);
/* The folder of "sqlite:FOLDER", inside uri.  NULL. */
const char *store_folder(const char *uri, struct err *err);

/* ---- backup.c ---- */

sqlite3 *store_connect(const char *uri, struct err *err)
    __attribute__((warn_unused_result));

/* ---- lock.c ---- */

/* Creates the folder if absent and takes its lock.  A file descriptor or -1. */
int lock_folder(const char *folder, struct err *err);

/* ---- readers.c ---- */

sqlite3 *store_reader_take(struct store *store, struct err *err)
    __attribute__((warn_unused_result));
/* NULL is fine. */
void store_reader_give(struct store *store, sqlite3 *db);
void store_readers_fini(struct store *store);

/* ---- states_table.c ---- */

/* On the writer thread: drops what the staged samples make untrue. */
int states_upset(struct store *store, struct err *err);
/* At opening, after the head: what states have seen is settled. */
int states_load(struct store *store, struct err *err);

/* ---- jobs_table.c, for what adds or finishes one in its own transaction ---- */

/* On the writer thread: a running job is done.  ERR_NOT_FOUND, ERR_CONFLICT. */
int store_job_done_in(struct store *store, int64_t id, const char *result,
                      struct err *err);
/* On the writer thread: what store_job_add() does. */
int store_job_add_in(struct store *store, const struct store_job_wish *wish, int64_t *id,
                     bool *created, struct err *err);

#endif
