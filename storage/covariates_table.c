/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known in advance, statement by statement.  Nothing is ever changed: what was
 * known at some instant can be asked for ever after.
 *
 * bytes: `otherwise`, then from, to and value of each span; numbers of 64 bits,
 * little-endian.
 */
#include "storage/store.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "storage/sql.h"
#include "storage/verify.h"

enum { SPAN_NUMBERS = 3 };

void store_covariates_fini(struct store_covariate *covariates, size_t count)
{
    for (size_t i = 0; covariates && i < count; i++)
        free(covariates[i].statement.spans);
    free(covariates);
}

/* ---- bytes ------------------------------------------------------------------------- */

static int64_t bits_of(double value)
{
    int64_t bits;
    value = isnan(value) ? (double)NAN : value; /* one NaN for all */
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double value_of(int64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Numbers of a statement; the caller frees them. */
static int64_t *pack(const struct covariate_statement *s, size_t *count)
{
    *count = 1 + s->count * SPAN_NUMBERS;
    int64_t *const out = mem_new(*count, sizeof *out);
    out[0] = bits_of(s->otherwise);
    for (size_t i = 0; i < s->count; i++) {
        int64_t *const at = out + 1 + i * SPAN_NUMBERS;
        at[0] = s->spans[i].from_ms;
        at[1] = s->spans[i].to_ms;
        at[2] = bits_of(s->spans[i].value);
    }
    return out;
}

static int unpack(const void *bytes, size_t len, struct covariate_statement *s)
{
    const size_t count = len / sizeof(int64_t);
    if (len % sizeof(int64_t) || count % SPAN_NUMBERS != 1)
        return -1;
    int64_t *const numbers = mem_new(count, sizeof *numbers);
    memcpy(numbers, bytes, len);
    s->otherwise = value_of(numbers[0]);
    s->count = count / SPAN_NUMBERS;
    s->spans = mem_new(s->count + 1, sizeof *s->spans);
    for (size_t i = 0; i < s->count; i++) {
        const int64_t *const at = numbers + 1 + i * SPAN_NUMBERS;
        s->spans[i] = (struct covariate_span){at[0], at[1], value_of(at[2])};
    }
    free(numbers);
    return 0;
}

static int64_t row_crc(const char *name, const struct store_covariate *c,
                       const void *bytes, size_t len)
{
    const int64_t numbers[] = {c->statement.from_ms, c->statement.to_ms,
                               c->statement.known_ms, c->arrived_ms};
    uLong crc = crc32_z(0, (const Bytef *)name, strlen(name));
    crc = crc32_z(crc, (const Bytef *)numbers, sizeof numbers);
    return (int64_t)crc32_z(crc, bytes, len);
}

/* ---- rows -------------------------------------------------------------------------- */

#define ROW "SELECT id, name, from_ms, to_ms, known_ms, arrived_ms, crc, bytes "

/* ERR_CORRUPT where the row is not what was written. */
static int read_row(sqlite3_stmt *stmt, struct store_covariate *out, struct err *err)
{
    const char *const name = (const char *)sqlite3_column_text(stmt, 1);
    const void *const bytes = sqlite3_column_blob(stmt, 7);
    const size_t len = (size_t)sqlite3_column_bytes(stmt, 7);
    *out =
        (struct store_covariate){.statement = {.from_ms = sqlite3_column_int64(stmt, 2),
                                               .to_ms = sqlite3_column_int64(stmt, 3),
                                               .known_ms = sqlite3_column_int64(stmt, 4)},
                                 .arrived_ms = sqlite3_column_int64(stmt, 5)};
    if (name && bytes &&
        row_crc(name, out, bytes, len) == sqlite3_column_int64(stmt, 6) &&
        unpack(bytes, len, &out->statement) == 0 &&
        covariate_check(&out->statement, NULL) == 0)
        return 0;
    free(out->statement.spans);
    out->statement.spans = NULL;
    return err_set(err, ERR_CORRUPT, "covariate %s: statement %lld fails its checksum",
                   name ? name : "?", (long long)sqlite3_column_int64(stmt, 0));
}

int covariates_verify(struct verify *verify, struct err *err)
{
    sqlite3_stmt *const stmt =
        sql_query(verify->db, err, ROW "FROM covariates ORDER BY id", "");
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        struct store_covariate row;
        struct err damage = {0};
        verify->verified->covariates++;
        if (read_row(stmt, &row, &damage))
            verify_found(verify, &damage, NULL);
        else
            free(row.statement.spans);
    }
    sqlite3_finalize(stmt);
    return status;
}

/* ---- putting ----------------------------------------------------------------------- */

struct put {
    const char *name;
    const struct covariate_statement *statement;
    const int64_t *bytes;
    size_t len;
    bool stored;
};

/* Whether the newest statement says the same. */
static int is_repeated(struct store *store, const struct put *put, bool *repeated,
                       struct err *err)
{
    const struct covariate_statement *const s = put->statement;
    sqlite3_stmt *const stmt = sql_query(
        store->db, err,
        "SELECT from_ms = ? AND to_ms = ? AND known_ms <= ? AND bytes = ? "
        "FROM covariates WHERE name = ? ORDER BY id DESC LIMIT 1",
        "iiibs", s->from_ms, s->to_ms, s->known_ms, put->bytes, put->len, put->name);
    const int status = stmt ? sql_step(stmt, err) : -1;
    *repeated = status == 1 && sqlite3_column_int64(stmt, 0) == 1;
    sqlite3_finalize(stmt);
    return status < 0 ? -1 : 0;
}

static int check_room(struct store *store, const char *name, struct err *err)
{
    int64_t statements, names;
    if (sql_value(store->db, err, &statements,
                  "SELECT count(*) FROM covariates WHERE name = ?", "s", name) ||
        sql_value(store->db, err, &names, "SELECT count(DISTINCT name) FROM covariates",
                  ""))
        return -1;
    if (statements >= STORE_STATEMENTS_MAX)
        return err_set(err, ERR_TOO_LARGE,
                       "covariate %s: holds %d statements already; delete it and put it "
                       "once more as one",
                       name, (int)STORE_STATEMENTS_MAX);
    if (statements == 0 && names >= STORE_COVARIATES_MAX)
        return err_set(err, ERR_TOO_LARGE, "covariates: there are %d already",
                       (int)STORE_COVARIATES_MAX);
    return 0;
}

static int put_run(struct store *store, void *arg, struct err *err)
{
    struct put *const put = arg;
    const struct store_covariate row = {
        .statement = *put->statement,
        .arrived_ms = clock_now_ms(&store->options.clock),
    };
    bool repeated;
    if (is_repeated(store, put, &repeated, err))
        return -1;
    put->stored = !repeated;
    if (repeated)
        return 0;
    if (check_room(store, put->name, err))
        return -1;
    return sql_run(store->db, err,
                   "INSERT INTO covariates(name, from_ms, to_ms, known_ms, arrived_ms, "
                   "crc, bytes) VALUES(?, ?, ?, ?, ?, ?, ?)",
                   "siiiiib", put->name, row.statement.from_ms, row.statement.to_ms,
                   row.statement.known_ms, row.arrived_ms,
                   row_crc(put->name, &row, put->bytes, put->len), put->bytes,
                   put->len) < 0
               ? -1
               : 0;
}

int store_covariate_put(struct store *store, const char *name,
                        const struct covariate_statement *statement, bool *stored,
                        struct err *err)
{
    if (covariate_check(statement, err))
        return -1;
    size_t count;
    int64_t *const bytes = pack(statement, &count);
    struct put put = {.name = name,
                      .statement = statement,
                      .bytes = bytes,
                      .len = count * sizeof *bytes};
    const int status = writer_call(store, put_run, &put, err);
    *stored = put.stored;
    free(bytes);
    return status;
}

/* ---- reading and deleting ---------------------------------------------------------- */

static int not_found(const char *name, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "covariate: %s not found", name);
}

