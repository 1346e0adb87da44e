/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * instance.h -- store, models, schedules, job runners and HTTP interface, started
 * together.
 *
 * `serve` starts all of it on the configured address.  A subcommand that finds the state
 * folder free starts the same on a socket inside the folder, for itself alone, so that
 * there is one way in whether a daemon runs or not.
 */
#ifndef INSTANCE_H
#define INSTANCE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "daemon/config.h"
#include "daemon/credentials.h"

struct store;
struct serving;
struct runner;
struct scheduler;
struct keeping;
struct api;

struct instance {
    struct store *store;
    struct serving *serving;
    struct runner *runner_long, *runner_short; /* NULL without jobs */
    struct scheduler *scheduler;               /* NULL without schedules */
    struct keeping *keeping;                   /* likewise */
    struct api *api;
    _Atomic int port;            /* it listens on; 0: not yet */
    char *imports;               /* folder; the interface keeps a pointer to it */
    const struct config *config; /* borrowed until instance_stop() */
    pthread_mutex_t reloading;
    atomic_uint_fast64_t reloads, reloads_refused;
    atomic_int_fast64_t accepted_ms; /* when the files were last; of the clock */
    struct credentials credentials;
};

struct instance_options {
    int listen_fd; /* a socket to take over, or -1 */
    const char
        *socket;    /* a path to listen at instead of the configured address, or NULL */
    bool jobs;      /* run the jobs that wait */
    bool schedules; /* queue those that are due, take files of forecasters; takes jobs */
    bool create;    /* make the state folder if there is none */
};

/* ERR_CONFLICT when another process holds the folder.  On failure nothing runs. */
int instance_start(struct instance *instance, const struct config *config,
                   const struct instance_options *options, struct err *err);

/* Reads the administrator's files again (reload.h).  Any thread. */
int instance_reload(struct instance *instance, char **report, struct err *err);

/* For how long the part of it that has been silent longest has shown no sign of life: the
 * job runners, the scheduler, the store's writer.  *part is its name. */
int64_t instance_silent_ms(const struct instance *instance, const char **part);

/* Answers what is in flight, gives the running job back, commits, closes. */
void instance_stop(struct instance *instance);

#endif
