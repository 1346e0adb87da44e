/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * InfluxDB's ways in: POST /write (version 1), POST /api/v2/write, and what clients ask
 * before they write: /ping, /health; /query is influx_query.c.
 *
 * Any database or bucket is taken and becomes the label db.  Version 1 stores the good
 * lines of a request and answers 400 for the others; version 2 refuses a request that has
 * an unreadable line, and answers 422 where lines could be read but not all be stored.
 */
#include "api/handlers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/influx.h"
#include "api/influx_line.h"
#include "api/query.h"
#include "api/server.h"
#include "base/mem.h"

void influx_version(struct reply *reply)
{
    reply_header(reply, "X-Influxdb-Version", "1.8.10"); /* the last 1.x: what we speak */
}

/* ---- errors -------------------------------------------------------------------------- */

static void say_v1(struct reply *reply, unsigned status, const char *text)
{
    reply_json(reply, status, json_pack("{s:o}", "error", json_text(text)),
               DIGITS_DOUBLE);
    influx_version(reply);
    reply_header(reply, "X-Influxdb-Error", text);
}

static void say_v2(struct reply *reply, unsigned status, const char *code,
                   const char *text)
{
    reply_json(reply, status,
               json_pack("{s:s, s:o}", "code", code, "message", json_text(text)),
               DIGITS_DOUBLE);
    influx_version(reply);
}

void influx_refuse_v1(struct reply *reply, const struct err *err)
{
    say_v1(reply, intake_status(err->code), err->msg);
}

void influx_refuse_v2(struct reply *reply, const struct err *err)
{
    const unsigned status = intake_status(err->code);
    const char *const code = status == 400   ? "invalid"
                             : status == 401 ? "unauthorized"
                             : status == 413 ? "request too large"
                             : status == 415 ? "unsupported media type"
                             : status == 503 ? "unavailable"
                                             : "internal error";
    say_v2(reply, status, code, err->msg);
}

/* ---- writing ------------------------------------------------------------------------- */

static void no_content(struct reply *reply)
{
    reply->status = 204;
    influx_version(reply);
    reply_header(reply, "X-Influxdb-Build", "frwkvd");
}

static int read_precision(const struct request *req, int64_t *unit_ns, struct err *err)
{
    static const struct {
        const char *word;
        int64_t ns;
    } units[] = {
        {"ns", 1},
        {"n", 1},
        {"us", 1000},
        {"u", 1000},
        {"\xc2\xb5", 1000},
        {"ms", 1000000},
        {"s", 1000000000},
        {"m", INT64_C(60000000000)},
        {"h", INT64_C(3600000000000)},
    };
    const char *const given = query_text(req, "precision");
    *unit_ns = 1;
    if (!given || !*given)
        return 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (!strcmp(units[i].word, given)) {
            *unit_ns = units[i].ns;
            return 0;
        }
    return err_set(err, ERR_INVALID,
                   "precision: must be one of ns, us, ms, s, m and h, got %.40s", given);
}

static int read_lines(struct request *req, const char *db, struct influx_lines *lines,
                      struct intake **in, struct err *err)
{
    *lines = (struct influx_lines){.db = query_text(req, db)};
    if (read_precision(req, &lines->unit_ns, err))
        return -1;
    *in = intake_new(req, DIALECT_INFLUX);
    influx_lines_read(req->body, req->body_len, lines, *in);
    return 0;
}

static void answer_v1(const struct intake *in, struct reply *reply)
{
    if (!in->refused) {
        no_content(reply);
        return;
    }
    char *const text =
        mem_printf("partial write: %s dropped=%" PRIu64, in->why.msg, in->refused);
    say_v1(reply, 400, text);
    free(text);
}

int influx_write_post(struct request *req, struct reply *reply, struct err *err)
{
    struct influx_lines lines;
    struct intake *in;
    if (read_lines(req, "db", &lines, &in, err))
        return -1;
    return intake_store(req, in, answer_v1, reply, err);
}

static void answer_v2(const struct intake *in, struct reply *reply)
{
    if (!in->refused) {
        no_content(reply);
        return;
    }
    char *const text = mem_printf("partial write: %s; %" PRIu64 " of %" PRIu64
                                  " values were refused, the rest is stored",
                                  in->why.msg, in->refused, in->refused + in->taken);
    say_v2(reply, 422, "unprocessable entity", text);
    free(text);
}

int influx_v2_write_post(struct request *req, struct reply *reply, struct err *err)
{
    struct influx_lines lines;
    struct intake *in;
    if (read_lines(req, "bucket", &lines, &in, err))
        return -1;
    if (!lines.unreadable)
        return intake_store(req, in, answer_v2, reply, err);
    err_set(err, ERR_INVALID, "%s", in->why.msg);
    return intake_drop(req, in);
}

/* ---- asking -------------------------------------------------------------------------- */

int influx_ping_get(struct request *req, struct reply *reply, struct err *err)
{
    (void)req;
    (void)err;
    no_content(reply);
    return HANDLED;
}

int influx_health_get(struct request *req, struct reply *reply, struct err *err)
{
    (void)err;
    struct err why = {0};
    const bool pass = !store_ready(req->api->config.store, &why);
    reply_json(reply, pass ? 200 : 503,
               json_pack("{s:s, s:o, s:s, s:s}", "name", "frwkvd", "message",
                         json_text(pass ? "ready for writes" : why.msg), "status",
                         pass ? "pass" : "fail", "version", req->api->config.version),
               DIGITS_DOUBLE);
    reply->retry_after_s = pass ? 0 : 2;
    return HANDLED;
}
