/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * read.h -- samples of some series, from head and chunks.
 *
 * A reader copies the head of all its series first and sees the chunks as they are at
 * some moment after that: what the compactor moves meanwhile is then seen twice, never
 * not at all.  It holds one connection, with its statements and memory, from its first
 * chunk to its end.  One thread.
 */
#ifndef STORAGE_READ_H
#define STORAGE_READ_H

#include "storage/chunks_table.h"
#include "storage/rollups_table.h"
#include "storage/store.h"

/* A growing list. */
struct samples {
    struct sample *at;
    size_t count, cap;
};

/* What one instant held before the first revision that came too late. */
struct undo {
    int64_t time_ms;
    bool had_old;
    double old;
};

/* What is to be read. */
struct read_wish {
    const uint32_t *ids; /* borrowed until reader_end() */
    size_t count;
    int64_t from_ms, to_ms, as_of_ms;
    size_t limit; /* of each series; 0: all */
};

/* What was read of one series, and what it was made from. */
struct range {
    struct samples chunks, both;
    struct undo *undo;
    size_t undo_count, undo_cap;
};

struct reader {
    struct store *store;
    struct read_wish wish;
    struct head_copy head;
    sqlite3 *db; /* NULL until chunks are needed */
    struct chunk_scan scan;
    sqlite3_stmt *revisions;
    struct range range;

    /* For hours. */
    struct chunk_scan loose; /* its statement is NULL until they are needed */
    struct rollup_scan rollups;
    struct summaries hours;
    struct range inside; /* of one hour */
};

/* After a failure too reader_end() must follow. */
int reader_begin(struct reader *reader, struct store *store, const struct read_wish *wish,
                 struct err *err);
void reader_end(struct reader *reader);

/* Series i of the wish.  *out is the reader's until its next call. */
int reader_read(struct reader *reader, size_t i, const struct sample **out, size_t *count,
                struct err *err);

/* Series i into a column whose rows begin at full hours: through their summaries, but for
 * hours that the head or a revision changes, or that the wish cuts. */
int reader_hours(struct reader *reader, size_t i, struct grid_column *column,
                 struct err *err);

/* ---- read.c, for read_hours.c ---- */

/* Takes a connection where there is none yet, and with it one moment of the database. */
int reader_connect(struct reader *reader, struct err *err);
/* Samples of series i in a part of the wish, of chunks that the scan sees and the head.
 * *out is the range's until its next use, or the head's own. */
int reader_range(struct reader *reader, size_t i, struct chunk_scan *scan,
                 int64_t from_ms, int64_t to_ms, struct range *range, struct samples *out,
                 struct err *err);

/* The id of a series that is there.  ERR_NOT_FOUND. */
int series_id(struct store *store, const char *name, uint32_t *id, struct err *err);

#endif
