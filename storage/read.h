/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * read.h -- samples of one series after the other, from head and chunks.
 *
 * A reader holds one connection, with its statements and memory, from begin to end, and
 * sees the chunks as they are at its first read.  The head is copied before that: what
 * the compactor moves meanwhile is then seen twice, never not at all.  One thread.
 */
#ifndef STORAGE_READ_H
#define STORAGE_READ_H

#include "storage/chunks_table.h"
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

struct reader {
    struct store *store;
    sqlite3 *db; /* NULL until chunks are needed */
    struct chunk_scan scan;
    sqlite3_stmt *revisions;
    struct samples head, chunks, both;
    struct undo *undo;
    size_t undo_count, undo_cap;
};

void reader_begin(struct reader *reader, struct store *store);
void reader_end(struct reader *reader);

/* Samples of a series in [from_ms, to_ms) as of an instant, at most limit (0: all).
 * *out is the reader's until its next call. */
int reader_read(struct reader *reader, uint32_t id, int64_t from_ms, int64_t to_ms,
                int64_t as_of_ms, size_t limit, const struct samples **out,
                struct err *err);

/* The id of a series that is there.  ERR_NOT_FOUND. */
int series_id(struct store *store, const char *name, uint32_t *id, struct err *err);

#endif
