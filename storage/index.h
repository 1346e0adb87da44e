/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * index.h -- which series there are, in memory: canonical name <-> id (from 1).
 *
 * Read at opening; the writer thread alone adds.  A new series has an id inside its
 * group at once, is a row of the same transaction as its first samples, and is seen by
 * others only after the commit (index_commit); a failed commit takes it back
 * (index_drop).  A series without samples left is removed by retention; its id is not
 * given again, so ids have gaps.  Readers hold a lock that the writer takes only for
 * changes.
 */
#ifndef STORAGE_INDEX_H
#define STORAGE_INDEX_H

#include <pthread.h>
#include <sqlite3.h>

#include "base/err.h"
#include "storage/batch.h"
#include "storage/nameset.h"

struct index {
    pthread_rwlock_t lock;
    struct nameset names; /* number + 1 is the id */
    uint32_t committed;   /* names from here on are the writer's alone */
};

void index_init(struct index *index);
void index_fini(struct index *index);
int index_load(struct index *index, sqlite3 *db, struct err *err);

/* 0 when there is none. */
uint32_t index_find(struct index *index, const char *name);

/* The same for many at one moment. */
void index_find_many(struct index *index, char *const *names, size_t count,
                     uint32_t *ids);

/* The greatest id that others can see; 0 without any. */
uint32_t index_last(struct index *index);
/* How many series there are. */
uint32_t index_count(struct index *index);

/* Fills in the ids of the batch's series that exist; returns how many do not. */
uint32_t index_resolve(struct index *index, struct store_batch *batch);

/* ---- the writer thread only ---- */

/* Gives ids to the series of the batch that have none and samples.  ERR_TOO_LARGE past
 * series_max; then none is given. */
int index_add(struct index *index, struct store_batch *batch, size_t series_max,
              struct err *err);
/* Forgets a series, if it is there. */
void index_remove(struct index *index, uint32_t id);
/* Inserts the rows of what was added. */
int index_write(struct index *index, sqlite3 *db, struct err *err);
void index_commit(struct index *index);
void index_drop(struct index *index);

#endif
