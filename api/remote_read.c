/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/remote_read.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/crossings_named.h"
#include "api/named.h"
#include "api/selector_text.h"
#include "api/server.h"
#include "api/wire.h"
#include "base/mem.h"

enum {
    SAMPLES_MAX = 2 << 20,   /* of one request */
    RESPONSE_MAX = 64 << 20, /* bytes of an answer, unpacked */
};

/* ---- reading --------------------------------------------------------------------- */

void remote_read_fini(struct remote_read *read)
{
    for (size_t i = 0; i < read->count; i++)
        free(read->query[i].selector);
    *read = (struct remote_read){0};
}

static int malformed(const char *what, struct err *err)
{
    return err_set(err, ERR_INVALID, "body: is not a ReadRequest: bad %s", what);
}

static int read_matcher(struct wire matcher, struct page *selector, struct err *err)
{
    static const enum match_kind kinds[] = {MATCH_EQUAL, MATCH_NOT_EQUAL, MATCH_REGEX,
                                            MATCH_NOT_REGEX};
    struct wire name = wire_of("", 0), value = wire_of("", 0);
    uint64_t type = 0;
    struct wire_field field;
    int more;
    while ((more = wire_next(&matcher, &field)) > 0)
        if (wire_is(&field, 1, WIRE_VARINT))
            type = field.value;
        else if (wire_is(&field, 2, WIRE_BYTES))
            name = field.bytes;
        else if (wire_is(&field, 3, WIRE_BYTES))
            value = field.bytes;
    if (more < 0 || type >= sizeof kinds / sizeof *kinds)
        return malformed("matcher", err);
    return selector_text_add(selector, kinds[type], (const char *)name.at, wire_len(name),
                             (const char *)value.at, wire_len(value), err);
}

static int read_query(struct wire query, struct remote_query *out, struct err *err)
{
    struct page selector = {0};
    struct wire_field field;
    int more, rc = 0;
    while (rc == 0 && (more = wire_next(&query, &field)) != 0)
        if (more < 0)
            rc = malformed("query", err);
        else if (wire_is(&field, 1, WIRE_VARINT))
            out->start_ms = (int64_t)field.value;
        else if (wire_is(&field, 2, WIRE_VARINT))
            out->end_ms = (int64_t)field.value;
        else if (wire_is(&field, 3, WIRE_BYTES))
            rc = read_matcher(field.bytes, &selector, err);
    selector_text_end(&selector);
    out->selector = selector.bytes;
    return rc;
}

int remote_read_parse(const char *bytes, size_t len, struct remote_read *out,
                      struct err *err)
{
    struct wire request = wire_of(bytes, len);
    struct wire_field field;
    int more, rc = 0;
    *out = (struct remote_read){0};
    while (rc == 0 && (more = wire_next(&request, &field)) != 0)
        if (more < 0)
            rc = malformed("field", err);
        else if (wire_is(&field, 1, WIRE_BYTES)) {
            if (out->count == REMOTE_READ_QUERIES_MAX)
                rc = err_set(err, ERR_INVALID, "queries: must be at most %d",
                             REMOTE_READ_QUERIES_MAX);
            else
                rc = read_query(field.bytes, &out->query[out->count++], err);
        }
    if (rc)
        remote_read_fini(out);
    return rc;
}

/* ---- answering ------------------------------------------------------------------- */

static void put_label(struct page *page, const struct label *label)
{
    const size_t begun = wire_begin(page, 1);
    wire_put_bytes(page, 1, label->name, strlen(label->name));
    wire_put_bytes(page, 2, label->value, strlen(label->value));
    wire_end(page, begun);
}

static void put_sample(struct page *page, const struct sample *sample)
{
    const size_t begun = wire_begin(page, 2);
    wire_put_double(page, 1, sample->value);
    wire_put_varint(page, 2, (uint64_t)sample->time_ms);
    wire_end(page, begun);
}

struct answer {
    struct page page;
    size_t samples;
};

static int put_series(void *ctx, const struct named *named, struct err *err)
{
    struct answer *const answer = ctx;
    const size_t begun = wire_begin(&answer->page, 1);
    for (size_t i = 0; i < named->labels->count; i++)
        put_label(&answer->page, &named->labels->label[i]);
    for (size_t i = 0; i < named->count; i++)
        put_sample(&answer->page, &named->samples[i]);
    wire_end(&answer->page, begun);
    answer->samples += named->count;
    if (answer->page.len <= RESPONSE_MAX)
        return 0;
    return err_set(err, ERR_TOO_LARGE,
                   "more than %d bytes: ask for a shorter time or fewer series",
                   RESPONSE_MAX);
}

static int put_results(struct api *api, const struct remote_read *read,
                       struct answer *answer, struct err *err)
{
    for (size_t i = 0; i < read->count; i++) {
        const struct named_wish wish = {
            .selector = read->query[i].selector,
            .from_ms = read->query[i].start_ms,
            .to_ms = read->query[i].end_ms,
            .samples_max = SAMPLES_MAX - answer->samples,
        };
        const size_t begun = wire_begin(&answer->page, 1);
        if (named_read(api->config.store, &wish, put_series, answer, err) ||
            crossings_named(api, &wish, false, put_series, answer, err)) {
            err_prefix(err, "queries[%zu]", i);
            return -1;
        }
        wire_end(&answer->page, begun);
    }
    return 0;
}

static int pack(const struct page *page, struct reply *reply, struct err *err)
{
    size_t len = snappy_max_compressed_length(page->len);
    char *const packed = mem_try(len, 1);
    if (!packed)
        return err_set(err, ERR_NO_MEMORY, "no memory for %zu bytes", len);
    snappy_compress(page->bytes ? page->bytes : "", page->len, packed, &len);
    reply_text(reply, 200, "application/x-protobuf", packed, len);
    reply_header(reply, "Content-Encoding", "snappy");
    return HANDLED;
}

int remote_read_post(struct request *req, struct reply *reply, struct err *err)
{
    struct remote_read read;
    struct answer answer = {0};
    if (remote_read_parse(req->body, req->body_len, &read, err))
        return -1;
    int rc = put_results(req->api, &read, &answer, err);
    remote_read_fini(&read);
    if (rc == 0)
        rc = pack(&answer.page, reply, err);
    free(answer.page.bytes);
    /* It is the query that asks for too much: 413 would be about the request's body. */
    if (rc && err->code == ERR_TOO_LARGE)
        err->code = ERR_INVALID;
    return rc;
}
