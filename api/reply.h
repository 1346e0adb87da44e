/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reply.h -- one answer on its way out.
 *
 * A reply is a value: whoever makes it owns its memory until it is handed to the
 * connection (request_finish()) or released (reply_fini()).
 */
#ifndef REPLY_H
#define REPLY_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"

enum { REPLY_HEADERS_MAX = 4 };

struct stream;

struct reply {
    unsigned status;  /* 0: none yet */
    const char *type; /* Content-Type, static text */
    char *body;       /* owned, may be NULL */
    size_t len;
    struct stream *stream; /* held; in place of body: one that goes on (stream.h) */
    char *location;        /* owned, NULL: no such header */
    const char *allow;     /* static text, or NULL */
    int retry_after_s;     /* 0: no such header */
    size_t header_count;
    struct reply_header {
        const char *name; /* static text */
        char *value;      /* owned */
    } header[REPLY_HEADERS_MAX];
};

void reply_fini(struct reply *reply);

/* One more header, value copied; control characters in it become spaces. */
void reply_header(struct reply *reply, const char *name, const char *value);

/* Takes body over. */
void reply_text(struct reply *reply, unsigned status, const char *type, char *body,
                size_t len);

/* Digits after which a number reads back as the same float or double; SHORT for numbers
 * that people wrote, such as 0.1, and in place of DOUBLE where it does for all. */
enum reply_digits { DIGITS_FLOAT = 9, DIGITS_SHORT = 15, DIGITS_DOUBLE = 17 };

/* Takes the reference to value over and writes it as application/json. */
void reply_json(struct reply *reply, unsigned status, json_t *value,
                enum reply_digits digits);

/* What JSON can say of a number: null when it is not finite. */
json_t *json_number(double value);
/* An instant as RFC 3339; null for 0, which here means "not yet". */
json_t *json_time(int64_t time_ms);
/* Text that may hold anything, as valid UTF-8: broken bytes become U+FFFD. */
json_t *json_text(const char *text);
/* Bytes as lower-case hexadecimal digits. */
json_t *json_hex(const unsigned char *bytes, size_t len);

/* An answer that is not JSON, as it grows.  Starts zeroed. */
struct page {
    char *bytes;
    size_t len, room;
};

void page_add(struct page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void page_add_bytes(struct page *page, const char *bytes, size_t len);
/* A number in the fewest digits that read back the same; nothing when not finite. */
void page_add_number(struct page *page, double value);
/* A CSV field, in quotes where RFC 4180 wants them. */
void page_add_field(struct page *page, const char *field);

#endif
