/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dropout.h -- each value becomes 0 with probability p, the others x / (1-p).
 *
 * Which ones is a function of (seed, place, step, element) alone (base/rng.h), so the
 * backward pass calls dropout() on the gradient with the same arguments instead of
 * keeping a mask.
 */
#ifndef DROPOUT_H
#define DROPOUT_H

#include <stddef.h>

#include "base/real.h"
#include "base/rng.h"

struct threads;

struct dropout {
    struct rng_stream stream; /* purpose names the place in the network */
    double p;                 /* 0: identity */
};

/* x (n), in place.  Element i is the same number of the stream for every n. */
void dropout(struct threads *pool, real *x, size_t n, const struct dropout *dropout);

/* Elements [first, first + n) of such a vector, x pointing to the first of them; in the
 * calling thread. */
void dropout_part(real *x, size_t first, size_t n, const struct dropout *dropout);

#endif
