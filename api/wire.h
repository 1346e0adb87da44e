/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire.h -- Protocol Buffers on the wire (protobuf.dev/programming-guides/encoding),
 * read in place and written to a page.
 *
 *     message Label { string name = 1; string value = 2; }
 *
 *     struct wire label = ...;
 *     struct wire_field field;
 *     int more;
 *     while ((more = wire_next(&label, &field)) > 0)
 *         if (wire_is(&field, 1, WIRE_BYTES))
 *             name = field.bytes;
 *     if (more < 0)
 *         ... not protobuf
 *
 * Nothing is allocated: what is read points into the message.  Fields that nobody asks
 * for are passed over, as the format wants it.  Groups, long out of use, are refused.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "api/reply.h"

/* ---- reading --------------------------------------------------------------------- */

/* Bytes of a message, or of a string in it. */
struct wire {
    const unsigned char *at, *end;
};

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;    /* of a varint; the bits of a fixed one */
    struct wire bytes; /* of a string or message */
};

static inline struct wire wire_of(const void *bytes, size_t len)
{
    return (struct wire){bytes, (const unsigned char *)bytes + len};
}

static inline size_t wire_len(struct wire wire)
{
    return (size_t)(wire.end - wire.at);
}

/* The parts of wire_next(), which runs a million times a second. */
bool wire_varint_long(struct wire *wire, uint64_t *value);
int wire_value(struct wire *wire, uint64_t key, struct wire_field *field);

static inline bool wire_varint(struct wire *wire, uint64_t *value)
{
    if (wire->at == wire->end || *wire->at >= 0x80)
        return wire_varint_long(wire, value);
    *value = *wire->at++;
    return true;
}

static inline bool wire_bytes(struct wire *wire, struct wire *out)
{
    uint64_t len;
    if (!wire_varint(wire, &len) || len > wire_len(*wire))
        return false;
    *out = (struct wire){wire->at, wire->at + len};
    wire->at += len;
    return true;
}

/* 1: there is a field, and wire stands behind it; 0: the end; -1: not protobuf. */
static inline int wire_next(struct wire *wire, struct wire_field *field)
{
    uint64_t key;
    if (wire->at == wire->end)
        return 0;
    if (!wire_varint(wire, &key))
        return -1;
    /* Most fields by far are strings and messages with a number below 16. */
    if (key > 0x7f || (key & 7) != WIRE_BYTES || key < 8)
        return wire_value(wire, key, field);
    field->number = (uint32_t)(key >> 3);
    field->type = WIRE_BYTES;
    return wire_bytes(wire, &field->bytes) ? 1 : -1;
}

static inline bool wire_is(const struct wire_field *field, uint32_t number,
                           enum wire_type type)
{
    return field->number == number && field->type == type;
}

/* Of a WIRE_64 field. */
static inline double wire_double(const struct wire_field *field)
{
    double value;
    memcpy(&value, &field->value, sizeof value);
    return value;
}

/* ---- writing --------------------------------------------------------------------- */

void wire_put_varint(struct page *page, uint32_t number, uint64_t value);
void wire_put_double(struct page *page, uint32_t number, double value);
void wire_put_bytes(struct page *page, uint32_t number, const void *bytes, size_t len);

/* A message inside: what is put between the two belongs to it. */
size_t wire_begin(struct page *page, uint32_t number);
void wire_end(struct page *page, size_t begun);

#endif
