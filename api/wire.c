/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/wire.h"

enum { VARINT_BYTES_MAX = 10 };

/* ---- reading --------------------------------------------------------------------- */

bool wire_varint_long(struct wire *wire, uint64_t *value)
{
    const unsigned char *at = wire->at;
    *value = 0;
    for (unsigned shift = 0; shift < 7 * VARINT_BYTES_MAX && at < wire->end; shift += 7) {
        const unsigned char byte = *at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            wire->at = at;
            return true;
        }
    }
    return false;
}

/* Little-endian, whatever the machine is. */
static bool fixed(struct wire *wire, size_t len, uint64_t *value)
{
    if (wire_len(*wire) < len)
        return false;
    *value = 0;
    for (size_t i = 0; i < len; i++)
        *value |= (uint64_t)wire->at[i] << 8 * i;
    wire->at += len;
    return true;
}

int wire_value(struct wire *wire, uint64_t key, struct wire_field *field)
{
    if (key >> 3 == 0 || key >> 3 > UINT32_MAX)
        return -1;
    field->number = (uint32_t)(key >> 3);
    field->type = (enum wire_type)(key & 7);
    switch (field->type) {
    case WIRE_VARINT:
        return wire_varint(wire, &field->value) ? 1 : -1;
    case WIRE_64:
        return fixed(wire, 8, &field->value) ? 1 : -1;
    case WIRE_BYTES:
        return wire_bytes(wire, &field->bytes) ? 1 : -1;
    case WIRE_32:
        return fixed(wire, 4, &field->value) ? 1 : -1;
    }
    return -1;
}

/* ---- writing --------------------------------------------------------------------- */

static size_t varint_write(uint64_t value, char out[static VARINT_BYTES_MAX])
{
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        out[len++] = (char)(value | 0x80);
    out[len++] = (char)value;
    return len;
}

static void put(struct page *page, uint64_t value)
{
    char out[VARINT_BYTES_MAX];
    page_add_bytes(page, out, varint_write(value, out));
}

static void put_key(struct page *page, uint32_t number, enum wire_type type)
{
    put(page, (uint64_t)number << 3 | type);
}

void wire_put_varint(struct page *page, uint32_t number, uint64_t value)
{
    put_key(page, number, WIRE_VARINT);
    put(page, value);
}

void wire_put_double(struct page *page, uint32_t number, double value)
{
    uint64_t bits;
    char out[sizeof bits];
    memcpy(&bits, &value, sizeof bits);
    for (size_t i = 0; i < sizeof bits; i++)
        out[i] = (char)(bits >> 8 * i);
    put_key(page, number, WIRE_64);
    page_add_bytes(page, out, sizeof out);
}

void wire_put_bytes(struct page *page, uint32_t number, const void *from, size_t len)
{
    put_key(page, number, WIRE_BYTES);
    put(page, len);
    page_add_bytes(page, from, len);
}

size_t wire_begin(struct page *page, uint32_t number)
{
    put_key(page, number, WIRE_BYTES);
    return page->len;
}

/* The length goes before what is there already: that moves up. */
void wire_end(struct page *page, size_t begun)
{
    char out[VARINT_BYTES_MAX];
    const size_t len = page->len - begun;
    const size_t room = varint_write(len, out);
    page_add_bytes(page, out, room);
    memmove(page->bytes + begun + room, page->bytes + begun, len);
    memcpy(page->bytes + begun, out, room);
}
