/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections: bytes in, replies out.  libmicrohttpd's threads parse and copy; all else
 * happens on workers while the connection is suspended (life.c).
 *
 * libmicrohttpd takes an answer only before the first byte of a body or after the
 * last: one that comes up in between is kept, the rest of the body drained up to
 * DRAIN_MAX, and then sent.
 */
#include "api/api.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/body.h"
#include "api/crossings.h"
#include "api/life.h"
#include "api/listen.h"
#include "api/login.h"
#include "api/problem.h"
#include "api/routes.h"
#include "api/server.h"
#include "api/standing.h"
#include "api/events.h"
#include "api/influx.h"
#include "api/stream.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

enum {
    DRAIN_MAX = 4 << 20,     /* bytes read and thrown away after a refusal */
    BLOCK_BYTES = 256 << 10, /* of a streamed body, between two visits of a worker */
    BODY_SLOWEST = 1024,     /* bytes a second, on average, after the grace time */
    CONNECTION_MEMORY = 64 << 10,
    QUEUE_PER_WORKER = 64,
    INTAKE_QUEUE = 256, /* some senders lose what is refused */
    INTAKE_NICE = 5,
    STOP_GRACE_S = 5,
    WORK_TIMEOUT_S = 60,
};

/* ---- body ------------------------------------------------------------------------ */

static int body_refusal(const struct request *req, struct err *err)
{
    if (req->body_limit == 0)
        return err_set(err, ERR_INVALID, "body: must be empty on this route");
    return err_set(err, ERR_TOO_LARGE, "body: must be at most %zu bytes",
                   req->body_limit);
}

/* Copies what has arrived; what is left of len stays with the connection. */
static void body_take(struct request *req, const char *data, size_t *len)
{
    size_t take = *len;
    if (req->route->push && take > BLOCK_BYTES - req->body_len)
        take = BLOCK_BYTES - req->body_len;
    struct err err = {0};
    if (req->received + take > req->body_limit)
        body_refusal(req, &err);
    else
        body_reserve(req, take, &err);
    if (err.code) {
        request_refuse(req, &err);
        req->drained += *len;
        *len = 0;
        return;
    }
    memcpy(req->body + req->body_len, data, take);
    req->body_len += take;
    req->received += take;
    req->body[req->body_len] = '\0';
    *len -= take;
    if (req->route->push && req->body_len == BLOCK_BYTES)
        request_work(req, false);
}

/* A streamed body is read to its end, so that its sender learns of the bad line: most
 * clients look for an answer only after they have sent everything. */
static size_t drain_max(const struct request *req)
{
    const bool streamed = req->route && req->route->push && req->body_limit > DRAIN_MAX;
    return streamed ? req->body_limit : DRAIN_MAX;
}

/* The idle time-out of libmicrohttpd starts again with every byte; this one does not. */
static bool too_slow(const struct request *req)
{
    const int64_t spent_ms = time_monotonic_ms() - req->started_ms;
    const int64_t grace_ms = INT64_C(1000) * req->api->config.timeout_s;
    const size_t sent = req->received + req->drained;
    return spent_ms > grace_ms + (int64_t)(1000 * (sent / BODY_SLOWEST));
}

/* ---- libmicrohttpd's side -------------------------------------------------------- */

static enum MHD_Result send_reply(struct request *req)
{
    struct reply *const reply = &req->reply;
    struct MHD_Response *const response =
        reply->stream ? stream_response(reply->stream, req->connection)
                      : MHD_create_response_from_buffer(reply->len, reply->body,
                                                        MHD_RESPMEM_MUST_FREE);
    if (!response)
        return MHD_NO;
    reply->body = NULL; /* the response's now */
    reply->stream = NULL;
    if (reply->type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->type);
    if (reply->location)
        MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, reply->location);
    if (reply->allow)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
    for (size_t i = 0; i < reply->header_count; i++)
        MHD_add_response_header(response, reply->header[i].name, reply->header[i].value);
    if (reply->retry_after_s) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%d", reply->retry_after_s);
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    const enum MHD_Result sent =
        MHD_queue_response(req->connection, reply->status, response);
    MHD_destroy_response(response);
    return sent;
}

static enum MHD_Result keep_parameter(void *ctx, enum MHD_ValueKind kind,
                                      const char *name, size_t name_len,
                                      const char *value, size_t value_len)
{
    (void)kind;
    struct request *const req = ctx;
    if (req->parameter_count == REQUEST_PARAMETERS_MAX || memchr(name, '\0', name_len) ||
        (value && memchr(value, '\0', value_len))) {
        req->overlong = true;
        return MHD_NO;
    }
    req->parameter[req->parameter_count++] = (struct parameter){
        mem_text_n(name, name_len), value ? mem_text_n(value, value_len) : mem_text("")};
    return MHD_YES;
}

static const char *header_of(const struct request *req, const char *name)
{
    return MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, name);
}

