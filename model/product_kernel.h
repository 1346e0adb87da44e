/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * product_kernel.h -- the inner loops of product.c, included there once for every vector
 * width: KERNEL names the function, TARGET is its attribute, LANES the reals of a vector.
 * No include guard, on purpose.
 */

/* y (M,N) = start or, with `add`, += a (M,K) panel (K,2 LANES), N <= 2 LANES.  start (N),
 * NULL: zeros. */
TARGET static void KERNEL(const struct product *p, real *y, const real *a,
                          const real *panel, const real *start, size_t K, size_t N,
                          bool add)
{
    typedef real vec __attribute__((vector_size(LANES * sizeof(real)), may_alias));
    typedef real loose __attribute__((vector_size(LANES * sizeof(real)), may_alias,
                                      aligned(sizeof(real))));
    const bool whole = N == 2 * LANES;
    vec first[2] = {0};
    if (start)
        memcpy(first, start, N * sizeof *start);
    for (size_t m = 0; m < p->M; m += TILE) {
        const size_t rows = p->M - m < TILE ? p->M - m : TILE;
        const real
            *from[TILE]; /* past the last row: the last again, with what it gives */
        real *to[TILE];
        for (size_t i = 0; i < TILE; i++) {
            const size_t row = m + (i < rows ? i : rows - 1);
            from[i] = a + row * p->a_row;
            to[i] = y + row * p->y_row;
        }

        vec sum[TILE][2];
#pragma GCC unroll 6
        for (size_t i = 0; i < TILE; i++) {
            sum[i][0] = first[0];
            sum[i][1] = first[1];
        }
        if (add && whole) {
#pragma GCC unroll 6
            for (size_t i = 0; i < TILE; i++) {
                sum[i][0] = *(const loose *)to[i];
                sum[i][1] = *(const loose *)(to[i] + LANES);
            }
        } else if (add) {
            real edge[TILE][2 * LANES] = {0};
            for (size_t i = 0; i < rows; i++)
                memcpy(edge[i], to[i], N * sizeof *y);
            memcpy(sum, edge, sizeof sum);
        }
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
        if (whole) {
#pragma GCC unroll 6
            for (size_t i = 0; i < TILE; i++) {
                *(loose *)to[i] = sum[i][0];
                *(loose *)(to[i] + LANES) = sum[i][1];
            }
        } else {
            real edge[TILE][2 * LANES];
            memcpy(edge, sum, sizeof edge);
            for (size_t i = 0; i < rows; i++)
                memcpy(to[i], edge[i], N * sizeof *y);
        }
    }
}

#undef KERNEL
#undef TARGET
#undef LANES
