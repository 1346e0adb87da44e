/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compiled with -ffp-contract=fast: the kernels are the one place that fuses products. */
#include "model/product.h"

#include <string.h>

enum {
    TILE = 6,            /* rows, by 2 vectors: 12 of 16 registers */
    PANEL_BYTES = 32768, /* as large as the first-level cache */
    WIDEST = 64,         /* bytes of a vector */
};

typedef void kernel(const struct product *p, real *y, const real *a, const real *panel,
                    size_t K, size_t N, bool add);

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

/* panel (K,columns) = the N columns of b from there on, and zeros. */
static void pack(real *restrict panel, size_t columns, const struct product *p,
                 const real *restrict b, size_t K, size_t N)
{
    if (p->b_step == 1)
        for (size_t k = 0; k < K; k++)
            memcpy(panel + k * columns, b + k * p->b_row, N * sizeof *b);
    else
        for (size_t n = 0; n < N; n++)
            for (size_t k = 0; k < K; k++)
                panel[k * columns + n] = b[k * p->b_row + n * p->b_step];
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
            c.run(p, p->y + n, p->a + k * p->a_step, panel, K, N, p->add || k > 0);
        }
    }
}

void product(const struct product *p)
{
    product_by(choose(), p);
}
