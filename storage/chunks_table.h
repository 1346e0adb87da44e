/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chunks_table.h -- closed chunks (chunk.h) as rows.
 *
 * A row of `chunks` says where a chunk lies in time and carries a CRC of its own; its
 * bytes are a row of `chunk_data`, apart, so that what there is can be read at opening
 * without what is in it.  Chunks of one series never overlap.
 */
#ifndef STORAGE_CHUNKS_TABLE_H
#define STORAGE_CHUNKS_TABLE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/err.h"
#include "storage/chunk.h"
#include "storage/sample_head.h"

struct chunk_row {
    uint32_t series, samples;
    int64_t first_ms, last_ms;
    double last; /* the value at last_ms */
    int64_t data;
    bool rolled; /* its hours are summed up beside it (rollup.h) */
};

/* Adds bytes and row; sets row->data. */
int chunks_insert(sqlite3 *db, struct chunk_row *row, const void *bytes, size_t len,
                  struct err *err);
int chunks_delete(sqlite3 *db, const struct chunk_row *row, struct err *err);

/* Tells each series of the head what chunks it has.  ERR_CORRUPT. */
int chunks_load(sqlite3 *db, struct head *head, uint32_t series_count, struct err *err);

/* Walks over the chunks of one series; memory and statement serve many walks. */
struct chunk_scan {
    sqlite3_stmt *stmt, *bytes;
    struct chunk_coder *coder;
    struct chunk_row row;
    struct sample *sample; /* row.samples of them, once decoded */
    size_t cap;
};
int chunk_scan_init(struct chunk_scan *scan, sqlite3 *db, struct err *err);
/* Over those only that are not rolled. */
int chunk_scan_init_loose(struct chunk_scan *scan, sqlite3 *db, struct err *err);
void chunk_scan_fini(struct chunk_scan *scan);

/* Chunks that have an instant in [from_ms, to_ms) between their first and last, and
 * with owner the nearest before from_ms too. */
void chunk_scan_seek(struct chunk_scan *scan, uint32_t series, int64_t from_ms,
                     int64_t to_ms);
/* 1: a row, 0: no more, -1: failure. */
int chunk_scan_next(struct chunk_scan *scan, struct err *err);
/* Reads the samples of the row that the walk is at, or of another that is put there. */
int chunk_scan_decode(struct chunk_scan *scan, struct err *err);
/* Ends a walk early: a statement at rest holds nothing open. */
void chunk_scan_rest(struct chunk_scan *scan);

/*
 * Takes out of samples[0..*count) of a series (sorted) those that its chunks hold bit
 * for bit; *covered: how many of the others are at an instant that a chunk has too.  A
 * chunk that cannot be read covers nothing.  Those that are known to be such (their
 * .data) are not looked at: in a transaction a read that fails ends it, and fails this.
 */
int chunks_reconcile(struct chunk_scan *scan, uint32_t series, struct sample *samples,
                     size_t *count, uint32_t *covered, const int64_t *unread,
                     size_t unread_count, struct err *err);

#endif
