/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ledger.h -- what was issued, as bytes and as a chain of hashes.
 *
 * A forecast's quantiles are float32, steps x quantiles, little-endian, in one zstd
 * frame (level 3, with its checksum) a series.  The chain of an issue is
 *
 *     SHA-256(chain before, all columns of the issue, for each series: name, input
 *             hash, stored bytes)
 *
 * where "before" is the issue before it of the same forecaster and UTC day, or the
 * day's opening: the closing hash of the forecaster's day before (zeros at first).  An
 * issue that names a calibration takes that one's chain in, which is
 *
 *     SHA-256(chain of the calibration before, all columns of the calibration)
 */
#ifndef STORAGE_LEDGER_H
#define STORAGE_LEDGER_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/err.h"
#include "storage/sha.h"
#include "storage/storage.h"

/* More cannot have been issued: bounds what a damaged row may ask for. */
enum { LEDGER_STEPS_MAX = 1 << 20, LEDGER_QUANTILES_MAX = 1 << 10 };

/* The day of an instant, counted from 1970. */
int64_t ledger_day(int64_t time_ms);

/* Begins a link: everything of the issue itself.  calibration: the chain of the one it
 * names, not read where it names none. */
void ledger_link(struct sha *link, const unsigned char before[static STORE_HASH_SIZE],
                 const struct store_issue *issue,
                 const unsigned char calibration[static STORE_HASH_SIZE]);
/* Adds one series to it. */
void ledger_link_series(struct sha *link, const char *series,
                        const unsigned char input_hash[static STORE_HASH_SIZE],
                        const void *packed, size_t len);

/* The chain of a calibration, of everything but its chain. */
void ledger_calibration(const unsigned char before[static STORE_HASH_SIZE],
                        const char *forecaster,
                        const struct store_calibration *calibration,
                        unsigned char out[static STORE_HASH_SIZE]);
/* The chain of a calibration that is stored (sql_hash()). */
int ledger_calibration_chain(sqlite3 *db, const char *forecaster, int64_t number,
                             unsigned char out[static STORE_HASH_SIZE], bool *found,
                             struct err *err);

/* Packs count floats; *packed is the caller's to free. */
int ledger_pack(const float *values, size_t count, void **packed, size_t *len,
                struct err *err);
/* Unpacks exactly count floats.  ERR_CORRUPT for anything else. */
int ledger_unpack(const void *packed, size_t len, float *values, size_t count,
                  struct err *err);

#endif
