/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/spectral.h"

#include <assert.h>
#include <stdlib.h>
#include <tgmath.h>

#include "base/mem.h"
#include "fft/fft.h"
#include "model/threads.h"

/* Rows are dealt to this many blocks of scratch, whatever the number of threads. */
enum { LANES = 32, ALIGN_REALS = 16 };

struct spectral_job {
    const struct spectral *spectral;
    real *dy;
    const real *y, *target;
    size_t rows, V;
    double count;
};

/* A lane: the transform's work first, for its alignment; then error, spectrum. */
struct lane {
    real *work, *error, *re, *im;
};

static size_t padded(size_t reals)
{
    return (reals + ALIGN_REALS - 1) / ALIGN_REALS * ALIGN_REALS;
}

static size_t lane_size(const struct spectral *s)
{
    return padded(fft_work(s->P)) + padded(s->P) + 2 * padded(s->F);
}

static struct lane lane_at(const struct spectral *s, size_t index)
{
    real *const work = s->lanes + index * lane_size(s);
    real *const error = work + padded(fft_work(s->P));
    real *const re = error + padded(s->P);
    return (struct lane){work, error, re, re + padded(s->F)};
}

int spectral_init(struct spectral *spectral, size_t P, size_t rows, double share,
                  const real *horizon_weight, struct err *err)
{
    *spectral = (struct spectral){.P = P, .F = fft_bins(P), .rows = rows};
    spectral->plan = fft_plan(P, err);
    if (!spectral->plan)
        return -1;
    for (size_t j = 0; j < P; j++)
        spectral->weight += share * (double)horizon_weight[j] / (double)P;
    spectral->lanes = aligned_alloc(64, LANES * lane_size(spectral) * sizeof(real));
    spectral->size = mem_try(rows, sizeof *spectral->size);
    if (spectral->lanes && spectral->size)
        return 0;
    spectral_fini(spectral);
    return err_set(err, ERR_NO_MEMORY, "training: no memory for spectra of %zu steps", P);
}

void spectral_fini(struct spectral *spectral)
{
    free(spectral->lanes);
    free(spectral->size);
    *spectral = (struct spectral){0};
}

/* error (P) = y - target, 0 where that is missing; returns how many are there. */
static size_t read_error(const struct spectral_job *j, real *error, const real *y,
                         const real *target)
{
    size_t seen = 0;
    for (size_t p = 0; p < j->spectral->P; p++) {
        const bool there = !isnan(target[p * j->V]);
        error[p] = there ? y[p * j->V] - target[p * j->V] : 0;
        seen += there;
    }
    return seen;
}

/* Turns a spectrum into its directions times scale; returns the sum of its moduli. */
static double take_moduli(real *re, real *im, size_t F, double scale)
{
    double sum = 0;
    for (size_t f = 0; f < F; f++) {
        const double r = (double)re[f], i = (double)im[f], modulus = sqrt(r * r + i * i);
        const double factor = modulus > 0 ? scale / modulus : 0;
        sum += modulus;
        re[f] = (real)(factor * (double)re[f]);
        im[f] = (real)(factor * (double)im[f]);
    }
    return sum;
}

static void loss_row(const struct spectral_job *j, const struct lane *l, size_t row)
{
    const struct spectral *const s = j->spectral;
    const size_t P = s->P, V = j->V, at = row / V * P * V + row % V;
    const real *const target = j->target + at;
    const size_t seen = read_error(j, l->error, j->y + at, target);
    const double weight = s->weight * (double)seen / (double)s->F;
    fft_forward(s->plan, l->re, l->im, l->error, l->work);
    s->size[row] = weight * take_moduli(l->re, l->im, s->F, weight / j->count);
    for (size_t p = 0; p < P; p++)
        l->error[p] = 0;
    fft_forward_adjoint(s->plan, l->error, l->re, l->im, l->work);
    for (size_t p = 0; p < P; p++)
        if (!isnan(target[p * V]))
            j->dy[at + p * V] += l->error[p];
}

static void loss_lane(void *ctx, size_t index)
{
    const struct spectral_job *const j = ctx;
    const struct lane lane = lane_at(j->spectral, index);
    for (size_t row = index; row < j->rows; row += LANES)
        loss_row(j, &lane, row);
}

double spectral_loss(struct spectral *spectral, struct threads *pool, real *dy,
                     const real *y, const real *target, size_t B, size_t V, double count)
{
    assert(B * V <= spectral->rows);
    if (!(count > 0))
        return 0;
    struct spectral_job j = {.spectral = spectral,
                             .dy = dy,
                             .y = y,
                             .target = target,
                             .rows = B * V,
                             .V = V,
                             .count = count};
    threads_run(pool, LANES, loss_lane, &j);
    double sum = 0;
    for (size_t row = 0; row < j.rows; row++)
        sum += spectral->size[row];
    return sum;
}
