/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/dropout.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "model/elementary.h"
#include "model/threads.h"

/* Sixteen random bits decide about an element, so a counter serves eight, and p is taken
 * to the nearest 1/65536; the scale goes with what was taken. */
enum { HALVES = 8, LEVELS = 1 << 16, ELEMENTS = 256 * HALVES };

struct mask {
    real *x;
    size_t n;
    struct rng_stream stream;
    uint32_t dropped; /* values below this one */
    real scale;
};

HOT static void scale_kept(real *restrict x, const uint16_t *restrict half, size_t n,
                           uint32_t dropped, real scale)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] *= half[i] < dropped ? 0 : scale;
}

/* x (n) are the elements from first + skip on; first begins a group of counters, and
 * skip + n <= ELEMENTS. */
static void drop(const struct mask *m, real *x, size_t first, size_t skip, size_t n)
{
    uint32_t words[ELEMENTS / 2];
    uint16_t half[ELEMENTS];
    rng_groups(m->stream, first / HALVES, threads_blocks(skip + n, HALVES * RNG_GROUP),
               words);
    memcpy(half, words, sizeof half);
    scale_kept(x, half + skip, n, m->dropped, m->scale);
}

static void drop_block(void *ctx, size_t block)
{
    const struct mask *const m = ctx;
    const size_t first = block * ELEMENTS;
    drop(m, m->x + first, first, 0, threads_block_end(block, m->n, ELEMENTS) - first);
}

static struct mask mask_of(real *x, size_t n, const struct dropout *dropout)
{
    assert(dropout->p >= 0 && dropout->p < 1);
    const double dropped = rint(dropout->p * LEVELS);
    return (struct mask){.x = x,
                         .n = n,
                         .stream = dropout->stream,
                         .dropped = (uint32_t)dropped,
                         .scale = (real)(1 / (1 - fmin(dropped, LEVELS - 1) / LEVELS))};
}

void dropout(struct threads *pool, real *x, size_t n, const struct dropout *dropout)
{
    struct mask m = mask_of(x, n, dropout);
    if (dropout->p > 0)
        threads_run(pool, threads_blocks(n, ELEMENTS), drop_block, &m);
}

void dropout_part(real *x, size_t first, size_t n, const struct dropout *dropout)
{
    const struct mask m = mask_of(x, n, dropout);
    size_t skip = first % (HALVES * RNG_GROUP);
    for (size_t done = 0; dropout->p > 0 && done < n;) {
        const size_t rest = n - done, most = ELEMENTS - skip;
        const size_t now = rest < most ? rest : most;
        drop(&m, x + done, first + done - skip, skip, now);
        done += now;
        skip = 0;
    }
}
