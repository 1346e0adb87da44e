/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wide.c -- a wide table whose series know of each other, as CSV on stdout.
 *
 *     wide [ROWS [SEED]]      2000 and 1
 *
 * 128 series of one hidden, wandering cause, f_t = 0.9 f_{t-1} + noise: a quarter show
 * it at once, a quarter 8 steps later, a quarter 16 and a quarter 24, each with noise of
 * its own.  Those that show it at once cannot be forecast; a late one is known that many
 * steps ahead, but only from the others.  The names say who is how late
 * (`s017_late08`); the columns are shuffled, so their order says nothing.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/time.h"

enum {
    SERIES = 128,
    GROUPS = 4,
    LAG = 8,
    HISTORY = LAG * (GROUPS - 1),
    HOUR = 3600 * 1000
};

enum { CAUSE, NOISE, ORDER };

static const double KEEP = 0.9, OWN = 0.3;

int main(int argc, char **argv)
{
    const size_t rows = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 2000;
    const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    const struct rng_stream cause = {.seed = seed, .purpose = CAUSE};
    const struct rng_stream noise = {.seed = seed, .purpose = NOISE};
    uint32_t order[SERIES];
    double f[HISTORY + 1] = {0}; /* f[k]: k steps ago */
    rng_shuffle((struct rng_stream){.seed = seed, .purpose = ORDER}, order, SERIES);
    fputs("time", stdout);
    for (size_t c = 0; c < SERIES; c++)
        printf(",s%03u_late%02u", order[c], order[c] % GROUPS * LAG);
    putchar('\n');
    for (size_t t = 0; t < HISTORY + rows; t++) {
        for (size_t k = HISTORY; k > 0; k--)
            f[k] = f[k - 1];
        f[0] = KEEP * f[1] + sqrt(1 - KEEP * KEEP) * rng_normal(cause, t);
        if (t < HISTORY)
            continue;
        char text[TIME_TEXT_SIZE];
        fputs(time_format((int64_t)(t - HISTORY) * HOUR, text), stdout);
        for (size_t c = 0; c < SERIES; c++)
            printf(",%.4f", f[order[c] % GROUPS * LAG] +
                                OWN * rng_normal(noise, t * SERIES + order[c]));
        putchar('\n');
    }
    return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
