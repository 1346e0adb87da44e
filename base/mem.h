/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mem.h -- small allocations that cannot fail.
 *
 * For sizes the program itself decides: these abort when memory is out, the one
 * exception to never exiting.  A size that a request or a file decides is bounded
 * first and goes through mem_try(), which can say no.
 */
#ifndef MEM_H
#define MEM_H

#include <stddef.h>

/* Zeroed memory for count objects of size bytes.  Aborts when out of memory. */
void *mem_new(size_t count, size_t size)
    __attribute__((malloc, warn_unused_result, alloc_size(1, 2)));

/* As mem_new(), but NULL when out of memory or when count * size overflows. */
void *mem_try(size_t count, size_t size)
    __attribute__((malloc, warn_unused_result, alloc_size(1, 2)));

/* Grows or shrinks a block from mem_new(); new bytes are not zeroed.  Aborts. */
void *mem_resize(void *block, size_t count, size_t size)
    __attribute__((warn_unused_result, alloc_size(2, 3)));

/* A copy of text, of at most len bytes where given. */
char *mem_text(const char *text) __attribute__((malloc, warn_unused_result));
char *mem_text_n(const char *text, size_t len)
    __attribute__((malloc, warn_unused_result));

/* A printf into a fresh string. */
char *mem_printf(const char *format, ...)
    __attribute__((malloc, warn_unused_result, format(printf, 1, 2)));

#endif
