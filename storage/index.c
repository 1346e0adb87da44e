/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/index.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/sql.h"

void index_init(struct index *index)
{
    *index = (struct index){0};
    pthread_rwlock_init(&index->lock, NULL);
}

void index_fini(struct index *index)
{
    nameset_fini(&index->names);
    pthread_rwlock_destroy(&index->lock);
}

/* More is damage: an id costs memory, used or not. */
enum { INDEX_ID_MAX = 1 << 30 };

int index_load(struct index *index, sqlite3 *db, struct err *err)
{
    sqlite3_stmt *const stmt =
        sql_query(db, err, "SELECT id, name FROM series ORDER BY id", "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        const int64_t id = sqlite3_column_int64(stmt, 0);
        const char *const name = (const char *)sqlite3_column_text(stmt, 1);
        while (index->names.count + 1 < id && id <= INDEX_ID_MAX)
            nameset_skip(&index->names);
        if (id != (int64_t)index->names.count + 1)
            status = err_set(err, ERR_CORRUPT,
                             "series table: id %lld cannot be; restore the state folder "
                             "from a backup",
                             (long long)id);
        else
            nameset_add(&index->names, nameset_hash(name, strlen(name)), name,
                        strlen(name));
    }
    sqlite3_finalize(stmt);
    index->committed = index->names.count;
    return status;
}

/* Under the lock.  0: not there, or not yet committed. */
static uint32_t find(const struct index *index, uint64_t hash, const char *name)
{
    const uint32_t number = nameset_find(&index->names, hash, name);
    return number != NAMESET_NONE && number < index->committed ? number + 1 : 0;
}

uint32_t index_find(struct index *index, const char *name)
{
    const uint64_t hash = nameset_hash(name, strlen(name));
    pthread_rwlock_rdlock(&index->lock);
    const uint32_t id = find(index, hash, name);
    pthread_rwlock_unlock(&index->lock);
    return id;
}

void index_find_many(struct index *index, char *const *names, size_t count, uint32_t *ids)
{
    pthread_rwlock_rdlock(&index->lock);
    for (size_t i = 0; i < count; i++)
        ids[i] = find(index, nameset_hash(names[i], strlen(names[i])), names[i]);
    pthread_rwlock_unlock(&index->lock);
}

uint32_t index_last(struct index *index)
{
    pthread_rwlock_rdlock(&index->lock);
    const uint32_t last = index->committed;
    pthread_rwlock_unlock(&index->lock);
    return last;
}

uint32_t index_count(struct index *index)
{
    pthread_rwlock_rdlock(&index->lock);
    const uint32_t count = index->committed - index->names.gone;
    pthread_rwlock_unlock(&index->lock);
    return count;
}

uint32_t index_resolve(struct index *index, struct store_batch *batch)
{
    const uint32_t count = batch->names.count;
    uint32_t unknown = 0;
    batch->id = mem_resize(batch->id, count, sizeof *batch->id);
    pthread_rwlock_rdlock(&index->lock);
    for (uint32_t i = 0; i < count; i++) {
        batch->id[i] =
            find(index, batch->names.name[i].hash, nameset_text(&batch->names, i));
        unknown += batch->id[i] == 0;
    }
    pthread_rwlock_unlock(&index->lock);
    return unknown;
}

/* Marks those among the batch's unknown series that it has samples of. */
static bool *used_series(const struct store_batch *batch)
{
    bool *const used = mem_new(batch->names.count, sizeof *used);
    for (size_t i = 0; i < batch->samples.count; i++)
        used[batch->samples.id[i]] = true;
    return used;
}

static int add_unknown(struct index *index, struct store_batch *batch, const bool *used,
                       size_t series_max, struct err *err)
{
    size_t unknown = 0;
    for (uint32_t i = 0; i < batch->names.count; i++)
        unknown += used[i] && batch->id[i] == 0;
    const uint32_t present = index->names.count - index->names.gone;
    if (present + unknown > series_max)
        return err_set(err, ERR_TOO_LARGE,
                       "series: at most %zu (series_max), there are %u and %zu are new",
                       series_max, present, unknown);
    if (index->names.count + unknown > INDEX_ID_MAX)
        return err_set(err, ERR_TOO_LARGE, "series: all %d ids have been given",
                       INDEX_ID_MAX);
    pthread_rwlock_wrlock(&index->lock);
    for (uint32_t i = 0; i < batch->names.count; i++) {
        if (!used[i] || batch->id[i])
            continue;
        const char *const name = nameset_text(&batch->names, i);
        batch->id[i] =
            1 + nameset_add(&index->names, batch->names.name[i].hash, name, strlen(name));
    }
    pthread_rwlock_unlock(&index->lock);
    return 0;
}

/* The writer is the only one who changes the set, so it looks without the lock; what
 * was unknown at submission may have come with the batch before, and what was known may
 * have been removed. */
int index_add(struct index *index, struct store_batch *batch, size_t series_max,
              struct err *err)
{
    size_t unknown = 0;
    for (uint32_t i = 0; i < batch->names.count; i++) {
        if (batch->id[i] && !nameset_gone(&index->names, batch->id[i] - 1))
            continue;
        const uint32_t number = nameset_find(&index->names, batch->names.name[i].hash,
                                             nameset_text(&batch->names, i));
        batch->id[i] = number == NAMESET_NONE ? 0 : number + 1;
        unknown += number == NAMESET_NONE;
    }
    if (unknown == 0)
        return 0;
    bool *const used = used_series(batch);
    const int status = add_unknown(index, batch, used, series_max, err);
    free(used);
    return status;
}

void index_remove(struct index *index, uint32_t id)
{
    pthread_rwlock_wrlock(&index->lock);
    nameset_remove(&index->names, id - 1);
    pthread_rwlock_unlock(&index->lock);
}

int index_write(struct index *index, sqlite3 *db, struct err *err)
{
    if (index->committed == index->names.count)
        return 0;
    sqlite3_stmt *const stmt =
        sql_query(db, err, "INSERT INTO series(id, name) VALUES(?, ?)", "");
    int status = stmt ? 0 : -1;
    for (uint32_t i = index->committed; status == 0 && i < index->names.count; i++) {
        sqlite3_bind_int64(stmt, 1, (int64_t)i + 1);
        sqlite3_bind_text(stmt, 2, nameset_text(&index->names, i), -1, SQLITE_STATIC);
        status = sql_step(stmt, err);
        sqlite3_reset(stmt);
    }
    sqlite3_finalize(stmt);
    return status;
}

void index_commit(struct index *index)
{
    if (index->committed == index->names.count)
        return;
    pthread_rwlock_wrlock(&index->lock);
    index->committed = index->names.count;
    pthread_rwlock_unlock(&index->lock);
}

void index_drop(struct index *index)
{
    if (index->committed == index->names.count)
        return;
    pthread_rwlock_wrlock(&index->lock);
    nameset_cut(&index->names, index->committed);
    pthread_rwlock_unlock(&index->lock);
}
