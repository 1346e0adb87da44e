/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/retention.h"

#include <stdlib.h>

#include "base/mem.h"
#include "storage/slice.h"
#include "storage/sql.h"
#include "storage/store.h"

enum { CHUNKS_AT_ONCE = 1024, SERIES_AT_ONCE = 1024 };

/* Instants before which things go; INT64_MIN: nothing does. */
struct limits {
    int64_t rolled_ms, loose_ms; /* chunks; those that are not summed up stay longer */
    int64_t hours_ms, forecasts_ms, models_ms, jobs_ms;
};

static int64_t limit(int64_t now_ms, int64_t kept_ms)
{
    return kept_ms > 0 ? now_ms - kept_ms : INT64_MIN;
}

/* The newest sample, or the clock where that is behind it or there is none: an archive
 * stays while nothing newer comes, and a clock that jumps ahead costs nothing. */
static int64_t present_ms(struct store *store, int64_t now_ms)
{
    int64_t newest_ms = INT64_MIN;
    struct head *const head = &store->head;
    pthread_rwlock_rdlock(&head->lock);
    for (size_t i = 0; i < head->series_count; i++) {
        const struct head_series *const series = &head->series[i];
        if (series->chunks.samples > 0 && series->chunks.last_ms > newest_ms)
            newest_ms = series->chunks.last_ms;
        if (series->count > 0 && series->sample[series->count - 1].time_ms > newest_ms)
            newest_ms = series->sample[series->count - 1].time_ms;
    }
    pthread_rwlock_unlock(&head->lock);
    return newest_ms == INT64_MIN || newest_ms > now_ms ? now_ms : newest_ms;
}

static struct limits limits_of(struct store *store)
{
    const struct store_retention *const kept = &store->options.retention;
    const int64_t now_ms = clock_now_ms(&store->options.clock);
    const int64_t data_ms = present_ms(store, now_ms);
    const int64_t samples_ms = limit(data_ms, kept->samples_ms);
    const int64_t hours_ms = limit(data_ms, kept->hours_ms);
    return (struct limits){
        .rolled_ms = samples_ms,
        .loose_ms = hours_ms < samples_ms ? hours_ms : samples_ms,
        .hours_ms = hours_ms,
        .forecasts_ms = limit(data_ms, kept->forecasts_ms),
        .models_ms = limit(now_ms, kept->models_ms),
        .jobs_ms = limit(now_ms, kept->jobs_ms),
    };
}

/* ---- samples ---------------------------------------------------------------------- */

struct some {
    uint32_t id[SERIES_AT_ONCE];
    size_t count;
    struct store_series series[SERIES_AT_ONCE];
    int deleted;
    bool gone[SERIES_AT_ONCE];
    int64_t before_ms;
};

/* The next series from *id on, and what is known of them.  0: there are no more. */
static size_t next_some(struct store *store, uint32_t *id, struct some *some)
{
    const uint32_t last = index_last(&store->index);
    some->count = 0;
    while (*id <= last && some->count < SERIES_AT_ONCE)
        some->id[some->count++] = (*id)++;
    head_series(&store->head, some->id, some->count, some->series);
    return some->count;
}

/* What cannot be read is passed by: it stays for verify to name.  Deleting reads too. */
static int add_old_chunks(struct slice *slice, uint32_t id, const struct limits *limits,
                          struct list *out, struct err *err)
{
    struct chunk_scan *const scan = &slice->scan;
    chunk_scan_seek(scan, id, INT64_MIN, limits->rolled_ms);
    for (;;) {
        struct err failure = {0};
        const int status = chunk_scan_next(scan, &failure);
        if (status == 0)
            break;
        const bool old =
            status == 1 &&
            scan->row.last_ms < (scan->row.rolled ? limits->rolled_ms : limits->loose_ms);
        if (old && (chunk_scan_decode(scan, &failure) == 0 || failure.code != ERR_IO))
            *(struct chunk_row *)list_add(out, sizeof(struct chunk_row)) = scan->row;
        else if (failure.code != ERR_NONE && !sql_unreadable(&failure))
            return err_copy(err, &failure);
        else if (failure.code != ERR_NONE)
            compactor_pass_by(slice->store, id, &failure);
        if (status < 0 && !sqlite3_stmt_busy(scan->stmt))
            break;
    }
    return 0;
}

