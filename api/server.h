/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * server.h -- what all requests share.
 */
#ifndef SERVER_H
#define SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "api/api.h"
#include "api/metrics.h"
#include "api/workers.h"

struct MHD_Daemon;
struct crossings_cache;
struct standings;
struct influx_databases;
struct events;
struct request;

struct api {
    struct api_config config;
    struct metrics *metrics;
    struct workers *workers;
    struct events *events;
    struct crossings_cache *crossings;
    struct standings *standings;
    struct influx_databases *databases;
    struct workers *intake; /* takes samples: many senders must not hold up queries */
    struct MHD_Daemon *daemon;
    int port;
    int64_t started_ms;       /* of the clock */
    atomic_size_t body_bytes; /* held by all bodies together */

    pthread_mutex_t lock; /* of what follows, and of every request's phase */
    pthread_cond_t ended; /* a request or a piece of work has ended */
    struct request *requests;
    size_t working; /* requests somebody works for */
    bool stopping;

    pthread_t watch; /* ends work that takes too long */
    pthread_cond_t watch_wake;
    bool watch_stop;
};

#endif
