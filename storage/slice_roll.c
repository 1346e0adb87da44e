/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/slice.h"

#include <string.h>

#include "storage/sql.h"

/* Whether an instant lies in a rolled chunk that goes.  Both lists are in order of time:
 * *at moves along. */
static bool goes(const struct chunk_row *gone, size_t count, size_t *at, int64_t time_ms)
{
    while (*at < count && (gone[*at].last_ms < time_ms || !gone[*at].rolled))
        ++*at;
    return *at < count && gone[*at].first_ms <= time_ms;
}

/*
 * What was there without what goes, and what is new.  Where something is left that the
 * new would overlap, its chunk has been dropped for its age: that hour is closed.
 */
static void merge(struct summaries *out, const struct summaries *old,
                  const struct chunk_row *gone, size_t gone_count,
                  const struct summary *fresh, size_t fresh_count)
{
    size_t f = 0, g = 0;
    out->count = 0;
    for (size_t o = 0; o < old->count; o++) {
        const struct summary *const summary = &old->at[o];
        if (goes(gone, gone_count, &g, summary->first_ms))
            continue;
        while (f < fresh_count && fresh[f].last_ms < summary->first_ms)
            summaries_put(out, &fresh[f++]);
        while (f < fresh_count && fresh[f].first_ms <= summary->last_ms)
            f++;
        summaries_put(out, summary);
    }
    while (f < fresh_count)
        summaries_put(out, &fresh[f++]);
}

static void add_window(struct slice *slice, uint32_t id, uint32_t window,
                       const struct summaries *all)
{
    struct new_window *const added = list_add(&slice->windows, sizeof *added);
    *added =
        (struct new_window){.series = id, .window = window, .offset = slice->rolled.len};
    if (all->count == 0)
        return;
    const void *const bytes =
        rollup_encode(slice->rollups.coder, id, window, all->at, all->count, &added->len);
    memcpy(chunk_bytes_room(&slice->rolled, added->len), bytes, added->len);
    slice->rolled.len += added->len;
}

/* The windows that new chunks of a series and those they replace lie in. */
static bool span(const struct slice *slice, const struct chunk_row *gone, size_t count,
                 uint32_t *from, uint32_t *to)
{
    const struct summaries *const fresh = &slice->fresh;
    int64_t first_ms = INT64_MAX, last_ms = INT64_MIN;
    if (fresh->count > 0) {
        first_ms = fresh->at[0].first_ms;
        last_ms = fresh->at[fresh->count - 1].last_ms;
    }
    for (size_t i = 0; i < count; i++) {
        if (!gone[i].rolled)
            continue;
        first_ms = gone[i].first_ms < first_ms ? gone[i].first_ms : first_ms;
        last_ms = gone[i].last_ms > last_ms ? gone[i].last_ms : last_ms;
    }
    if (first_ms > last_ms)
        return false;
    *from = rollup_window(first_ms);
    *to = rollup_window(last_ms);
    return true;
}

/* The window without what goes and with what is new: fresh from *at on. */
static int remake(struct slice *slice, uint32_t id, uint32_t window,
                  const struct chunk_row *gone, size_t gone_count, size_t *at,
                  struct err *err)
{
    const struct summaries *const fresh = &slice->fresh;
    const int64_t begin_ms = rollup_begin_ms(window);
    const int64_t end_ms = rollup_begin_ms(window + 1);
    const size_t begin = *at;
    while (*at < fresh->count && fresh->at[*at].first_ms < end_ms)
        ++*at;
    bool touched = *at > begin;
    for (size_t i = 0; i < gone_count; i++)
        touched |=
            gone[i].rolled && gone[i].first_ms < end_ms && gone[i].last_ms >= begin_ms;
    if (!touched)
        return 0;
    slice->old.count = 0;
    if (rollup_scan_read(&slice->rollups, id, begin_ms, end_ms, &slice->old, err))
        return -1;
    merge(&slice->both, &slice->old, gone, gone_count, fresh->at + begin, *at - begin);
    add_window(slice, id, window, &slice->both);
    return 0;
}

/* Their samples are there to be read, whatever became of their hours. */
static void leave_loose(struct slice *slice, size_t chunks_from)
{
    struct new_chunk *const chunk = slice->chunks.at;
    for (size_t i = chunks_from; i < slice->chunks.count; i++)
        chunk[i].row.rolled = false;
    slice->fresh.count = 0;
}

int slice_roll(struct slice *slice, uint32_t id, size_t chunks_from, size_t replaced_from,
               struct err *err)
{
    const struct chunk_row *const gone =
        (const struct chunk_row *)slice->replaced.at + replaced_from;
    const size_t gone_count = slice->replaced.count - replaced_from;
    const size_t windows = slice->windows.count, rolled = slice->rolled.len;
    uint32_t window, last;
    if (!span(slice, gone, gone_count, &window, &last))
        return 0;
    for (size_t at = 0; window <= last; window++) {
        struct err failure = {0};
        if (remake(slice, id, window, gone, gone_count, &at, &failure) == 0)
            continue;
        if (!sql_unreadable(&failure))
            return err_copy(err, &failure);
        compactor_pass_by(slice->store, id, &failure);
        if (slice->fresh.count == 0)
            continue;
        leave_loose(slice, chunks_from);
        slice->windows.count = windows;
        slice->rolled.len = rolled;
        return slice_roll(slice, id, chunks_from, replaced_from, err);
    }
    return 0;
}
