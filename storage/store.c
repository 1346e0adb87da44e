/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/sql.h"

struct store_options store_options_default(void)
{
    return (struct store_options){
        .durability = DURABILITY_FULL,
        .clock = clock_real(),
        .head_samples_max = 32000000,
        .queue_samples_max = 2000000,
        .series_max = 1000000,
        .late_after_ms = 3600000,
    };
}

static const char *folder_of(const char *uri, struct err *err)
{
    static const char SCHEME[] = "sqlite:";
    const size_t len = sizeof SCHEME - 1;
    if (strncmp(uri, SCHEME, len) == 0 && uri[len] != '\0')
        return uri + len;
    err_set(err, ERR_INVALID, "database: must be sqlite:FOLDER, got %s", uri);
    return NULL;
}

/* The file is made here and not by SQLite, for its mode; -wal and -shm inherit it. */
static int open_database(struct store *store, struct err *err)
{
    const int fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "database %s", store->path);
    close(fd);
    if (sqlite3_open_v2(store->path, &store->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        sql_fail(store->db, err);
    else if (schema_open(store->db, store->options.durability, err) == 0)
        return 0;
    err_prefix(err, "%s", store->path);
    return -1;
}

static int replay_row(struct store *store, const void *bytes, size_t len,
                      struct batch_samples *samples, struct err *err)
{
    int64_t arrived_ms;
    if (batch_decode(bytes, len, samples, &arrived_ms, err))
        return -1;
    for (size_t i = 0; i < samples->count; i++)
        if (samples->id[i] > store->index.committed)
            return err_set(err, ERR_CORRUPT, "batch: series %u is not in the index",
                           samples->id[i]);
    /* Its revisions were written when it arrived. */
    struct store_counts counts = {0};
    const struct head_source source = {.history = true, .counts = &counts};
    head_stage(&store->head, samples, 0, samples->count, &source);
    head_settle(&store->head);
    head_commit(&store->head);
    return 0;
}

/* Builds the head from the log. */
static int replay(struct store *store, struct err *err)
{
    struct batch_samples samples = {0};
    sqlite3_stmt *const stmt =
        sql_query(store->db, err, "SELECT id, batch FROM log ORDER BY id", "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        const void *const bytes = sqlite3_column_blob(stmt, 1);
        if (replay_row(store, bytes, (size_t)sqlite3_column_bytes(stmt, 1), &samples,
                       err)) {
            err_prefix(err,
                       "%s: row %lld of the log is damaged, restore the state folder "
                       "from a backup",
                       store->path, (long long)sqlite3_column_int64(stmt, 0));
            status = -1;
        } else {
            status = 1;
        }
    }
    sqlite3_finalize(stmt);
    batch_samples_fini(&samples);
    return status;
}

struct store *store_open(const char *uri, const struct store_options *options,
                         struct err *err)
{
    const char *const folder = folder_of(uri, err);
    if (!folder)
        return NULL;
    struct store *const store = mem_new(1, sizeof *store);
    store->options = *options;
    store->folder = mem_text(folder);
    store->path = mem_printf("%s/frwkvd.db", folder);
    index_init(&store->index);
    head_init(&store->head);
    pthread_mutex_init(&store->readers.mutex, NULL);
    store->lock_fd = lock_folder(folder, err);
    if (store->lock_fd >= 0 && open_database(store, err) == 0 &&
        index_load(&store->index, store->db, err) == 0 && replay(store, err) == 0 &&
        writer_start(store, err) == 0)
        return store;
    store_close(store);
    return NULL;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    writer_stop(store);
    store_readers_fini(store);
    if (store->db)
        sql_exec(store->db, "PRAGMA optimize", NULL);
    /* The last connection to close moves the whole log into the database. */
    sqlite3_close(store->db);
    index_fini(&store->index);
    head_fini(&store->head);
    /* Last: until here nobody else may open. */
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    free(store->folder);
    free(store->path);
    free(store);
}
