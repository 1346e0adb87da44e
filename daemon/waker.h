/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * waker.h -- a thread that rests until somebody has something for it.
 *
 * A call that comes while the thread works is not lost: its next rest ends at once.
 */
#ifndef WAKER_H
#define WAKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct waker {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool woken; /* under the lock */
};

void waker_init(struct waker *waker);
void waker_fini(struct waker *waker);

/* Any thread. */
void waker_wake(struct waker *waker);

/* Of the thread itself: for at most a second, since clocks may be set meanwhile and other
 * processes do not call.  Whether it was woken since the rest before. */
bool waker_rest(struct waker *waker);

#endif
