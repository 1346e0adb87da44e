/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Published models.  hash is SHA-256 over the model's bytes, what an answer names; crc
 * covers the rest of the row, hash included.  Both are checked at every reading.
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
    model->bytes = NULL;
}

static int64_t row_crc(const char *forecaster, const struct store_model *model)
{
    const int64_t numbers[] = {model->id, model->forecaster_revision, model->published_ms,
                               model->watermark_ms};
    uLong crc = crc32_z(0, (const Bytef *)forecaster, strlen(forecaster));
    crc = crc32_z(crc, (const Bytef *)numbers, sizeof numbers);
    return (int64_t)crc32_z(crc, model->hash, sizeof model->hash);
}

struct publish {
    const char *forecaster, *result;
    const void *bytes;
    struct store_model model;
    int64_t job_id;
};

/* The forecaster must still be what the model was trained for. */
static int check_revision(struct store *store, const struct publish *publish,
                          struct err *err)
{
    int64_t revision;
    struct err none = {0};
    if (sql_value(store->db, &none, &revision,
                  "SELECT revision FROM (SELECT revision, body FROM forecasters "
                  "WHERE name = ? ORDER BY revision DESC LIMIT 1) WHERE body IS NOT NULL",
                  "s", publish->forecaster)) {
        if (none.code == ERR_NOT_FOUND)
            return err_set(err, ERR_NOT_FOUND, "forecaster: %s not found",
                           publish->forecaster);
        return err_set(err, none.code, "%s", none.msg);
    }
    if (revision == publish->model.forecaster_revision)
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "forecaster: %s has revision %lld by now, the model is for %lld",
                   publish->forecaster, (long long)revision,
                   (long long)publish->model.forecaster_revision);
}

static int insert(struct store *store, struct publish *publish, struct err *err)
{
    struct store_model *const model = &publish->model;
    if (sql_run(store->db, err,
                "INSERT INTO models(forecaster, revision, published_ms, watermark_ms, "
                "hash, crc, bytes) VALUES(?, ?, ?, ?, ?, 0, ?)",
                "siiibb", publish->forecaster, model->forecaster_revision,
                model->published_ms, model->watermark_ms, (const void *)model->hash,
                sizeof model->hash, publish->bytes, model->len) < 0)
        return -1;
    model->id = sqlite3_last_insert_rowid(store->db);
    return sql_run(store->db, err, "UPDATE models SET crc = ? WHERE id = ?", "ii",
                   row_crc(publish->forecaster, model), model->id) < 0
               ? -1
               : 0;
}

static int publish_run(struct store *store, void *arg, struct err *err)
{
    struct publish *const publish = arg;
    publish->model.published_ms = clock_now_ms(&store->options.clock);
    if (check_revision(store, publish, err) || insert(store, publish, err))
        return -1;
    return publish->job_id
               ? store_job_done_in(store, publish->job_id, publish->result, err)
               : 0;
}

int store_model_publish(struct store *store, const char *forecaster, int64_t revision,
                        int64_t watermark_ms, const void *bytes, size_t len,
                        int64_t job_id, const char *result, int64_t *model_id,
                        struct err *err)
{
    struct publish publish = {
        .forecaster = forecaster,
        .result = result,
        .bytes = bytes,
        .job_id = job_id,
        .model = {.forecaster_revision = revision,
                  .watermark_ms = watermark_ms,
                  .len = len},
    };
    sha_plain(bytes, len, publish.model.hash);
    if (writer_call(store, publish_run, &publish, err))
        return -1;
    *model_id = publish.model.id;
    return 0;
}

/* The row as it stands, checked.  *out is the caller's to free even on failure. */
static int read_row(sqlite3_stmt *stmt, const char *forecaster, struct store_model *out,
                    struct err *err)
{
    *out = (struct store_model){
        .id = sqlite3_column_int64(stmt, 0),
        .forecaster_revision = sqlite3_column_int64(stmt, 1),
        .published_ms = sqlite3_column_int64(stmt, 2),
        .watermark_ms = sqlite3_column_int64(stmt, 3),
    };
    const int64_t crc = sqlite3_column_int64(stmt, 5);
    if (sqlite3_column_bytes(stmt, 4) == STORE_HASH_SIZE)
        memcpy(out->hash, sqlite3_column_blob(stmt, 4), STORE_HASH_SIZE);
    const void *const bytes = sqlite3_column_blob(stmt, 6);
    out->len = (size_t)sqlite3_column_bytes(stmt, 6);
    unsigned char hash[STORE_HASH_SIZE];
    sha_plain(bytes, out->len, hash);
    if (memcmp(hash, out->hash, sizeof hash) != 0 || crc != row_crc(forecaster, out))
        return err_set(
            err, ERR_CORRUPT,
            "model: %lld of %s does not match its hash; train again, or restore "
            "the state folder from a backup",
            (long long)out->id, forecaster);
    out->bytes = mem_try(out->len, 1);
    if (!out->bytes)
        return err_set(err, ERR_NO_MEMORY, "model: no memory for %zu bytes", out->len);
    if (out->len > 0)
        memcpy(out->bytes, bytes, out->len);
    return 0;
}

int store_model_newest(struct store *store, const char *forecaster,
                       struct store_model *out, struct err *err)
{
    *out = (struct store_model){0};
    sqlite3 *const db = store_reader_take(store, err);
    if (!db)
        return -1;
    sqlite3_stmt *const stmt = sql_query(
        db, err,
        "SELECT id, revision, published_ms, watermark_ms, hash, crc, bytes FROM models "
        "WHERE forecaster = ?1 AND "
        "revision = (SELECT max(revision) FROM forecasters WHERE name = ?1) "
        "ORDER BY id DESC LIMIT 1",
        "s", forecaster);
    int status = stmt ? sql_step(stmt, err) : -1;
    if (status == 1)
        status = read_row(stmt, forecaster, out, err);
    else if (status == 0)
        status = err_set(err, ERR_NOT_FOUND,
                         "model: %s has none of its present revision yet", forecaster);
    sqlite3_finalize(stmt);
    store_reader_give(store, db);
    if (status)
        store_model_fini(out);
    return status;
}

int models_verify(struct verify *verify, struct err *err)
{
    sqlite3_stmt *const stmt =
        sql_query(verify->db, err,
                  "SELECT id, revision, published_ms, watermark_ms, hash, crc, bytes, "
                  "forecaster FROM models ORDER BY id",
                  "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        struct store_model model = {0};
        struct err damage = {0};
        char *const forecaster = sql_text(stmt, 7);
        verify->verified->models++;
        if (read_row(stmt, forecaster, &model, &damage) &&
            verify_found(verify, &damage, err))
            status = -1;
        store_model_fini(&model);
        free(forecaster);
    }
    sqlite3_finalize(stmt);
    return status;
}