static int delete_revisions(struct store *store, void *arg, struct err *err)
{
    const struct some *const some = arg;
    for (size_t i = 0; i < some->count; i++) {
        const struct store_series *const series = &some->series[i];
        const int64_t first_ms = series->samples > 0 ? series->first_ms : INT64_MAX;
        if (sql_run(store->db, err,
                    "DELETE FROM revisions WHERE series = ? AND time_ms < ?", "ii",
                    (int64_t)some->id[i], first_ms) < 0)
            return -1;
    }
    return 0;
}

/* Those of the series that the slice has just taken chunks from. */
static int drop_revisions(struct store *store, const uint32_t *ids, size_t count,
                          struct err *err)
{
    struct some *const some = mem_new(1, sizeof *some);
    int status = 0;
    for (size_t i = 0; status == 0 && i < count; i += some->count) {
        const size_t left = count - i;
        some->count = left < SERIES_AT_ONCE ? left : SERIES_AT_ONCE;
        for (size_t k = 0; k < some->count; k++)
            some->id[k] = ids[i + k];
        head_series(&store->head, some->id, some->count, some->series);
        status = compactor_call(store, delete_revisions, NULL, some, err);
    }
    free(some);
    return status;
}

/* Deletes these chunks.  What the disk refuses is tried in halves, down to the chunk that
 * lies beside a page which cannot be read: it stays. */
static int delete_chunks(struct slice *slice, const struct chunk_row *row, size_t count,
                         struct err *err)
{
    struct store *const store = slice->store;
    for (size_t i = 0; i < count; i++) {
        *(struct chunk_row *)list_add(&slice->replaced, sizeof *row) = row[i];
        if (i == 0 || row[i].series != row[i - 1].series)
            *(uint32_t *)list_add(&slice->ids, sizeof(uint32_t)) = row[i].series;
    }
    struct err why = {0};
    if (slice_write(slice, 0, &why) == 0) {
        atomic_fetch_add(&store->retention.chunks, count);
        return 0;
    }
    if (why.code != ERR_IO || writer_probe(store, NULL))
        return err_copy(err, &why);
    if (count == 1) {
        err_prefix(&why, "chunks of series %u", row->series);
        compactor_pass_by(store, row->series, &why);
        return 0;
    }
    return delete_chunks(slice, row, count / 2, err) ||
                   delete_chunks(slice, row + count / 2, count - count / 2, err)
               ? -1
               : 0;
}

static int write_slice(struct slice *slice, struct list *old, struct err *err)
{
    const struct chunk_row *const row = old->at;
    uint32_t *const ids = mem_new(old->count + 1, sizeof *ids);
    size_t count = 0;
    for (size_t i = 0; i < old->count; i++)
        if (i == 0 || row[i].series != row[i - 1].series)
            ids[count++] = row[i].series;
    const int status = old->count > 0 && (delete_chunks(slice, row, old->count, err) ||
                                          drop_revisions(slice->store, ids, count, err))
                           ? -1
                           : 0;
    old->count = 0;
    free(ids);
    return status;
}

static int drop_chunks(struct store *store, const struct limits *limits, struct err *err)
{
    struct slice *const slice = slice_new(store, err);
    struct some *const some = mem_new(1, sizeof *some);
    struct list old = {0}; /* struct chunk_row */
    uint32_t next = 1;
    int status = slice ? 0 : -1;
    while (status == 0 && next_some(store, &next, some) > 0)
        for (size_t i = 0; status == 0 && i < some->count; i++) {
            const struct store_series *const series = &some->series[i];
            if (series->samples == 0 || series->first_ms >= limits->rolled_ms)
                continue;
            status = add_old_chunks(slice, some->id[i], limits, &old, err);
            if (status == 0 && old.count >= CHUNKS_AT_ONCE)
                status = write_slice(slice, &old, err);
        }
    if (status == 0)
        status = write_slice(slice, &old, err);
    slice_free(slice);
    free(old.at);
    free(some);
    return status;
}

