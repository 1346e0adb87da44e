/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * writer.h -- the one thread that changes the database.
 *
 * Requests wait in a bounded queue.  The thread takes all of them (up to a group's
 * size), commits them in one transaction (commit.c), then answers each: nothing is
 * acknowledged before it is on disk.  When a commit has failed, or the write-ahead log
 * has grown past its bound, it tries an empty one every second, so the store recovers
 * without being asked.
 */
#ifndef STORAGE_WRITER_H
#define STORAGE_WRITER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "storage/batch.h"
#include "storage/chunks_table.h"
#include "storage/storage.h"

/* What a verb does inside the transaction, in a savepoint of its own: -1 undoes it
 * without touching its neighbours. */
typedef int writer_run(struct store *store, void *arg, struct err *err);

/* What follows its commit, still on the writer thread. */
typedef void writer_committed(struct store *store, void *arg);

/* A batch (batch, done, ctx) or a verb (run, arg). */
struct request {
    struct request *next;
    struct store_batch *batch;
    store_done *done; /* NULL: somebody waits for `finished` */
    void *ctx;
    writer_run *run;
    writer_committed *committed; /* may be NULL */
    void *arg;
    bool alone;    /* a group by itself: nothing is staged beside it */
    size_t charge; /* of the queue's bound, in samples */
    struct store_counts counts;
    struct err err;
    bool finished;
};

/* What a commit works with; memory is reused from group to group. */
struct commit {
    struct batch_samples samples;
    struct batch_blob blob;
};

enum { WRITER_BOUNDS = 11 };

struct writer {
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex; /* everything down to trouble */
    pthread_cond_t wake, answered;
    struct request *first, **last;
    size_t charge, samples; /* waiting or being committed */
    bool closing;
    struct err trouble; /* why the last commit failed; ERR_NONE: it did not */

    /* The thread's own. */
    struct commit commit;
    struct chunk_scan scan; /* for what late samples meet; initialized by store_open() */
    int64_t next_log_id;
    struct request probe;
    size_t wal_pages;
    bool wrote;               /* the group at hand; by the thread */
    int64_t restart_after_ms; /* monotonic */
    enum err_code told_commits, told_checkpoints;
    atomic_int_fast64_t busy_since_ms; /* monotonic; 0: it waits for work */

    /* Figures. */
    atomic_uint_fast64_t commits, failures, commit_us, busy;
    atomic_uint_fast64_t stored, replaced, duplicate, revisions;
    atomic_uint_fast64_t wal_bytes, checkpoints, checkpoint_failures;
    atomic_uint_fast64_t took[WRITER_BOUNDS + 1]; /* commits by duration, not summed up */
};

/* What the durations of commits are counted by: each bound belongs to what is below. */
extern const double writer_bounds_s[WRITER_BOUNDS];

int writer_start(struct store *store, struct err *err);
/* Commits what waits, then ends the thread. */
void writer_stop(struct store *store);

/* Runs a verb on the writer thread and waits for its commit. */
int writer_call(struct store *store, writer_run *run, void *arg, struct err *err);
/* The same in a transaction of its own, then committed (or NULL). */
int writer_call_alone(struct store *store, writer_run *run, writer_committed *committed,
                      void *arg, struct err *err);
/* Commits next to nothing: whether the disk refuses everything, or one thing. */
int writer_probe(struct store *store, struct err *err);

/* ---- commit.c ---- */

/* Commits a list of requests as one transaction; counts or err of each are its answer.
 * -1 when the transaction as a whole failed. */
int commit_group(struct store *store, struct request *group, struct err *err);
/* Moves the write-ahead log into the database when it has grown. */
void commit_checkpoint(struct store *store);

#endif
