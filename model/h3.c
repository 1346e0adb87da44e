/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mixer h3 (Fu et al.: "Hungry Hungry Hippos: Towards Language Modeling with State
 * Space Models", 2023): a shift and a diagonal state space instead of weights.  In heads
 * of their own size N, for every pair (i,j) of channels:
 *
 *     kk[i] = conv(shift_c[i], k[i]) + shift_d[i] k[i]
 *     m_t = kk_t[i] v_t[j]      s = conv(kd, m) + d m      o_t[j] += q_t[i] s_t
 *
 * with the filter of S complex states, dt = exp(log_dt), A = -exp(log_re) + i im:
 *
 *     Ab = (1 + dt A/2) / (1 - dt A/2)      Bb = dt B / (1 - dt A/2)
 *     kd[l] = 2 Re sum over n of C_n Bb_n Ab_n^l
 *
 * Convolutions are causal: direct for few tokens, else by transforms of twice the length.
 */
#include <tgmath.h>
#undef I /* of <complex.h> */
#include <string.h>

#include "fft/fft.h"
#include "model/slices.h"
#include "model/vector.h"

#ifndef CMPLX /* glibc has it for gcc alone */
#define CMPLX(re, im) __builtin_complex(re, im)
#endif

enum { DIRECT_MOST = 64, RENORM = 64 };
enum { SHIFT_C, SHIFT_D, LOG_DT, LOG_RE, IM, B_RE, B_IM, C_RE, C_IM, D_, TENSORS };
enum { NONE, C__, TAPS, HEADS, STATES, DIMS };

static size_t head_size(const struct mixer_config *config)
{
    return (size_t)config->options.h3_head;
}

static size_t states_of(const struct mixer_config *config)
{
    return (size_t)config->options.h3_state;
}

static size_t taps_of(const struct mixer_config *config)
{
    return (size_t)config->options.h3_shift_len;
}

static void h3_tensors(const struct mixer_config *config, struct core_tensors *t)
{
    const double states = (double)states_of(config);
    const struct tensor_row rows[TENSORS] = {
        [SHIFT_C] = {"shift.c", C__, TAPS, TAPS, INIT_UNIFORM, 0},
        [SHIFT_D] = {"shift.d", C__, NONE, NONE, INIT_NORMAL, 1},
        [LOG_DT] = {"log_dt", HEADS, NONE, NONE, INIT_LOG_STEP, 1e-3},
        [LOG_RE] = {"log_re", STATES, NONE, NONE, INIT_CONSTANT, -0.69314718055994531},
        [IM] = {"im", STATES, NONE, NONE, INIT_HARMONIC, states},
        [B_RE] = {"b.re", STATES, NONE, NONE, INIT_CONSTANT, 1},
        [B_IM] = {"b.im", STATES, NONE, NONE, INIT_CONSTANT, 0},
        [C_RE] = {"c.re", STATES, NONE, NONE, INIT_NORMAL, 0.70710678118654752},
        [C_IM] = {"c.im", STATES, NONE, NONE, INIT_NORMAL, 0.70710678118654752},
        [D_] = {"d", HEADS, NONE, NONE, INIT_NORMAL, 1},
    };
    t->count = TENSORS;
    memcpy(t->row, rows, sizeof rows);
    for (size_t i = 0; i < TENSORS; i++)
        t->by_head[i] = true;
    t->dims[C__] = config->C;
    t->dims[TAPS] = taps_of(config);
    t->dims[HEADS] = config->C / head_size(config);
    t->dims[STATES] = t->dims[HEADS] * states_of(config);
}

/* ---- the filter -------------------------------------------------------------------- */

/* State n of a head, discretised: Ab, u = dt / (1 - dt A/2), w = C B; and A, z = dt A/2. */
struct mode {
    double complex Ab, u, w, A, z, B, C;
    double dt;
};

static struct mode mode_of(const struct slice *s, size_t n)
{
    struct mode m = {
        .dt = exp((double)*s->theta[LOG_DT]),
        .A = CMPLX(-exp((double)s->theta[LOG_RE][n]), (double)s->theta[IM][n]),
        .B = CMPLX((double)s->theta[B_RE][n], (double)s->theta[B_IM][n]),
        .C = CMPLX((double)s->theta[C_RE][n], (double)s->theta[C_IM][n]),
    };
    m.z = m.dt * m.A / 2;
    m.Ab = (1 + m.z) / (1 - m.z);
    m.u = m.dt / (1 - m.z);
    m.w = m.C * m.B;
    return m;
}

/* kd (T): powers by repeated products, taken anew every RENORM of them. */
static void filter(const struct slice *s, real *kd)
{
    memset(kd, 0, s->T * sizeof *kd);
    for (size_t n = 0; n < states_of(s->config); n++) {
        const struct mode m = mode_of(s, n);
        double complex power = 1;
        for (size_t l = 0; l < s->T; l++) {
            if (l % RENORM == 0)
                power = cpow(m.Ab, (double)l);
            kd[l] += (real)(2 * creal(m.w * m.u * power));
            power *= m.Ab;
        }
    }
}

/* From the gradient at kd (T) to those of the head's parameters.  For real parameters
 * a, b of x = a + ib and f holomorphic, d 2 Re f = 2 Re f' da - 2 Im f' db. */
static void filter_backward(const struct slice *s, const real *dkd,
                            const struct slice_grad *g)
{
    for (size_t n = 0; n < states_of(s->config); n++) {
        const struct mode m = mode_of(s, n);
        double complex power = 1, G = 0, G1 = 0; /* sum dkd Ab^l, sum dkd l Ab^(l-1) */
        for (size_t l = 0; l < s->T; l++) {
            if (l % RENORM == 0)
                power = cpow(m.Ab, (double)l);
            G += (double)dkd[l] * power;
            if (l + 1 < s->T)
                G1 += (double)dkd[l + 1] * (double)(l + 1) * power;
            power *= m.Ab;
        }
        const double complex dC = m.B * m.u * G, dB = m.C * m.u * G;
        const double complex rest = 1 / (1 - m.z);
        const double complex dz =
            (m.w * G * m.dt + 2 * m.w * m.u * G1) * rest * rest; /* through u and Ab */
        const double complex dA = dz * m.dt / 2, ddt = dz * m.A / 2 + m.w * G * rest;
        g->dtheta[C_RE][n] += (real)(2 * creal(dC));
        g->dtheta[C_IM][n] -= (real)(2 * cimag(dC));
        g->dtheta[B_RE][n] += (real)(2 * creal(dB));
        g->dtheta[B_IM][n] -= (real)(2 * cimag(dB));
        g->dtheta[LOG_RE][n] += (real)(2 * creal(dA) * creal(m.A));
        g->dtheta[IM][n] -= (real)(2 * cimag(dA));
        *g->dtheta[LOG_DT] += (real)(2 * creal(ddt) * m.dt);
    }
}

/* ---- convolutions ------------------------------------------------------------------ */

/* Causal convolution with one filter and its adjoints, for T tokens. */
struct conv {
    size_t T, F;
    const struct fft_plan *plan; /* of 2 T, or NULL: direct */
    real scale;                  /* of a product of orthonormal spectra */
    real *k, *k_re, *k_im;       /* (T) the filter, its spectrum */
    real *long_, *re, *im, *re2, *im2, *sum_re, *sum_im, *fft;
};

/* Also makes the plan, which later calls find: they may not allocate. */
static size_t conv_size(size_t T)
{
    const size_t F = fft_bins(2 * T);
    if (T > DIRECT_MOST)
        fft_plan(2 * T, NULL);
    return T + (T > DIRECT_MOST ? 2 * T + 8 * F + fft_work(2 * T) + 16 : 0);
}

static struct conv conv_at(size_t T, real *at)
{
    struct conv c = {.T = T, .F = fft_bins(2 * T), .k = at};
    if (T <= DIRECT_MOST)
        return c;
    c.plan = fft_plan(2 * T, NULL);
    c.scale = sqrt(2 * (real)T);
    real *next = at + T;
    next += (16 - (size_t)((uintptr_t)next / sizeof(real)) % 16) % 16; /* FFTW wants it */
    c.fft = next;
    next += fft_work(2 * T);
    c.long_ = next;
    next += 2 * T;
    real **const spectra[] = {&c.k_re, &c.k_im, &c.re,     &c.im,
                              &c.re2,  &c.im2,  &c.sum_re, &c.sum_im};
    for (size_t i = 0; i < sizeof spectra / sizeof *spectra; i++, next += c.F)
        *spectra[i] = next;
    return c;
}

static void spectrum(const struct conv *c, real *re, real *im, const real *x)
{
    memcpy(c->long_, x, c->T * sizeof *x);
    memset(c->long_ + c->T, 0, c->T * sizeof *x);
    fft_forward(c->plan, re, im, c->long_, c->fft);
}

static void conv_begin(struct conv *c)
{
    if (!c->plan)
        return;
    spectrum(c, c->k_re, c->k_im, c->k);
    memset(c->sum_re, 0, c->F * sizeof *c->sum_re);
    memset(c->sum_im, 0, c->F * sizeof *c->sum_im);
}

/* y (T) = the first T values of k * x, or of the correlation, sum over t >= l of
 * k[t-l] x[t].  x's spectrum stays in re, im. */
static void conv_apply(const struct conv *c, real *y, const real *x, bool correlate,
                       real *re, real *im)
{
    const size_t T = c->T;
    if (!c->plan) {
        for (size_t t = 0; t < T; t++) {
            real sum = 0;
            for (size_t l = 0; l < (correlate ? T - t : t + 1); l++)
                sum += c->k[l] * x[correlate ? t + l : t - l];
            y[t] = sum;
        }
        return;
    }
    spectrum(c, re, im, x);
    real *const out_re = c->re2, *const out_im = c->im2;
    for (size_t f = 0; f < c->F; f++) {
        const real k_im = correlate ? -c->k_im[f] : c->k_im[f];
        out_re[f] = c->scale * (c->k_re[f] * re[f] - k_im * im[f]);
        out_im[f] = c->scale * (c->k_re[f] * im[f] + k_im * re[f]);
    }
    fft_inverse(c->plan, c->long_, out_re, out_im, c->fft);
    memcpy(y, c->long_, T * sizeof *y);
}

/* ---- forward ----------------------------------------------------------------------- */

/* kk (T) of channel i. */
static void shift(const struct slice *s, size_t i, real *kk)
{
    const size_t taps = taps_of(s->config), N = s->N;
    const real *const c = s->theta[SHIFT_C] + i * taps;
    for (size_t t = 0; t < s->T; t++) {
        real sum = s->theta[SHIFT_D][i] * s->k[t * N + i];
        for (size_t l = 0; l < taps && l <= t; l++)
            sum += c[l] * s->k[(t - l) * N + i];
        kk[t] = sum;
    }
}

static void shift_backward(const struct slice *s, size_t i, const real *dkk,
                           const struct slice_grad *g)
{
    const size_t taps = taps_of(s->config), N = s->N;
    const real *const c = s->theta[SHIFT_C] + i * taps;
    for (size_t t = 0; t < s->T; t++) {
        g->dtheta[SHIFT_D][i] += dkk[t] * s->k[t * N + i];
        g->dk[t * N + i] += dkk[t] * s->theta[SHIFT_D][i];
        for (size_t l = 0; l < taps && l <= t; l++) {
            g->dtheta[SHIFT_C][i * taps + l] += dkk[t] * s->k[(t - l) * N + i];
            g->dk[(t - l) * N + i] += dkk[t] * c[l];
        }
    }
}

static size_t h3_scratch(const struct mixer_config *config, size_t T, size_t N,
                         bool training)
{
    (void)config;
    return conv_size(T) + 3 * T + (training ? 4 * T : 0) + N;
}

static void h3_forward(const struct slice *s, real *o)
{
    const size_t T = s->T, N = s->N;
    real *const kk = s->scratch, *const m = kk + T, *const y = m + T;
    struct conv c = conv_at(T, y + T);
    filter(s, c.k);
    conv_begin(&c);
    memset(o, 0, T * N * sizeof *o);
    for (size_t i = 0; i < N; i++) {
        shift(s, i, kk);
        for (size_t j = 0; j < N; j++) {
            for (size_t t = 0; t < T; t++)
                m[t] = kk[t] * s->v[t * N + j];
            conv_apply(&c, y, m, false, c.re, c.im);
            for (size_t t = 0; t < T; t++)
                o[t * N + j] += s->q[t * N + i] * (y[t] + *s->theta[D_] * m[t]);
        }
    }
}

/* ---- backward ---------------------------------------------------------------------- */

/* dkd[l] += sum over t of ds[t] m[t-l]; by spectra: conj(M) DS, summed there. */
static void collect(const struct conv *c, real *dkd, const real *ds, const real *m)
{
    if (!c->plan) {
        for (size_t l = 0; l < c->T; l++)
            dkd[l] += vector_dot(ds + l, m, c->T - l);
        return;
    }
    spectrum(c, c->re, c->im, m);
    spectrum(c, c->re2, c->im2, ds);
    for (size_t f = 0; f < c->F; f++) {
        c->sum_re[f] += c->re[f] * c->re2[f] + c->im[f] * c->im2[f];
        c->sum_im[f] += c->re[f] * c->im2[f] - c->im[f] * c->re2[f];
    }
}

static void collected(const struct conv *c, real *dkd)
{
    if (!c->plan)
        return;
    for (size_t f = 0; f < c->F; f++) {
        c->sum_re[f] *= c->scale;
        c->sum_im[f] *= c->scale;
    }
    fft_inverse(c->plan, c->long_, c->sum_re, c->sum_im, c->fft);
    memcpy(dkd, c->long_, c->T * sizeof *dkd);
}

static void h3_backward(const struct slice *s, const real *d_o,
                        const struct slice_grad *g)
{
    const size_t T = s->T, N = s->N;
    real *const kk = s->scratch, *const m = kk + T, *const y = m + T, *const ds = y + T;
    real *const dm = ds + T, *const dkk = dm + T, *const dkd = dkk + T;
    struct conv c = conv_at(T, dkd + T);
    const real d = *s->theta[D_];
    filter(s, c.k);
    conv_begin(&c);
    memset(dkd, 0, T * sizeof *dkd);
    for (size_t i = 0; i < N; i++) {
        shift(s, i, kk);
        memset(dkk, 0, T * sizeof *dkk);
        for (size_t j = 0; j < N; j++) {
            for (size_t t = 0; t < T; t++) {
                m[t] = kk[t] * s->v[t * N + j];
                ds[t] = s->q[t * N + i] * d_o[t * N + j];
            }
            conv_apply(&c, y, m, false, c.re, c.im);
            for (size_t t = 0; t < T; t++)
                g->dq[t * N + i] += d_o[t * N + j] * (y[t] + d * m[t]);
            *g->dtheta[D_] += vector_dot(ds, m, T);
            collect(&c, dkd, ds, m);
            conv_apply(&c, dm, ds, true, c.re, c.im);
            for (size_t t = 0; t < T; t++) {
                const real whole = dm[t] + d * ds[t];
                dkk[t] += whole * s->v[t * N + j];
                g->dv[t * N + j] += whole * kk[t];
            }
        }
        shift_backward(s, i, dkk, g);
    }
    collected(&c, dkd);
    filter_backward(s, dkd, g);
}

/* ---- one token at a time ----------------------------------------------------------- */

/* Of each channel the last keys, newest first; of each pair S complex states. */
static size_t h3_state(const struct mixer_config *config, size_t N)
{
    return N * taps_of(config) + N * N * 2 * states_of(config);
}

static void h3_step(const struct slice *s, real *o, real *state)
{
    const size_t N = s->N, taps = taps_of(s->config), S = states_of(s->config);
    real *const kept = state, *const p = state + N * taps, *const kk = s->scratch;
    memset(o, 0, N * sizeof *o);
    for (size_t i = 0; i < N; i++) {
        real *const past = kept + i * taps;
        memmove(past + 1, past, (taps - 1) * sizeof *past);
        past[0] = s->k[i];
        kk[i] = s->theta[SHIFT_D][i] * s->k[i] +
                vector_dot(s->theta[SHIFT_C] + i * taps, past, taps);
        vector_add(o, *s->theta[D_] * kk[i] * s->q[i], s->v, N);
    }
    for (size_t n = 0; n < S; n++) {
        const struct mode mode = mode_of(s, n);
        const double complex in = mode.u * mode.B;
        for (size_t pair = 0; pair < N * N; pair++) {
            const size_t i = pair / N, j = pair % N;
            real *const at = p + (pair * S + n) * 2;
            const double complex next = mode.Ab * CMPLX((double)at[0], (double)at[1]) +
                                        in * (double)(kk[i] * s->v[j]);
            at[0] = (real)creal(next);
            at[1] = (real)cimag(next);
            o[j] += s->q[i] * (real)(2 * creal(mode.C * next));
        }
    }
}

/* ---- the row ----------------------------------------------------------------------- */

static unsigned h3_flags(const struct mixer_config *config)
{
    (void)config;
    return MIXER_CAUSAL | MIXER_STEP;
}

static int h3_check(const struct mixer_config *config, struct err *err)
{
    if (config->C % head_size(config))
        return err_set(err, ERR_INVALID, "h3_head: must divide the width %zu, got %d",
                       config->C, config->options.h3_head);
    return 0;
}

static const struct slices loops = {
    .head_size = head_size,
    .scratch = h3_scratch,
    .forward = h3_forward,
    .backward = h3_backward,
    .state = h3_state,
    .step = h3_step,
};

const struct mixer h3_mixer = {.name = "h3",
                               .flags = h3_flags,
                               .check = h3_check,
                               .tensors = h3_tensors,
                               .slices = &loops};
