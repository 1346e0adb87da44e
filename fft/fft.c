/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fft/fft.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <tgmath.h>

#include "base/mem.h"
#include "fft/plan.h"

/* FFTW_UNALIGNED is not set: every transform runs between the two aligned halves of
 * the work array, so one plan fits every caller and always takes the same path. */
enum { ALIGN_REALS = 16 };

/* The planner is global inside FFTW; so is the one list of plans made with it. */
static pthread_mutex_t planner = PTHREAD_MUTEX_INITIALIZER;

struct kept_plan {
    struct fft_plan plan;
    struct kept_plan *next;
};
static struct kept_plan *kept; /* guarded by planner */

static size_t padded(size_t reals)
{
    return (reals + ALIGN_REALS - 1) / ALIGN_REALS * ALIGN_REALS;
}

size_t fft_bins(size_t L)
{
    return L / 2 + 1;
}

size_t fft_work(size_t L)
{
    return padded(L) + padded(2 * fft_bins(L));
}

static int plan_make(struct fft_plan *plan, size_t L, struct err *err)
{
    real *const time = FFTW(malloc)(fft_work(L) * sizeof(real));
    if (!time)
        return err_set(err, ERR_NO_MEMORY, "length: no memory to plan %zu values", L);
    FFTW(complex) *const bins = (FFTW(complex) *)(time + padded(L));
    *plan = (struct fft_plan){
        .L = L,
        .F = fft_bins(L),
        .scale = 1 / sqrt((real)L),
        .forward = FFTW(plan_dft_r2c_1d)((int)L, time, bins, FFTW_ESTIMATE),
        .inverse = FFTW(plan_dft_c2r_1d)((int)L, bins, time, FFTW_ESTIMATE),
    };
    FFTW(free)(time);
    if (plan->forward && plan->inverse)
        return 0;
    return err_set(err, ERR_NO_MEMORY, "length: no plan for %zu values", L);
}

static int check_length(size_t L, struct err *err)
{
    if (L >= 1 && L <= FFT_LENGTH_MAX)
        return 0;
    return err_set(err, ERR_INVALID, "length: must be 1..%d, got %zu", FFT_LENGTH_MAX, L);
}

int plan_init(struct fft_plan *plan, size_t L, struct err *err)
{
    *plan = (struct fft_plan){0};
    if (check_length(L, err))
        return -1;
    pthread_mutex_lock(&planner);
    const int rc = plan_make(plan, L, err);
    pthread_mutex_unlock(&planner);
    return rc;
}

static void plan_destroy(struct fft_plan *plan)
{
    if (plan->forward)
        FFTW(destroy_plan)(plan->forward);
    if (plan->inverse)
        FFTW(destroy_plan)(plan->inverse);
}

void plan_fini(struct fft_plan *plan)
{
    pthread_mutex_lock(&planner);
    plan_destroy(plan);
    pthread_mutex_unlock(&planner);
}

static const struct fft_plan *plan_kept(size_t L, struct err *err)
{
    for (const struct kept_plan *k = kept; k; k = k->next)
        if (k->plan.L == L)
            return &k->plan;
    struct kept_plan *const fresh = mem_new(1, sizeof *fresh);
    if (plan_make(&fresh->plan, L, err)) {
        plan_destroy(&fresh->plan);
        free(fresh);
        return NULL;
    }
    fresh->next = kept;
    kept = fresh;
    return &fresh->plan;
}

const struct fft_plan *fft_plan(size_t L, struct err *err)
{
    if (check_length(L, err))
        return NULL;
    pthread_mutex_lock(&planner);
    const struct fft_plan *const plan = plan_kept(L, err);
    pthread_mutex_unlock(&planner);
    return plan;
}

/* ---- transforms -------------------------------------------------------------------- */

/* The bins of x, not yet scaled, in the second half of work. */
static const real *bins_of(const struct fft_plan *plan, const real *x, real *work)
{
    real *const bins = work + padded(plan->L);
    memcpy(work, x, plan->L * sizeof(real));
    FFTW(execute_dft_r2c)(plan->forward, work, (FFTW(complex) *)bins);
    return bins;
}

/* Whether bin f stands for itself alone and not also for its conjugate twin. */
static bool single(const struct fft_plan *plan, size_t f)
{
    return f == 0 || 2 * f == plan->L;
}

void fft_forward(const struct fft_plan *plan, real *re, real *im, const real *x,
                 real *work)
{
    const real *const bins = bins_of(plan, x, work);
    for (size_t f = 0; f < plan->F; f++) {
        re[f] = bins[2 * f] * plan->scale;
        im[f] = bins[2 * f + 1] * plan->scale;
    }
}

/* The time values of the bins, times `twin` where a bin has a twin, in work. */
static const real *values_of(const struct fft_plan *plan, const real *re, const real *im,
                             real twin, real *work)
{
    real *const bins = work + padded(plan->L);
    for (size_t f = 0; f < plan->F; f++) {
        const bool alone = single(plan, f);
        const real scale = alone ? plan->scale : twin * plan->scale;
        bins[2 * f] = re[f] * scale;
        bins[2 * f + 1] = alone ? 0 : im[f] * scale;
    }
    FFTW(execute_dft_c2r)(plan->inverse, (FFTW(complex) *)bins, work);
    return work;
}

void fft_inverse(const struct fft_plan *plan, real *x, const real *re, const real *im,
                 real *work)
{
    memcpy(x, values_of(plan, re, im, 1, work), plan->L * sizeof(real));
}

void fft_forward_adjoint(const struct fft_plan *plan, real *dx, const real *dre,
                         const real *dim, real *work)
{
    const real *const values = values_of(plan, dre, dim, REAL_C(0.5), work);
    for (size_t t = 0; t < plan->L; t++)
        dx[t] += values[t];
}

void fft_inverse_adjoint(const struct fft_plan *plan, real *dre, real *dim,
                         const real *dx, real *work)
{
    const real *const bins = bins_of(plan, dx, work);
    for (size_t f = 0; f < plan->F; f++) {
        const bool alone = single(plan, f);
        const real scale = alone ? plan->scale : 2 * plan->scale;
        dre[f] += bins[2 * f] * scale;
        if (!alone)
            dim[f] += bins[2 * f + 1] * scale;
    }
}