static int check_encoding(struct request *req, struct err *err)
{
    static const char *const words[] = {[ENCODING_NONE] = "identity",
                                        [ENCODING_GZIP] = "gzip",
                                        [ENCODING_SNAPPY] = "snappy"};
    const enum encoding may = req->route->snappy ? ENCODING_SNAPPY : ENCODING_GZIP;
    const char *const given = header_of(req, MHD_HTTP_HEADER_CONTENT_ENCODING);
    req->encoding = req->route->snappy ? ENCODING_SNAPPY : ENCODING_NONE;
    if (!given || (!req->route->snappy && !strcasecmp(given, words[ENCODING_NONE])))
        return 0;
    req->encoding = may;
    if (!strcasecmp(given, words[may]))
        return 0;
    return err_set(err, ERR_UNSUPPORTED, "Content-Encoding: must be %s%s, got %.40s",
                   words[may], req->route->snappy ? "" : " or identity", given);
}

static int check_type(const struct request *req, struct err *err)
{
    const char *const wanted = req->route->type;
    const char *const given = header_of(req, MHD_HTTP_HEADER_CONTENT_TYPE);
    if (!wanted || !given)
        return 0;
    /* A newer schema names itself behind the type. */
    const size_t len = strlen(wanted);
    if (!strncasecmp(given, wanted, len) && (!given[len] || strchr("; ", given[len])) &&
        !strstr(given, "proto=io."))
        return 0;
    return err_set(err, ERR_UNSUPPORTED, "Content-Type: must be %s, got %.80s", wanted,
                   given);
}

static int check_body(struct request *req, struct err *err)
{
    const struct api_config *const config = &req->api->config;
    const char *const length = header_of(req, MHD_HTTP_HEADER_CONTENT_LENGTH);
    req->body_limit = req->route->body == BODY_COLLECTED ? config->body_max
                      : req->route->body == BODY_IMPORT  ? config->import_max
                                                         : 0;
    if (length && strtoull(length, NULL, 10) > req->body_limit)
        return body_refusal(req, err);
    /* Some clients say how an empty body is packed. */
    return req->body_limit && (check_encoding(req, err) || check_type(req, err)) ? -1 : 0;
}

/* What can be refused from the head of a request alone.  Fills reply where so. */
static void check_head(struct request *req, const char *method, struct reply *reply)
{
    struct err err = {0};
    req->route = routes_find(method, req->path, &req->name, &req->name2, reply);
    if (!req->route)
        return;
    if (req->overlong)
        err_set(&err, ERR_INVALID,
                "query: must have at most %d parameters, no zero bytes",
                REQUEST_PARAMETERS_MAX);
    else if (!login_check(req, header_of(req, MHD_HTTP_HEADER_AUTHORIZATION), &err))
        check_body(req, &err);
    if (err.code)
        request_refusal_make(req, &err, reply);
}

/* Whether the client still sends a body, more of it than is worth draining, or waits
 * for our word before it sends. */
static bool answer_at_once(const struct request *req)
{
    const char *const length = header_of(req, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (length && strtoull(length, NULL, 10) > DRAIN_MAX) ||
           header_of(req, MHD_HTTP_HEADER_EXPECT);
}

/* Whether a list such as Accept has a word, not at weight 0. */
static bool accepts(const struct request *req, const char *header, const char *word)
{
    const char *const list = header_of(req, header);
    const char *const at = list ? strcasestr(list, word) : NULL;
    if (!at)
        return false;
    const size_t len = strcspn(at, ",");
    const char *const weight = memmem(at, len, "q=", 2);
    return !weight || strtod(weight + 2, NULL) > 0;
}

static struct request *request_begin(struct api *api, struct MHD_Connection *connection,
                                     const char *url, const char *method)
{
    struct request *const req = request_new(api, connection, url);
    MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, keep_parameter, req);
    req->takes_gzip = accepts(req, MHD_HTTP_HEADER_ACCEPT_ENCODING, "gzip");
    req->takes_openmetrics =
        accepts(req, MHD_HTTP_HEADER_ACCEPT, "application/openmetrics-text");
    struct reply reply = {0};
    check_head(req, method, &reply);
    if (reply.status) {
        req->answer_now = answer_at_once(req);
        request_answer(req, &reply);
    }
    return req;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *data, size_t *len,
                                  void **con_ctx)
{
    (void)version;
    struct request *req = *con_ctx;
    if (!req) {
        *con_ctx = req = request_begin(ctx, connection, url, method);
        return req->answer_now ? send_reply(req) : MHD_YES;
    }
    const enum phase phase = request_phase(req);
    if (phase == PHASE_WORKING)
        return MHD_YES; /* more of a chunked body: it stays where it is */
    if (*len == 0) {
        if (phase == PHASE_ANSWERED)
            return send_reply(req);
        request_work(req, true);
        return MHD_YES;
    }
    if (phase == PHASE_ANSWERED) {
        req->drained += *len;
        *len = 0;
    } else {
        body_take(req, data, len);
    }
    return too_slow(req) || req->drained > drain_max(req) ? MHD_NO : MHD_YES;
}