/* Whether the head holds anything of before an instant. */
static bool old_in_head(struct store *store, int64_t before_ms)
{
    bool found = false;
    struct head *const head = &store->head;
    pthread_rwlock_rdlock(&head->lock);
    for (size_t i = 0; !found && i < head->series_count; i++)
        found =
            head->series[i].count > 0 && head->series[i].sample[0].time_ms < before_ms;
    pthread_rwlock_unlock(&head->lock);
    return found;
}

/* ---- hours and series --------------------------------------------------------------- */

static int delete_hours(struct store *store, void *arg, struct err *err)
{
    struct some *const some = arg;
    some->deleted = 0;
    for (size_t i = 0; i < some->count; i++) {
        const int deleted = rollups_drop(store->db, some->id[i], some->before_ms, err);
        if (deleted < 0)
            return -1;
        some->deleted += deleted;
    }
    return 0;
}

static int drop_hours(struct store *store, int64_t before_ms, struct err *err)
{
    struct some *const some = mem_new(1, sizeof *some);
    some->before_ms = before_ms;
    uint32_t next = 1;
    int status = 0;
    while (status == 0 && next_some(store, &next, some) > 0) {
        status = compactor_call(store, delete_hours, NULL, some, err);
        if (status == 0)
            atomic_fetch_add(&store->retention.windows, (uint64_t)some->deleted);
    }
    free(some);
    return status;
}

/* The greatest id stays, or it would be given again after a restart. */
static int delete_series(struct store *store, void *arg, struct err *err)
{
    struct some *const some = arg;
    head_series(&store->head, some->id, some->count, some->series);
    for (size_t i = 0; i < some->count; i++) {
        const int64_t id = some->id[i];
        bool hours;
        some->gone[i] = false;
        if (some->series[i].samples > 0 || id == store->index.names.count)
            continue;
        if (rollups_any(store->db, some->id[i], &hours, err))
            return -1;
        if (hours)
            continue;
        if (sql_run(store->db, err, "DELETE FROM series WHERE id = ?", "i", id) < 0 ||
            sql_run(store->db, err, "DELETE FROM states WHERE series = ?", "i", id) < 0 ||
            sql_run(store->db, err, "DELETE FROM revisions WHERE series = ?", "i", id) <
                0)
            return -1;
        some->gone[i] = true;
    }
    return 0;
}

static void forget_series(struct store *store, void *arg)
{
    const struct some *const some = arg;
    for (size_t i = 0; i < some->count; i++)
        if (some->gone[i]) {
            index_remove(&store->index, some->id[i]);
            atomic_fetch_add(&store->retention.series, 1);
        }
}

static int drop_series(struct store *store, struct err *err)
{
    struct some *const some = mem_new(1, sizeof *some);
    uint32_t next = 1;
    int status = 0;
    while (status == 0 && next_some(store, &next, some) > 0) {
        size_t empty = 0;
        pthread_rwlock_rdlock(&store->index.lock);
        for (size_t i = 0; i < some->count; i++)
            if (some->series[i].samples == 0 &&
                !nameset_gone(&store->index.names, some->id[i] - 1))
                some->id[empty++] = some->id[i];
        pthread_rwlock_unlock(&store->index.lock);
        some->count = empty;
        if (empty > 0)
            status = compactor_call(store, delete_series, forget_series, some, err);
    }
    free(some);
    return status;
}

/* ---- the budget --------------------------------------------------------------------- */

/* Bytes of the database that hold something. */
static int used_bytes(struct store *store, uint64_t *bytes, struct err *err)
{
    int64_t pages, free_pages;
    sqlite3 *const db = store_reader_take(store, err);
    const int status =
        db && sql_value(db, err, &pages, "PRAGMA page_count", "") == 0 &&
                sql_value(db, err, &free_pages, "PRAGMA freelist_count", "") == 0
            ? 0
            : -1;
    store_reader_give(store, db);
    if (status == 0)
        *bytes = (uint64_t)(pages - free_pages) * STORE_PAGE_BYTES;
    return status;
}

/*
 * Chunks and forecasts, which take about as much each, by the instant when they are old.
 * The newest day of the ledger is being written, and how many forecasts an issue of a day
 * has its last one says: counting them would read all.
 */
