/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/threads.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

/*
 * A training step is a few hundred short jobs, so whoever waits first looks for about a
 * tenth of a millisecond and only then sleeps.
 *
 * Each thread has a share of the blocks, the same part of every job, and takes from the
 * others' only when its own is done: what it wrote in one job it mostly reads in the next,
 * from its own cache.
 *
 * A share's `ticket` hands out its blocks: the number of the job in its high half, the
 * blocks not yet taken in its low half.  A taker reads ticket, then job, ctx and end,
 * then takes a block by compare-and-swap: if that succeeds, the job was not finished in
 * between and what was read belongs to it.  So nobody has to wait for a worker that sleeps.
 */
enum { SPINS = 2000, APART = 128 }; /* bytes: no two of these in one line of a cache */

struct share {
    _Atomic uint64_t ticket;
    _Atomic uint32_t end; /* the block after its last */
    unsigned char apart[APART - 16];
};

struct threads {
    size_t count; /* the caller's own included */
    struct worker *worker;
    struct share *share; /* (count) */

    _Atomic uint32_t number; /* of the job; set last */
    _Atomic(threads_job *) job;
    _Atomic(void *) ctx;
    unsigned char apart[APART];
    _Atomic uint32_t left; /* blocks not done yet */

    pthread_mutex_t lock;
    pthread_cond_t woken, finished;
    _Atomic uint32_t asleep; /* workers; they and `waiting` are set under lock */
    _Atomic bool waiting;    /* the caller */
    _Atomic bool stopping;
};

struct worker {
    struct threads *pool;
    size_t self;
    pthread_t thread;
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void block_done(struct threads *pool)
{
    if (atomic_fetch_sub(&pool->left, 1) != 1 || !atomic_load(&pool->waiting))
        return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_signal(&pool->finished);
    pthread_mutex_unlock(&pool->lock);
}

static void take_share(struct threads *pool, struct share *share)
{
    uint64_t ticket = atomic_load(&share->ticket);
    while ((uint32_t)ticket > 0) {
        threads_job *const job = atomic_load(&pool->job);
        void *const ctx = atomic_load(&pool->ctx);
        const uint32_t end = atomic_load(&share->end);
        if (!atomic_compare_exchange_strong(&share->ticket, &ticket, ticket - 1))
            continue;
        job(ctx, end - (uint32_t)ticket);
        block_done(pool);
        ticket = atomic_load(&share->ticket);
    }
}

/* Takes and does blocks until there are none, its own first. */
static void work(struct threads *pool, size_t self)
{
    for (size_t i = 0; i < pool->count; i++)
        take_share(pool, &pool->share[(self + i) % pool->count]);
}

static void sleep_past(struct threads *pool, uint32_t seen)
{
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->asleep, 1);
    while (atomic_load(&pool->number) == seen && !atomic_load(&pool->stopping))
        pthread_cond_wait(&pool->woken, &pool->lock);
    atomic_fetch_sub(&pool->asleep, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *arg)
{
    const struct worker *const worker = arg;
    struct threads *const pool = worker->pool;
    for (uint32_t seen = 0; !atomic_load(&pool->stopping);) {
        for (int i = 0; i < SPINS && atomic_load(&pool->number) == seen; i++)
            relax();
        if (atomic_load(&pool->number) == seen)
            sleep_past(pool, seen);
        seen = atomic_load(&pool->number);
        work(pool, worker->self);
    }
    return NULL;
}

struct threads *threads_start(size_t count)
{
    if (count <= 1)
        return NULL;
    struct threads *const pool = mem_new(1, sizeof *pool);
    pool->worker = mem_new(count, sizeof *pool->worker);
    pool->share = mem_new(count, sizeof *pool->share);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->woken, NULL);
    pthread_cond_init(&pool->finished, NULL);
    /* With fewer workers than asked for, the others do all the blocks. */
    for (pool->count = 1; pool->count < count; pool->count++) {
        struct worker *const worker = &pool->worker[pool->count];
        *worker = (struct worker){.pool = pool, .self = pool->count};
        if (pthread_create(&worker->thread, NULL, worker_main, worker))
            break;
    }
    return pool;
}

static void wake_all(struct threads *pool)
{
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->woken);
    pthread_mutex_unlock(&pool->lock);
}

void threads_stop(struct threads *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->stopping, true);
    wake_all(pool);
    for (size_t i = 1; i < pool->count; i++)
        pthread_join(pool->worker[i].thread, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->woken);
    pthread_mutex_destroy(&pool->lock);
    free(pool->share);
    free(pool->worker);
    free(pool);
}

static void wait_for_the_rest(struct threads *pool)
{
    for (int i = 0; i < SPINS && atomic_load(&pool->left); i++)
        relax();
    if (!atomic_load(&pool->left))
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->waiting, true);
    while (atomic_load(&pool->left))
        pthread_cond_wait(&pool->finished, &pool->lock);
    atomic_store(&pool->waiting, false);
    pthread_mutex_unlock(&pool->lock);
}

void threads_run(struct threads *pool, size_t blocks, threads_job *job, void *ctx)
{
    if (!pool || blocks == 1) {
        for (size_t i = 0; i < blocks; i++)
            job(ctx, i);
        return;
    }
    assert(blocks <= UINT32_MAX);
    const uint32_t number = atomic_load(&pool->number) + 1;
    atomic_store(&pool->job, job);
    atomic_store(&pool->ctx, ctx);
    atomic_store(&pool->left, (uint32_t)blocks);
    for (size_t i = 0, from = 0, end; i < pool->count; i++, from = end) {
        end = threads_part(blocks, i + 1, pool->count);
        atomic_store(&pool->share[i].end, (uint32_t)end);
        atomic_store(&pool->share[i].ticket, (uint64_t)number << 32 | (end - from));
    }
    atomic_store(&pool->number, number);
    if (atomic_load(&pool->asleep))
        wake_all(pool);
    work(pool, 0);
    wait_for_the_rest(pool);
}

/* ---- rows --------------------------------------------------------------------------- */

/* Of a piece: as many as its arrays fit a cache of the second level, and no fewer than
 * make packing a matrix for them worth while (model/product.h). */
enum { ROWS_LEAST = 24, ROWS_MOST = 240 };

struct rows {
    threads_rows_job *job;
    void *ctx;
    size_t R, size;
};

static void rows_piece(void *ctx, size_t block)
{
    const struct rows *const r = ctx;
    r->job(r->ctx, block * r->size, threads_block_end(block, r->R, r->size));
}

void threads_rows(struct threads *pool, size_t R, size_t unit, threads_rows_job *job,
                  void *ctx)
{
    const size_t count = pool ? pool->count : 1;
    const size_t pieces = count * threads_blocks(R, count * ROWS_MOST);
    size_t size = pieces ? threads_blocks(R, pieces) : 0;
    if (size < ROWS_LEAST)
        size = ROWS_LEAST;
    struct rows r = {
        .job = job, .ctx = ctx, .R = R, .size = threads_blocks(size, unit) * unit};
    threads_run(pool, threads_blocks(R, r.size), rows_piece, &r);
}
