/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/store.h"

#include <stddef.h>
#include <sys/stat.h>

/* Counters of the writer, read without its lock: each is right by itself. */
static const struct {
    const char *name;
    size_t offset;
    double scale;
} FIGURE[] = {
#define COUNTER(name, field, scale)                                                      \
    {                                                                                    \
        name, offsetof(struct writer, field), scale                                      \
    }
    COUNTER("frwkvd_storage_samples_stored_total", stored, 1),
    COUNTER("frwkvd_storage_samples_replaced_total", replaced, 1),
    COUNTER("frwkvd_storage_samples_duplicate_total", duplicate, 1),
    COUNTER("frwkvd_storage_revisions_total", revisions, 1),
    COUNTER("frwkvd_storage_batches_refused_total", busy, 1),
    COUNTER("frwkvd_storage_commits_total", commits, 1),
    COUNTER("frwkvd_storage_commit_failures_total", failures, 1),
    COUNTER("frwkvd_storage_commit_seconds_total", commit_us, 1e-6),
    COUNTER("frwkvd_storage_checkpoints_total", checkpoints, 1),
    COUNTER("frwkvd_storage_wal_bytes", wal_bytes, 1),
#undef COUNTER
};

void store_figures(struct store *store,
                   void (*each)(void *ctx, const char *name, double value), void *ctx)
{
    struct writer *const writer = &store->writer;
    for (size_t i = 0; i < sizeof FIGURE / sizeof *FIGURE; i++) {
        atomic_uint_fast64_t *const counter =
            (atomic_uint_fast64_t *)(void *)((char *)writer + FIGURE[i].offset);
        each(ctx, FIGURE[i].name, (double)atomic_load(counter) * FIGURE[i].scale);
    }
    pthread_mutex_lock(&writer->mutex);
    const size_t waiting = writer->samples;
    pthread_mutex_unlock(&writer->mutex);
    each(ctx, "frwkvd_storage_queue_samples", (double)waiting);
    each(ctx, "frwkvd_storage_queue_samples_limit",
         (double)store->options.queue_samples_max);
    each(ctx, "frwkvd_storage_head_samples", (double)atomic_load(&store->head.samples));
    each(ctx, "frwkvd_storage_head_samples_limit",
         (double)store->options.head_samples_max);
    each(ctx, "frwkvd_storage_series", (double)index_count(&store->index));
    each(ctx, "frwkvd_storage_series_limit", (double)store->options.series_max);
    struct stat database;
    if (stat(store->path, &database) == 0)
        each(ctx, "frwkvd_storage_database_bytes", (double)database.st_size);
}