#define PARTS                                                                            \
    "SELECT last_ms AS ms, 1 AS n FROM chunks UNION ALL "                                \
    "SELECT (day + 1) * 86400000, issues * coalesce((SELECT place + 1 FROM forecasts "   \
    "WHERE issue = last ORDER BY place DESC LIMIT 1), 1) FROM (SELECT day, count(*) AS " \
    "issues, max(id) AS last FROM issues GROUP BY forecaster, day) "                     \
    "WHERE day < (SELECT max(day) FROM days)"

/* The instant up to which that share of them reaches; *any: there are some. */
static int oldest_share(struct store *store, double share, int64_t *until_ms, bool *any,
                        struct err *err)
{
    int64_t count = 0;
    sqlite3 *const db = store_reader_take(store, err);
    int status =
        db ? sql_value(db, err, &count, "SELECT coalesce(sum(n), 0) FROM (" PARTS ")", "")
           : -1;
    *any = status == 0 && count > 0;
    if (*any)
        status = sql_value(db, err, until_ms,
                           "SELECT ms FROM (SELECT ms, sum(n) OVER (ORDER BY ms) AS upto "
                           "FROM (" PARTS ")) WHERE upto > ? ORDER BY ms LIMIT 1",
                           "i", (int64_t)(share * (double)(count - 1)));
    store_reader_give(store, db);
    return status;
}

/* *any: something went.  Hours stay: they are what is left of most. */
static int drop_oldest(struct store *store, double share, bool *any, struct err *err)
{
    const uint64_t before =
        atomic_load(&store->retention.chunks) + atomic_load(&store->retention.issues);
    int64_t until_ms;
    if (oldest_share(store, share, &until_ms, any, err))
        return -1;
    if (!*any)
        return 0;
    const struct limits limits = {.rolled_ms = until_ms + 1, .loose_ms = until_ms + 1};
    if (drop_chunks(store, &limits, err) || retention_days(store, until_ms, err))
        return -1;
    *any = atomic_load(&store->retention.chunks) + atomic_load(&store->retention.issues) >
           before;
    return 0;
}

static int keep_budget(struct store *store, struct err *err)
{
    const uint64_t budget = store->options.retention.bytes;
    uint64_t used;
    bool any = true;
    if (used_bytes(store, &used, err))
        return -1;
    if (used > budget && compactor_pass(store, INT64_MIN, err))
        return -1;
    while (any) {
        if (used_bytes(store, &used, err))
            return -1;
        if (used <= budget)
            break;
        if (drop_oldest(store, (double)(used - budget) / (double)used, &any, err))
            return -1;
    }
    const uint64_t spare = used < budget ? budget - used : 0;
    return compactor_shrink(
        store, spare < COMPACTOR_FREE_BYTES ? spare : COMPACTOR_FREE_BYTES, err);
}

/* ---- a round ------------------------------------------------------------------------ */

static int drop_samples(struct store *store, const struct limits *limits, struct err *err)
{
    if (limits->rolled_ms > INT64_MIN) {
        if (old_in_head(store, limits->rolled_ms) &&
            compactor_pass(store, limits->rolled_ms, err))
            return -1;
        if (drop_chunks(store, limits, err))
            return -1;
    }
    return limits->hours_ms > INT64_MIN ? drop_hours(store, limits->hours_ms, err) : 0;
}

/* What one part cannot do (its rows are damaged, say) the others do all the same. */
static int drop_all(struct store *store, struct err *err)
{
    const struct limits limits = limits_of(store);
    bool failed = drop_samples(store, &limits, err) != 0;
    if (limits.forecasts_ms > INT64_MIN)
        failed |= retention_days(store, limits.forecasts_ms, err) != 0;
    if (limits.models_ms > INT64_MIN)
        failed |= retention_models(store, limits.models_ms, err) != 0;
    if (limits.jobs_ms > INT64_MIN)
        failed |= retention_jobs(store, limits.jobs_ms, err) != 0;
    const bool budget = store->options.retention.bytes > 0;
    failed |= (budget ? keep_budget(store, err)
                      : compactor_shrink(store, COMPACTOR_FREE_BYTES, err)) != 0;
    failed |= drop_series(store, err) != 0;
    return failed ? -1 : 0;
}

int retention_run(struct store *store, struct err *err)
{
    const int status = drop_all(store, err);
    atomic_fetch_add(status ? &store->retention.failures : &store->retention.runs, 1);
    return status;
}
