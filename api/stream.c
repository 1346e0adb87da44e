/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/stream.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/mem.h"

enum { BLOCK = 4096 };

struct stream {
    pthread_mutex_t lock;
    struct MHD_Connection *connection;
    char *bytes;
    size_t taken, len;
    bool suspended, ended, gone;
    int holds;
};

struct stream *stream_new(void)
{
    struct stream *const s = mem_new(1, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    s->holds = 2;
    return s;
}

/* Under the lock, which it gives up. */
static void let_go(struct stream *s)
{
    const bool last = --s->holds == 0;
    pthread_mutex_unlock(&s->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&s->lock);
    free(s->bytes);
    free(s);
}

/* There is something to read, or the end.  Under the lock. */
static void wake(struct stream *s)
{
    if (s->suspended)
        MHD_resume_connection(s->connection);
    s->suspended = false;
}

bool stream_write(struct stream *s, const char *bytes, size_t len)
{
    pthread_mutex_lock(&s->lock);
    const bool there = !s->gone;
    if (there) {
        const size_t left = s->len - s->taken;
        if (s->taken)
            memmove(s->bytes, s->bytes + s->taken, left);
        s->bytes = mem_resize(s->bytes, left + len, 1);
        memcpy(s->bytes + left, bytes, len);
        s->taken = 0;
        s->len = left + len;
        wake(s);
    }
    pthread_mutex_unlock(&s->lock);
    return there;
}

bool stream_drained(struct stream *s)
{
    pthread_mutex_lock(&s->lock);
    const bool drained = s->taken == s->len;
    pthread_mutex_unlock(&s->lock);
    return drained;
}

void stream_end(struct stream *s)
{
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    if (!s->gone)
        wake(s);
    let_go(s);
}

/* ---- the connection's side --------------------------------------------------------- */

static ssize_t read_some(void *ctx, uint64_t at, char *out, size_t max)
{
    (void)at;
    struct stream *const s = ctx;
    ssize_t count = 0;
    pthread_mutex_lock(&s->lock);
    if (s->taken < s->len) {
        const size_t left = s->len - s->taken;
        count = (ssize_t)(left < max ? left : max);
        memcpy(out, s->bytes + s->taken, (size_t)count);
        s->taken += (size_t)count;
    } else if (s->ended) {
        count = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        s->suspended = true;
        MHD_suspend_connection(s->connection);
    }
    pthread_mutex_unlock(&s->lock);
    return count;
}

static void on_free(void *ctx)
{
    stream_drop(ctx);
}

struct MHD_Response *stream_response(struct stream *s, struct MHD_Connection *connection)
{
    s->connection = connection; /* nobody reads yet */
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_some, s,
                                             on_free);
}

void stream_drop(struct stream *s)
{
    pthread_mutex_lock(&s->lock);
    s->gone = true;
    s->suspended = false;
    let_go(s);
}
