/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sample_head.h -- the samples in memory, per series, sorted by time, last write wins.
 *
 * Each series also knows, as a summary, what the chunks on disk hold of it.  A sample of
 * the head hides a chunk's at the same instant (it is "covered"): it came later.
 *
 * The writer thread stages a group before its commit and publishes it after:
 *
 *     head_stage()   every batch of the group in order of arrival
 *     head_settle()  what each sample did (counts), what history loses (revisions)
 *     head_commit()  now others see it        or  head_drop(): it never happened
 *
 * A sample newer than all of its series goes behind the published end of the array,
 * where no reader looks, at O(1).  All others wait in a list that head_settle() sorts
 * and head_commit() merges into each series in one pass.  Readers hold a lock that the
 * writer takes to publish and to move arrays.
 */
#ifndef STORAGE_SAMPLE_HEAD_H
#define STORAGE_SAMPLE_HEAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/grid.h"
#include "storage/batch.h"
#include "storage/storage.h"

/* What the chunks of a series hold; samples 0: there are none. */
struct head_chunks {
    uint64_t samples;
    int64_t first_ms, last_ms;
    double last; /* the value at last_ms */
};

struct head_series {
    struct sample *sample;
    uint32_t count;   /* published */
    uint32_t pending; /* behind them, staged */
    uint32_t cap;
    uint32_t covered; /* published ones at an instant that a chunk has too */
    struct head_chunks chunks;
    bool settled; /* somebody has read what lies before settled_ms */
    int64_t settled_ms;
    uint64_t upsets; /* commits that changed something before it */
};

/* A staged sample that is not the newest of its series. */
struct head_late {
    uint32_t id;
    bool late; /* leaves a revision even where it replaces nothing */
    bool history;
    bool covered; /* after head_settle(): a chunk has this instant */
    size_t order;
    int64_t time_ms;
    double value;
    struct store_counts *counts;
};

/* What a late or overwriting sample changed. */
struct head_revision {
    uint32_t id;
    bool had_old;
    int64_t time_ms;
    double old;
};

struct head {
    pthread_rwlock_t lock;
    struct head_series *series; /* [id - 1] */
    size_t series_count;
    atomic_size_t samples; /* published */

    /* The stage: the writer's alone. */
    struct head_late *late; /* after head_settle(): one per change, sorted */
    size_t late_count, late_cap, inserts;
    uint32_t *touched; /* ids with something pending */
    size_t touched_count, touched_cap;
    struct head_revision *revision;
    size_t revision_count, revision_cap;
    uint32_t *upset; /* after head_upset() */
    size_t upset_count, upset_cap;
    size_t appended;
};

/* How the samples of one batch are judged. */
struct head_source {
    int64_t late_before_ms; /* older ones arrived late */
    bool history;           /* no revisions at all */
    struct store_counts *counts;
};

void head_init(struct head *head);
void head_fini(struct head *head);

/* Room for so many samples of a series, before the first is staged. */
void head_reserve(struct head *head, uint32_t id, uint32_t count);

/* Samples [from, to); the ids are those of the store.  counts stay borrowed until
 * head_settle(). */
void head_stage(struct head *head, const struct batch_samples *samples, size_t from,
                size_t to, const struct head_source *source);
/* below finds what a chunk holds at one instant of a series; asked in ascending order
 * of series and time.  NULL: chunks are not looked at, and chunks_reconcile() follows.
 * -1: below failed. */
typedef int head_below(void *ctx, uint32_t id, int64_t time_ms, bool *had, double *value,
                       struct err *err);
int head_settle(struct head *head, head_below *below, void *ctx, struct err *err);
/* Of the series whose samples before settled_ms change with this group: their number;
 * head->upset has the ids, some perhaps twice. */
size_t head_upset(struct head *head);
void head_commit(struct head *head);
void head_drop(struct head *head);

/* ---- chunks ---- */

void head_set_chunks(struct head *head, uint32_t id, const struct head_chunks *chunks);
/* The samples of a series from now on, an array that becomes the head's.  Nothing may
 * be staged. */
void head_replace(struct head *head, uint32_t id, struct sample *samples, size_t count,
                  uint32_t covered, const struct head_chunks *chunks);

/* ---- any thread ---- */

/* How many of count samples, sorted, come before an instant. */
size_t samples_before(const struct sample *sample, size_t count, int64_t time_ms);

/* Copies of the samples of some series, all at one moment. */
struct head_copy {
    struct sample *sample;
    size_t *end;                /* series i has sample[end[i - 1]..end[i]) */
    struct head_chunks *chunks; /* what each had in chunks at that moment */
};
/* In [from_ms, to_ms), at most limit (0: all) of each. */
int head_copy(struct head *head, const uint32_t *ids, size_t count, int64_t from_ms,
              int64_t to_ms, size_t limit, struct head_copy *out, struct err *err);
void head_copy_fini(struct head_copy *copy);

/* The same of one, all of it.  A series without samples gives none. */
int head_read(struct head *head, uint32_t id, struct sample **out, size_t *count,
              struct head_chunks *chunks, struct err *err);

/* Samples of some series before an instant have been read, or will be after this: what
 * changes them from now on counts as an upset. */
void head_settle_before(struct head *head, const uint32_t *ids, size_t count,
                        int64_t before_ms);
/* How many there have been; 0 for an id of 0. */
void head_upsets(struct head *head, const uint32_t *ids, size_t count, uint64_t *out);

/* What is known of some series, all at one moment; nothing of an id of 0. */
void head_series(struct head *head, const uint32_t *ids, size_t count,
                 struct store_series *out);

#endif
