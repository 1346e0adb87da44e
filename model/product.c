/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compiled with -ffp-contract=fast: the kernels are the one place that fuses products. */
#include "model/product.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/hot.h"

enum {
    TILE = 6,            /* rows, by 2 vectors: 12 of 16 registers */
    PANEL_BYTES = 32768, /* as large as the first-level cache */
    WIDEST = 64,         /* bytes of a vector */
};

typedef void kernel(const struct product *p, real *y, const real *a, const real *panel,
                    const real *start, size_t K, size_t N, bool add);

#define KERNEL kernel_plain
#define TARGET
#define LANES (16 / sizeof(real))
#include "model/product_kernel.h"

#ifdef __x86_64__
#define KERNEL kernel_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define LANES (32 / sizeof(real))
#include "model/product_kernel.h"

#define KERNEL kernel_avx512
#define TARGET __attribute__((target("avx512f")))
#define LANES (64 / sizeof(real))
#include "model/product_kernel.h"
#endif

struct choice {
    kernel *run;
    size_t columns; /* of a panel: two vectors */
};

static struct choice choose(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f"))
        return (struct choice){kernel_avx512, 128 / sizeof(real)};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (struct choice){kernel_avx2, 64 / sizeof(real)};
#endif
    return (struct choice){kernel_plain, 32 / sizeof(real)};
}

/* ---- packing ------------------------------------------------------------------------ */

enum { QUAD = 4 };
typedef real quad
    __attribute__((vector_size(QUAD * sizeof(real)), may_alias, aligned(sizeof(real))));

#define LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)

/* to (4,4) = from (4,4) transposed */
static void turn(real *to, size_t to_row, const real *from, size_t from_row)
{
    quad row[QUAD];
    for (size_t i = 0; i < QUAD; i++)
        row[i] = *(const quad *)(from + i * from_row);
    const quad low02 = LOW(row[0], row[2]), low13 = LOW(row[1], row[3]);
    const quad high02 = HIGH(row[0], row[2]), high13 = HIGH(row[1], row[3]);
    *(quad *)(to + 0 * to_row) = LOW(low02, low13);
    *(quad *)(to + 1 * to_row) = HIGH(low02, low13);
    *(quad *)(to + 2 * to_row) = LOW(high02, high13);
    *(quad *)(to + 3 * to_row) = HIGH(high02, high13);
}

/* panel (K,columns) = b (N,K) transposed: a column of b is `step` from the next. */
static void pack_turned(real *restrict panel, size_t columns, const real *restrict b,
                        size_t step, size_t K, size_t N)
{
    const size_t quads = N / QUAD * QUAD;
    size_t k = 0;
    for (; k + QUAD <= K; k += QUAD)
        for (size_t n = 0; n < quads; n += QUAD)
            turn(panel + k * columns + n, columns, b + n * step + k, step);
    for (; k < K; k++)
        for (size_t n = 0; n < quads; n++)
            panel[k * columns + n] = b[n * step + k];
    for (size_t n = quads; n < N; n++)
        for (k = 0; k < K; k++)
            panel[k * columns + n] = b[n * step + k];
}

HOT_PART void copy_rows(real *restrict panel, size_t columns, const real *restrict b,
                        size_t row, size_t K, size_t bytes)
{
    for (size_t k = 0; k < K; k++)
        memcpy(panel + k * columns, b + k * row, bytes);
}

/* A copy of known size is a few instructions, another one a call. */
static void pack_straight(real *restrict panel, size_t columns, const real *restrict b,
                          size_t row, size_t K, size_t N)
{
    if (N * sizeof *b == 128)
        copy_rows(panel, columns, b, row, K, 128);
    else if (N * sizeof *b == 64)
        copy_rows(panel, columns, b, row, K, 64);
    else
        copy_rows(panel, columns, b, row, K, N * sizeof *b);
}

/* panel (K,columns) = the N columns of b from there on, and zeros. */
static void pack(real *restrict panel, size_t columns, const struct product *p,
                 const real *restrict b, size_t K, size_t N)
{
    assert(p->b_row == 1 || p->b_step == 1);
    if (p->b_row == 1)
        pack_turned(panel, columns, b, p->b_step, K, N);
    else
        pack_straight(panel, columns, b, p->b_row, K, N);
    if (N < columns)
        for (size_t k = 0; k < K; k++)
            memset(panel + k * columns + N, 0, (columns - N) * sizeof *panel);
}

static void product_by(struct choice c, const struct product *p)
{
    _Alignas(WIDEST) real panel[PANEL_BYTES / sizeof(real)];
    const size_t depth = sizeof panel / sizeof *panel / c.columns;
    for (size_t n = 0; n < p->N; n += c.columns) {
        const size_t N = p->N - n < c.columns ? p->N - n : c.columns;
        for (size_t k = 0; k < p->K; k += depth) {
            const size_t K = p->K - k < depth ? p->K - k : depth;
            pack(panel, c.columns, p, p->b + k * p->b_row + n * p->b_step, K, N);
            c.run(p, p->y + n, p->a + k * p->a_step, panel,
                  p->start ? p->start + n : NULL, K, N, p->add || k > 0);
        }
    }
}

void product(const struct product *p)
{
    product_by(choose(), p);
}
