/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/store.h"

#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

/* Counters of the threads, read without their locks: each is right by itself. */
static const struct {
    const char *name;
    size_t offset;
    double scale;
} FIGURE[] = {
#define COUNTER(name, field, scale)                                                      \
    {                                                                                    \
        name, offsetof(struct store, field), scale                                       \
    }
    COUNTER("frwkvd_storage_samples_stored_total", writer.stored, 1),
    COUNTER("frwkvd_storage_samples_replaced_total", writer.replaced, 1),
    COUNTER("frwkvd_storage_samples_duplicate_total", writer.duplicate, 1),
    COUNTER("frwkvd_storage_revisions_total", writer.revisions, 1),
    COUNTER("frwkvd_storage_batches_refused_total", writer.busy, 1),
    COUNTER("frwkvd_storage_commits_total", writer.commits, 1),
    COUNTER("frwkvd_storage_commit_failures_total", writer.failures, 1),
    COUNTER("frwkvd_storage_commit_seconds_total", writer.commit_us, 1e-6),
    COUNTER("frwkvd_storage_checkpoints_total", writer.checkpoints, 1),
    COUNTER("frwkvd_storage_checkpoint_failures_total", writer.checkpoint_failures, 1),
    COUNTER("frwkvd_storage_wal_bytes", writer.wal_bytes, 1),
    COUNTER("frwkvd_storage_compactions_total", compactor.passes, 1),
    COUNTER("frwkvd_storage_compaction_failures_total", compactor.failures, 1),
    COUNTER("frwkvd_storage_series_unreadable", compactor.unreadable, 1),
    COUNTER("frwkvd_storage_chunks_written_total", compactor.chunks, 1),
    COUNTER("frwkvd_storage_chunk_samples_written_total", compactor.samples, 1),
    COUNTER("frwkvd_storage_chunk_bytes_written_total", compactor.bytes, 1),
    COUNTER("frwkvd_storage_rollup_bytes_written_total", compactor.rolled_bytes, 1),
    COUNTER("frwkvd_storage_retention_runs_total", retention.runs, 1),
    COUNTER("frwkvd_storage_retention_failures_total", retention.failures, 1),
    COUNTER("frwkvd_storage_chunks_dropped_total", retention.chunks, 1),
    COUNTER("frwkvd_storage_rollup_windows_dropped_total", retention.windows, 1),
    COUNTER("frwkvd_storage_issues_dropped_total", retention.issues, 1),
    COUNTER("frwkvd_storage_models_dropped_total", retention.models, 1),
    COUNTER("frwkvd_storage_jobs_dropped_total", retention.jobs, 1),
    COUNTER("frwkvd_storage_series_dropped_total", retention.series, 1),
#undef COUNTER
};

/* The durations of commits as a histogram: each bucket has what is below it, too. */
static void commit_durations(struct writer *writer,
                             void (*each)(void *ctx, const char *name, double value),
                             void *ctx)
{
    static const char name[] = "frwkvd_storage_commit_duration_seconds";
    char text[sizeof name + 40];
    uint64_t below = 0;
    for (size_t b = 0; b <= WRITER_BOUNDS; b++) {
        const double bound = b < WRITER_BOUNDS ? writer_bounds_s[b] : 0;
        below += atomic_load(&writer->took[b]);
        if (b == WRITER_BOUNDS)
            snprintf(text, sizeof text, "%s_bucket{le=\"+Inf\"}", name);
        else
            snprintf(text, sizeof text,
                     bound == 1 ? "%s_bucket{le=\"%.1f\"}" : "%s_bucket{le=\"%g\"}", name,
                     bound);
        each(ctx, text, (double)below);
    }
    snprintf(text, sizeof text, "%s_sum", name);
    each(ctx, text, (double)atomic_load(&writer->commit_us) * 1e-6);
    snprintf(text, sizeof text, "%s_count", name);
    each(ctx, text, (double)below);
}

void store_figures(struct store *store,
                   void (*each)(void *ctx, const char *name, double value), void *ctx)
{
    struct writer *const writer = &store->writer;
    for (size_t i = 0; i < sizeof FIGURE / sizeof *FIGURE; i++) {
        atomic_uint_fast64_t *const counter =
            (atomic_uint_fast64_t *)(void *)((char *)store + FIGURE[i].offset);
        each(ctx, FIGURE[i].name, (double)atomic_load(counter) * FIGURE[i].scale);
    }
    commit_durations(writer, each, ctx);
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
