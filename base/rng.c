/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/rng.h"

#include <math.h>

struct rng_block rng_at(struct rng_stream stream, uint64_t index)
{
    uint32_t c[4] = {(uint32_t)index, (uint32_t)(index >> 32), stream.purpose,
                     stream.step};
    uint32_t k[2] = {(uint32_t)stream.seed, (uint32_t)(stream.seed >> 32)};
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = 0xD2511F53ULL * c[0], p1 = 0xCD9E8D57ULL * c[2];
        const uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ k[0], (uint32_t)p1,
                                  (uint32_t)(p0 >> 32) ^ c[3] ^ k[1], (uint32_t)p0};
        for (int i = 0; i < 4; i++)
            c[i] = next[i];
        k[0] += 0x9E3779B9U;
        k[1] += 0xBB67AE85U;
    }
    return (struct rng_block){{c[0], c[1], c[2], c[3]}};
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
