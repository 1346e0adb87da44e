/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operating figures as metrics.  Of the store: commits, its queue, the write-ahead log,
 * memory, chunks; of the process around the server: reloads, the scheduler.
 */
#include "api/metrics.h"

#include <string.h>

#include "api/api.h"
#include "api/exposition.h"

static const struct figure {
    const char *name, *help;
} figures[] = {
#define FIGURE(name, help)                                                               \
    {                                                                                    \
        "frwkvd_storage_" name, help                                                     \
    }
    FIGURE("samples_stored_total", "Samples that were new."),
    FIGURE("samples_replaced_total", "Samples that replaced another value."),
    FIGURE("samples_duplicate_total", "Samples that were there already."),
    FIGURE("revisions_total", "Values kept from before a late sample replaced them."),
    FIGURE("batches_refused_total", "Batches refused because the queue was full."),
    FIGURE("commits_total", "Transactions that were committed."),
    FIGURE("commit_failures_total", "Transactions that failed."),
    FIGURE("commit_seconds_total", "Time spent committing, also in vain."),
    FIGURE("commit_duration_seconds",
           "How long a commit took, to the disk; failed ones, too."),
    FIGURE("checkpoints_total", "Times the write-ahead log was moved into the database."),
    FIGURE("checkpoint_failures_total", "Times that failed; a long read is no failure."),
    FIGURE("wal_bytes", "Size of the write-ahead log."),
    FIGURE("compactions_total", "Passes that moved samples into compressed chunks."),
    FIGURE("compaction_failures_total", "Passes of these that failed."),
    FIGURE("series_unreadable", "Series some of whose samples could not be read to move "
                                "or drop them, since the start; the log names them."),
    FIGURE("chunks_written_total", "Compressed chunks written."),
    FIGURE("chunk_samples_written_total", "Samples in these chunks."),
    FIGURE("chunk_bytes_written_total", "Bytes of these chunks."),
    FIGURE("rollup_bytes_written_total", "Bytes of the hours summed up beside chunks."),
    FIGURE("retention_runs_total", "Times what is past its time was looked for."),
    FIGURE("retention_failures_total", "Times that failed."),
    FIGURE("chunks_dropped_total", "Chunks that were past their time."),
    FIGURE("rollup_windows_dropped_total",
           "Summed-up windows that were past their time."),
    FIGURE("issues_dropped_total", "Issued forecasts that were past their time."),
    FIGURE("models_dropped_total", "Models that were past their time."),
    FIGURE("jobs_dropped_total", "Jobs that were past their time."),
    FIGURE("series_dropped_total", "Series that had nothing left."),
    FIGURE("queue_samples", "Samples that wait for a commit."),
    FIGURE("queue_samples_limit", "Samples that may wait; past it senders get 503."),
    FIGURE("head_samples", "Samples in memory that are in no chunk yet."),
    FIGURE("head_samples_limit", "Samples that memory may hold."),
    FIGURE("series", "Series."),
    FIGURE("series_limit", "Series that there may be."),
    FIGURE("database_bytes", "Size of the database file."),
#undef FIGURE
    {"frwkvd_reloads_total",
     "Times the configuration and the files of forecasters were read again."},
    {"frwkvd_reload_success_timestamp_seconds",
     "When they were last accepted, at the start or again, since 1970."},
    {"frwkvd_scheduler_looks_total", "Times the scheduler looked at what is due."},
    {"frwkvd_scheduler_failures_total",
     "Times it could not see to a forecaster, or to all of them."},
    {"frwkvd_scheduler_jobs_queued_total", "Jobs it queued."},
    {"frwkvd_part_silent_seconds",
     "For how long each part that feeds the watchdog has shown no sign of life."},
    {"frwkvd_states", "Series whose forecasts go on from a state."},
    {"frwkvd_states_bytes", "Memory of these states."},
    {"frwkvd_states_loaded_total", "States that were taken from the store."},
    {"frwkvd_states_made_total", "States that were made from history."},
    {"frwkvd_series_served_total",
     "Series forecast with models that stream, from a state or from history."},
};

static bool ends_in(const char *name, size_t len, const char *suffix, size_t *without)
{
    const size_t n = strlen(suffix);
    if (len <= n || memcmp(name + len - n, suffix, n) != 0)
        return false;
    *without = len - n;
    return true;
}

struct writing {
    struct exposition *out;
    const struct figure *figure; /* whose family is open */
};

static const struct figure *find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        if (strlen(figures[i].name) == len && !memcmp(figures[i].name, name, len))
            return &figures[i];
    return NULL;
}

/* The store names its figures in full: _total tells a counter, {le="..."}, _sum and
 * _count belong to a histogram. */
static void write_figure(void *ctx, const char *name, double value)
{
    struct writing *const w = ctx;
    size_t len = strcspn(name, "{"), without;
    enum family family = FAMILY_GAUGE;
    if (ends_in(name, len, "_total", &without)) {
        family = FAMILY_COUNTER;
    } else if (ends_in(name, len, "_bucket", &without) ||
               ends_in(name, len, "_sum", &without) ||
               ends_in(name, len, "_count", &without)) {
        family = FAMILY_HISTOGRAM;
        len = without;
    }
    const struct figure *const figure = find(name, len);
    const struct figure unknown = {name, "Operating figure of the store."};
    if (!figure || figure != w->figure)
        exposition_family(w->out, figure ? figure->name : unknown.name, family,
                          figure ? figure->help : unknown.help);
    w->figure = figure;
    page_add(&w->out->page, "%s %.17g\n", name, value);
}

void metrics_write_figures(struct exposition *out, const struct api_config *config)
{
    struct writing writing = {.out = out};
    store_figures(config->store, write_figure, &writing);
    if (config->figures)
        config->figures(config->figures_ctx, write_figure, &writing);
}
