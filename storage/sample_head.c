/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/sample_head.h"

#include <assert.h>
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
    free(head->upset);
    pthread_rwlock_destroy(&head->lock);
}

/* Index of the first of count samples that is not before time_ms. */
size_t samples_before(const struct sample *sample, size_t count, int64_t time_ms)
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

/* Arrays that are filled at one pace must not all be full at one moment: each grows by a
 * share of its own of what could be. */
static uint32_t own_share(const struct head *head, const struct head_series *series,
                          uint32_t most)
{
    const uint32_t number = (uint32_t)(series - head->series);
    return (uint32_t)((uint64_t)(number * UINT32_C(2654435769)) * most >> 32);
}

/* Moving an array needs the lock, filling its unpublished end does not. */
static void series_reserve(struct head *head, struct head_series *series, uint32_t count)
{
    if (count <= series->cap)
        return;
    const uint32_t grown =
        series->cap + 8 + series->cap / 4 + own_share(head, series, series->cap / 2);
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

void head_reserve(struct head *head, uint32_t id, uint32_t count)
{
    struct head_series *const series = series_at(head, id);
    series_reserve(head, series, count + 8 + own_share(head, series, count / 8));
}

/* Whether a sample is newer than all of its series. */
static bool newest(const struct head_series *series, int64_t time_ms)
{
    const uint32_t count = series->count + series->pending;
    return (count == 0 || time_ms > series->sample[count - 1].time_ms) &&
           (series->chunks.samples == 0 || time_ms > series->chunks.last_ms);
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
        if (!newest(series, sample.time_ms)) {
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

/* What a late sample's series holds at its instant, in the head or else in a chunk. */
struct present {
    bool in_head, in_chunk;
    double value;
};

static int look_up(struct head *head, const struct head_late *late, head_below *below,
                   void *ctx, struct present *present, struct err *err)
{
    const struct head_series *const series = series_at(head, late->id);
    const size_t count = series->count + series->pending;
    const size_t at = samples_before(series->sample, count, late->time_ms);
    *present = (struct present){.in_head = at < count &&
                                           series->sample[at].time_ms == late->time_ms};
    if (present->in_head)
        present->value = series->sample[at].value;
    const struct head_chunks *const chunks = &series->chunks;
    if (present->in_head || !below || chunks->samples == 0 ||
        late->time_ms < chunks->first_ms || late->time_ms > chunks->last_ms)
        return 0;
    return below(ctx, late->id, late->time_ms, &present->in_chunk, &present->value, err);
}

/* Turns the list of late samples into one change per series and instant. */
int head_settle(struct head *head, head_below *below, void *ctx, struct err *err)
{
    if (head->late_count == 0)
        return 0;
    qsort(head->late, head->late_count, sizeof *head->late, by_series_and_time);
    size_t kept = 0;
    for (size_t i = 0; i < head->late_count;) {
        const struct head_late first = head->late[i];
        struct present before;
        if (look_up(head, &first, below, ctx, &before, err))
            return -1;
        const bool existed = before.in_head || before.in_chunk;
        bool had = existed;
        double now = before.value;
        for (; i < head->late_count && head->late[i].id == first.id &&
               head->late[i].time_ms == first.time_ms;
             i++) {
            settle_one(head, &head->late[i], had, now);
            had = true;
            now = head->late[i].value;
        }
        if (existed && same(before.value, now))
            continue;
        head->late[kept] = first;
        head->late[kept].covered = before.in_chunk;
        head->late[kept++].value = now;
        head->inserts += !before.in_head;
    }
    head->late_count = kept;
    return 0;
}

/* ---- what has been read already ------------------------------------------------- */

static bool upsets(const struct head_series *series, int64_t time_ms)
{
    return series->settled && time_ms < series->settled_ms;
}

static bool pending_upsets(const struct head_series *series)
{
    return series->pending && upsets(series, series->sample[series->count].time_ms);
}

static void note_upset(struct head *head, uint32_t id)
{
    if (head->upset_count == head->upset_cap) {
        head->upset_cap = head->upset_cap ? 2 * head->upset_cap : 64;
        head->upset = mem_resize(head->upset, head->upset_cap, sizeof *head->upset);
    }
    head->upset[head->upset_count++] = id;
}

size_t head_upset(struct head *head)
{
    head->upset_count = 0;
    pthread_rwlock_rdlock(&head->lock);
    for (size_t i = 0; i < head->touched_count; i++)
        if (pending_upsets(&head->series[head->touched[i] - 1]))
            note_upset(head, head->touched[i]);
    for (size_t i = 0; i < head->late_count; i++) {
        const struct head_late *const late = &head->late[i];
        const bool first = i == 0 || late[-1].id != late->id;
        if (first && upsets(&head->series[late->id - 1], late->time_ms))
            note_upset(head, late->id);
    }
    pthread_rwlock_unlock(&head->lock);
    return head->upset_count;
}

void head_settle_before(struct head *head, const uint32_t *ids, size_t count,
                        int64_t before_ms)
{
    pthread_rwlock_wrlock(&head->lock);
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == 0 || ids[i] > head->series_count)
            continue;
        struct head_series *const series = &head->series[ids[i] - 1];
        if (!series->settled || before_ms > series->settled_ms)
            series->settled_ms = before_ms;
        series->settled = true;
    }
    pthread_rwlock_unlock(&head->lock);
}

void head_upsets(struct head *head, const uint32_t *ids, size_t count, uint64_t *out)
{
    pthread_rwlock_rdlock(&head->lock);
    for (size_t i = 0; i < count; i++)
        out[i] = ids[i] > 0 && ids[i] <= head->series_count
                     ? head->series[ids[i] - 1].upsets
                     : 0;
    pthread_rwlock_unlock(&head->lock);
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
        const size_t at = samples_before(sample, from, change[n].time_ms);
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
        const size_t at =
            samples_before(series->sample, series->count, change[i].time_ms);
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
        series->upsets += upsets(series, head->late[i].time_ms);
        for (size_t k = i; k < i + n; k++)
            series->covered += head->late[k].covered;
        pthread_rwlock_unlock(&head->lock);
    }
}