static int exists(sqlite3 *db, const char *name, struct err *err)
{
    struct err none = {0};
    int64_t id;
    if (sql_value(db, &none, &id, "SELECT id FROM covariates WHERE name = ? LIMIT 1", "s",
                  name) == 0)
        return 0;
    return none.code == ERR_NOT_FOUND ? not_found(name, err) : err_copy(err, &none);
}

static int read_rows(sqlite3_stmt *stmt, struct store_covariate **out, size_t *count,
                     struct err *err)
{
    size_t room = 0;
    int status;
    while ((status = sql_step(stmt, err)) == 1) {
        if (*count == room) {
            room = 2 * room + 16;
            *out = mem_resize(*out, room, sizeof **out);
        }
        if (read_row(stmt, &(*out)[*count], err))
            return -1;
        ++*count;
    }
    return status;
}

int store_covariate_read(struct store *store, const char *name, int64_t from_ms,
                         int64_t to_ms, int64_t as_of_ms, struct store_covariate **out,
                         size_t *count, struct err *err)
{
    *out = NULL;
    *count = 0;
    sqlite3 *const db = store_reader_take(store, err);
    if (!db)
        return -1;
    int status = exists(db, name, err);
    sqlite3_stmt *const stmt =
        status == 0
            ? sql_query(db, err,
                        ROW
                        "FROM covariates WHERE name = ? AND from_ms < ? AND to_ms > ? "
                        "AND arrived_ms <= ? ORDER BY id",
                        "siii", name, to_ms, from_ms, as_of_ms)
            : NULL;
    status = stmt ? read_rows(stmt, out, count, err) : -1;
    sqlite3_finalize(stmt);
    store_reader_give(store, db);
    if (status == 0)
        return 0;
    store_covariates_fini(*out, *count);
    *out = NULL;
    *count = 0;
    return -1;
}

static int delete_run(struct store *store, void *arg, struct err *err)
{
    const char *const name = arg;
    const int rows =
        sql_run(store->db, err, "DELETE FROM covariates WHERE name = ?", "s", name);
    return rows > 0 ? 0 : rows == 0 ? not_found(name, err) : -1;
}

int store_covariate_delete(struct store *store, const char *name, struct err *err)
{
    char *const copy = mem_text(name);
    const int status = writer_call(store, delete_run, copy, err);
    free(copy);
    return status;
}

int store_covariate_names(struct store *store, struct store_covariate_name **out,
                          size_t *count, struct err *err)
{
    *out = NULL;
    *count = 0;
    sqlite3 *const db = store_reader_take(store, err);
    sqlite3_stmt *const stmt =
        db ? sql_query(db, err,
                       "SELECT name, min(from_ms), max(to_ms), max(arrived_ms), count(*) "
                       "FROM covariates GROUP BY name ORDER BY name",
                       "")
           : NULL;
    int status = stmt ? 1 : -1;
    while (status == 1 && (status = sql_step(stmt, err)) == 1) {
        *out = mem_resize(*out, *count + 1, sizeof **out);
        (*out)[(*count)++] = (struct store_covariate_name){
            .name = sql_text(stmt, 0),
            .from_ms = sqlite3_column_int64(stmt, 1),
            .to_ms = sqlite3_column_int64(stmt, 2),
            .arrived_ms = sqlite3_column_int64(stmt, 3),
            .statements = (uint64_t)sqlite3_column_int64(stmt, 4),
        };
    }
    sqlite3_finalize(stmt);
    store_reader_give(store, db);
    return status;
}
