/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/store.h"

#include <stdio.h>

#include "storage/sql.h"

/* "frwk" in PRAGMA application_id: file(1) and we know whose file it is. */
#define APPLICATION_ID 0x6672776b

/* The writer checkpoints long before this; what is larger came from a long reader. */
#define JOURNAL_SIZE_LIMIT "67108864"

/*
 * What leads from each version to the next.  A released entry never changes.
 *
 * log         one batch blob (batch.h) a group commit, in order of arrival.  From version
 *             2 on ids have gaps: the compactor puts what it leaves in the head into one
 *             (compactor.h), and what the log holds overrides what chunks hold
 * chunks      samples of one series, closed (chunks_table.h).  crc: CRC-32 over the rest
 *             rolled: the hours are in rollups too
 * rollups     hours of series (rollups_table.h); they outlive their chunks
 * revisions   what a late or overwriting sample changed.  old_bits are the bits of the
 *             double (REAL forgets the sign of -0.0); null: there was no sample
 * forecasters every definition ever in force; the newest counts, body null: deleted.
 *             policy changes in place, since no model depends on it
 * models      crc: CRC-32 over forecaster, id, revision, both times, and hash, which
 *             covers bytes.  The greatest turn of the present revision serves; 0: it
 *             has not served.  trial: how it did against the one before (JSON)
 * schedules   fired_ms: the last instant of a timetable that was seen to; memo: what the
 *             scheduler remembers of it (JSON)
 * jobs        barren: claims since a claimant last reported anything
 * issues      chain: SHA-256 over the chain before and everything of the issue, its
 *             calibration's chain too (ledger.c)
 * days        opening: the closing hash of the forecaster's day before; closing: of its
 *             last issue so far.  Kept when a day's issues are dropped
 * calibrations  how bands were stretched (JSON), counted for each forecaster.  chain:
 *             SHA-256 over opening (the chain of the one before) and the rest
 * covariates  statements (base/covariates.h), one a row.  known_ms: what the sender says,
 *             arrived_ms: when it came.  crc: CRC-32 over the rest but id
 * states      what a model keeps of a series, all of whose samples before through_ms it has
 *             seen (states_table.c).  crc: CRC-32 over the rest but id
 */
static const char *const MIGRATION[] = {
    "CREATE TABLE series("
    "  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"
    "CREATE TABLE log("
    "  id INTEGER PRIMARY KEY, batch BLOB NOT NULL) STRICT;"
    "CREATE TABLE revisions("
    "  id INTEGER PRIMARY KEY, series INTEGER NOT NULL, time_ms INTEGER NOT NULL,"
    "  arrived_ms INTEGER NOT NULL, old_bits INTEGER) STRICT;"
    "CREATE INDEX revisions_by_time ON revisions(series, time_ms);"
    "CREATE TABLE forecasters("
    "  name TEXT NOT NULL, revision INTEGER NOT NULL, body TEXT,"
    "  changed_ms INTEGER NOT NULL, PRIMARY KEY(name, revision)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE models("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, forecaster TEXT NOT NULL,"
    "  revision INTEGER NOT NULL, published_ms INTEGER NOT NULL,"
    "  watermark_ms INTEGER NOT NULL, hash BLOB NOT NULL, crc INTEGER NOT NULL,"
    "  bytes BLOB NOT NULL) STRICT;"
    "CREATE INDEX models_by_forecaster ON models(forecaster, revision, id);"
    "CREATE TABLE issues("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, forecaster TEXT NOT NULL,"
    "  day INTEGER NOT NULL, revision INTEGER NOT NULL, model_id INTEGER NOT NULL,"
    "  calibration INTEGER NOT NULL, issued_ms INTEGER NOT NULL,"
    "  first_ms INTEGER NOT NULL, step_ms INTEGER NOT NULL, steps INTEGER NOT NULL,"
    "  quantiles BLOB NOT NULL, chain BLOB NOT NULL) STRICT;"
    "CREATE INDEX issues_by_time ON issues(forecaster, issued_ms);"
    "CREATE INDEX issues_by_day ON issues(forecaster, day);"
    "CREATE TABLE forecasts("
    "  issue INTEGER NOT NULL REFERENCES issues(id) ON DELETE CASCADE,"
    "  place INTEGER NOT NULL, series TEXT NOT NULL, input_hash BLOB NOT NULL,"
    "  quantiles BLOB NOT NULL, PRIMARY KEY(issue, place)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE days("
    "  forecaster TEXT NOT NULL, day INTEGER NOT NULL, opening BLOB NOT NULL,"
    "  closing BLOB NOT NULL, PRIMARY KEY(forecaster, day)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE jobs("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"
    "  forecaster TEXT NOT NULL, state TEXT NOT NULL, owner TEXT NOT NULL DEFAULT '',"
    "  lease_until_ms INTEGER NOT NULL DEFAULT 0, created_ms INTEGER NOT NULL,"
    "  started_ms INTEGER NOT NULL DEFAULT 0, finished_ms INTEGER NOT NULL DEFAULT 0,"
    "  attempts INTEGER NOT NULL DEFAULT 0, cancel INTEGER NOT NULL DEFAULT 0,"
    "  progress TEXT, result TEXT, error TEXT) STRICT;"
    "CREATE UNIQUE INDEX jobs_open ON jobs(kind, forecaster)"
    "  WHERE state IN ('queued', 'running');",

    "CREATE TABLE chunks("
    "  series INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,"
    "  samples INTEGER NOT NULL, last_bits INTEGER NOT NULL, data INTEGER NOT NULL,"
    "  crc INTEGER NOT NULL, PRIMARY KEY(series, first_ms)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE chunk_data(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;",

    "ALTER TABLE forecasters ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';"
    "ALTER TABLE forecasters ADD COLUMN origin TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE models ADD COLUMN job INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE models ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE models ADD COLUMN served_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE models ADD COLUMN trial TEXT;"
    "UPDATE models SET turn = id, served_ms = published_ms;"
    "ALTER TABLE jobs ADD COLUMN reason TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE jobs ADD COLUMN params TEXT;"
    "ALTER TABLE jobs ADD COLUMN not_before_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN barren INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE schedules("
    "  forecaster TEXT NOT NULL, kind TEXT NOT NULL, fired_ms INTEGER NOT NULL,"
    "  memo TEXT, PRIMARY KEY(forecaster, kind)) STRICT, WITHOUT ROWID;",

    "CREATE TABLE covariates("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,"
    "  from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, known_ms INTEGER NOT NULL,"
    "  arrived_ms INTEGER NOT NULL, crc INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;"
    "CREATE INDEX covariates_by_name ON covariates(name, id);",

    "ALTER TABLE chunks ADD COLUMN rolled INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX chunks_loose ON chunks(series, first_ms) WHERE rolled = 0;"
    "CREATE TABLE rollups(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;",

    "CREATE TABLE states("
    "  id INTEGER PRIMARY KEY, forecaster TEXT NOT NULL, model INTEGER NOT NULL,"
    "  series INTEGER NOT NULL, through_ms INTEGER NOT NULL, crc INTEGER NOT NULL,"
    "  bytes BLOB NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX states_by_forecaster ON states(forecaster, model, series);"
    "CREATE INDEX states_by_series ON states(series, through_ms);",

    "CREATE TABLE calibrations("
    "  forecaster TEXT NOT NULL, number INTEGER NOT NULL, revision INTEGER NOT NULL,"
    "  model_id INTEGER NOT NULL, made_ms INTEGER NOT NULL, body TEXT NOT NULL,"
    "  opening BLOB NOT NULL, chain BLOB NOT NULL,"
    "  PRIMARY KEY(forecaster, number)) STRICT;",
};
enum { VERSION = sizeof MIGRATION / sizeof *MIGRATION };

