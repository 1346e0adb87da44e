/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * POST /v1/import: a CSV file of any length, all of it or nothing.
 *
 *     format=wide|long  zone=Europe/Berlin  time_column=NAME  prefix=TEXT
 *     history=true      (what the file holds counts as known at its own time)
 *
 * The body goes to a nameless file, block by block, and through the CSV reader on the
 * way.  Only when the last line is found good does a second pass read the file again
 * and append batches, one at a time: the next is read when the last is committed, and
 * no worker waits meanwhile.
 */
#include "api/handlers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/gunzip.h"
#include "api/query.h"
#include "api/rules.h"
#include "api/server.h"
#include "base/csv.h"
#include "base/mem.h"

enum {
    READ_BYTES = 64 << 10,
    BATCH_SAMPLES = 50000, /* less where the store's queue is shorter */
    BUSY_WAIT_MS = 50,
    BUSY_TRIES = 1200, /* a minute without any progress */
};

struct item {
    size_t series; /* of the file */
    int64_t time_ms;
    double value;
};

struct import {
    struct api *api;
    struct wish {
        const char *zone, *time_column, *prefix;
        int format;
        bool history;
    } wish;
    struct zone *zone;
    struct csv_reader *reader;
    struct gunzip *gunzip; /* NULL: the body is plain */
    int spool;
    int64_t now_ms;
    bool future; /* the bad line lies too far ahead */

    /* The second pass. */
    bool storing, at_end;
    size_t series_count;
    char **names;
    struct item *items; /* those read: a batch, and what came after it in its block */
    size_t item_count, item_room;
    size_t item_done; /* of them, committed */
    int busy_tries;
    uint64_t received;
    struct store_counts counts;
};

/* ---- both passes ------------------------------------------------------------------- */

static void import_free(void *state)
{
    struct import *const im = state;
    csv_close(im->reader);
    gunzip_free(im->gunzip);
    zone_free(im->zone);
    if (im->spool >= 0)
        close(im->spool);
    for (size_t i = 0; i < im->series_count; i++)
        free(im->names[i]);
    free(im->names);
    free(im->items);
    free(im);
}

static struct csv_reader *reader_open(const struct import *im,
                                      const struct csv_sink *sink)
{
    const struct csv_options options = {
        .form = im->wish.format ? CSV_LONG : CSV_WIDE,
        .time_column = im->wish.time_column,
        .series_prefix = im->wish.prefix,
        .zone = im->zone,
        .max_columns = im->api->config.csv_columns_max,
    };
    return csv_open(&options, sink);
}

/* ---- first pass: check and spool --------------------------------------------------- */

static int check_series(void *ctx, size_t id, const char *name, struct err *err)
{
    (void)ctx, (void)id, (void)name, (void)err;
    return 0;
}

static int check_sample(void *ctx, size_t id, int64_t time_ms, double value,
                        struct err *err)
{
    (void)id, (void)value;
    struct import *const im = ctx;
    if (!rule_time_now(time_ms, im->now_ms, im->api->config.future_max_ms, err))
        return 0;
    im->future = true;
    err_prefix(err, "time");
    return -1;
}

/* A file without a name: it is gone when its descriptor is closed, or the process. */
static int spool_open(const char *folder, struct err *err)
{
    char *const path = mem_printf("%s/import-XXXXXX", folder);
    const int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        err_errno(err, "cannot create a file in %s", folder);
    else
        unlink(path);
    free(path);
    return fd;
}

