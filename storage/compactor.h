/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * compactor.h -- turns the head into chunks and drops the log behind it.
 *
 * A pass goes through all series in slices.  Of a series that has enough samples in the
 * head the oldest become chunks, merged with chunks that they overlap; the others stay
 * and are written once more as one batch of the log, "carried".  Each slice is one
 * transaction on the writer thread:
 *
 *     begin   ids boundary .. boundary + CARRY_IDS of the log are set aside for what is
 *             carried; everything appended from now on comes after them
 *     slice   new chunks and their hours (rollup.h) in, replaced ones out, a carried
 *             batch at its id; after the commit the head drops what the chunks hold bit
 *             for bit
 *     trim    rows of the log below the boundary go, oldest first
 *     shrink  the file gives back the pages that this freed, but for a reserve
 *
 * What a store holds is its chunks, overridden by the log in the order of ids.  That
 * stays true after every one of these transactions, since a slice only repeats what the
 * log says, and a row of the log goes only when all of it is in chunks or carried; so a
 * pass may die anywhere, and the next one starts from the beginning.
 *
 * The thread belongs to the store, and does retention (retention.h) too.  It waits between
 * transactions while batches wait for the writer, as long as the head is less than half
 * full.
 *
 * A series of which something cannot be read is passed by, as it is: retention leaves its
 * old chunks that lie there, and compaction carries what cannot go around them.
 */
#ifndef STORAGE_COMPACTOR_H
#define STORAGE_COMPACTOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "storage/writer.h"

struct store;
struct slice;

/* What the thread does: compaction, and retention (retention.h). */
enum { TASK_COMPACT, TASK_RETAIN, TASKS };

struct task {
    bool due;
    unsigned failed;          /* rounds in a row */
    int64_t not_before_ms;    /* monotonic: a task that is due waits until then */
    uint64_t asked, answered; /* rounds that somebody waits for */
    struct err outcome;       /* of the last round */
    enum err_code told;       /* the thread's own */
};

struct compactor {
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex; /* down to task */
    pthread_cond_t wake, finished;
    bool closing;
    struct task task[TASKS];
    atomic_size_t left; /* samples that the last pass left in the head */
    bool *passed_by;    /* (series ids) the thread's own */
    uint32_t passed_by_cap;

    atomic_uint_fast64_t passes, failures, chunks, samples, bytes, rolled_bytes,
        unreadable;
};

/* The writer's thread lives between these two. */
void compactor_init(struct compactor *compactor);
void compactor_fini(struct compactor *compactor);
int compactor_start(struct store *store, struct err *err);
/* Ends the thread after its present slice. */
void compactor_stop(struct store *store);
/* After a commit, a pass, or the start: wakes the thread when there is enough to do. */
void compactor_notice(struct store *store);

/* Free bytes that a file keeps for the log to grow into again. */
#define COMPACTOR_FREE_BYTES ((uint64_t)128 << 20)

/* ---- pass.c, on the compactor's thread ---- */

/* A pass; series with samples in the head before an instant leave nothing there. */
int compactor_pass(struct store *store, int64_t squeeze_before_ms, struct err *err);
/* Gives what is free in the file back, but for so many bytes. */
int compactor_shrink(struct store *store, uint64_t keep_bytes, struct err *err);

/* ---- for passes and retention, on that thread ---- */

/* writer_call_alone(), after letting ingest go first.  ERR_BUSY: the store is closing. */
int compactor_call(struct store *store, writer_run *run, writer_committed *committed,
                   void *arg, struct err *err);

/* Something of a series cannot be read: counted and told once, and the others go on. */
void compactor_pass_by(struct store *store, uint32_t series, const struct err *why);

/* ---- slice.c, slice_roll.c, slice_write.c ---- */

/* What one transaction of a pass writes. */
struct slice *slice_new(struct store *store, struct err *err);
void slice_free(struct slice *slice);
/* Adds a series: chunks where it has `threshold` samples in the head, else carried; with
 * one before squeeze_before_ms, as if it had enough and nothing should stay. */
int slice_add(struct slice *slice, uint32_t id, size_t threshold,
              int64_t squeeze_before_ms, struct err *err);
bool slice_full(const struct slice *slice);
/* Writes it (compactor_call()), with what is carried at this id of the log, and empties
 * it. */
int slice_write(struct slice *slice, int64_t carry_id, struct err *err);
/* Samples carried by all that was written. */
size_t slice_carried(const struct slice *slice);

#endif