int schema_connect(sqlite3 *db, struct err *err)
{
    sqlite3_busy_timeout(db, 5000);
    /* secure_delete is on in Debian's build and costs a write per freed page. */
    return sql_exec(db,
                    "PRAGMA secure_delete = OFF; PRAGMA foreign_keys = ON;"
                    "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
                    "PRAGMA journal_size_limit = " JOURNAL_SIZE_LIMIT ";"
                    "PRAGMA wal_autocheckpoint = 0;",
                    err);
}

/* Whose file is it, and how old?  *version is 0 for an empty one. */
static int identify(sqlite3 *db, int64_t *version, struct err *err)
{
    int64_t application, tables;
    if (sql_value(db, err, &application, "PRAGMA application_id", "") ||
        sql_value(db, err, version, "PRAGMA user_version", "") ||
        sql_value(db, err, &tables, "SELECT count(*) FROM sqlite_schema", ""))
        return -1;
    if (application != APPLICATION_ID &&
        (application != 0 || *version != 0 || tables != 0))
        return err_set(err, ERR_INVALID,
                       "database: belongs to another application (application_id %lld); "
                       "choose another state folder",
                       (long long)application);
    if (*version > VERSION)
        return err_set(
            err, ERR_INVALID,
            "database: made by a newer version: its schema is %lld, this "
            "program knows up to %d; upgrade frwkvd, or restore an older backup",
            (long long)*version, (int)VERSION);
    return 0;
}

int schema_present(sqlite3 *db, struct err *err)
{
    int64_t version;
    if (identify(db, &version, err))
        return -1;
    if (version == VERSION)
        return 0;
    return err_set(err, ERR_INVALID,
                   "database: has schema %lld, this program works with %d; start it once "
                   "(frwkvd serve) to bring it up to date",
                   (long long)version, (int)VERSION);
}

/* Each step is a transaction that ends with the new version: killed anywhere, the next
 * opening goes on from where it stands. */
static int migrate(sqlite3 *db, int64_t version, struct err *err)
{
    for (int64_t i = version; i < VERSION; i++) {
        char mark[96];
        snprintf(mark, sizeof mark,
                 "PRAGMA application_id = %d; PRAGMA user_version = %d;", APPLICATION_ID,
                 (int)i + 1);
        if (sql_exec(db, "BEGIN IMMEDIATE", err) == 0 &&
            sql_exec(db, MIGRATION[i], err) == 0 && sql_exec(db, mark, err) == 0 &&
            sql_exec(db, "COMMIT", err) == 0)
            continue;
        sql_exec(db, "ROLLBACK", NULL);
        err_prefix(err, "migration to schema %d", (int)i + 1);
        return -1;
    }
    return 0;
}

int schema_open(sqlite3 *db, enum store_durability durability, struct err *err)
{
    int64_t version;
    if (schema_connect(db, err) || identify(db, &version, err))
        return -1;
    /* Page size and auto_vacuum count only before the first page is written. */
    char fresh[80];
    snprintf(fresh, sizeof fresh,
             "PRAGMA page_size = %d; PRAGMA auto_vacuum = INCREMENTAL", STORE_PAGE_BYTES);
    if (version == 0 && sql_exec(db, fresh, err))
        return -1;
    if (sql_exec(db, "PRAGMA journal_mode = WAL", err) ||
        sql_exec(db,
                 durability == DURABILITY_FULL ? "PRAGMA synchronous = FULL"
                                               : "PRAGMA synchronous = NORMAL",
                 err))
        return -1;
    return migrate(db, version, err);
}
