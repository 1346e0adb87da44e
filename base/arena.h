/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arena.h -- one block of memory for everything with one lifetime.
 *
 * Sized beforehand, allocated once, reused every step: nothing is allocated inside a
 * training step or a forecast.  The same code measures and carves: run the carving
 * function once on an arena without memory (arena_measure), open it at the size that
 * came out, and run the function again.
 *
 *     struct arena a = arena_measure();
 *     carve(&a, tensors);
 *     if (arena_open(&a, err)) ...
 *     carve(&a, tensors);
 *
 * Blocks are 64-byte aligned and zeroed at opening.  In debug builds (without NDEBUG)
 * a poisoned gap stands between blocks and arena_check() tells whether somebody wrote
 * past an end.  Owned by one thread at a time.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/real.h"

struct arena {
    unsigned char *base; /* NULL while measuring */
    size_t used, size;   /* bytes */
};

struct arena arena_measure(void);

/* Allocates what was measured and starts again from the beginning. */
int arena_open(struct arena *arena, struct err *err);
void arena_close(struct arena *arena);

/* The next block of `bytes` bytes, or of `count` reals.  NULL while measuring. */
void *arena_bytes(struct arena *arena, size_t bytes);
real *arena_reals(struct arena *arena, size_t count);

/* Whether every gap still holds its poison.  Always true with NDEBUG. */
bool arena_check(const struct arena *arena);

#endif
