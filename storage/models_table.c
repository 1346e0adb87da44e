/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Published models.  hash is SHA-256 over the model's bytes, what an answer names; crc
 * covers what else of the row never changes, hash included.  Both are checked at every
 * reading.  Whose turn it is to serve is a number that only grows, so a clock that was
 * set back changes nothing.
 */
#include "storage/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "storage/sha.h"
#include "storage/sql.h"
#include "storage/verify.h"

static_assert((int)STORE_HASH_SIZE == (int)SHA256_DIGEST_SIZE, "hashes are SHA-256");

void store_model_fini(struct store_model *model)
{
    free(model->bytes);
    free(model->trial);
    model->bytes = NULL;
    model->trial = NULL;
}

static int64_t row_crc(const char *forecaster, const struct store_model *model)
{
    const int64_t numbers[] = {model->id, model->forecaster_revision, model->published_ms,
                               model->watermark_ms};
    uLong crc = crc32_z(0, (const Bytef *)forecaster, strlen(forecaster));
    crc = crc32_z(crc, (const Bytef *)numbers, sizeof numbers);
    return (int64_t)crc32_z(crc, model->hash, sizeof model->hash);
}

/* The present revision of a forecaster. */
static int present_revision(struct store *store, const char *forecaster,
                            int64_t *revision, struct err *err)
{
    struct err none = {0};
    if (sql_value(store->db, &none, revision,
                  "SELECT revision FROM (SELECT revision, body FROM forecasters "
                  "WHERE name = ? ORDER BY revision DESC LIMIT 1) WHERE body IS NOT NULL",
                  "s", forecaster) == 0)
        return 0;
    if (none.code == ERR_NOT_FOUND)
        return err_set(err, ERR_NOT_FOUND, "forecaster: %s not found", forecaster);
    return err_copy(err, &none);
}

/* From here on it serves. */
static int take_turn(struct store *store, const char *forecaster, int64_t id,
                     struct err *err)
{
    return sql_run(store->db, err,
                   "UPDATE models SET served_ms = ?1, turn = 1 + "
                   "(SELECT max(turn) FROM models WHERE forecaster = ?2) WHERE id = ?3",
                   "isi", clock_now_ms(&store->options.clock), forecaster, id) < 0
               ? -1
               : 0;
}

struct publish {
    const struct store_publication *what;
    struct store_model model;
};

static int insert(struct store *store, struct publish *publish, struct err *err)
{
    const struct store_publication *const what = publish->what;
    struct store_model *const model = &publish->model;
    if (sql_run(store->db, err,
                "INSERT INTO models(forecaster, revision, published_ms, watermark_ms, "
                "hash, crc, bytes, job, trial) VALUES(?, ?, ?, ?, ?, 0, ?, ?, ?)",
                "siiibbis", what->forecaster, model->forecaster_revision,
                model->published_ms, model->watermark_ms, (const void *)model->hash,
                sizeof model->hash, what->bytes, what->len, what->job_id,
                what->trial) < 0)
        return -1;
    model->id = sqlite3_last_insert_rowid(store->db);
    return sql_run(store->db, err, "UPDATE models SET crc = ? WHERE id = ?", "ii",
                   row_crc(what->forecaster, model), model->id) < 0
               ? -1
               : 0;
}

static int publish_run(struct store *store, void *arg, struct err *err)
{
    struct publish *const publish = arg;
    const struct store_publication *const what = publish->what;
    int64_t revision;
    publish->model.published_ms = clock_now_ms(&store->options.clock);
    if (present_revision(store, what->forecaster, &revision, err))
        return -1;
    /* The forecaster must still be what the model was trained for. */
    if (revision != what->revision)
        return err_set(err, ERR_CONFLICT,
                       "forecaster: %s has revision %lld by now, the model is for %lld",
                       what->forecaster, (long long)revision, (long long)what->revision);
    if (insert(store, publish, err) ||
        (!what->kept_only && take_turn(store, what->forecaster, publish->model.id, err)))
        return -1;
    return what->result ? store_job_done_in(store, what->job_id, what->result, err) : 0;
}

