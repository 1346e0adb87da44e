/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *or_abort(void *block)
{
    if (!block) {
        fputs("frwkvd: out of memory\n", stderr);
        abort();
    }
    return block;
}

void *mem_new(size_t count, size_t size)
{
    return or_abort(mem_try(count, size));
}

void *mem_try(size_t count, size_t size)
{
    size_t bytes; /* checked here: the sanitizers' calloc() aborts on overflow */
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return calloc(count ? count : 1, size);
}

void *mem_resize(void *block, size_t count, size_t size)
{
    return or_abort(reallocarray(block, count ? count : 1, size));
}

char *mem_text(const char *text)
{
    return or_abort(strdup(text));
}

char *mem_text_n(const char *text, size_t len)
{
    return or_abort(strndup(text, len));
}

char *mem_printf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    const int len = vasprintf(&text, format, args);
    va_end(args);
    return or_abort(len < 0 ? NULL : text);
}
