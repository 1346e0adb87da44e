/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * threads.h -- a few threads that share the blocks of one job.
 *
 * Work is cut into blocks by its *output*, the same way whatever the number of
 * threads, and every block is computed by one thread from start to end.  No sum is
 * ever split over threads, so results are the same bits for 1 thread and for 16.
 *
 * A pool inherits the scheduling priority of the thread that starts it.  One thread
 * at a time may call threads_run(); jobs do not nest.  NULL is a pool of one: the
 * caller does all blocks.
 */
#ifndef THREADS_H
#define THREADS_H

#include <stddef.h>

struct threads;

typedef void threads_job(void *ctx, size_t block);

/* count threads in all, the caller's own included; NULL for count <= 1. */
struct threads *threads_start(size_t count);
void threads_stop(struct threads *pool);

/* Runs job(ctx, 0..blocks-1) in any order, returns when all are done. */
void threads_run(struct threads *pool, size_t blocks, threads_job *job, void *ctx);

/*
 * Rows 0..R-1 in pieces of whole units (the last may be short), about as many as threads:
 * job(ctx, from, to).  So a thread keeps to its rows from job to job, and a job may carry
 * them through several layers.  Where pieces end depends on the number of threads: what
 * becomes of a row must not depend on the other rows of its piece.
 */
typedef void threads_rows_job(void *ctx, size_t from, size_t to);
void threads_rows(struct threads *pool, size_t R, size_t unit, threads_rows_job *job,
                  void *ctx);

/* Blocks of `size` that cover `count` things, and the end of one of them. */
static inline size_t threads_blocks(size_t count, size_t size)
{
    return (count + size - 1) / size;
}

static inline size_t threads_block_end(size_t block, size_t count, size_t size)
{
    const size_t end = (block + 1) * size;
    return end < count ? end : count;
}

/* The first of `count` things in a part of `parts`, as equal as can be.  Parts lie side by
 * side, and so do those of a thread: it meets the same things in job after job. */
static inline size_t threads_part(size_t count, size_t part, size_t parts)
{
    return count * part / parts;
}

#endif
