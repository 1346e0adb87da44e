/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slice.h -- what one transaction of a compaction writes.
 *
 * slice.c and slice_roll.c fill it on the compactor's thread, slice_write.c writes it on
 * the writer's.
 * The two never work on it at the same time.
 */
#ifndef STORAGE_SLICE_H
#define STORAGE_SLICE_H

#include "storage/chunks_table.h"
#include "storage/rollups_table.h"
#include "storage/store.h"

struct new_chunk {
    struct chunk_row row;
    size_t offset, len; /* in bytes */
};

/* Hours of a series, whole; without bytes there are none left. */
struct new_window {
    uint32_t series, window;
    size_t offset, len; /* in rolled */
};

/* A series as it is to be in the head after the commit. */
struct settled {
    uint32_t id, covered;
    struct sample *samples;
    size_t count;
    struct head_chunks chunks;
};

/* A growing list of anything. */
struct list {
    size_t count, cap;
    void *at;
};

/* Room for one more, of this size, at the end. */
void *list_add(struct list *list, size_t size);

struct slice {
    struct store *store;
    sqlite3 *reader;
    struct chunk_scan scan;
    struct chunk_bytes bytes;
    struct list chunks;   /* struct new_chunk */
    struct list replaced; /* struct chunk_row */
    struct list unread;   /* int64_t: the data of chunks that cannot be read */
    struct list ids;      /* uint32_t: series that have new chunks */
    struct batch_samples carry;
    struct batch_blob blob;
    int64_t carry_id;
    size_t samples; /* gone through */
    size_t carried; /* by what was written */
    size_t chunk_samples;

    struct sample *merged; /* a chunk and what goes into it */
    size_t merged_cap;
    struct list rows; /* struct chunk_row of the series in hand */

    struct rollup_scan rollups;
    struct summaries fresh;     /* of the new chunks of the series in hand */
    struct summaries old, both; /* of one window, before and after */
    struct list windows;        /* struct new_window */
    struct chunk_bytes rolled;

    struct list settled; /* struct settled: the writer's, until the commit */
};

/* Makes the windows anew that the new chunks of a series lie in, and those they replace:
 * slice->chunks and slice->replaced from these places on.  A window that cannot be read
 * stays as it is, and the chunks are not rolled. */
int slice_roll(struct slice *slice, uint32_t id, size_t chunks_from, size_t replaced_from,
               struct err *err);

/* Forgets what was to be in the head. */
void slice_unsettle(struct slice *slice);

#endif