static void stage_clear(struct head *head)
{
    head->upset_count = 0;
    head->late_count = head->inserts = 0;
    head->touched_count = head->appended = 0;
    head->revision_count = 0;
}

void head_commit(struct head *head)
{
    pthread_rwlock_wrlock(&head->lock);
    for (size_t i = 0; i < head->touched_count; i++) {
        struct head_series *const series = &head->series[head->touched[i] - 1];
        series->upsets += pending_upsets(series);
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

/* ---- chunks -------------------------------------------------------------------- */

void head_set_chunks(struct head *head, uint32_t id, const struct head_chunks *chunks)
{
    struct head_series *const series = series_at(head, id);
    pthread_rwlock_wrlock(&head->lock);
    series->chunks = *chunks;
    pthread_rwlock_unlock(&head->lock);
}

void head_replace(struct head *head, uint32_t id, struct sample *samples, size_t count,
                  uint32_t covered, const struct head_chunks *chunks)
{
    struct head_series *const series = series_at(head, id);
    assert(series->pending == 0);
    struct sample *const old = series->sample;
    atomic_fetch_sub(&head->samples, series->count);
    pthread_rwlock_wrlock(&head->lock);
    series->sample = samples;
    series->count = series->cap = (uint32_t)count;
    series->covered = covered;
    series->chunks = *chunks;
    pthread_rwlock_unlock(&head->lock);
    atomic_fetch_add(&head->samples, count);
    free(old);
}

/* ---- reading ------------------------------------------------------------------ */

/* Where the samples of a series in [from_ms, to_ms) lie, at most limit (0: all). */
static const struct sample *within(const struct head *head, uint32_t id, int64_t from_ms,
                                   int64_t to_ms, size_t limit, size_t *count)
{
    *count = 0;
    if (id > head->series_count || from_ms >= to_ms)
        return NULL;
    const struct head_series *const series = &head->series[id - 1];
    const size_t begin = samples_before(series->sample, series->count, from_ms);
    *count = samples_before(series->sample, series->count, to_ms) - begin;
    if (limit > 0 && *count > limit)
        *count = limit;
    return *count > 0 ? series->sample + begin : NULL;
}

/* Under the lock, so that nothing comes between two series. */
static void copy_all(const struct head *head, const uint32_t *ids, size_t count,
                     int64_t from_ms, int64_t to_ms, size_t limit, struct head_copy *out)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        size_t n;
        within(head, ids[i], from_ms, to_ms, limit, &n);
        total += n;
        out->end[i] = total;
        if (ids[i] <= head->series_count)
            out->chunks[i] = head->series[ids[i] - 1].chunks;
    }
    if (!(out->sample = mem_try(total, sizeof *out->sample)))
        return;
    struct sample *to = out->sample;
    for (size_t i = 0; i < count; i++) {
        size_t n;
        const struct sample *const from = within(head, ids[i], from_ms, to_ms, limit, &n);
        if (n > 0)
            memcpy(to, from, n * sizeof *to);
        to += n;
    }
}

