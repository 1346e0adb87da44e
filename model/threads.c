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
 * `ticket` hands out the blocks: the number of the job in its high half, the blocks
 * not yet taken in its low half.  A taker reads ticket, then job and ctx, then takes a
 * block by compare-and-swap: if that succeeds, the job was not finished in between and
 * what was read belongs to it.  So nobody has to wait for a worker that sleeps.
 */
enum { SPINS = 2000 };

struct threads {
    size_t workers;
    pthread_t *thread;

    _Atomic uint64_t ticket;
    _Atomic(threads_job *) job;
    _Atomic(void *) ctx;
    _Atomic uint32_t left; /* blocks not done yet */

    pthread_mutex_t lock;
    pthread_cond_t woken, finished;
    _Atomic uint32_t asleep; /* workers; they and `waiting` are set under lock */
    _Atomic bool waiting;    /* the caller */
    _Atomic bool stopping;
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static bool nothing_to_take(struct threads *pool)
{
    return (uint32_t)atomic_load(&pool->ticket) == 0;
}

static void block_done(struct threads *pool)
{
    if (atomic_fetch_sub(&pool->left, 1) != 1 || !atomic_load(&pool->waiting))
        return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_signal(&pool->finished);
    pthread_mutex_unlock(&pool->lock);
}

/* Takes and does blocks until there are none. */
static void work(struct threads *pool)
{
    uint64_t ticket = atomic_load(&pool->ticket);
    while ((uint32_t)ticket > 0) {
        threads_job *const job = atomic_load(&pool->job);
        void *const ctx = atomic_load(&pool->ctx);
        if (!atomic_compare_exchange_strong(&pool->ticket, &ticket, ticket - 1))
            continue;
        job(ctx, (uint32_t)ticket - 1);
        block_done(pool);
        ticket = atomic_load(&pool->ticket);
    }
}

static void sleep_until_woken(struct threads *pool)
{
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->asleep, 1);
    while (nothing_to_take(pool) && !atomic_load(&pool->stopping))
        pthread_cond_wait(&pool->woken, &pool->lock);
    atomic_fetch_sub(&pool->asleep, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker(void *arg)
{
    struct threads *const pool = arg;
    while (!atomic_load(&pool->stopping)) {
        work(pool);
        for (int i = 0; i < SPINS && nothing_to_take(pool); i++)
            relax();
        if (nothing_to_take(pool))
            sleep_until_woken(pool);
    }
    return NULL;
}

struct threads *threads_start(size_t count)
{
    if (count <= 1)
        return NULL;
    struct threads *const pool = mem_new(1, sizeof *pool);
    pool->thread = mem_new(count - 1, sizeof *pool->thread);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->woken, NULL);
    pthread_cond_init(&pool->finished, NULL);
    /* With fewer workers than asked for, the others do all the blocks. */
    while (pool->workers < count - 1 &&
           !pthread_create(&pool->thread[pool->workers], NULL, worker, pool))
        pool->workers++;
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
    for (size_t i = 0; i < pool->workers; i++)
        pthread_join(pool->thread[i], NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->woken);
    pthread_mutex_destroy(&pool->lock);
    free(pool->thread);
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
    const uint64_t number = (atomic_load(&pool->ticket) >> 32) + 1;
    atomic_store(&pool->job, job);
    atomic_store(&pool->ctx, ctx);
    atomic_store(&pool->left, (uint32_t)blocks);
    atomic_store(&pool->ticket, number << 32 | blocks);
    if (atomic_load(&pool->asleep))
        wake_all(pool);
    work(pool);
    wait_for_the_rest(pool);
}