/* What comes out of the body, unpacked. */
static int take(void *ctx, const char *bytes, size_t len, struct err *err)
{
    struct import *const im = ctx;
    for (size_t done = 0; done < len;) {
        const ssize_t wrote = write(im->spool, bytes + done, len - done);
        if (wrote < 0 && errno != EINTR)
            return err_errno(err, "cannot keep the import");
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return csv_push(im->reader, bytes, len, err);
}

static int import_open(struct request *req, struct err *err)
{
    static const char *const formats[] = {"wide", "long", NULL};
    static const struct query_rule rules[] = {
        QUERY("format", QUERY_WORD, struct wish, format, .words = formats),
        QUERY("zone", QUERY_TEXT, struct wish, zone),
        QUERY("time_column", QUERY_TEXT, struct wish, time_column),
        QUERY("prefix", QUERY_TEXT, struct wish, prefix),
        QUERY("history", QUERY_FLAG, struct wish, history),
    };
    struct api *const api = req->api;
    struct import *const im = mem_new(1, sizeof *im);
    req->state = im;
    req->state_free = import_free;
    im->api = api;
    im->spool = -1;
    im->now_ms = clock_now_ms(&api->config.clock);
    if (QUERY_READ(req, rules, &im->wish, err))
        return -1;
    if (im->wish.zone && !(im->zone = zone_load(im->wish.zone, err)))
        return -1;
    im->spool = spool_open(api->config.import_folder, err);
    if (im->spool < 0)
        return -1;
    const struct csv_sink sink = {check_series, check_sample, im};
    im->reader = reader_open(im, &sink);
    const bool packed = req->encoding == ENCODING_GZIP;
    im->gunzip = packed ? gunzip_new(api->config.import_max, take, im) : NULL;
    return !packed || im->gunzip ? 0 : err_set(err, ERR_NO_MEMORY, "cannot unpack gzip");
}

/* Counts a refused file; passes rc on. */
static int refused(const struct import *im, int rc, const struct err *err)
{
    if (rc == 0)
        return 0;
    const bool rule = err->code == ERR_INVALID || err->code == ERR_TOO_LARGE;
    const enum reject_reason reason = im->future ? REJECT_FUTURE
                                      : rule     ? REJECT_INVALID
                                                 : metrics_reason(err->code);
    metrics_rejected(im->api->metrics, DIALECT_CSV, reason, csv_samples(im->reader));
    return rc;
}

int import_push(struct request *req, const char *bytes, size_t len, struct err *err)
{
    if (!req->state && import_open(req, err))
        return -1;
    struct import *const im = req->state;
    const int rc =
        im->gunzip ? gunzip_push(im->gunzip, bytes, len, err) : take(im, bytes, len, err);
    return refused(im, rc, err);
}

/* ---- second pass: store ---------------------------------------------------------- */

static int keep_series(void *ctx, size_t id, const char *name, struct err *err)
{
    (void)err;
    struct import *const im = ctx;
    if ((id & (id - 1)) == 0) /* ids count up: room doubles at the powers of two */
        im->names = mem_resize(im->names, id ? 2 * id : 1, sizeof *im->names);
    im->names[id] = mem_text(name);
    im->series_count = id + 1;
    return 0;
}

static int keep_sample(void *ctx, size_t id, int64_t time_ms, double value,
                       struct err *err)
{
    (void)err;
    struct import *const im = ctx;
    if (im->item_count == im->item_room) {
        im->item_room = im->item_room ? 2 * im->item_room : BATCH_SAMPLES;
        im->items = mem_resize(im->items, im->item_room, sizeof *im->items);
    }
    im->items[im->item_count++] = (struct item){id, time_ms, value};
    return 0;
}

static int begin_storing(struct import *im, struct err *err)
{
    if ((im->gunzip && gunzip_finish(im->gunzip, err)) || csv_finish(im->reader, err))
        return refused(im, -1, err);
    im->received = csv_samples(im->reader);
    csv_close(im->reader);
    const struct csv_sink sink = {keep_series, keep_sample, im};
    im->reader = reader_open(im, &sink);
    im->storing = true;
    return lseek(im->spool, 0, SEEK_SET) < 0 ? err_errno(err, "cannot read the import")
                                             : 0;
}

static size_t batch_max(const struct import *im)
{
    const size_t most = store_batch_max(im->api->config.store);
    return most < BATCH_SAMPLES ? most : BATCH_SAMPLES;
}

/* Samples of the batch that is being made, or waits for room. */
static size_t batch_size(const struct import *im)
{
    return im->item_count < batch_max(im) ? im->item_count : batch_max(im);
}

static void forget_done(struct import *im)
{
    im->item_count -= im->item_done;
    if (im->item_done)
        memmove(im->items, im->items + im->item_done, im->item_count * sizeof *im->items);
    im->item_done = 0;
}

/* Reads on until a batch is full or the file ends. */
static int fill(struct import *im, struct err *err)
{
    char block[READ_BYTES];
    forget_done(im);
    while (!im->at_end && im->item_count < batch_max(im)) {
        const ssize_t got = read(im->spool, block, sizeof block);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "cannot read the import");
        im->at_end = got == 0;
        if (got > 0 ? csv_push(im->reader, block, (size_t)got, err)
                    : csv_finish(im->reader, err))
            return -1;
    }
    return 0;
}

