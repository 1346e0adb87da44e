/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/rng.h"

#include <math.h>
#include <string.h>

#include "base/hot.h"

/* Counters side by side, so that a compiler takes many at once. */
HOT_PART void philox(struct rng_stream stream, uint64_t first, size_t lanes,
                     uint32_t *words)
{
    uint32_t *const c0 = words, *const c1 = words + lanes;
    uint32_t *const c2 = words + 2 * lanes, *const c3 = words + 3 * lanes;
    uint32_t k0 = (uint32_t)stream.seed, k1 = (uint32_t)(stream.seed >> 32);
    for (size_t i = 0; i < lanes; i++) {
        c0[i] = (uint32_t)(first + i);
        c1[i] = (uint32_t)((first + i) >> 32);
        c2[i] = stream.purpose;
        c3[i] = stream.step;
    }
    for (int round = 0; round < 10; round++) {
#pragma omp simd
        for (size_t i = 0; i < lanes; i++) {
            const uint64_t p0 = 0xD2511F53ULL * c0[i], p1 = 0xCD9E8D57ULL * c2[i];
            c0[i] = (uint32_t)(p1 >> 32) ^ c1[i] ^ k0;
            c1[i] = (uint32_t)p1;
            c2[i] = (uint32_t)(p0 >> 32) ^ c3[i] ^ k1;
            c3[i] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9U;
        k1 += 0xBB67AE85U;
    }
}

struct rng_block rng_at(struct rng_stream stream, uint64_t index)
{
    struct rng_block block;
    philox(stream, index, 1, block.word);
    return block;
}

HOT void rng_groups(struct rng_stream stream, uint64_t first, size_t groups,
                    uint32_t *words)
{
    for (size_t i = 0; i < groups; i++) {
        uint32_t group[4 * RNG_GROUP]; /* of its own: then it stays in registers */
        philox(stream, first + i * RNG_GROUP, RNG_GROUP, group);
        memcpy(words + i * 4 * RNG_GROUP, group, sizeof group);
    }
}

static double unit(uint32_t high, uint32_t low)
{
    return (double)(((uint64_t)high << 21) | (low >> 11)) * 0x1p-53;
}

double rng_uniform(struct rng_stream stream, uint64_t index)
{
    const struct rng_block b = rng_at(stream, index);
    return unit(b.word[0], b.word[1]);
}

double rng_normal(struct rng_stream stream, uint64_t index)
{
    const struct rng_block b = rng_at(stream, index);
    const double radius = sqrt(-2.0 * log1p(-unit(b.word[0], b.word[1])));
    return radius * cos(2.0 * M_PI * unit(b.word[2], b.word[3]));
}

void rng_shuffle(struct rng_stream stream, uint32_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = n; i > 1; i--) {
        const size_t j = (size_t)(rng_uniform(stream, i) * (double)i);
        const uint32_t kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}
