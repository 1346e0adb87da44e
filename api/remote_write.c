/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/remote_write.h"

#include <inttypes.h>

#include "api/handlers.h"
#include "api/wire.h"
#include "base/labels.h"

/* ---- reading --------------------------------------------------------------------- */

/* Its NaN says that a series has ended (prometheus/model/value). */
static const uint64_t STALE_BITS = 0x7ff0000000000002;

static int malformed(const char *what, struct err *err)
{
    return err_set(err, ERR_INVALID, "body: is not a WriteRequest: bad %s", what);
}

/* Of a label both parts must be there: unlike elsewhere, an empty value is an error. */
static int add_label(struct labels *labels, struct wire label, struct err *why)
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
        return err_set(why, ERR_INVALID, "label: is not protobuf");
    if (name.at == name.end || value.at == value.end)
        return err_set(why, ERR_INVALID, "label: name and value must not be empty");
    return labels_add_n(labels, (const char *)name.at, wire_len(name),
                        (const char *)value.at, wire_len(value), why);
}

/* The canonical name, and how many samples there are.  -1: not a TimeSeries; what is
 * wrong with the name is in why. */
static int read_labels(struct wire series, char name[static LABELS_TEXT_MAX],
                       size_t *samples, struct err *why)
{
    struct labels labels;
    struct wire_field field;
    int more;
    labels.count = labels.used = 0;
    *samples = 0;
    while ((more = wire_next(&series, &field)) > 0) {
        if (wire_is(&field, 2, WIRE_BYTES))
            ++*samples;
        else if (wire_is(&field, 1, WIRE_BYTES) && why->code == ERR_NONE)
            add_label(&labels, field.bytes, why);
    }
    if (why->code == ERR_NONE)
        labels_format(&labels, name, why);
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
    size_t samples;
    struct err why = {0};
    if (read_labels(series, name, &samples, &why) < 0)
        return malformed("time series", err);
    if (why.code) {
        err_prefix(&why, "timeseries[%zu]", number);
        intake_refuse(in, REJECT_INVALID, samples, &why);
        return 0;
    }
    if (samples == 0)
        return 0;
    const uint32_t id = store_batch_series(in->batch, name);
    struct wire_field field;
    while (wire_next(&series, &field) > 0)
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
        if (wire_is(&field, 1, WIRE_BYTES) && read_series(field.bytes, number++, in, err))
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
    /* What is not here is a 500, which is sent again too. */
    static const unsigned statuses[] = {
        [ERR_INVALID] = 400,     [ERR_TOO_LARGE] = 413, [ERR_BUSY] = 503,
        [ERR_NO_MEMORY] = 503,   [ERR_IO] = 503,        [ERR_DENIED] = 401,
        [ERR_UNSUPPORTED] = 415,
    };
    const size_t count = sizeof statuses / sizeof *statuses;
    const unsigned status = (size_t)err->code < count ? statuses[err->code] : 0;
    struct page page = {0};
    page_add(&page, "%s\n", err->msg);
    say(reply, status ? status : 500, &page);
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
             in->why.msg, in->refused, in->received);
    say(reply, 400, &page);
}

int remote_write_post(struct request *req, struct reply *reply, struct err *err)
{
    struct intake *const in = intake_new(req, DIALECT_REMOTE_WRITE);
    if (remote_write_read(req->body, req->body_len, in, err))
        return intake_drop(req, in);
    return intake_store(req, in, answer, reply, err);
}