static struct store_batch *batch_of(const struct import *im)
{
    struct store_batch *const batch = store_batch_new();
    uint32_t *const ids =
        mem_new(im->series_count, sizeof *ids); /* 0: none yet, else +1 */
    if (im->wish.history)
        store_batch_history(batch);
    for (size_t i = 0; i < batch_size(im); i++) {
        const struct item *const item = &im->items[i];
        if (!ids[item->series])
            ids[item->series] = store_batch_series(batch, im->names[item->series]) + 1;
        store_batch_add(batch, ids[item->series] - 1, item->time_ms, item->value);
    }
    free(ids);
    return batch;
}

static uint64_t stored(const struct import *im)
{
    return im->counts.stored + im->counts.replaced + im->counts.duplicate;
}

/* The rest is not stored.  Says how far it came: to send the file again is harmless. */
static int give_up(const struct import *im, struct err *err)
{
    metrics_rejected(im->api->metrics, DIALECT_CSV, metrics_reason(err->code),
                     im->received - stored(im));
    err_prefix(err, "stopped after %" PRIu64 " of %" PRIu64 " samples, send it again",
               stored(im), im->received);
    return -1;
}

/* On the store's thread, after the commit of one batch. */
static void committed(void *ctx, const struct store_counts *counts, const struct err *err)
{
    struct request *const req = ctx;
    struct import *const im = req->state;
    if (err && err->code) {
        struct err failed = *err;
        give_up(im, &failed);
        request_fail(req, &failed);
        return;
    }
    metrics_stored(im->api->metrics, DIALECT_CSV, counts);
    im->counts.stored += counts->stored;
    im->counts.replaced += counts->replaced;
    im->counts.duplicate += counts->duplicate;
    im->item_done = batch_size(im);
    im->busy_tries = 0;
    request_again(req);
}

static bool stopping(struct api *api)
{
    pthread_mutex_lock(&api->lock);
    const bool is = api->stopping;
    pthread_mutex_unlock(&api->lock);
    return is;
}

/* Appends the batch; when the store has no room, the same again after a while. */
static int append(struct request *req, struct import *im, struct err *err)
{
    if (stopping(im->api)) {
        err_set(err, ERR_BUSY, "the server is shutting down");
        return give_up(im, err);
    }
    if (!store_append(im->api->config.store, batch_of(im), committed, req, err))
        return LATER;
    if (err->code != ERR_BUSY || ++im->busy_tries == BUSY_TRIES)
        return give_up(im, err);
    nanosleep(&(struct timespec){.tv_nsec = BUSY_WAIT_MS * 1000000L}, NULL);
    request_again(req);
    return LATER;
}

static int done(const struct import *im, struct reply *reply)
{
    reply_json(reply, 200,
               json_pack("{s:I, s:I, s:I, s:I, s:I}", "received",
                         (json_int_t)im->received, "stored",
                         (json_int_t)im->counts.stored, "replaced",
                         (json_int_t)im->counts.replaced, "duplicate",
                         (json_int_t)im->counts.duplicate, "series",
                         (json_int_t)im->series_count),
               DIGITS_DOUBLE);
    return HANDLED;
}

int import_post(struct request *req, struct reply *reply, struct err *err)
{
    if (!req->state && import_open(req, err))
        return -1;
    struct import *const im = req->state;
    if (!im->storing && begin_storing(im, err))
        return -1;
    if (fill(im, err))
        return give_up(im, err);
    return im->item_count ? append(req, im, err) : done(im, reply);
}
