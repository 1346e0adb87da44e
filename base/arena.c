/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/arena.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, POISON = 0xA5 };

/* A block is [size word, padded to ALIGN][bytes, padded][gap]; release builds keep
 * only the bytes.  The size word lets arena_check() walk from gap to gap. */
#ifdef NDEBUG
enum { HEAD = 0, GAP = 0 };
#else
enum { HEAD = ALIGN, GAP = ALIGN };
#endif

static size_t padded(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

struct arena arena_measure(void)
{
    return (struct arena){0};
}

int arena_open(struct arena *arena, struct err *err)
{
    assert(!arena->base);
    const size_t size = arena->used ? arena->used : ALIGN;
    unsigned char *base = aligned_alloc(ALIGN, size);
    if (!base)
        return err_set(err, ERR_NO_MEMORY, "arena: cannot allocate %zu bytes", size);
    memset(base, 0, size);
    *arena = (struct arena){.base = base, .size = size};
    return 0;
}

void arena_close(struct arena *arena)
{
    assert(arena_check(arena));
    free(arena->base);
    *arena = (struct arena){0};
}

void *arena_bytes(struct arena *arena, size_t bytes)
{
    const size_t at = arena->used;
    arena->used += HEAD + padded(bytes) + GAP;
    if (!arena->base)
        return NULL;
    assert(arena->used <= arena->size);
    unsigned char *block = arena->base + at;
#ifndef NDEBUG
    memcpy(block, &bytes, sizeof bytes);
    memset(block + HEAD + bytes, POISON, padded(bytes) - bytes + GAP);
#endif
    return block + HEAD;
}

real *arena_reals(struct arena *arena, size_t count)
{
    return arena_bytes(arena, count * sizeof(real));
}

bool arena_check(const struct arena *arena)
{
#ifndef NDEBUG
    for (size_t at = 0; arena->base && at < arena->used;) {
        size_t bytes;
        memcpy(&bytes, arena->base + at, sizeof bytes);
        const size_t end = at + HEAD + padded(bytes) + GAP;
        if (end > arena->used)
            return false;
        for (size_t i = at + HEAD + bytes; i < end; i++)
            if (arena->base[i] != POISON)
                return false;
        at = end;
    }
#else
    (void)arena;
#endif
    return true;
}
