/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fft/fft.h"

#include <stdbool.h>
#include <stdlib.h>
#include <tgmath.h>

#include "base/arena.h"
#include "base/mem.h"
#include "fft/plan.h"

/*
 * A season shows twice: as a peak of the periodogram, whose period n/f is coarse, and
 * as a hill of the autocorrelation, which is exact but repeats at every multiple.  So
 * the peak proposes and the hill decides (after Vlachos, Yu, Castelli: "On Periodicity
 * Detection and Structural Periodic Similarity", SDM 2005).  A sharp daily spike has
 * peaks at 12 and 8 hours too, but no hill there: then the next peak is asked.
 */
enum { PEAKS = 8, SERIES_MIN = 8 };

static const double CORRELATION_MIN = 0.2;
/* Autocorrelations of noise scatter by 1/sqrt(pairs); the best of many is taken. */
static const double NOISE_WIDTHS = 4.0;

/*
 * out = x minus its least-squares line; a missing value becomes 0, its expectation.
 * What rounding leaves of a constant or of a pure line is no series, and becomes 0.
 */
static void remove_line(real *out, const double *x, size_t n)
{
    double count = 0, st = 0, sx = 0, stt = 0, stx = 0, sxx = 0;
    for (size_t t = 0; t < n; t++)
        if (isfinite(x[t])) {
            count++;
            st += (double)t;
            sx += x[t];
        }
    const double mt = count > 0 ? st / count : 0, mx = count > 0 ? sx / count : 0;
    for (size_t t = 0; t < n; t++)
        if (isfinite(x[t])) {
            stt += ((double)t - mt) * ((double)t - mt);
            stx += ((double)t - mt) * (x[t] - mx);
            sxx += (x[t] - mx) * (x[t] - mx);
        }
    const double slope = stt > 0 ? stx / stt : 0;
    const bool series = sxx - slope * stx > 1e-12 * sxx && sxx > 1e-24 * mx * mx * count;
    for (size_t t = 0; t < n; t++)
        out[t] =
            series && isfinite(x[t]) ? (real)(x[t] - mx - slope * ((double)t - mt)) : 0;
}

/* What one transform of a series of M values needs. */
struct scratch {
    struct arena arena;
    real *series, *product, *re, *im, *work;
};

static int scratch_open(struct scratch *s, size_t M)
{
    s->arena = arena_measure();
    for (int pass = 0; pass < 2; pass++) {
        if (pass && arena_open(&s->arena, NULL))
            return -1;
        s->series = arena_reals(&s->arena, M);
        s->product = arena_reals(&s->arena, M);
        s->re = arena_reals(&s->arena, fft_bins(M));
        s->im = arena_reals(&s->arena, fft_bins(M));
        s->work = arena_reals(&s->arena, fft_work(M));
    }
    return 0;
}

int fft_periodogram(double *power, const double *x, size_t n)
{
    struct fft_plan plan;
    struct scratch s = {0};
    int rc = plan_init(&plan, n, NULL);
    if (!rc)
        rc = scratch_open(&s, n);
    if (!rc) {
        remove_line(s.series, x, n);
        fft_forward(&plan, s.re, s.im, s.series, s.work);
        for (size_t f = 0; f < plan.F; f++)
            power[f] =
                (double)s.re[f] * (double)s.re[f] + (double)s.im[f] * (double)s.im[f];
    }
    arena_close(&s.arena);
    plan_fini(&plan);
    return rc;
}

/* Scales x to a largest value of 1, so that squares stay inside a float. */
static void normalise(real *x, size_t n)
{
    real largest = 0;
    for (size_t t = 0; t < n; t++)
        largest = fmax(largest, fabs(x[t]));
    for (size_t t = 0; t < n && largest > 0; t++)
        x[t] /= largest;
}

/* product[k] = sum of x_t x_(t+k), up to one factor for all k; x is series, padded. */
static void correlate(const struct fft_plan *plan, struct scratch *s)
{
    fft_forward(plan, s->re, s->im, s->series, s->work);
    for (size_t f = 0; f < plan->F; f++) {
        s->re[f] = s->re[f] * s->re[f] + s->im[f] * s->im[f];
        s->im[f] = 0;
    }
    fft_inverse(plan, s->product, s->re, s->im, s->work);
}

