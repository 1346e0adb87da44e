/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, enum err_code code, const char *format, ...)
{
    if (!err || err->code != ERR_NONE)
        return -1;
    err->code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(err->msg, sizeof err->msg, format, args);
    va_end(args);
    return -1;
}

int err_errno(struct err *err, const char *format, ...)
{
    const int cause = errno;
    if (!err || err->code != ERR_NONE)
        return -1;
    err->code = ERR_IO;
    va_list args;
    va_start(args, format);
    const int used = vsnprintf(err->msg, sizeof err->msg, format, args);
    va_end(args);
    char text[128];
    if (used >= 0 && (size_t)used < sizeof err->msg)
        snprintf(err->msg + used, sizeof err->msg - (size_t)used, ": %s",
                 strerror_r(cause, text, sizeof text));
    return -1;
}

int err_copy(struct err *err, const struct err *from)
{
    return from->code == ERR_NONE ? 0 : err_set(err, from->code, "%s", from->msg);
}

void err_prefix(struct err *err, const char *format, ...)
{
    if (!err || err->code == ERR_NONE)
        return;
    char whole[sizeof err->msg];
    va_list args;
    va_start(args, format);
    const int used = vsnprintf(whole, sizeof whole, format, args);
    va_end(args);
    if (used < 0 || (size_t)used >= sizeof whole)
        return;
    const size_t room = sizeof whole - (size_t)used;
    /* A long message loses its end, never its context. */
    snprintf(whole + used, room, ": %.*s", (int)room, err->msg);
    memcpy(err->msg, whole, sizeof whole);
}

const char *err_word(enum err_code code)
{
    static const char *const words[] = {
        [ERR_NONE] = "none",           [ERR_INVALID] = "invalid",
        [ERR_NOT_FOUND] = "not-found", [ERR_CONFLICT] = "conflict",
        [ERR_TOO_LARGE] = "too-large", [ERR_BUSY] = "busy",
        [ERR_CANCELLED] = "cancelled", [ERR_NO_MEMORY] = "no-memory",
        [ERR_CORRUPT] = "corrupt",     [ERR_IO] = "io",
        [ERR_DENIED] = "denied",       [ERR_UNSUPPORTED] = "unsupported",
    };
    return words[code];
}
