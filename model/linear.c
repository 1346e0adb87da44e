/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/linear.h"

#include <string.h>

#include <cblas.h>
#undef I /* of <complex.h>, which cblas.h includes */

#include "model/threads.h"

/*
 * How OpenBLAS behaves (0.3.21, SkylakeX kernels; rows of equal content compared bit
 * for bit over 10 widths, 10 depths and 1 to 224 rows):
 *
 * - Below about 1,200 elements of the product it takes other kernels ("small matrix"),
 *   which sum along the depth in another order.  Which side a call falls on depends on
 *   rows x columns, so the same row has other bits in a batch of another size.
 * - A single row goes through a matrix-vector product: other bits again.
 * - Rows are processed in groups of 24, 12 or 8 with a remainder; in double a row of
 *   the remainder may get other bits than one of a full group, where the columns are
 *   no multiple of 8.
 * - The small-matrix kernels allocate, inside the call, where the columns are no multiple
 *   of 16.  That is the one allocation left in a training step, and not ours.
 *
 * So every call has a multiple of 24 rows, and with fewer than 64 columns exactly 24.
 * Larger calls are faster: blocks of 14 rows reach 57, of 56 rows 88 and of 112 rows
 * 97 GFLOP/s here, because the packing of w is paid once a call.
 */
enum {
    ROW_GROUP = 24,
    ROWS_WIDE = 5 * ROW_GROUP, /* two blocks for a batch of 32 windows of 7 series */
    NARROW = 64,
    COLUMNS = 256,
    WEIGHT_ROWS = 96,       /* rows of w in one block of its gradient */
    WEIGHT_ROWS_SMALL = 32, /* so that a small w is more than one block */
};

size_t linear_rows(size_t R)
{
    return (R + ROW_GROUP - 1) / ROW_GROUP * ROW_GROUP;
}

void linear_start(void)
{
    openblas_set_num_threads(1);
}

/* The widest even cut of n columns into pieces of at most COLUMNS, whole SIMD words. */
static size_t piece(size_t n)
{
    const size_t pieces = threads_blocks(n, COLUMNS);
    return (threads_blocks(n, pieces) + 15) / 16 * 16;
}

struct product {
    real *out;
    const real *left, *right, *bias;
    real *bias_grad;
    size_t out_stride, left_stride, right_stride;
    size_t R, I, O;
    size_t rows, columns; /* of a block */
    size_t across;        /* blocks side by side */
};

/* ---- forward: blocks of y ---------------------------------------------------------- */

static void add_bias(real *y, size_t stride, const real *b, size_t R, size_t O)
{
    for (size_t r = 0; r < R; r++)
        for (size_t o = 0; o < O; o++)
            y[r * stride + o] += b[o];
}

static void forward_block(void *ctx, size_t block)
{
    const struct product *const p = ctx;
    const size_t r = block / p->across * p->rows, o = block % p->across * p->columns;
    const size_t R = threads_block_end(block / p->across, linear_rows(p->R), p->rows) - r;
    const size_t O = threads_block_end(block % p->across, p->O, p->columns) - o;
    real *const y = p->out + r * p->out_stride + o;
    GEMM(CblasRowMajor, CblasNoTrans, CblasTrans, (int)R, (int)O, (int)p->I, 1,
         p->left + r * p->left_stride, (int)p->left_stride,
         p->right + o * p->right_stride, (int)p->right_stride, 0, y, (int)p->out_stride);
    if (p->bias)
        add_bias(y, p->out_stride, p->bias + o, R, O);
}

void linear_forward(struct threads *pool, real *y, size_t y_stride, const real *x,
                    size_t x_stride, const real *w, const real *b, size_t R, size_t I,
                    size_t O)
{
    struct product p = {
        .out = y,
        .left = x,
        .right = w,
        .bias = b,
        .out_stride = y_stride,
        .left_stride = x_stride,
        .right_stride = I,
        .R = R,
        .I = I,
        .O = O,
        .rows = O < NARROW ? ROW_GROUP : ROWS_WIDE,
        .columns = piece(O),
    };
    p.across = threads_blocks(O, p.columns);
    threads_run(pool, threads_blocks(linear_rows(R), p.rows) * p.across, forward_block,
                &p);
}

/* ---- backward: blocks of dx, blocks of dw ------------------------------------------ */

static void input_block(void *ctx, size_t block)
{
    const struct product *const p = ctx;
    const size_t r = block / p->across * p->rows, i = block % p->across * p->columns;
    const size_t R = threads_block_end(block / p->across, p->R, p->rows) - r;
    const size_t I = threads_block_end(block % p->across, p->I, p->columns) - i;
    GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)R, (int)I, (int)p->O, 1,
         p->left + r * p->left_stride, (int)p->left_stride, p->right + i,
         (int)p->right_stride, 1, p->out + r * p->out_stride + i, (int)p->out_stride);
}

void linear_backward_input(struct threads *pool, real *dx, size_t dx_stride,
                           const real *dy, size_t dy_stride, const real *w, size_t R,
                           size_t I, size_t O)
{
    struct product p = {
        .out = dx,
        .left = dy,
        .right = w,
        .out_stride = dx_stride,
        .left_stride = dy_stride,
        .right_stride = I,
        .R = R,
        .I = I,
        .O = O,
        .rows = ROWS_WIDE,
        .columns = piece(I),
    };
    p.across = threads_blocks(I, p.columns);
    threads_run(pool, threads_blocks(R, p.rows) * p.across, input_block, &p);
}

static void weights_block(void *ctx, size_t block)
{
    const struct product *const p = ctx;
    const size_t o = block / p->across * p->rows, i = block % p->across * p->columns;
    const size_t O = threads_block_end(block / p->across, p->O, p->rows) - o;
    const size_t I = threads_block_end(block % p->across, p->I, p->columns) - i;
    GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, (int)O, (int)I, (int)p->R, 1,
         p->left + o, (int)p->left_stride, p->right + i, (int)p->right_stride, 1,
         p->out + o * p->out_stride + i, (int)p->out_stride);
    if (p->bias_grad && i == 0)
        for (size_t r = 0; r < p->R; r++)
            for (size_t k = o; k < o + O; k++)
                p->bias_grad[k] += p->left[r * p->left_stride + k];
}

void linear_backward_weights(struct threads *pool, real *dw, real *db, const real *dy,
                             size_t dy_stride, const real *x, size_t x_stride, size_t R,
                             size_t I, size_t O)
{
    struct product p = {
        .out = dw,
        .left = dy,
        .right = x,
        .bias_grad = db,
        .out_stride = I,
        .left_stride = dy_stride,
        .right_stride = x_stride,
        .R = R,
        .I = I,
        .O = O,
        .rows = O < 4 * WEIGHT_ROWS ? WEIGHT_ROWS_SMALL : WEIGHT_ROWS,
        .columns = piece(I),
    };
    p.across = threads_blocks(I, p.columns);
    threads_run(pool, threads_blocks(O, p.rows) * p.across, weights_block, &p);
}
