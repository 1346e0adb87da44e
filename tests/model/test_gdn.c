/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gated delta rule in chunks against itself token by token. */
#include "tests/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "model/gdn.h"
#include "model/model.h"

enum { T = 70 };

static void fill(real *x, size_t n, uint32_t purpose, double deviation)
{
    const struct rng_stream stream = {.seed = 3, .purpose = purpose};
    for (size_t i = 0; i < n; i++)
        x[i] = (real)(deviation * rng_normal(stream, i));
}

static void assert_near(const real *got, const real *want, size_t n)
{
    double worst = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)(got[i] - want[i])));
        size = fmax(size, fabs((double)want[i]));
    }
    if (!(size > 0 && worst <= 1e-10 * size))
        fail_msg("differs by %g of %g", worst, size);
}

/* Of T tokens, which no chunk length divides. */
static void compare(size_t N, size_t chunk)
{
    real *const x = calloc(3 * T * N + 2 * T, sizeof *x);
    real *const g = x + 3 * T * N, *const beta = g + T;
    fill(x, 3 * T * N, 1, 1 / sqrt((double)N));
    for (size_t t = 0; t < T; t++) {
        g[t] = REAL_C(-0.01) * (real)(t % 7);
        beta[t] = REAL_C(0.1) * (real)(1 + t % 9);
    }
    const struct gdn gdn = {.T = T,
                            .N = N,
                            .chunk = chunk,
                            .q = x,
                            .k = x + T * N,
                            .v = x + 2 * T * N,
                            .g = g,
                            .beta = beta};
    const size_t kept = GDN_CHECKPOINT % chunk == 0 ? gdn_states(&gdn) : 0;
    real *const o = calloc(2 * T * N, sizeof *o), *const want = o + T * N;
    real *const states = calloc(2 * gdn_states(&gdn), sizeof *states);
    real *const scratch = calloc(gdn_scratch(&gdn), sizeof *scratch);
    gdn_recurrent(&gdn, want, states, scratch);
    gdn_chunked(&gdn, o, kept ? states + kept : NULL, scratch);
    assert_near(o, want, T * N);
    if (kept)
        assert_near(states + kept, states, kept);
    free(scratch);
    free(states);
    free(o);
    free(x);
}

static void D1_chunked_is_recurrent(void **state)
{
    (void)state;
    static const size_t heads[] = {4, 12, 16, 32, 48}, chunks[] = {4, 16, 32, 64};
    model_start();
    for (size_t h = 0; h < sizeof heads / sizeof *heads; h++)
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++)
            compare(heads[h], chunks[c]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(D1_chunked_is_recurrent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