int head_copy(struct head *head, const uint32_t *ids, size_t count, int64_t from_ms,
              int64_t to_ms, size_t limit, struct head_copy *out, struct err *err)
{
    *out = (struct head_copy){
        .end = mem_try(count, sizeof *out->end),
        .chunks = mem_try(count, sizeof *out->chunks),
    };
    if (out->end && out->chunks) {
        pthread_rwlock_rdlock(&head->lock);
        copy_all(head, ids, count, from_ms, to_ms, limit, out);
        pthread_rwlock_unlock(&head->lock);
    }
    if (out->sample)
        return 0;
    head_copy_fini(out);
    return err_set(err, ERR_NO_MEMORY, "samples: no memory to copy %zu series", count);
}

void head_copy_fini(struct head_copy *copy)
{
    free(copy->sample);
    free(copy->end);
    free(copy->chunks);
    *copy = (struct head_copy){0};
}

int head_read(struct head *head, uint32_t id, struct sample **out, size_t *count,
              struct head_chunks *chunks, struct err *err)
{
    struct head_copy copy;
    if (head_copy(head, &id, 1, INT64_MIN, INT64_MAX, 0, &copy, err))
        return -1;
    *out = copy.sample;
    *count = copy.end[0];
    *chunks = copy.chunks[0];
    copy.sample = NULL;
    head_copy_fini(&copy);
    return 0;
}

static struct store_series describe(const struct head_series *series)
{
    const struct head_chunks *const chunks = &series->chunks;
    struct store_series out = {0};
    if (chunks->samples > 0)
        out = (struct store_series){
            .samples = chunks->samples,
            .first_ms = chunks->first_ms,
            .last_ms = chunks->last_ms,
            .last_value = chunks->last,
        };
    if (series->count == 0)
        return out;
    const struct sample first = series->sample[0];
    const struct sample last = series->sample[series->count - 1];
    if (out.samples == 0 || first.time_ms < out.first_ms)
        out.first_ms = first.time_ms;
    if (out.samples == 0 || last.time_ms >= out.last_ms) {
        out.last_ms = last.time_ms;
        out.last_value = last.value;
    }
    out.samples += series->count - series->covered;
    return out;
}

void head_series(struct head *head, const uint32_t *ids, size_t count,
                 struct store_series *out)
{
    static const struct head_series NONE;
    pthread_rwlock_rdlock(&head->lock);
    for (size_t i = 0; i < count; i++)
        out[i] = describe(ids[i] > 0 && ids[i] <= head->series_count
                              ? &head->series[ids[i] - 1]
                              : &NONE);
    pthread_rwlock_unlock(&head->lock);
}
