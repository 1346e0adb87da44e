/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/prometheus.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/problem.h"
#include "api/query.h"
#include "base/time.h"

static const char json[] = "application/json";

static void say_error(struct reply *reply, unsigned status, const char *type,
                      const char *text)
{
    reply_json(reply, status,
               json_pack("{s:s, s:s, s:o}", "status", "error", "errorType", type, "error",
                         json_text(text)),
               DIGITS_DOUBLE);
}

void prometheus_refuse(struct reply *reply, const struct err *err)
{
    const unsigned status = problem_status(err->code);
    const bool ours = status == 500 || status == 409;
    const char *const type = ours            ? "internal"
                             : status == 401 ? "unauthorized"
                             : status == 404 ? "not_found"
                             : status == 503 ? "timeout"
                                             : "bad_data";
    say_error(reply, ours ? 500 : status, type, err->msg);
}

int prometheus_failed(struct reply *reply, const struct err *err)
{
    if (err->code != ERR_TOO_LARGE)
        return -1;
    say_error(reply, 422, "execution", err->msg);
    return HANDLED;
}

int prometheus_reply(struct reply *reply, struct page *data)
{
    struct page out = {0};
    page_add(&out, "{\"status\":\"success\",\"data\":");
    page_add_bytes(&out, data->bytes, data->len);
    page_add(&out, "}");
    free(data->bytes);
    *data = (struct page){0};
    reply_text(reply, 200, json, out.bytes, out.len);
    return HANDLED;
}

int prometheus_reply_json(struct reply *reply, json_t *data)
{
    reply_json(reply, 200, json_pack("{s:s, s:o}", "status", "success", "data", data),
               DIGITS_DOUBLE);
    return HANDLED;
}

static int64_t milliseconds(double seconds)
{
    const double least = (double)TIME_MIN_MS / 1e3, most = (double)TIME_MAX_MS / 1e3;
    return seconds <= least  ? TIME_MIN_MS
           : seconds >= most ? TIME_MAX_MS
                             : llround(seconds * 1e3);
}

int prometheus_time(const struct request *req, const char *name, int64_t *time_ms,
                    struct err *err)
{
    const char *const text = query_text(req, name);
    if (!text || !*text)
        return 0;
    char *end = NULL;
    const double seconds = strtod(text, &end);
    if (!*end && !isnan(seconds)) {
        *time_ms = milliseconds(seconds);
        return 0;
    }
    if (strchr(text, 'T') && !time_parse(text, strlen(text), NULL, time_ms, NULL))
        return 0;
    return err_set(
        err, ERR_INVALID,
        "invalid parameter \"%s\": cannot parse \"%.60s\" to a valid timestamp", name,
        text);
}
