/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * metrics.h -- what the server counts about itself.
 *
 * Samples are counted when their fate is known, all at once, so that in every scrape
 * received = stored + replaced + duplicate + rejected.  Any thread may call.
 */
#ifndef METRICS_H
#define METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "storage/storage.h"

struct metrics;
struct route;
struct exposition;
struct api;
struct api_config;

struct metrics *metrics_new(void) __attribute__((warn_unused_result));
void metrics_free(struct metrics *metrics);

enum dialect {
    DIALECT_JSON,
    DIALECT_CSV,
    DIALECT_REMOTE_WRITE,
    DIALECT_INFLUX,
    DIALECT_COLLECTD,
    DIALECT_OPENTSDB,
    DIALECT_COUNT,
};

enum reject_reason {
    REJECT_INVALID,    /* it, or another of its request, breaks a rule */
    REJECT_FUTURE,     /* too far ahead of the clock, it or another of its request */
    REJECT_CONFLICT,   /* two values for one series and time in one request */
    REJECT_BUSY,       /* overload: the client was told to come back */
    REJECT_STORE,      /* the store could not keep it */
    REJECT_STALE,      /* a marker of Prometheus: the series has ended */
    REJECT_NOT_FINITE, /* NaN or infinite, which some protocols send for "no value" */
    REJECT_NOT_NUMBER, /* text or a native histogram, where a protocol allows it */
    REJECT_EXEMPLAR,   /* Prometheus': a trace beside a sample */
    REJECT_METADATA,   /* Prometheus': type and help of a metric */
    REJECT_COUNT,
};

/* Why the store refused a batch. */
enum reject_reason metrics_reason(enum err_code code);

/* A batch was committed. */
void metrics_stored(struct metrics *metrics, enum dialect dialect,
                    const struct store_counts *counts);
/* Samples were refused. */
void metrics_rejected(struct metrics *metrics, enum dialect dialect,
                      enum reject_reason reason, uint64_t samples);

/* A request has ended; route NULL: there was none; status 0: the client went away. */
void metrics_request(struct metrics *metrics, const struct route *route, unsigned status,
                     double seconds);

/* ---- what others count, as families of their own (exposition.h) ------------------------ */

/* Of the store, and of the process around the server (api.h). */
void metrics_write_figures(struct exposition *out, const struct api_config *config);
/* Loads the models that serve, where they are not in memory yet. */
int metrics_write_models(struct exposition *out, struct api *api, struct err *err);
int metrics_write_jobs(struct exposition *out, struct store *store, struct err *err);

#endif
