/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/linear.h"

#include <assert.h>

#include "base/hot.h"
#include "model/product.h"
#include "model/threads.h"
#include "model/vector.h"

/* Blocks: large enough that packing a panel costs little beside its products, small
 * enough that a layer of the small network is several. */
enum {
    ROWS = 240,
    COLUMNS = PRODUCT_COLUMNS,
    WEIGHT_ROWS = 96,       /* rows of w in one block of its gradient */
    WEIGHT_ROWS_SMALL = 36, /* so that a small w is more than one block */
};

struct job {
    struct product whole;
    size_t rows;   /* of a block */
    size_t across; /* blocks side by side */
    real *bias_grad;
};

/* The block's part of the whole. */
static struct product part(const struct job *j, size_t block)
{
    const size_t down = block / j->across, side = block % j->across;
    const size_t m = down * j->rows, n = side * COLUMNS;
    struct product p = j->whole;
    p.y += m * p.y_row + n;
    p.a += m * p.a_row;
    p.b += n * p.b_step;
    p.start = p.start ? p.start + n : NULL;
    p.M = threads_block_end(down, p.M, j->rows) - m;
    p.N = threads_block_end(side, p.N, COLUMNS) - n;
    return p;
}

static void run(struct threads *pool, struct job *j, threads_job *block)
{
    j->across = threads_blocks(j->whole.N, COLUMNS);
    threads_run(pool, threads_blocks(j->whole.M, j->rows) * j->across, block, j);
}

static void product_block(void *ctx, size_t block)
{
    const struct product p = part(ctx, block);
    product(&p);
}

void linear_forward(struct threads *pool, real *y, size_t y_stride, const real *x,
                    size_t x_stride, const real *w, const real *b, size_t R, size_t I,
                    size_t O)
{
    struct job j = {
        .whole = {.y = y,
                  .y_row = y_stride,
                  .a = x,
                  .a_row = x_stride,
                  .a_step = 1,
                  .b = w,
                  .b_row = 1,
                  .b_step = I,
                  .M = R,
                  .K = I,
                  .N = O,
                  .start = b},
        .rows = ROWS,
    };
    run(pool, &j, product_block);
}

void linear_one(real *y, const real *x, const real *w, const real *b, size_t I, size_t O)
{
    for (size_t o = 0; o < O; o++)
        y[o] = vector_dot(w + o * I, x, I) + (b ? b[o] : 0);
}

static void input(struct threads *pool, real *dx, size_t dx_stride, const real *dy,
                  size_t dy_stride, const real *w, size_t R, size_t I, size_t O, bool add)
{
    struct job j = {
        .whole = {.y = dx,
                  .y_row = dx_stride,
                  .a = dy,
                  .a_row = dy_stride,
                  .a_step = 1,
                  .b = w,
                  .b_row = I,
                  .b_step = 1,
                  .M = R,
                  .K = O,
                  .N = I,
                  .add = add},
        .rows = ROWS,
    };
    run(pool, &j, product_block);
}

void linear_backward_input(struct threads *pool, real *dx, size_t dx_stride,
                           const real *dy, size_t dy_stride, const real *w, size_t R,
                           size_t I, size_t O)
{
    input(pool, dx, dx_stride, dy, dy_stride, w, R, I, O, true);
}

void linear_input_gradient(struct threads *pool, real *dx, size_t dx_stride,
                           const real *dy, size_t dy_stride, const real *w, size_t R,
                           size_t I, size_t O)
{
    input(pool, dx, dx_stride, dy, dy_stride, w, R, I, O, false);
}

/* sums (M) += those of the columns of a */
HOT static void add_columns(real *restrict sums, const struct product *p)
{
    for (size_t k = 0; k < p->K; k++)
        for (size_t m = 0; m < p->M; m++)
            sums[m] += p->a[k * p->a_step + m];
}

static void weights_block(void *ctx, size_t block)
{
    const struct job *const j = ctx;
    const struct product p = part(j, block);
    product(&p);
    if (j->bias_grad && block % j->across == 0)
        add_columns(j->bias_grad + block / j->across * j->rows, &p);
}

static struct job weights_job(const struct linear_grad *g)
{
    return (struct job){
        .whole = {.y = g->dw,
                  .y_row = g->I,
                  .a = g->dy,
                  .a_row = 1,
                  .a_step = g->dy_stride,
                  .b = g->x,
                  .b_row = g->x_stride,
                  .b_step = 1,
                  .M = g->O,
                  .K = g->R,
                  .N = g->I,
                  .add = true},
        .rows = g->O < 4 * WEIGHT_ROWS ? WEIGHT_ROWS_SMALL : WEIGHT_ROWS,
        .across = threads_blocks(g->I, COLUMNS),
        .bias_grad = g->db,
    };
}

static size_t blocks_of(const struct job *j)
{
    return threads_blocks(j->whole.M, j->rows) * j->across;
}

/* Blocks of several jobs, one after the other. */
struct jobs {
    struct job job[LINEAR_GRADS_MOST];
};

static void jobs_block(void *ctx, size_t block)
{
    struct job *j = ((struct jobs *)ctx)->job;
    for (size_t blocks; block >= (blocks = blocks_of(j)); j++)
        block -= blocks;
    weights_block(j, block);
}

void linear_backward_weights_of(struct threads *pool, const struct linear_grad *grads,
                                size_t count)
{
    struct jobs jobs;
    size_t blocks = 0;
    assert(count <= LINEAR_GRADS_MOST);
    for (size_t i = 0; i < count; i++) {
        jobs.job[i] = weights_job(&grads[i]);
        blocks += blocks_of(&jobs.job[i]);
    }
    threads_run(pool, blocks, jobs_block, &jobs);
}

void linear_backward_weights(struct threads *pool, real *dw, real *db, const real *dy,
                             size_t dy_stride, const real *x, size_t x_stride, size_t R,
                             size_t I, size_t O)
{
    linear_backward_weights_of(
        pool, &(struct linear_grad){dw, db, dy, dy_stride, x, x_stride, R, I, O}, 1);
}
