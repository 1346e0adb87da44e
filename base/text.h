/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * text.h -- text from outside: is it UTF-8, and how does a message quote it.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bytes of the UTF-8 character at text (1..4), or 0 where there is none: overlong
 * forms, surrogates, past U+10FFFF, cut off, and the zero byte, which no C string can
 * hold.
 */
size_t text_utf8_char(const char *text, size_t len);

/* Whether all of it is such characters. */
bool text_is_utf8(const char *text, size_t len);

/* FNV-1a, going on from a hash before; begin with TEXT_HASH. */
#define TEXT_HASH UINT64_C(0xcbf29ce484222325)
uint64_t text_hash(uint64_t hash, const char *text);

enum { TEXT_QUOTE_SIZE = 64 };

/*
 * For messages: in double quotes, cut to what fits with "..." at the end, and "?" for
 * control characters and bytes that are not UTF-8, so the result can go into a log
 * line or JSON.
 */
const char *text_quote(const char *text, size_t len, char out[static TEXT_QUOTE_SIZE]);

#endif
