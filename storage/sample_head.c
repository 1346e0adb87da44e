/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/sample_head.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void head_init(struct head *head)
{
    *head = (struct head){0};
    /* A stream of readers must not hold up a commit. */
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&head->lock, &attr);
    pthread_rwlockattr_destroy(&attr);
}

void head_fini(struct head *head)
{
    for (size_t i = 0; i < head->series_count; i++)
        free(head->series[i].sample);
    free(head->series);
    free(head->late);
    free(head->touched);
    free(head->revision);
    pthread_rwlock_destroy(&head->lock);
}

/* Index of the first of count samples that is not before time_ms. */
static size_t lower_bound(const struct sample *sample, size_t count, int64_t time_ms)
{
    size_t from = 0;
    while (count > 0) {
        const size_t half = count / 2;
        if (sample[from + half].time_ms < time_ms) {
            from += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return from;
}

/* ---- staging ------------------------------------------------------------------ */

/* Moving an array needs the lock, filling its unpublished end does not. */
static void series_reserve(struct head *head, struct head_series *series, uint32_t count)
{
    if (count <= series->cap)
        return;
    const uint32_t grown = series->cap + series->cap / 2 + 8;
    const uint32_t cap = count > grown ? count : grown;
    pthread_rwlock_wrlock(&head->lock);
    series->sample = mem_resize(series->sample, cap, sizeof *series->sample);
    series->cap = cap;
    pthread_rwlock_unlock(&head->lock);
}

static struct head_series *series_at(struct head *head, uint32_t id)
{
    if (id > head->series_count) {
        const size_t count = id + head->series_count / 2;
        pthread_rwlock_wrlock(&head->lock);
        head->series = mem_resize(head->series, count, sizeof *head->series);
        memset(head->series + head->series_count, 0,
               (count - head->series_count) * sizeof *head->series);
        head->series_count = count;
        pthread_rwlock_unlock(&head->lock);
    }
    return &head->series[id - 1];
}

static void revise(struct head *head, struct head_revision revision)
{
    if (head->revision_count == head->revision_cap) {
        head->revision_cap = head->revision_cap ? 2 * head->revision_cap : 64;
        head->revision =
            mem_resize(head->revision, head->revision_cap, sizeof *head->revision);
    }
    head->revision[head->revision_count++] = revision;
}

static void append(struct head *head, struct head_series *series, uint32_t id,
                   struct sample sample)
{
    series_reserve(head, series, series->count + series->pending + 1);
    series->sample[series->count + series->pending] = sample;
    if (series->pending++ == 0) {
        if (head->touched_count == head->touched_cap) {
            head->touched_cap = head->touched_cap ? 2 * head->touched_cap : 64;
            head->touched =
                mem_resize(head->touched, head->touched_cap, sizeof *head->touched);
        }
        head->touched[head->touched_count++] = id;
    }
    head->appended++;
}

static void defer(struct head *head, struct head_late late)
{
    if (head->late_count == head->late_cap) {
        head->late_cap = head->late_cap ? 2 * head->late_cap : 64;
        head->late = mem_resize(head->late, head->late_cap, sizeof *head->late);
    }
    late.order = head->late_count;
    head->late[head->late_count++] = late;
}

void head_stage(struct head *head, const struct batch_samples *samples, size_t from,
                size_t to, const struct head_source *source)
{
    for (size_t i = from; i < to; i++) {
        const uint32_t id = samples->id[i];
        const struct sample sample = {samples->time_ms[i], samples->value[i]};
        const bool late = !source->history && sample.time_ms < source->late_before_ms;
        struct head_series *const series = series_at(head, id);
        const uint32_t count = series->count + series->pending;
        if (count > 0 && sample.time_ms <= series->sample[count - 1].time_ms) {
            defer(head, (struct head_late){.id = id,
                                           .late = late,
                                           .history = source->history,
                                           .time_ms = sample.time_ms,
                                           .value = sample.value,
                                           .counts = source->counts});
            continue;
        }
        append(head, series, id, sample);
        source->counts->stored++;
        if (late)
            revise(head, (struct head_revision){.id = id, .time_ms = sample.time_ms});
    }
}

static int by_series_and_time(const void *left, const void *right)
{
    const struct head_late *const a = left, *const b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

/* Same bits: 0.0 and -0.0 are two values. */
static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/*
 * One late sample against what its series holds at that instant so far (had, *now).
 * A sample with the instant of a pending one came after it, since what was pending
 * then was not newer: so pending and published samples are looked at alike.
 */
static void settle_one(struct head *head, const struct head_late *late, bool had,
                       double now)
{
    if (had && same(now, late->value)) {
        late->counts->duplicate++;
        return;
    }
    if (had)
        late->counts->replaced++;
    else
        late->counts->stored++;
    if (!late->history && (had || late->late))
        revise(head,
               (struct head_revision){
                   .id = late->id, .had_old = had, .time_ms = late->time_ms, .old = now});
}

/* Turns the list of late samples into one change per series and instant. */
void head_settle(struct head *head)
{
    if (head->late_count == 0)
        return;
    qsort(head->late, head->late_count, sizeof *head->late, by_series_and_time);
    size_t kept = 0;
    for (size_t i = 0; i < head->late_count;) {
        const struct head_late first = head->late[i];
        const struct head_series *const series = series_at(head, first.id);
        const size_t count = series->count + series->pending;
        const size_t at = lower_bound(series->sample, count, first.time_ms);
        const bool exists = at < count && series->sample[at].time_ms == first.time_ms;
        const double before = exists ? series->sample[at].value : 0.0;
        bool had = exists;
        double now = before;
        for (; i < head->late_count && head->late[i].id == first.id &&
               head->late[i].time_ms == first.time_ms;
             i++) {
            settle_one(head, &head->late[i], had, now);
            had = true;
            now = head->late[i].value;
        }
        if (exists && same(before, now))
            continue;
        head->late[kept] = first;
        head->late[kept++].value = now;
        head->inserts += !exists;
    }
    head->late_count = kept;
}

/* ---- publishing --------------------------------------------------------------- */

/* Merges n sorted changes into a series, from the end: every sample moves at most once.
 * inserts of them are at instants that the series lacks. */
static void merge(struct head_series *series, const struct head_late *change, size_t n,
                  size_t inserts)
{
    struct sample *const sample = series->sample;
    size_t from = series->count, to = series->count + inserts;
    while (n-- > 0) {
        const size_t at = lower_bound(sample, from, change[n].time_ms);
        const bool exists = at < from && sample[at].time_ms == change[n].time_ms;
        const size_t behind = from - at - exists;
        memmove(&sample[to - behind], &sample[from - behind], behind * sizeof *sample);
        to -= behind + 1;
        sample[to] = (struct sample){change[n].time_ms, change[n].value};
        from = at;
    }
    series->count += (uint32_t)inserts;
}

static size_t inserts_among(const struct head_series *series,
                            const struct head_late *change, size_t n)
{
    size_t inserts = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t at = lower_bound(series->sample, series->count, change[i].time_ms);
        inserts += at == series->count || series->sample[at].time_ms != change[i].time_ms;
    }
    return inserts;
}

static void publish_late(struct head *head)
{
    for (size_t i = 0, n; i < head->late_count; i += n) {
        const uint32_t id = head->late[i].id;
        for (n = 1; i + n < head->late_count && head->late[i + n].id == id; n++)
            ;
        struct head_series *const series = &head->series[id - 1];
        const size_t inserts = inserts_among(series, &head->late[i], n);
        series_reserve(head, series, series->count + (uint32_t)inserts);
        pthread_rwlock_wrlock(&head->lock);
        merge(series, &head->late[i], n, inserts);
        pthread_rwlock_unlock(&head->lock);
    }
}

static void stage_clear(struct head *head)
{
    head->late_count = head->inserts = 0;
    head->touched_count = head->appended = 0;
    head->revision_count = 0;
}

void head_commit(struct head *head)
{
    pthread_rwlock_wrlock(&head->lock);
    for (size_t i = 0; i < head->touched_count; i++) {
        struct head_series *const series = &head->series[head->touched[i] - 1];
        series->count += series->pending;
        series->pending = 0;
    }
    pthread_rwlock_unlock(&head->lock);
    publish_late(head);
    atomic_fetch_add(&head->samples, head->appended + head->inserts);
    stage_clear(head);
}

void head_drop(struct head *head)
{
    for (size_t i = 0; i < head->touched_count; i++)
        head->series[head->touched[i] - 1].pending = 0;
    stage_clear(head);
}

/* ---- reading ------------------------------------------------------------------ */

int head_read(struct head *head, uint32_t id, int64_t from_ms, int64_t to_ms,
              size_t limit, struct sample **out, size_t *count, struct err *err)
{
    int status = 0;
    *out = NULL;
    *count = 0;
    pthread_rwlock_rdlock(&head->lock);
    if (id <= head->series_count && from_ms < to_ms) {
        const struct head_series *const series = &head->series[id - 1];
        const size_t begin = lower_bound(series->sample, series->count, from_ms);
        const size_t end = lower_bound(series->sample, series->count, to_ms);
        *count = limit > 0 && end - begin > limit ? limit : end - begin;
        *out = mem_try(*count, sizeof **out);
        if (*out && *count > 0)
            memcpy(*out, series->sample + begin, *count * sizeof **out);
    } else {
        *out = mem_try(0, sizeof **out);
    }
    pthread_rwlock_unlock(&head->lock);
    if (!*out)
        status = err_set(err, ERR_NO_MEMORY, "samples: no memory for %zu", *count);
    return status;
}

void head_series(struct head *head, uint32_t id, struct store_series *out)
{
    *out = (struct store_series){0};
    pthread_rwlock_rdlock(&head->lock);
    if (id <= head->series_count && head->series[id - 1].count > 0) {
        const struct head_series *const series = &head->series[id - 1];
        *out = (struct store_series){
            .samples = series->count,
            .first_ms = series->sample[0].time_ms,
            .last_ms = series->sample[series->count - 1].time_ms,
            .last_value = series->sample[series->count - 1].value,
        };
    }
    pthread_rwlock_unlock(&head->lock);
}
