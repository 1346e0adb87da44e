/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every definition stays: the newest revision of a name counts, and one without body
 * says that the forecaster was deleted.  So a name that comes back goes on counting,
 * and what the ledger says of a revision never means two things.  The policy says how a
 * forecaster is run, on which no model depends, and changes in place.
 */
#include "storage/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/sql.h"

#define NEWEST                                                                           \
    "SELECT name, body, max(revision), changed_ms, policy, origin FROM forecasters "

void store_forecaster_fini(struct store_forecaster *forecaster)
{
    free(forecaster->name);
    free(forecaster->body);
    free(forecaster->policy);
    free(forecaster->origin);
    *forecaster = (struct store_forecaster){0};
}

static struct store_forecaster read_row(sqlite3_stmt *stmt)
{
    return (struct store_forecaster){
        .name = sql_text(stmt, 0),
        .body = sql_text(stmt, 1),
        .revision = sqlite3_column_int64(stmt, 2),
        .changed_ms = sqlite3_column_int64(stmt, 3),
        .policy = sql_text(stmt, 4),
        .origin = sql_text(stmt, 5),
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
                  const char *body, const char *policy, const char *origin,
                  struct err *err)
{
    return sql_run(store->db, err,
                   "INSERT INTO forecasters(name, revision, body, changed_ms, policy, "
                   "origin) VALUES(?, ?, ?, ?, ?, ?)",
                   "sisiss", name, revision, body, clock_now_ms(&store->options.clock),
                   policy, origin) < 0
               ? -1
               : 0;
}

static int update(struct store *store, const struct store_forecaster *present,
                  const char *policy, const char *origin, struct err *err)
{
    return sql_run(store->db, err,
                   "UPDATE forecasters SET policy = ?, origin = ?, changed_ms = ? "
                   "WHERE name = ? AND revision = ?",
                   "ssisi", policy, origin, clock_now_ms(&store->options.clock),
                   present->name, present->revision) < 0
               ? -1
               : 0;
}

struct put {
    const char *name, *body, *policy, *origin;
    int64_t revision;
    bool created, changed;
};

/* What HTTP may not touch. */
static int check_origin(const struct store_forecaster *present, struct err *err)
{
    if (!present->body || !present->origin[0])
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "forecaster: %s is defined in %s; change it there, then reload",
                   present->name, present->origin);
}

static int put_row(struct store *store, struct put *put,
                   const struct store_forecaster *present, struct err *err)
{
    put->created = !present->body;
    put->revision = present->revision;
    if (put->created || strcmp(present->body, put->body) != 0) {
        put->changed = true;
        return insert(store, put->name, ++put->revision, put->body, put->policy,
                      put->origin, err);
    }
    put->changed = strcmp(present->policy, put->policy) != 0 ||
                   strcmp(present->origin, put->origin) != 0;
    return put->changed ? update(store, present, put->policy, put->origin, err) : 0;
}

static int put_run(struct store *store, void *arg, struct err *err)
{
    struct put *const put = arg;
    struct store_forecaster present;
    if (newest(store->db, put->name, &present, err))
        return -1;
    const int status = check_origin(&present, err) || put_row(store, put, &present, err);
    store_forecaster_fini(&present);
    return status ? -1 : 0;
}

int store_forecaster_put(struct store *store, const char *name, const char *body,
                         const char *policy, int64_t *revision, bool *created,
                         struct err *err)
{
    struct put put = {.name = name, .body = body, .policy = policy, .origin = ""};
    if (writer_call(store, put_run, &put, err))
        return -1;
    *revision = put.revision;
    *created = put.created;
    return 0;
}

static int delete_row(struct store *store, const struct store_forecaster *present,
                      struct err *err)
{
    return insert(store, present->name, present->revision + 1, NULL, "{}", "", err) ||
                   sql_run(store->db, err, "DELETE FROM models WHERE forecaster = ?", "s",
                           present->name) < 0 ||
                   sql_run(store->db, err, "DELETE FROM states WHERE forecaster = ?", "s",
                           present->name) < 0 ||
                   sql_run(store->db, err, "DELETE FROM schedules WHERE forecaster = ?",
                           "s", present->name) < 0
               ? -1
               : 0;
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
        status = check_origin(&present, err) || delete_row(store, &present, err) ? -1 : 0;
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

int store_forecaster_revision(struct store *store, const char *name, int64_t revision,
                              struct store_forecaster *out, struct err *err)
{
    *out = (struct store_forecaster){0};
    sqlite3 *const db = store_reader_take(store, err);
    sqlite3_stmt *const stmt =
        db ? sql_query(db, err,
                       "SELECT name, body, revision, changed_ms, policy, origin FROM "
                       "forecasters WHERE name = ? AND revision = ? AND body IS NOT NULL",
                       "si", name, revision)
           : NULL;
    const int status = stmt ? sql_step(stmt, err) : -1;
    if (status == 1)
        *out = read_row(stmt);
    sqlite3_finalize(stmt);
    store_reader_give(store, db);
    return status == 0 ? not_found(name, err) : status == 1 ? 0 : -1;
}

static int list(sqlite3 *db, struct store_forecaster **out, size_t *count,
                struct err *err)
{
    *out = NULL;
    *count = 0;
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
    if (status == 0)
        return 0;
    while (*count > 0)
        store_forecaster_fini(&(*out)[--*count]);
    free(*out);
    *out = NULL;
    return -1;
}

int store_forecasters(struct store *store, struct store_forecaster **out, size_t *count,
                      struct err *err)
{
    *out = NULL;
    *count = 0;
    sqlite3 *const db = store_reader_take(store, err);
    const int status = db ? list(db, out, count, err) : -1;
    store_reader_give(store, db);
    return status;
}

/* ---- files ------------------------------------------------------------------------ */

struct apply {
    const struct store_forecaster *files;
    size_t count;
    struct store_applied applied;
};

static bool among(const struct apply *apply, const char *name)
{
    for (size_t i = 0; i < apply->count; i++)
        if (strcmp(apply->files[i].name, name) == 0)
            return true;
    return false;
}

/* Those of files that no longer say anything of them. */
static int delete_dropped(struct store *store, struct apply *apply, struct err *err)
{
    struct store_forecaster *all = NULL;
    size_t count = 0;
    int status = list(store->db, &all, &count, err);
    for (size_t i = 0; i < count; i++) {
        if (status == 0 && all[i].origin[0] && !among(apply, all[i].name)) {
            status = delete_row(store, &all[i], err);
            apply->applied.deleted++;
        }
        store_forecaster_fini(&all[i]);
    }
    free(all);
    return status;
}

static int apply_run(struct store *store, void *arg, struct err *err)
{
    struct apply *const apply = arg;
    if (delete_dropped(store, apply, err))
        return -1;
    for (size_t i = 0; i < apply->count; i++) {
        const struct store_forecaster *const file = &apply->files[i];
        struct put put = {.name = file->name,
                          .body = file->body,
                          .policy = file->policy,
                          .origin = file->origin};
        struct store_forecaster present;
        if (newest(store->db, file->name, &present, err))
            return -1;
        const int status = put_row(store, &put, &present, err);
        store_forecaster_fini(&present);
        if (status)
            return -1;
        apply->applied.created += put.created;
        apply->applied.changed += put.changed && !put.created;
    }
    return 0;
}

int store_forecasters_apply(struct store *store, const struct store_forecaster *files,
                            size_t count, struct store_applied *applied, struct err *err)
{
    struct apply apply = {.files = files, .count = count};
    if (writer_call(store, apply_run, &apply, err))
        return -1;
    *applied = apply.applied;
    return 0;
}
