/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * allocations.h -- counts every allocation of the test program that includes it.
 */
#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { COUNTS = 0 }; /* a sanitizer has its own malloc */

static inline size_t allocations(void)
{
    return 0;
}
#else
enum { COUNTS = 1 };

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t align, size_t size);

static atomic_size_t allocated;
static atomic_bool counting;

static inline size_t allocations(void)
{
    atomic_store(&counting, true);
    return atomic_load(&allocated);
}

static void tally(void)
{
    if (atomic_load(&counting))
        atomic_fetch_add(&allocated, 1);
}

void *malloc(size_t size)
{
    tally();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    tally();
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    tally();
    return __libc_realloc(block, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    tally();
    return __libc_memalign(align, size);
}
#endif

#endif