/*
 * r[k], k = 0..n/2: correlation of x with itself k steps later, as the mean over the
 * pairs that are both present; a gap every night must not look like a season.  By the
 * transform of the series padded to a power of two of at least twice its length, so
 * that nothing wraps around; such plans are few and are kept.
 */
static int autocorrelation(double *r, const double *x, size_t n)
{
    size_t M = 1;
    while (M < 2 * n)
        M *= 2;
    const struct fft_plan *const plan = fft_plan(M, NULL);
    struct scratch s;
    if (!plan || scratch_open(&s, M))
        return -1;
    for (size_t t = 0; t < n; t++)
        s.series[t] = isfinite(x[t]) ? 1 : 0;
    correlate(plan, &s);
    for (size_t k = 0; k <= n / 2; k++)
        r[k] = (double)s.product[k];
    const double pairs_min = r[0] / 8; /* fewer say nothing */
    remove_line(s.series, x, n);
    normalise(s.series, n);
    correlate(plan, &s);
    const double scale = s.product[0] > 0 ? r[0] / (double)s.product[0] : 0;
    for (size_t k = 0; k <= n / 2; k++)
        r[k] = r[k] > pairs_min ? (double)s.product[k] * scale / r[k] : 0;
    arena_close(&s.arena);
    return 0;
}

/* The bin of highest power whose period lies in 2..n/2; 0 when all are spent. */
static size_t peak_of(const double *power, size_t n)
{
    size_t best = 0;
    for (size_t f = 2; f <= n / 2; f++)
        if (power[f] > (best ? power[best] : 0))
            best = f;
    return best;
}

/*
 * The top of a hill whose highest lag is k: the vertex of the least-squares parabola
 * over an eighth of the period to either side, because noise moves the highest lag of
 * a broad hill by a step or two.
 */
static size_t vertex_of(const double *r, size_t n, size_t k)
{
    const long width = (long)fmin((double)(k / 8), (double)(n / 2 - k));
    double s0 = 0, s2 = 0, s4 = 0, r0 = 0, r1 = 0, r2 = 0;
    for (long i = -width; i <= width; i++) {
        const double at = r[(long)k + i], ii = (double)(i * i);
        s0 += 1;
        s2 += ii;
        s4 += ii * ii;
        r0 += at;
        r1 += at * (double)i;
        r2 += at * ii;
    }
    const double bend = s0 * r2 - s2 * r0;   /* the parabola's square term, times... */
    const double spread = s0 * s4 - s2 * s2; /* ...this, which is 0 for width 0 */
    if (!(spread > 0 && bend < 0))
        return k;
    const double shift = -(r1 / s2) / (2 * bend / spread);
    return fabs(shift) <= (double)width ? (size_t)lround((double)k + shift) : k;
}

/* The season that the peak at bin f proposes; 0 where there is no hill. */
static size_t hill_of(const double *r, size_t n, size_t f)
{
    const double width = (double)n;
    const size_t low = (size_t)fmax(2, floor(width / ((double)f + 0.5)));
    const size_t high =
        (size_t)fmin(width / 2 - 1, ceil(width / fmax((double)f - 0.5, 1.5)));
    size_t best = 0;
    for (size_t k = low; k <= high; k++)
        if (r[k] >= r[k - 1] && r[k] >= r[k + 1] && (!best || r[k] > r[best]))
            best = k;
    const double least = fmax(CORRELATION_MIN, NOISE_WIDTHS / sqrt((double)(n - best)));
    return best && r[best] > least ? vertex_of(r, n, best) : 0;
}

size_t fft_dominant_period(const double *x, size_t n)
{
    if (n > FFT_LENGTH_MAX / 2) { /* the newest part tells the season of today */
        x += n - FFT_LENGTH_MAX / 2;
        n = FFT_LENGTH_MAX / 2;
    }
    if (n < SERIES_MIN)
        return 1;
    double *const power = mem_new(n / 2 + 1, sizeof *power);
    double *const r = mem_new(n / 2 + 1, sizeof *r);
    size_t period = 0;
    if (!fft_periodogram(power, x, n) && !autocorrelation(r, x, n))
        for (int tried = 0; tried < PEAKS && !period; tried++) {
            const size_t f = peak_of(power, n);
            if (!f)
                break;
            period = hill_of(r, n, f);
            power[f] = 0;
        }
    free(r);
    free(power);
    return period ? period : 1;
}
