/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * product_kernel.h -- the inner loops of product.c, included there once for every vector
 * width: KERNEL names the function, TARGET is its attribute, LANES the reals of a vector.
 * No include guard, on purpose.
 */

/* y (M,N) = or, with `add`, += a (M,K) panel (K,2 LANES), N <= 2 LANES */
TARGET static void KERNEL(const struct product *p, real *y, const real *a,
                          const real *panel, size_t K, size_t N, bool add)
{
    typedef real vec __attribute__((vector_size(LANES * sizeof(real)), may_alias));
    for (size_t m = 0; m < p->M; m += TILE) {
        const size_t rows = p->M - m < TILE ? p->M - m : TILE;
        const real *from[TILE]; /* past the last row: the last again */
        for (size_t i = 0; i < TILE; i++)
            from[i] = a + (m + (i < rows ? i : rows - 1)) * p->a_row;

        real tile[TILE][2 * LANES] = {0};
        vec sum[TILE][2];
        if (add)
            for (size_t i = 0; i < rows; i++)
                memcpy(tile[i], y + (m + i) * p->y_row, N * sizeof *y);
        memcpy(sum, tile, sizeof sum);
        for (size_t k = 0; k < K; k++) {
            const vec *const b = (const vec *)(panel + k * 2 * LANES);
            const vec left = b[0], right = b[1];
#pragma GCC unroll 6
            for (size_t i = 0; i < TILE; i++) {
                const real x = from[i][k * p->a_step];
                sum[i][0] += x * left;
                sum[i][1] += x * right;
            }
        }
        memcpy(tile, sum, sizeof sum);
        for (size_t i = 0; i < rows; i++)
            memcpy(y + (m + i) * p->y_row, tile[i], N * sizeof *y);
    }
}

#undef KERNEL
#undef TARGET
#undef LANES
