/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rng.h -- random numbers that are a function of where they are used.
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011).  There is no state: the same key and counter give the same
 * numbers in any order and on any thread, so a backward pass regenerates the mask of
 * its forward pass, and a resumed run draws what an undisturbed one would have drawn.
 */
#ifndef RNG_H
#define RNG_H

#include <stddef.h>
#include <stdint.h>

/* Four words of one counter. */
struct rng_block {
    uint32_t word[4];
};

/*
 * Names a stream: the seed of the run, what it is for, and the step.  Two streams
 * that differ in any of the three are independent.
 */
struct rng_stream {
    uint64_t seed;
    uint32_t purpose;
    uint32_t step;
};

struct rng_block rng_at(struct rng_stream stream, uint64_t index);

/* For many indices from the first on, RNG_GROUP at a time: words (groups,4,RNG_GROUP) has
 * of each group all first words, then all second ones, and so on. */
enum { RNG_GROUP = 16 };
void rng_groups(struct rng_stream stream, uint64_t first, size_t groups, uint32_t *words);

/* Uniform on [0, 1) from the top 53 bits of words 0 and 1. */
double rng_uniform(struct rng_stream stream, uint64_t index);

/* Standard normal (Box-Muller). */
double rng_normal(struct rng_stream stream, uint64_t index);

/* Puts 0..n-1 into order[] in random order (Fisher-Yates). */
void rng_shuffle(struct rng_stream stream, uint32_t *order, size_t n);

#endif
