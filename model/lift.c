/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/lift.h"

#include <string.h>

#include "model/threads.h"
#include "model/vector.h"

/* Rows are dealt to this many blocks of scratch, whatever the number of threads. */
enum { LANES = 32, ALIGN_REALS = 16 };

struct lift_job {
    const struct lift *lift;
    size_t R;
    const real *z, *e, *in_re, *in_im, *dh;
    real *h, *dz, *out_re, *out_im;
};

static size_t padded(size_t reals)
{
    return (reals + ALIGN_REALS - 1) / ALIGN_REALS * ALIGN_REALS;
}

void lift_carve(struct lift *lift, size_t R, bool training, struct arena *arena)
{
    lift->lane_size = padded(fft_work(lift->L)) + padded(lift->L);
    lift->lanes = arena_reals(arena, LANES * lift->lane_size);
    lift->de = training ? arena_reals(arena, R * lift->D) : NULL;
}

/* Transforms want their work first in the lane, aligned; then one series. */
static real *lane_work(const struct lift *lift, size_t lane)
{
    return lift->lanes + lane * lift->lane_size;
}

static real *lane_series(const struct lift *lift, size_t lane)
{
    return lane_work(lift, lane) + padded(fft_work(lift->L));
}

/* ---- spectrum ---------------------------------------------------------------------- */

static size_t first_of(const struct lift_job *j, size_t lane)
{
    return threads_part(j->R, lane, LANES);
}

static void forward_lane(void *ctx, size_t lane)
{
    const struct lift_job *const j = ctx;
    const size_t L = j->lift->L, F = j->lift->F;
    for (size_t r = first_of(j, lane); r < first_of(j, lane + 1); r++)
        fft_forward(j->lift->plan, j->out_re + r * F, j->out_im + r * F, j->z + r * L,
                    lane_work(j->lift, lane));
}

void lift_forward(const struct lift *lift, struct threads *pool, real *re, real *im,
                  const real *z, size_t R)
{
    struct lift_job j = {.lift = lift, .R = R, .z = z, .out_re = re, .out_im = im};
    threads_run(pool, LANES, forward_lane, &j);
}

static void backward_lane(void *ctx, size_t lane)
{
    const struct lift_job *const j = ctx;
    const size_t L = j->lift->L, F = j->lift->F;
    for (size_t r = first_of(j, lane); r < first_of(j, lane + 1); r++)
        fft_forward_adjoint(j->lift->plan, j->dz + r * L, j->in_re + r * F,
                            j->in_im + r * F, lane_work(j->lift, lane));
}

void lift_backward(const struct lift *lift, struct threads *pool, real *dz,
                   const real *dre, const real *dim, size_t R)
{
    struct lift_job j = {.lift = lift, .R = R, .dz = dz, .in_re = dre, .in_im = dim};
    threads_run(pool, LANES, backward_lane, &j);
}

/* ---- back to time ------------------------------------------------------------------ */

static void join_lane(void *ctx, size_t lane)
{
    const struct lift_job *const j = ctx;
    const struct lift *const lift = j->lift;
    const size_t L = lift->L, F = lift->F, D = lift->D;
    real *const series = lane_series(lift, lane);
    for (size_t r = first_of(j, lane); r < first_of(j, lane + 1); r++)
        for (size_t d = 0; d < D; d++) {
            const size_t bins = (r * D + d) * F;
            const real *const z = j->z ? j->z + r * L : NULL;
            const real twice = z ? 2 * j->e[d] : 0;
            fft_inverse(lift->plan, series, j->in_re + bins, j->in_im + bins,
                        lane_work(lift, lane));
            for (size_t t = 0; t < L; t++)
                j->h[(r * L + t) * D + d] = (z ? twice * z[t] : 0) + series[t];
        }
}

void lift_join(const struct lift *lift, struct threads *pool, real *h, const real *z,
               const real *e, const real *y_re, const real *y_im, size_t R)
{
    struct lift_job j = {
        .lift = lift, .R = R, .z = z, .e = e, .in_re = y_re, .in_im = y_im, .h = h};
    threads_run(pool, LANES, join_lane, &j);
}

static void join_backward_lane(void *ctx, size_t lane)
{
    const struct lift_job *const j = ctx;
    const struct lift *const lift = j->lift;
    const size_t L = lift->L, F = lift->F, D = lift->D;
    real *const series = lane_series(lift, lane);
    for (size_t r = first_of(j, lane); r < first_of(j, lane + 1); r++)
        for (size_t d = 0; d < D; d++) {
            const size_t bins = (r * D + d) * F;
            for (size_t t = 0; t < L; t++)
                series[t] = j->dh[(r * L + t) * D + d];
            if (j->z) {
                vector_add(j->dz + r * L, 2 * j->e[d], series, L);
                lift->de[r * D + d] = 2 * vector_dot(series, j->z + r * L, L);
            }
            memset(j->out_re + bins, 0, F * sizeof(real));
            memset(j->out_im + bins, 0, F * sizeof(real));
            fft_inverse_adjoint(lift->plan, j->out_re + bins, j->out_im + bins, series,
                                lane_work(lift, lane));
        }
}

void lift_join_backward(const struct lift *lift, struct threads *pool, real *dz, real *de,
                        real *dy_re, real *dy_im, const real *dh, const real *z,
                        const real *e, size_t R)
{
    struct lift_job j = {.lift = lift,
                         .R = R,
                         .dz = dz,
                         .out_re = dy_re,
                         .out_im = dy_im,
                         .dh = dh,
                         .z = z,
                         .e = e};
    threads_run(pool, LANES, join_backward_lane, &j);
    for (size_t r = 0; z && r < R; r++)
        vector_add(de, 1, lift->de + r * lift->D, lift->D);
}
