/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream.h -- an answer that goes on for as long as there is something to say.
 *
 * Two hold a stream: the reply that it is the body of, whose connection takes what is
 * there and is suspended while nothing is, and whoever writes, on any thread.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stddef.h>

struct stream;
struct MHD_Connection;
struct MHD_Response;

/* Held twice. */
struct stream *stream_new(void) __attribute__((warn_unused_result));

/* ---- for who writes ------------------------------------------------------------------ */

/* False: the connection is gone, and nobody will read any more. */
bool stream_write(struct stream *stream, const char *bytes, size_t len);
/* Whether all that was written has been taken: a reader that is slower than who writes
 * is better served by what is new. */
bool stream_drained(struct stream *stream);
/* No more will come; lets go. */
void stream_end(struct stream *stream);

/* ---- for the connection -------------------------------------------------------------- */

/* The reply's hold becomes the response's.  NULL when there is no memory; then the reply
 * still holds it. */
struct MHD_Response *stream_response(struct stream *stream,
                                     struct MHD_Connection *connection);
/* Of a reply that was never sent. */
void stream_drop(struct stream *stream);

#endif