int store_model_publish(struct store *store, const struct store_publication *publication,
                        int64_t *model_id, struct err *err)
{
    struct publish publish = {
        .what = publication,
        .model = {.forecaster_revision = publication->revision,
                  .watermark_ms = publication->watermark_ms,
                  .len = publication->len},
    };
    sha_plain(publication->bytes, publication->len, publish.model.hash);
    if (writer_call(store, publish_run, &publish, err))
        return -1;
    *model_id = publish.model.id;
    return 0;
}

struct restore {
    const char *forecaster;
    int64_t id;
};

static int restore_run(struct store *store, void *arg, struct err *err)
{
    const struct restore *const restore = arg;
    int64_t present, revision;
    struct err none = {0};
    if (present_revision(store, restore->forecaster, &present, err))
        return -1;
    if (sql_value(store->db, &none, &revision,
                  "SELECT revision FROM models WHERE id = ? AND forecaster = ?", "is",
                  restore->id, restore->forecaster))
        return none.code == ERR_NOT_FOUND
                   ? err_set(err, ERR_NOT_FOUND, "model: %s has none of number %lld",
                             restore->forecaster, (long long)restore->id)
                   : err_copy(err, &none);
    if (revision != present)
        return err_set(
            err, ERR_CONFLICT,
            "model: %lld is of revision %lld, and %s has revision %lld by now; "
            "put that definition back first",
            (long long)restore->id, (long long)revision, restore->forecaster,
            (long long)present);
    return take_turn(store, restore->forecaster, restore->id, err);
}

int store_model_restore(struct store *store, const char *forecaster, int64_t id,
                        struct err *err)
{
    struct restore restore = {forecaster, id};
    return writer_call(store, restore_run, &restore, err);
}

/* ---- reading ---------------------------------------------------------------------- */

#define COLUMNS                                                                          \
    "SELECT id, revision, published_ms, watermark_ms, hash, crc, job, served_ms, "       \
    "trial, "                                                                            \
    "turn > 0 AND turn = (SELECT max(turn) FROM models AS m WHERE m.forecaster = "       \
    "models.forecaster AND m.revision = models.revision) AND revision = "                \
    "(SELECT max(revision) FROM forecasters WHERE name = models.forecaster), "           \
    "forecaster, bytes FROM models "

enum { COLUMN_FORECASTER = 10, COLUMN_BYTES = 11 };

/* All but the bytes; -1 when the row is damaged. */
static int read_head(sqlite3_stmt *stmt, struct store_model *out)
{
    *out = (struct store_model){
        .id = sqlite3_column_int64(stmt, 0),
        .forecaster_revision = sqlite3_column_int64(stmt, 1),
        .published_ms = sqlite3_column_int64(stmt, 2),
        .watermark_ms = sqlite3_column_int64(stmt, 3),
        .job_id = sqlite3_column_int64(stmt, 6),
        .served_ms = sqlite3_column_int64(stmt, 7),
        .trial = sql_text(stmt, 8),
        .serves = sqlite3_column_int(stmt, 9) != 0,
    };
    if (sqlite3_column_bytes(stmt, 4) != STORE_HASH_SIZE)
        return -1;
    memcpy(out->hash, sqlite3_column_blob(stmt, 4), STORE_HASH_SIZE);
    const char *const forecaster =
        (const char *)sqlite3_column_text(stmt, COLUMN_FORECASTER);
    return sqlite3_column_int64(stmt, 5) == row_crc(forecaster, out) ? 0 : -1;
}

/* The row as it stands, checked.  *out is the caller's to free even on failure. */
static int read_row(sqlite3_stmt *stmt, struct store_model *out, struct err *err)
{
    const int head = read_head(stmt, out);
    const void *const bytes = sqlite3_column_blob(stmt, COLUMN_BYTES);
    out->len = (size_t)sqlite3_column_bytes(stmt, COLUMN_BYTES);
    unsigned char hash[STORE_HASH_SIZE];
    sha_plain(bytes, out->len, hash);
    if (head || memcmp(hash, out->hash, sizeof hash) != 0)
        return err_set(
            err, ERR_CORRUPT,
            "model: %lld of %s does not match its hash; train again, or restore "
            "the state folder from a backup",
            (long long)out->id,
            (const char *)sqlite3_column_text(stmt, COLUMN_FORECASTER));
    out->bytes = mem_try(out->len, 1);
    if (!out->bytes)
        return err_set(err, ERR_NO_MEMORY, "model: no memory for %zu bytes", out->len);
    if (out->len > 0)
        memcpy(out->bytes, bytes, out->len);
    return 0;
}

