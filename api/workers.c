/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/workers.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"

struct item {
    struct item *next;
    worker_job *run;
    void *ctx;
};

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct item *first, **end;
    size_t waiting, queue_max;
    bool stopping;
    int nice;
    size_t count;
    pthread_t thread[];
};

static struct item *take(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->first && !w->stopping)
        pthread_cond_wait(&w->arrived, &w->lock);
    struct item *const item = w->first;
    if (item) {
        w->first = item->next;
        w->waiting--;
        if (!w->first)
            w->end = &w->first;
    }
    pthread_mutex_unlock(&w->lock);
    return item;
}

static void *serve(void *ctx)
{
    struct workers *const w = ctx;
    struct item *item;
    if (w->nice)
        setpriority(PRIO_PROCESS, (id_t)gettid(), w->nice); /* a wish, no more */
    while ((item = take(w))) {
        item->run(item->ctx);
        free(item);
    }
    return NULL;
}

struct workers *workers_start(size_t count, size_t queue_max, int nice)
{
    struct workers *const w = mem_new(1, sizeof *w + count * sizeof w->thread[0]);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->arrived, NULL);
    w->end = &w->first;
    w->queue_max = queue_max;
    w->nice = nice;
    for (; w->count < count; w->count++)
        if (pthread_create(&w->thread[w->count], NULL, serve, w))
            break;
    if (w->count < count) {
        workers_stop(w);
        return NULL;
    }
    return w;
}

void workers_stop(struct workers *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->arrived);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < w->count; i++)
        pthread_join(w->thread[i], NULL);
    pthread_cond_destroy(&w->arrived);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static bool push(struct workers *w, worker_job *run, void *ctx, size_t bound)
{
    struct item *const item = mem_new(1, sizeof *item);
    *item = (struct item){.run = run, .ctx = ctx};
    pthread_mutex_lock(&w->lock);
    const bool taken = w->waiting < bound;
    if (taken) {
        *w->end = item;
        w->end = &item->next;
        w->waiting++;
        pthread_cond_signal(&w->arrived);
    }
    pthread_mutex_unlock(&w->lock);
    if (!taken)
        free(item);
    return taken;
}

bool workers_push(struct workers *w, worker_job *run, void *ctx)
{
    return push(w, run, ctx, w->queue_max);
}

void workers_continue(struct workers *w, worker_job *run, void *ctx)
{
    push(w, run, ctx, SIZE_MAX);
}

size_t workers_waiting(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    const size_t waiting = w->waiting;
    pthread_mutex_unlock(&w->lock);
    return waiting;
}
