/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/dropout.h"

#include <assert.h>
#include <stdint.h>

#include "model/threads.h"

enum { ELEMENTS = 4096 }; /* of one block, a multiple of the 4 words of a counter */

struct mask {
    real *x;
    size_t n;
    struct rng_stream stream;
    uint64_t dropped; /* words below this one */
    real scale;
};

static void drop(void *ctx, size_t block)
{
    const struct mask *const m = ctx;
    const size_t end = threads_block_end(block, m->n, ELEMENTS);
    for (size_t i = block * ELEMENTS; i < end; i += 4) {
        const struct rng_block words = rng_at(m->stream, i / 4);
        for (size_t k = 0; k < 4 && i + k < end; k++)
            m->x[i + k] *= words.word[k] < m->dropped ? 0 : m->scale;
    }
}

void dropout(struct threads *pool, real *x, size_t n, const struct dropout *dropout)
{
    assert(dropout->p >= 0 && dropout->p < 1);
    if (dropout->p <= 0)
        return;
    struct mask m = {.x = x,
                     .n = n,
                     .stream = dropout->stream,
                     .dropped = (uint64_t)(dropout->p * 0x1p32),
                     .scale = (real)(1 / (1 - dropout->p))};
    threads_run(pool, threads_blocks(n, ELEMENTS), drop, &m);
}
