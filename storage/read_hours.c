/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/read.h"

static int prepare(struct reader *reader, struct err *err)
{
    if (reader_connect(reader, err))
        return -1;
    if (reader->loose.stmt)
        return 0;
    return chunk_scan_init_loose(&reader->loose, reader->db, err) ||
                   rollup_scan_init(&reader->rollups, reader->db, err)
               ? -1
               : 0;
}

static void feed(struct grid_column *column, const struct samples *samples, size_t *at,
                 int64_t before_ms)
{
    while (*at < samples->count && samples->at[*at].time_ms < before_ms)
        grid_column_sample(column, samples->at[(*at)++]);
}

/* An hour from its samples; where these are gone, its summary has to do. */
static int feed_inside(struct reader *reader, size_t i, const struct summary *hour,
                       struct grid_column *column, struct err *err)
{
    const struct read_wish *const wish = &reader->wish;
    const bool cut = hour->first_ms < wish->from_ms || hour->last_ms >= wish->to_ms;
    const int64_t from_ms =
        hour->first_ms < wish->from_ms ? wish->from_ms : hour->first_ms;
    const int64_t to_ms = hour->last_ms < wish->to_ms ? hour->last_ms + 1 : wish->to_ms;
    struct samples samples;
    if (reader_range(reader, i, &reader->scan, from_ms, to_ms, &reader->inside, &samples,
                     err))
        return -1;
    if (reader->inside.chunks.count == 0 && !cut) {
        grid_column_summary(column, hour);
        return 0;
    }
    size_t at = 0;
    feed(column, &samples, &at, INT64_MAX);
    return 0;
}

/* Three streams in order of time: hours, what lies loose between them, and revisions. */
int reader_hours(struct reader *reader, size_t i, struct grid_column *column,
                 struct err *err)
{
    const struct read_wish *const wish = &reader->wish;
    const struct range *const range = &reader->range;
    struct samples loose;
    reader->hours.count = 0;
    if (prepare(reader, err) ||
        rollup_scan_read(&reader->rollups, wish->ids[i], wish->from_ms, wish->to_ms,
                         &reader->hours, err) ||
        reader_range(reader, i, &reader->loose, wish->from_ms, wish->to_ms,
                     &reader->range, &loose, err))
        return -1;
    size_t at = 0, undone = 0;
    for (size_t h = 0; h < reader->hours.count; h++) {
        const struct summary *const hour = &reader->hours.at[h];
        feed(column, &loose, &at, hour->first_ms);
        const size_t inside = at;
        while (at < loose.count && loose.at[at].time_ms <= hour->last_ms)
            at++;
        while (undone < range->undo_count && range->undo[undone].time_ms < hour->first_ms)
            undone++;
        const bool whole =
            at == inside && hour->first_ms >= wish->from_ms &&
            hour->last_ms < wish->to_ms &&
            (undone == range->undo_count || range->undo[undone].time_ms > hour->last_ms);
        if (whole)
            grid_column_summary(column, hour);
        else if (feed_inside(reader, i, hour, column, err))
            return -1;
    }
    feed(column, &loose, &at, INT64_MAX);
    return 0;
}
