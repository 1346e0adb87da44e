/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * request.h -- one request, from its first byte to its answer.
 *
 * Handlers see this and nothing of libmicrohttpd.  They run on a worker and may block.
 * A request's memory ends when its connection has sent the answer and no work holds
 * the request any more.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/reply.h"
#include "base/err.h"

struct api;
struct request;
struct MHD_Connection;

/* What a handler says besides -1, which answers with err as a problem document. */
enum {
    HANDLED = 0, /* reply holds the answer */
    LATER = 1,   /* request_finish() or request_again() will be called, or was */
};

/*
 * Answers.  reply and err are empty when it is called.  After LATER it must not touch
 * the request again: another thread may have ended it.
 */
typedef int request_handler(struct request *request, struct reply *reply,
                            struct err *err);

/* Takes the next bytes of a body that is never held as a whole.  After -1 the rest of
 * the body is drained, and err is the answer. */
typedef int request_push(struct request *request, const char *bytes, size_t len,
                         struct err *err);

/* Says a failure as the clients of a dialect expect it: status and body.  The
 * headers that go with a status are added. */
typedef void request_refusal(struct reply *reply, const struct err *err);

/* Which limit holds for a body. */
enum body_kind { BODY_NONE, BODY_COLLECTED, BODY_IMPORT };

/* How a body is packed. */
enum encoding { ENCODING_NONE, ENCODING_GZIP, ENCODING_SNAPPY };

struct route {
    const char *method, *pattern; /* "/v1/jobs/{id}": at most two {} */
    request_handler *handle;
    request_push *push; /* NULL: the body is collected, and unpacked, in request->body */
    enum body_kind body;
    const char *help;
    bool open;               /* needs no credentials */
    bool samples;            /* brings samples: work for the intake, not the workers */
    bool snappy;             /* the body is a snappy block; else it may be gzip */
    const char *type;        /* what Content-Type must be where it is given; NULL: any */
    request_refusal *refuse; /* NULL: problem documents */
};

struct parameter {
    char *name, *value;
};

enum { REQUEST_PARAMETERS_MAX = 32 };

/* Where a request stands.  Guarded by the server's lock. */
enum phase {
    PHASE_READING,  /* its body arrives; only the connection's thread touches it */
    PHASE_WORKING,  /* suspended; only its worker (or who finishes it) touches it */
    PHASE_ANSWERED, /* the reply is there, to be sent after the last byte of the body */
};

struct request {
    struct api *api;
    const struct route *route; /* NULL: refused before one was found */
    char *path;
    char *name, *name2; /* what stood in place of {...} in the path, or NULL */
    struct parameter parameter[REQUEST_PARAMETERS_MAX];
    size_t parameter_count;
    enum encoding encoding;
    bool takes_openmetrics, takes_gzip; /* what it says it accepts */
    char *body; /* ends in a zero past body_len; NULL when empty */
    size_t body_len;
    /* The handler's own, released with the request. */
    void *state;
    void (*state_free)(void *state);

    /* ---- http.c's --------------------------------------------------------------------
     */
    struct MHD_Connection *connection;
    struct request *next, **link; /* all requests */
    enum phase phase;
    int holds; /* the connection, and the work in progress */
    bool body_ended, answer_now, overlong, unpacked;
    size_t body_room, body_limit, received, drained;
    int64_t started_ms, deadline_ms; /* monotonic */
    struct reply reply;
};

/* Ends what LATER began; takes reply over.  Any thread, once. */
void request_finish(struct request *request, struct reply *reply);

/* The same with err, said in the way of the route. */
void request_fail(struct request *request, const struct err *err);

/* Calls the handler again on a worker, after what waits there. */
void request_again(struct request *request);

#endif
