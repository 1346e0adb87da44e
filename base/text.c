/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/text.h"

#include <string.h>

size_t text_utf8_char(const char *text, size_t len)
{
    /* The first byte decides the length and the range of the second (Unicode,
     * table 3-7); every later byte is 80..BF. */
    static const struct {
        unsigned char first, last, low, high, bytes;
    } forms[] = {
        {0x01, 0x7F, 0x00, 0x00, 1}, {0xC2, 0xDF, 0x80, 0xBF, 2},
        {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
        {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4},
        {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    const unsigned char *byte = (const unsigned char *)text;
    for (size_t f = 0; len > 0 && f < sizeof forms / sizeof *forms; f++) {
        if (byte[0] < forms[f].first || byte[0] > forms[f].last)
            continue;
        if (len < forms[f].bytes)
            return 0;
        if (forms[f].bytes > 1 && (byte[1] < forms[f].low || byte[1] > forms[f].high))
            return 0;
        for (size_t i = 2; i < forms[f].bytes; i++)
            if ((byte[i] & 0xC0) != 0x80)
                return 0;
        return forms[f].bytes;
    }
    return 0;
}

bool text_is_utf8(const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        const size_t bytes = text_utf8_char(text + at, len - at);
        if (bytes == 0)
            return false;
        at += bytes;
    }
    return true;
}

const char *text_quote(const char *text, size_t len, char out[static TEXT_QUOTE_SIZE])
{
    enum { ROOM = TEXT_QUOTE_SIZE - sizeof "...\"" };
    size_t used = 0;
    out[used++] = '"';
    for (size_t at = 0; at < len;) {
        const size_t bytes = text_utf8_char(text + at, len - at);
        const bool plain =
            bytes > 1 || (bytes == 1 && text[at] >= ' ' && text[at] != 127);
        if (used + (plain ? bytes : 1) > ROOM) {
            memcpy(out + used, "...", 3);
            used += 3;
            break;
        }
        if (plain)
            memcpy(out + used, text + at, bytes);
        else
            out[used] = '?';
        used += plain ? bytes : 1;
        at += bytes ? bytes : 1;
    }
    out[used++] = '"';
    out[used] = '\0';
    return out;
}

uint64_t text_hash(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}
