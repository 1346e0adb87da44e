/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/waker.h"

#include <time.h>

void waker_init(struct waker *waker)
{
    pthread_mutex_init(&waker->lock, NULL);
    pthread_cond_init(&waker->changed, NULL);
    waker->woken = false;
}

void waker_fini(struct waker *waker)
{
    pthread_cond_destroy(&waker->changed);
    pthread_mutex_destroy(&waker->lock);
}

void waker_wake(struct waker *waker)
{
    pthread_mutex_lock(&waker->lock);
    waker->woken = true;
    pthread_cond_signal(&waker->changed);
    pthread_mutex_unlock(&waker->lock);
}

bool waker_rest(struct waker *waker)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    pthread_mutex_lock(&waker->lock);
    while (!waker->woken)
        if (pthread_cond_clockwait(&waker->changed, &waker->lock, CLOCK_MONOTONIC,
                                   &until))
            break;
    const bool woken = waker->woken;
    waker->woken = false;
    pthread_mutex_unlock(&waker->lock);
    return woken;
}