/* Ends the reading of at most one model; 0 rows are ERR_NOT_FOUND with this message. */
static int read_one(struct store *store, sqlite3 *db, sqlite3_stmt *stmt,
                    struct store_model *out, const char *none, struct err *err)
{
    int status = stmt ? sql_step(stmt, err) : -1;
    if (status == 1)
        status = read_row(stmt, out, err);
    else if (status == 0)
        status = err_set(err, ERR_NOT_FOUND, "%s", none);
    sqlite3_finalize(stmt);
    store_reader_give(store, db);
    if (status)
        store_model_fini(out);
    return status;
}

int store_model_serving(struct store *store, const char *forecaster,
                        struct store_model *out, struct err *err)
{
    *out = (struct store_model){0};
    sqlite3 *const db = store_reader_take(store, err);
    if (!db)
        return -1;
    char *const none =
        mem_printf("model: %s has none of its present revision yet", forecaster);
    const int status =
        read_one(store, db,
                 sql_query(db, err,
                           COLUMNS "WHERE forecaster = ?1 AND turn > 0 AND "
                                   "revision = (SELECT max(revision) FROM forecasters "
                                   "WHERE name = ?1) ORDER BY turn DESC LIMIT 1",
                           "s", forecaster),
                 out, none, err);
    free(none);
    return status;
}

int store_model_of_job(struct store *store, int64_t job_id, struct store_model *out,
                       struct err *err)
{
    *out = (struct store_model){0};
    sqlite3 *const db = store_reader_take(store, err);
    if (!db)
        return -1;
    return read_one(
        store, db,
        sql_query(db, err, COLUMNS "WHERE job = ? ORDER BY id DESC LIMIT 1", "i", job_id),
        out, "model: this job has published none", err);
}

int store_model_get(struct store *store, const char *forecaster, int64_t id,
                    struct store_model *out, struct err *err)
{
    *out = (struct store_model){0};
    sqlite3 *const db = store_reader_take(store, err);
    if (!db)
        return -1;
    char *const none =
        mem_printf("model: %s has none of number %lld", forecaster, (long long)id);
    const int status =
        read_one(store, db,
                 sql_query(db, err, COLUMNS "WHERE forecaster = ? AND id = ?", "si",
                           forecaster, id),
                 out, none, err);
    free(none);
    return status;
}

int store_models(struct store *store, const char *forecaster, struct store_model **out,
                 size_t *count, struct err *err)
{
    *out = NULL;
    *count = 0;
    sqlite3 *const db = store_reader_take(store, err);
    if (!db)
        return -1;
    sqlite3_stmt *const stmt = sql_query(
        db, err, COLUMNS "WHERE forecaster = ? ORDER BY id DESC", "s", forecaster);
    int status = stmt ? 1 : -1;
    size_t cap = 0;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        if (*count == cap) {
            cap = cap ? 2 * cap : 16;
            *out = mem_resize(*out, cap, sizeof **out);
        }
        /* A damaged one is listed as it is: whoever loads it is told. */
        read_head(stmt, &(*out)[(*count)++]);
    }
    sqlite3_finalize(stmt);
    store_reader_give(store, db);
    if (status == 0)
        return 0;
    while (*count > 0)
        store_model_fini(&(*out)[--*count]);
    free(*out);
    *out = NULL;
    return -1;
}

int models_verify(struct verify *verify, struct err *err)
{
    sqlite3_stmt *const stmt = sql_query(verify->db, err, COLUMNS "ORDER BY id", "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        struct store_model model = {0};
        struct err damage = {0};
        verify->verified->models++;
        if (read_row(stmt, &model, &damage) && verify_found(verify, &damage, err))
            status = -1;
        store_model_fini(&model);
    }
    sqlite3_finalize(stmt);
    return status;
}
