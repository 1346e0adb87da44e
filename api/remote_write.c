/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/remote_write.h"

#include <inttypes.h>

#include "api/handlers.h"
#include "api/label_set.h"
#include "api/wire.h"

/* ---- reading --------------------------------------------------------------------- */

/* Its NaN says that a series has ended (prometheus/model/value). */
static const uint64_t STALE_BITS = 0x7ff0000000000002;

static int malformed(const char *what, struct err *err)
{
    return err_set(err, ERR_INVALID, "body: is not a WriteRequest: bad %s", what);
}

/*
 * The labels in front as all senders write them, each a name and then a value, short and
 * not empty; the rest of the series.  The same as add_label() on every field, but this
 * runs ten million times a second.
 */
static struct wire take_plain_labels(struct wire series, struct label_set *set)
{
    enum { FIRST = 1 << 3 | WIRE_BYTES, SECOND = 2 << 3 | WIRE_BYTES, LEAST = 6 };
    const unsigned char *at = series.at;
    while (series.end - at >= 2 + LEAST && at[0] == FIRST && at[1] >= LEAST &&
           at[1] < 0x80 && at[1] <= series.end - at - 2) {
        const unsigned char *const end = at + 2 + at[1];
        const size_t name_len = at[3];
        if (at[2] != FIRST || name_len == 0 || name_len + LEAST - 1 > at[1])
            break;
        const unsigned char *const value = at + 4 + name_len;
        if (value[0] != SECOND || value[1] == 0 || value + 2 + value[1] != end)
            break;
        label_set_add(set, (const char *)at + 4, name_len, (const char *)value + 2,
                      value[1]);
        at = end;
    }
    return (struct wire){at, series.end};
}

/* Of a label both parts must be there: unlike elsewhere, an empty value is an error. */
static void add_label(struct label_set *set, struct wire label, struct err *why)
{
    struct wire name = {0}, value = {0};
    struct wire_field field;
    int more;
    while ((more = wire_next(&label, &field)) > 0)
        if (wire_is(&field, 1, WIRE_BYTES))
            name = field.bytes;
        else if (wire_is(&field, 2, WIRE_BYTES))
            value = field.bytes;
    if (more < 0)
        err_set(why, ERR_INVALID, "label: is not protobuf");
    else if (name.at == name.end || value.at == value.end)
        err_set(why, ERR_INVALID, "label: name and value must not be empty");
    else
        label_set_add(set, (const char *)name.at, wire_len(name), (const char *)value.at,
                      wire_len(value));
}

/* What there is of a series beside its labels. */
struct content {
    size_t samples, exemplars, histograms;
    struct wire first; /* sample, and all behind it */
};

/* The canonical name, and the content.  -1: not a TimeSeries; what is wrong with the name
 * is in why. */
static int read_labels(struct wire series, char name[static LABELS_TEXT_MAX],
                       struct content *content, struct err *why)
{
    struct label_set set;
    struct wire_field field;
    int more;
    set.count = 0;
    series = take_plain_labels(series, &set);
    *content = (struct content){.first = series};
    for (struct wire at = series; (more = wire_next(&series, &field)) > 0; at = series) {
        if (wire_is(&field, 2, WIRE_BYTES)) {
            if (++content->samples == 1)
                content->first = at;
        } else if (wire_is(&field, 3, WIRE_BYTES)) {
            content->exemplars++;
        } else if (wire_is(&field, 4, WIRE_BYTES)) {
            content->histograms++;
        } else if (wire_is(&field, 1, WIRE_BYTES) && why->code == ERR_NONE) {
            add_label(&set, field.bytes, why);
        }
    }
    if (why->code == ERR_NONE)
        label_set_name(&set, name, why);
    return more;
}

static int read_sample(struct wire sample, uint32_t series, const char *name,
                       struct intake *in)
{
    double value = 0;
    uint64_t bits = 0;
    int64_t time_ms = 0;
    struct wire_field field;
    int more;
    while ((more = wire_next(&sample, &field)) > 0)
        if (wire_is(&field, 1, WIRE_64)) {
            value = wire_double(&field);
            bits = field.value;
        } else if (wire_is(&field, 2, WIRE_VARINT)) {
            time_ms = (int64_t)field.value;
        }
    if (more < 0)
        return -1;
    if (bits == STALE_BITS)
        intake_pass_over(in, REJECT_STALE, 1);
    else
        intake_add(in, series, time_ms, value, name);
    return 0;
}

static int read_series(struct wire series, size_t number, struct intake *in,
                       struct err *err)
{
    char name[LABELS_TEXT_MAX];
    struct content content;
    struct err why;
    why.code = ERR_NONE; /* the rest is large, and this runs a million times a second */
    if (read_labels(series, name, &content, &why) < 0)
        return malformed("time series", err);
    intake_pass_over(in, REJECT_EXEMPLAR, content.exemplars);
    intake_pass_over(in, REJECT_NOT_NUMBER, content.histograms);
    if (why.code) {
        err_prefix(&why, "timeseries[%zu]", number);
        intake_refuse(in, REJECT_INVALID, content.samples, &why);
        return 0;
    }
    if (content.samples == 0)
        return 0;
    const uint32_t id = store_batch_series(in->batch, name);
    struct wire_field field;
    while (wire_next(&content.first, &field) > 0)
        if (wire_is(&field, 2, WIRE_BYTES) && read_sample(field.bytes, id, name, in))
            return malformed("sample", err);
    return 0;
}

int remote_write_read(const char *bytes, size_t len, struct intake *in, struct err *err)
{
    struct wire request = wire_of(bytes, len);
    struct wire_field field;
    int more;
    for (size_t number = 0; (more = wire_next(&request, &field)) > 0;)
        if (wire_is(&field, 3, WIRE_BYTES))
            intake_pass_over(in, REJECT_METADATA, 1);
        else if (wire_is(&field, 1, WIRE_BYTES) &&
                 read_series(field.bytes, number++, in, err))
            return -1;
    return more < 0 ? malformed("field", err) : 0;
}

/* ---- answering ------------------------------------------------------------------- */

static void say(struct reply *reply, unsigned status, struct page *page)
{
    reply_text(reply, status, "text/plain; charset=utf-8", page->bytes, page->len);
}

void remote_write_refuse(struct reply *reply, const struct err *err)
{
    struct page page = {0};
    page_add(&page, "%s\n", err->msg);
    say(reply, intake_status(err->code), &page);
}

static void answer(const struct intake *in, struct reply *reply)
{
    struct page page = {0};
    if (!in->refused) {
        reply->status = 204;
        return;
    }
    page_add(&page,
             "%s; %" PRIu64 " of %" PRIu64 " samples were refused, the rest is stored\n",
             in->why.msg, in->refused, in->refused + in->taken);
    say(reply, 400, &page);
}

int remote_write_post(struct request *req, struct reply *reply, struct err *err)
{
    struct intake *const in = intake_new(req, DIALECT_REMOTE_WRITE);
    if (remote_write_read(req->body, req->body_len, in, err))
        return intake_drop(req, in);
    return intake_store(req, in, answer, reply, err);
}
