/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/reply.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/stream.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"

void reply_fini(struct reply *reply)
{
    if (reply->stream)
        stream_drop(reply->stream);
    free(reply->body);
    free(reply->location);
    for (size_t i = 0; i < reply->header_count; i++)
        free(reply->header[i].value);
    *reply = (struct reply){0};
}

void reply_header(struct reply *reply, const char *name, const char *value)
{
    assert(reply->header_count < REPLY_HEADERS_MAX);
    char *const copy = mem_text(value);
    for (char *at = copy; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = ' ';
    reply->header[reply->header_count++] = (struct reply_header){name, copy};
}

void reply_text(struct reply *reply, unsigned status, const char *type, char *body,
                size_t len)
{
    free(reply->body);
    reply->status = status;
    reply->type = type;
    reply->body = body;
    reply->len = len;
}

/* Compact text with a newline at the end, for terminals. */
static int append(const char *bytes, size_t len, void *ctx)
{
    page_add_bytes(ctx, bytes, len);
    return 0;
}

/* Whether fewer digits do for all of its numbers, as for those that people wrote. */
static bool is_short(json_t *value)
{
    char text[32];
    const char *key;
    json_t *one;
    size_t i;
    if (json_is_real(value)) {
        snprintf(text, sizeof text, "%.*g", DIGITS_SHORT, json_real_value(value));
        return strtod(text, NULL) == json_real_value(value);
    }
    json_array_foreach(value, i, one) if (!is_short(one)) return false;
    json_object_foreach(value, key, one) if (!is_short(one)) return false;
    return true;
}

void reply_json(struct reply *reply, unsigned status, json_t *value,
                enum reply_digits digits)
{
    struct page page = {0};
    if (digits == DIGITS_DOUBLE && is_short(value))
        digits = DIGITS_SHORT;
    json_dump_callback(value, append, &page,
                       JSON_COMPACT | JSON_REAL_PRECISION((size_t)digits));
    json_decref(value);
    page_add(&page, "\n");
    reply_text(reply, status, "application/json", page.bytes, page.len);
}

json_t *json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_time(int64_t time_ms)
{
    char text[TIME_TEXT_SIZE];
    return time_ms ? json_string(time_format(time_ms, text)) : json_null();
}

json_t *json_text(const char *text)
{
    json_t *whole = json_string(text);
    if (whole)
        return whole;
    struct page out = {0};
    const char *const end = text + strlen(text);
    for (const char *at = text; at < end;) {
        const size_t len = text_utf8_char(at, (size_t)(end - at));
        if (len)
            page_add_bytes(&out, at, len);
        else
            page_add(&out, "\xef\xbf\xbd");
        at += len ? len : 1;
    }
    json_t *const mended = json_string(out.bytes);
    free(out.bytes);
    return mended;
}

json_t *json_hex(const unsigned char *bytes, size_t len)
{
    struct page page = {0};
    for (size_t i = 0; i < len; i++)
        page_add(&page, "%02x", bytes[i]);
    json_t *const hex = json_string(page.bytes ? page.bytes : "");
    free(page.bytes);
    return hex;
}

static void page_reserve(struct page *page, size_t more)
{
    if (page->len + more + 1 <= page->room)
        return;
    page->room = 2 * (page->len + more + 1);
    page->bytes = mem_resize(page->bytes, page->room, 1);
}

void page_add_bytes(struct page *page, const char *bytes, size_t len)
{
    page_reserve(page, len);
    memcpy(page->bytes + page->len, bytes, len);
    page->len += len;
    page->bytes[page->len] = '\0';
}

void page_add(struct page *page, const char *format, ...)
{
    va_list args, again;
    page_reserve(page, 128);
    va_start(args, format);
    va_copy(again, args);
    const size_t room = page->room - page->len;
    const int len = vsnprintf(page->bytes + page->len, room, format, args);
    if (len > 0 && (size_t)len >= room) {
        page_reserve(page, (size_t)len);
        vsnprintf(page->bytes + page->len, (size_t)len + 1, format, again);
    }
    page->len += len > 0 ? (size_t)len : 0;
    va_end(again);
    va_end(args);
}

void page_add_number(struct page *page, double value)
{
    char text[32] = "";
    for (int digits = 1; isfinite(value) && digits <= DIGITS_DOUBLE; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    page_add(page, "%s", text);
}

void page_add_field(struct page *page, const char *field)
{
    if (!strpbrk(field, ",\"\r\n")) {
        page_add(page, "%s", field);
        return;
    }
    page_add(page, "\"");
    for (const char *at = field; *at; at++) {
        if (*at == '"')
            page_add_bytes(page, at, 1);
        page_add_bytes(page, at, 1);
    }
    page_add(page, "\"");
}
