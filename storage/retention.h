/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * retention.h -- what is past its time goes.
 *
 * A round (storage.h says what it promises) runs on the compactor's thread, so that
 * nobody else changes chunks and hours meanwhile:
 *
 *     squeeze   a pass of the compactor that leaves no old sample in the head, and none in
 *               the log but those that came since it began
 *     chunks    whole ones whose newest sample is past its time, and revisions of samples
 *               before the oldest that is left
 *     hours     whole windows of them
 *     rows      issues by days (their closing hashes stay, so that the chain can be
 *               checked over the gap), models, jobs
 *     series    those without samples and hours.  Their ids are not given again, since the
 *               log may still name them
 *     size      with a budget, chunks and days again, up to the instant that the oldest
 *               part which is too much reaches to, until it is kept
 *     shrink    what is free goes back to the file system
 *
 * Each is made of small transactions, any of which may be the last: the next round goes
 * on from what is there.
 */
#ifndef STORAGE_RETENTION_H
#define STORAGE_RETENTION_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"

struct store;

/* Figures. */
struct retention {
    atomic_uint_fast64_t runs, failures;
    atomic_uint_fast64_t chunks, windows, issues, models, jobs, series;
};

int retention_run(struct store *store, struct err *err);

/* ---- retention_rows.c ---- */

/* Days before the one that an instant lies in. */
int retention_days(struct store *store, int64_t before_ms, struct err *err);
int retention_models(struct store *store, int64_t before_ms, struct err *err);
int retention_jobs(struct store *store, int64_t before_ms, struct err *err);

#endif