/* What an operator should see; everything else is in /metrics. */
static void log_failure(const struct request *req)
{
    char quoted[TEXT_QUOTE_SIZE];
    if (req->reply.status >= 500 && req->reply.status != 503)
        log_error("request failed status=%u path=%s", req->reply.status,
                  text_quote(req->path, strlen(req->path), quoted));
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **con_ctx,
                         enum MHD_RequestTerminationCode code)
{
    (void)connection;
    (void)code;
    struct api *const api = ctx;
    struct request *const req = *con_ctx;
    if (!req)
        return;
    *con_ctx = NULL;
    const double seconds = (double)(time_monotonic_ms() - req->started_ms) / 1e3;
    metrics_request(api->metrics, req->route, req->reply.status, seconds);
    log_failure(req);
    request_release(req);
}

static void on_log(void *ctx, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void on_log(void *ctx, const char *format, va_list args)
{
    (void)ctx;
    char line[400];
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = '\0';
    log_debug("http message=\"%s\"", line);
}

/* ---- start and stop -------------------------------------------------------------- */

static struct MHD_Daemon *daemon_start(struct api *api, int fd)
{
    const struct api_config *const config = &api->config;
    const struct MHD_OptionItem pool[] = {
        {MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)config->http_threads, NULL},
        {MHD_OPTION_END, 0, NULL}};
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
        NULL, NULL, on_request, api, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, api, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)config->connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)config->timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_ARRAY,
        config->http_threads > 1 ? pool : pool + 1, MHD_OPTION_END);
}

static void api_free(struct api *api)
{
    workers_stop(api->workers);
    events_free(api->events);
    workers_stop(api->intake);
    metrics_free(api->metrics);
    crossings_cache_free(api->crossings);
    standings_free(api->standings);
    influx_databases_free(api->databases);
    pthread_cond_destroy(&api->watch_wake);
    pthread_cond_destroy(&api->ended);
    pthread_mutex_destroy(&api->lock);
    free(api);
}

struct api *api_start(const struct api_config *config, struct err *err)
{
    const int fd =
        config->listen_fd >= 0 ? config->listen_fd : listen_open(config->address, err);
    if (fd < 0)
        return NULL;
    struct api *const api = mem_new(1, sizeof *api);
    api->config = *config;
    if (!api->config.work_timeout_s)
        api->config.work_timeout_s = WORK_TIMEOUT_S;
    api->started_ms = clock_now_ms(&config->clock);
    api->port = listen_port(fd);
    api->metrics = metrics_new();
    api->crossings = crossings_cache_new();
    api->standings = standings_new();
    api->databases = influx_databases_new();
    pthread_mutex_init(&api->lock, NULL);
    pthread_cond_init(&api->ended, NULL);
    pthread_cond_init(&api->watch_wake, NULL);
    api->events = events_start(config->store, err);
    api->workers = workers_start(config->workers, config->workers * QUEUE_PER_WORKER, 0);
    api->intake = workers_start(1, INTAKE_QUEUE, INTAKE_NICE);
    if (!api->events)
        goto failed;
    if (!api->workers || !api->intake ||
        pthread_create(&api->watch, NULL, request_watch, api)) {
        err_set(err, ERR_IO, "cannot start %zu worker threads", config->workers);
        goto failed;
    }
    api->daemon = daemon_start(api, fd);
    if (api->daemon)
        return api;
    err_set(err, ERR_IO, "cannot serve on %s", config->address);
    pthread_mutex_lock(&api->lock);
    api->watch_stop = true;
    pthread_cond_signal(&api->watch_wake);
    pthread_mutex_unlock(&api->lock);
    pthread_join(api->watch, NULL);
failed:
    close(fd);
    events_stop(api->events);
    api_free(api);
    return NULL;
}

/* Waits for all work (without a limit: the store may still call back), then a while
 * for the answers to leave. */
static void wait_for_requests(struct api *api)
{
    struct timespec until;
    pthread_mutex_lock(&api->lock);
    api->stopping = true;
    while (api->working)
        pthread_cond_wait(&api->ended, &api->lock);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STOP_GRACE_S;
    while (api->requests)
        if (pthread_cond_clockwait(&api->ended, &api->lock, CLOCK_MONOTONIC, &until))
            break;
    api->watch_stop = true;
    pthread_cond_signal(&api->watch_wake);
    pthread_mutex_unlock(&api->lock);
}

void api_stop(struct api *api)
{
    if (!api)
        return;
    /* Not MHD_quiesce_daemon(): in 0.9.75 it and a worker may both take the listening
     * socket out of epoll, and the second aborts the process.  Whoever connects from
     * here on gets 503. */
    events_stop(api->events);
    wait_for_requests(api);
    pthread_join(api->watch, NULL);
    MHD_stop_daemon(api->daemon);
    api_free(api);
}

int api_port(const struct api *api)
{
    return api->port;
}
